//! Who may ask the KHS API: a file of tokens, one line each, to be read and edited by people.
//!
//! Promise: no token stands in the file, only its SHA-256 (tokens are 32 random bytes, so nobody can guess one from
//! it); others than its owner and group cannot read it; a line that is not understood is an error with its number,
//! never ignored. The whole hash is compared in constant time.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::fs::File;
use std::path::Path;
use subtle::ConstantTimeEq;
use tsumiage_pipeline::disk::{self, DiskError, io};
use tsumiage_schemas::Day;
use tsumiage_schemas::khs::day_of;

/// Random bytes of a token.
const TOKEN_BYTES: usize = 32;

/// Random bytes of an id.
const ID_BYTES: usize = 4;

const COLUMNS: &str = "id,insurer_no,sha256,valid_to";

const HEAD: &str = "\
# Tokens of the KHS API, made by `tsumiage khs token new`: the SHA-256 of each, never a token itself.
# valid_to: last day on which it is good, YYYY-MM-DD; empty = no end. Lines may be edited and removed.
";

/// A token as the file knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is called in lists and in the audit log; says nothing of the token.
    pub id: String,
    /// The insurer it is for.
    pub insurer_no: String,
    /// SHA-256 of the token.
    hash: [u8; 32],
    /// Last day on which it is good, `None` = no end.
    pub valid_to: Option<Day>,
    /// Its line in the file, from 1.
    line: usize,
}

impl Token {
    /// Whether it is good on a day.
    pub fn is_valid_on(&self, day: Day) -> bool {
        self.valid_to.is_none_or(|last| day <= last)
    }
}

/// All tokens of a file.
#[derive(Clone, Debug, Default)]
pub struct Tokens {
    all: Vec<Token>,
    /// Places in `all` by the beginning of the hash.
    places: HashMap<[u8; 8], Vec<usize>>,
}

impl Tokens {
    /// Reads a file of tokens.
    ///
    /// # Errors
    /// It cannot be read, or a line of it is no token.
    pub fn read(path: &Path) -> Result<Tokens, DiskError> {
        let text = std::fs::read_to_string(path).map_err(io(path))?;
        Tokens::parse(&text).map_err(|(line, what)| DiskError::invalid(path, format!("line {line}: {what}")))
    }

    /// The tokens of a text; else the line that is wrong, and why.
    fn parse(text: &str) -> Result<Tokens, (usize, String)> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text); // some editors put it there
        let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
        let mut lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let mut tokens = Tokens::default();
        match lines.next() {
            None => return Ok(tokens),
            Some((_, COLUMNS)) => {}
            Some((at, _)) => return Err((at, format!("the first line must be {COLUMNS}"))),
        }
        let (mut ids, mut hashes) = (HashSet::new(), HashSet::new());
        for (at, line) in lines {
            let token = parsed(line, at).map_err(|what| (at, what))?;
            if !ids.insert(token.id.clone()) {
                return Err((at, format!("the id {} stands twice", token.id)));
            }
            if !hashes.insert(token.hash) {
                return Err((at, format!("the token of {} stands twice", token.id)));
            }
            tokens.places.entry(beginning(&token.hash)).or_default().push(tokens.all.len());
            tokens.all.push(token);
        }
        Ok(tokens)
    }

    /// The token that is presented, if it is one and good on this day.
    pub fn find(&self, presented: &[u8], day: Day) -> Option<&Token> {
        let hash: [u8; 32] = Sha256::digest(presented).into();
        let candidates = self.places.get(&beginning(&hash))?;
        let same = |token: &&Token| bool::from(token.hash.ct_eq(&hash));
        candidates.iter().map(|at| &self.all[*at]).find(same).filter(|token| token.is_valid_on(day))
    }

    /// Whether an insurer has any token that is good on this day.
    pub fn has_one(&self, insurer_no: &str, day: Day) -> bool {
        self.all.iter().any(|token| token.insurer_no == insurer_no && token.is_valid_on(day))
    }

    /// All of them, in the order of the file.
    pub fn all(&self) -> &[Token] {
        &self.all
    }
}

fn beginning(hash: &[u8; 32]) -> [u8; 8] {
    let mut beginning = [0; 8];
    beginning.copy_from_slice(&hash[..8]);
    beginning
}

/// Whether a text has the form of an insurer's number.
pub fn is_insurer_no(text: &str) -> bool {
    text.len() == 6 && text.bytes().all(|b| b.is_ascii_digit())
}

