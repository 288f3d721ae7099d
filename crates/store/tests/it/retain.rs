//! Which tasks are handed out, in which order, and to whom.

use jiff::Timestamp;
use pgmill_schema::{AttemptOutcome, QueueMeta, QueueName, minutes};
use pgmill_store::{Caller, Demand, Floor, NewTask, Retained};

use crate::support::{Fixture, caller, done, ids, namespace, queue, retry, seconds_between, sorted};

impl Fixture {
    async fn retain_for(&self, demands: &[Demand], callers: &[Caller], floors: &[Floor]) -> Vec<Retained> {
        self.store.retain(demands, callers, floors, self.next_holder(), &[]).await.unwrap()
    }

    fn demand(&self, queues: &[&QueueName]) -> Demand {
        Demand { namespace: self.namespace.clone(), queues: queues.iter().copied().cloned().collect() }
    }

    async fn create_with_priority(&self, queue: &QueueName, priority: i16) -> i64 {
        self.create_all(&[NewTask { priority, ..self.new_task(queue).await }]).await[0]
    }
}

#[tokio::test]
async fn tasks_come_by_priority_then_by_age_over_all_queues_of_a_demand() {
    let fixture = Fixture::new().await;
    let (a, b) = (fixture.queue(QueueMeta::new("a")).await, fixture.queue(QueueMeta::new("b")).await);
    let late = fixture.create_with_priority(&a, 9).await;
    let first = fixture.create_with_priority(&b, 5).await;
    let second = fixture.create_with_priority(&a, 5).await;
    let third = fixture.create_with_priority(&b, 5).await;
    let urgent = fixture.create_with_priority(&b, 0).await;
    let demand = fixture.demand(&[&a, &b]);
    let mut order = Vec::new();
    loop {
        let retained = fixture.retain_for(std::slice::from_ref(&demand), &[caller(0, 1)], &[]).await;
        let Some(next) = ids(&retained).pop() else { break };
        order.push(next);
    }
    assert_eq!(order, [urgent, first, second, third, late]);
}

#[tokio::test]
async fn tasks_of_the_same_moment_come_by_id() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let created = fixture.create(&queue, 30).await;
    let mut order = Vec::new();
    for _ in 0..3 {
        order.extend(ids(&fixture.retain(&queue, 10).await));
    }
    assert_eq!(order, created);
}

#[tokio::test]
async fn callers_are_dealt_what_they_want_in_their_order_under_their_name_and_lease() {
    let fixture = Fixture::new().await;
    let queue = fixture.queue(QueueMeta::new("plain").lease(minutes(3))).await;
    let created = fixture.create(&queue, 5).await;
    let name = |text| pgmill_schema::WorkerName::new(text).unwrap();
    let callers = [
        Caller { demand: 0, want: 1, worker: name("first"), lease: Some(60_000_000), fenced: false },
        Caller { demand: 0, want: 0, worker: name("idle"), lease: None, fenced: false },
        Caller { demand: 0, want: 2, worker: name("second"), lease: None, fenced: false },
        Caller { demand: 0, want: 9, worker: name("last"), lease: None, fenced: false },
    ];
    let retained = fixture.retain_for(&[fixture.demand(&[&queue])], &callers, &[]).await;
    let dealt: Vec<(usize, &str)> =
        retained.iter().map(|task| (task.caller, task.task.worker.as_deref().unwrap())).collect();
    assert_eq!(dealt, [(0, "first"), (2, "second"), (2, "second"), (3, "last"), (3, "last")]);
    assert_eq!(ids(&retained), created);
    for (task, lease) in retained.iter().zip([60.0, 180.0, 180.0, 180.0, 180.0]) {
        let (started, until) = (task.task.started_at.unwrap(), task.task.lease_until.unwrap());
        assert!((seconds_between(started, until) - lease).abs() < 0.001, "{task:?}");
    }
}

#[tokio::test]
async fn demands_that_overlap_share_the_tasks() {
    let fixture = Fixture::new().await;
    let (a, b) = (fixture.queue(QueueMeta::new("a")).await, fixture.queue(QueueMeta::new("b")).await);
    let mut created = fixture.create(&a, 3).await;
    created.extend(fixture.create(&b, 3).await);
    let demands = [fixture.demand(&[&a]), fixture.demand(&[]), fixture.demand(&[&b])];
    let callers = [caller(1, 2), caller(0, 2), caller(2, 10)];
    let retained = fixture.retain_for(&demands, &callers, &[]).await;
    assert_eq!(sorted(ids(&retained)), created, "each once");
    for task in &retained {
        let queues = &demands[callers[task.caller].demand].queues;
        assert!(queues.is_empty() || queues.contains(&task.task.queue), "{task:?}");
    }
}

#[tokio::test]
async fn a_demand_for_any_queue_sees_those_of_its_namespace_only() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let stranger = namespace("stranger");
    fixture.store.register_queue(&stranger, &queue, &QueueMeta::new("plain")).await.unwrap();
    let theirs = NewTask { namespace: stranger.clone(), ..fixture.new_task(&queue).await };
    fixture.create_all(std::slice::from_ref(&theirs)).await;
    let ours = fixture.create(&queue, 1).await;
    assert_eq!(ids(&fixture.retain_for(&[fixture.demand(&[])], &[caller(0, 9)], &[]).await), ours);
    let demand = Demand { namespace: stranger, queues: Vec::new() };
    assert_eq!(ids(&fixture.retain_for(&[demand], &[caller(0, 9)], &[]).await), [theirs.id]);
}

