//! Limits of a request: how often a token may ask, how large a body may be, how long it may take to come.
//!
//! Promise: a body is never held beyond its limit; of what is refused a little more is read and dropped, so that the
//! client gets to read why. An answer that tells of many people costs a token as much as many requests.

use super::refusal::Refusal;
use crate::khs::settings::KhsSettings;
use crate::khs::tokens::Tokens;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_LENGTH;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use http_body_util::BodyExt;
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// So much of a body that is not wanted is read at most.
const UNWANTED_BYTES: usize = 8 << 20;

/// So long a body that is not wanted is waited for.
const UNWANTED_TIME: Duration = Duration::from_secs(2);

/// People who cost a token as much as a request does.
const PEOPLE: u64 = 10;

/// How often tokens may ask.
pub struct Rates {
    quota: Quota,
    by_token: HashMap<String, Arc<DefaultDirectRateLimiter>>,
}

impl Rates {
    /// Of the settings, for no token yet.
    pub fn new(settings: &KhsSettings) -> Rates {
        let number = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN); // 0 is no setting
        let quota = Quota::per_second(number(settings.requests_per_second));
        Rates { quota: quota.allow_burst(number(settings.requests_at_once)), by_token: HashMap::new() }
    }

    /// The same for these tokens; what the known ones have used up they have used up.
    pub fn renewed(&self, tokens: &Tokens) -> Rates {
        let limiter = |id: &String| {
            let known = self.by_token.get(id).cloned();
            known.unwrap_or_else(|| Arc::new(RateLimiter::direct(self.quota)))
        };
        let by_token = tokens.all().iter().map(|token| (token.id.clone(), limiter(&token.id))).collect();
        Rates { quota: self.quota, by_token }
    }

    /// Counts a request of a token.
    ///
    /// # Errors
    /// The seconds after which it may ask again.
    pub fn count(&self, id: &str) -> Result<(), u64> {
        self.take(id, 1)
    }

    /// Counts what it costs to tell of so many people, before it is done. Nothing costs more than half of what a token may
    /// have at once: else who asks for other things besides could never have it.
    ///
    /// # Errors
    /// The seconds after which it may be asked for again.
    pub fn count_people(&self, id: &str, people: u64) -> Result<(), u64> {
        let most = self.quota.burst_size().get() / 2;
        self.take(id, u32::try_from(people / PEOPLE).unwrap_or(u32::MAX).min(most))
    }

    fn take(&self, id: &str, cost: u32) -> Result<(), u64> {
        let (Some(limiter), Some(cost)) = (self.by_token.get(id), NonZeroU32::new(cost)) else {
            return Ok(());
        };
        let Ok(taken) = limiter.check_n(cost) else { return Ok(()) }; // more than it may have at once: cannot be
        taken.map_err(|until| {
            let wait = until.wait_time_from(DefaultClock::default().now());
            wait.as_secs() + 1
        })
    }
}

/// A body, whole.
///
/// # Errors
/// It is too large, comes too late, or breaks off.
pub async fn whole(headers: &HeaderMap, body: Body, settings: &KhsSettings) -> Result<Bytes, Refusal> {
    let said = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if said.is_some_and(|bytes| bytes > settings.body_bytes as u64) {
        return Err(unwanted(body, Refusal::too_large()).await);
    }
    let time = Duration::from_secs(settings.request_seconds.into());
    let late = |_| Err(Refusal::too_late().closing());
    timeout(time, gathered(body, settings.body_bytes)).await.unwrap_or_else(late)
}

async fn gathered(mut body: Body, most: usize) -> Result<Bytes, Refusal> {
    let mut first = Bytes::new();
    let mut all = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Refusal::broken_off().closing())?.into_data() else { continue };
        if first.len() + all.len() + data.len() > most {
            return Err(unwanted(body, Refusal::too_large()).await);
        }
        match (first.is_empty(), all.is_empty()) {
            (true, true) => first = data, // nearly always the only one
            _ => {
                if all.is_empty() {
                    all.extend_from_slice(&std::mem::take(&mut first));
                }
                all.extend_from_slice(&data);
            }
        }
    }
    Ok(if all.is_empty() { first } else { all.into() })
}

/// A refusal of a request whose body nobody wants; it says so if the connection ends with it.
pub async fn unwanted(body: Body, refusal: Refusal) -> Refusal {
    if drop_unwanted(body).await { refusal } else { refusal.closing() }
}

