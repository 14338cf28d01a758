//! What worker and sink tell of themselves while they run, in OpenMetrics' text format.
//!
//! Promise: families are few and bounded: labels are outcomes, reasons and partitions, never senders, file names,
//! people or what an option says. Counting never fails and decides nothing. Whatever belongs to a label known
//! beforehand is there from the start, at 0; a time is there once it was.

mod asked;
mod sink;
mod worker;

pub use asked::Moment;
pub use sink::{Held, SinkGauges};
pub use worker::WorkerGauges;

use super::link::Link;
use asked::{Asked, AskedByPartition};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Counters by a label whose values are known beforehand. They are words of ours: the format's writer escapes
/// nothing.
type By = Family<[(&'static str, &'static str); 1], Counter>;

/// A registry that can be read while it is counted.
#[derive(Clone, Debug)]
pub struct Exposed(Arc<Registry>);

impl Exposed {
    /// Content type of [`Exposed::text`].
    pub const CONTENT_TYPE: &'static str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// Of a registry whose families are all in it.
    pub fn new(registry: Registry) -> Exposed {
        Exposed(Arc::new(registry))
    }

    /// All families in OpenMetrics' text format.
    ///
    /// # Errors
    /// A value cannot be written; none of ours is such.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.0)?;
        Ok(text)
    }
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    /// All its records were accepted by the reader.
    Accepted,
    /// Some of its records were rejected.
    PartlyRejected,
    /// Rejected whole.
    Rejected,
    /// Its bytes were known.
    Duplicate,
}

impl Taken {
    /// Of a file that was read.
    fn of_read(file_rejected: bool, records_rejected: i64) -> Taken {
        match (file_rejected, records_rejected) {
            (true, _) => Taken::Rejected,
            (false, 0) => Taken::Accepted,
            (false, _) => Taken::PartlyRejected,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Taken::Accepted => "accepted",
            Taken::PartlyRejected => "partly_rejected",
            Taken::Rejected => "rejected",
            Taken::Duplicate => "duplicate",
        }
    }
}

/// A registry being filled. Names are without what the format appends: units, `_total`, `_info`.
struct Filling(Registry);

impl Filling {
    fn new(prefix: &str, version: &str) -> Filling {
        let mut registry = Registry::with_prefix(prefix);
        registry.register("build", "Version of the program", Info::new([("version", version.to_owned())]));
        Filling(registry)
    }

    fn counter(&mut self, name: &str, help: &str) -> Counter {
        let counter = Counter::default();
        self.0.register(name, help, counter.clone());
        counter
    }

    fn bytes(&mut self, name: &str, help: &str) -> Counter {
        let counter = Counter::default();
        self.0.register_with_unit(name, help, Unit::Bytes, counter.clone());
        counter
    }

    /// Counters by a label with these values.
    fn by(&mut self, name: &str, help: &str, label: &'static str, values: &[&'static str]) -> By {
        let family = By::default();
        for value in values {
            drop(family.get_or_create(&[(label, *value)]));
        }
        self.0.register(name, help, family.clone());
        family
    }

    fn gauge(&mut self, name: &str, help: &str) -> Gauge {
        let gauge = Gauge::default();
        self.0.register(name, help, gauge.clone());
        gauge
    }

    /// A time.
    fn moment(&mut self, name: &str, help: &str) -> Moment {
        let moment = Moment::default();
        let at = moment.clone();
        let asked = Asked::new(MetricType::Gauge, move || at.seconds());
        self.0.register_with_unit(name, help, Unit::Seconds, asked);
        moment
    }

    /// A counter that stands elsewhere; `None` = not there yet.
    fn ask(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        value: impl Fn() -> Option<f64> + Send + Sync + 'static,
    ) {
        let asked = Asked::new(MetricType::Counter, value);
        match unit {
            Some(unit) => self.0.register_with_unit(name, help, unit, asked),
            None => self.0.register(name, help, asked),
        }
    }

    /// Gauges by partition that stand elsewhere.
    fn ask_by_partition(
        &mut self,
        name: &str,
        help: &str,
        values: impl Fn() -> BTreeMap<i32, i64> + Send + Sync + 'static,
    ) {
        self.0.register(name, help, AskedByPartition::new(values));
    }

    /// How the link does.
    fn link(&mut self, link: &Link) {
        let (reached, retried) = (link.clone(), link.clone());
        let up = Asked::new(MetricType::Gauge, move || Some(f64::from(!reached.pulse().is_down())));
        self.0.register("brokers_reachable", "0 if no broker can be reached, else 1", up);
        let help = "Requests to brokers that had to be sent again";
        self.ask("retries", help, None, move || Some(retried.pulse().retries() as f64));
    }

    fn exposed(self) -> Exposed {
        Exposed(Arc::new(self.0))
    }
}

fn count(family: &By, label: &'static str, value: &'static str) {
    family.get_or_create(&[(label, value)]).inc();
}

fn set(gauge: &Gauge, value: impl TryInto<i64>) {
    gauge.set(value.try_into().unwrap_or(i64::MAX));
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may fail loudly
mod tests {
    use super::super::link::Options;
    use super::*;

    pub(super) fn link() -> Link {
        Link::new("127.0.0.1:1", "tsumiage.test", Options::default()).unwrap()
    }

    /// Samples of a text, after checking it as a strict parser would: every family described once and ended
    /// with a full stop, no sample without a family or twice, counters with their suffix, units in the names.
    pub(super) fn samples(exposed: &Exposed) -> BTreeMap<String, f64> {
        let text = exposed.text().unwrap();
        let body = text.strip_suffix("# EOF\n").unwrap();
        let (mut families, mut samples) = (BTreeMap::new(), BTreeMap::new());
        let mut family = "";
        for line in body.lines() {
            let mut words = line.splitn(4, ' ');
            match (words.next().unwrap(), words.next().unwrap(), words.next(), words.next()) {
                ("#", "HELP", Some(name), Some(help)) => {
                    assert!(help.ends_with('.') && families.insert(name, "").is_none(), "{line}");
                    family = name;
                }
                ("#", "TYPE", Some(name), Some(kind)) => {
                    assert_eq!(name, family);
                    families.insert(name, kind);
                }
                ("#", "UNIT", Some(name), Some(unit)) => {
                    assert!(name == family && name.ends_with(&format!("_{unit}")), "{line}");
                }
                (sample, value, None, None) => {
                    let name = sample.split_once('{').map_or(sample, |(name, _)| name);
                    let suffix = match families[family] {
                        "counter" => "_total",
                        "info" => "_info",
                        _ => "",
                    };
                    assert_eq!(name, format!("{family}{suffix}"), "{line}");
                    assert!(samples.insert(sample.to_owned(), value.parse().unwrap()).is_none(), "{line}");
                }
                _ => panic!("{line}"),
            }
        }
        samples
    }
}
