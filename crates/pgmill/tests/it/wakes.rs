//! How idle workers learn of tasks: from their own process, from others, and by themselves when nobody tells them.

use std::future::poll_fn;
use std::time::{Duration, Instant};

use pgmill::{Arrivals, ConnectOptions, Manager, Outcome, seconds};
use pgmill_testkit::{
    ChaosProxy, Direction, StopMode, TestDatabase, TestServer, has_pooler, skipped, wait_until,
};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::oneshot;
use tokio_postgres::AsyncMessage;

use crate::fixture::{Fixture, SOON, task, told};

/// How soon a listener is back once nothing is in its way: it tests its connection after 5 s, has 3 s to hear of it, and pauses
/// between attempts.
const BACK_WITHIN: Duration = Duration::from_secs(15);

/// Somebody in a process of their own who has nothing to do, and has said so.
struct Sleeper {
    manager: Manager,
    arrivals: Arrivals,
}

impl Sleeper {
    async fn of(fixture: &Fixture) -> Self {
        Self::on(fixture, fixture.other_process().await).await
    }

    async fn on(fixture: &Fixture, manager: Manager) -> Self {
        let mut arrivals = manager.arrivals(&["q"]).unwrap();
        let asleep = async {
            while waiters(fixture).await == 0 {
                arrivals.wait().await;
            }
        };
        tokio::time::timeout(SOON, asleep).await.unwrap();
        Self { manager, arrivals }
    }

    /// Takes a task as whoever waits does.
    async fn take(&mut self) -> pgmill::Task {
        let taking = async {
            loop {
                if let Some(task) = self.manager.next_task("sleeper", &["q"]).await.unwrap() {
                    return task;
                }
                self.arrivals.wait().await;
            }
        };
        tokio::time::timeout(SOON, taking).await.unwrap()
    }
}

async fn waiters(fixture: &Fixture) -> i64 {
    let count = "SELECT count(*) FROM pgmill.waiter WHERE until > now()";
    fixture.client.query_one(count, &[]).await.unwrap().get(0)
}

async fn everything_told(fixture: &Fixture) -> UnboundedReceiver<String> {
    let options = fixture.database.options().listening().unwrap();
    let (client, mut driver) = options.connect().await.unwrap();
    let (heard, notices) = unbounded_channel();
    tokio::spawn(async move {
        // Kept, for without it the connection ends.
        let _client = client.batch_execute("LISTEN pgmill").await.map(|()| client);
        std::future::pending::<()>().await;
    });
    let (listening, ready) = oneshot::channel();
    let mut listening = Some(listening);
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|cx| driver.poll_message(cx)).await {
            if let AsyncMessage::Notification(notice) = message {
                if let Some(listening) = listening.take() {
                    let _ = listening.send(());
                }
                let _ = heard.send(notice.payload().to_owned());
            }
        }
    });
    // Until it is seen to hear.
    let mut ready = ready;
    while tokio::time::timeout(Duration::from_millis(20), &mut ready).await.is_err() {
        fixture.client.batch_execute("NOTIFY pgmill, 'the start'").await.unwrap();
    }
    notices
}

async fn listens(manager: &Manager, listens: bool) {
    wait_until("the listener to be as it should", SOON, async || manager.is_listening() == listens).await;
}

/// Waits until the listener is back, which was free to come since then.
async fn comes_back(manager: &Manager, free: Instant) {
    let left = BACK_WITHIN.saturating_sub(free.elapsed());
    wait_until("the listener to come back", left, async || manager.is_listening()).await;
}

#[tokio::test]
async fn a_task_is_told_to_another_process() {
    let fixture = Fixture::with_queue().await;
    let mut sleeper = Sleeper::of(&fixture).await;
    fixture.create(task(1)).await;
    told(&mut sleeper.arrivals).await;
}

#[tokio::test]
async fn many_tasks_are_told_to_another_process() {
    let fixture = Fixture::with_queue().await;
    let mut sleeper = Sleeper::of(&fixture).await;
    fixture.manager.create_tasks("q", (0..1_500).map(task)).await.unwrap();
    told(&mut sleeper.arrivals).await;
}

