//! Pools whose database goes away, and pools whose process does.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use pgmill::{Claim, Context, Manager, Outcome, QueueMeta, QueueOptions, Status, Task, WorkerPool, seconds};
use pgmill_testkit::{CutPoint, StopMode, TestDatabase, TestServer, wait_until};
use tokio_util::sync::CancellationToken;

use crate::faults::Line;
use crate::fixture::Fixture;
use crate::log::Log;
use crate::pool_scene::{Counter, Ends, Running};
use crate::scene::{LIMIT, QUEUE, builder, create, number, take};

/// The reference's loops end with the first error of the database, and the process with them.
#[tokio::test]
async fn b25_a_pool_survives_an_outage_and_records_what_ended_during_it() {
    let server = TestServer::own();
    let database = TestDatabase::create_on(&server).await;
    let manager = builder(database.url()).await.unwrap();
    manager.register_queue(QueueMeta::new(QUEUE)).await.unwrap();
    let held = create(&manager, 1).await.remove(0);
    let (started, goes_on) = (Counter::new(), CancellationToken::new());
    let (count, go) = (started.clone(), goes_on.clone());
    let pool = WorkerPool::builder(&manager).workers(8).build().unwrap();
    pool.register_queue(QueueMeta::new(QUEUE), move |_: Context, _: u32| {
        let (count, go) = (count.clone(), go.clone());
        async move {
            count.add();
            go.cancelled().await;
            Ok(())
        }
    })
    .await
    .unwrap();
    let running = Running::start(pool);
    started.reach(1).await;
    server.halt(StopMode::Immediate).await;
    // Its result cannot be recorded now, and nothing can be retained.
    goes_on.cancel();
    tokio::time::sleep(seconds(2)).await;
    server.resume().await;
    wait_until("the result to be recorded", LIMIT, async || {
        manager.get_task(held.id).await.is_ok_and(|task| task.status == Some(Status::Released))
    })
    .await;
    create(&manager, 100).await;
    started.reach(101).await;
    assert_eq!(running.stop().await.done, 101);
}

/// A pool with one task, whose release breaks at this point of the connection, and cannot be sent again before it is given up as
/// unknown.
struct Unknown {
    line: Arc<Line>,
    task: Task,
    ends: Ends,
    running: Running,
}

impl Unknown {
    async fn at(point: CutPoint, outcome: Outcome, log: &Log) -> Self {
        let line = Arc::new(Line::single().await);
        let task = create(&line.manager, 1).await.remove(0);
        let (builder, ends) = Ends::of(WorkerPool::builder(&line.manager).workers(1).maintenance(false));
        let pool = builder.build().unwrap();
        let at_work = Arc::clone(&line);
        pool.register_raw(&[QUEUE], QueueOptions::new(), move |_: Context| {
            // The connection there is remains, until it is cut.
            at_work.proxy.refuse(true);
            let outcome = outcome.clone();
            async { outcome }
        })
        .await
        .unwrap();
        let given_up = log.count(GIVEN_UP);
        let released = line.proxy.arm(point, "pgmill.release_");
        let running = Running::start(pool);
        released.await;
        wait_until("the release to be given up", LIMIT, async || log.count(GIVEN_UP) > given_up).await;
        Self { line, task, ends, running }
    }

    /// Lets it through, and waits for what the pool is told of its end.
    async fn end(self) -> (String, Status) {
        self.line.proxy.refuse(false);
        wait_until("the end to be told", LIMIT, async || !self.ends.all().is_empty()).await;
        let status = self.line.manager.get_task(self.task.id).await.unwrap().status.unwrap();
        self.running.stop().await;
        (self.ends.all().remove(0), status)
    }
}

/// What a pool says then.
const GIVEN_UP: &str = "a result cannot be recorded";

/// Its release commits, but what came of it is not known in time. The pool sends it again, which finds that it was the one to end
/// the attempt, and the look at what became of the task breaks too.
#[tokio::test]
async fn a_result_that_was_recorded_is_not_told_to_be_lost_because_the_look_at_it_failed() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let unknown = Unknown::at(CutPoint::BeforeAnswer, Outcome::done_empty(), &log).await;
    let looked = unknown.line.proxy.arm(CutPoint::BeforeAnswer, "pgmill.any_task_v1");
    unknown.line.proxy.refuse(false);
    tokio::time::timeout(LIMIT, looked).await.expect("the pool to find its result, and to look at the task");
    assert_eq!(unknown.end().await, ("released".to_owned(), Status::Released));
}

