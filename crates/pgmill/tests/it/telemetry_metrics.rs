//! What is counted and measured, and that docs/telemetry.md tells of it.

use std::collections::BTreeMap;
use std::path::Path;

use pgmill::{Context, Manager, Outcome, QueueMeta, QueueOptions, TickerMeta, WorkerPool, hours, seconds};
use pgmill_testkit::{CutPoint, has_pooler, wait_until};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::faults::Line;
use crate::fixture::{Fixture, SOON, task};
use crate::pool_scene::{Counter, Running, SHORT};
use crate::scene::{LIMIT, QUEUE, create, payload};
use crate::telemetry_scene::Recorder;

/// A pool whose handler does what the payload says.
async fn as_told(manager: &Manager) -> WorkerPool {
    let pool = WorkerPool::builder(manager).workers(2).maintenance(false).build().unwrap();
    pool.register_raw(&[QUEUE], QueueOptions::new(), |context: Context| async move {
        let text = context.task().payload.as_ref().unwrap().as_str().to_owned();
        match text.trim_matches('"') {
            "retry" => Outcome::retry(&"later").unwrap(),
            "failed" => Outcome::failed(&"no").unwrap(),
            "cancelled" => Outcome::cancelled(&"off").unwrap(),
            "snoozed" => Outcome::Snooze(hours(1)),
            _ => Outcome::done_empty(),
        }
    })
    .await
    .unwrap();
    pool
}

/// Runs so many attempts.
async fn work_off(manager: &Manager, recorder: &Recorder, attempts: u32) {
    let running = Running::start(as_told(manager).await);
    wait_until("the attempts to end", SOON, async || {
        recorder.total("pgmill_attempts_ended_total", &[]) >= attempts.into()
    })
    .await;
    running.stop().await;
}

#[tokio::test]
async fn attempts_and_releases_are_counted_by_their_outcome() {
    let recorder = Recorder::install();
    let fixture = Fixture::with_queue().await;
    for outcome in ["done", "done", "retry", "failed", "cancelled", "snoozed"] {
        fixture.create(task(outcome)).await;
    }
    work_off(&fixture.manager, &recorder, 6).await;
    for (outcome, count) in
        [("done", 2.0), ("retry", 1.0), ("failed", 1.0), ("cancelled", 1.0), ("snoozed", 1.0), ("lost", 0.0)]
    {
        let labels = ["app", "q", outcome];
        assert_eq!(recorder.total("pgmill_attempts_ended_total", &labels), count, "{outcome}");
        assert_eq!(recorder.total("pgmill_tasks_released_total", &labels), count, "{outcome}");
    }
    assert_eq!(recorder.total("pgmill_tasks_created_total", &["app", "q"]), 6.0);
    assert_eq!(recorder.total("pgmill_tasks_retained_total", &["app", "q"]), 6.0);
    for measured in ["pgmill_task_pickup_seconds", "pgmill_task_run_seconds"] {
        assert_eq!(recorder.count(measured, &["app", "q"]), 6, "{measured}");
    }
}

#[tokio::test]
async fn what_a_caller_retains_and_gives_back_itself_is_counted_too() {
    let recorder = Recorder::install();
    let fixture = Fixture::with_queue().await;
    fixture.create(task(1)).await;
    let (taken, same) = (task(2).key("taken"), task(3).key("taken"));
    fixture.create(taken).await;
    fixture.create(same).await;
    fixture.finish(Outcome::GiveBack).await;
    assert_eq!(recorder.total("pgmill_tasks_created_total", &[]), 2.0, "the key was taken");
    assert_eq!(recorder.total("pgmill_tasks_released_total", &["given_back"]), 1.0);
    assert_eq!(recorder.total("pgmill_attempts_ended_total", &[]), 0.0);
}

#[tokio::test]
async fn gauges_rise_while_a_pool_works_and_are_back_at_0_when_it_has_ended() {
    let recorder = Recorder::install();
    let fixture = Fixture::with_queue().await;
    fixture.create(task(1)).await;
    let pool = WorkerPool::builder(&fixture.manager).workers(3).maintenance(false).build().unwrap();
    let (started, gate) = (Counter::new(), std::sync::Arc::new(Semaphore::new(0)));
    let (count, wait) = (started.clone(), std::sync::Arc::clone(&gate));
    pool.register_queue(QueueMeta::new(QUEUE), move |_: Context, _: u32| {
        count.add();
        let wait = std::sync::Arc::clone(&wait);
        async move {
            drop(wait.acquire().await);
            Ok(())
        }
    })
    .await
    .unwrap();
    let running = Running::start(pool);
    started.reach(1).await;
    let gauges = [("pgmill_pool_slots", 3.0), ("pgmill_handlers_running", 1.0), ("pgmill_tasks_held", 1.0)];
    for (gauge, value) in gauges {
        assert_eq!(recorder.total(gauge, &["app"]), value, "{gauge}");
    }
    wait_until("to be told of tasks", SOON, async || recorder.total("pgmill_listening", &[]) == 1.0).await;
    gate.add_permits(1);
    running.stop().await;
    fixture.manager.close().await;
    wait_until("everything to be at 0", SOON, async || {
        let all = ["pgmill_listening", "pgmill_calls_waiting", "pgmill_flights"];
        gauges.iter().map(|(gauge, _)| *gauge).chain(all).all(|gauge| recorder.total(gauge, &[]) == 0.0)
    })
    .await;
}

