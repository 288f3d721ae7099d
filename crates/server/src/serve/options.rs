//! How a server behaves.

use std::time::Duration;

use super::tls::TlsFiles;

/// How a [`Server`](crate::Server) behaves: limits for what clients may take.
///
/// ```
/// use std::time::Duration;
/// use pgmill_server::ServeOptions;
///
/// let options = ServeOptions::new().max_connections(1_000).request_time(Duration::from_secs(10));
/// ```
#[derive(Debug, Clone)]
pub struct ServeOptions {
    pub(crate) header_time: Duration,
    pub(crate) body_time: Duration,
    pub(crate) request_time: Duration,
    pub(crate) idle_time: Duration,
    pub(crate) write_time: Duration,
    pub(crate) max_header_bytes: usize,
    pub(crate) max_headers: usize,
    pub(crate) max_connections: usize,
    pub(crate) grace: Duration,
    pub(crate) tls: Option<TlsFiles>,
    pub(crate) insecure: bool,
    pub(crate) authenticated: bool,
    pub(crate) origins: Vec<String>,
    pub(crate) hosts: Vec<String>,
    pub(crate) trust_proxy: bool,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            header_time: Duration::from_secs(10),
            body_time: Duration::from_secs(60),
            // Longer than a statement may take, which ends then with its connection: a request that is given up before leaves
            // its statement to whoever gets the connection next.
            request_time: Duration::from_secs(40),
            idle_time: Duration::from_secs(120),
            write_time: Duration::from_secs(30),
            max_header_bytes: 32 << 10,
            max_headers: 100,
            max_connections: 20_000,
            grace: Duration::from_secs(25),
            tls: None,
            insecure: false,
            authenticated: false,
            origins: Vec::new(),
            hosts: Vec::new(),
            trust_proxy: false,
        }
    }
}

impl ServeOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How long a client may take for the head of a request, and for its first one together with the handshake of TLS.
    /// Then its connection is closed. Default 10 s.
    #[must_use]
    pub fn header_time(mut self, time: Duration) -> Self {
        self.header_time = time;
        self
    }

    /// How long a client may take for the body of a request. Then it is answered 408. Default 60 s.
    #[must_use]
    pub fn body_time(mut self, time: Duration) -> Self {
        self.body_time = time;
        self
    }

    /// How long a request may take until its answer begins, not counting the time that its body takes. Then it is
    /// answered 503. A request that is to wait for something may wait as long as it asked for besides; streams, once
    /// begun, may go on for ever. Default 40 s, which is longer than a statement may take.
    #[must_use]
    pub fn request_time(mut self, time: Duration) -> Self {
        self.request_time = time;
        self
    }

    /// How long a connection may be open without a request. Default 2 minutes: longer than common clients keep one
    /// (Go: 90 s), so that it is they who close it, and none sends a request into a connection that is being closed.
    #[must_use]
    pub fn idle_time(mut self, time: Duration) -> Self {
        self.idle_time = time;
        self
    }

    /// How long a client may read nothing of what is sent to it, be it an answer or a stream. Then its connection is
    /// closed. Over HTTP/2 it is how long a client may take for 16 KiB of an answer, or for what there is of it if that is
    /// less: then that request is reset, and the others of its connection go on. Default 30 s.
    #[must_use]
    pub fn write_time(mut self, time: Duration) -> Self {
        self.write_time = time;
        self
    }

    /// The longest head of a request in bytes; beyond it is 431. At least 8 KiB, which is also what less is taken for.
    /// Default 32 KiB.
    #[must_use]
    pub fn max_header_bytes(mut self, bytes: usize) -> Self {
        self.max_header_bytes = bytes.max(8 << 10);
        self
    }

    /// How many headers a request may have; beyond it is 431. Default 100.
    #[must_use]
    pub fn max_headers(mut self, headers: usize) -> Self {
        self.max_headers = headers;
        self
    }

    /// How many connections may be open. One beyond them is answered 503 and closed, at once. Default 20,000.
    #[must_use]
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// How long requests under way may take to end when the server is told to stop. Then they are cut. Default 25 s: less
    /// than the 30 s after which Kubernetes kills.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Serves by TLS, HTTP/2 included. Default: without.
    #[must_use]
    pub fn tls(mut self, files: TlsFiles) -> Self {
        self.tls = Some(files);
        self
    }

    /// Whether to listen without TLS where others than this machine can connect: when what encrypts is in front of it.
    /// Default `false`.
    #[must_use]
    pub fn insecure(mut self, insecure: bool) -> Self {
        self.insecure = insecure;
        self
    }

    /// Whether requests need a token. Default `false`; then nothing but addresses of the loopback interface are listened
    /// at, and only names of this machine are answered to in `Host`.
    #[must_use]
    pub fn authenticated(mut self, authenticated: bool) -> Self {
        self.authenticated = authenticated;
        self
    }

    /// Adds an origin whose pages may ask (CORS), such as `https://app.example`. Default: none but the server's own.
    #[must_use]
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.push(origin.into());
        self
    }

    /// Adds a name, without a port, under which the server may be asked though requests need no token. Default: the
    /// names of the loopback interface, the address that is listened at, and the [name of the
    /// certificate](TlsFiles::name).
    #[must_use]
    pub fn allow_host(mut self, host: impl Into<String>) -> Self {
        self.hosts.push(host.into());
        self
    }

    /// Whether to believe the headers in which a proxy tells whose request it passes on (`X-Real-Ip`, `X-Forwarded-For`,
    /// `CF-Connecting-IP`, `True-Client-IP`, and `X-Forwarded-Host`). Default `false`: without a proxy that replaces what
    /// clients write there, the log would hold whatever they like.
    #[must_use]
    pub fn trust_proxy(mut self, trust: bool) -> Self {
        self.trust_proxy = trust;
        self
    }
}
