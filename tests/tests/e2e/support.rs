//! What the end-to-end tests share: readable sources of exchange files, the program called in this
//! process, and tables compared as text.

use arrow::util::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use tsumiage_pipeline::writer::{FileHeader, OutRecord, Quoting, RecordBuilder, WriteError, write_file};
use tsumiage_schemas::{Day, Month, Spec};

/// A readable exchange file: UTF-8 CSV, its header the item names of the layouts with `exchange_id` first;
/// rows of several exchange ids share one header and leave blank what their layout does not have. The
/// file's own name is `<processing month>_<take-in day>_<name>.csv`. Blank = blank, everything else is sent as
/// it stands there. Two columns are no items: `members` is a union's list, `142018:20260401 143014:20260401`
/// (a half may be left out); `sender_no`, read in the first row, is the sender (`-` = a control record without an
/// insurer number). Without it the sender is the insurer number of the first row.
pub struct Source {
    /// Name of the exchange file.
    pub name: String,
    /// Processing month of its control record.
    pub processing_month: Month,
    /// Day on which it is taken in.
    pub taken_in_on: Day,
    /// Insurer number of its control record, empty = not set.
    pub sender_no: String,
    /// Exchange id and given items (name, value) of every data record.
    pub rows: Vec<(String, Vec<(String, String)>)>,
}

impl Source {
    /// Reads one; panics on anything that is not one.
    pub fn read(path: &Path) -> Source {
        let stem = path.file_name().unwrap().to_str().unwrap().to_owned();
        let parts: Vec<&str> = stem.splitn(3, '_').collect();
        assert_eq!(parts.len(), 3, "{stem} is not <YYYY-MM>_<YYYY-MM-DD>_<name>.csv");
        let table = Table::read_csv(path);
        assert_eq!(table.header[0], "exchange_id", "{stem}: exchange_id is the first column");
        let row = |cells: &Vec<String>| {
            let items = table.header.iter().zip(cells).skip(1).filter(|(_, value)| !value.is_empty());
            (cells[0].clone(), items.map(|(name, value)| (name.clone(), value.clone())).collect::<Vec<_>>())
        };
        let mut rows: Vec<_> = table.rows.iter().map(row).collect();
        let of_first = |item: &str| rows[0].1.iter().find(|(name, _)| name == item).map(|(_, no)| no.clone());
        let sender_no = of_first("sender_no").or_else(|| of_first("insurer_no")).unwrap();
        rows.iter_mut().for_each(|(_, items)| items.retain(|(name, _)| name != "sender_no"));
        Source {
            name: parts[2].to_owned(),
            processing_month: parts[0].parse().unwrap(),
            taken_in_on: parts[1].parse().unwrap(),
            sender_no: if sender_no == "-" { String::new() } else { sender_no },
            rows,
        }
    }

    /// The bytes of the exchange file; the data type is that of the first row.
    pub fn to_exchange_file(&self, spec: &Spec, quoting: Quoting) -> Vec<u8> {
        let data_type = &self.rows[0].0[..3];
        let header = FileHeader::new(data_type, &self.sender_no, self.processing_month);
        let record = |(exchange_id, items): &(String, Vec<(String, String)>)| {
            let layout = spec.layouts.get(exchange_id);
            let layout = layout.unwrap_or_else(|| panic!("{}: no layout {exchange_id}", self.name));
            let mut record = RecordBuilder::new(layout);
            for (item, value) in items {
                let added =
                    if item == "members" { with_members(record, value) } else { record.set(item, value) };
                record = added.unwrap_or_else(|e| panic!("{}: {e}", self.name));
            }
            record.build()
        };
        let records: Vec<OutRecord> = self.rows.iter().map(record).collect();
        write_file(&header, quoting, &records).unwrap_or_else(|e| panic!("{}: {e}", self.name))
    }
}

/// Appends the pairs `member:valid from`, apart by spaces.
fn with_members<'l>(record: RecordBuilder<'l>, pairs: &str) -> Result<RecordBuilder<'l>, WriteError> {
    pairs.split_whitespace().try_fold(record, |record, pair| {
        let (member_no, valid_from) = pair.split_once(':').unwrap_or((pair, ""));
        record.member(member_no, valid_from)
    })
}

/// Runs the program in this process and gives its standard output. Exit code 2 (done, with rejected
/// records) is as good as 0 here; anything else fails the test with what the program said.
pub fn tsumiage<I: IntoIterator<Item: Into<OsString>>>(args: I) -> String {
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let code = tsumiage_jobs::cli::run(args.clone(), &mut stdout, &mut stderr);
    let said = String::from_utf8_lossy(&stderr);
    assert!(matches!(code, 0 | 2), "{args:?} ended with {code}\n{said}");
    String::from_utf8(stdout).unwrap()
}

/// The folder in the last line of standard output, `snapshot <id> <absolute path>`.
pub fn snapshot_of(stdout: &str) -> PathBuf {
    let last = stdout.lines().last().unwrap_or_default();
    let path = last.strip_prefix("snapshot ").and_then(|rest| rest.split_once(' ')).map(|(_, path)| path);
    PathBuf::from(path.unwrap_or_else(|| panic!("the last line names no snapshot:\n{stdout}")))
}

/// The visible names in a folder, sorted; none if there is no such folder.
pub fn names_in(dir: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}

