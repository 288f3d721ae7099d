//! A database that is out of reach, or whose answers get lost.

use std::time::Duration;

use pgmill::{
    BatchOptions, EnqueueError, Manager, Outcome, QueueMeta, ReleaseError, Retain, Status, Task, TaskMeta,
    hours,
};
use pgmill_testkit::{ChaosProxy, CutPoint, Direction, StopMode, TestDatabase, TestServer, wait_until};
use tokio::task::JoinSet;
use tokio_postgres::Client;

use crate::scene::{LIMIT, QUEUE, builder, create, number, payload, take, take_many};

const POINTS: [CutPoint; 4] =
    [CutPoint::BeforeRequest, CutPoint::AfterRequest, CutPoint::BeforeAnswer, CutPoint::MidAnswer];

/// A manager whose connections go through a proxy, and a connection that does not.
struct Line {
    database: TestDatabase,
    proxy: ChaosProxy,
    manager: Manager,
    client: Client,
}

impl Line {
    async fn new() -> Self {
        Self::with(BatchOptions::default(), LIMIT).await
    }

    async fn with(batching: BatchOptions, deadline: Duration) -> Self {
        let database = TestDatabase::create().await;
        let client = database.connect().await;
        let proxy = ChaosProxy::start(database.url()).await;
        let url = proxy.url_for(database.url()) + "&connect_timeout=1";
        let manager = builder(&url).batching(batching).deadline(deadline).await.unwrap();
        manager.register_queue(QueueMeta::new(QUEUE)).await.unwrap();
        Self { database, proxy, manager, client }
    }

    /// How many tasks there are, live, finished and gone without history.
    async fn tasks(&self) -> i64 {
        let tasks = "select (select count(*) from pgmill.task) + (select count(*) from pgmill.task_finished)
            + (select coalesce(sum(cardinality(ids)), 0)::bigint from pgmill.task_gone)";
        number(&self.client, tasks).await
    }

    /// How many statements of the manager the server has not ended.
    async fn is_quiet(&self) -> bool {
        let busy = "select count(*) from pg_stat_activity where datname = current_database()
            and pid <> pg_backend_pid() and state <> 'idle'";
        number(&self.client, busy).await == 0
    }
}

/// A manager that reaches the database by two ways: by the second, if the first refuses.
struct TwoLines {
    database: TestDatabase,
    first: ChaosProxy,
    manager: Manager,
    client: Client,
    _second: ChaosProxy,
}

impl TwoLines {
    async fn new() -> Self {
        let database = TestDatabase::create().await;
        let client = database.connect().await;
        let first = ChaosProxy::start(database.url()).await;
        let second = ChaosProxy::start(database.url()).await;
        let one = first.address().to_string();
        let both = format!("{one},{}", second.address());
        let url = first.url_for(database.url()).replace(&one, &both);
        let manager = builder(&url).deadline(Duration::from_millis(500)).await.unwrap();
        manager.register_queue(QueueMeta::new(QUEUE)).await.unwrap();
        Self { database, first, manager, client, _second: second }
    }

    /// Keeps what is sent on the first way. The manager gives it up after a while, and takes the second.
    fn hold(&self) {
        self.first.hold(Direction::ToServer);
        self.first.refuse(true);
    }

    /// Delivers what was kept, and waits until the server is through with it.
    async fn deliver(&self) {
        self.first.release(Direction::ToServer);
        wait_until("the late request to end", LIMIT, async || self.first.connections() == 0).await;
    }
}

// Enqueue

#[tokio::test]
async fn an_enqueue_that_is_cut_anywhere_creates_one_task_and_is_answered_with_it() {
    let line = Line::new().await;
    create(&line.manager, 1).await;
    let mut tasks = 1;
    for point in POINTS {
        for meta in [payload("plain"), payload("keyed").key(format!("{point:?}"))] {
            line.manager.create_task(QUEUE, meta.clone().key("warm")).await.unwrap();
            tasks = line.tasks().await;
            let fired = line.proxy.arm(point, "enqueue_v1");
            let task = line.manager.create_task(QUEUE, meta).await.unwrap();
            fired.await;
            tasks += 1;
            assert_eq!(line.tasks().await, tasks, "{point:?}");
            let seen = line.manager.get_task(task.id).await.unwrap();
            assert_eq!((seen.payload, seen.created_at), (task.payload, task.created_at), "{point:?}");
        }
    }
    wait_until("the statements to end", LIMIT, async || line.is_quiet().await).await;
    assert_eq!(line.tasks().await, tasks);
}

