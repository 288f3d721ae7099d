//! A dump of a queue that is at work, restored elsewhere: tasks go on.

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pgmill::{
    CheckOptions, Json, Manager, QueueMeta, Released, Retain, Status, Task, TaskError, TaskMeta, TickerMeta,
    Verdict, WorkerPool, hours, seconds,
};
use pgmill_embedded::find_installation;
use pgmill_testkit::{TestDatabase, has_plain_role, has_pooler, skipped, wait_until};
use tempfile::NamedTempFile;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::fixture::{Fixture, SOON, done, task, told};
use crate::pool_scene::Running;

/// How many tasks are acknowledged before the dump begins.
const BEFORE: usize = 300;

/// A queue with two who create tasks and two who work on them.
struct OldWorld {
    fixture: Fixture,
    acknowledged: Arc<Mutex<Vec<u64>>>,
    traffic: JoinSet<()>,
    stop: CancellationToken,
}

impl OldWorld {
    async fn begin() -> Self {
        let fixture = Fixture::with(QueueMeta::new("q").no_ttl().retries(5).lease(seconds(2))).await;
        let acknowledged = Arc::new(Mutex::new(Vec::new()));
        let stop = CancellationToken::new();
        let mut traffic = JoinSet::new();
        for number in 0..4 {
            let (manager, stop) = (fixture.other_process().await, stop.clone());
            let acknowledged = Arc::clone(&acknowledged);
            traffic.spawn(async move {
                while !stop.is_cancelled() {
                    match number {
                        0 | 1 => {
                            let created = manager.create_task("q", task(number)).await.unwrap();
                            acknowledged.lock().unwrap().push(created.id);
                        }
                        _ => work_on_one(&manager).await,
                    }
                }
            });
        }
        Self { fixture, acknowledged, traffic, stop }
    }

    fn acknowledged(&self) -> Vec<u64> {
        self.acknowledged.lock().unwrap().clone()
    }

    async fn end(self) -> Fixture {
        self.stop.cancel();
        self.traffic.join_all().await;
        self.fixture
    }
}

async fn work_on_one(manager: &Manager) {
    match manager.next_task("old", &["q"]).await.unwrap() {
        Some(task) => drop(manager.release_task(&task, done()).await.unwrap()),
        None => tokio::task::yield_now().await,
    }
}

/// A program of the installation, if it has it: some are of a server alone.
fn program(name: &str) -> Option<PathBuf> {
    Some(find_installation().unwrap().bin_dir.join(name)).filter(|program| program.exists())
}

