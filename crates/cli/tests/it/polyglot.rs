//! Workers and producers in other languages, as examples/python and examples/typescript have them, against the real server.

use std::path::PathBuf;
use std::process::Stdio;

use nix::sys::signal::Signal;
use pgmill::{AttemptOutcome, Status};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::served::Served;
use crate::support::{PATIENCE, send};

/// The queue of the examples.
const QUEUE: &str = "words";

/// A language and how its programs are started.
#[derive(Clone, Copy)]
enum Language {
    Python,
    TypeScript,
}

impl Language {
    fn command(self, program: &str) -> Command {
        let examples = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples"));
        let (interpreter, path) = match self {
            Self::Python => ("python3", examples.join("python").join(format!("{program}.py"))),
            Self::TypeScript => ("node", examples.join("typescript/dist").join(format!("{program}.js"))),
        };
        assert!(path.exists(), "{} is missing: `make examples/typescript/dist` compiles it", path.display());
        let mut command = Command::new(interpreter);
        command.arg(path).arg(QUEUE).kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::piped());
        command
    }
}

/// A program that prints what it does.
struct Example {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Example {
    fn start(command: &mut Command, served: &Served) -> Self {
        let url = format!("http://{}/api", served.address);
        let mut child = command.env("PGMILL_URL", url).env_remove("PGMILL_TOKEN").spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn worker(language: Language, served: &Served) -> Self {
        Self::start(language.command("worker").env("LEASE", "2"), served)
    }

    /// Has one text counted, which takes so many seconds.
    fn producer(language: Language, served: &Served, text: &str, seconds: &str) -> Self {
        Self::start(language.command("producer").arg(text).env("SECONDS", seconds), served)
    }

    /// The next line that holds this.
    async fn prints(&mut self, text: &str) -> String {
        let found = async {
            loop {
                match self.lines.next_line().await.unwrap() {
                    Some(line) if line.contains(text) => return line,
                    Some(_) => {}
                    None => panic!("it ended without printing {text:?}"),
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("it does not print {text:?}"))
    }

    fn signal(&self, signal: Signal) {
        send(self.child.id().expect("it runs"), signal);
    }

    async fn stop(mut self) {
        self.signal(Signal::SIGTERM);
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it ends").unwrap();
        assert!(ended.success(), "{ended}");
    }
}

/// The number in `task 17: …`.
fn id(line: &str) -> u64 {
    line.strip_prefix("task ").and_then(|rest| rest.split(':').next()).and_then(|id| id.parse().ok()).unwrap()
}

async fn counts_words(language: Language) {
    let served = Served::new().await;
    let mut producer = Example::producer(language, &served, "to be or not", "0");
    producer.prints("to be or not").await;
    let worker = Example::worker(language, &served);
    assert!(producer.prints("released").await.replace(' ', "").ends_with(r#"released{"words":4}"#));
    worker.stop().await;
}

/// A worker is killed in the middle of a task: another one runs it, once the lease has lapsed.
async fn a_crash(language: Language) {
    let served = Served::new().await;
    let mut producer = Example::producer(language, &served, "a b", "3");
    let id = id(&producer.prints("a b").await);
    let mut killed = Example::worker(language, &served);
    killed.prints("attempt 1").await;
    killed.signal(Signal::SIGKILL);
    let mut worker = Example::worker(language, &served);
    worker.prints("attempt 2").await;
    producer.prints("released").await;
    worker.stop().await;
    let task = served.bench.task(id).await;
    assert_eq!((task.status, task.attempt), (Some(Status::Released), 2));
    assert_eq!(task.attempts[0].outcome, AttemptOutcome::Lapsed);
}

/// A worker stands still for longer than its lease, while another one runs the task: what it reports when it goes on is
/// refused.
async fn a_lapsed_lease(language: Language) {
    let served = Served::new().await;
    let mut producer = Example::producer(language, &served, "a b c", "3");
    let id = id(&producer.prints("a b c").await);
    let mut stopped = Example::worker(language, &served);
    stopped.prints("attempt 1").await;
    stopped.signal(Signal::SIGSTOP);
    let mut worker = Example::worker(language, &served);
    worker.prints("attempt 2").await;
    producer.prints("released").await;
    let before = served.bench.task(id).await;
    stopped.signal(Signal::SIGCONT);
    stopped.prints("lost").await;
    assert_eq!(served.bench.task(id).await, before);
    stopped.stop().await;
    worker.stop().await;
}

#[tokio::test]
async fn python_produces_and_works() {
    counts_words(Language::Python).await;
}

#[tokio::test]
async fn the_task_of_a_python_worker_that_was_killed_runs_again() {
    a_crash(Language::Python).await;
}

#[tokio::test]
async fn a_python_worker_that_stood_still_for_longer_than_its_lease_changes_nothing() {
    a_lapsed_lease(Language::Python).await;
}

#[tokio::test]
async fn typescript_produces_and_works() {
    counts_words(Language::TypeScript).await;
}

#[tokio::test]
async fn the_task_of_a_typescript_worker_that_was_killed_runs_again() {
    a_crash(Language::TypeScript).await;
}

#[tokio::test]
async fn a_typescript_worker_that_stood_still_for_longer_than_its_lease_changes_nothing() {
    a_lapsed_lease(Language::TypeScript).await;
}