/// A table as text: dates YYYY-MM-DD, blank = not set.
pub struct Table {
    /// Column names.
    pub header: Vec<String>,
    /// Cells, as many in each row as the header has.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// Reads a UTF-8 CSV with a header line.
    pub fn read_csv(path: &Path) -> Table {
        let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let own = |record: &csv::StringRecord| record.iter().map(str::to_owned).collect::<Vec<_>>();
        let header = own(reader.headers().unwrap());
        let rows = reader.records().map(|r| own(&r.unwrap_or_else(|e| panic!("{}: {e}", path.display()))));
        Table { rows: rows.collect(), header }
    }

    /// Some columns of a published table. Rows stand in the order of the contract: the tables that are split over
    /// files are read with their sort key, every file checked, and all sorted by it.
    pub fn read_snapshot(snapshot: &Path, table: &str, columns: &[String]) -> Table {
        let key: &[&str] = match table {
            "recipient_month" => &["service_month", "holder_no", "insured_no", "movement_date"],
            "recipient_history" => &["holder_no", "insured_no", "movement_date"],
            "findings" => &["file_id", "record_no", "code", "item"],
            _ => &[],
        };
        let wanted: Vec<&str> = key.iter().copied().chain(columns.iter().map(String::as_str)).collect();
        let place = places_of_files(snapshot);
        let mut rows = Vec::new();
        for file in parquet_files(&snapshot.join(table)) {
            let mut of_file = read_parquet(&file, &wanted);
            if table == "findings" {
                // In the order of files, and record numbers as numbers; not set comes first.
                of_file.iter_mut().for_each(|row| {
                    row[0] = place[&row[0]].clone();
                    row[1] = format!("{:>12}", row[1]);
                });
            }
            let sorted = of_file.is_sorted_by(|a, b| a[..key.len()] <= b[..key.len()]);
            assert!(sorted, "{} is not sorted by {key:?}", file.display());
            rows.extend(of_file);
        }
        rows.sort_by(|a, b| a[..key.len()].cmp(&b[..key.len()]));
        let without_key = |mut row: Vec<String>| row.split_off(key.len());
        Table { header: columns.to_vec(), rows: rows.into_iter().map(without_key).collect() }
    }

    /// All differences from what was got, `-` expected and `+` got, with the equal rows between for
    /// orientation; `None` if there are none.
    pub fn difference(&self, got: &Table) -> Option<String> {
        let (want, got) = (&self.rows, &got.rows);
        let same = |a: &[String], b: &[String]| a.iter().zip(b).all(|(x, y)| x == "~" || x == y);
        // Longest common subsequence, from the ends.
        let mut length = vec![vec![0_usize; got.len() + 1]; want.len() + 1];
        for i in (0..want.len()).rev() {
            for j in (0..got.len()).rev() {
                length[i][j] = if same(&want[i], &got[j]) {
                    length[i + 1][j + 1] + 1
                } else {
                    length[i + 1][j].max(length[i][j + 1])
                };
            }
        }
        if want.len() == got.len() && length[0][0] == want.len() {
            return None;
        }
        let mut text = format!("  {}\n", self.header.join(","));
        let (mut i, mut j) = (0, 0);
        while i < want.len() || j < got.len() {
            let (mark, row) = if i < want.len() && j < got.len() && same(&want[i], &got[j]) {
                (i, j) = (i + 1, j + 1);
                (' ', &got[j - 1])
            } else if i < want.len() && (j == got.len() || length[i + 1][j] >= length[i][j + 1]) {
                i += 1;
                ('-', &want[i - 1])
            } else {
                j += 1;
                ('+', &got[j - 1])
            };
            text.push_str(&format!("{mark} {}\n", row.join(",")));
        }
        Some(text)
    }
}

/// The place of every file in the order of application, as text that sorts so.
fn places_of_files(snapshot: &Path) -> BTreeMap<String, String> {
    let files = parquet_files(&snapshot.join("files"));
    let ids = files.iter().flat_map(|file| read_parquet(file, &["file_id"]));
    ids.enumerate().map(|(place, mut row)| (row.remove(0), format!("{place:08}"))).collect()
}

/// The Parquet files below a table's folder, in path order.
fn parquet_files(dir: &Path) -> Vec<PathBuf> {
    assert!(dir.is_dir(), "{} is missing", dir.display());
    let mut files = Vec::new();
    for name in names_in(dir) {
        let path = dir.join(&name);
        if path.is_dir() {
            files.extend(parquet_files(&path));
        } else if name.ends_with(".parquet") {
            files.push(path);
        }
    }
    files
}

fn read_parquet(file: &Path, columns: &[&str]) -> Vec<Vec<String>> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(file).unwrap()).unwrap();
    let mut rows = Vec::new();
    for batch in reader.build().unwrap() {
        let batch = batch.unwrap();
        let options = FormatOptions::default();
        let column = |name: &&str| {
            let array = batch.column_by_name(name);
            let array = array.unwrap_or_else(|| panic!("{} has no column {name}", file.display()));
            ArrayFormatter::try_new(array, &options).unwrap()
        };
        let cells: Vec<ArrayFormatter> = columns.iter().map(column).collect();
        rows.extend(
            (0..batch.num_rows()).map(|row| cells.iter().map(|c| c.value(row).to_string()).collect()),
        );
    }
    rows
}