async fn run(program: PathBuf, args: Vec<String>) {
    let ended = tokio::task::spawn_blocking(move || Command::new(program).args(args).output().unwrap());
    let output = ended.await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Ends all that waits, as workers of the new world do, and returns what they ended.
async fn drain(manager: &Manager) -> HashSet<u64> {
    let ended = Arc::new(Mutex::new(Vec::new()));
    let pool = WorkerPool::builder(manager).workers(8).until_empty(true).build().unwrap();
    let note = Arc::clone(&ended);
    pool.register_queue(QueueMeta::new("q").no_ttl().retries(5), move |context: pgmill::Context, _: Json| {
        note.lock().unwrap().push(context.task().id);
        async { Ok::<_, TaskError>(()) }
    })
    .await
    .unwrap();
    Running::start(pool).end().await;
    let ended = ended.lock().unwrap();
    let once: HashSet<u64> = ended.iter().copied().collect();
    assert_eq!(once.len(), ended.len(), "each once");
    once
}

/// What these checks of the doctor look at is well. Of counts: the counters equal the tables.
async fn assert_well(manager: &Manager, names: &[&str]) {
    let found = manager.check(&CheckOptions::new().recount(true)).await;
    for name in names {
        assert_eq!(found.check(name).unwrap().verdict, Verdict::Ok, "{:?}", found.check(name));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_dump_of_a_live_queue_is_restored_and_its_tasks_go_on() {
    let (Some(pg_dump), Some(pg_restore)) = (program("pg_dump"), program("pg_restore")) else {
        skipped(true, "this PostgreSQL comes without pg_dump and pg_restore");
        return;
    };
    if skipped(has_plain_role(), "pg_restore makes the schema, which the role has from the beginning")
        || skipped(has_pooler(), "pg_dump is not for poolers")
    {
        return;
    }
    let old = OldWorld::begin().await;
    let manager = old.fixture.manager.clone();
    manager.register_queue(QueueMeta::new("ticks").no_ttl()).await.unwrap();
    manager.register_ticker(TickerMeta::new("hourly").interval(hours(1)).queue("ticks")).await.unwrap();
    // Somebody is at work on these over the dump, and never heard of again.
    manager.register_queue(QueueMeta::new("slow").no_ttl().retries(5)).await.unwrap();
    manager.create_task("slow", task("slow")).await.unwrap();
    let held: Task =
        manager.next_tasks("old", &["slow"], Retain::new().lease(seconds(3))).await.unwrap().remove(0);
    wait_until("enough tasks", SOON, async || old.acknowledged().len() >= BEFORE).await;

    let before = old.acknowledged();
    let dump = NamedTempFile::new().unwrap();
    let path = dump.path().to_str().unwrap().to_owned();
    let url = old.fixture.database.url().to_owned();
    let args = ["--format=custom".to_owned(), format!("--file={path}"), url];
    run(pg_dump, args.to_vec()).await;
    let during = old.acknowledged().len() - before.len();
    let fixture = old.end().await;
    assert!(during > 0, "the queue was at work");

    let database = TestDatabase::empty_on(fixture.database.server()).await;
    run(pg_restore, vec!["--exit-on-error".to_owned(), format!("--dbname={}", database.url()), path]).await;
    let client = database.connect().await;
    let newest =
        "SELECT max(id) FROM (SELECT id FROM pgmill.task UNION ALL SELECT id FROM pgmill.task_finished) t";
    let newest: i64 = client.query_one(newest, &[]).await.unwrap().get(0);
    // As if it were restored ten hours later.
    let later =
        "UPDATE pgmill.ticker SET ts = ts - interval '10 hours', next_at = next_at - interval '10 hours'";
    client.batch_execute(later).await.unwrap();

    let restored = Fixture::on(database).await;
    let manager = &restored.manager;
    assert_well(manager, &["privileges", "migrations", "schema", "partitions", "notify", "counts"]).await;
    let mut open = HashSet::new();
    for id in &before {
        let task = manager.get_task(*id).await.unwrap_or_else(|error| panic!("task {id} is lost: {error}"));
        match task.status {
            Some(Status::Released) => {}
            Some(Status::New | Status::Retry | Status::Retained) => drop(open.insert(*id)),
            other => panic!("task {id} is {other:?}"),
        }
    }

    // The lease of the old world lapses, and whoever held it can end nothing any more.
    let mut rescued = None;
    wait_until("the lease to lapse", SOON, async || {
        rescued = manager.next_task("new", &["slow"]).await.unwrap();
        rescued.is_some()
    })
    .await;
    let rescued = rescued.unwrap();
    assert_eq!((rescued.id, rescued.attempt), (held.id, held.attempt + 1));
    let stale = manager.release_task(&held, done()).await;
    assert!(stale.is_err(), "{stale:?}");
    let ended: Released = manager.release_task(&rescued, done()).await.unwrap();
    assert_eq!(ended.status, Status::Released);

    // Notices arrive, and ids go on behind those that were given out.
    let mut arrivals = manager.arrivals(&["q"]).unwrap();
    let other = restored.other_process().await;
    wait_until("it listens", SOON, async || {
        let _ = tokio::time::timeout(Duration::from_millis(10), arrivals.wait()).await;
        manager.is_listening()
    })
    .await;
    let telling = tokio::spawn(async move {
        let mut created = Vec::new();
        for number in 0..50 {
            created.push(other.create_task("q", TaskMeta::json(&number).unwrap()).await.unwrap().id);
        }
        created
    });
    told(&mut arrivals).await;
    let created = telling.await.unwrap();
    assert!(created.iter().all(|id| id.cast_signed() > newest), "{created:?} after {newest}");

    // Ten hours of ticks are one task, and the rest of the jobs of maintenance runs.
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (manager, stop) = (manager.clone(), stop.clone());
        async move { manager.run(stop).await }
    });
    wait_until("the ticker to be on its grid", SOON, async || {
        let next = "SELECT next_at > now() FROM pgmill.ticker WHERE ticker = 'hourly'";
        restored.client.query_one(next, &[]).await.unwrap().get(0)
    })
    .await;
    assert_eq!(manager.queue_status("ticks").await.unwrap().tasks.new, 1);

    // Those whose lease of the old world runs still come later.
    let mut ended = HashSet::new();
    wait_until("all to have ended", SOON, async || {
        for id in drain(manager).await {
            assert!(ended.insert(id), "{id} ended twice");
        }
        manager.queue_status("q").await.unwrap().tasks.live() == 0
    })
    .await;
    open.extend(created);
    assert!(open.is_subset(&ended), "{:?}", open.difference(&ended));
    for id in open {
        assert_eq!(manager.get_task(id).await.unwrap().status, Some(Status::Released), "{id}");
    }
    stop.cancel();
    running.await.unwrap();
    assert_well(manager, &["counts"]).await;
}
