//! Runs a command as a group of processes of its own, and collects what it prints.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// How long a command has between SIGTERM and SIGKILL.
pub(super) const TIDY_UP: Duration = Duration::from_secs(5);
/// How long to read on after the command has ended: something it started may keep its output open for ever.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(1);
/// How much of the end of standard error is kept.
const ERROR_TAIL: usize = 8 * 1024;

/// Asks a command to end.
#[derive(Debug, Clone, Default)]
pub(super) struct Interrupt {
    /// Soon: there may be something to tidy up.
    pub(super) soon: CancellationToken,
    /// At once.
    pub(super) now: CancellationToken,
}

/// A command that can be run many times.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) program: PathBuf,
    pub(super) args: Vec<OsString>,
    /// How long one run may take.
    pub(super) timeout: Option<Duration>,
    /// How much standard output is kept; one byte more tells that there was more.
    pub(super) output_limit: usize,
}

/// A run that is over.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) status: ExitStatus,
    pub(super) reason: Reason,
    /// The start of standard output.
    pub(super) stdout: Vec<u8>,
    /// The end of standard error.
    pub(super) stderr: Vec<u8>,
}

/// Why a run is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// It ended by itself.
    Exited,
    /// It took too long.
    TimedOut,
    /// It was asked to end.
    Interrupted,
}

impl Process {
    /// Runs the command once with this text on standard input and these variables added to the environment. If the
    /// future is dropped, the command and all it started is killed.
    pub(super) async fn run(
        &self,
        input: &str,
        variables: &[(&str, String)],
        interrupt: &Interrupt,
    ) -> io::Result<Run> {
        let mut child = Command::new(&self.program)
            .args(&self.args)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Of its own, so that all of it can be ended, and so that Ctrl-C reaches only this program.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let mut group = Group::of(&child)?;
        let enough = CancellationToken::new();
        let feeder = child.stdin.take().map(|pipe| tokio::spawn(feed(pipe, input.as_bytes().to_vec())));
        let limit = self.output_limit;
        let stdout = child.stdout.take().map(|pipe| {
            tokio::spawn(collect(pipe, enough.clone(), move |kept, new| {
                kept.extend_from_slice(&new[..new.len().min((limit + 1).saturating_sub(kept.len()))]);
            }))
        });
        let stderr = child.stderr.take().map(|pipe| {
            tokio::spawn(collect(pipe, enough.clone(), |kept, new| {
                kept.extend_from_slice(new);
                kept.drain(..kept.len().saturating_sub(ERROR_TAIL));
            }))
        });

        let (status, reason) = self.wait(&mut child, &mut group, interrupt).await?;

        let collected = async { (collected(stdout).await, collected(stderr).await) };
        tokio::pin!(collected);
        let (stdout, stderr) = match timeout(LAST_WORDS, &mut collected).await {
            Ok(all) => all,
            Err(_) => {
                enough.cancel();
                collected.await
            }
        };
        if let Some(feeder) = feeder {
            feeder.abort();
        }
        Ok(Run { status, reason, stdout, stderr })
    }

    async fn wait(
        &self,
        child: &mut Child,
        group: &mut Group,
        interrupt: &Interrupt,
    ) -> io::Result<(ExitStatus, Reason)> {
        let too_long = async {
            match self.timeout {
                Some(timeout) => sleep(timeout).await,
                None => std::future::pending().await,
            }
        };
        let reason = tokio::select! {
            biased;
            status = child.wait() => {
                group.leave();
                return Ok((status?, Reason::Exited));
            }
            () = interrupt.soon.cancelled() => Reason::Interrupted,
            () = interrupt.now.cancelled() => Reason::Interrupted,
            () = too_long => Reason::TimedOut,
        };
        group.signal(Signal::SIGTERM);
        let tidied = interrupt.now.run_until_cancelled(timeout(TIDY_UP, child.wait())).await;
        // Also when the command itself has ended: what it started ends with it.
        group.kill();
        let status = match tidied {
            Some(Ok(status)) => status,
            _ => child.wait().await,
        };
        Ok((status?, reason))
    }
}

/// The processes that a command consists of: killed when this is dropped, unless they were killed or left before.
#[derive(Debug)]
struct Group {
    id: Pid,
    over: bool,
}

impl Group {
    fn of(child: &Child) -> io::Result<Self> {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        id.map(|id| Self { id: Pid::from_raw(id), over: false })
            .ok_or_else(|| io::Error::other("the command has no process id"))
    }

    fn signal(&self, signal: Signal) {
        // It fails when nobody is left in the group, which is what is wanted.
        let _ = killpg(self.id, signal);
    }

    fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.over = true;
    }

    /// Lets those go on that the command has left behind.
    fn leave(&mut self) {
        self.over = true;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.over {
            self.kill();
        }
    }
}

async fn feed(mut pipe: ChildStdin, input: Vec<u8>) {
    // A command need not read its input.
    let _ = pipe.write_all(&input).await;
    let _ = pipe.shutdown().await;
}

/// Reads to the end, or until it is enough, and lets `keep` decide what of it is kept.
async fn collect(
    mut pipe: impl AsyncRead + Unpin,
    enough: CancellationToken,
    keep: impl Fn(&mut Vec<u8>, &[u8]),
) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut new = vec![0; 8 * 1024];
    while let Some(Ok(count @ 1..)) = enough.run_until_cancelled(pipe.read(&mut new)).await {
        keep(&mut kept, &new[..count]);
    }
    kept
}

async fn collected(reader: Option<tokio::task::JoinHandle<Vec<u8>>>) -> Vec<u8> {
    match reader {
        Some(reader) => reader.await.unwrap_or_default(),
        None => Vec::new(),
    }
}

/// The file that a shell would run for this command.
///
/// # Errors
///
/// What is wrong with it, as a phrase.
pub(super) fn resolve(command: &Path, path: Option<&OsString>) -> Result<PathBuf, &'static str> {
    use nix::unistd::{AccessFlags, access};

    let runs = |file: &Path| file.is_file() && access(file, AccessFlags::X_OK).is_ok();
    if command.components().count() > 1 || command.is_absolute() {
        return match command.metadata() {
            Err(_) => Err("there is no such file"),
            Ok(_) if runs(command) => Ok(command.to_owned()),
            Ok(_) => Err("it is not an executable file"),
        };
    }
    let path = path.ok_or("PATH is not set")?;
    let found = std::env::split_paths(path).map(|folder| folder.join(command)).find(|file| runs(file));
    found.ok_or("there is no such program in PATH")
}

#[cfg(test)]
mod tests {
    use pgmill_testkit::wait_until;

    use super::*;

    #[tokio::test]
    async fn a_run_that_is_dropped_kills_all_that_the_command_has_started() {
        let folder = tempfile::tempdir().unwrap();
        let sign = folder.path().join("inner");
        let script = "sleep 1000 & echo $! > $0.new; mv $0.new $0; wait";
        let process = Process {
            program: PathBuf::from("/bin/sh"),
            args: vec!["-c".into(), script.into(), sign.clone().into()],
            timeout: None,
            output_limit: 1,
        };
        let patience = Duration::from_secs(60);
        let interrupt = Interrupt::default();
        tokio::select! {
            _ = process.run("", &[], &interrupt) => panic!("it does not end by itself"),
            () = wait_until("the inner process", patience, async || sign.exists()) => {}
        }
        let inner = std::fs::read_to_string(sign).unwrap();
        let status = Path::new("/proc").join(inner.trim()).join("stat");
        wait_until("its end", patience, async || {
            std::fs::read_to_string(&status).map_or(true, |status| status.contains(") Z "))
        })
        .await;
    }
}
