//! An example that runs, and can be asked and signalled.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgmill_testkit::TestDatabase;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// An example that runs, on a database of its own.
pub(crate) struct Example {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    printed: Vec<String>,
    _database: TestDatabase,
}

impl Example {
    pub(crate) async fn start(name: &str) -> Self {
        let database = TestDatabase::create().await;
        // Beside the folder of this test, where Cargo has built it.
        let mut program = std::env::current_exe().unwrap();
        program.pop();
        program = PathBuf::from(program.parent().unwrap()).join("examples").join(name);
        let mut command = Command::new(&program);
        command.env("DATABASE_URL", database.url()).env("ADDRESS", "127.0.0.1:0").kill_on_drop(true);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines, printed: Vec::new(), _database: database }
    }

    /// Waits until it has printed a line that contains this, and returns the line.
    pub(crate) async fn prints(&mut self, text: &str) -> String {
        let printed = async {
            loop {
                if let Some(line) = self.printed.iter().find(|line| line.contains(text)) {
                    return line.clone();
                }
                match self.lines.next_line().await.unwrap() {
                    Some(line) => self.printed.push(line),
                    None => panic!("it ended without printing {text:?}, but {:?}", self.printed),
                }
            }
        };
        timeout(PATIENCE, printed).await.unwrap_or_else(|_| panic!("it does not print {text:?}"))
    }

    /// Ctrl-C.
    pub(crate) fn interrupt(&self) {
        let pid = self.child.id().expect("it runs").try_into().unwrap();
        kill(Pid::from_raw(pid), Signal::SIGINT).unwrap();
    }

    /// Waits for its end, which has to be a good one, and returns all it has printed.
    pub(crate) async fn end(mut self) -> Vec<String> {
        let ended = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                self.printed.push(line);
            }
            self.child.wait().await.unwrap()
        };
        let status = timeout(PATIENCE, ended).await.expect("it ends");
        assert!(status.success(), "{status}: {:?}", self.printed);
        self.printed
    }
}

/// What a server answers to a request.
pub(crate) async fn request(address: &str, what: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let text = format!(
        "{what} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("an answer").unwrap();
    answer
}
