//! The list of one sender: one line per finding.

use super::line::Lines;
use super::rows::{FileRow, FindingRow};
use super::values::Value;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use tsumiage_pipeline::disk::{DiskError, io};
use tsumiage_schemas::Severity;

/// Header line.
const COLUMNS: [&str; 13] = [
    "ファイル名",
    "処理対象年月",
    "取込日",
    "レコード番号",
    "証記載保険者番号",
    "被保険者番号",
    "異動年月日",
    "重要度",
    "コード",
    "項目",
    "送付値",
    "件数",
    "メッセージ",
];

/// Lines are written in pieces of about so many bytes.
const PIECE: usize = 64 << 10;

/// Name of a sender's list.
pub fn name(sender: &str) -> String {
    format!("{sender}-findings.csv")
}

/// A severity in Japanese.
pub fn severity_ja(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "エラー",
        Severity::Warning => "警告",
        Severity::Info => "情報",
    }
}

/// The lists of all senders in a folder, only one of them open at a time.
pub struct Lists<'a> {
    folder: &'a Path,
}

impl<'a> Lists<'a> {
    /// Lists in a folder that is empty yet.
    pub fn new(folder: &'a Path) -> Lists<'a> {
        Lists { folder }
    }

    /// Opens the list of a sender to write behind what is there.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn of(&self, sender: &str) -> Result<List, DiskError> {
        let path = self.folder.join(name(sender));
        let mut options = File::options();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
        let file = options.open(&path).map_err(io(&path))?;
        let mut lines = Lines::default();
        if file.metadata().map_err(io(&path))?.len() == 0 {
            lines.texts(COLUMNS);
        }
        Ok(List { file, path, lines })
    }
}

/// The open list of a sender.
pub struct List {
    file: File,
    path: PathBuf,
    lines: Lines,
}

impl List {
    /// Writes a finding of a file.
    ///
    /// # Errors
    /// The disk fails.
    pub fn push(&mut self, file: &FileRow, row: &FindingRow<'_>, value: &Value) -> Result<(), DiskError> {
        let lines = &mut self.lines;
        lines.text(&file.name);
        lines.text(&file.month());
        lines.text(&file.taken_in_on.to_string());
        lines.text(&row.record_no.map(|no| no.to_string()).unwrap_or_default());
        lines.text(row.insurer_no);
        lines.text(row.insured_no);
        lines.text(&row.movement_date.map(|day| day.to_string()).unwrap_or_default());
        lines.text(severity_ja(row.severity));
        lines.text(row.code.as_str());
        lines.text(&value.label);
        lines.cell(&value.sent);
        lines.text(&row.count.to_string());
        lines.text(row.message_ja);
        lines.end();
        if lines.len() >= PIECE { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        self.file.write_all(&self.lines.take()).map_err(io(&self.path))
    }

    /// Writes what is left; it is made durable when the list gets its name.
    ///
    /// # Errors
    /// The disk fails.
    pub fn close(mut self) -> Result<(), DiskError> {
        self.flush()
    }
}
