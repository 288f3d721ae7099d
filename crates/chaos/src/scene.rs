//! Where a run takes place: a PostgreSQL of its own, proxies before it, and the processes that use it.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use pgmill::{Backoff, Manager, QueueMeta};
use pgmill_embedded::{Embedded, StopMode};
use pgmill_testkit::ChaosProxy;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};
use tokio_postgres::{Client, NoTls};

use crate::cast::{Cast, Script};
use crate::check::ORDERED;
use crate::dice::Dice;
use crate::evidence::COUNT_FOLDED;
use crate::history::Writer;
use crate::linux::{Disk, HostClock};
use crate::roles::{APART, EMPTY, LEASE, MORTAL, NAMESPACE, RETRY, Role, SHARED, TTL};

const LEDGER: &str = include_str!("../sql/ledger.sql");
const COUNT_LEFT: &str = include_str!("../sql/count_left.sql");
const COUNT_OTHERS: &str = include_str!("../sql/count_others.sql");
/// What a line of the log ends with that tells of a deadlock. Those that a fault makes up are called otherwise.
const DEADLOCK: &[u8] = b"deadlock detected";
/// How many connections PostgreSQL takes: few, so that they are soon taken.
const CONNECTIONS: &str = "64";
const CONNECT: Duration = Duration::from_secs(5);
/// For how long nothing may end, when the faults are over, before what is left is taken to be stuck: leases from before the last
/// start of the server do not lapse for 30 s, and then it may be 10 s until the next sweep.
const STANDSTILL: Duration = Duration::from_secs(60);
/// How long it may take in all, though it becomes less.
const DRAIN: Duration = Duration::from_secs(15 * 60);
/// How long maintenance may take to begin, and sessions may outlast their processes.
const SETTLE: Duration = Duration::from_secs(30);

/// How many processes of each role there are, and which proxy they go through.
const MEMBERS: [(Role, usize, Side); 7] = [
    (Role::Server, 1, Side::Server),
    (Role::Worker, 3, Side::Workers),
    (Role::Orderly, 1, Side::Workers),
    (Role::Remote, 1, Side::Workers),
    (Role::Maintainer, 1, Side::Workers),
    (Role::Producer, 2, Side::Producers),
    (Role::Caller, 1, Side::Producers),
];

/// Which processes a proxy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Workers,
    Producers,
    Server,
}

pub(crate) struct Scene {
    pub(crate) cast: Cast,
    /// Where the histories are, and what the driver and the processes leave each other.
    pub(crate) folder: PathBuf,
    pub(crate) postgres: Arc<Embedded>,
    pub(crate) disk: Option<Disk>,
    pub(crate) clock: Option<HostClock>,
    proxies: [ChaosProxy; 3],
}

impl Scene {
    pub(crate) async fn open(script: Script, disk: Option<Disk>, history: Writer) -> anyhow::Result<Self> {
        let builder = Embedded::builder()
            .setting("max_connections", CONNECTIONS)
            .setting("shared_buffers", "128MB")
            // Small, so that crashes come while much is to be recovered, and a full disk meets the log too.
            .setting("max_wal_size", "256MB");
        let builder = match &disk {
            Some(disk) => builder.data_dir(disk.folder().join("postgres")),
            None => builder.ephemeral(),
        };
        let postgres = spawn_blocking(move || builder.start()).await?.context("no PostgreSQL")?;
        let url = postgres.url();
        prepare(&url).await.context("the database cannot be prepared")?;
        let [workers, producers, server] = [(); 3].map(|()| ChaosProxy::start(&url));
        let proxies = [workers.await, producers.await, server.await];
        let scene = Self {
            folder: script.folder.clone(),
            clock: HostClock::find(&script.folder),
            cast: Cast::new(script, history),
            postgres: Arc::new(postgres),
            disk,
            proxies,
        };
        for (role, count, side) in MEMBERS {
            let url = scene.proxy(side).url_for(&url) + "&pool_max_conns=6";
            for number in 0..count {
                let on_other_host = role == Role::Worker && number == 0;
                let environment = scene.clock.as_ref().filter(|_| on_other_host).map(HostClock::environment);
                scene.cast.add((role, number), &url, environment.into_iter().flatten().collect());
            }
        }
        Ok(scene)
    }

    pub(crate) fn proxy(&self, side: Side) -> &ChaosProxy {
        &self.proxies[side as usize]
    }

    /// A session that no proxy is before, and that faults leave alone.
    pub(crate) async fn connect(&self) -> anyhow::Result<Client> {
        connect(&self.postgres.url()).await
    }

    /// Stops PostgreSQL as in a crash.
    pub(crate) async fn crash(&self) -> anyhow::Result<()> {
        let postgres = Arc::clone(&self.postgres);
        Ok(spawn_blocking(move || postgres.halt(StopMode::Immediate)).await??)
    }

    /// Starts it again, if it does not run.
    pub(crate) async fn resume(&self) -> anyhow::Result<()> {
        let postgres = Arc::clone(&self.postgres);
        Ok(spawn_blocking(move || postgres.resume()).await??)
    }