#[tokio::test]
async fn a_lost_lease_is_counted_once() {
    let recorder = Recorder::install();
    let fixture = Fixture::with_queue().await;
    fixture.create(task(1)).await;
    let builder = WorkerPool::builder(&fixture.manager).workers(1).maintenance(false);
    let pool = builder.lease(seconds(1)).cancel_grace(SHORT).build().unwrap();
    let started = Counter::new();
    let count = started.clone();
    pool.register_raw(&[QUEUE], QueueOptions::new(), move |context: Context| {
        count.add();
        async move {
            context.cancellation().cancelled().await;
            Outcome::done_empty()
        }
    })
    .await
    .unwrap();
    let running = Running::start(pool);
    started.reach(1).await;
    fixture.sql("UPDATE pgmill.task SET holder = holder + 1").await;
    wait_until("the attempt to be lost", SOON, async || {
        recorder.total("pgmill_attempts_ended_total", &["lost"]) == 1.0
    })
    .await;
    running.stop().await;
    assert_eq!(recorder.total("pgmill_leases_lost_total", &["app", "q"]), 1.0);
    assert!(recorder.total("pgmill_lease_extensions_total", &["app", "done"]) >= 1.0);
}

#[tokio::test]
async fn a_lost_answer_that_is_settled_is_counted() {
    let recorder = Recorder::install();
    let line = Line::new().await;
    create(&line.manager, 1).await;
    assert_eq!(recorder.count("pgmill_batch_rows", &["bulk"]), 1);
    let lost = line.proxy.arm(CutPoint::BeforeAnswer, "enqueue_v1");
    line.manager.create_task(QUEUE, payload(1)).await.unwrap();
    lost.await;
    assert_eq!(recorder.total("pgmill_statements_failed_total", &["enqueue", "lost"]), 1.0);
    assert!(recorder.total("pgmill_statements_retried_total", &["enqueue"]) >= 1.0);
    assert_eq!(recorder.total("pgmill_losses_settled_total", &["enqueue", "known"]), 1.0);
    assert!(recorder.count("pgmill_statement_seconds", &["enqueue"]) >= 2);
    assert_eq!(recorder.total("pgmill_tasks_created_total", &[]), 2.0);
}

#[tokio::test]
async fn a_loss_that_is_not_settled_in_time_is_counted_as_unknown() {
    let recorder = Recorder::install();
    let line = Line::single().await;
    create(&line.manager, 1).await;
    let lost = line.proxy.arm(CutPoint::BeforeAnswer, "enqueue_v1");
    let (created, ()) = tokio::join!(line.manager.create_task(QUEUE, payload(1)), async {
        lost.await;
        line.proxy.refuse(true);
    });
    assert!(matches!(created, Err(pgmill::EnqueueError::Unknown { .. })), "{created:?}");
    assert_eq!(recorder.total("pgmill_losses_settled_total", &["enqueue", "unknown"]), 1.0);
    assert_eq!(recorder.total("pgmill_tasks_created_total", &[]), 1.0);
}

/// Whether the last that the pool of a process sent is the question when a task is due, and was answered.
const ASKED_LAST: &str = "SELECT count(*) = 1 FROM (
        SELECT query, state FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND query ~ 'sleep_v1|retain'
        ORDER BY query_start DESC LIMIT 1
    ) last
    WHERE query LIKE '%sleep_v1%' AND state = 'idle'";

