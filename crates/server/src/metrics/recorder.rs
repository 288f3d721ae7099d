//! Where the counts of the library and of the server go.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// The bounds of the buckets of durations, in seconds: powers of 2 from about 1 ms to about a minute.
const SECONDS: [f64; 17] = [
    0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384,
    32.768, 65.536,
];
/// The bounds of the buckets of numbers of rows.
const ROWS: [f64; 6] = [1.0, 4.0, 16.0, 64.0, 256.0, 1_000.0];
/// How often what was recorded is put in its buckets, so that it does not pile up while nobody asks.
const UPKEEP: Duration = Duration::from_secs(5);

/// The recorder of this process for the facade [`metrics`], in the form in which Prometheus reads it. Cloning is cheap.
#[derive(Clone)]
pub struct Recorder(Arc<PrometheusHandle>);

/// Why there is no recorder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecorderError {
    /// The process has one already.
    #[error("the process has a recorder of metrics already: install this one before any other")]
    Installed,
}

impl Recorder {
    /// Installs a recorder for the whole process. To be done before a manager is made: what is counted before is lost. It
    /// needs no upkeep while [`upkeep`](Self::upkeep) runs, or somebody asks for the metrics now and then.
    ///
    /// # Errors
    /// [`RecorderError::Installed`] if the process has one, of whatever kind.
    pub fn install() -> Result<Self, RecorderError> {
        let suffixes = [("_seconds", &SECONDS[..]), ("_rows", &ROWS[..])];
        let builder = suffixes.into_iter().try_fold(PrometheusBuilder::new(), |builder, (suffix, bounds)| {
            builder.set_buckets_for_metric(Matcher::Suffix(suffix.to_owned()), bounds)
        });
        let recorder = builder.map_err(|_| RecorderError::Installed)?.build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|_| RecorderError::Installed)?;
        super::http::describe();
        crate::audit::describe();
        Ok(Self(handle.into()))
    }

    /// Puts in order what was recorded, again and again. Runs until it is dropped.
    pub async fn upkeep(&self) {
        let mut due = tokio::time::interval(UPKEEP);
        loop {
            due.tick().await;
            self.0.run_upkeep();
        }
    }

    /// Everything that was recorded, as text.
    pub(crate) fn render(&self) -> String {
        self.0.render()
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recorder")
    }
}
