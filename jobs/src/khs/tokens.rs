//! Who may ask the KHS API: a file of tokens, one line each, to be read and edited by people.
//!
//! Promise: no token stands in the file, only its SHA-256 (tokens are 32 random bytes, so nobody can guess one from
//! it); others than its owner and group cannot read it; a line that is not understood is an error with its number,
//! never ignored, and a file without the line of its columns is no list of nobody but an error. The whole hash is
//! compared in constant time.

mod changes;
#[cfg(test)]
mod tests;

pub use changes::{Issued, issue, revoke};

use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use subtle::ConstantTimeEq;
use tsumiage_pipeline::disk::{DiskError, io};
use tsumiage_schemas::Day;
use tsumiage_schemas::khs::day_of;

const COLUMNS: &str = "id,insurer_no,sha256,valid_to";

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
        Tokens::of(path, &fs::read_to_string(path).map_err(io(path))?)
    }

    fn of(path: &Path, text: &str) -> Result<Tokens, DiskError> {
        Tokens::parse(text).map_err(|(line, what)| DiskError::invalid(path, format!("line {line}: {what}")))
    }

    /// The tokens of a text; else the line that is wrong, and why.
    fn parse(text: &str) -> Result<Tokens, (usize, String)> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text); // some editors put it there
        let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
        let mut lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let mut tokens = Tokens::default();
        match lines.next() {
            Some((_, COLUMNS)) => {}
            Some((at, _)) => return Err((at, format!("the first line must be {COLUMNS}"))),
            None => return Err((text.lines().count().max(1), format!("there is no line {COLUMNS}"))),
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

    /// The tokens of an insurer that are good on this day.
    pub fn good_of(&self, insurer_no: &str, day: Day) -> impl Iterator<Item = &Token> {
        self.all.iter().filter(move |token| token.insurer_no == insurer_no && token.is_valid_on(day))
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
