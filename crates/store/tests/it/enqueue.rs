//! What becomes of a task when it is created.

use jiff::{SignedDuration, Timestamp};
use pgmill_schema::{Json, QueueMeta, hours};
use pgmill_store::{Enqueued, NewTask, Sending, Store};

use crate::support::{Fixture, ago, queue, seconds_between};

#[tokio::test]
async fn a_task_gets_its_times_from_the_clock_of_the_database_and_its_end_from_the_queue() {
    let fixture = Fixture::new().await;
    let queue = fixture.queue(QueueMeta::new("hourly").ttl(hours(1)).retries(7)).await;
    let task = fixture.new_task(&queue).await;
    let answers = fixture.store.enqueue(std::slice::from_ref(&task), Sending::First).await.unwrap();
    let Enqueued::Created { created_at, run_at, dies_at, retries, .. } = answers[0] else {
        panic!("{answers:?}")
    };
    assert_eq!(run_at, created_at);
    assert_eq!(dies_at, Some(created_at + SignedDuration::from_hours(1)));
    assert_eq!(retries, 7);
    let stored = fixture.task(task.id).await.unwrap();
    assert_eq!((stored.created_at, stored.delayed_at, stored.dies_at), (created_at, None, dies_at));
}

#[tokio::test]
async fn a_delay_and_a_delayed_at_put_off_the_start_and_the_end() {
    let fixture = Fixture::new().await;
    let queue = fixture.queue(QueueMeta::new("hourly").ttl(hours(1))).await;
    let later = Timestamp::now() + SignedDuration::from_secs(600);
    let later = Timestamp::from_microsecond(later.as_microsecond()).unwrap();
    let by_time = NewTask { delayed_at: Some(later), ..fixture.new_task(&queue).await };
    let by_delay = NewTask { delay: Some(600_000_000), ..fixture.new_task(&queue).await };
    let answers = fixture.store.enqueue(&[by_time, by_delay], Sending::First).await.unwrap();
    for answer in &answers {
        let Enqueued::Created { created_at, run_at, dies_at, .. } = *answer else { panic!("{answer:?}") };
        assert!((seconds_between(created_at, run_at) - 600.0).abs() < 5.0, "{answer:?}");
        assert_eq!(dies_at, Some(run_at + SignedDuration::from_hours(1)));
    }
    assert!(matches!(answers[0], Enqueued::Created { run_at, .. } if run_at == later));
    assert!(fixture.retain(&queue, 2).await.is_empty(), "neither is due");
    fixture.skip_pauses().await;
    assert_eq!(fixture.retain(&queue, 2).await.len(), 2);
}

#[tokio::test]
async fn a_delayed_at_may_lie_a_second_back_for_clocks_differ_but_not_more() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let now = fixture.number("SELECT (extract(epoch FROM now()) * 1000000)::bigint").await;
    let skewed = Timestamp::from_microsecond(now - 300_000).unwrap();
    let skewed = NewTask { delayed_at: Some(skewed), ..fixture.new_task(&queue).await };
    let past = NewTask { delayed_at: Some(ago(5)), ..fixture.new_task(&queue).await };
    let answers = fixture.store.enqueue(&[skewed, past], Sending::First).await.unwrap();
    assert!(
        matches!(answers[0], Enqueued::Created { run_at, created_at, .. } if run_at == created_at),
        "due at once, and not before it was created: {answers:?}"
    );
    assert_eq!(answers[1], Enqueued::DelayedInPast);
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn a_task_for_a_queue_that_is_not_there_does_not_stop_the_others() {
    let fixture = Fixture::new().await;
    let plain = fixture.plain_queue().await;
    let tasks = [fixture.new_task(&queue("nowhere")).await, fixture.new_task(&plain).await];
    let answers = fixture.store.enqueue(&tasks, Sending::First).await.unwrap();
    assert_eq!(answers[0], Enqueued::NoQueue);
    assert!(matches!(answers[1], Enqueued::Created { .. }));
}

