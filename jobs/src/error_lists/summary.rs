//! The summary of one sender (件数突合表), one page: what was accepted of each file, and how often each code
//! was found.

use super::Request;
use super::line::Lines;
use super::list::severity_ja;
use super::rows::{FileRow, FindingRow};
use std::collections::BTreeMap;
use std::ops::Range;
use tsumiage_schemas::{Code, Severity, Spec};

/// Name of a sender's summary.
pub fn name(sender: &str) -> String {
    format!("{sender}-summary.csv")
}

/// How often each code was found, by place of the file in the `files` table, code and severity.
#[derive(Default)]
pub struct Counts {
    by_code: BTreeMap<(usize, Code, Severity), i64>,
}

impl Counts {
    /// Counts a finding of the file of a rank.
    pub fn add(&mut self, rank: usize, row: &FindingRow<'_>) {
        *self.by_code.entry((rank, row.code, row.severity)).or_default() += row.count;
    }

    /// How often something of a severity was found in a file.
    pub fn of(&self, rank: usize, severity: Severity) -> i64 {
        self.of_file(rank).filter(|(_, of, _)| *of == severity).map(|(_, _, count)| count).sum()
    }

    fn of_file(&self, rank: usize) -> impl Iterator<Item = (Code, Severity, i64)> {
        let codes: Range<_> = (rank, Code::F01, Severity::Info)..(rank + 1, Code::F01, Severity::Info);
        self.by_code.range(codes).map(|((_, code, severity), count)| (*code, *severity, *count))
    }
}

/// A sender's page; `files` are its files in the order of their table.
pub fn page(request: &Request<'_>, sender: &str, files: &[&FileRow], counts: &Counts) -> Vec<u8> {
    let mut lines = Lines::default();
    lines.texts(["件数突合表"]);
    lines.texts(["送付元", if sender == "unknown" { "不明" } else { sender }]);
    lines.texts(["スナップショット", &request.snapshot.manifest.id]);
    lines.end();
    reconcile(&mut lines, files);
    lines.end();
    codes_by_file(&mut lines, request.spec, files, counts);
    lines.end();
    codes(&mut lines, request.spec, files, counts);
    lines.take()
}

/// 件数突合: one line per file, per processing month, and for all. What was withdrawn is listed and does not
/// count.
fn reconcile(lines: &mut Lines, files: &[&FileRow]) {
    lines.texts(["【件数突合】"]);
    lines.texts([
        "ファイル名",
        "データ種別",
        "処理対象年月",
        "取込日",
        "状態",
        "レコード件数",
        "受付件数",
        "受付不可件数",
        "警告件数",
    ]);
    for file in files {
        let day = file.taken_in_on.to_string();
        let texts = [&*file.name, &file.data_type, &file.month(), &day, status_ja(&file.status)];
        counted(lines, texts, file.counts);
    }
    for month in files.chunk_by(|a, b| a.processing_month == b.processing_month) {
        counted(lines, ["月計", "", &month[0].month(), "", ""], total(month));
    }
    counted(lines, ["合計", "", "", "", ""], total(files));
    if files.iter().any(|file| file.is_withdrawn()) {
        lines.texts(["※「取下げ」のファイルは、月計・合計に含みません。"]);
    }
}

fn counted(lines: &mut Lines, texts: [&str; 5], counts: [i64; 4]) {
    texts.into_iter().for_each(|text| lines.text(text));
    lines.texts(counts.map(|count| count.to_string()));
}

fn total(files: &[&FileRow]) -> [i64; 4] {
    let counting = || files.iter().filter(|file| !file.is_withdrawn());
    std::array::from_fn(|at| counting().map(|file| file.counts[at]).sum())
}

fn status_ja(status: &str) -> &str {
    match status {
        "accepted" => "受付",
        "partly_rejected" => "一部受付不可",
        "rejected" => "受付不可",
        "withdrawn" => "取下げ",
        other => other,
    }
}

fn codes_by_file(lines: &mut Lines, spec: &Spec, files: &[&FileRow], counts: &Counts) {
    lines.texts(["【ファイル・コード別件数】"]);
    lines.texts(["ファイル名", "処理対象年月", "取込日", "コード", "重要度", "件数", "内容"]);
    for file in files {
        for (code, severity, count) in counts.of_file(file.rank) {
            lines.text(&file.name);
            lines.text(&file.month());
            lines.text(&file.taken_in_on.to_string());
            coded(lines, spec, (code, severity), count);
        }
    }
}

fn codes(lines: &mut Lines, spec: &Spec, files: &[&FileRow], counts: &Counts) {
    lines.texts(["【コード別件数】"]);
    lines.texts(["コード", "重要度", "件数", "内容"]);
    let mut totals: BTreeMap<(Code, Severity), i64> = BTreeMap::new();
    for (code, severity, count) in files.iter().flat_map(|file| counts.of_file(file.rank)) {
        *totals.entry((code, severity)).or_default() += count;
    }
    for (kind, count) in totals {
        coded(lines, spec, kind, count);
    }
}

/// Code, severity, count and what the code says of an item, whichever it is.
fn coded(lines: &mut Lines, spec: &Spec, (code, severity): (Code, Severity), count: i64) {
    let (meaning, _) = spec.catalogue.messages(code, "項目", "項目", "");
    lines.texts([code.as_str(), severity_ja(severity), &count.to_string(), &meaning]);
}
