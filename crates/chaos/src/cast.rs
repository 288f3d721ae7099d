//! The processes of a run: started, killed, stopped, and started again when they have ended.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::ValueEnum;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::history::{Event, Writer};
use crate::roles::Role;

/// How often it is looked who has ended.
const LOOK: Duration = Duration::from_millis(10);
/// How long one that ended stays away.
const AWAY: Duration = Duration::from_millis(100);
/// How long one may take to end that was asked to.
const GOODBYE: Duration = Duration::from_secs(40);

/// What all processes are told.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) folder: PathBuf,
    pub(crate) server: String,
    pub(crate) rate: u64,
    pub(crate) steady: bool,
}

/// One of the processes, which may end and be started again, under another name each time.
#[derive(Debug)]
struct Actor {
    url: String,
    environment: Vec<(&'static str, String)>,
    starts: usize,
    child: Option<(Child, String)>,
    not_before: Instant,
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
        let Some((child, _)) = actors.get_mut(&member).and_then(|actor| actor.child.as_mut()) else {
            return false;
        };
        // Not waited for yet, so that the id is still its own.
        matches!(child.try_wait(), Ok(None)) && send(child, signal).is_ok()
    }

    /// Asks those of some roles to end, and waits until they have. They are not started again.
    pub(crate) async fn dismiss(&self, roles: &[Role]) -> anyhow::Result<()> {
        let mut leaving: HashMap<Member, Actor> =
            self.actors().extract_if(|(role, _), _| roles.contains(role)).collect();
        for (child, _) in leaving.values_mut().filter_map(|actor| actor.child.as_mut()) {
            // One that is stopped would not hear of it.
            drop((send(child, Signal::SIGCONT), send(child, Signal::SIGTERM)));
        }
        let asked = Instant::now();
        while leaving.values().any(|actor| actor.child.is_some()) {
            for actor in leaving.values_mut() {
                self.bury(actor)?;
            }
            if asked.elapsed() > GOODBYE {
                let names = leaving.values().filter_map(|actor| actor.child.as_ref().map(|(_, name)| name));
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

    /// Takes note of one that has ended.
    fn bury(&self, actor: &mut Actor) -> anyhow::Result<()> {
        if let Some((child, _)) = &mut actor.child
            && child.try_wait()?.is_some()
            && let Some((_, process)) = actor.child.take()
        {
            self.history.note(Event::Gone { process });
            actor.not_before = Instant::now() + AWAY;
        }
        Ok(())
    }

    fn start(&self, (role, number): Member, actor: &mut Actor) -> anyhow::Result<()> {
        let role = role.to_possible_value().context("a role has a name")?.get_name().to_owned();
        let name = format!("{role}-{number}.{}", actor.starts);
        actor.starts += 1;
        let Script { folder, server, rate, steady } = &*self.script;
        let log = folder.join(format!("{role}-{number}.log"));
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
        let child = Command::new(std::env::current_exe()?)
            .args(["role", &role, &name])
            .arg(folder)
            .args(["--rate", &rate.to_string()])
            .args(steady.then_some("--steady"))
            .env("CHAOS_URL", &actor.url)
            .env("CHAOS_SERVER", server)
            .envs(actor.environment.iter().map(|(name, value)| (*name, value.as_str())))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("a process could not be started")?;
        actor.child = Some((child, name));
        Ok(())
    }

    fn actors(&self) -> MutexGuard<'_, HashMap<Member, Actor>> {
        self.actors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn send(child: &Child, signal: Signal) -> anyhow::Result<()> {
    Ok(kill(Pid::from_raw(i32::try_from(child.id())?), signal)?)
}
