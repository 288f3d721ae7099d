//! The settings of a client.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use pgmill_schema::Namespace;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use reqwest::{Url, redirect};

use crate::client::{Client, Shared};
use crate::feed::Upkeep;
use crate::trace::{Trace, TraceEvent};
use crate::{Error, Secret, tls};

const TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const RETRIES: u32 = 3;
const PROGRAM: &str = concat!("pgmill-client/", env!("CARGO_PKG_VERSION"));

pub(crate) const NAMESPACE: HeaderName = HeaderName::from_static("pgmill-namespace");

/// The settings of a [`Client`]. Only [`build`](ClientBuilder::build) can fail.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct ClientBuilder {
    endpoint: String,
    token: Option<Secret>,
    namespace: Option<Namespace>,
    timeout: Duration,
    connect_timeout: Duration,
    retries: u32,
    authorities: Vec<Vec<u8>>,
    user_agent: String,
    upkeep: Upkeep,
    trace: Option<Trace>,
}

impl ClientBuilder {
    pub(crate) fn new(endpoint: impl Into<String>) -> ClientBuilder {
        ClientBuilder {
            endpoint: endpoint.into(),
            token: None,
            namespace: None,
            timeout: TIMEOUT,
            connect_timeout: CONNECT_TIMEOUT,
            retries: RETRIES,
            authorities: Vec::new(),
            user_agent: PROGRAM.to_owned(),
            upkeep: Upkeep::default(),
            trace: None,
        }
    }

    /// Sets the token that proves who is asking. Default none, or the password in the endpoint, if it has one.
    pub fn token(self, token: impl Into<Secret>) -> ClientBuilder {
        ClientBuilder { token: Some(token.into()), ..self }
    }

    /// Sets the namespace that is asked for, on a server that serves several. Default that of the server.
    pub fn namespace(self, namespace: Namespace) -> ClientBuilder {
        ClientBuilder { namespace: Some(namespace), ..self }
    }

    /// Sets how long a request may take, from the first byte to the last of the answer. Default 30 s. A retain that waits
    /// for tasks has this on top of what it waits; streams have it for the head of the answer only.
    pub fn timeout(self, timeout: Duration) -> ClientBuilder {
        ClientBuilder { timeout, ..self }
    }

    /// Sets how long it may take to connect, TLS included. Default 10 s.
    pub fn connect_timeout(self, timeout: Duration) -> ClientBuilder {
        ClientBuilder { connect_timeout: timeout, ..self }
    }

    /// Sets how often at most a request is sent again after a transient failure. Default 3; with 0 never. The pauses are
    /// 100 ms, 200 ms and so on up to 5 s, less up to half of that by chance, or what the server asks for by `Retry-After`,
    /// if that is at most 30 s.
    ///
    /// Each method says when its request is sent again at all; a request that got no answer in time never is.
    pub fn retries(self, retries: u32) -> ClientBuilder {
        ClientBuilder { retries, ..self }
    }

    /// Sets after which time without a byte a stream takes its connection for dead and connects again. Default 30 s; a server
    /// sends something every 10 s.
    pub fn stream_silence(mut self, silence: Duration) -> ClientBuilder {
        self.upkeep.silence = silence;
        self
    }

    /// Sets the pauses before a stream connects again: the first, and the longest that they double up to. Default 1 s and 30 s.
    /// Of each, up to half is left out by chance.
    pub fn stream_pauses(mut self, first: Duration, longest: Duration) -> ClientBuilder {
        self.upkeep.pause = first;
        self.upkeep.longest_pause = longest.max(first);
        self
    }

    /// Trusts servers whose certificates this authority signed, besides those that the machine trusts. PEM, one certificate
    /// or several; may be called more than once.
    pub fn ca_certificate(mut self, pem: impl Into<Vec<u8>>) -> ClientBuilder {
        self.authorities.push(pem.into());
        self
    }

    /// Sets as which program the client introduces itself. Default `pgmill-client/` and its version.
    pub fn user_agent(self, user_agent: impl Into<String>) -> ClientBuilder {
        ClientBuilder { user_agent: user_agent.into(), ..self }
    }

    /// Tells this function each request and the head of each answer, as they are sent and as they come. It is called in
    /// between, so it must not take long.
    pub fn trace(self, hook: impl Fn(&TraceEvent<'_>) + Send + Sync + 'static) -> ClientBuilder {
        ClientBuilder { trace: Some(Trace::new(hook)), ..self }
    }

    /// Makes the client. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// An [`Error`] that says what is wrong with the endpoint, the token, the user agent or a certificate.
    pub fn build(self) -> Result<Client, Error> {
        let (endpoint, credentials) = endpoint(&self.endpoint)?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, header(&self.user_agent, "user agent")?);
        if let Some(token) = self.token.or(credentials) {
            let mut value = header(&format!("Bearer {}", token.reveal()), "token")?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let builder = reqwest::Client::builder()
            .connect_timeout(self.connect_timeout)
            // Servers close idle connections after some 30 s, and a request that crosses with that is lost.
            .pool_idle_timeout(Duration::from_secs(20))
            .tcp_keepalive(Duration::from_secs(30))
            // A redirect would turn a PUT into a GET, or take a token elsewhere.
            .redirect(redirect::Policy::none())
            // What may be repeated is decided by operation, see `retry`.
            .retry(reqwest::retry::never())
            .tls_backend_preconfigured(tls::config(endpoint.scheme() == "https", &self.authorities)?);
        // A proxy is for other machines, as the reference's client has it too.
        let builder = if is_local(&endpoint) { builder.no_proxy() } else { builder };
        let http = builder.build().map_err(Error::transport)?;
        let Self { timeout, retries, upkeep, trace, .. } = self;
        let shared = Shared { http, endpoint, headers, timeout, retries, upkeep, trace };
        let client = Client { shared: Arc::new(shared), namespace: None };
        Ok(match self.namespace {
            Some(namespace) => client.with_namespace(&namespace),
            None => client,
        })
    }
}

fn endpoint(text: &str) -> Result<(Url, Option<Secret>), Error> {
    let wrong = |reason: &str| {
        Error::invalid(format!("endpoint {reason}: want an address such as http://localhost:8080/api"))
    };
    let mut url = Url::parse(text.trim()).map_err(|error| wrong(&format!("cannot be read ({error})")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("must begin with http:// or https://"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("must not have a query or a fragment"));
    }
    let credentials = match url.password().unwrap_or(url.username()) {
        "" => None,
        text => Some(decoded(text).map(Secret::from).ok_or_else(|| wrong("has a token that is not UTF-8"))?),
    };
    // Neither fails for http and https.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok((url, credentials))
}

/// Undoes percent-encoding.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match (first, digits.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

fn header(text: &str, what: &str) -> Result<HeaderValue, Error> {
    HeaderValue::from_str(text).map_err(|_| {
        Error::invalid(format!("{what} has a character that cannot be sent: want visible ASCII characters"))
    })
}

fn is_local(endpoint: &Url) -> bool {
    endpoint.host_str().is_some_and(|host| {
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    })
}
