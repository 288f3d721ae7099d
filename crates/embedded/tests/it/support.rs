//! Queries, programs that can be killed, and waiting for what they leave behind.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Lines, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, User};
use pgmill_embedded::{Embedded, StopMode, find_installation};
use tempfile::TempDir;

/// A folder that the server's user can reach.
pub(crate) fn folder() -> TempDir {
    tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir().unwrap()
}

/// A persistent server in the folder.
pub(crate) fn start_in(folder: &Path) -> Embedded {
    Embedded::builder().data_dir(folder).start().unwrap()
}

pub(crate) fn psql() -> Command {
    let mut command = Command::new(find_installation().unwrap().psql);
    command
        .args(["-X", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1"])
        .env("LC_ALL", "C")
        .env_remove("PGPASSWORD");
    command
}

pub(crate) fn try_query(url: &str, sql: &str) -> Output {
    psql().args(["-c", sql, url]).output().unwrap()
}

pub(crate) fn query(url: &str, sql: &str) -> String {
    let output = try_query(url, sql);
    assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Waits until it holds, at most half a minute.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(30), "still not so after 30 s: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Whether the process runs; one that has ended but was not waited for does not.
pub(crate) fn runs(pid: u32) -> bool {
    let output = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().unwrap();
    let state = String::from_utf8(output.stdout).unwrap();
    !state.trim().is_empty() && !state.trim().starts_with('Z')
}

pub(crate) fn kill_hard(pid: u32) {
    kill(Pid::from_raw(pid.try_into().unwrap()), Signal::SIGKILL).unwrap();
}

/// The user that servers run as, when that is another than ours.
fn server_user() -> Option<User> {
    let known = || ["postgres", "nobody"].iter().find_map(|name| User::from_name(name).unwrap());
    Uid::effective().is_root().then(|| known().unwrap())
}

pub(crate) fn as_server_user(command: &mut Command) -> &mut Command {
    if let Some(user) = server_user() {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw()).current_dir("/");
    }
    command
}

/// A folder that belongs to the user that servers run as.
pub(crate) fn folder_of_server_user() -> TempDir {
    let folder = folder();
    if let Some(user) = server_user() {
        chown(folder.path(), Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
    }
    folder
}

/// Another program that runs a server: this test binary, told by its environment to be one.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    answers: Lines<BufReader<ChildStdout>>,
}

/// What the other program says of its server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) pid: u32,
    pub(crate) owned: bool,
    pub(crate) data_dir: PathBuf,
    pub(crate) url: String,
}

impl Program {
    pub(crate) fn command(exe: &Path) -> Command {
        let mut command = Command::new(exe);
        command.args(["--exact", "support::other_program", "--ignored", "--nocapture", "--test-threads=1"]);
        command.env("PGMILL_TEST_MODE", "persistent").stdin(Stdio::piped()).stdout(Stdio::piped());
        command
    }

    /// `mode` is one of those in [`other_program`].
    pub(crate) fn start(mode: &str, data: Option<&Path>) -> Self {
        let mut command = Self::command(&std::env::current_exe().unwrap());
        command.env("PGMILL_TEST_MODE", mode);
        if let Some(data) = data {
            command.env("PGMILL_DATA", data);
        }
        Self::spawn(&mut command)
    }

    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, answers }
    }

    fn answer(&mut self, prefix: &str) -> String {
        loop {
            let line = self.answers.next().expect("the program ended without an answer").unwrap();
            if let Some((_, answer)) = line.split_once(prefix) {
                return answer.to_owned();
            }
        }
    }

    pub(crate) fn report(&mut self) -> Report {
        let answer = self.answer("server: ");
        let [pid, owned, data_dir, url]: [&str; 4] =
            answer.split('\t').collect::<Vec<_>>().try_into().unwrap();
        Report {
            pid: pid.parse().unwrap(),
            owned: owned.parse().unwrap(),
            data_dir: data_dir.into(),
            url: url.to_owned(),
        }
    }

    pub(crate) fn error(mut self) -> String {
        let error = self.answer("error: ");
        self.wait();
        error
    }

    fn wait(&mut self) {
        self.answers.by_ref().for_each(drop);
        assert!(self.child.wait().unwrap().success());
    }

    /// Orders: `drop` the handle and end, or `exit` without dropping it.
    pub(crate) fn order(mut self, order: &str) {
        writeln!(self.child.stdin.take().unwrap(), "{order}").unwrap();
        self.wait();
    }

    pub(crate) fn kill_hard(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A copy of this test binary that every user may run.
pub(crate) fn public_exe(folder: &Path) -> PathBuf {
    let exe = folder.join("program");
    fs::copy(std::env::current_exe().unwrap(), &exe).unwrap();
    fs::set_permissions(&exe, Permissions::from_mode(0o755)).unwrap();
    exe
}

#[test]
#[ignore = "started by the other tests as a program of its own"]
fn other_program() {
    let mode = std::env::var("PGMILL_TEST_MODE").unwrap_or_default();
    let builder = match mode.as_str() {
        "ephemeral" | "halted" => Embedded::builder().ephemeral(),
        "keep_running" => Embedded::builder().keep_running(true),
        "persistent" => Embedded::builder(),
        _ => return,
    };
    let server = match builder.start() {
        Ok(server) => server,
        Err(error) => return println!("\nerror: {error}"),
    };
    let (pid, owned, url) = (server.pid().unwrap(), server.owned(), server.url());
    if mode == "halted" {
        server.halt(StopMode::Fast).unwrap();
    }
    println!("\nserver: {pid}\t{owned}\t{}\t{url}", server.data_dir().display());
    let order = std::io::stdin().lines().next().unwrap().unwrap();
    if order == "exit" {
        std::process::exit(0);
    }
}
