//! The processes of a run: started, killed, stopped, and started again when they have ended.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::ValueEnum;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::history::{Departure, Event, Reason, Writer};
use crate::roles::Role;

/// How often it is looked who has ended.
const LOOK: Duration = Duration::from_millis(10);
/// How long one that ended stays away.
const AWAY: Duration = Duration::from_millis(100);
/// How long one may take to end that was asked to.
const GOODBYE: Duration = Duration::from_secs(40);
/// How much is kept of what one said that ended, in bytes.
const WORDS: u64 = 2_000;

/// What all processes are told.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) folder: PathBuf,
    pub(crate) server: String,
    pub(crate) seed: u64,
    pub(crate) rate: u64,
    pub(crate) steady: bool,
}

/// One of the processes, which may end and be started again, under another name each time.
#[derive(Debug)]
struct Actor {
    url: String,
    environment: Vec<(&'static str, String)>,
    starts: usize,
    child: Option<Running>,
    not_before: Instant,
}

/// One that was started.
#[derive(Debug)]
struct Running {
    child: Child,
    name: String,
    since: u64,
    /// Why it is to end, if it is.
    reason: Reason,
    log: PathBuf,
    /// Where its own words begin, after those of the ones before it.
    log_from: u64,
}

/// All of them, by role and number.
#[derive(Debug, Clone)]
pub(crate) struct Cast {
    script: Arc<Script>,
    history: Writer,
    actors: Arc<Mutex<HashMap<Member, Actor>>>,
}

pub(crate) type Member = (Role, usize);

impl Cast {
    pub(crate) fn new(script: Script, history: Writer) -> Self {
        Self { script: Arc::new(script), history, actors: Arc::default() }
    }