    /// How often PostgreSQL has ended a deadlock, by what is left of its log: its counters do not outlast a crash.
    pub(crate) fn deadlocks(&self) -> anyhow::Result<usize> {
        let mut deadlocks = 0;
        for log in ["server.log.old", "server.log"].map(|log| self.postgres.data_dir().join(log)) {
            if log.exists() {
                for line in BufReader::new(File::open(log)?).split(b'\n') {
                    deadlocks += usize::from(line?.ends_with(DEADLOCK));
                }
            }
        }
        Ok(deadlocks)
    }

    /// How many tasks have not ended.
    pub(crate) async fn left(&self) -> anyhow::Result<i64> {
        Ok(self.connect().await?.query_one(COUNT_LEFT, &[]).await?.try_get(0)?)
    }

    /// Waits until nothing is left to do, for as long as it becomes less; tells how much is.
    pub(crate) async fn drain(&self) -> anyhow::Result<i64> {
        let mut ebb = Ebb::new(Instant::now());
        loop {
            let left = self.left().await;
            if let Ok(left @ 0) = left {
                return Ok(left);
            }
            if !ebb.goes_on(left.as_ref().ok().copied(), Instant::now()) {
                return left;
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// Waits until maintenance has folded counts, which it does every ten seconds: a short run may end before.
    pub(crate) async fn fold(&self) -> anyhow::Result<()> {
        let client = self.connect().await?;
        let begun = Instant::now();
        while client.query_one(COUNT_FOLDED, &[]).await?.try_get::<_, i64>(0)? == 0
            && begun.elapsed() < SETTLE
        {
            sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    /// Waits until nobody but the driver has a session, so that nothing moves.
    pub(crate) async fn settle(&self) -> anyhow::Result<Client> {
        let client = self.connect().await?;
        let begun = Instant::now();
        loop {
            let others: i64 = client.query_one(COUNT_OTHERS, &[]).await?.try_get(0)?;
            if others == 0 {
                return Ok(client);
            }
            ensure!(begun.elapsed() < SETTLE, "{others} sessions go on though all processes have ended");
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Whether what is left becomes less.
#[derive(Debug)]
struct Ebb {
    begun: Instant,
    least: i64,
    fell: Instant,
}

impl Ebb {
    fn new(now: Instant) -> Self {
        Self { begun: now, least: i64::MAX, fell: now }
    }

    /// Whether it is worth waiting on, when so much is left now, or it is not known how much.
    fn goes_on(&mut self, left: Option<i64>, now: Instant) -> bool {
        if let Some(left) = left.filter(|left| *left < self.least) {
            (self.least, self.fell) = (left, now);
        }
        now - self.fell < STANDSTILL && now - self.begun < DRAIN
    }
}

/// The queues, and the ledger of all that happens to their tasks.
pub(crate) async fn prepare(url: &str) -> anyhow::Result<()> {
    let manager = Manager::connect(url).namespace(NAMESPACE).await?;
    for queue in SHARED {
        let meta = settings(queue);
        let meta = if queue == MORTAL { meta.ttl(TTL) } else { meta.no_ttl() };
        manager.register_queue(meta).await?;
    }
    manager.with_namespace(APART)?.register_queue(settings(ORDERED).no_ttl()).await?;
    for number in 0..EMPTY {
        manager.register_queue(QueueMeta::new(format!("empty-{number}"))).await?;
    }
    manager.close().await;
    Ok(connect(url).await?.batch_execute(LEDGER).await?)
}

fn settings(queue: &str) -> QueueMeta {
    QueueMeta::new(queue).retries(5).lease(LEASE).retry_delay(RETRY).backoff(Backoff::Constant)
}

pub(crate) async fn connect(url: &str) -> anyhow::Result<Client> {
    let mut config: tokio_postgres::Config = url.parse()?;
    config.application_name("chaos").connect_timeout(CONNECT);
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}

/// An address to listen at, below the ports that systems give to outgoing connections: it must be free each time that the
/// server is started again.
pub(crate) fn free_address() -> String {
    let mut dice = Dice::new(crate::clock::now());
    let free = |port: &u64| TcpListener::bind(format!("127.0.0.1:{port}")).is_ok();
    let port = (0..100).map(|_| dice.between(20_000, 32_000)).find(free);
    format!("127.0.0.1:{}", port.unwrap_or(20_000))
}

/// What the processes need, beside this program.
pub(crate) fn check_programs() -> anyhow::Result<()> {
    let program = std::env::current_exe()?.with_file_name("pgmill");
    ensure!(program.is_file(), "{} is not there: build it with cargo build -p pgmill-cli", program.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_becomes_less_is_waited_for_and_what_stands_still_is_not() {
        let begun = Instant::now();
        let mut ebb = Ebb::new(begun);
        let after = |seconds| begun + Duration::from_secs(seconds);
        assert!(ebb.goes_on(Some(500), after(50)));
        assert!(ebb.goes_on(Some(499), after(109)));
        assert!(ebb.goes_on(None, after(168)));
        assert!(!ebb.goes_on(Some(499), after(169)), "nothing has ended for a minute");
        assert!(ebb.goes_on(Some(1), after(15 * 60 - 1)));
        assert!(!ebb.goes_on(Some(0), after(15 * 60)));
    }
}