/// A retain that a crash undid is repeated under the same number, by somebody else. What becomes of that attempt is not what became
/// of the first, however alike the two are.
#[tokio::test]
async fn a_result_that_was_dropped_is_not_told_to_be_what_another_worker_made_of_the_same_attempt() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    for (outcome, status) in [
        (Outcome::done_empty(), Status::Released),
        (Outcome::retry_in(seconds(60), &"no").unwrap(), Status::Retry),
        (Outcome::failed(&"never").unwrap(), Status::Failed),
        (Outcome::Snooze(seconds(60)), Status::New),
        (Outcome::cancelled(&"off").unwrap(), Status::Cancelled),
    ] {
        let unknown = Unknown::at(CutPoint::BeforeRequest, Outcome::done_empty(), &log).await;
        let repeated = "update pgmill.task set holder = holder + (1 << 23), started_at = clock_timestamp()";
        unknown.line.client.batch_execute(repeated).await.unwrap();
        let holder = number(&unknown.line.client, "select holder from pgmill.task").await;
        let other = builder(unknown.line.database.url()).await.unwrap();
        let theirs = Claim::new(i64::try_from(unknown.task.id).unwrap(), 1, holder);
        other.release_task(theirs, outcome).await.unwrap();
        assert_eq!(unknown.end().await, ("Lost".to_owned(), status));
    }
}

/// It was put off, and another worker has taken it since, under the next number.
#[tokio::test]
async fn a_result_that_was_recorded_is_told_so_though_the_task_has_gone_on() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let again = Outcome::retry_in(Duration::ZERO, &"again").unwrap();
    let unknown = Unknown::at(CutPoint::BeforeAnswer, again, &log).await;
    let other = builder(unknown.line.database.url()).await.unwrap();
    let theirs = take(&other).await;
    assert_eq!(theirs.attempt, 2);
    assert_eq!(unknown.end().await, ("retry".to_owned(), Status::Retained));
}

const CHILD: &str = "PGMILL_TEST_WORKER";
const TASKS: usize = 100;

/// A worker in another process: this test binary, told by its environment to be one.
#[test]
#[ignore = "started by the test below as a process of its own"]
fn other_worker() {
    let Ok(url) = std::env::var(CHILD) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let manager = Manager::connect(url).namespace("app").await.unwrap();
        let pool = WorkerPool::builder(&manager).workers(TASKS).lease(seconds(2)).build().unwrap();
        let started = Counter::new();
        pool.register_raw(&[QUEUE], QueueOptions::new(), move |_: Context| {
            if started.add() == TASKS {
                println!("\nall are under way");
            }
            std::future::pending::<Outcome>()
        })
        .await
        .unwrap();
        pool.run(CancellationToken::new()).await.unwrap();
    });
}

#[tokio::test]
async fn the_tasks_of_a_worker_that_is_killed_run_again_elsewhere_and_each_ends_once() {
    let fixture = Fixture::with_queue().await;
    create(&fixture.manager, TASKS).await;
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "pool_outage::other_worker", "--ignored", "--nocapture", "--test-threads=1"])
        .env(CHILD, fixture.database.url())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    tokio::task::spawn_blocking(move || {
        assert!(lines.map_while(Result::ok).any(|line| line.contains("all are under way")));
    })
    .await
    .unwrap();
    let sleeping = async || -> i64 {
        fixture.client.query_one("SELECT count(*) FROM pgmill.waiter", &[]).await.unwrap().get(0)
    };
    let others = sleeping().await;
    let pool = WorkerPool::builder(&fixture.manager).workers(TASKS).build().unwrap();
    let ran = Counter::new();
    let count = ran.clone();
    pool.register_queue(QueueMeta::new(QUEUE), move |context: Context, _: u32| {
        count.add();
        async move { Ok(context.attempt()) }
    })
    .await
    .unwrap();
    let running = Running::start(pool);
    // It has nothing to do, and has gone to sleep over it.
    wait_until("the other pool to sleep", LIMIT, async || sleeping().await > others).await;
    child.kill().unwrap();
    child.wait().unwrap();
    let killed = std::time::Instant::now();
    ran.reach(TASKS).await;
    let took = killed.elapsed();
    wait_until("all to be done", LIMIT, async || fixture.count(Status::Released).await == TASKS as u64).await;
    assert_eq!(running.stop().await.done, TASKS as u64);
    assert_eq!(ran.get(), TASKS, "each ran once");
    assert!(took < seconds(2 + 5 + 3), "{took:?}: lease + 5 s, and some for a busy machine");
}
