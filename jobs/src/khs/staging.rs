//! An answer or file on its way to the archive: the bytes as they came, behind a line that says what was asked and when
//! (`pipeline::reader::khs`).
//!
//! Promise: the same question answered the same twice in a row on one day is the same file, so that nothing is done; the
//! same status after another one is a new file, and counts. Names sort as the files came. What a killed run leaves of
//! what came is cleared away by a later one.

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};
use std::fs::{File, Permissions};
use std::io::{BufWriter, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tsumiage_pipeline::archive::{Archive, Arrival};
use tsumiage_pipeline::crash;
use tsumiage_pipeline::disk::{self, DiskError, io};
use tsumiage_pipeline::events::{self, Withdrawals};
use tsumiage_pipeline::ledger::Ledger;
use tsumiage_pipeline::reader::khs::{Asked, Form, Head};
use tsumiage_schemas::Day;

/// Bytes that came.
#[derive(Debug)]
pub struct Came {
    /// They.
    pub bytes: File,
    /// Their form.
    pub form: Form,
    /// What was asked.
    pub asked: Asked,
}

/// The form of a file by its first character.
///
/// # Errors
/// It cannot be read.
pub fn form_of(mut file: &File) -> std::io::Result<Form> {
    let mut start = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(4_096).read_to_end(&mut start)?;
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&start);
    let first = start.iter().find(|b| !b.is_ascii_whitespace());
    Ok(if matches!(first, Some(b'{' | b'[')) { Form::Json } else { Form::Csv })
}

/// Files that wait to be taken in; they go with this value.
#[derive(Debug)]
pub struct Staged {
    /// The files, in order.
    pub files: Vec<PathBuf>,
    _folder: TempDir,
}

/// The last of a day: its number in the name, and its id; none if that file does not count.
type Last = (u32, Option<String>);

/// Stages what came, in order, for the one run that holds the data folder's lock.
///
/// # Errors
/// Something cannot be read or written.
pub fn stage(data: &Path, ledger: &Ledger, on: Day, came: &[Came]) -> anyhow::Result<Staged> {
    let temp = data.join("temp");
    disk::make_folder(&temp)?;
    let folder = tempfile::Builder::new().prefix("khs-").tempdir_in(&temp).map_err(io(&temp))?;
    let mut last = last_of_day(data, ledger, on)?;
    let mut files = Vec::with_capacity(came.len());
    for came in came {
        let (path, number, file_id) = one(folder.path(), on, came, last.as_ref())?;
        last = Some((number, Some(file_id)));
        files.push(path);
    }
    Ok(Staged { files, _folder: folder })
}

/// Puts what came into an inbox for whoever looks at it; the path there. Numbers are times of the day, since the ledger
/// is not at hand.
///
/// # Errors
/// Something cannot be read or written.
pub fn put(inbox: &Path, on: Day, time_of_day: u32, came: &Came) -> anyhow::Result<PathBuf> {
    disk::remove_forgotten(inbox, HIDDEN)?; // people's records
    for number in time_of_day..=MOST {
        // Hidden files are left alone by whoever looks into the inbox; the group reads what appears there.
        let mut builder = tempfile::Builder::new();
        let builder = builder.prefix(HIDDEN).permissions(Permissions::from_mode(0o640));
        let mut file = builder.tempfile_in(inbox).map_err(io(inbox))?;
        write(file.as_file_mut(), &Head::new(came.form, came.asked.clone(), on, number), came, &mut |_| {})
            .map_err(io(inbox))?;
        let path = inbox.join(name(on, number, came)?);
        match file.persist_noclobber(&path) {
            Ok(_) => {
                disk::sync_folder(inbox)?;
                return Ok(path);
            }
            Err(error) if error.error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(DiskError::new(&path, error.error).into()),
        }
    }
    bail!("{} has too many answers of this day", inbox.display())
}

/// How an answer on its way into an inbox begins.
const HIDDEN: &str = ".khs-";

/// The newest KHS file of a day, taken in or left in the archive by a killed run. A withdrawn one is not the same again.
fn last_of_day(data: &Path, ledger: &Ledger, on: Day) -> anyhow::Result<Option<Last>> {
    let withdrawals = Withdrawals::of(&events::read(data)?, None);
    let of_day = |arrival: &&Arrival| arrival.taken_in_on == on && arrival.name.starts_with("khs-");
    let left = Archive::open(data)?.arrivals_but(|file_id| ledger.file(file_id).is_some())?;
    let known = ledger.files().filter(|file| file.is_khs()).map(|file| &file.arrival);
    let numbered = known.chain(&left).filter(of_day).map(|arrival| {
        let counts = !withdrawals.file(&arrival.file_id);
        (number_in(&arrival.name), counts.then(|| arrival.file_id.clone()))
    });
    Ok(numbered.max())
}

/// Most files of a day: their numbers sort as texts.
const MOST: u32 = 999_999;

/// The number in a name of ours; 0 in others.
fn number_in(name: &str) -> u32 {
    let number = |name: &str| name.get(11..)?.split(['-', '.']).next()?.parse().ok();
    name.strip_prefix("khs-").and_then(number).filter(|number| *number <= MOST).unwrap_or(0)
}

