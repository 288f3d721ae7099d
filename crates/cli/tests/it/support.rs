//! A database with a queue, and programs that can be watched and signalled.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgmill::{Manager, QueueMeta, Status, Task, TaskMeta};
use pgmill_testkit::{TestDatabase, TestServer, wait_until};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

/// Longer than anything takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// The queue of the tests.
pub(crate) const QUEUE: &str = "jobs";

/// The program, with nothing of the environment that would change what it does.
pub(crate) fn pgmill(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgmill"));
    command.args(args).kill_on_drop(true).stdin(Stdio::null());
    for variable in [
        "DATABASE_URL",
        "RUST_LOG",
        "PGMILL_DATA",
        "PGMILL_ADDR",
        "PGQUEUE_ADDR",
        "PGMILL_TOKEN",
        "NO_COLOR",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_SERVICE_NAME",
    ] {
        command.env_remove(variable);
    }
    command
}

pub(crate) async fn output(command: &mut Command) -> Output {
    tokio::time::timeout(PATIENCE, command.output()).await.expect("the program ends").unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A database with one queue, and a folder to leave signs in.
pub(crate) struct Bench {
    pub(crate) database: TestDatabase,
    pub(crate) manager: Manager,
    pub(crate) folder: TempDir,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(TestDatabase::create().await).await
    }

    pub(crate) async fn on(server: &TestServer) -> Self {
        Self::with(TestDatabase::create_on(server).await).await
    }

    async fn with(database: TestDatabase) -> Self {
        let manager = Manager::connect(database.url()).await.unwrap();
        manager.register_queue(QueueMeta::new(QUEUE).retries(3)).await.unwrap();
        Self { database, manager, folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) async fn create(&self, payload: &str) -> u64 {
        let meta = TaskMeta::raw(payload.parse().unwrap());
        self.manager.create_task(QUEUE, meta).await.unwrap().id
    }

    pub(crate) async fn task(&self, id: u64) -> Task {
        self.manager.get_task(id).await.unwrap()
    }

    pub(crate) async fn result(&self, id: u64) -> (Status, String) {
        let task = self.task(id).await;
        (task.status.unwrap(), task.result.map_or_else(|| "null".to_owned(), |json| json.as_str().to_owned()))
    }

    pub(crate) async fn wait_for(&self, id: u64, status: Status) {
        wait_until(&format!("task {id} to be {status}"), PATIENCE, async || {
            self.task(id).await.status == Some(status)
        })
        .await;
    }

    /// `pgmill work` on the queue with these options, running a shell script in the folder.
    pub(crate) fn work(&self, options: &[&str], script: &str) -> Command {
        let mut command = pgmill(&["work", QUEUE]);
        command.args(options).args(["--", "sh", "-c", script]);
        command.env("DATABASE_URL", self.database.url()).current_dir(self.folder.path());
        command
    }

    /// Runs the script for all tasks that wait, and returns what the worker printed.
    pub(crate) async fn work_until_empty(&self, options: &[&str], script: &str) -> String {
        let output = output(&mut self.work(options, script)).await;
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    }

    /// Creates a task, runs the script for it once, and returns its status and result.
    pub(crate) async fn run_one(&self, script: &str) -> (Status, String) {
        let id = self.create("null").await;
        let worker = Program::start(&mut self.work(&["--workers", "1"], script));
        wait_until("the attempt to end", PATIENCE, async || {
            !matches!(self.task(id).await.status, Some(Status::New | Status::Retained))
        })
        .await;
        worker.stop().await;
        self.result(id).await
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Waits until a script has left this sign, and returns what it holds.
    pub(crate) async fn sign(&self, name: &str) -> String {
        let path = self.path(name);
        wait_until(&format!("the file {name}"), PATIENCE, async || path.exists()).await;
        std::fs::read_to_string(path).unwrap().trim().to_owned()
    }
}

/// A program that runs.
pub(crate) struct Program {
    child: Child,
    results: Option<tokio::io::Lines<BufReader<ChildStdout>>>,
    remarks: tokio::io::Lines<BufReader<ChildStderr>>,
    heard: Vec<String>,
}

impl Program {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let results = BufReader::new(child.stdout.take().unwrap()).lines();
        let remarks = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, results: Some(results), remarks, heard: Vec::new() }
    }

    /// Waits until the program has said this on standard error, and returns the line.
    pub(crate) async fn says(&mut self, text: &str) -> String {
        let said = async {
            loop {
                if let Some(line) = self.heard.iter().find(|line| line.contains(text)) {
                    return line.clone();
                }
                match self.remarks.next_line().await.unwrap() {
                    Some(line) => self.heard.push(line),
                    None => panic!("the program ended without saying {text:?}, but {:?}", self.heard),
                }
            }
        };
        let said = tokio::time::timeout(PATIENCE, said).await;
        said.unwrap_or_else(|_| panic!("it does not say {text:?}"))
    }

    /// The first line with this that the program has said so far.
    pub(crate) fn said(&self, text: &str) -> String {
        self.heard.iter().find(|line| line.contains(text)).cloned().unwrap_or_default()
    }

    /// How often the program has said this so far.
    pub(crate) fn count(&self, text: &str) -> usize {
        self.heard.iter().filter(|line| line.contains(text)).count()
    }

    /// The next line on standard output.
    pub(crate) async fn line(&mut self) -> String {
        let results = self.results.as_mut().expect("not closed");
        let line = tokio::time::timeout(PATIENCE, results.next_line()).await.expect("a line");
        line.unwrap().unwrap_or_default()
    }

    /// The next line on standard output that begins like this.
    pub(crate) async fn line_with(&mut self, start: &str) -> String {
        loop {
            let line = self.line().await;
            if line.starts_with(start) {
                return line;
            }
        }
    }

    /// Closes its standard output.
    pub(crate) fn close(&mut self) {
        self.results = None;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        send(self.child.id().expect("it runs"), signal);
    }

    /// Waits for its end, and returns its exit code.
    pub(crate) async fn end(&mut self) -> Option<i32> {
        let status =
            tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("the program ends").unwrap();
        while let Ok(Some(line)) = self.remarks.next_line().await {
            self.heard.push(line);
        }
        status.code()
    }

    /// Asks it to end, which has to succeed.
    pub(crate) async fn stop(mut self) {
        self.signal(Signal::SIGTERM);
        assert_eq!(self.end().await, Some(0), "{:?}", self.heard);
    }
}

pub(crate) fn send(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid.try_into().unwrap()), signal).unwrap();
}

/// Whether the process runs; one that has ended but was not waited for does not.
pub(crate) fn runs(pid: &str) -> bool {
    let status = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    let state = status.rsplit_once(") ").map(|(_, rest)| rest.chars().next());
    !matches!(state, None | Some(Some('Z')))
}

pub(crate) async fn wait_for_end_of(pid: &str) {
    wait_until(&format!("process {pid} to end"), PATIENCE, async || !runs(pid)).await;
}
