//! The tasks of the demo over HTTP, and what to look at.

use std::io;

use anyhow::Context;
use pgmill::{Manager, QueueName, TaskFilter};
use pgmill_server::{Options, Recorder, ServeError, ServeOptions};
use tokio::net::TcpListener;

use crate::serving::Serving;
use crate::shutdown::Shutdown;
use crate::{args, output};

/// Where it listens unless told otherwise: where the commands look for a server.
const ADDRESS: &str = "127.0.0.1:8080";
/// Where that is taken.
const ANY_PORT: &str = "127.0.0.1:0";

/// A server that listens, and serves when the work is done.
#[derive(Debug)]
pub(super) struct Visit {
    serving: Serving,
    listener: TcpListener,
}

impl Visit {
    pub(super) async fn prepare(
        manager: &Manager,
        recorder: Recorder,
        address: Option<&str>,
    ) -> anyhow::Result<Self> {
        let serving = Serving::new(manager, Options::new(), false, ServeOptions::new(), recorder).await?;
        let listener = match serving.listen(address.unwrap_or(ADDRESS)).await {
            Err(error) if address.is_none() && is_taken(&error) => {
                output::note(&format!(
                    "pgmill: {ADDRESS} is taken by another program, and so another port is used; --http.addr chooses one"
                ));
                serving.listen(ANY_PORT).await?
            }
            listener => listener?,
        };
        Ok(Self { serving, listener })
    }

    /// Prints what to try, and serves until a signal.
    pub(super) async fn receive(
        self,
        manager: &Manager,
        queue: &str,
        shutdown: &Shutdown,
    ) -> anyhow::Result<()> {
        let address = self.listener.local_addr()?.to_string();
        let first = TaskFilter::new().queue(QueueName::new(queue)?).limit(1);
        let first = manager.list_tasks(first).await.context("the tasks cannot be listed")?.body;
        let first = first.first().context("the tasks have been removed already")?;
        output::line(&invitation(&address, queue, first.id, self.serving.wants_tokens()));
        self.serving.run(self.listener, shutdown).await
    }
}

fn is_taken(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref(),
        Some(ServeError::Listen { source, .. }) if source.kind() == io::ErrorKind::AddrInUse
    )
}

/// Three commands, and a page.
fn invitation(address: &str, queue: &str, id: u64, wants_tokens: bool) -> String {
    let program = args::program();
    let (header, with) = if wants_tokens {
        (" -H \"Authorization: Bearer $PGMILL_TOKEN\"", ", with PGMILL_TOKEN set to a token of this database")
    } else {
        ("", "")
    };
    format!(
        "\nThe server is up at http://{address}, until Ctrl-C. To try next, in another terminal{with}:\n\n  \
         {program} status --http.addr {address}\n  \
         {program} tasks --queue {queue} --limit 5 --http.addr {address}\n  \
         curl -sS{header} http://{address}/api/task/{id}\n\n\
         All that it can be asked, to read in a browser: http://{address}/docs"
    )
}