#[tokio::test]
async fn a_batch_that_is_cut_anywhere_creates_each_task_once() {
    let line = Line::new().await;
    for point in POINTS {
        let before = line.tasks().await;
        create(&line.manager, 1).await;
        let fired = line.proxy.arm(point, "enqueue_v1");
        let callers: JoinSet<_> = (0..50)
            .map(|n| {
                let manager = line.manager.clone();
                async move { manager.create_task(QUEUE, payload(n)).await.unwrap().id }
            })
            .collect();
        let mut ids = callers.join_all().await;
        fired.await;
        ids.sort_unstable();
        ids.dedup();
        assert_eq!((ids.len(), line.tasks().await), (50, before + 51), "{point:?}");
    }
}

#[tokio::test]
async fn many_tasks_at_once_are_all_created_once_wherever_the_connection_is_cut() {
    let line = Line::new().await;
    let cases = POINTS.map(|point| (100, point, "enqueue_v1")).into_iter();
    let cases = cases.chain([
        (2_000, CutPoint::BeforeRequest, "COPY pgmill.task"),
        (2_000, CutPoint::BeforeAnswer, "COPY pgmill.task"),
    ]);
    for (count, point, needle) in cases.chain(POINTS.map(|point| (2_000, point, "COMMIT"))) {
        let before = line.tasks().await;
        create(&line.manager, 1).await;
        let fired = line.proxy.arm(point, needle);
        let tasks = create(&line.manager, count).await;
        fired.await;
        assert_eq!(tasks.len(), count);
        let ids: Vec<i64> = tasks.iter().map(|task| i64::try_from(task.id).unwrap()).collect();
        let found = line
            .client
            .query_one("select count(*) from pgmill.task where id = any ($1)", &[&ids])
            .await
            .unwrap()
            .get::<_, i64>(0);
        assert_eq!((found, line.tasks().await), (ids.len() as i64, before + 1 + found), "{point:?} {needle}");
    }
}

#[tokio::test]
async fn an_enqueue_whose_server_stays_away_is_answered_as_unknown_with_its_id() {
    let line = Line::with(BatchOptions::default().settle(Duration::from_millis(300)), LIMIT).await;
    for (point, exists) in [(CutPoint::BeforeRequest, false), (CutPoint::BeforeAnswer, true)] {
        create(&line.manager, 1).await;
        let fired = line.proxy.arm(point, "enqueue_v1");
        let manager = line.manager.clone();
        let creating = tokio::spawn(async move { manager.create_task(QUEUE, payload("lost")).await });
        line.proxy.refuse(true);
        fired.await;
        let error = creating.await.unwrap().unwrap_err();
        line.proxy.refuse(false);
        let EnqueueError::Unknown { id } = error else { panic!("{error}") };
        assert_eq!(line.manager.get_task(id).await.is_ok(), exists, "{point:?}");
    }
    line.manager.create_task(QUEUE, payload("found")).await.unwrap();
}

#[tokio::test]
async fn without_a_connection_an_enqueue_fails_and_nothing_is_created() {
    let line = Line::with(BatchOptions::default().settle(Duration::from_millis(300)), LIMIT).await;
    create(&line.manager, 1).await;
    line.proxy.refuse(true);
    line.proxy.cut();
    let closed = async || {
        let error = line.manager.create_task(QUEUE, payload("never")).await.unwrap_err();
        assert!(error.is_transient(), "{error}");
        // Not as long as there is a connection of which it is not known that it is closed.
        matches!(error, EnqueueError::Store(_))
    };
    wait_until("the connections to be closed", LIMIT, closed).await;
    line.proxy.refuse(false);
    wait_until("the connection", LIMIT, async || {
        line.manager.create_task(QUEUE, payload("again")).await.is_ok()
    })
    .await;
    assert_eq!(line.tasks().await, 2);
}