#[tokio::test]
async fn a_task_that_nobody_told_of_is_counted_as_missed_and_one_that_was_told_is_not() {
    let recorder = Recorder::install();
    let mut fixture = Fixture::with_queue().await;
    let other = fixture.other_process().await;
    let pool = WorkerPool::builder(&other).workers(1).maintenance(false).build().unwrap();
    let ran = Counter::new();
    let count = ran.clone();
    pool.register_queue(QueueMeta::new(QUEUE), move |_: Context, _: u32| {
        count.add();
        async { Ok(()) }
    })
    .await
    .unwrap();
    let running = Running::start(pool);
    let watcher = fixture.database.connect().await;
    // Some more looks than it takes until they are a second apart.
    let quiet = async |looks: usize| {
        let before = recorder.count("pgmill_statement_seconds", &["retain"]);
        wait_until("quiet", LIMIT, async || {
            recorder.count("pgmill_statement_seconds", &["retain"]) >= before + looks
        })
        .await;
    };
    quiet(9).await;
    fixture.create(task(1)).await;
    ran.reach(1).await;
    assert_eq!(recorder.total("pgmill_notices_missed_total", &[]), 0.0);
    assert!(recorder.total("pgmill_notices_received_total", &[]) >= 1.0);
    wait_until("the notice to be counted", SOON, async || {
        recorder.total("pgmill_notices_sent_total", &[]) >= 1.0
    })
    .await;
    // One that comes just when the pool asks what is due is seen then, and so is not missed; after it the looks are close again.
    for task_number in 2..8 {
        quiet(if task_number == 2 { 1 } else { 9 }).await;
        // The pool asks right after a look, and then waits for a second and more. A pooler does not tell who asks.
        wait_until("the pool to have asked", LIMIT, async || {
            has_pooler() || watcher.query_one(ASKED_LAST, &[]).await.unwrap().get(0)
        })
        .await;
        let transaction = fixture.client.transaction().await.unwrap();
        let (_, unsent) = fixture.manager.create_task_in(&transaction, QUEUE, task(2)).await.unwrap();
        transaction.commit().await.unwrap();
        drop(unsent);
        ran.reach(task_number).await;
        if recorder.total("pgmill_notices_missed_total", &["app", "q"]) > 0.0 {
            break;
        }
    }
    assert_eq!(recorder.total("pgmill_notices_missed_total", &["app", "q"]), 1.0);
    running.stop().await;
}

/// The cells of the table of the library in the page: type, unit and labels, by name.
fn documented() -> BTreeMap<String, [String; 3]> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/telemetry.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (page, _) = page.split_once("\n## Metrics of the server\n").unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `pgmill_"));
    rows.map(|row| {
        let mut cells = row.split('|').skip(1).map(|cell| cell.trim().replace('`', ""));
        let name = cells.next().unwrap();
        (name, std::array::from_fn(|_| cells.next().unwrap()))
    })
    .collect()
}

#[tokio::test]
async fn what_is_recorded_is_as_the_page_says() {
    let recorder = Recorder::install();
    let fixture = Fixture::with_queue().await;
    let manager = &fixture.manager;
    fixture.create(task("done")).await;
    fixture.create(task("keyed").key("k")).await;
    manager.create_tasks(QUEUE, (0..3).map(task)).await.unwrap();
    let ticker = TickerMeta::new("t").interval(hours(1));
    for meta in [ticker.clone(), ticker.clone().queue("q"), ticker.queue("missing")] {
        let name = format!("t{}", recorder.count("pgmill_tick_lateness_seconds", &[]));
        manager.register_ticker(TickerMeta { ticker: name, ..meta }).await.unwrap();
        manager.next_ticker().await.unwrap();
    }
    assert_eq!(recorder.count("pgmill_tick_lateness_seconds", &["app"]), 3);
    for outcome in ["handed_out", "task", "dropped"] {
        assert_eq!(recorder.total("pgmill_ticks_total", &["app", outcome]), 1.0, "{outcome}");
    }
    work_off(manager, &recorder, 6).await;
    let stop = CancellationToken::new();
    let maintained = async {
        wait_until("a run of maintenance", LIMIT, async || {
            recorder.total("pgmill_maintenance_runs_total", &["done"]) >= 1.0
        })
        .await;
        stop.cancel();
    };
    tokio::join!(manager.run(stop.clone()), maintained);
    let documented = documented();
    let all = recorder.all();
    for ((name, labels), recorded) in &all {
        let unit = if recorded.unit == Some(metrics::Unit::Seconds) { "s" } else { "" };
        let labels: Vec<&str> = labels.iter().map(|(label, _)| label.as_str()).collect();
        let told = [recorded.kind.to_owned(), unit.to_owned(), labels.join(", ")];
        assert_eq!(documented.get(name), Some(&told), "{name}");
        assert!(recorded.description.ends_with('.'), "{name} is described: {recorded:?}");
    }
    let rare =
        ["pgmill_statements_failed_total", "pgmill_losses_settled_total"].map(str::to_owned).into_iter();
    let seen = all.into_keys().map(|(name, _)| name).chain(rare);
    let unseen: Vec<String> = {
        let seen: Vec<String> = seen.collect();
        documented.into_keys().filter(|name| !seen.contains(name)).collect()
    };
    assert_eq!(unseen, Vec::<String>::new(), "these are never recorded");
}