/// Names sort as the files came; no insured number is in them.
fn name(on: Day, number: u32, came: &Came) -> anyhow::Result<String> {
    if number > MOST {
        bail!("more than {MOST} KHS files of {on}");
    }
    let insurer = came.asked.insurer_no.as_ref().map(|no| format!("-{no}")).unwrap_or_default();
    let form = if came.form == Form::Json { "json" } else { "csv" };
    Ok(format!("khs-{on}-{number:06}{insurer}.{form}"))
}

/// Stages one file: under the number of the last if it is the same again, else under the next.
fn one(folder: &Path, on: Day, came: &Came, last: Option<&Last>) -> anyhow::Result<(PathBuf, u32, String)> {
    let head = |number: u32| Head::new(came.form, came.asked.clone(), on, number);
    let before = last.map_or(0, |(number, _)| *number);
    let number = before + 1; // of at most seven digits
    let path = folder.join(name(on, number, came)?);
    let mut again = Sha256::new_with_prefix(head(before).line());
    let mut hash = Sha256::new_with_prefix(head(number).line());
    crash::point("khs.staged.before", &path)?;
    made(&path, &head(number), came, &mut |bytes| {
        again.update(bytes);
        hash.update(bytes);
    })?;
    crash::point("khs.staged.after", &path)?;
    let again = disk::hex(&again.finalize());
    if last.is_none_or(|(_, file_id)| *file_id != Some(again.clone())) {
        return Ok((path, number, disk::hex(&hash.finalize())));
    }
    std::fs::remove_file(&path).map_err(io(&path))?;
    let path = folder.join(name(on, before, came)?);
    made(&path, &head(before), came, &mut |_| {})?;
    Ok((path, before, again))
}

fn made(path: &Path, head: &Head, came: &Came, seen: &mut dyn FnMut(&[u8])) -> anyhow::Result<()> {
    let mut file = File::create(path).map_err(io(path))?;
    write(&mut file, head, came, seen).with_context(|| format!("staging {}", path.display()))
}

fn write(file: &mut File, head: &Head, came: &Came, seen: &mut dyn FnMut(&[u8])) -> std::io::Result<()> {
    let (mut source, mut target) = (&came.bytes, BufWriter::new(file));
    source.seek(SeekFrom::Start(0))?;
    target.write_all(&head.line())?;
    let mut buffer = vec![0; 256 << 10];
    loop {
        let read = source.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        seen(&buffer[..read]);
        target.write_all(&buffer[..read])?;
    }
    target.into_inner().map_err(|error| error.into_error())?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn came(text: &str) -> Came {
        let mut bytes = tempfile::tempfile().unwrap();
        bytes.write_all(text.as_bytes()).unwrap();
        let asked = Asked { insurer_no: Some("142018".to_owned()), ..Asked::default() };
        Came { form: form_of(&bytes).unwrap(), bytes, asked }
    }

    fn on() -> Day {
        "2026-11-30".parse().unwrap()
    }

    #[test]
    fn the_same_again_is_the_same_file_and_after_another_a_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut last = None;
        let mut stage = |text: &str| {
            let (path, number, id) = one(folder.path(), on(), &came(text), last.as_ref()).unwrap();
            assert_eq!(tsumiage_pipeline::archive::hash_file(&path).unwrap(), id);
            last = Some((number, Some(id.clone())));
            (path.file_name().unwrap().to_str().unwrap().to_owned(), id)
        };
        let a = stage("142018,0000000010,1,,\n");
        assert_eq!(a.0, "khs-2026-11-30-000001-142018.csv");
        assert_eq!(stage("142018,0000000010,1,,\n"), a);
        let b = stage("142018,0000000010,2,,\n");
        assert_eq!(b.0, "khs-2026-11-30-000002-142018.csv");
        let again = stage("142018,0000000010,1,,\n");
        assert_eq!(again.0, "khs-2026-11-30-000003-142018.csv");
        assert_ne!(again.1, a.1);
        assert_eq!(stage(" [] ").0, "khs-2026-11-30-000004-142018.json");
        let withdrawn = one(folder.path(), on(), &came("x"), Some(&(4, None))).unwrap();
        assert_eq!(withdrawn.1, 5);
        assert!(one(folder.path(), on(), &came("x"), Some(&(MOST, None))).is_err());
    }

    #[test]
    fn numbers_stand_in_names() {
        for (name, number) in [
            ("khs-2026-11-30-000017-142018.json", 17),
            ("khs-2026-11-30-000003.csv", 3),
            ("khs-2026-11-30-4294967295.csv", 0),
            ("khs-2026-11-30.csv", 0),
            ("other.csv", 0),
            ("khs-", 0),
            ("khs-あああああああああ", 0),
        ] {
            assert_eq!(number_in(name), number, "{name}");
        }
    }

    #[test]
    fn an_inbox_gets_every_answer_under_a_name_of_its_own() {
        let inbox = tempfile::tempdir().unwrap();
        let put = || put(inbox.path(), on(), 101_503, &came("x")).unwrap();
        let names = [put(), put()].map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
        assert_eq!(names, ["khs-2026-11-30-101503-142018.csv", "khs-2026-11-30-101504-142018.csv"]);
        assert_eq!(std::fs::read_dir(inbox.path()).unwrap().count(), 2);
        let mode = inbox.path().join(&names[0]).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o040, 0o040, "whoever runs the worker is of the group");
    }
}