#[tokio::test]
async fn a_task_given_back_is_told_to_another_process() {
    let fixture = Fixture::with_queue().await;
    fixture.create(task(1)).await;
    let held = fixture.retain().await;
    let mut sleeper = Sleeper::of(&fixture).await;
    fixture.manager.release_task(&held, Outcome::GiveBack).await.unwrap();
    told(&mut sleeper.arrivals).await;
}

#[tokio::test]
async fn a_task_of_the_sql_function_is_told_by_the_commit() {
    let mut fixture = Fixture::with_queue().await;
    let mut sleeper = Sleeper::of(&fixture).await;
    let transaction = fixture.client.transaction().await.unwrap();
    transaction.query("SELECT pgmill.create_task('app', 'q', '1')", &[]).await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(200), told(&mut sleeper.arrivals)).await;
    assert!(early.is_err(), "told of a task that is not committed");
    transaction.commit().await.unwrap();
    told(&mut sleeper.arrivals).await;
}

#[tokio::test]
async fn a_task_of_a_transaction_is_told_to_another_process_by_its_wake() {
    let mut fixture = Fixture::with_queue().await;
    let mut sleeper = Sleeper::of(&fixture).await;
    let transaction = fixture.client.transaction().await.unwrap();
    let (_, wake) = fixture.manager.create_task_in(&transaction, "q", task(1)).await.unwrap();
    transaction.commit().await.unwrap();
    wake.send(&fixture.manager);
    told(&mut sleeper.arrivals).await;
}

#[tokio::test]
async fn nobody_is_told_while_nobody_sleeps() {
    let fixture = Fixture::with_queue().await;
    let mut heard = everything_told(&fixture).await;
    fixture.create(task(1)).await;
    // Returns when what is to be told is told; and notices come in the order of their commits.
    fixture.manager.close().await;
    fixture.client.batch_execute("NOTIFY pgmill, 'the end'").await.unwrap();
    while let Some(notice) = heard.recv().await {
        assert!(notice.starts_with("the "), "{notice}");
        if notice == "the end" {
            break;
        }
    }
}

#[tokio::test]
async fn while_a_notice_is_under_way_others_are_gathered() {
    let fixture = Fixture::with_queue().await;
    fixture.sql("INSERT INTO pgmill.waiter VALUES ('app', 'q', 1, now() + interval '1 hour')").await;
    let mut heard = everything_told(&fixture).await;
    let mut client = fixture.database.connect().await;
    let blocking = client.transaction().await.unwrap();
    blocking.batch_execute("LOCK TABLE pgmill.waiter").await.unwrap();
    for number in 0..20 {
        fixture.create(task(number)).await;
    }
    blocking.commit().await.unwrap();
    fixture.manager.close().await;
    fixture.client.batch_execute("NOTIFY pgmill, 'the end'").await.unwrap();
    let mut notices = 0;
    while let Some(notice) = heard.recv().await
        && notice != "the end"
    {
        notices += i32::from(notice.contains("\"app\""));
    }
    assert_eq!(notices, 2);
}

#[tokio::test]
async fn one_who_sleeps_wants_only_its_own_queues() {
    let fixture = Fixture::with_queue().await;
    fixture.manager.register_queue(pgmill::QueueMeta::new("other")).await.unwrap();
    let mut sleeper = Sleeper::of(&fixture).await;
    let mut heard = everything_told(&fixture).await;
    fixture.manager.create_task("other", task(1)).await.unwrap();
    fixture.manager.close().await;
    fixture.client.batch_execute("NOTIFY pgmill, 'the end'").await.unwrap();
    while let Some(notice) = heard.recv().await {
        assert!(!notice.contains("other"), "{notice}");
        if notice == "the end" {
            break;
        }
    }
    let early = tokio::time::timeout(Duration::from_millis(200), told(&mut sleeper.arrivals)).await;
    assert!(early.is_err());
}

