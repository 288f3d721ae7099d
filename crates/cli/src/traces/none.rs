//! A build that sends no traces.

use anyhow::bail;
use tokio::runtime::Handle;

use super::{TraceArgs, TraceLayer};
use crate::output;

const VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// No traces.
#[derive(Debug)]
pub(crate) struct Traces;

impl Traces {
    /// Refuses to send any. A variable may be meant for other programs of the machine, and is no reason to do nothing at all.
    pub(crate) fn open(args: Option<&TraceArgs>, _: &Handle) -> anyhow::Result<Self> {
        let Some(endpoint) = args.and_then(TraceArgs::endpoint) else { return Ok(Self) };
        if std::env::var(VARIABLE).is_ok_and(|variable| variable == endpoint) {
            output::note(&format!(
                "pgmill: this build sends no traces to {VARIABLE}: --features otel builds one that does"
            ));
            return Ok(Self);
        }
        bail!("this build sends no traces: build it with --features otel, or leave out --otel.endpoint");
    }

    pub(crate) fn layer(&self) -> Option<TraceLayer> {
        None
    }

    pub(crate) fn close(self) {}
}