/// What may happen to a task before the first sending of its enqueue arrives.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Meanwhile {
    Waits,
    Done,
    DoneWithoutHistory,
}

#[tokio::test]
async fn an_enqueue_that_arrives_after_it_was_given_up_creates_no_second_task() {
    for meanwhile in [Meanwhile::Waits, Meanwhile::Done, Meanwhile::DoneWithoutHistory] {
        let lines = TwoLines::new().await;
        if meanwhile == Meanwhile::DoneWithoutHistory {
            let settings = QueueMeta::new(QUEUE).retention(Duration::ZERO);
            lines.manager.register_queue(settings).await.unwrap();
        }
        create(&lines.manager, 1).await;
        take(&lines.manager).await;
        lines.hold();
        let task = lines.manager.create_task(QUEUE, payload("late")).await.unwrap();
        if meanwhile != Meanwhile::Waits {
            let taken = take(&lines.manager).await;
            assert_eq!(taken.id, task.id);
            lines.manager.release_task(&taken, Outcome::done_empty()).await.unwrap();
        }
        lines.deliver().await;
        let live = number(&lines.client, "select count(*) from pgmill.task where lease_until is null").await;
        assert_eq!(live, i64::from(meanwhile == Meanwhile::Waits), "{meanwhile:?}");
        drop(lines.database);
    }
}

// Release

fn outcomes() -> [Outcome; 6] {
    [
        Outcome::done(&"yes").unwrap(),
        Outcome::retry_in(hours(1), &"no").unwrap(),
        Outcome::failed(&"never").unwrap(),
        Outcome::GiveBack,
        Outcome::Snooze(hours(1)),
        Outcome::cancelled(&"off").unwrap(),
    ]
}

#[tokio::test]
async fn a_release_that_is_cut_anywhere_happens_once_and_is_answered_with_what_it_came_to() {
    let line = Line::new().await;
    for retention in [hours(24), Duration::ZERO] {
        line.manager.register_queue(QueueMeta::new(QUEUE).no_ttl().retention(retention)).await.unwrap();
        for point in POINTS {
            for outcome in outcomes() {
                let case = format!("{point:?} {outcome:?} {retention:?}");
                // What others have left would be taken first.
                line.client.batch_execute("delete from pgmill.task").await.unwrap();
                let usual = release_of_new(&line.manager, outcome.clone()).await;
                line.client.batch_execute("delete from pgmill.task").await.unwrap();
                let created = line.manager.create_task(QUEUE, payload(&case).priority(0)).await.unwrap();
                let task = take(&line.manager).await;
                assert_eq!(task.id, created.id, "{case}");
                let fired = line.proxy.arm(point, "release_v1");
                let released = line.manager.release_task(&task, outcome.clone()).await.unwrap();
                fired.await;
                assert_eq!(released.status, usual, "{case}");
                match line.manager.get_task(task.id).await {
                    Ok(now) => {
                        assert_eq!(now.status, Some(usual), "{case}");
                        assert_eq!(now.attempts.len(), usize::from(usual != Status::Released), "{case}");
                    }
                    Err(error) => {
                        assert!(retention.is_zero() && usual == Status::Released, "{case}: {error}")
                    }
                }
            }
        }
    }
}

/// The status of a task after its first attempt ended so.
async fn release_of_new(manager: &Manager, outcome: Outcome) -> Status {
    manager.create_task(QUEUE, payload("usual").priority(0)).await.unwrap();
    let task = take(manager).await;
    manager.release_task(&task, outcome).await.unwrap().status
}

