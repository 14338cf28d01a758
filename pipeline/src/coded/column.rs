//! One column of one row group on its way: its pages, the dictionary of the values used in it, what readers prune by.

use super::hybrid;
use super::page::Scratch;
use super::values::{NOT_SET, Numbers, Values};
use parquet::basic::{BoundaryOrder, Compression, Encoding, Type, ZstdLevel};
use parquet::bloom_filter::Sbbf;
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::ByteArray;
use parquet::errors::Result;
use parquet::file::metadata::{ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder};
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescPtr;
use std::cmp::Ordering;

/// A dictionary of more bytes is given up, as the library's writer does: the pages that follow have their values
/// one after the other.
const MOST_DICTIONARY_BYTES: usize = 1 << 20;

/// False positives of a bloom filter, as the library's default.
const FALSE_POSITIVES: f64 = 0.05;

/// How values are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// A dictionary and places in it.
    Dictionary,
    /// One after the other: nearly every row has another one.
    Plain,
    /// A bit each.
    Bits,
}

/// A column chunk being written.
#[derive(Debug)]
pub struct ColumnWriter {
    way: Way,
    bloom: bool,
    /// By number of the value.
    known: Vec<Known>,
    /// Numbers of the values used, as they came; of plain columns with a bloom filter those of all rows.
    used: Vec<u32>,
    pages: Vec<PageFacts>,
    body: Vec<u8>,
    uncompressed: usize,
    /// Rows without a value since the last page: they become one.
    null_rows: usize,
    /// Bytes of the dictionary so far.
    dictionary_bytes: usize,
    /// Pages come without dictionary since it became too large.
    given_up: bool,
}

/// What is known of a value in this row group.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// Its place in the dictionary and one; 0: not used yet.
    code: u32,
    /// The last page it was in, and one.
    page: u32,
}

#[derive(Clone, Copy, Debug)]
struct PageFacts {
    offset: usize,
    rows: usize,
    nulls: usize,
    /// Numbers of the least and greatest value, if there is any.
    span: Option<(u32, u32)>,
}

impl ColumnWriter {
    pub(super) fn new(way: Way, bloom: bool) -> ColumnWriter {
        ColumnWriter {
            way,
            bloom,
            known: Vec::new(),
            used: Vec::new(),
            pages: Vec::new(),
            body: Vec::new(),
            uncompressed: 0,
            null_rows: 0,
            dictionary_bytes: 0,
            given_up: false,
        }
    }

    /// Adds a page: the numbers of these rows, or of all if `None`.
    ///
    /// # Errors
    /// The page cannot be compressed.
    pub(super) fn page(
        &mut self,
        numbers: &Numbers,
        rows: Option<&[u32]>,
        values: &Values,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let count = rows.map_or(numbers.rows, <[u32]>::len);
        match numbers.only {
            _ if count == 0 => Ok(()),
            Some(NOT_SET) => {
                self.null_rows += count;
                Ok(())
            }
            Some(only) if self.by_dictionary() => self.same(only, count, values, scratch),
            _ => {
                scratch.rows.clear();
                match rows {
                    _ if numbers.only.is_some() => scratch.rows.extend((0..count).map(|_| numbers.at(0))),
                    Some(rows) => scratch.rows.extend(rows.iter().map(|row| numbers.of_rows[*row as usize])),
                    None => scratch.rows.extend_from_slice(&numbers.of_rows),
                }
                let nulls = if numbers.all_set { 0 } else { mark_set(&scratch.rows, &mut scratch.set) };
                if nulls == count {
                    self.null_rows += count;
                    return Ok(());
                }
                self.mixed(nulls, values, scratch)
            }
        }
    }

    /// A page of one value.
    fn same(&mut self, only: u32, rows: usize, values: &Values, scratch: &mut Scratch) -> Result<()> {
        self.begin(values, scratch)?;
        let mut span = None;
        let code = self.code(only, values, &mut span);
        let width = self.width();
        scratch.levels(rows, 0);
        scratch.page.push(width as u8);
        hybrid::run(code, rows, width, &mut scratch.page);
        self.end_page(rows, 0, span, scratch)
    }