fn parsed(line: &str, at: usize) -> Result<Token, String> {
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    let [id, insurer_no, sha256, valid_to] = fields[..] else {
        return Err(format!("has {} items instead of 4 ({COLUMNS})", fields.len()));
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if id.is_empty() || id.len() > 64 || !id.bytes().all(plain) {
        return Err("the id must be 1 to 64 letters, digits, - _ and .".to_owned());
    }
    if !is_insurer_no(insurer_no) {
        return Err(format!("the insurer number {insurer_no:?} is not 6 digits"));
    }
    let hash = unhex(sha256).ok_or("sha256 is not 64 hex digits")?;
    let valid_to = match valid_to {
        "" => None,
        day => Some(day_of(day).ok_or_else(|| format!("valid_to {day:?} is not a day like 2027-03-31"))?),
    };
    Ok(Token { id: id.to_owned(), insurer_no: insurer_no.to_owned(), hash, valid_to, line: at })
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digit = |b: u8| char::from(b).to_digit(16).map(|digit| digit as u8); // below 16
    let mut hash = [0; 32];
    let pairs = text.as_bytes().chunks_exact(2);
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(pairs) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(hash)
}

/// A token just made: the only time it can be seen.
pub struct Issued {
    /// Its id.
    pub id: String,
    /// The token.
    pub token: String,
}

/// Makes a token for an insurer and puts its hash into the file, which is made if missing. The caller has seen to it
/// that the number is one ([`is_insurer_no`]).
///
/// # Errors
/// The file cannot be read or written, or the system gives no random bytes.
pub fn issue(path: &Path, insurer_no: &str, valid_to: Option<Day>) -> Result<Issued, DiskError> {
    let _lock = locked(path)?;
    let (mut text, tokens) = match path.exists() {
        true => (std::fs::read_to_string(path).map_err(io(path))?, Tokens::read(path)?),
        false => (HEAD.to_owned(), Tokens::default()),
    };
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
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    if tokens.all.is_empty() && !text.lines().any(|line| line.trim() == COLUMNS) {
        text.push_str(COLUMNS);
        text.push('\n');
    }
    let hash = disk::hex(&Sha256::digest(&token));
    let last = valid_to.map(|day| day.to_string()).unwrap_or_default();
    let _ = writeln!(text, "{id},{insurer_no},{hash},{last}"); // a text takes everything
    disk::write_whole(path, text.as_bytes())?;
    Ok(Issued { id, token })
}

/// Takes a token out of the file; `None` if there is none of this id.
///
/// # Errors
/// The file cannot be read or written.
pub fn revoke(path: &Path, id: &str) -> Result<Option<Token>, DiskError> {
    let _lock = locked(path)?;
    let tokens = Tokens::read(path)?;
    let Some(token) = tokens.all.into_iter().find(|token| token.id == id) else { return Ok(None) };
    let text = std::fs::read_to_string(path).map_err(io(path))?;
    let kept = text.split_inclusive('\n').enumerate().filter(|(at, _)| at + 1 != token.line);
    disk::write_whole(path, kept.map(|(_, line)| line).collect::<String>().as_bytes())?;
    Ok(Some(token))
}

/// Two who change a file at once must not undo each other's change: they take turns by a lock on its folder.
fn locked(path: &Path) -> Result<File, DiskError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder_file = File::open(folder).map_err(io(folder))?;
    folder_file.lock().map_err(io(folder))?;
    Ok(folder_file)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Day = Day(20_000);

    #[test]
    fn a_token_is_found_until_it_expires_or_is_revoked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.csv");
        let one = issue(&path, "141003", None).unwrap();
        let two = issue(&path, "142018", Some(DAY)).unwrap();
        assert!(one.token.len() == 43 && one.token != two.token && one.id != two.id);
        let tokens = Tokens::read(&path).unwrap();
        let owner = |token: &str, day| tokens.find(token.as_bytes(), day).map(|t| t.insurer_no.clone());
        assert_eq!(owner(&one.token, DAY).as_deref(), Some("141003"));
        assert_eq!(owner(&two.token, DAY).as_deref(), Some("142018"), "its last day");
        assert_eq!(owner(&two.token, Day(DAY.0 + 1)), None);
        assert!(tokens.has_one("142018", DAY) && !tokens.has_one("142018", Day(DAY.0 + 1)));
        for stranger in ["", "x", &one.token[1..], &format!("{} ", one.token), &one.token.to_lowercase()] {
            assert_eq!(owner(stranger, DAY), None, "{stranger:?}");
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&one.token) && !text.contains(&two.token), "no tokens on disk");
        assert_eq!(revoke(&path, "nobody").unwrap(), None);
        assert_eq!(revoke(&path, &one.id).unwrap().map(|t| t.id), Some(one.id));
        let tokens = Tokens::read(&path).unwrap();
        assert!(tokens.find(one.token.as_bytes(), DAY).is_none() && tokens.all().len() == 1);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with('#') && text.lines().count() == 4, "what people wrote stays: {text}");
    }

    #[cfg(unix)]
    #[test]
    fn others_cannot_read_the_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.csv");
        issue(&path, "141003", None).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o007, 0);
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        let hash = "ab".repeat(32);
        let line = |line: &str| format!("# a note\n\n{COLUMNS}\r\n{line}\n");
        let good = format!("a,141003,{hash},2027-03-31");
        assert_eq!(Tokens::parse(&line(&good)).unwrap().all().len(), 1);
        assert_eq!(Tokens::parse("").unwrap().all().len(), 0);
        for (text, at, says) in [
            (line("a,141003"), 4, "2 items"),
            (line(&format!("a,14100,{hash},")), 4, "6 digits"),
            (line(&format!("a b,141003,{hash},")), 4, "id"),
            (line("a,141003,00,"), 4, "64 hex"),
            (line(&format!("a,141003,{}あ,", "a".repeat(61))), 4, "64 hex"),
            (line(&format!("a,141003,{hash},2027-02-30")), 4, "2027-02-30"),
            (line(&format!("{good}\nb,141003,{hash},")), 5, "stands twice"),
            (line(&format!("{good}\na,141003,{},", "cd".repeat(32))), 5, "stands twice"),
            (good.clone(), 1, "first line"),
        ] {
            let (line, what) = Tokens::parse(&text).unwrap_err();
            assert!(line == at && what.contains(says), "{line}: {what}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.csv");
        std::fs::write(&path, line("a,141003")).unwrap();
        let error = Tokens::read(&path).unwrap_err().to_string();
        assert!(error.contains("tokens.csv: line 4: "), "{error}");
    }
}
