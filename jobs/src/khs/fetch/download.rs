//! A file behind a download address, gone on with where it broke off, as long as it is the same file.
//!
//! Promise: parts are put together only if the server knows the file again by a strong tag and says the same length; else
//! all of it is got again.

use super::link::{Broken, Link, MOST_BYTES, copied, may_pass, retry_after};
use super::{Watch, legible};
use anyhow::{Context, bail};
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use ureq::Body;
use ureq::http::Response;
use ureq::http::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderName};
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
    /// Where it goes.
    pub target: File,
    /// Bytes that have come.
    have: u64,
    /// The most there ever were.
    most: u64,
    /// Bytes there are in all, if the server says so.
    of: Option<u64>,
    /// By which the server knows the file again; without it there is no going on.
    tag: Option<String>,
}

impl Download {
    /// Into this file.
    pub fn new(target: File) -> Download {
        Download { target, have: 0, most: 0, of: None, tag: None }
    }

    /// Gets what is missing; an attempt that brings more than ever came before is not counted.
    ///
    /// # Errors
    /// Nothing more came after all attempts, it is too large, or the file cannot be written.
    pub fn go_on(&mut self, link: &Link, url: &Url, watch: &dyn Watch) -> anyhow::Result<End> {
        let mut attempt = 1;
        loop {
            let from = self.tag.as_deref().map(|tag| (self.have, tag)).filter(|(have, _)| *have > 0);
            let mut after = None;
            let why = match link.get(url, from) {
                Err(why) => why,
                Ok(answer) if matches!(answer.status().as_u16(), 401 | 403 | 404 | 410) => {
                    return Ok(End::Refused(answer.status().as_u16()));
                }
                Ok(answer) if may_pass(answer.status()) => {
                    after = retry_after(&answer);
                    format!("the server answered {}", answer.status().as_u16())
                }
                Ok(answer) => match self.piece(answer, watch)? {
                    None => return Ok(End::Whole),
                    Some(why) => why,
                },
            };
            if self.have > self.most {
                (self.most, attempt) = (self.have, 0);
            }
            if attempt >= link.attempts {
                bail!("the download broke off at byte {}: {}", self.have, legible(&why));
            }
            watch.note(&format!("the download broke off at byte {}: {}; goes on", self.have, legible(&why)));
            attempt += 1;
            link.pause(attempt, after);
        }
    }

    /// Takes what an answer brings; `None` if that is all, else why it is not.
    fn piece(&mut self, mut answer: Response<Body>, watch: &dyn Watch) -> anyhow::Result<Option<String>> {
        let header = |name: HeaderName| answer.headers().get(name)?.to_str().ok().map(str::to_owned);
        let tag = header(ETAG).filter(|tag| !tag.starts_with("W/"));
        match answer.status().as_u16() {
            206 => {
                let part = header(CONTENT_RANGE).as_deref().and_then(range);
                let same = part == Some((self.have, self.of)) && tag == self.tag;
                if !same {
                    return Ok(Some(self.anew("the server sends another part or another file")));
                }
            }
            // From the start: it is another file by now, or the server knows no parts.
            200 => {
                self.have = 0;
                self.of = header(CONTENT_LENGTH).and_then(|length| length.parse().ok());
                self.tag = tag.filter(|_| self.of.is_some());
            }
            416 => return Ok(Some(self.anew("the server has less than has come"))),
            status => bail!("the server answered {status} instead of the file"),
        }
        self.target.set_len(self.have).context("a file for the download")?;
        self.target.seek(SeekFrom::Start(self.have)).context("a file for the download")?;
        let left = MOST_BYTES.saturating_sub(self.have);
        let mut body = answer.body_mut().with_config().limit(left).reader();
        match copied(&mut body, &mut Counted { download: self, watch }) {
            Ok(_) if self.of.is_none_or(|of| of == self.have) => Ok(None),
            Ok(_) => Ok(Some("the connection ended".to_owned())),
            Err(Broken::Off(_)) if self.have >= MOST_BYTES => {
                bail!("the download is larger than {MOST_BYTES} bytes")
            }
            Err(Broken::Off(why)) => Ok(Some(why)),
            Err(Broken::Disk(error)) => Err(error).context("a file for the download"),
        }
    }

    /// All of it again; why.
    fn anew(&mut self, why: &str) -> String {
        (self.have, self.of, self.tag) = (0, None, None);
        why.to_owned()
    }
}

/// Counts what is written.
struct Counted<'d> {
    download: &'d mut Download,
    watch: &'d dyn Watch,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.download.target.write(bytes)?;
        self.download.have += written as u64;
        self.watch.came(self.download.have, self.download.of.unwrap_or(self.download.have));
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.download.target.flush()
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