/// Where a connection to listen was lost, tasks go on to be found, and soon they are told of again.
#[tokio::test]
async fn a_listener_that_the_server_ends_comes_back() {
    let fixture = Fixture::with_queue().await;
    let mut sleeper = Sleeper::of(&fixture).await;
    let ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND query LIKE '%pg_notify(''pgmill''%' AND pid <> pg_backend_pid()";
    wait_until("the listener to be ended", SOON, async || {
        fixture.client.query_one(ended, &[]).await.unwrap().get::<_, i64>(0) > 0
    })
    .await;
    let free = Instant::now();
    fixture.create(task(1)).await;
    sleeper.take().await;
    comes_back(&sleeper.manager, free).await;
    let mut sleeper = Sleeper::on(&fixture, sleeper.manager).await;
    fixture.create(task(2)).await;
    told(&mut sleeper.arrivals).await;
}

/// A connection that is dead and was not closed: nothing but a test of it can tell.
#[tokio::test]
async fn a_listener_whose_packets_are_swallowed_is_found_out_and_comes_back() {
    if skipped(has_pooler(), "the way to the server is one of the test's own") {
        return;
    }
    let fixture = Fixture::with_queue().await;
    let proxy = ChaosProxy::start(fixture.database.url()).await;
    let direct = ConnectOptions::parse(&proxy.url_for(fixture.database.url())).unwrap();
    let manager =
        Manager::connect(fixture.database.url()).namespace("app").listen_with(direct).await.unwrap();
    let mut sleeper = Sleeper::on(&fixture, manager).await;
    listens(&sleeper.manager, true).await;

    proxy.swallow(Direction::ToClient, true);
    fixture.create(task(1)).await;
    sleeper.take().await;
    listens(&sleeper.manager, false).await;
    fixture.create(task(2)).await;
    sleeper.take().await;

    proxy.swallow(Direction::ToClient, false);
    comes_back(&sleeper.manager, Instant::now()).await;
    let mut sleeper = Sleeper::on(&fixture, sleeper.manager).await;
    fixture.create(task(3)).await;
    told(&mut sleeper.arrivals).await;
}

#[tokio::test]
async fn without_a_direct_connection_tasks_of_others_are_found_by_looking() {
    let fixture = Fixture::with_queue().await;
    let pool = fixture.database.options().pool().unwrap();
    let manager = Manager::new(pool, "app").await.unwrap();
    let arrivals = manager.arrivals(&["q"]).unwrap();
    let mut sleeper = Sleeper { manager, arrivals };
    fixture.create(task(1)).await;
    sleeper.take().await;
    assert!(!sleeper.manager.is_listening());
    assert_eq!(waiters(&fixture).await, 0, "one who cannot be told does not ask for it");
}

#[tokio::test]
async fn delayed_tasks_and_retries_are_found_when_they_are_due() {
    let fixture = Fixture::with_queue().await;
    let mut sleeper = Sleeper::of(&fixture).await;
    fixture.create(task(1).delay(seconds(1))).await;
    let taken = sleeper.take().await;
    assert!(taken.started_at >= taken.delayed_at, "{taken:?}");
    let later = Outcome::retry_in(seconds(1), "again").unwrap();
    let released = sleeper.manager.release_task(&taken, later).await.unwrap();
    let again = sleeper.take().await;
    assert_eq!(again.id, taken.id);
    assert!(again.started_at >= released.task.unwrap().delayed_at);
}

#[tokio::test]
async fn after_a_crash_of_the_server_those_who_sleep_say_so_again() {
    let server = TestServer::own();
    let database = TestDatabase::create_on(&server).await;
    let fixture = Fixture::on(database).await;
    let sleeper = Sleeper::of(&fixture).await;
    server.halt(StopMode::Immediate).await;
    server.resume().await;
    let client = fixture.database.connect().await;
    let fixture = Fixture { client, ..fixture };
    assert_eq!(waiters(&fixture).await, 0, "the table is not logged");
    let mut sleeper = Sleeper::on(&fixture, sleeper.manager).await;
    wait_until("the first connection", SOON, async || {
        fixture.manager.create_task("q", task(1)).await.is_ok()
    })
    .await;
    told(&mut sleeper.arrivals).await;
}
