//! The status as lines for people.

use super::{MonthRow, Reopening, State, Status, Union};
use std::fmt::Write;

/// Rejected files named here; JSON has them all.
const REJECTED_SHOWN: usize = 10;

/// Newest reopenings named here; JSON has them all.
const REOPENINGS_SHOWN: usize = 5;

/// The whole status.
pub fn table(status: &Status<'_>) -> anyhow::Result<String> {
    let mut out = String::new();
    head(&mut out, status)?;
    months(&mut out, &status.processing_months)?;
    to_do(&mut out, status)?;
    writeln!(out, "\nsettings (settings.toml)")?;
    for line in toml::to_string(status.settings)?.lines() {
        writeln!(out, "  {line}")?;
    }
    Ok(out)
}

fn head(out: &mut String, status: &Status<'_>) -> std::fmt::Result {
    let files = &status.files;
    writeln!(out, "data folder  {}", status.data.display())?;
    writeln!(
        out,
        "files        {} known, {} rejected, {} withdrawn (and {} single records)",
        files.known, files.rejected, files.withdrawn, files.withdrawn_records
    )?;
    match status.closed_through {
        Some(month) => writeln!(out, "closed       {month} and all earlier processing months")?,
        None => writeln!(out, "closed       no processing month yet")?,
    }
    for reopening in status.reopenings.iter().rev().take(REOPENINGS_SHOWN).rev() {
        let Reopening { month, on, reason, closed_again } = reopening;
        let again = if *closed_again { ", closed again since" } else { "" };
        writeln!(out, "reopened     {month} and later ones on {on}{again}: {reason}")?;
    }
    let ledger = &status.ledger;
    writeln!(
        out,
        "ledger       {} commits, {} insurers, at most {} runs of one",
        ledger.commits, ledger.insurers, ledger.most_runs
    )?;
    for (topic, next) in &ledger.kafka {
        let offsets: Vec<String> = next.iter().map(|(partition, at)| format!("{partition}:{at}")).collect();
        writeln!(out, "kafka        {topic} is read up to {} (partition:offset)", offsets.join(" "))?;
    }
    let Some(latest) = &status.latest else { return writeln!(out, "latest       no snapshot yet") };
    let months = match (latest.first_month, latest.last_month) {
        (Some(first), Some(last)) => format!("months {first}..{last}"),
        _ => "no months".to_owned(),
    };
    writeln!(out, "latest       {}, {months}, one of {} snapshots", latest.id, status.snapshots)?;
    if latest.khs_people > 0 {
        writeln!(out, "khs          {} people with the status of their insurance card", latest.khs_people)?;
    }
    unions(out, &status.unions)
}

/// How many unions and cities have members now, with how many; who they are is in the JSON.
fn unions(out: &mut String, unions: &[Union]) -> std::fmt::Result {
    let Some(newest) = unions.iter().map(|union| union.newest_change).max() else { return Ok(()) };
    let with_members = unions.iter().filter(|union| !union.members.is_empty()).count();
    let members: usize = unions.iter().map(|union| union.members.len()).sum();
    writeln!(out, "unions       {with_members} with {members} members; newest change {newest}")
}

fn months(out: &mut String, months: &[MonthRow]) -> std::fmt::Result {
    let mut rows = vec![
        ["processing", "", "files", "files", "records", "records", "records"].map(str::to_owned),
        ["month", "", "", "rejected", "", "accepted", "rejected"].map(str::to_owned),
    ];
    rows.extend(months.iter().map(|row| {
        let state = match row.state {
            Some(State::Open) => "open",
            Some(State::Closed) => "closed",
            None => "",
        };
        [
            row.month.map_or_else(|| "(none)".to_owned(), |month| month.to_string()),
            state.to_owned(),
            row.files.to_string(),
            row.rejected_files.to_string(),
            row.records.to_string(),
            row.accepted.to_string(),
            row.rejected.to_string(),
        ]
    }));
    writeln!(out)?;
    for [month, state, files, rejected_files, records, accepted, rejected] in rows {
        let row = format!(
            "{month:10} {state:6} {files:>7} {rejected_files:>9} {records:>10} {accepted:>10} {rejected:>9}"
        );
        writeln!(out, "{}", row.trim_end())?;
    }
    Ok(())
}

/// What somebody should look after.
fn to_do(out: &mut String, status: &Status<'_>) -> std::fmt::Result {
    if !status.missing_senders.is_empty() {
        writeln!(out, "\nsent for the month before but not for")?;
    }
    for missing in &status.missing_senders {
        let senders: Vec<&str> = missing.senders.iter().copied().collect();
        writeln!(out, "  {}: {}", missing.month, senders.join(", "))?;
    }
    let rejected = &status.rejected_files;
    if !rejected.is_empty() {
        writeln!(out, "\nrejected files (see `tsumiage findings --file ID`)")?;
    }
    for file in rejected.iter().take(REJECTED_SHOWN) {
        let id = file.file_id.get(..12).unwrap_or(file.file_id);
        let month = file.processing_month.map(|month| month.to_string()).unwrap_or_default();
        writeln!(out, "  {id:12} {month:7} {}", file.name)?;
    }
    if rejected.len() > REJECTED_SHOWN {
        writeln!(out, "  and {} more", rejected.len() - REJECTED_SHOWN)?;
    }
    let other = status.files.other_layouts;
    if other > 0 {
        writeln!(
            out,
            "\n{other} files were read with other layouts than those in force; to read them again: \
             `tsumiage nightly --recheck` or `tsumiage rebuild`"
        )?;
    }
    Ok(())
}
