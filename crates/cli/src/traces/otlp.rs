//! Traces over OTLP.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use hyper_rustls::HttpsConnectorBuilder;
use opentelemetry::global;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::tonic_types::transport::ClientTlsConfig;
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use rustls::crypto::ring;
use tokio::runtime::Handle;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;

use super::endpoint::{Endpoint, Headers, headers};
use super::{TraceArgs, TraceLayer};
use crate::output;

/// How long the collector has to take what it is sent.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long the end of the program waits for it.
const LAST: Duration = Duration::from_secs(5);

/// The traces of this process, which go to a collector if there is one.
#[derive(Debug)]
pub(crate) struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Gets ready to send. The collector is not asked for yet: it may come and go.
    pub(crate) fn open(args: Option<&TraceArgs>, runtime: &Handle) -> anyhow::Result<Self> {
        let Some((args, endpoint)) = args.and_then(|args| Some((args, args.endpoint()?))) else {
            return Ok(Self(None));
        };
        let headers = headers(args.headers.as_deref().unwrap_or_default())?;
        // Connections of gRPC are served by the runtime in which they are made.
        let _within = runtime.enter();
        let exporter = match Endpoint::parse(endpoint)? {
            Endpoint::Http(url) => by_http(&url, headers, runtime)?,
            Endpoint::Grpc(url) => by_grpc(&url, &headers)?,
        };
        let resource = Resource::builder().with_service_name(args.service.clone());
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter);
        let provider = provider.with_resource(resource.build()).build();
        global::set_text_map_propagator(TraceContextPropagator::new());
        Ok(Self(Some(provider)))
    }

    /// What spans are handed to: those of pgmill, and nobody else's.
    pub(crate) fn layer(&self) -> Option<TraceLayer> {
        let tracer = self.0.as_ref()?.tracer(env!("CARGO_BIN_NAME"));
        let layer = tracing_opentelemetry::layer().with_tracer(tracer);
        // Where in the source a span begins is nothing to those who run the program.
        let layer = layer.with_location(false).with_threads(false).with_tracked_inactivity(false);
        Some(layer.with_filter(Targets::new().with_target("pgmill", LevelFilter::INFO)).boxed())
    }

    /// Sends what was not sent yet.
    pub(crate) fn close(self) {
        if let Some(Err(error)) = self.0.map(|provider| provider.shutdown_with_timeout(LAST)) {
            output::note(&format!("pgmill: the last traces may not have been sent: {error}"));
        }
    }
}

fn by_http(url: &str, headers: Headers, runtime: &Handle) -> anyhow::Result<SpanExporter> {
    let runtime = runtime.clone();
    let client: Arc<dyn HttpClient> = if url.starts_with("https:") {
        let tls = HttpsConnectorBuilder::new().with_provider_and_native_roots(ring::default_provider());
        let tls = tls.context("the certificates that this machine trusts cannot be read")?;
        let client = HyperClient::new(tls.https_only().enable_http1().build(), TIMEOUT, None);
        Arc::new(OnRuntime { client, runtime })
    } else {
        Arc::new(OnRuntime { client: HyperClient::with_default_connector(TIMEOUT, None), runtime })
    };
    let built = SpanExporter::builder()
        .with_http()
        .with_shared_http_client(client)
        .with_endpoint(url)
        .with_headers(headers)
        .with_timeout(TIMEOUT)
        .build();
    built.with_context(|| format!("traces cannot be sent to {url}"))
}

fn by_grpc(url: &str, headers: &Headers) -> anyhow::Result<SpanExporter> {
    let headers = headers.try_into().context("the headers for the collector cannot be sent")?;
    let exporter = SpanExporter::builder().with_tonic().with_endpoint(url).with_timeout(TIMEOUT);
    let exporter = exporter.with_metadata(MetadataMap::from_headers(headers));
    let exporter = if url.starts_with("https:") {
        exporter.with_tls_config(ClientTlsConfig::new().with_native_roots())
    } else {
        exporter
    };
    exporter.build().with_context(|| format!("traces cannot be sent to {url}"))
}

/// A client for the thread that sends traces, which is none of the runtime's.
#[derive(Debug)]
struct OnRuntime<T> {
    client: T,
    runtime: Handle,
}

type Answer<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'a>>;

impl<T: HttpClient + Clone + 'static> HttpClient for OnRuntime<T> {
    fn send_bytes<'life, 'answer>(&'life self, request: Request<Bytes>) -> Answer<'answer>
    where
        'life: 'answer,
        Self: 'answer,
    {
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move { client.send_bytes(request).await });
        Box::pin(async move { sent.await? })
    }
}