#[tokio::test]
async fn a_release_is_known_to_be_done_even_if_others_have_taken_the_task_on() {
    let outcomes = [Outcome::retry_in(Duration::ZERO, &"no").unwrap(), Outcome::GiveBack];
    for outcome in outcomes {
        for finish in [false, true] {
            let line = Line::new().await;
            let other = builder(line.database.url()).await.unwrap();
            create(&line.manager, 1).await;
            let task = take(&line.manager).await;
            let fired = line.proxy.arm(CutPoint::BeforeAnswer, "release_v1");
            // The way back is closed until the others have had the task.
            line.proxy.refuse(true);
            let manager = line.manager.clone();
            let (held, end) = (task.clone(), outcome.clone());
            let releasing = tokio::spawn(async move { manager.release_task(&held, end).await });
            fired.await;
            let theirs = take(&other).await;
            assert_eq!((theirs.id, theirs.attempt), (task.id, 2));
            if finish {
                other.release_task(&theirs, Outcome::done_empty()).await.unwrap();
            }
            line.proxy.refuse(false);
            let released = releasing.await.unwrap();
            assert!(released.is_ok(), "{outcome:?}, finished: {finish}: {}", released.unwrap_err());
        }
    }
}

#[tokio::test]
async fn a_release_without_a_fence_whose_answer_is_lost_is_unknown_and_ends_no_other_attempt() {
    let line = Line::new().await;
    let other = builder(line.database.url()).await.unwrap();
    create(&line.manager, 1).await;
    let task = take(&line.manager).await;
    let fired = line.proxy.arm(CutPoint::BeforeAnswer, "release_v1");
    line.proxy.refuse(true);
    let manager = line.manager.clone();
    let releasing = tokio::spawn(async move { manager.release_task(task.id, Outcome::GiveBack).await });
    fired.await;
    let theirs = take(&other).await;
    line.proxy.refuse(false);
    let error = releasing.await.unwrap().unwrap_err();
    assert!(matches!(error, ReleaseError::Unknown { id } if id == theirs.id), "{error}");
    other.release_task(&theirs, Outcome::done_empty()).await.unwrap();
}

#[tokio::test]
async fn a_release_whose_server_stays_away_is_answered_as_unknown() {
    let line = Line::with(BatchOptions::default().settle(Duration::from_millis(300)), LIMIT).await;
    for (point, status) in
        [(CutPoint::BeforeRequest, Status::Retained), (CutPoint::BeforeAnswer, Status::Released)]
    {
        create(&line.manager, 1).await;
        let task = take(&line.manager).await;
        let fired = line.proxy.arm(point, "release_v1");
        let (manager, held) = (line.manager.clone(), task.clone());
        let releasing = tokio::spawn(async move { manager.release_task(&held, Outcome::done_empty()).await });
        line.proxy.refuse(true);
        fired.await;
        let error = releasing.await.unwrap().unwrap_err();
        line.proxy.refuse(false);
        assert!(matches!(error, ReleaseError::Unknown { id } if id == task.id), "{error}");
        assert_eq!(line.manager.get_task(task.id).await.unwrap().status, Some(status), "{point:?}");
    }
}

#[tokio::test]
async fn a_release_that_arrives_after_it_was_given_up_changes_nothing() {
    let lines = TwoLines::new().await;
    create(&lines.manager, 1).await;
    let task = take(&lines.manager).await;
    lines.hold();
    let released = lines.manager.release_task(&task, Outcome::GiveBack).await.unwrap();
    assert_eq!(released.status, Status::New);
    let again = take(&lines.manager).await;
    lines.deliver().await;
    let now = lines.manager.get_task(task.id).await.unwrap();
    assert_eq!((now.status, now.attempts.len()), (Some(Status::Retained), 1));
    lines.manager.release_task(&again, Outcome::done_empty()).await.unwrap();
}

// Retain

