//! What a worker pool does with handlers and their outcomes.

use std::time::Duration;

use pgmill::{
    BuildError, Context, Outcome, QueueMeta, QueueOptions, RegisterError, RunError, Status, TaskError,
    TaskResultExt, WorkerPool, hours, seconds,
};
use tokio_util::sync::CancellationToken;

use crate::fixture::{Fixture, seconds_between, task};
use crate::pool_scene::{Counter, Ends, Running};

/// Runs a pool with this handler on `q` until the queue is empty.
async fn drain<R, F, Fut>(fixture: &Fixture, handler: F) -> pgmill::RunReport
where
    R: serde::Serialize + 'static,
    F: Fn(Context, String) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, TaskError>> + Send + 'static,
{
    let pool = WorkerPool::builder(&fixture.manager).workers(4).until_empty(true).build().unwrap();
    pool.register_queue(QueueMeta::new("q"), handler).await.unwrap();
    Running::start(pool).end().await
}

/// `Test_Manager_Run`: without workers.
#[tokio::test]
async fn test_manager_run_pool_without_handlers_returns_within_a_second_of_cancel() {
    let fixture = Fixture::new().await;
    let pool = WorkerPool::builder(&fixture.manager).build().unwrap();
    let running = Running::start(pool);
    tokio::task::yield_now().await;
    running.stop.cancel();
    let ended = tokio::time::timeout(seconds(1), running.end()).await;
    assert_eq!(ended.unwrap(), pgmill::RunReport::default());
}

