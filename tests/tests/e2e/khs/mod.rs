//! The status of insurance cards: files and answers taken in, published, shown; the client against a server that fails
//! in every way. The API itself is tested by independent clients (`tests/khs`).

mod fetch;
mod naive;
mod scripted;
mod table;

use crate::place::Place;
use crate::support::Table;
use std::path::Path;

/// Columns of the table `khs`.
const COLUMNS: [&str; 6] = ["member_no", "insured_no", "status", "end_date", "end_cancel_date", "known_on"];

/// The rows of a snapshot's table, cells apart by spaces, `-` for what is not set.
fn rows(snapshot: &Path) -> Vec<String> {
    let table = Table::read_snapshot(snapshot, "khs", &COLUMNS.map(str::to_owned));
    let cell = |cell: &String| if cell.is_empty() { "-".to_owned() } else { cell.clone() };
    table.rows.iter().map(|row| row.iter().map(cell).collect::<Vec<_>>().join(" ")).collect()
}

/// Writes a file of cards without a line of names.
fn cards(place: &Place, lines: &[&str]) -> String {
    place.write_text("cards.csv", &lines.iter().map(|line| format!("{line}\r\n")).collect::<String>())
}
