//! What the server counts, in OpenMetrics' text format.
//!
//! Promise: families are few and bounded: labels are interfaces, statuses and outcomes, never insurers, people or what a
//! request says. Counting never fails and decides nothing.

use super::Interface;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::time::Duration;
use tsumiage_pipeline::kafka::gauges::Exposed;

type Labels<const N: usize> = [(&'static str, &'static str); N];

/// All families.
pub struct Metrics {
    exposed: Exposed,
    requests: Family<Labels<2>, Counter>,
    seconds: Vec<(Interface, Histogram)>,
    /// Bytes of answers' bodies before compression.
    pub bytes: Counter,
    /// People served.
    pub people: Gauge,
    /// Good tokens or not, as many as the file has.
    pub tokens: Gauge,
    /// Connections open.
    pub connections: Gauge,
    reloads: Family<Labels<2>, Counter>,
    /// 1 if what is served is what the data folder and the token file say.
    pub fresh: Gauge,
}

impl Metrics {
    /// All at 0.
    pub fn new(version: &str) -> Metrics {
        let mut registry = Registry::with_prefix("tsumiage_khs");
        registry.register("build", "Version of the program", Info::new([("version", version.to_owned())]));
        let requests = Family::default();
        registry.register("requests", "Requests answered, by interface and status", requests.clone());
        let family: Family<Labels<1>, Histogram, fn() -> Histogram> = Family::new_with_constructor(histogram);
        let help = "Time from a request's head to the head of its answer";
        registry.register_with_unit("request", help, Unit::Seconds, family.clone());
        let of = |interface: Interface| {
            (interface, family.get_or_create(&[("interface", interface.label())]).clone())
        };
        let seconds = Interface::ALL.into_iter().map(of).collect();
        let bytes = Counter::default();
        let help = "Bytes of answers' bodies, before compression";
        registry.register_with_unit("answer", help, Unit::Bytes, bytes.clone());
        let reloads: Family<Labels<2>, Counter> = Family::default();
        for what in ["data", "tokens"] {
            for outcome in ["done", "failed"] {
                drop(reloads.get_or_create(&[("what", what), ("outcome", outcome)]));
            }
        }
        registry.register("reloads", "Times that data or tokens were read", reloads.clone());
        let mut gauge = |name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let people = gauge("people", "People served");
        let tokens = gauge("tokens", "Tokens in the token file");
        let connections = gauge("connections", "Connections open");
        let fresh = gauge("fresh", "0 if the newest data or tokens could not be read, else 1");
        let exposed = Exposed::new(registry);
        Metrics { exposed, requests, seconds, bytes, people, tokens, connections, reloads, fresh }
    }

    /// A request was answered.
    pub fn request(&self, interface: Interface, status: u16, took: Duration) {
        let labels = [("interface", interface.label()), ("status", status_label(status))];
        self.requests.get_or_create(&labels).inc();
        if let Some((_, histogram)) = self.seconds.iter().find(|(of, _)| *of == interface) {
            histogram.observe(took.as_secs_f64());
        }
    }

    /// Data or tokens were read, or could not be.
    pub fn reload(&self, what: &'static str, done: bool) {
        let outcome = if done { "done" } else { "failed" };
        self.reloads.get_or_create(&[("what", what), ("outcome", outcome)]).inc();
    }

    /// All families as text.
    ///
    /// # Errors
    /// A value cannot be written; none of ours is such.
    pub fn text(&self) -> Result<String, fmt::Error> {
        self.exposed.text()
    }
}

/// 0.1 ms to 6.5 s.
fn histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.000_1, 4.0, 9))
}

/// The statuses there are; the writer of the format escapes nothing, and labels must be few.
fn status_label(status: u16) -> &'static str {
    match status {
        200 => "200",
        206 => "206",
        400 => "400",
        401 => "401",
        403 => "403",
        404 => "404",
        405 => "405",
        408 => "408",
        413 => "413",
        416 => "416",
        429 => "429",
        500 => "500",
        503 => "503",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_told() {
        let metrics = Metrics::new("0");
        metrics.request(Interface::Json, 200, Duration::from_millis(1));
        metrics.request(Interface::Json, 999, Duration::from_millis(1));
        metrics.reload("tokens", false);
        metrics.people.set(3);
        metrics.bytes.inc_by(10);
        let text = metrics.text().unwrap();
        for line in [
            r#"tsumiage_khs_requests_total{interface="json",status="200"} 1"#,
            r#"tsumiage_khs_requests_total{interface="json",status="other"} 1"#,
            r#"tsumiage_khs_reloads_total{what="tokens",outcome="failed"} 1"#,
            r#"tsumiage_khs_reloads_total{what="data",outcome="done"} 0"#,
            r#"tsumiage_khs_request_seconds_count{interface="json"} 2"#,
            "tsumiage_khs_people 3",
            "tsumiage_khs_answer_bytes_total 10",
            "# EOF",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }
}