#[tokio::test]
async fn a_floor_hides_older_tasks_of_its_priority_and_no_others() {
    let fixture = Fixture::new().await;
    let plain = fixture.plain_queue().await;
    let old = fixture.create_with_priority(&plain, 5).await;
    let other_priority = fixture.create_with_priority(&plain, 6).await;
    fixture.sql("UPDATE pgmill.task SET run_at = now() - interval '1 hour'").await;
    let new = fixture.create_with_priority(&plain, 5).await;
    let queue_id = i32::try_from(fixture.number("SELECT id::bigint FROM pgmill.queue").await).unwrap();
    let at: Timestamp = fixture
        .client
        .query_one("SELECT run_at FROM pgmill.task WHERE id = $1", &[&new])
        .await
        .unwrap()
        .get(0);
    let floor = [Floor { queue_id, priority: 5, at, id: 0 }];
    let demand = [fixture.demand(&[&plain])];
    assert_eq!(ids(&fixture.retain_for(&demand, &[caller(0, 9)], &floor).await), [new, other_priority]);
    assert_eq!(ids(&fixture.retain_for(&demand, &[caller(0, 9)], &[]).await), [old]);
}

#[tokio::test]
async fn a_paused_queue_takes_tasks_and_gives_none() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let paused = fixture.store.pause_queue(&fixture.namespace, &queue, true).await.unwrap().unwrap();
    let again = fixture.store.pause_queue(&fixture.namespace, &queue, true).await.unwrap().unwrap();
    assert!(paused.paused_at.is_some());
    assert_eq!(paused.paused_at, again.paused_at, "pausing twice keeps the first time");
    let created = fixture.create(&queue, 2).await;
    assert!(fixture.retain(&queue, 2).await.is_empty());
    assert!(fixture.retain_for(&[fixture.demand(&[])], &[caller(0, 2)], &[]).await.is_empty());
    fixture.store.pause_queue(&fixture.namespace, &queue, false).await.unwrap().unwrap();
    assert_eq!(ids(&fixture.retain(&queue, 2).await), created);
}

#[tokio::test]
async fn a_task_whose_lease_lapsed_is_offered_again_as_another_attempt() {
    let fixture = Fixture::new().await;
    let queue = fixture.queue(QueueMeta::new("plain").retries(2)).await;
    let id = fixture.create(&queue, 1).await[0];
    let first = fixture.retain_one(&queue).await;
    assert!(fixture.retain(&queue, 1).await.is_empty(), "while the lease runs");
    fixture.lapse_leases().await;
    let second = fixture.retain_one(&queue).await;
    assert_eq!((first.attempt, second.attempt), (1, 2));
    assert_eq!((first.retries, second.retries), (2, 1));
    let task = fixture.task(id).await.unwrap();
    assert_eq!(task.attempts.len(), 1);
    assert_eq!((task.attempts[0].attempt, task.attempts[0].outcome), (1, AttemptOutcome::Lapsed));
    assert_eq!(Some(task.attempts[0].started_at), first.started_at);

    fixture.lapse_leases().await;
    assert!(fixture.retain(&queue, 1).await.is_empty(), "no attempts are left");
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn what_a_lost_answer_retained_is_taken_back_at_once_and_costs_no_attempt() {
    let fixture = Fixture::new().await;
    let queue = fixture.queue(QueueMeta::new("plain").retries(1)).await;
    fixture.create(&queue, 2).await;
    let (lost, kept) = (fixture.next_holder(), fixture.next_holder());
    let first = fixture.retain_as(lost, &queue, 1).await;
    let other = fixture.retain_as(kept, &queue, 1).await;
    let demand = [fixture.demand(&[&queue])];
    let again =
        fixture.store.retain(&demand, &[caller(0, 9)], &[], fixture.next_holder(), &[lost]).await.unwrap();
    assert_eq!(ids(&again), ids(&first), "not what another holds");
    assert_eq!((again[0].task.attempt, again[0].task.retries), (2, 1), "on its last attempt still");
    assert!(matches!(fixture.release(&first[0].task, done()).await, pgmill_store::Ended::Superseded));
    assert!(matches!(fixture.release(&other[0].task, done()).await, pgmill_store::Ended::Released { .. }));
    let task = fixture.task(ids(&again)[0]).await.unwrap();
    assert!(task.attempts.is_empty(), "nobody ever worked on it: {:?}", task.attempts);
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn a_task_past_its_end_is_not_handed_out() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    fixture.create(&queue, 1).await;
    fixture.sql("UPDATE pgmill.task SET dies_at = now() - interval '1 second'").await;
    assert!(fixture.retain(&queue, 1).await.is_empty());
}

#[tokio::test]
async fn a_lease_ends_with_the_task_at_the_latest() {
    let fixture = Fixture::new().await;
    let queue = fixture.queue(QueueMeta::new("brief").ttl(minutes(1)).lease(minutes(15))).await;
    fixture.create(&queue, 1).await;
    let task = fixture.retain_one(&queue).await;
    assert_eq!(task.lease_until, task.dies_at);
}

#[tokio::test]
async fn a_retry_is_not_due_before_its_pause_is_over() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    fixture.create(&queue, 1).await;
    fixture.finish_one(&queue, retry()).await;
    assert!(fixture.retain(&queue, 1).await.is_empty());
    fixture.skip_pauses().await;
    assert_eq!(fixture.retain_one(&queue).await.attempt, 2);
}

#[tokio::test]
async fn a_queue_that_is_not_there_gives_nothing() {
    let fixture = Fixture::new().await;
    assert!(fixture.retain(&queue("nowhere"), 3).await.is_empty());
}
