//! Where the traces of a command go. Only a build with the feature `otel` can send them.

#[cfg(feature = "otel")]
mod endpoint;
#[cfg(not(feature = "otel"))]
mod none;
#[cfg(feature = "otel")]
mod otlp;

use tracing_subscriber::{Layer, Registry};

#[cfg(not(feature = "otel"))]
pub(crate) use self::none::Traces;
#[cfg(feature = "otel")]
pub(crate) use self::otlp::Traces;

/// What spans are handed to.
pub(crate) type TraceLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Where traces go.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Traces")]
pub(crate) struct TraceArgs {
    /// Send traces over OTLP to this collector: http://host:port, https://host:port (to the path that follows, and
    /// /v1/traces), grpc://host:port, grpcs://host:port, or host:port, which is https. Needs a build with the feature `otel`.
    #[arg(long = "otel.endpoint", value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    endpoint: Option<String>,
    /// Headers to send along, as `name=value,name=value`.
    ///
    /// Arguments can be read by every user of the machine: `OTEL_EXPORTER_OTLP_HEADERS` cannot.
    #[arg(
        long = "otel.header",
        value_name = "HEADERS",
        env = "OTEL_EXPORTER_OTLP_HEADERS",
        hide_env_values = true
    )]
    headers: Option<String>,
    /// The name of the service in the traces.
    #[arg(
        long = "otel.name",
        value_name = "NAME",
        env = "OTEL_SERVICE_NAME",
        default_value = env!("CARGO_BIN_NAME")
    )]
    service: String,
}

impl TraceArgs {
    fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref().filter(|endpoint| !endpoint.is_empty())
    }
}