#[tokio::test]
async fn a_task_is_run_with_its_payload_and_its_result_is_stored() {
    let fixture = Fixture::with_queue().await;
    let created = fixture.create(task("ada")).await;
    let report = drain(&fixture, |_, name| async move { Ok(format!("hello {name}")) }).await;
    assert_eq!(report.done, 1);
    let done = fixture.manager.get_task(created.id).await.unwrap();
    assert_eq!((done.status, done.result.unwrap().as_str()), (Some(Status::Released), r#""hello ada""#));
}

#[tokio::test]
async fn a_task_that_comes_while_the_pool_is_idle_is_run() {
    let fixture = Fixture::with_queue().await;
    let ran = Counter::new();
    let pool = WorkerPool::builder(&fixture.manager).workers(2).build().unwrap();
    let count = ran.clone();
    pool.register_queue(QueueMeta::new("q"), move |_: Context, (): ()| {
        count.add();
        async { Ok(()) }
    })
    .await
    .unwrap();
    let running = Running::start(pool);
    for number in 1..=3 {
        fixture.create(task(())).await;
        ran.reach(number).await;
    }
    assert_eq!(running.stop().await.done, 3);
}

#[tokio::test]
async fn a_context_tells_of_the_task_and_the_pool() {
    let fixture = Fixture::with(QueueMeta::new("q").retries(3).ttl(hours(1))).await;
    let created = fixture.create(task("x").priority(2)).await;
    let builder = WorkerPool::builder(&fixture.manager).name("worker-7").state(42);
    let pool = builder.until_empty(true).build().unwrap();
    pool.register_queue(QueueMeta::new("q"), |context: Context<i32>, payload: String| async move {
        let left = context.deadline().unwrap() - tokio::time::Instant::now();
        assert!(left > Duration::from_secs(3500) && left <= hours(1), "{left:?}");
        context.manager().register_queue(QueueMeta::new("follow-up")).await?;
        context.manager().create_task("follow-up", task("next")).await?;
        let about = (context.id(), context.queue().to_owned(), context.attempt(), context.retries_left());
        let pool = (context.worker().to_owned(), *context.state(), context.is_cancelled());
        Ok((about, context.priority(), context.created_at(), pool, payload))
    })
    .await
    .unwrap();
    Running::start(pool).end().await;
    let done = fixture.manager.get_task(created.id).await.unwrap();
    let expected =
        format!(r#"[[{},"q",1,2],2,"{}",["worker-7",42,false],"x"]"#, created.id, created.created_at);
    assert_eq!(done.result.unwrap().as_str(), expected);
    assert_eq!(done.worker.unwrap(), "worker-7");
    assert!(fixture.manager.next_task("w", &["follow-up"]).await.unwrap().is_some());
}

#[derive(Debug, thiserror::Error)]
#[error("the mailbox is full")]
struct Full(#[source] std::fmt::Error);

#[tokio::test]
async fn b28_the_message_of_an_error_and_its_causes_are_stored_as_a_json_string() {
    let fixture = Fixture::with(QueueMeta::new("q").retries(1)).await;
    let created = fixture.create(task("x")).await;
    let report = drain(&fixture, |_, _| async { Err::<(), _>(Full(std::fmt::Error).into()) }).await;
    assert_eq!(report.failed, 1);
    let failed = fixture.manager.get_task(created.id).await.unwrap();
    let message = r#""the mailbox is full: an error occurred when formatting an argument""#;
    assert_eq!(failed.result.unwrap().as_str(), message);
}

#[tokio::test]
async fn b29_a_panic_fails_the_attempt_and_its_message_is_stored() {
    let fixture = Fixture::with(QueueMeta::new("q").retries(1)).await;
    let before = fixture.create(task("before")).await;
    let within = fixture.create(task("within")).await;
    let report = drain(&fixture, |_, name| {
        assert_ne!(name, "before", "on purpose, before it awaits");
        async move {
            tokio::task::yield_now().await;
            if name == "within" {
                panic!("on purpose, within {name}");
            }
            Ok(())
        }
    })
    .await;
    assert_eq!(report.failed, 2);
    for (failed, message) in [(before, "before it awaits"), (within, "within within")] {
        let failed = fixture.manager.get_task(failed.id).await.unwrap();
        let result = failed.result.unwrap();
        let told: String = result.decode().unwrap();
        assert!(told.starts_with("the handler panicked: ") && told.contains(message), "{told}");
    }
}

#[tokio::test]
async fn an_error_has_the_task_tried_again() {
    let fixture = Fixture::with(QueueMeta::new("q").retry_delay(Duration::ZERO)).await;
    fixture.create(task("x")).await;
    let report = drain(&fixture, |context, _| async move {
        if context.attempt() < 3 { Err("not yet".into()) } else { Ok(context.retries_left()) }
    })
    .await;
    assert_eq!((report.retried, report.done), (2, 1));
}

#[tokio::test]
async fn a_handler_says_what_becomes_of_its_task() {
    let fixture = Fixture::with(QueueMeta::new("q").ttl(hours(24))).await;
    let names = ["discard", "cancel", "snooze", "retry"];
    let mut tasks = Vec::new();
    for name in names {
        tasks.push(fixture.create(task(name)).await);
    }
    let (builder, ends) = Ends::of(WorkerPool::builder(&fixture.manager));
    let ran = Counter::new();
    let count = ran.clone();
    let pool = builder.build().unwrap();
    pool.register_queue(QueueMeta::new("q"), move |_: Context, name: String| {
        count.add();
        async move {
            let failed = Err::<(), _>("on purpose");
            match name.as_str() {
                "discard" => failed.discard()?,
                "cancel" => failed.cancel()?,
                "snooze" => failed.snooze(hours(1))?,
                _ => failed.retry_in(hours(2))?,
            }
            Ok(())
        }
    })
    .await
    .unwrap();
    let running = Running::start(pool);
    ran.reach(names.len()).await;
    let report = running.stop().await;
    assert_eq!((report.failed, report.cancelled, report.snoozed, report.retried), (1, 1, 1, 1));
    assert_eq!(ends.all(), ["cancelled", "failed", "new", "retry"]);
    let snoozed = fixture.manager.get_task(tasks[2].id).await.unwrap();
    assert_eq!(snoozed.retries, 3);
    let retried = fixture.manager.get_task(tasks[3].id).await.unwrap();
    let pause = seconds_between(retried.created_at, retried.delayed_at.unwrap());
    assert!((7200.0..7260.0).contains(&pause), "{pause}");
}

#[tokio::test]
async fn a_payload_that_does_not_fit_is_a_failed_attempt() {
    let fixture = Fixture::with(QueueMeta::new("q").retries(1)).await;
    let created = fixture.create(task(7)).await;
    let report = drain(&fixture, |_, _| async { Ok(()) }).await;
    assert_eq!(report.failed, 1);
    let failed = fixture.manager.get_task(created.id).await.unwrap();
    let message: String = failed.result.unwrap().decode().unwrap();
    assert!(
        message.starts_with("the payload is not what the handler takes: cannot decode JSON"),
        "{message}"
    );
}

#[tokio::test]
async fn a_result_that_cannot_be_stored_fails_the_task_for_good() {
    let fixture = Fixture::with_queue().await;
    let large = fixture.create(task("large")).await;
    let nul = fixture.create(task("nul")).await;
    let report = drain(&fixture, |_, name| async move {
        Ok(if name == "large" { "x".repeat(2 << 20) } else { "\0".to_owned() })
    })
    .await;
    assert_eq!(report.failed, 2);
    for (failed, message) in [(large, "result has 2097154 bytes, at most 1048576"), (nul, "cannot be stored")]
    {
        let failed = fixture.manager.get_task(failed.id).await.unwrap();
        let told: String = failed.result.unwrap().decode().unwrap();
        assert!(told.starts_with("the result cannot be stored: ") && told.contains(message), "{told}");
    }
}

#[tokio::test]
async fn a_raw_handler_gets_tasks_of_any_queue_and_decides_itself() {
    let fixture = Fixture::with_queue().await;
    fixture.manager.register_queue(QueueMeta::new("other")).await.unwrap();
    fixture.create(task("x")).await;
    fixture.manager.create_task("other", task("y")).await.unwrap();
    let (builder, ends) = Ends::of(WorkerPool::builder(&fixture.manager));
    let pool = builder.until_empty(true).build().unwrap();
    pool.register_raw(&[], QueueOptions::new(), |context: Context| async move {
        match context.queue() {
            "q" => Outcome::cancelled(&"not this one").unwrap(),
            _ => Outcome::done_empty(),
        }
    })
    .await
    .unwrap();
    Running::start(pool).end().await;
    assert_eq!(ends.all(), ["cancelled", "released"]);
}

#[tokio::test]
async fn tasks_of_paused_queues_do_not_keep_a_pool_from_ending_when_all_is_empty() {
    let fixture = Fixture::with_queue().await;
    fixture.create(task("x")).await;
    fixture.manager.pause_queue("q").await.unwrap();
    assert_eq!(drain(&fixture, |_, _| async { Ok(()) }).await.done, 0);
}

#[tokio::test]
async fn b26_a_queue_is_served_whatever_case_its_name_was_registered_in() {
    let fixture = Fixture::with(QueueMeta::new("upper")).await;
    fixture.manager.create_task("upper", task(())).await.unwrap();
    let pool = WorkerPool::builder(&fixture.manager).until_empty(true).build().unwrap();
    pool.register_queue(QueueMeta::new(" Upper "), |_: Context, (): ()| async { Ok(()) }).await.unwrap();
    assert_eq!(Running::start(pool).end().await.done, 1);
}

#[tokio::test]
async fn a_queue_has_one_handler() {
    let fixture = Fixture::new().await;
    let pool = WorkerPool::builder(&fixture.manager).build().unwrap();
    let handler = |_: Context, (): ()| async { Ok(()) };
    pool.register_queue(QueueMeta::new("q").retries(2), handler).await.unwrap();
    let again = pool.register_queue(QueueMeta::new(" Q").retries(5), handler).await.unwrap_err();
    assert!(matches!(&again, RegisterError::Registered { queue } if queue == "q"), "{again}");
    assert_eq!(fixture.manager.get_queue("q").await.unwrap().retries, 2, "nothing was changed");
    let raw = |_: Context| async { Outcome::done_empty() };
    let any = pool.register_raw(&[], QueueOptions::new(), raw).await.unwrap_err();
    assert!(matches!(any, RegisterError::Registered { .. }), "{any}");
    pool.register_raw(&["other"], QueueOptions::new(), raw).await.unwrap();
}

#[tokio::test]
async fn b26_a_pool_that_runs_takes_no_more_handlers_and_runs_once() {
    let fixture = Fixture::new().await;
    let pool = WorkerPool::builder(&fixture.manager).build().unwrap();
    let stop = CancellationToken::new();
    stop.cancel();
    pool.run(stop.clone()).await.unwrap();
    let late = pool.register_queue(QueueMeta::new("q"), |_: Context, (): ()| async { Ok(()) }).await;
    assert!(matches!(late.unwrap_err(), RegisterError::Running));
    assert!(matches!(pool.run(stop).await.unwrap_err(), RunError::AlreadyRun));
}

#[tokio::test]
async fn what_a_pool_cannot_be_is_told() {
    let fixture = Fixture::new().await;
    let builder = || WorkerPool::builder(&fixture.manager);
    assert_eq!(builder().workers(0).build().unwrap_err(), BuildError::Workers);
    assert_eq!(builder().lease(Duration::from_millis(999)).build().unwrap_err(), BuildError::Lease);
    assert!(matches!(builder().name(" ").build().unwrap_err(), BuildError::Name(_)));
    let pool = builder().build().unwrap();
    let raw = |_: Context| async { Outcome::done_empty() };
    let none = pool.register_raw(&["q"], QueueOptions::new().concurrency(0), raw).await;
    assert!(matches!(none.unwrap_err(), RegisterError::Concurrency));
    for weight in [0, 1_001] {
        let heavy = pool.register_raw(&["q"], QueueOptions::new().weight(weight), raw).await;
        assert!(matches!(heavy.unwrap_err(), RegisterError::Weight));
    }
}