#[tokio::test]
async fn a_retain_that_is_cut_anywhere_leaves_no_task_stuck_and_spares_the_attempt() {
    let line = Line::new().await;
    for point in POINTS {
        create(&line.manager, 3).await;
        let fired = line.proxy.arm(point, "retain_v1");
        // The statement may still run when its repetition finds the rows locked.
        let mut taken: Vec<Task> = Vec::new();
        wait_until("all tasks", LIMIT, async || {
            let tasks = line.manager.next_tasks("w", &[QUEUE], Retain::new().count(3)).await.unwrap();
            taken.extend(tasks);
            taken.len() >= 3
        })
        .await;
        fired.await;
        assert_eq!(taken.len(), 3, "{point:?}");
        for task in &taken {
            assert_eq!(task.retries, 3, "{point:?}");
            line.manager.release_task(task, Outcome::done_empty()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_a_late_retain_takes_is_given_out_again_at_once() {
    let lines = TwoLines::new().await;
    create(&lines.manager, 2).await;
    // Prepared now, so that the next one can arrive without an answer to anything before it.
    let task = take(&lines.manager).await;
    lines.manager.release_task(&task, Outcome::done_empty()).await.unwrap();
    create(&lines.manager, 1).await;
    lines.hold();
    let first = take(&lines.manager).await;
    lines.deliver().await;
    let stuck = "select count(*) from pgmill.task where lease_until is not null";
    assert_eq!(number(&lines.client, stuck).await, 2, "the late retain took the other task");
    let second = take(&lines.manager).await;
    assert_ne!(first.id, second.id);
    assert_eq!((second.attempt, second.retries), (2, 3));
}

// Silence

#[tokio::test]
async fn in_silence_flights_end_at_their_deadline_and_then_everything_recovers() {
    let second = Duration::from_secs(1);
    let line = Line::with(BatchOptions::default().settle(second), Duration::from_millis(300)).await;
    create(&line.manager, 5).await;
    let held = take_many(&line.manager, 2).await;
    line.proxy.swallow(Direction::Both, true);
    let (created, released, retained) = tokio::time::timeout(LIMIT, async {
        tokio::join!(
            line.manager.create_task(QUEUE, payload("silence")),
            line.manager.release_task(&held[0], Outcome::done_empty()),
            line.manager.next_task("w", &[QUEUE]),
        )
    })
    .await
    .expect("every caller to be answered");
    // Unknown, or known not to have been sent.
    assert!(created.as_ref().is_err_and(EnqueueError::is_transient), "{created:?}");
    assert!(released.as_ref().is_err_and(ReleaseError::is_transient), "{released:?}");
    assert!(retained.as_ref().is_err_and(|error| error.is_transient()), "{retained:?}");

    // What is sent during the silence is not lost by it, if it ends in time.
    let manager = line.manager.clone();
    let creating = tokio::spawn(async move { manager.create_task(QUEUE, payload("patience")).await });
    line.proxy.swallow(Direction::Both, false);
    match creating.await.unwrap() {
        Ok(task) => assert_eq!(line.manager.get_task(task.id).await.unwrap().id, task.id),
        Err(error) => assert!(error.is_transient(), "{error}"),
    }
    wait_until("a release", LIMIT, async || {
        line.manager.release_task(&held[1], Outcome::done_empty()).await.is_ok()
    })
    .await;
    assert!(line.manager.next_task("w", &[QUEUE]).await.unwrap().is_some());
}

// Rows locked by others

#[tokio::test]
async fn a_row_that_others_hold_stops_no_other_row() {
    let line = Line::new().await;
    create(&line.manager, 50).await;
    let tasks = take_many(&line.manager, 50).await;
    let mut holder = line.database.connect().await;
    let transaction = holder.transaction().await.unwrap();
    let locked = tasks[7].id;
    let id = i64::try_from(locked).unwrap();
    transaction.query("select from pgmill.task where id = $1 for update", &[&id]).await.unwrap();
    let mut releases: JoinSet<_> = tasks
        .into_iter()
        .map(|task| {
            let manager = line.manager.clone();
            async move { manager.release_task(&task, Outcome::done_empty()).await.unwrap().id }
        })
        .collect();
    for _ in 0..49 {
        assert_ne!(releases.join_next().await.unwrap().unwrap(), locked);
    }
    assert!(releases.try_join_next().is_none());
    transaction.commit().await.unwrap();
    assert_eq!(releases.join_next().await.unwrap().unwrap(), locked);
}

#[tokio::test]
async fn a_release_of_a_row_that_others_keep_is_answered_as_locked() {
    let line = Line::with(BatchOptions::default().settle(Duration::from_millis(300)), LIMIT).await;
    create(&line.manager, 2).await;
    let task = take(&line.manager).await;
    let mut holder = line.database.connect().await;
    let transaction = holder.transaction().await.unwrap();
    transaction.query("select from pgmill.task for update", &[]).await.unwrap();
    let error = line.manager.release_task(&task, Outcome::done_empty()).await.unwrap_err();
    assert!(matches!(error, ReleaseError::Locked { id } if id == task.id), "{error}");
    assert!(line.manager.next_task("w", &[QUEUE]).await.unwrap().is_none(), "a locked task is passed over");
    let claim = task.claim().unwrap();
    let until = line.manager.extend_leases(&[claim], None).await.unwrap();
    assert_eq!(until, [task.lease_until], "a lease that cannot be extended just now is not lost");
    transaction.rollback().await.unwrap();
    line.manager.release_task(&task, Outcome::done_empty()).await.unwrap();
    take(&line.manager).await;
}

// A crash

#[tokio::test]
async fn after_a_crash_that_loses_a_retain_its_holder_cannot_release_and_the_task_runs_again() {
    let server = TestServer::own();
    let database = TestDatabase::create_on(&server).await;
    let client = database.connect().await;
    for setting in ["wal_writer_delay = '10s'", "wal_writer_flush_after = '1GB'", "autovacuum = off"] {
        client.batch_execute(&format!("alter system set {setting}")).await.unwrap();
    }
    client.batch_execute("select pg_reload_conf()").await.unwrap();
    let manager = builder(database.url()).await.unwrap();
    manager.register_queue(QueueMeta::new(QUEUE)).await.unwrap();
    // The retain reaches the disk nevertheless where the WAL writer happens to be about.
    for _ in 0..10 {
        create(&manager, 1).await;
        // Warm, so that the retain writes little.
        manager.next_task("w", &["none"]).await.unwrap();
        let task = take(&manager).await;
        server.halt(StopMode::Immediate).await;
        server.resume().await;
        let now = lookup(&manager, &task).await;
        if now.status == Some(Status::Retained) {
            manager.release_task(&task, Outcome::done_empty()).await.unwrap();
            continue;
        }
        let error = manager.release_task(&task, Outcome::done_empty()).await.unwrap_err();
        assert!(matches!(error, ReleaseError::NotRetained { .. }), "{error}");

        let again = take(&manager).await;
        assert_eq!((again.id, again.attempt), (task.id, task.attempt), "only the holder differs");
        let error = manager.release_task(&task, Outcome::done_empty()).await.unwrap_err();
        assert!(matches!(error, ReleaseError::Superseded { .. }), "{error}");
        manager.release_task(&again, Outcome::done_empty()).await.unwrap();
        return;
    }
    panic!("the server never lost a retain");
}

/// A task, as soon as the server can be reached again.
async fn lookup(manager: &Manager, task: &Task) -> Task {
    let mut found = None;
    wait_until("the server", LIMIT, async || {
        found = manager.get_task(task.id).await.ok();
        found.is_some()
    })
    .await;
    found.unwrap()
}

#[tokio::test]
async fn a_restart_of_the_server_goes_by_unnoticed() {
    let server = TestServer::own();
    let database = TestDatabase::create_on(&server).await;
    let manager = builder(database.url()).await.unwrap();
    manager.register_queue(QueueMeta::new(QUEUE)).await.unwrap();
    create(&manager, 3).await;
    let task = take(&manager).await;
    server.halt(StopMode::Fast).await;
    server.resume().await;
    manager.release_task(&task, Outcome::done_empty()).await.unwrap();
    manager.create_task(QUEUE, TaskMeta::json(&"after").unwrap()).await.unwrap();
    take(&manager).await;
}
