//! Tokens made and taken back.
//!
//! Promise: what people wrote into the file stays, two who change it at once do not undo each other's change, and whoever
//! could read it before still can.

use super::{COLUMNS, Token, Tokens};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::{self, File, Metadata};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use tsumiage_pipeline::disk::{self, DiskError, io};
use tsumiage_schemas::Day;

/// Random bytes of a token.
const TOKEN_BYTES: usize = 32;

/// Random bytes of an id.
const ID_BYTES: usize = 4;

const HEAD: &str = "\
# Tokens of the KHS API, made by `tsumiage khs token new`: the SHA-256 of each, never a token itself.
# valid_to: last day on which it is good, YYYY-MM-DD; empty = no end. Lines may be edited and removed.
";

/// A token just made: the only time it can be seen.
pub struct Issued {
    /// Its id.
    pub id: String,
    /// The token.
    pub token: String,
}

/// Makes a token for an insurer and puts its hash into the file, which is begun if it is missing or has nothing in it.
/// The caller has seen to it that the number is one ([`is_insurer_no`](super::is_insurer_no)).
///
/// # Errors
/// The file cannot be read or written, or the system gives no random bytes.
pub fn issue(path: &Path, insurer_no: &str, valid_to: Option<Day>) -> Result<Issued, DiskError> {
    let path = &behind_links(path)?;
    let _lock = locked(path)?;
    let mut text = match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        text => text.map_err(io(path))?,
    };
    if text.trim().is_empty() {
        text = format!("{HEAD}{COLUMNS}\n");
    }
    let tokens = Tokens::of(path, &text)?;
    let random = |bytes: &mut [u8]| getrandom::fill(bytes).map_err(|e| DiskError::invalid(path, e));
    let mut bytes = [0; TOKEN_BYTES];
    random(&mut bytes)?;
    let token = BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let id = loop {
        let mut bytes = [0; ID_BYTES];
        random(&mut bytes)?;
        let id = disk::hex(&bytes);
        if tokens.all.iter().all(|known| known.id != id) {
            break id;
        }
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    let hash = disk::hex(&Sha256::digest(&token));
    let last = valid_to.map(|day| day.to_string()).unwrap_or_default();
    let _ = writeln!(text, "{id},{insurer_no},{hash},{last}"); // a text takes everything
    replace(path, &text)?;
    Ok(Issued { id, token })
}

/// Takes a token out of the file; `None` if there is none of this id.
///
/// # Errors
/// The file cannot be read or written.
pub fn revoke(path: &Path, id: &str) -> Result<Option<Token>, DiskError> {
    let path = &behind_links(path)?;
    let _lock = locked(path)?;
    let text = fs::read_to_string(path).map_err(io(path))?;
    let tokens = Tokens::of(path, &text)?;
    let Some(token) = tokens.all.into_iter().find(|token| token.id == id) else { return Ok(None) };
    let kept = text.split_inclusive('\n').enumerate().filter(|(at, _)| at + 1 != token.line);
    replace(path, &kept.map(|(_, line)| line).collect::<String>())?;
    Ok(Some(token))
}

/// The file itself where a path leads to it by a link: the file is replaced, not the link.
fn behind_links(path: &Path) -> Result<PathBuf, DiskError> {
    match path.canonicalize() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(path.to_owned()),
        found => found.map_err(io(path)),
    }
}

/// Writes the file anew, whole or not at all, as its owner's who has it now: a server of that user's must be able to
/// read that a token was taken back.
fn replace(path: &Path, text: &str) -> Result<(), DiskError> {
    let before = match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        found => Some(found.map_err(io(path))?),
    };
    disk::write_whole_with(path, |file| {
        file.write_all(text.as_bytes()).map_err(io(path))?;
        before.map_or(Ok(()), |before| hand_over(file, &before)).map_err(io(path))
    })
}

/// Gives a file the owner, group and mode of another.
#[cfg(unix)]
fn hand_over(file: &File, like: &Metadata) -> std::io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (like.uid(), like.gid()) {
        let advice = "run as the user it belongs to, or as root";
        fchown(file, Some(like.uid()), Some(like.gid())).map_err(|e| {
            std::io::Error::new(e.kind(), format!("cannot keep its owner and group: {e}; {advice}"))
        })?;
    }
    file.set_permissions(like.permissions())
}

#[cfg(not(unix))]
fn hand_over(_: &File, _: &Metadata) -> std::io::Result<()> {
    Ok(())
}

/// Two who change a file at once must not undo each other's change: they take turns by a lock on its folder.
fn locked(path: &Path) -> Result<File, DiskError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder_file = File::open(folder).map_err(io(folder))?;
    folder_file.lock().map_err(io(folder))?;
    Ok(folder_file)
}