    /// A page of the numbers in `scratch.rows`.
    fn mixed(&mut self, nulls: usize, values: &Values, scratch: &mut Scratch) -> Result<()> {
        self.begin(values, scratch)?;
        let rows = scratch.rows.len();
        let mut span = None;
        scratch.levels(rows, nulls);
        match self.way {
            Way::Dictionary if self.by_dictionary() => {
                scratch.codes.clear();
                scratch.codes.reserve(rows);
                for &number in scratch.rows.iter().filter(|number| **number != NOT_SET) {
                    scratch.codes.push(self.code(number, values, &mut span));
                }
                let width = self.width();
                scratch.page.push(width as u8);
                hybrid::encode(&scratch.codes, width, &mut scratch.page);
            }
            Way::Plain | Way::Dictionary => {
                for &number in scratch.rows.iter().filter(|number| **number != NOT_SET) {
                    widen(&mut span, number, values);
                    values.push_plain(number, &mut scratch.page);
                    // Rows of a person stand together.
                    if self.bloom && self.used.last() != Some(&number) {
                        self.used.push(number);
                    }
                }
            }
            Way::Bits => {
                let set = scratch.rows.iter().filter(|number| **number != NOT_SET);
                let from = scratch.page.len();
                for (at, &number) in set.enumerate() {
                    widen(&mut span, number, values);
                    if at % 8 == 0 {
                        scratch.page.push(0);
                    }
                    scratch.page[from + at / 8] |= (values.number_of(number) as u8) << (at % 8);
                }
            }
        }
        self.end_page(rows, nulls, span, scratch)
    }

    /// The place of a value in the dictionary.
    #[inline]
    fn code(&mut self, number: u32, values: &Values, span: &mut Option<(u32, u32)>) -> u32 {
        let page = self.pages.len() as u32 + 1;
        let known = &mut self.known[number as usize];
        if known.page != page {
            known.page = page;
            if known.code == 0 {
                self.used.push(number);
                self.dictionary_bytes += values.plain_bytes(number);
                known.code = self.used.len() as u32;
            }
            widen(span, number, values);
        }
        known.code - 1
    }

    /// Whether pages have places in the dictionary, which is not given up.
    fn by_dictionary(&self) -> bool {
        self.way == Way::Dictionary && !self.given_up
    }

    fn width(&self) -> u32 {
        hybrid::width((self.used.len() as u32).saturating_sub(1))
    }

    /// Before a page with values: those without any so far.
    fn begin(&mut self, values: &Values, scratch: &mut Scratch) -> Result<()> {
        if self.way == Way::Dictionary && self.dictionary_bytes > MOST_DICTIONARY_BYTES {
            self.given_up = true;
            self.known = Vec::new();
        } else if self.way == Way::Dictionary && self.known.len() < values.len() {
            self.known.resize(values.len(), Known::default());
        }
        self.end_nulls(false, scratch)
    }

    fn end_nulls(&mut self, all: bool, scratch: &mut Scratch) -> Result<()> {
        let rows = std::mem::take(&mut self.null_rows);
        if rows == 0 {
            return Ok(());
        }
        scratch.levels(rows, rows);
        if all {
            self.way = Way::Plain; // a dictionary of nothing is no dictionary
        }
        if self.by_dictionary() {
            scratch.page.push(1);
        }
        self.end_page(rows, rows, None, scratch)
    }

    fn end_page(
        &mut self,
        rows: usize,
        nulls: usize,
        span: Option<(u32, u32)>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let encoding = if self.by_dictionary() { Encoding::RLE_DICTIONARY } else { Encoding::PLAIN };
        self.pages.push(PageFacts { offset: self.body.len(), rows, nulls, span });
        self.uncompressed += scratch.data_page(rows, encoding, &mut self.body)?;
        Ok(())
    }

    /// Ends the chunk; gives its bytes, and what the file says of them.
    ///
    /// # Errors
    /// The last pages cannot be compressed.
    pub(super) fn close(
        mut self,
        descr: &ColumnDescPtr,
        values: &Values,
        scratch: &mut Scratch,
    ) -> Result<(Vec<u8>, ColumnCloseResult)> {
        self.end_nulls(self.used.is_empty() && self.pages.is_empty(), scratch)?;
        let mut bytes = Vec::new();
        let has_dictionary = self.way == Way::Dictionary;
        if has_dictionary {
            scratch.page.clear();
            self.used.iter().for_each(|number| values.push_plain(*number, &mut scratch.page));
            self.uncompressed += scratch.dictionary_page(self.used.len(), &mut bytes)?;
        }
        let dictionary = bytes.len();
        bytes.append(&mut self.body);
        let rows: usize = self.pages.iter().map(|page| page.rows).sum();
        let mut encodings = vec![Encoding::PLAIN, Encoding::RLE];
        encodings.extend(has_dictionary.then_some(Encoding::RLE_DICTIONARY));
        let metadata = ColumnChunkMetaData::builder(descr.clone())
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_encodings(encodings)
            .set_num_values(rows as i64)
            .set_total_compressed_size(bytes.len() as i64)
            .set_total_uncompressed_size(self.uncompressed as i64)
            .set_data_page_offset(dictionary as i64)
            .set_dictionary_page_offset(has_dictionary.then_some(0))
            .set_statistics(self.statistics(descr.physical_type(), values))
            .build()?;
        let column_index = self.column_index(descr.physical_type(), values);
        let mut offsets = OffsetIndexBuilder::new();
        for (at, page) in self.pages.iter().enumerate() {
            let end = self.pages.get(at + 1).map_or(bytes.len(), |next| dictionary + next.offset);
            let offset = dictionary + page.offset;
            offsets.append_offset_and_size(offset as i64, (end - offset) as i32);
            offsets.append_row_count(page.rows as i64);
        }
        let result = ColumnCloseResult {
            bytes_written: bytes.len() as u64,
            rows_written: rows as u64,
            metadata,
            bloom_filter: self.bloom_filter(values)?,
            column_index: Some(column_index.build()?),
            offset_index: Some(offsets.build()),
        };
        Ok((bytes, result))
    }

