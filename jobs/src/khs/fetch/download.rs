//! A file behind a download address, gone on with where it broke off, as long as it is the same file.

use super::link::{Broken, Link, MOST_BYTES, copied, may_pass};
use super::{Watch, legible};
use anyhow::bail;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use tsumiage_pipeline::disk::io;
use ureq::Body;
use ureq::http::Response;
use ureq::http::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG};
use url::Url;

/// How a download ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Everything has come.
    Whole,
    /// The address is good no more: another may be.
    Refused(u16),
}

/// A file on its way.
pub(super) struct Download {
    target: PathBuf,
    /// Bytes that have come.
    have: u64,
    /// Bytes there are in all, as soon as the server says so.
    of: Option<u64>,
    /// By which the server knows the file again.
    tag: Option<String>,
}

impl Download {
    /// Into this file.
    pub fn new(target: &Path) -> Download {
        Download { target: target.to_owned(), have: 0, of: None, tag: None }
    }

    /// Gets what is missing; each attempt that brings something more is not counted.
    ///
    /// # Errors
    /// Nothing more came after all attempts, or the file cannot be written.
    pub fn go_on(&mut self, link: &Link, url: &Url, watch: &dyn Watch) -> anyhow::Result<End> {
        let mut attempt = 1;
        loop {
            let before = self.have;
            let why = match link.get(url, self.have, self.tag.as_deref()) {
                Err(why) => why,
                Ok(answer) if matches!(answer.status().as_u16(), 401 | 403 | 404 | 410) => {
                    return Ok(End::Refused(answer.status().as_u16()));
                }
                Ok(answer) if may_pass(answer.status()) => {
                    format!("the server answered {}", answer.status().as_u16())
                }
                Ok(answer) => match self.piece(answer, watch)? {
                    None => return Ok(End::Whole),
                    Some(why) => why,
                },
            };
            if self.have > before {
                attempt = 0;
            }
            if attempt >= link.attempts {
                bail!("the download broke off at byte {}: {}", self.have, legible(&why));
            }
            watch.note(&format!("the download broke off at byte {}: {}; goes on", self.have, legible(&why)));
            attempt += 1;
            link.pause(attempt, None);
        }
    }

    /// Takes what an answer brings; `None` if that is all, else why it is not.
    fn piece(&mut self, mut answer: Response<Body>, watch: &dyn Watch) -> anyhow::Result<Option<String>> {
        let header =
            |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let length = header(CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
        match answer.status().as_u16() {
            206 => match header(CONTENT_RANGE).as_deref().and_then(range) {
                Some((from, of)) if from == self.have => self.of = of.or(self.of),
                _ => {
                    self.have = 0; // another part than asked for: all of it again
                    return Ok(Some("the server sends another part".to_owned()));
                }
            },
            // From the start: it is another file by now, or the server knows no parts.
            200 => (self.have, self.of) = (0, length),
            416 if self.of == Some(self.have) => return Ok(None),
            416 => {
                self.have = 0;
                return Ok(Some("the server has less than has come".to_owned()));
            }
            status => bail!("the server answered {status} instead of the file"),
        }
        self.tag = header(ETAG).filter(|tag| !tag.starts_with("W/"));
        let mut file = File::options().write(true).open(&self.target).map_err(io(&self.target))?;
        file.set_len(self.have).map_err(io(&self.target))?;
        file.seek(SeekFrom::Start(self.have)).map_err(io(&self.target))?;
        let mut body = answer.body_mut().with_config().limit(MOST_BYTES).reader();
        let mut counted = Counted { file: &mut file, download: self, watch };
        match copied(&mut body, &mut counted) {
            Ok(_) if self.of.is_none_or(|of| of == self.have) => Ok(None),
            Ok(_) => Ok(Some("the connection ended".to_owned())),
            Err(Broken::Off(why)) => Ok(Some(why)),
            Err(Broken::Disk(error)) => Err(io(&self.target)(error).into()),
        }
    }
}

/// Counts what is written.
struct Counted<'d> {
    file: &'d mut File,
    download: &'d mut Download,
    watch: &'d dyn Watch,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.download.have += written as u64;
        self.watch.came(self.download.have, self.download.of.unwrap_or(self.download.have));
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// First byte and length of the whole in `bytes 5-9/10`.
fn range(text: &str) -> Option<(u64, Option<u64>)> {
    let (part, of) = text.strip_prefix("bytes ")?.split_once('/')?;
    Some((part.split_once('-')?.0.parse().ok()?, of.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        assert_eq!(range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(range("bytes 5-9/*"), Some((5, None)));
        assert_eq!([range("bytes */10"), range("items 1-2/3"), range("")], [None, None, None]);
    }
}
