//! An answer or file on its way to the archive: the bytes as they came, behind a line that says what was asked and when
//! (`pipeline::reader::khs`).
//!
//! Promise: the same question answered the same twice in a row on one day is the same file, so that nothing is done; the
//! same status after another one is a new file, and counts. Names sort as the files came.

use anyhow::Context;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use tsumiage_pipeline::crash;
use tsumiage_pipeline::disk::{self, io};
use tsumiage_pipeline::ledger::Ledger;
use tsumiage_pipeline::reader::khs::{Asked, Form, Head};
use tsumiage_schemas::Day;

/// Bytes that came, in a file of their own.
#[derive(Debug)]
pub struct Came {
    /// The file.
    pub path: PathBuf,
    /// Its form.
    pub form: Form,
    /// What was asked.
    pub asked: Asked,
}

/// The form of a file by its first character.
///
/// # Errors
/// It cannot be read.
pub fn form_of(path: &Path) -> anyhow::Result<Form> {
    let mut start = Vec::new();
    File::open(path).map_err(io(path))?.take(4_096).read_to_end(&mut start).map_err(io(path))?;
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&start);
    let first = start.iter().find(|b| !b.is_ascii_whitespace());
    Ok(if matches!(first, Some(b'{' | b'[')) { Form::Json } else { Form::Csv })
}

/// Stages what came, in order, for the one run that holds the data folder's lock; the files to take in.
///
/// # Errors
/// Something cannot be read or written.
pub fn stage(data: &Path, ledger: &Ledger, on: Day, came: &[Came]) -> anyhow::Result<Vec<PathBuf>> {
    let folder = data.join("temp/khs");
    disk::make_folder(&folder)?;
    let mut last = last_of_day(ledger, on);
    let mut staged = Vec::with_capacity(came.len());
    for came in came {
        let (path, number, file_id) = one(&folder, on, came, last.as_ref())?;
        last = Some((number, file_id));
        staged.push(path);
    }
    Ok(staged)
}

/// Puts what came into an inbox for whoever looks at it; the path there. Numbers are times of the day, since the ledger
/// is not at hand.
///
/// # Errors
/// Something cannot be read or written.
pub fn put(inbox: &Path, on: Day, time_of_day: u32, came: &Came) -> anyhow::Result<PathBuf> {
    let free = |number: &u32| !inbox.join(name(on, *number, came)).exists();
    let number = (time_of_day..=u32::MAX).find(free).unwrap_or(time_of_day);
    let path = inbox.join(name(on, number, came));
    let part = path.with_extension("part"); // an inbox's readers leave these alone
    let head = Head::new(came.form, came.asked.clone(), on, number);
    write(&part, &head, came, &mut |_| {})?;
    std::fs::rename(&part, &path).map_err(io(&path))?;
    disk::sync_folder(inbox)?;
    Ok(path)
}

/// The newest KHS file of a day: its number and id.
fn last_of_day(ledger: &Ledger, on: Day) -> Option<(u32, String)> {
    let of_day = ledger.files().filter(|file| file.is_khs() && file.arrival.taken_in_on == on);
    of_day.map(|file| (number_in(&file.arrival.name), file.arrival.file_id.clone())).max()
}

/// The number in a name of ours; 0 in others.
fn number_in(name: &str) -> u32 {
    name.strip_prefix("khs-")
        .and_then(|name| name.get(11..)?.split(['-', '.']).next()?.parse().ok())
        .unwrap_or(0)
}

/// Names sort as the files came; no insured number is in them.
fn name(on: Day, number: u32, came: &Came) -> String {
    let insurer = came.asked.insurer_no.as_ref().map(|no| format!("-{no}")).unwrap_or_default();
    let form = if came.form == Form::Json { "json" } else { "csv" };
    format!("khs-{on}-{number:06}{insurer}.{form}")
}

/// Stages one file: under the number of the last if it is the same again, else under the next.
fn one(
    folder: &Path,
    on: Day,
    came: &Came,
    last: Option<&(u32, String)>,
) -> anyhow::Result<(PathBuf, u32, String)> {
    let head = |number: u32| Head::new(came.form, came.asked.clone(), on, number);
    let number = last.map_or(0, |(number, _)| *number) + 1;
    let path = folder.join(name(on, number, came));
    let mut again = Sha256::new_with_prefix(head(number - 1).line());
    let mut hash = Sha256::new_with_prefix(head(number).line());
    crash::point("khs.staged.before", &path)?;
    write(&path, &head(number), came, &mut |bytes| {
        again.update(bytes);
        hash.update(bytes);
    })?;
    crash::point("khs.staged.after", &path)?;
    let again = disk::hex(&again.finalize());
    match last {
        Some((last, file_id)) if *file_id == again => {
            std::fs::remove_file(&path).map_err(io(&path))?;
            let path = folder.join(name(on, *last, came));
            write(&path, &head(*last), came, &mut |_| {})?;
            Ok((path, *last, again))
        }
        _ => Ok((path, number, disk::hex(&hash.finalize()))),
    }
}

fn write(path: &Path, head: &Head, came: &Came, seen: &mut dyn FnMut(&[u8])) -> anyhow::Result<()> {
    let mut source = File::open(&came.path).map_err(io(&came.path))?;
    let mut target = BufWriter::new(File::create(path).map_err(io(path))?);
    target.write_all(&head.line()).map_err(io(path))?;
    let mut buffer = vec![0; 256 << 10];
    loop {
        let read = source.read(&mut buffer).map_err(io(&came.path))?;
        if read == 0 {
            break;
        }
        seen(&buffer[..read]);
        target.write_all(&buffer[..read]).map_err(io(path))?;
    }
    let file = target.into_inner().map_err(|error| error.into_error()).context("staging")?;
    file.sync_all().map_err(io(path))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn came(folder: &Path, text: &str) -> Came {
        let path = folder.join("came");
        std::fs::write(&path, text).unwrap();
        let asked = Asked { insurer_no: Some("142018".to_owned()), ..Asked::default() };
        Came { form: form_of(&path).unwrap(), path, asked }
    }

    #[test]
    fn the_same_again_is_the_same_file_and_after_another_a_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let on: Day = "2026-11-30".parse().unwrap();
        let mut last = None;
        let mut stage = |text: &str| {
            let (path, number, id) =
                one(folder.path(), on, &came(folder.path(), text), last.as_ref()).unwrap();
            assert_eq!(tsumiage_pipeline::archive::hash_file(&path).unwrap(), id);
            last = Some((number, id.clone()));
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
    }

    #[test]
    fn numbers_stand_in_names() {
        for (name, number) in [
            ("khs-2026-11-30-000017-142018.json", 17),
            ("khs-2026-11-30-000003.csv", 3),
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
        let (folder, inbox) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let on: Day = "2026-11-30".parse().unwrap();
        let put = || put(inbox.path(), on, 101_503, &came(folder.path(), "x")).unwrap();
        let names = [put(), put()].map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
        assert_eq!(names, ["khs-2026-11-30-101503-142018.csv", "khs-2026-11-30-101504-142018.csv"]);
        assert_eq!(std::fs::read_dir(inbox.path()).unwrap().count(), 2);
    }
}
