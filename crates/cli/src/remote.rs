//! The server of a command: where it is, and who is asking.

use std::path::PathBuf;

use anyhow::{Context, bail};
use pgmill::Namespace;
use pgmill_client::{Client, ClientBuilder, TraceEvent};
use tracing::Level;

use crate::show::Show;
use crate::{args, output};

/// Where a server is looked for that nothing else is said of.
const ADDRESS: &str = "localhost:8080";
/// The variable of the reference's command line.
const OLD_VARIABLE: &str = "PGQUEUE_ADDR";

/// Which server to ask, and how to print its answer.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Server and output")]
pub(crate) struct RemoteArgs {
    /// The address of the server, as host:port or as a URL. Default: `PGQUEUE_ADDR`, else localhost:8080.
    ///
    /// Port 443 is spoken to over TLS, any other without; a URL that begins with https:// always over TLS.
    #[arg(long = "http.addr", value_name = "ADDRESS", env = "PGMILL_ADDR")]
    address: Option<String>,
    #[command(flatten)]
    access: AccessArgs,
    /// The namespace, on a server that serves several. Default: that of the server.
    #[arg(long, value_name = "NAME", value_parser = args::namespace)]
    namespace: Option<Namespace>,
    /// Print JSON on a terminal, too.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    _tracing: TracingArgs,
}

/// How to get at a server.
#[derive(Debug, clap::Args)]
pub(crate) struct AccessArgs {
    /// What the paths of the server begin with.
    #[arg(long = "http.prefix", value_name = "PATH", default_value = "/api")]
    prefix: String,
    /// The token that proves who is asking. Arguments can be read by every user of the machine: `PGMILL_TOKEN` cannot.
    #[arg(long, value_name = "TOKEN", env = "PGMILL_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// A file with certificates of authorities to trust besides those that the machine trusts, as PEM.
    #[arg(long = "tls.ca", value_name = "FILE", env = "PGMILL_CA")]
    authorities: Option<PathBuf>,
}

/// What the reference's command line has besides. These commands make no traces of their own.
#[derive(Debug, clap::Args)]
struct TracingArgs {
    #[arg(long = "otel.endpoint", hide = true)]
    _endpoint: Option<String>,
    #[arg(long = "otel.header", hide = true)]
    _header: Option<String>,
    #[arg(long = "otel.name", hide = true)]
    _name: Option<String>,
}

impl RemoteArgs {
    /// A client of the server.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        let address = named(self.address.as_deref()).unwrap_or_else(|| ADDRESS.to_owned());
        let mut builder = self.access.builder(&address)?;
        if let Some(namespace) = &self.namespace {
            builder = builder.namespace(namespace.clone());
        }
        Ok(builder.build()?)
    }

    /// Whether to print tables, for people.
    pub(crate) fn is_for_people(&self) -> bool {
        !self.json && output::is_for_people()
    }

    /// Prints an answer.
    pub(crate) fn print(&self, answer: &impl Show) -> anyhow::Result<()> {
        if self.is_for_people() {
            output::line(&answer.show());
            return Ok(());
        }
        output::object(answer)
    }
}

impl AccessArgs {
    /// A client of the server at this address, to be set up further.
    pub(crate) fn builder(&self, address: &str) -> anyhow::Result<ClientBuilder> {
        let mut builder = Client::builder(endpoint(address, &self.prefix)?)
            .user_agent(concat!("pgmill/", env!("CARGO_PKG_VERSION")));
        if let Some(token) = self.token.as_deref().filter(|token| !token.is_empty()) {
            builder = builder.token(token);
        }
        if let Some(file) = &self.authorities {
            let pem = std::fs::read(file)
                .with_context(|| format!("the certificates in {} cannot be read", file.display()))?;
            builder = builder.ca_certificate(pem);
        }
        if tracing::enabled!(Level::DEBUG) {
            builder = builder.trace(trace);
        }
        Ok(builder)
    }
}

/// The address of the server: what was given, or else the variable of the reference. What is empty is not given.
pub(crate) fn named(given: Option<&str>) -> Option<String> {
    let set = |text: &String| !text.is_empty();
    given.map(str::to_owned).filter(set).or_else(|| std::env::var(OLD_VARIABLE).ok().filter(set))
}

/// The URL of a server, with the prefix of its paths.
fn endpoint(address: &str, prefix: &str) -> anyhow::Result<String> {
    let prefix = match prefix.trim_matches('/') {
        "" => String::new(),
        prefix => format!("/{prefix}"),
    };
    if let Some((_, rest)) = address.split_once("://") {
        // A URL with a path has the prefix in it.
        let bare = !rest.trim_end_matches('/').contains('/');
        let address = address.trim_end_matches('/');
        return Ok(if bare { format!("{address}{prefix}") } else { address.to_owned() });
    }
    let Some((host, port)) = address.rsplit_once(':').filter(|(_, port)| !port.contains(']')) else {
        bail!("address {address}: missing port in address");
    };
    if host.contains(':') && !(host.starts_with('[') && host.ends_with(']')) {
        bail!("address {address}: too many colons in address");
    }
    let host = if host.is_empty() { "localhost" } else { host };
    let scheme = if port == "443" { "https" } else { "http" };
    Ok(format!("{scheme}://{host}:{port}{prefix}"))
}

/// Shows an exchange with the server, in the words of the reference.
fn trace(event: &TraceEvent<'_>) {
    match event {
        TraceEvent::Request { method, url, headers, body, .. } => {
            output::note(&format!("request: {method} {url}"));
            for (name, value) in *headers {
                output::note(&format!("  => {name}: {value:?}"));
            }
            if let Some(body) = body {
                output::note(&format!("  => {body}"));
            }
        }
        TraceEvent::Response { status, headers, took, .. } => {
            output::note(&format!("response: {status}"));
            for (name, value) in *headers {
                output::note(&format!("  <= {name}: {value:?}"));
            }
            output::note(&format!("  Took {} ms", took.as_millis()));
        }
        TraceEvent::Failed { error, took, .. } => {
            output::note(&format!("error: {error}\n  Took {} ms", took.as_millis()));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::endpoint;

    #[test]
    fn an_address_becomes_the_url_that_the_reference_would_ask() {
        for (address, prefix, url) in [
            ("localhost:8080", "/api", "http://localhost:8080/api"),
            (":18080", "v1/", "http://localhost:18080/v1"),
            ("queue.example.org:443", "/api", "https://queue.example.org:443/api"),
            ("[::1]:8080", "", "http://[::1]:8080"),
            ("127.0.0.1:1", "/", "http://127.0.0.1:1"),
            ("https://queue.example.org", "/api", "https://queue.example.org/api"),
            ("https://queue.example.org:8443/", "/api", "https://queue.example.org:8443/api"),
            ("http://proxy/queue/", "/api", "http://proxy/queue"),
        ] {
            assert_eq!(endpoint(address, prefix).unwrap(), url);
        }
    }

    #[test]
    fn an_address_without_a_port_is_refused_in_the_words_of_the_reference() {
        let refusal = |address| endpoint(address, "/api").unwrap_err().to_string();
        assert_eq!(refusal("nohost"), "address nohost: missing port in address");
        assert_eq!(refusal("[::1]"), "address [::1]: missing port in address");
        assert_eq!(refusal("::1"), "address ::1: too many colons in address");
    }
}
