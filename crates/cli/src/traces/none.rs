//! A build that sends no traces.

use anyhow::bail;
use tokio::runtime::Handle;

use super::{TraceArgs, TraceLayer};

/// No traces.
#[derive(Debug)]
pub(crate) struct Traces;

impl Traces {
    /// Refuses to send any.
    pub(crate) fn open(args: Option<&TraceArgs>, _: &Handle) -> anyhow::Result<Self> {
        if args.and_then(TraceArgs::endpoint).is_some() {
            bail!(
                "this build sends no traces: build it with --features otel, or leave out --otel.endpoint and \
                 OTEL_EXPORTER_OTLP_ENDPOINT"
            );
        }
        Ok(Self)
    }

    pub(crate) fn layer(&self) -> Option<TraceLayer> {
        None
    }

    pub(crate) fn close(self) {}
}
