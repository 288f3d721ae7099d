//! Another program that works: this test binary, told by its environment to be one, so that
//! nothing but the database is between it and the test.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};

use pgmill::{Context, Outcome, QueueOptions, WorkerPool};
use tokio_util::sync::CancellationToken;

use crate::scene::{QUEUE, builder};

const URL: &str = "PGMILL_TEST_PROGRAM_URL";

/// A pool for the queue `q` in a process of its own, which is killed when this is dropped.
pub(crate) struct Program {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Program {
    pub(crate) async fn start(url: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "program::other_program", "--ignored", "--nocapture", "--test-threads=1"]);
        command.env(URL, url).stdout(Stdio::piped());
        tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().unwrap();
            let lines = BufReader::new(child.stdout.take().unwrap()).lines();
            Self { child, lines }
        })
        .await
        .unwrap()
    }

    /// The ids of the next tasks whose handler it starts.
    pub(crate) async fn started(mut self, count: usize) -> (Self, Vec<u64>) {
        tokio::task::spawn_blocking(move || {
            let mut ids = Vec::new();
            while ids.len() < count {
                let line = self.lines.next().expect("the program ended by itself").unwrap();
                if let Some((_, id)) = line.split_once("started: ") {
                    ids.push(id.parse().unwrap());
                }
            }
            (self, ids)
        })
        .await
        .unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may be dead already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by other tests as a program of its own"]
async fn other_program() {
    let Ok(url) = std::env::var(URL) else { return };
    let manager = builder(&url).await.unwrap();
    let pool = WorkerPool::builder(&manager).maintenance(false).build().unwrap();
    let handler = |context: Context| async move {
        println!("\nstarted: {}", context.id());
        Outcome::done_empty()
    };
    pool.register_raw(&[QUEUE], QueueOptions::new(), handler).await.unwrap();
    pool.run(CancellationToken::new()).await.unwrap();
}