    /// Adds a process, which is started soon, and again whenever it has ended.
    pub(crate) fn add(&self, member: Member, url: &str, environment: Vec<(&'static str, String)>) {
        let url = url.to_owned();
        let actor = Actor { url, environment, starts: 0, child: None, not_before: Instant::now() };
        self.actors().insert(member, actor);
    }

    /// How many there are of a role.
    pub(crate) fn count(&self, role: Role) -> usize {
        self.actors().keys().filter(|(its, _)| *its == role).count()
    }

    /// Sees to it that all are there, until the token is cancelled.
    pub(crate) async fn supervise(&self, over: CancellationToken) -> anyhow::Result<()> {
        while !over.is_cancelled() {
            self.look(true)?;
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Sends a signal; tells whether the process was there.
    pub(crate) fn signal(&self, member: Member, signal: Signal) -> bool {
        let mut actors = self.actors();
        let Some(running) = actors.get_mut(&member).and_then(|actor| actor.child.as_mut()) else {
            return false;
        };
        // Not waited for yet, so that the id is still its own.
        if !matches!(running.child.try_wait(), Ok(None)) {
            return false;
        }
        // Before it is sent: what comes of it comes later.
        let event = Event::Signalled { process: running.name.clone(), signal: signal.to_string() };
        self.history.note(event);
        let sent = send(&running.child, signal).is_ok();
        if sent && signal == Signal::SIGKILL {
            running.reason = Reason::Killed;
        }
        sent
    }

    /// Asks those of some roles to end, and waits until they have. They are not started again.
    pub(crate) async fn dismiss(&self, roles: &[Role]) -> anyhow::Result<()> {
        let mut leaving: HashMap<Member, Actor> =
            self.actors().extract_if(|(role, _), _| roles.contains(role)).collect();
        for running in leaving.values_mut().filter_map(|actor| actor.child.as_mut()) {
            // One that has ended by itself before was not asked.
            if matches!(running.child.try_wait(), Ok(None)) && running.reason == Reason::None {
                running.reason = Reason::Asked;
            }
            // One that is stopped would not hear of it.
            drop((send(&running.child, Signal::SIGCONT), send(&running.child, Signal::SIGTERM)));
        }
        let asked = Instant::now();
        while leaving.values().any(|actor| actor.child.is_some()) {
            for actor in leaving.values_mut() {
                self.bury(actor)?;
            }
            if asked.elapsed() > GOODBYE {
                let names =
                    leaving.values().filter_map(|actor| actor.child.as_ref().map(|running| &running.name));
                bail!("these did not end in {GOODBYE:?}: {:?}", names.collect::<Vec<_>>());
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    fn look(&self, start: bool) -> anyhow::Result<()> {
        for (member, actor) in self.actors().iter_mut() {
            self.bury(actor)?;
            if start && actor.child.is_none() && actor.not_before <= Instant::now() {
                self.start(*member, actor)?;
            }
        }
        Ok(())
    }

    /// Takes note of one that has ended, and how.
    fn bury(&self, actor: &mut Actor) -> anyhow::Result<()> {
        let Some(running) = &mut actor.child else { return Ok(()) };
        let Some(status) = running.child.try_wait()? else { return Ok(()) };
        if let Some(running) = actor.child.take() {
            self.history.note(Event::Gone(running.departure(status)));
            actor.not_before = Instant::now() + AWAY;
        }
        Ok(())
    }

    fn start(&self, (role, number): Member, actor: &mut Actor) -> anyhow::Result<()> {
        let role = role.to_possible_value().context("a role has a name")?.get_name().to_owned();
        let name = format!("{role}-{number}.{}", actor.starts);
        actor.starts += 1;
        let Script { folder, server, seed, rate, steady } = &*self.script;
        let log = folder.join(format!("{role}-{number}.log"));
        let words = OpenOptions::new().create(true).append(true).open(&log)?;
        let log_from = words.metadata()?.len();
        let since = clock::now();
        let child = Command::new(std::env::current_exe()?)
            .args(["role", &role, &name])
            .arg(folder)
            .args(["--seed", &seed.to_string(), "--rate", &rate.to_string()])
            .args(steady.then_some("--steady"))
            .env("CHAOS_URL", &actor.url)
            .env("CHAOS_SERVER", server)
            .envs(actor.environment.iter().map(|(name, value)| (*name, value.as_str())))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(words)
            .spawn()
            .context("a process could not be started")?;
        actor.child = Some(Running { child, name, since, reason: Reason::None, log, log_from });
        Ok(())
    }

    fn actors(&self) -> MutexGuard<'_, HashMap<Member, Actor>> {
        self.actors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn departure(self, status: ExitStatus) -> Departure {
        let reason = match self.reason {
            // It ended before the signal met it.
            Reason::Killed if status.signal() != Some(Signal::SIGKILL as i32) => Reason::None,
            reason => reason,
        };
        let words = match reason {
            Reason::Killed => String::new(),
            _ => last_words(&self.log, self.log_from).unwrap_or_else(|error| error.to_string()),
        };
        Departure { process: self.name, reason, since: self.since, code: status.code(), words }
    }
}

/// The end of what was written from some place on.
fn last_words(log: &Path, from: u64) -> std::io::Result<String> {
    let mut file = File::open(log)?;
    let end = file.metadata()?.len();
    file.seek(SeekFrom::Start(from.max(end.saturating_sub(WORDS))))?;
    let mut words = Vec::new();
    file.read_to_end(&mut words)?;
    Ok(String::from_utf8_lossy(&words).trim().to_owned())
}

fn send(child: &Child, signal: Signal) -> anyhow::Result<()> {
    Ok(kill(Pid::from_raw(i32::try_from(child.id())?), signal)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_said_last_is_its_own_and_not_all() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("worker-0.log");
        std::fs::write(&log, "of the one before\nmine\n").unwrap();
        assert_eq!(last_words(&log, 18).unwrap(), "mine");
        std::fs::write(&log, "x".repeat(5_000)).unwrap();
        assert_eq!(last_words(&log, 18).unwrap().len(), 2_000);
    }

    #[test]
    fn a_process_that_ended_before_it_was_killed_ended_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let departure = |script: &str| {
            let mut child = Command::new("sh").args(["-c", script]).spawn().unwrap();
            let status = child.wait().unwrap();
            let (name, log) = ("worker-0.0".to_owned(), folder.path().join("worker-0.log"));
            Running { child, name, since: 0, reason: Reason::Killed, log, log_from: 0 }.departure(status)
        };
        std::fs::write(folder.path().join("worker-0.log"), "no database").unwrap();
        let killed = departure("kill -9 $$");
        assert_eq!((killed.reason, killed.code, killed.words.as_str()), (Reason::Killed, None, ""));
        let ended = departure("exit 3");
        assert_eq!((ended.reason, ended.code, ended.words.as_str()), (Reason::None, Some(3), "no database"));
    }
}
