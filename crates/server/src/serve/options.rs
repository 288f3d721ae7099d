//! How a server behaves.

use std::time::Duration;

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
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            header_time: Duration::from_secs(10),
            body_time: Duration::from_secs(60),
            request_time: Duration::from_secs(30),
            idle_time: Duration::from_secs(120),
            write_time: Duration::from_secs(30),
            max_header_bytes: 32 << 10,
            max_headers: 100,
            max_connections: 20_000,
            grace: Duration::from_secs(25),
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
    /// begun, may go on for ever. Default 30 s.
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
    /// closed. Default 30 s.
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
}