/// Reads on a little: a connection that is closed while its client still sends may lose it the answer. Whether that was
/// all of the body; if not, the connection cannot go on.
pub async fn drop_unwanted(mut body: Body) -> bool {
    if body.is_end_stream() {
        return true;
    }
    let reading = async {
        let mut bytes = 0;
        while let Some(frame) = body.frame().await {
            bytes += frame.ok()?.data_ref().map_or(0, Bytes::len);
            if bytes > UNWANTED_BYTES {
                return None;
            }
        }
        Some(())
    };
    matches!(timeout(UNWANTED_TIME, reading).await, Ok(Some(())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::StatusCode;
    use futures::stream;

    fn chunks(chunks: &[&'static str]) -> Body {
        let chunks: Vec<Result<_, std::io::Error>> = chunks.iter().map(|text| Ok(*text)).collect();
        Body::from_stream(stream::iter(chunks))
    }

    #[tokio::test]
    async fn bodies_are_whole_or_refused() {
        let settings = KhsSettings { body_bytes: 64, request_seconds: 1, ..KhsSettings::default() };
        let (none, a, b) = (HeaderMap::new(), "a".repeat(32), "b".repeat(33));
        let (a, b): (&'static str, &'static str) = (a.leak(), b.leak());
        let read = |body| whole(&none, body, &settings);
        assert_eq!(read(Body::empty()).await.unwrap(), "");
        assert_eq!(read(chunks(&[a])).await.unwrap(), a);
        assert_eq!(read(chunks(&["", a, "", a])).await.unwrap(), [a, a].concat());
        let status = |refused: Result<Bytes, Refusal>| refused.unwrap_err().status;
        assert_eq!(status(read(chunks(&[a, b])).await), StatusCode::PAYLOAD_TOO_LARGE);
        let broken = stream::iter([Ok("a"), Err(std::io::Error::other("gone"))]);
        assert_eq!(status(read(Body::from_stream(broken)).await), StatusCode::BAD_REQUEST);
        let never = stream::pending::<Result<&'static str, std::io::Error>>();
        assert_eq!(status(read(Body::from_stream(never)).await), StatusCode::REQUEST_TIMEOUT);
        let headers = HeaderMap::from_iter([(CONTENT_LENGTH, "65".parse().unwrap())]);
        let refused = whole(&headers, Body::empty(), &settings).await;
        assert_eq!(status(refused), StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[test]
    fn a_token_may_ask_so_often() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.csv");
        let issued = crate::khs::tokens::issue(&path, "141003", None).unwrap();
        let tokens = Tokens::read(&path).unwrap();
        let settings = KhsSettings { requests_per_second: 1, requests_at_once: 2, ..KhsSettings::default() };
        let rates = Rates::new(&settings).renewed(&tokens);
        assert!(rates.count(&issued.id).is_ok() && rates.count(&issued.id).is_ok());
        let rates = rates.renewed(&tokens);
        let wait = rates.count(&issued.id).unwrap_err();
        assert!((1..=2).contains(&wait), "{wait}: it is remembered when tokens are read again");
    }

    #[test]
    fn many_people_cost_more_but_never_more_than_half_of_what_a_token_may_have() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.csv");
        let [one, two] = [0, 1].map(|_| crate::khs::tokens::issue(&path, "141003", None).unwrap().id);
        let tokens = Tokens::read(&path).unwrap();
        let settings = KhsSettings { requests_per_second: 1, requests_at_once: 10, ..KhsSettings::default() };
        let rates = Rates::new(&settings).renewed(&tokens);
        assert!(rates.count(&one).is_ok() && rates.count_people(&one, PEOPLE - 1).is_ok(), "1");
        assert!(rates.count(&one).is_ok() && rates.count_people(&one, 4 * PEOPLE - 1).is_ok(), "1 and 3");
        assert!(rates.count_people(&one, u64::MAX).is_ok(), "half of what it may have");
        assert!(rates.count(&one).is_err());
        assert!(rates.count(&two).is_ok() && rates.count_people(&two, u64::MAX).is_ok());
        let wait = rates.count_people(&two, 5 * PEOPLE).unwrap_err();
        assert!((1..=2).contains(&wait), "{wait}");
        let settings = KhsSettings { requests_at_once: 1, ..settings };
        let rates = Rates::new(&settings).renewed(&tokens);
        assert!(rates.count(&one).is_ok() && rates.count_people(&one, 180_000).is_ok());
    }

    #[tokio::test]
    async fn a_refusal_says_when_the_connection_ends_with_it() {
        use axum::http::header::CONNECTION;
        let closes = |refusal: Refusal| refusal.headers.iter().any(|(name, _)| name == CONNECTION);
        assert!(!closes(unwanted(Body::empty(), Refusal::no_token()).await));
        assert!(!closes(unwanted(chunks(&["a", "b"]), Refusal::no_token()).await));
        let piece: &str = "a".repeat(1 << 20).leak();
        assert!(closes(unwanted(chunks(&[piece; 9]), Refusal::no_token()).await), "too much");
        let never = stream::pending::<Result<&'static str, std::io::Error>>();
        assert!(closes(unwanted(Body::from_stream(never), Refusal::no_token()).await), "too slow");
    }
}
