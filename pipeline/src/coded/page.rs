//! One page: levels and values, compressed, behind its header.

use super::hybrid;
use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::errors::{ParquetError, Result};
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use std::io::Write;
use zstd::bulk::Compressor;

/// As the library's writer compresses by default; higher levels cost more than they save (docs/performance.md).
const ZSTD_LEVEL: i32 = 1;

/// Memory that one page after the other is made in.
pub(super) struct Scratch {
    /// Numbers of the page's rows.
    pub rows: Vec<u32>,
    /// Places in the dictionary, of rows that are set.
    pub codes: Vec<u32>,
    /// Which rows are set, a bit each.
    pub set: Vec<u8>,
    /// The page before it is compressed.
    pub page: Vec<u8>,
    compressed: Vec<u8>,
    compressor: Compressor<'static>,
    sink: TrackedWrite<Vec<u8>>,
}

impl Scratch {
    pub fn new() -> Result<Scratch> {
        Ok(Scratch {
            rows: Vec::new(),
            codes: Vec::new(),
            set: Vec::new(),
            page: Vec::new(),
            compressed: Vec::new(),
            compressor: Compressor::new(ZSTD_LEVEL).map_err(external)?,
            sink: TrackedWrite::new(Vec::new()),
        })
    }

    /// Begins a page of an optional column with its levels: `nulls` of `rows` are not set, `self.set` says which if
    /// it is not all or none.
    pub fn levels(&mut self, rows: usize, nulls: usize) {
        self.page.clear();
        self.page.extend_from_slice(&[0; 4]);
        match nulls {
            0 => hybrid::run(1, rows, 1, &mut self.page),
            _ if nulls == rows => hybrid::run(0, rows, 1, &mut self.page),
            _ => hybrid::bits(&self.set, &mut self.page),
        }
        let bytes = self.page.len() as u32 - 4;
        self.page[..4].copy_from_slice(&bytes.to_le_bytes());
    }

    /// Appends the data page in `self.page` to `out`; gives the bytes it would have without compression.
    pub fn data_page(&mut self, rows: usize, encoding: Encoding, out: &mut Vec<u8>) -> Result<usize> {
        let buf = self.compressed()?;
        let levels = Encoding::RLE;
        let page = Page::DataPage {
            buf,
            num_values: rows as u32,
            encoding,
            def_level_encoding: levels,
            rep_level_encoding: levels,
            statistics: None,
        };
        self.write(page, out)
    }

    /// Appends the dictionary in `self.page` to `out`; gives the bytes it would have without compression.
    pub fn dictionary_page(&mut self, values: usize, out: &mut Vec<u8>) -> Result<usize> {
        let buf = self.compressed()?;
        let page = Page::DictionaryPage {
            buf,
            num_values: values as u32,
            encoding: Encoding::PLAIN,
            is_sorted: false,
        };
        self.write(page, out)
    }

    fn compressed(&mut self) -> Result<Bytes> {
        self.compressed.clear();
        self.compressed.reserve(zstd::zstd_safe::compress_bound(self.page.len()));
        self.compressor.compress_to_buffer(&self.page, &mut self.compressed).map_err(external)?;
        Ok(Bytes::copy_from_slice(&self.compressed))
    }

    fn write(&mut self, page: Page, out: &mut Vec<u8>) -> Result<usize> {
        let page = CompressedPage::new(page, self.page.len());
        let written = SerializedPageWriter::new(&mut self.sink).write_page(page)?;
        self.sink.flush()?;
        out.append(self.sink.inner_mut());
        Ok(written.uncompressed_size)
    }
}

fn external(error: std::io::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}
