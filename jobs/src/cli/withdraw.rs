//! `withdraw`: a file or one record of it is taken out of the stack: an event that is kept, never an
//! erasure.

use super::args::{Common, Format, WithdrawArgs};
use super::console::Console;
use super::data_folder::{DataFolder, today_in_japan};
use super::{Exit, Usage, expect_data_folder};
use serde_json::json;
use tsumiage_pipeline::events::{self, Closings, What, reason};
use tsumiage_pipeline::ledger::{FileEntry, Ledger, read_findings};
use tsumiage_schemas::{Month, Severity};

/// A file's id may be shortened to so many characters.
const LEAST_ID: usize = 8;

/// What is to be withdrawn: the beginning of a file's id, and the position of a record.
struct Object<'a> {
    file: &'a str,
    record_no: Option<i64>,
}

/// Keeps the event and says what it is about; the next `resolve` publishes what follows.
pub fn withdraw(common: &Common, args: &WithdrawArgs, console: &Console<'_>) -> anyhow::Result<Exit> {
    let object = parse(&args.what)?;
    let reason = reason::checked(&args.reason).map_err(|fault| Usage(format!("--reason {fault}")))?;
    expect_data_folder(common)?;
    let folder = DataFolder::to_write(common)?;
    let ledger = Ledger::open(&folder.path)?;
    let file = find(&ledger, &object)?;
    let file_id = &file.arrival.file_id;
    let known = events::read(&folder.path)?;
    let (month, is_new) = match events::withdrawal(&known, file_id, object.record_no) {
        Some(event) => (event.processing_month, false),
        None => {
            let on = common.on.unwrap_or_else(today_in_japan);
            let month = events::month_of_withdrawal(on, &Closings::of(&known));
            let what = What::Withdraw { file_id: file_id.clone(), record_no: object.record_no };
            events::keep(&folder.path, &known, what, month, on, Some(reason))?;
            (month, true)
        }
    };
    let rejected = rejected_by_reader(&ledger, file, object.record_no)?;
    let said = Said { file, record_no: object.record_no, month, is_new, rejected };
    console.print(&told(&said, common.format))?;
    if is_new {
        console.note("run `tsumiage resolve` to publish a snapshot without it");
    }
    Ok(Exit::Done)
}

fn parse(what: &str) -> Result<Object<'_>, Usage> {
    let (file, record) = match what.split_once(':') {
        Some((file, record)) => (file, Some(record)),
        None => (what, None),
    };
    if file.len() < LEAST_ID || !file.bytes().all(|b| b.is_ascii_hexdigit()) {
        let least = format!("{file:?} is no file id: give at least {LEAST_ID} of its characters");
        return Err(Usage(format!("{least}; `tsumiage query 'SELECT file_id, name FROM files'` lists them")));
    }
    let number = |text: &str| {
        text.parse::<i64>()
            .map_err(|_| Usage(format!("{text:?} is no record number; the control record is 1")))
    };
    Ok(Object { file, record_no: record.map(number).transpose()? })
}

/// The one file that is meant.
fn find<'a>(ledger: &'a Ledger, object: &Object<'_>) -> Result<&'a FileEntry, Usage> {
    let wanted = object.file.to_lowercase();
    let mut found = ledger.files().filter(|file| file.arrival.file_id.starts_with(&wanted));
    let file = match (found.next(), found.count()) {
        (Some(file), 0) => file,
        (Some(_), more) => {
            let all = more + 1;
            return Err(Usage(format!("{all} files begin with {:?}; give more of the id", object.file)));
        }
        (None, _) => return Err(Usage(format!("no file {:?} was taken in; check the id", object.file))),
    };
    let last = file.records + 1; // the control record is 1
    match object.record_no {
        Some(record_no) if record_no < 2 || record_no > last => {
            let name = &file.arrival.name;
            let has = if file.records == 0 {
                "has no data records".to_owned()
            } else {
                format!("has its data records at 2 to {last} (the control record is 1)")
            };
            Err(Usage(format!("{name} {has}: there is no data record {record_no}")))
        }
        _ => Ok(file),
    }
}

/// Whether nothing of the record, or with `None` of the file, counted anyway, because the reader rejected it.
fn rejected_by_reader(ledger: &Ledger, file: &FileEntry, record_no: Option<i64>) -> anyhow::Result<bool> {
    if file.file_rejected || record_no.is_none() || file.rejected == 0 {
        return Ok(file.file_rejected);
    }
    let mut rejected = false;
    for path in ledger.findings_about(&[file.seq].into()) {
        read_findings(&path, &|seq| seq == file.seq, &mut |_, finding| {
            rejected |= finding.record_no == record_no && finding.severity == Severity::Error;
        })?;
    }
    Ok(rejected)
}

/// What the user is told.
struct Said<'a> {
    file: &'a FileEntry,
    record_no: Option<i64>,
    month: Month,
    is_new: bool,
    rejected: bool,
}

fn told(&Said { file, record_no, month, is_new, rejected }: &Said<'_>, format: Format) -> String {
    let (name, id) = (&file.arrival.name, &file.arrival.file_id);
    if format == Format::Json {
        let event = json!({
            "event": "withdrawn",
            "file_id": id,
            "name": name,
            "record_no": record_no,
            "processing_month": month,
            "new": is_new,
            "rejected_by_reader": rejected,
        });
        return format!("{event}\n");
    }
    let record = record_no.map(|n| format!(" record {n}")).unwrap_or_default();
    let already = if is_new { "withdrawn" } else { "nothing to do, withdrawn already" };
    let anyway =
        if rejected { "; it was rejected when it was read and counted for nothing anyway" } else { "" };
    format!("{already}: {name} ({}){record}, from processing month {month} on{anyway}\n", &id[..12])
}
