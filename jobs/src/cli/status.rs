//! `status`: what is in the data folder.
//!
//! Promise: records count as the tables of the newest snapshot count them: refused by stacking is rejected.

mod table;

use super::Exit;
use super::args::{Common, Format};
use super::console::Console;
use super::data_folder::DataFolder;
use crate::publish::snapshot::{Snapshot, Snapshots};
use crate::published::{Membership, Standing, file_standings, memberships};
use crate::settings::Settings;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use tsumiage_pipeline::events::{self, Closings, Event, What, Withdrawals};
use tsumiage_pipeline::ledger::{FileEntry, Ledger};
use tsumiage_schemas::{Day, Month};

/// What is in a data folder; JSON shows it as it stands here.
#[derive(Serialize)]
struct Status<'a> {
    data: PathBuf,
    files: Files,
    rejected_files: Vec<RejectedFile<'a>>,
    /// Newest closed processing month.
    closed_through: Option<Month>,
    reopenings: Vec<Reopening>,
    open_months: Vec<Month>,
    processing_months: Vec<MonthRow>,
    missing_senders: Vec<Missing<'a>>,
    ledger: LedgerSize,
    latest: Option<Latest<'a>>,
    unions: Vec<Union>,
    /// Number of snapshots.
    snapshots: usize,
    settings: &'a Settings,
}

/// Closed months that were opened again.
#[derive(Serialize)]
struct Reopening {
    /// The first of them.
    month: Month,
    on: Day,
    reason: String,
    /// Whether that one is closed again.
    closed_again: bool,
}

/// Numbers of files.
#[derive(Serialize)]
struct Files {
    known: usize,
    rejected: usize,
    withdrawn: usize,
    /// Single records withdrawn.
    withdrawn_records: usize,
    /// Accepted files that were read with other layouts than those in force.
    other_layouts: usize,
}

#[derive(Serialize)]
struct RejectedFile<'a> {
    file_id: &'a str,
    name: &'a str,
    processing_month: Option<Month>,
    taken_in_on: Day,
}

/// Files and records of a processing month; `None` for files without a valid one. Also the columns of the CSV.
#[derive(Serialize)]
struct MonthRow {
    month: Option<Month>,
    files: usize,
    rejected_files: usize,
    records: i64,
    accepted: i64,
    /// By the reader or by stacking.
    rejected: i64,
    state: Option<State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Open,
    Closed,
}

/// Senders of the month before that did not send for this one.
#[derive(Serialize)]
struct Missing<'a> {
    month: Month,
    senders: BTreeSet<&'a str>,
}

#[derive(Serialize)]
struct LedgerSize {
    commits: usize,
    insurers: usize,
    /// Runs of the insurer or registry table that has most.
    most_runs: usize,
    /// Where reading goes on in Kafka: by cluster and topic the offset of every partition.
    kafka: BTreeMap<String, BTreeMap<i32, i64>>,
}

/// The snapshot that `latest` points at.
#[derive(Serialize)]
struct Latest<'a> {
    id: &'a str,
    path: &'a PathBuf,
    first_month: Option<Month>,
    last_month: Option<Month>,
    /// People of whom it has the status of the insurance card (KHS).
    khs_people: u64,
}

/// A union or designated city of that snapshot.
#[derive(Serialize)]
struct Union {
    union_no: String,
    /// Members whose membership has no end.
    members: BTreeSet<String>,
    /// Newest first day in or out of a member.
    newest_change: Day,
}