#[tokio::test]
async fn a_task_that_comes_alone_is_created_as_one_among_others() {
    let fixture = Fixture::new().await;
    let hourly = fixture.queue(QueueMeta::new("hourly").ttl(hours(1)).retries(7)).await;
    let tasks = async || {
        let plain = fixture.new_task(&hourly).await;
        let traced = NewTask { traceparent: Some("00-1-2-01".to_owned()), ..fixture.new_task(&hourly).await };
        let first = NewTask { priority: 0, ..fixture.new_task(&hourly).await };
        let delayed = NewTask { delay: Some(600_000_000), ..fixture.new_task(&hourly).await };
        let skewed = NewTask { delayed_at: Some(ago(0)), ..fixture.new_task(&hourly).await };
        let past = NewTask { delayed_at: Some(ago(5)), ..fixture.new_task(&hourly).await };
        let nowhere = NewTask { delayed_at: Some(ago(5)), ..fixture.new_task(&queue("nowhere")).await };
        [plain, traced, first, delayed, skewed, past, nowhere]
    };
    let together = fixture.store.enqueue(&tasks().await, Sending::First).await.unwrap();
    let mut alone = Vec::new();
    for task in tasks().await {
        alone.extend(fixture.store.enqueue(&[task], Sending::First).await.unwrap());
    }
    let what = |answers: &[Enqueued]| answers.iter().map(std::mem::discriminant).collect::<Vec<_>>();
    assert_eq!(what(&alone), what(&together), "{alone:?}");
    assert_eq!(alone[5..], [Enqueued::DelayedInPast, Enqueued::NoQueue]);
    let kinds = "SELECT count(*) FROM (
        SELECT FROM pgmill.task
        GROUP BY (extract(epoch FROM run_at - created_at) / 60)::integer, dies_at - run_at, queue_id, retries, priority,
            traceparent
        HAVING count(*) % 2 = 1) odd";
    assert_eq!(fixture.number(kinds).await, 0, "each task has its like");
    assert_eq!(fixture.number("SELECT count(*) FROM pgmill.task").await, 10);
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn all_or_none_are_created_where_that_is_asked_for() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let mut tasks = fixture.new_tasks(&queue, 3).await;
    tasks[1].delayed_at = Some(ago(60));
    let answers = fixture.store.enqueue_all(&tasks, Sending::First).await.unwrap();
    assert_eq!(answers[1], Enqueued::DelayedInPast);
    assert_eq!(fixture.number("SELECT count(*) FROM pgmill.task").await, 0);
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn a_payload_of_a_mebibyte_comes_back_as_it_was() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let text: String =
        (0..1_048_574_u32).map(|n| char::from(b'a' + u8::try_from(n % 1_009 % 23).unwrap())).collect();
    let payload = Json::encode(&text).unwrap();
    assert_eq!(payload.len(), 1 << 20);
    let task = NewTask { payload: payload.clone(), ..fixture.new_task(&queue).await };
    fixture.create_all(&[task]).await;
    let retained = fixture.retain_one(&queue).await;
    assert_eq!(retained.payload.as_ref(), Some(&payload));
    let result = pgmill_schema::Outcome::Done(payload.clone());
    fixture.release(&retained, result).await;
    let stored = fixture.task(retained.id.cast_signed()).await.unwrap();
    assert_eq!((stored.payload.as_ref(), stored.result.as_ref()), (Some(&payload), Some(&payload)));
}

#[tokio::test]
async fn a_payload_keeps_its_text_to_the_letter() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let text = r#"{"b": 1.10,  "a": [1e3, "\u00e9"], "a": null}"#;
    let task = NewTask { payload: Json::from_text(text).unwrap(), ..fixture.new_task(&queue).await };
    fixture.create_all(&[task]).await;
    assert_eq!(fixture.retain_one(&queue).await.payload.unwrap().as_str(), text);
}

#[tokio::test]
async fn a_task_created_in_a_transaction_is_there_with_its_commit_and_stamped_when_it_was_made() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let client = fixture.database.connect().await;
    client.batch_execute("BEGIN").await.unwrap();
    let opened: Timestamp = client.query_one("SELECT now()", &[]).await.unwrap().get(0);
    let task = fixture.new_task(&queue).await;
    let Enqueued::Created { created_at, .. } = Store::enqueue_in(&client, &task).await.unwrap() else {
        panic!("not created")
    };
    assert!(created_at > opened, "not when the transaction began, for workers may have gone past that");
    assert!(fixture.retain(&queue, 1).await.is_empty());
    client.batch_execute("ROLLBACK; BEGIN").await.unwrap();
    assert!(fixture.retain(&queue, 1).await.is_empty());

    let task = fixture.new_task(&queue).await;
    Store::enqueue_in(&client, &task).await.unwrap();
    client.batch_execute("COMMIT").await.unwrap();
    assert_eq!(fixture.retain_one(&queue).await.id.cast_signed(), task.id);
}

#[tokio::test]
async fn many_tasks_are_copied_as_they_are_enqueued() {
    let fixture = Fixture::new().await;
    let queue = fixture.queue(QueueMeta::new("hourly").ttl(hours(1)).retries(2)).await;
    let mut tasks = fixture.new_tasks(&queue, 5000).await;
    tasks[7].priority = 0;
    tasks[8].delay = Some(60_000_000);
    let answers = fixture.store.copy_tasks(&fixture.namespace, &queue, &tasks).await.unwrap();
    assert_eq!(answers.len(), 5000);
    let Enqueued::Created { created_at, run_at, dies_at, retries, .. } = answers[8] else { panic!() };
    assert_eq!(run_at, created_at + SignedDuration::from_mins(1));
    assert_eq!(dies_at, Some(run_at + SignedDuration::from_hours(1)));
    assert_eq!(retries, 2);
    assert_eq!(fixture.retain_one(&queue).await.id.cast_signed(), tasks[7].id);
    fixture.assert_counts_are_true().await;

    let again = fixture.store.enqueue(&tasks[..10], Sending::Again).await.unwrap();
    assert_eq!(again, [Enqueued::Settled; 10], "a copy whose answer was lost is found");
}
