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

/// How a program is asked to stop: by Ctrl-C, or by SIGTERM, as servers are.
#[derive(Debug)]
pub struct Stop {
    /// Cancelled at the first signal: what runs may come to its end.
    pub gently: CancellationToken,
    /// Cancelled at the second one: nothing is waited for any more.
    pub now: CancellationToken,
}

impl Stop {
    /// Listens for signals from now on.
    ///
    /// # Errors
    /// If the program cannot listen for them.
    pub fn at_signals() -> std::io::Result<Self> {
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let (gently, now) = (CancellationToken::new(), CancellationToken::new());
        let asked = [(gently.clone(), "stopping"), (now.clone(), "stopping at once")];
        tokio::spawn(async move {
            for (token, told) in asked {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                println!("{told}");
                token.cancel();
            }
        });
        Ok(Self { gently, now })
    }
}

/// What the README of the repository shows compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
