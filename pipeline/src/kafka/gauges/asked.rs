//! Values that stand elsewhere and are asked for when somebody reads them.

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// A value that is asked for; not shown while there is none.
pub(super) struct Asked<F> {
    kind: MetricType,
    value: F,
}

impl<F: Fn() -> Option<f64>> Asked<F> {
    pub(super) fn new(kind: MetricType, value: F) -> Asked<F> {
        Asked { kind, value }
    }
}

impl<F> fmt::Debug for Asked<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Asked")
    }
}

impl<F: Fn() -> Option<f64>> EncodeMetric for Asked<F> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let value = (self.value)().unwrap_or_default();
        match self.kind {
            MetricType::Counter => encoder.encode_counter::<[(&str, &str); 0], _, f64>(&value, None),
            _ => encoder.encode_gauge(&value),
        }
    }

    fn metric_type(&self) -> MetricType {
        self.kind
    }

    fn is_empty(&self) -> bool {
        (self.value)().is_none()
    }
}

/// Gauges by partition that are asked for.
pub(super) struct AskedByPartition<F>(F);

impl<F: Fn() -> BTreeMap<i32, i64>> AskedByPartition<F> {
    pub(super) fn new(values: F) -> AskedByPartition<F> {
        AskedByPartition(values)
    }
}

impl<F> fmt::Debug for AskedByPartition<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AskedByPartition")
    }
}

impl<F: Fn() -> BTreeMap<i32, i64>> EncodeMetric for AskedByPartition<F> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        for (partition, value) in (self.0)() {
            encoder.encode_family(&[("partition", partition)])?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }

    fn is_empty(&self) -> bool {
        (self.0)().is_empty()
    }
}

/// When something last happened; not shown until it did.
#[derive(Clone, Debug, Default)]
pub struct Moment(Arc<AtomicU64>);

impl Moment {
    /// It happened just now.
    pub fn now(&self) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.0.store(since.as_secs_f64().to_bits(), Ordering::Relaxed);
    }

    /// Seconds since 1970.
    pub(super) fn seconds(&self) -> Option<f64> {
        Some(f64::from_bits(self.0.load(Ordering::Relaxed))).filter(|seconds| *seconds > 0.0)
    }
}
