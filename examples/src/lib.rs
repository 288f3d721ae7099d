//! What all examples have in common: a database to run on, and how they are asked to stop.

use std::error::Error;

use pgmill_embedded::Embedded;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The database that `DATABASE_URL` names or, without it, a PostgreSQL that lives as long as this.
#[derive(Debug)]
pub struct Database {
    url: String,
    _server: Option<Embedded>,
}

impl Database {
    /// Starts the server if it needs one.
    ///
    /// # Errors
    /// If no server starts: PostgreSQL's programs are missing, for one.
    pub async fn open() -> Result<Self, Box<dyn Error>> {
        if let Ok(url) = std::env::var("DATABASE_URL") {
            return Ok(Self { url, _server: None });
        }
        let server = tokio::task::spawn_blocking(|| Embedded::builder().ephemeral().start()).await??;
        Ok(Self { url: server.url(), _server: Some(server) })
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// A token that is cancelled at Ctrl-C, and at SIGTERM, which is how servers are asked to stop.
///
/// # Errors
/// If the program cannot listen for them.
pub fn until_asked_to_stop() -> std::io::Result<CancellationToken> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let token = CancellationToken::new();
    let asked = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        println!("stopping");
        asked.cancel();
    });
    Ok(token)
}

/// What the README of the repository shows compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
