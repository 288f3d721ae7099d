//! A server for the commands that ask one.

use serde_json::Value;
use tokio::process::Command;

use crate::support::{Bench, Program, output, pgmill, stderr, stdout};

/// `pgmill run` on the database of a bench.
pub(crate) struct Served {
    pub(crate) bench: Bench,
    pub(crate) address: String,
    server: Option<Program>,
}

impl Served {
    pub(crate) async fn new() -> Self {
        Self::on(Bench::new().await).await
    }

    pub(crate) async fn on(bench: Bench) -> Self {
        let mut served = Self { bench, address: "127.0.0.1:0".to_owned(), server: None };
        served.start().await;
        served
    }

    /// Starts the server: at any address the first time, and at the same one from then on.
    pub(crate) async fn start(&mut self) {
        let url = self.bench.database.url();
        let mut command = pgmill(&["run", "--http.addr", &self.address, "--url", url]);
        // A line for each request would have to be read by somebody.
        command.env("RUST_LOG", "warn,pgmill=info,pgmill_server=warn");
        let mut server = Program::start(&mut command);
        let line: Value = serde_json::from_str(&server.says("http server starting").await).unwrap();
        self.address = line["addr"].as_str().expect("an address").to_owned();
        self.server = Some(server);
    }

    /// Stops the server, as a restart would.
    pub(crate) async fn stop(&mut self) {
        self.server.take().expect("it runs").stop().await;
    }

    /// The program, as it would ask this server.
    pub(crate) fn pgmill(&self, args: &[&str]) -> Command {
        let mut command = pgmill(args);
        command.env("PGMILL_ADDR", &self.address);
        command
    }

    /// What the program prints, which has to succeed.
    pub(crate) async fn text(&self, args: &[&str]) -> String {
        let output = output(&mut self.pgmill(args)).await;
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        assert_eq!(stderr(&output), "", "{args:?}");
        stdout(&output)
    }

    pub(crate) async fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.text(args).await).unwrap()
    }

    /// What the program says on standard error, which has to fail with exit code 1.
    pub(crate) async fn refusal(&self, args: &[&str]) -> String {
        let output = output(&mut self.pgmill(args)).await;
        assert_eq!(output.status.code(), Some(1), "{args:?}: {}", stderr(&output));
        assert_eq!(stdout(&output), "", "{args:?}");
        stderr(&output)
    }
}