/// Prints files per processing month, which months are closed, what is rejected or withdrawn, the newest
/// snapshot, who sent for the month before but not for an open one, and the settings.
pub fn status(common: &Common, console: &Console<'_>) -> anyhow::Result<Exit> {
    let folder = DataFolder::to_read(common)?;
    let ledger = Ledger::open(&folder.path)?;
    let snapshots = Snapshots::open(&folder.path)?;
    let events = events::read(&folder.path)?;
    let latest = snapshots.latest_id().map(|id| snapshots.find(&id)).transpose()?;
    let standings = latest.as_ref().map(file_standings).transpose()?.unwrap_or_default();
    let unions = unions(latest.as_ref().map(memberships).transpose()?.unwrap_or_default());
    let (closings, withdrawals) = (Closings::of(&events), Withdrawals::of(&events, None));
    let files: Vec<&FileEntry> = ledger.files().collect();
    let processing_months = months(&files, &closings, &standings);
    let is_open = |row: &&MonthRow| row.state == Some(State::Open);
    let status = Status {
        data: folder.path.clone(),
        files: counted(&files, &withdrawals, &folder.layouts),
        rejected_files: files.iter().filter(|f| f.file_rejected).map(|f| rejected_file(f)).collect(),
        closed_through: closings.through,
        reopenings: reopenings(&events, &closings),
        open_months: processing_months.iter().filter(is_open).filter_map(|row| row.month).collect(),
        missing_senders: missing_senders(&files, &closings, &withdrawals),
        processing_months,
        ledger: LedgerSize {
            commits: ledger.commits(),
            insurers: ledger.runs().len(),
            most_runs: ledger.most_runs(),
            kafka: ledger.kafka_ranges().map(|range| (range.of.clone(), range.next.clone())).collect(),
        },
        latest: latest.as_ref().map(latest_of),
        unions,
        snapshots: snapshots.list()?.len(),
        settings: &folder.settings,
    };
    let text = match common.format {
        Format::Json => format!("{}\n", serde_json::to_string_pretty(&status)?),
        Format::Csv => csv(&status.processing_months)?,
        Format::Table => table::table(&status)?,
    };
    console.print(&text)?;
    Ok(Exit::Done)
}

fn counted(files: &[&FileEntry], withdrawals: &Withdrawals, layouts: &str) -> Files {
    let count = |of: &dyn Fn(&FileEntry) -> bool| files.iter().filter(|file| of(file)).count();
    Files {
        known: files.len(),
        rejected: count(&|file| file.file_rejected),
        withdrawn: count(&|file| withdrawals.file(&file.arrival.file_id)),
        withdrawn_records: withdrawals.files().map(|id| withdrawals.records(id).count()).sum(),
        other_layouts: count(&|file| !file.file_rejected && file.layouts != layouts),
    }
}

fn reopenings(events: &[Event], closings: &Closings) -> Vec<Reopening> {
    let reopened = events.iter().filter(|event| event.what == What::Reopen);
    let reopening = |event: &Event| Reopening {
        month: event.processing_month,
        on: event.on,
        reason: event.reason_shown(),
        closed_again: closings.closed(event.processing_month),
    };
    reopened.map(reopening).collect()
}

fn rejected_file(file: &FileEntry) -> RejectedFile<'_> {
    RejectedFile {
        file_id: &file.arrival.file_id,
        name: &file.arrival.name,
        processing_month: file.processing_month,
        taken_in_on: file.arrival.taken_in_on,
    }
}

fn latest_of(snapshot: &Snapshot) -> Latest<'_> {
    let options = &snapshot.manifest.options;
    Latest {
        id: &snapshot.manifest.id,
        path: &snapshot.path,
        first_month: options.first_month,
        last_month: options.last_month,
        khs_people: snapshot.manifest.tables.get("khs").map_or(0, |table| table.rows),
    }
}

/// Unions by number, from memberships by union.
fn unions(memberships: Vec<Membership>) -> Vec<Union> {
    let mut unions: Vec<Union> = Vec::new();
    for Membership { union_no, member_no, from, to } in memberships {
        let change = to.map_or(from, |last| Day(last.0 + 1));
        if unions.last().is_none_or(|union| union.union_no != union_no) {
            unions.push(Union { union_no, members: BTreeSet::new(), newest_change: change });
        }
        let Some(union) = unions.last_mut() else { continue }; // one was pushed above if there was none
        union.members.extend(to.is_none().then_some(member_no));
        union.newest_change = union.newest_change.max(change);
    }
    unions
}

