//! Starts the server process, waits until it answers, and ends it.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::account::Account;
use crate::cluster::CONF;
use crate::folder::{Folder, open_private, write_private};
use crate::installation::Installation;
use crate::postmaster::{Record, disown_leftovers, serves, signal};
use crate::tuning::{self, Place};
use crate::watchdog::Watchdog;
use crate::{EmbeddedError, StopMode};

/// Includes crash recovery, which replays up to 4 GB of log.
const READY_TIMEOUT: Duration = Duration::from_secs(300);
/// Includes the checkpoint of a clean stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);
/// How long to try again when a port is taken or sessions of a killed server are still ending.
const RETRY_FOR: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(5);
/// A log beyond this size is set aside at the next start.
const LOG_LIMIT: u64 = 16 << 20;
const TAIL_LINES: usize = 20;

/// Everything that a start needs, whichever the port.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) installation: Installation,
    pub(crate) account: Account,
    pub(crate) folder: Folder,
    pub(crate) settings: Vec<(String, String)>,
}

/// A server process that this program started.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
}

enum Attempt {
    Ready,
    Exited(String),
}

impl Server {
    /// Starts the server and returns once it answers. `port` is a must, without it any free one is taken.
    /// The caller holds the folder's lock.
    pub(crate) fn launch(
        &self,
        port: Option<u16>,
        socket_dir: &Path,
        mut watchdog: Option<&mut Watchdog>,
    ) -> Result<(Process, u16), EmbeddedError> {
        let conf = self.folder.cluster().join(CONF);
        let started = Instant::now();
        let mut wish = port.or_else(|| tuning::port_in(&conf));
        loop {
            let chosen = match port {
                Some(port) => port,
                None => free_port(wish.take())
                    .map_err(EmbeddedError::io("find a free port on", Path::new("127.0.0.1")))?,
            };
            let place = Place { port: chosen, socket_dir, extra: &self.settings };
            write_private(&conf, &tuning::render(tuning::memory(), &place), &self.account)?;
            disown_leftovers(&self.folder.cluster(), socket_dir, chosen, &self.account)?;
            let (log, offset) = self.open_log()?;
            let mut child = self.spawn(log)?;
            if let Some(watchdog) = watchdog.as_deref_mut() {
                watchdog.guard(child.id());
            }
            match self.wait_until_ready(&mut child, offset)? {
                Attempt::Ready => return Ok((Process { child }, chosen)),
                Attempt::Exited(tail) if passes(&tail) && started.elapsed() < RETRY_FOR => {
                    thread::sleep(Duration::from_millis(100));
                }
                Attempt::Exited(tail) => return Err(EmbeddedError::Start { log: self.folder.log(), tail }),
            }
        }
    }

    fn spawn(&self, log: File) -> Result<Child, EmbeddedError> {
        let program = self.installation.bin_dir.join("postgres");
        let errors = log.try_clone().map_err(EmbeddedError::io("open", &self.folder.log()))?;
        self.account
            .command(&program)
            .arg("-D")
            .arg(self.folder.cluster())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            // Ctrl-C in the program's terminal is for the program, which stops the server in its own time.
            .process_group(0)
            .spawn()
            .map_err(EmbeddedError::io("run", &program))
    }

    fn wait_until_ready(&self, child: &mut Child, offset: u64) -> Result<Attempt, EmbeddedError> {
        let start = Instant::now();
        let cluster = self.folder.cluster();
        loop {
            if child.try_wait().map_err(EmbeddedError::io("wait for the server in", &cluster))?.is_some() {
                return Ok(Attempt::Exited(self.tail(offset)));
            }
            if Record::read(&cluster).is_some_and(|record| record.pid == child.id() && record.ready) {
                return Ok(Attempt::Ready);
            }
            if start.elapsed() > READY_TIMEOUT {
                let _ = signal(child.id(), Signal::SIGQUIT);
                let _ = child.wait();
                let seconds = READY_TIMEOUT.as_secs();
                return Err(EmbeddedError::NotReady {
                    log: self.folder.log(),
                    seconds,
                    tail: self.tail(offset),
                });
            }
            thread::sleep(POLL);
        }
    }

