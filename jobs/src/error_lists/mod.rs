//! Error lists to send back: per sender a list of its findings with the values as sent, and a summary.
//!
//! Promise: CP932, CR LF, quoted as the exchange file quotes; no cell is a formula to a spreadsheet; each
//! file appears whole. Findings are read once, in their order, and every archived file at most once:
//! memory grows with the number of files, not with that of findings. Nothing is written to the data folder.

mod choice;
mod line;
mod list;
mod rows;
mod summary;
mod values;

use crate::publish::snapshot::Snapshot;
use crate::published::session;
pub use choice::Choice;
use list::Lists;
use rows::{FileRow, FindingRows};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use summary::Counts;
use tsumiage_pipeline::archive::Archive;
use tsumiage_pipeline::disk::{self, DiskError, io};
use tsumiage_pipeline::reader::Records;
use tsumiage_schemas::khs::DATA_TYPE;
use tsumiage_schemas::{Severity, Spec};
use values::Values;

/// How the folder begins in which lists are made.
const HIDDEN: &str = ".tsumiage-lists-";

/// What lists are made of, and where.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The data folder; only read.
    pub data: &'a Path,
    /// Layouts, labels and messages in force.
    pub spec: &'a Spec,
    /// The snapshot whose files and findings are listed.
    pub snapshot: &'a Snapshot,
    /// Which of them.
    pub choice: &'a Choice,
    /// Folder for the lists; made if missing.
    pub out: &'a Path,
}

/// What was written for one sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its number, or `unknown`.
    pub sender: String,
    /// Its files in the snapshot.
    pub files: i64,
    /// Errors, warnings and infos, each as often as it occurred.
    pub errors: i64,
    /// Warnings.
    pub warnings: i64,
    /// Infos.
    pub infos: i64,
    /// The list; `None` if there is nothing to list.
    pub list: Option<PathBuf>,
    /// The summary.
    pub summary: PathBuf,
}

/// Writes `<sender>-findings.csv` and `<sender>-summary.csv` for every sender with files, in the order of
/// their numbers. A list of an earlier run that would be empty now is removed.
///
/// # Errors
/// The snapshot or a file of the archive cannot be read, or `out` cannot be written; then no list of this
/// run appeared, unless the disk failed while they were given their names.
pub async fn write(request: &Request<'_>) -> anyhow::Result<Vec<Written>> {
    make_out(request.out)?;
    remove_leftovers(request.out)?;
    let hidden = tempfile::Builder::new().prefix(HIDDEN).tempdir_in(request.out).map_err(io(request.out))?;
    let context = session(request.snapshot, request.spec, Some(1)).await?;
    let mut files = rows::files(&context, request.choice).await?;
    // What a KHS API answered is no matter of the insurer that was asked for.
    files.retain(|_, file| file.data_type != DATA_TYPE);
    let findings = FindingRows::open(&context).await?;
    let counts = list_all(request, &files, findings, Lists::new(hidden.path())).await?;

    let mut senders: BTreeMap<&str, Vec<&FileRow>> = BTreeMap::new();
    for file in files.values() {
        senders.entry(&file.sender).or_default().push(file);
    }
    for (sender, files) in &mut senders {
        files.sort_by_key(|file| file.rank);
        let page = summary::page(request, sender, files, &counts);
        disk::write_whole(&hidden.path().join(summary::name(sender)), &page)?;
    }
    let mut written = Vec::new();
    for (sender, files) in senders {
        written.push(appear(request.out, hidden.path(), sender, &files, &counts)?);
    }
    disk::sync_folder(request.out)?;
    Ok(written)
}

/// Removes what a killed run left half made: it holds people's data.
fn remove_leftovers(out: &Path) -> Result<(), DiskError> {
    for path in disk::entries(out)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with(HIDDEN) && path.is_dir() {
            std::fs::remove_dir_all(&path).map_err(io(&path))?;
        }
    }
    Ok(())
}

/// Lists every finding of the files meant with its value as sent, file by file, and counts them.
async fn list_all(
    request: &Request<'_>,
    files: &BTreeMap<String, FileRow>,
    mut findings: FindingRows,
    lists: Lists<'_>,
) -> anyhow::Result<Counts> {
    let archive = Archive::to_read(request.data);
    let mut values = Values::new(request.spec, request.data);
    let mut counts = Counts::default();
    while let Some(first) = findings.current().await? {
        let file_id = first.file_id.to_owned();
        let Some(file) = files.get(&file_id) else {
            findings.advance();
            continue;
        };
        let bytes = archive.bytes(&file_id)?;
        let mut records = Records::new(&bytes);
        let mut list = lists.of(&file.sender)?;
        while let Some(row) = findings.current().await?.filter(|row| row.file_id == file_id) {
            let value = values.of(&row, &mut records)?;
            list.push(file, &row, &value)?;
            counts.add(file.rank, &row);
            findings.advance();
        }
        list.close()?;
    }
    Ok(counts)
}

/// Gives a sender's files their names.
fn appear(
    out: &Path,
    hidden: &Path,
    sender: &str,
    files: &[&FileRow],
    counts: &Counts,
) -> anyhow::Result<Written> {
    let list = list::name(sender);
    let is_list = hidden.join(&list).exists();
    if is_list {
        let path = hidden.join(&list);
        File::open(&path).and_then(|file| file.sync_all()).map_err(io(&path))?;
        rename(hidden, out, &list)?;
    } else if let Err(error) = std::fs::remove_file(out.join(&list))
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(DiskError::new(&out.join(&list), error).into());
    }
    rename(hidden, out, &summary::name(sender))?;
    let of = |severity| files.iter().map(|file| counts.of(file.rank, severity)).sum();
    Ok(Written {
        sender: sender.to_owned(),
        files: files.len() as i64,
        errors: of(Severity::Error),
        warnings: of(Severity::Warning),
        infos: of(Severity::Info),
        list: is_list.then(|| out.join(&list)),
        summary: out.join(summary::name(sender)),
    })
}

fn rename(from: &Path, to: &Path, name: &str) -> Result<(), DiskError> {
    std::fs::rename(from.join(name), to.join(name)).map_err(io(&to.join(name)))
}

/// Makes the folder, not readable by others.
fn make_out(out: &Path) -> Result<(), DiskError> {
    if out.is_dir() {
        return Ok(());
    }
    if out.exists() {
        return Err(DiskError::invalid(out, "is a file; give a folder"));
    }
    if let Some(parent) = out.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        disk::make_folder(parent)?;
    }
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o750);
    builder.create(out).map_err(io(out))
}
