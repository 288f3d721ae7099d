//! The flags of the server around the interface.

use std::path::PathBuf;
use std::time::Duration;

use pgmill_server::{DEFAULT_MAX_BODY, DEFAULT_PREFIX, RateLimit, ServeOptions, TlsFiles};

use crate::{args, remote};

/// Where to listen unless something else is said: not at a name, which could be that of several addresses.
const ADDRESS: &str = "127.0.0.1:8080";

/// How requests reach the server, and what they may take.
#[derive(Debug, clap::Args)]
pub(super) struct HttpArgs {
    /// The address to listen at. Any but one of this machine alone needs TLS, and tokens. Default: `PGQUEUE_ADDR`, else
    /// 127.0.0.1:8080.
    #[arg(long = "http.addr", value_name = "HOST:PORT", env = "PGMILL_ADDR")]
    addr: Option<String>,
    /// What all paths begin with.
    #[arg(long = "http.prefix", value_name = "PATH", default_value = DEFAULT_PREFIX)]
    pub(super) prefix: String,
    /// Listen at any address without TLS: for a server behind something that encrypts. Tokens are needed still.
    #[arg(long = "http.insecure")]
    insecure: bool,
    /// An origin whose pages may ask (CORS), such as `https://app.example`. Can be given several times.
    #[arg(long = "http.cors", value_name = "ORIGIN")]
    cors: Vec<String>,
    /// A name under which the server may be asked though it asks for no tokens, beside localhost. Can be given several
    /// times.
    #[arg(long = "http.host", value_name = "NAME")]
    hosts: Vec<String>,
    /// Believe `X-Real-Ip`, `X-Forwarded-For`, `CF-Connecting-IP`, `True-Client-IP` and `X-Forwarded-Host`. Only behind a proxy that
    /// replaces them: otherwise anybody can write any address into the log.
    #[arg(long = "http.trust-proxy")]
    trust_proxy: bool,
    /// How many requests a second a token may send in the long run, or an address without one. Default: any number.
    #[arg(long = "http.rate", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// How many of them at once, after a pause. Default: as many as in a second.
    #[arg(long = "http.burst", value_name = "N", requires = "rate", value_parser = clap::value_parser!(u32).range(1..))]
    burst: Option<u32>,
    /// The longest body of a request, in bytes.
    #[arg(long = "http.max-body", value_name = "BYTES", default_value_t = DEFAULT_MAX_BODY)]
    pub(super) max_body: usize,
    /// The longest head of a request, in bytes; at least 8192. Default: 32768.
    #[arg(long = "http.max-header-bytes", value_name = "BYTES")]
    max_header_bytes: Option<usize>,
    /// How many headers a request may have. Default: 100.
    #[arg(long = "http.max-headers", value_name = "N")]
    max_headers: Option<usize>,
    /// How many connections may be open. Default: 20000, or as many as the limit of open files allows.
    #[arg(long = "http.max-connections", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) max_connections: Option<u32>,
    /// How long the head of a request may take. Default: 10s.
    #[arg(long = "http.header-time", value_name = "DURATION", value_parser = args::timeout)]
    header_time: Option<Duration>,
    /// How long the body of a request may take. Default: 1m.
    #[arg(long = "http.body-time", value_name = "DURATION", value_parser = args::timeout)]
    body_time: Option<Duration>,
    /// How long a request may take until its answer begins; what it asks to wait for is not counted. Default: 40s.
    #[arg(long = "http.request-time", value_name = "DURATION", value_parser = args::timeout)]
    request_time: Option<Duration>,
    /// How long a connection may be open without a request. Default: 2m.
    #[arg(long = "http.idle-time", value_name = "DURATION", value_parser = args::timeout)]
    idle_time: Option<Duration>,
    /// How long a client may read nothing of what is sent to it. Default: 30s.
    #[arg(long = "http.write-time", value_name = "DURATION", value_parser = args::timeout)]
    write_time: Option<Duration>,
    /// How long requests under way may take to end after the first SIGTERM or SIGINT.
    #[arg(long = "http.grace", value_name = "DURATION", default_value = "25s", value_parser = args::duration)]
    grace: Duration,
    /// The server's certificate and those of its authorities, as PEM. It is read again at SIGHUP, and when it changes.
    #[arg(long = "tls.cert", value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The private key of the certificate, as PEM.
    #[arg(long = "tls.key", value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// The name that the certificate must be for.
    #[arg(long = "tls.name", value_name = "NAME", requires = "cert")]
    name: Option<String>,
}

impl HttpArgs {
    pub(super) fn serve_options(&self) -> ServeOptions {
        let options =
            ServeOptions::new().insecure(self.insecure).trust_proxy(self.trust_proxy).grace(self.grace);
        let options = self.cors.iter().fold(options, ServeOptions::allow_origin);
        let options = self.hosts.iter().fold(options, ServeOptions::allow_host);
        let options = set(options, self.max_header_bytes, ServeOptions::max_header_bytes);
        let options = set(options, self.max_headers, ServeOptions::max_headers);
        let options = set(options, self.header_time, ServeOptions::header_time);
        let options = set(options, self.body_time, ServeOptions::body_time);
        let options = set(options, self.request_time, ServeOptions::request_time);
        let options = set(options, self.idle_time, ServeOptions::idle_time);
        let options = set(options, self.write_time, ServeOptions::write_time);
        set(options, self.tls(), ServeOptions::tls)
    }

    /// Where to listen.
    pub(super) fn address(&self) -> String {
        remote::named(self.addr.as_deref()).unwrap_or_else(|| ADDRESS.to_owned())
    }

    /// How often a client may ask, where that is limited.
    pub(super) fn rate_limit(&self) -> Option<RateLimit> {
        let limit = RateLimit::per_second(self.rate?);
        Some(self.burst.map_or(limit, |burst| limit.burst(burst)))
    }

    fn tls(&self) -> Option<TlsFiles> {
        let files = TlsFiles::new(self.cert.as_ref()?, self.key.as_ref()?);
        Some(match &self.name {
            Some(name) => files.name(name),
            None => files,
        })
    }
}

/// Sets what was given.
fn set<T>(
    options: ServeOptions,
    given: Option<T>,
    set: impl FnOnce(ServeOptions, T) -> ServeOptions,
) -> ServeOptions {
    match given {
        Some(given) => set(options, given),
        None => options,
    }
}