    /// The record of a server that somebody else runs on this folder, once it is ready; `None` when none runs.
    pub(crate) fn find_running(&self) -> Result<Option<Running>, EmbeddedError> {
        let start = Instant::now();
        loop {
            let Some(record) = Record::of_running(&self.folder.cluster()) else { return Ok(None) };
            if let Record { port: Some(port), socket_dir: Some(socket_dir), ready: true, .. } = record {
                return Ok(Some(Running { port, socket_dir }));
            }
            if start.elapsed() > READY_TIMEOUT {
                let seconds = READY_TIMEOUT.as_secs();
                return Err(EmbeddedError::NotReady { log: self.folder.log(), seconds, tail: self.tail(0) });
            }
            thread::sleep(POLL);
        }
    }

    fn open_log(&self) -> Result<(File, u64), EmbeddedError> {
        let path = self.folder.log();
        if fs::metadata(&path).is_ok_and(|log| log.len() > LOG_LIMIT) {
            fs::rename(&path, path.with_extension("log.old")).map_err(EmbeddedError::io("rename", &path))?;
        }
        let log = open_private(&path, &self.account)?;
        let offset = log.metadata().map_err(EmbeddedError::io("read", &path))?.len();
        Ok((log, offset))
    }

    /// The last lines that were logged from `offset` on.
    fn tail(&self, offset: u64) -> String {
        let read = || -> std::io::Result<Vec<u8>> {
            let mut log = File::open(self.folder.log())?;
            let end = log.metadata()?.len();
            log.seek(SeekFrom::Start(offset.max(end.saturating_sub(16 << 10))))?;
            let mut bytes = Vec::new();
            log.read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let text = read()
            .map_or_else(|error| error.to_string(), |bytes| String::from_utf8_lossy(&bytes).into_owned());
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }
}

/// A server that another handle, of this program or another, started.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) port: u16,
    pub(crate) socket_dir: PathBuf,
}

impl Process {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends the server; on failure it still runs.
    pub(crate) fn stop(&mut self, mode: StopMode) -> Result<(), EmbeddedError> {
        let pid = self.pid();
        // While it has not been waited for, its id cannot belong to another process.
        if self.is_running() {
            let _ = signal(pid, mode.signal());
        }
        wait_until(pid, || !self.is_running())
    }
}

/// Ends a server that another handle started.
pub(crate) fn stop_other(cluster: &Path, mode: StopMode) -> Result<(), EmbeddedError> {
    let Some(record) = Record::of_running(cluster) else { return Ok(()) };
    let _ = signal(record.pid, mode.signal());
    wait_until(record.pid, || !serves(record.pid, cluster))
}

fn wait_until(pid: u32, mut ended: impl FnMut() -> bool) -> Result<(), EmbeddedError> {
    let start = Instant::now();
    while !ended() {
        if start.elapsed() > STOP_TIMEOUT {
            return Err(EmbeddedError::Stop { pid, seconds: STOP_TIMEOUT.as_secs() });
        }
        thread::sleep(POLL);
    }
    Ok(())
}

/// Whether the reason of a failed start goes away by itself or by another port.
fn passes(tail: &str) -> bool {
    tail.contains("Address already in use")
        || tail.contains("pre-existing shared memory block")
        || tail.contains("lock file \"postmaster.pid\" already exists")
}

/// The wished port if it is free, else a random one.
///
/// Ports are taken from below the range that systems give to outgoing connections, so that none of those holds
/// the port when a server is to start on it again.
fn free_port(wish: Option<u16>) -> std::io::Result<u16> {
    let free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    if let Some(port) = wish.filter(|port| free(*port).is_ok()) {
        return Ok(port);
    }
    for _ in 0..50 {
        let mut random = [0_u8; 2];
        getrandom::fill(&mut random).map_err(|error| std::io::Error::other(error.to_string()))?;
        let port = 20_000 + u16::from_le_bytes(random) % 12_000;
        if free(port).is_ok() {
            return Ok(port);
        }
    }
    Ok(free(0)?.local_addr()?.port())
}