/// Files and records per processing month, newest last; files without a valid month come first. Those of KHS are no
/// part of a month's work.
fn months(
    files: &[&FileEntry],
    closings: &Closings,
    standings: &BTreeMap<String, Standing>,
) -> Vec<MonthRow> {
    let mut by_month: BTreeMap<Option<Month>, Vec<&FileEntry>> = BTreeMap::new();
    for file in files.iter().filter(|file| !file.is_khs()) {
        by_month.entry(file.processing_month).or_default().push(file);
    }
    let state = |month| if closings.closed(month) { State::Closed } else { State::Open };
    // Of a file that no snapshot knows yet only the reader has decided.
    let refused = |file: &&FileEntry| {
        let standing = standings.get(&file.arrival.file_id).filter(|_| !file.file_rejected);
        standing.map_or(0, |standing| standing.refused(file.rejected))
    };
    let row = |(month, files): (Option<Month>, Vec<&FileEntry>)| {
        let records = files.iter().map(|file| file.records).sum();
        let rejected = files.iter().map(|file| file.rejected + refused(file)).sum();
        MonthRow {
            month,
            files: files.len(),
            rejected_files: files.iter().filter(|file| file.file_rejected).count(),
            records,
            accepted: records - rejected,
            rejected,
            state: month.map(state),
        }
    };
    by_month.into_iter().map(row).collect()
}

/// For every open month that has files: who sent for the month before and not for it. A file that is rejected or
/// withdrawn is not sent; one that came at the wrong time or is withdrawn does not begin a month, nor does one of KHS.
fn missing_senders<'a>(
    files: &[&'a FileEntry],
    closings: &Closings,
    withdrawals: &Withdrawals,
) -> Vec<Missing<'a>> {
    let mut sent: BTreeMap<Month, BTreeSet<&str>> = BTreeMap::new();
    let sends = |file: &&&'a FileEntry| {
        !file.wrong_time && !file.is_khs() && !withdrawals.file(&file.arrival.file_id)
    };
    for file in files.iter().filter(sends) {
        let Some(month) = file.processing_month else { continue };
        let senders = sent.entry(month).or_default();
        senders.extend(file.sender_no.as_deref().filter(|_| !file.file_rejected));
    }
    let missing = |(month, senders): (&Month, &BTreeSet<&'a str>)| {
        let before = sent.get(&Month(month.0 - 1))?;
        let senders: BTreeSet<&str> = before.difference(senders).copied().collect();
        (!closings.closed(*month) && !senders.is_empty()).then_some(Missing { month: *month, senders })
    };
    sent.iter().filter_map(missing).collect()
}

fn csv(months: &[MonthRow]) -> anyhow::Result<String> {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    writer.write_record(["month", "files", "rejected_files", "records", "accepted", "rejected", "state"])?;
    for row in months {
        writer.serialize(row)?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_left_is_none_and_its_first_day_out_is_a_change() {
        let membership = |union_no: &str, member_no: &str, from, to: Option<i32>| Membership {
            union_no: union_no.to_owned(),
            member_no: member_no.to_owned(),
            from: Day(from),
            to: to.map(Day),
        };
        let found = unions(vec![
            membership("1", "11", 10, Some(19)),
            membership("1", "12", 10, None),
            membership("2", "21", 5, Some(8)),
        ]);
        let told: Vec<_> = found.iter().map(|union| (&*union.union_no, union.members.len())).collect();
        assert_eq!(told, [("1", 1), ("2", 0)], "the second has no members left");
        let changes: Vec<i32> = found.iter().map(|union| union.newest_change.0).collect();
        assert_eq!(changes, [20, 9]);
    }
}