    fn statistics(&self, physical: Type, values: &Values) -> Statistics {
        let mut span = None;
        for (least, greatest) in self.pages.iter().filter_map(|page| page.span) {
            widen(&mut span, least, values);
            widen(&mut span, greatest, values);
        }
        let nulls = Some(self.pages.iter().map(|page| page.nulls as u64).sum());
        let number = |number: u32| values.number_of(number);
        match physical {
            Type::BOOLEAN => {
                let (min, max) = both(span.map(|(a, b)| (number(a) != 0, number(b) != 0)));
                Statistics::boolean(min, max, None, nulls, false)
            }
            Type::INT32 => {
                let (min, max) = both(span.map(|(a, b)| (number(a) as i32, number(b) as i32)));
                Statistics::int32(min, max, None, nulls, false)
            }
            Type::INT64 => {
                let (min, max) = both(span.map(|(a, b)| (number(a), number(b))));
                Statistics::int64(min, max, None, nulls, false)
            }
            _ => {
                let text = |number: u32| ByteArray::from(values.bytes_of(number).to_vec());
                let (min, max) = both(span.map(|(a, b)| (text(a), text(b))));
                Statistics::byte_array(min, max, None, nulls, false)
            }
        }
    }

    fn column_index(&self, physical: Type, values: &Values) -> ColumnIndexBuilder {
        let mut index = ColumnIndexBuilder::new(physical);
        let bytes = |number: u32| match physical {
            Type::BOOLEAN => vec![values.number_of(number) as u8],
            Type::INT32 => (values.number_of(number) as i32).to_le_bytes().to_vec(),
            Type::INT64 => values.number_of(number).to_le_bytes().to_vec(),
            _ => values.bytes_of(number).to_vec(),
        };
        let mut spans = Vec::new();
        for page in &self.pages {
            let (least, greatest) = page.span.map_or_else(Default::default, |(a, b)| (bytes(a), bytes(b)));
            index.append(page.span.is_none(), least, greatest, page.nulls as i64);
            spans.extend(page.span);
        }
        let ordered = |order: Ordering| {
            spans.windows(2).all(|pair| {
                let [before, after] = pair else { return true };
                values.compare(before.0, after.0) != order && values.compare(before.1, after.1) != order
            })
        };
        if ordered(Ordering::Greater) {
            index.set_boundary_order(BoundaryOrder::ASCENDING);
        } else if ordered(Ordering::Less) {
            index.set_boundary_order(BoundaryOrder::DESCENDING);
        }
        index
    }

    fn bloom_filter(&self, values: &Values) -> Result<Option<Sbbf>> {
        if !self.bloom {
            return Ok(None);
        }
        let mut filter = Sbbf::new_with_ndv_fpp(self.used.len() as u64, FALSE_POSITIVES)?;
        self.used.iter().for_each(|number| filter.insert(values.bytes_of(*number)));
        Ok(Some(filter))
    }
}

fn both<T>(span: Option<(T, T)>) -> (Option<T>, Option<T>) {
    span.map_or((None, None), |(min, max)| (Some(min), Some(max)))
}

fn widen(span: &mut Option<(u32, u32)>, number: u32, values: &Values) {
    let Some((least, greatest)) = span else {
        *span = Some((number, number));
        return;
    };
    if values.compare(number, *least).is_lt() {
        *least = number;
    } else if values.compare(number, *greatest).is_gt() {
        *greatest = number;
    }
}

/// Marks the rows that are set, a bit each; tells how many are not.
fn mark_set(rows: &[u32], set: &mut Vec<u8>) -> usize {
    set.clear();
    set.extend(
        rows.chunks(8)
            .map(|rows| rows.iter().rev().fold(0, |bits, number| bits << 1 | u8::from(*number != NOT_SET))),
    );
    rows.len() - set.iter().map(|bits| bits.count_ones() as usize).sum::<usize>()
}
