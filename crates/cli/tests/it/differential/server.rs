//! `pgmill run` on a database.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr};

use crate::support::{PATIENCE, pgmill};

/// A server that ends with its value.
pub(crate) struct Server {
    /// Host and port.
    pub(crate) address: String,
    _child: Child,
    // Read on: a log that nobody reads could stop the server.
    _log: tokio::task::JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(url: &str) -> Self {
        let mut command = pgmill(&["run", url, "--http.addr", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = tokio::time::timeout(PATIENCE, address(&mut lines)).await.expect("the server starts");
        let log = tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { address, _child: child, _log: log }
    }

    pub(crate) fn port(&self) -> &str {
        self.address.rsplit(':').next().unwrap_or_default()
    }
}

async fn address(lines: &mut tokio::io::Lines<BufReader<ChildStderr>>) -> String {
    let mut heard = Vec::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        if let Some((_, after)) =
            line.split_once("127.0.0.1:").filter(|_| line.contains("http server starting"))
        {
            let port: String = after.chars().take_while(char::is_ascii_digit).collect();
            return format!("127.0.0.1:{port}");
        }
        heard.push(line);
    }
    panic!("no server, but {heard:?}");
}
