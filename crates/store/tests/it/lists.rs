//! Lists of tasks and queues: what is in them, in which order, page by page, and for whom.

use pgmill_schema::{ListRequest, Outcome, QueueMeta, Status, TaskFilter};
use pgmill_store::NewTask;

use crate::support::{Fixture, done, namespace, queue, retry};

impl Fixture {
    async fn list(&self, filter: &TaskFilter) -> Vec<i64> {
        let list = self.store.list_tasks(&self.namespace, filter).await.unwrap();
        list.body.iter().map(|task| task.id.cast_signed()).collect()
    }
}

#[tokio::test]
async fn tasks_are_listed_by_id_by_queue_and_by_status() {
    let fixture = Fixture::new().await;
    let (a, b) = (fixture.queue(QueueMeta::new("a")).await, fixture.queue(QueueMeta::new("b")).await);
    let mut created = fixture.create(&a, 5).await;
    created.extend(fixture.create(&b, 2).await);
    fixture.finish_one(&a, done()).await;
    fixture.finish_one(&a, retry()).await;
    fixture.finish_one(&a, Outcome::failed(&"no").unwrap()).await;
    fixture.retain_one(&a).await;
    assert_eq!(fixture.list(&TaskFilter::new()).await, created);
    assert_eq!(fixture.list(&TaskFilter::new().queue(b.clone())).await, created[5..]);
    for (status, id) in [
        (Status::Released, created[0]),
        (Status::Retry, created[1]),
        (Status::Failed, created[2]),
        (Status::Retained, created[3]),
        (Status::New, created[4]),
    ] {
        let filter = TaskFilter::new().queue(a.clone()).status(status);
        assert_eq!(fixture.list(&filter).await, [id], "{status}");
        assert_eq!(fixture.store.list_tasks(&fixture.namespace, &filter).await.unwrap().count, 1, "{status}");
    }
    assert_eq!(fixture.list(&TaskFilter::new().status(Status::New)).await, created[4..]);
    assert!(fixture.list(&TaskFilter::new().queue(queue("nowhere"))).await.is_empty());
}

#[tokio::test]
async fn pages_cover_the_list_and_count_all_of_it() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let created = fixture.create(&queue, 7).await;
    fixture.finish_one(&queue, done()).await;
    let mut listed = Vec::new();
    for offset in [0, 3, 6, 9] {
        let filter = TaskFilter::new().offset(offset).limit(3);
        let list = fixture.store.list_tasks(&fixture.namespace, &filter).await.unwrap();
        assert_eq!(list.count, 7);
        listed.extend(list.body.iter().map(|task| task.id.cast_signed()));
    }
    assert_eq!(listed, created);
}

#[tokio::test]
async fn a_listed_task_is_the_task_itself() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let created = fixture.create(&queue, 4).await;
    fixture.finish_one(&queue, done()).await;
    fixture.finish_one(&queue, retry()).await;
    fixture.retain_one(&queue).await;
    let listed = fixture.store.list_tasks(&fixture.namespace, &TaskFilter::new()).await.unwrap().body;
    for (id, listed) in created.iter().zip(listed) {
        assert_eq!(fixture.store.get_task(&fixture.namespace, *id).await.unwrap(), Some(listed));
    }
}

/// Two queues of the namespace and one of another, with tasks of every kind, and many that were created at once.
async fn mixed(fixture: &Fixture) {
    for name in ["a", "b"] {
        fixture.queue(QueueMeta::new(name).no_ttl()).await;
    }
    let other = QueueMeta::new("other");
    fixture.store.register_queue(&namespace("another"), &queue("other"), &other).await.unwrap();
    fixture
        .sql(
            "INSERT INTO pgmill.task (id, run_at, created_at, queue_id, retries, priority, attempt, spared, lease_until,
                started_at, holder, worker, tried, payload)
            SELECT 4000 - n, x.at + CASE WHEN n % 3 = 0 OR x.is_retry THEN (n % 700 - 300) * interval '3 minutes' + interval '1 s' ELSE '0' END,
                x.at, q.id, 3, (n % 4)::smallint, (x.is_retry OR x.is_retained)::integer + (n % 6 = 0)::integer, (n % 6 = 0)::integer,
                CASE WHEN x.is_retained THEN now() + interval '1 hour' END, CASE WHEN x.is_retained THEN now() END,
                CASE WHEN x.is_retained THEN 2 END, CASE WHEN x.is_retained THEN 'worker' END,
                x.is_retry, 'null'
            FROM (
                SELECT n, now() - (n * 7919 % 3000 / 5) * interval '1 minute' AS at, n % 9 = 1 AS is_retry,
                    n % 11 = 2 AND n > 1500 AS is_retained
                FROM generate_series(1, 3000) n
            ) x
            JOIN pgmill.queue q ON q.queue = (ARRAY['a', 'a', 'b', 'other'])[1 + n / 7 % 4];
            INSERT INTO pgmill.task_finished (id, finished_at, created_at, queue_id, retries, attempt, spared, status,
                priority, holder, payload)
            SELECT 4000 + n, now() - (n % 2) * interval '1 day', now() - (n * 7907 % 3000 / 5) * interval '1 minute', q.id, 3, 1,
                0, CASE WHEN n % 50 = 0 THEN 5 WHEN n % 13 = 0 THEN 4 WHEN n % 17 = 0 THEN 6 ELSE 3 END, 5, 2, 'null'
            FROM generate_series(1, 3000) n
            JOIN pgmill.queue q ON q.queue = (ARRAY['a', 'a', 'b', 'other'])[1 + n / 5 % 4];
            INSERT INTO pgmill.task_count (queue_id, status, day, n)
            SELECT queue_id, status, 'infinity', count(*) FROM pgmill.any_task_v1 GROUP BY 1, 2",
        )
        .await;
}

#[tokio::test]
async fn every_page_is_what_sorting_all_tasks_by_creation_would_give() {
    let fixture = Fixture::new().await;
    mixed(&fixture).await;
    let statuses = [None, Some(0), Some(1), Some(2), Some(3), Some(4), Some(5), Some(6)];
    for (name, status) in
        [None, Some("a"), Some("b")].into_iter().flat_map(|name| statuses.map(|s| (name, s)))
    {
        let rows = fixture
            .client
            .query(
                "SELECT t.id FROM pgmill.any_task_v1 t JOIN pgmill.queue q ON q.id = t.queue_id
                WHERE q.ns = 'app' AND q.queue = coalesce($1::text, q.queue) AND t.status = coalesce($2::smallint, t.status)
                ORDER BY t.created_at, t.id",
                &[&name, &status],
            )
            .await
            .unwrap();
        let all: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
        assert!(all.len() > 20, "{name:?} {status:?}");
        let filter = TaskFilter {
            queue: name.map(queue),
            status: status.and_then(Status::from_code),
            ..TaskFilter::new()
        };
        for offset in [0, 3, 99, 101, 500, 1_001, 1_500, 2_000, 2_700, 3_300, 4_400, 9_999] {
            let page = all.iter().skip(offset).take(100).copied().collect::<Vec<_>>();
            let listed = fixture.list(&filter.clone().offset(offset as u64)).await;
            assert_eq!(listed, page, "{name:?} {status:?} from {offset}");
        }
        let (mut listed, mut next) = (Vec::new(), filter.clone());
        loop {
            let page = fixture.store.list_tasks(&fixture.namespace, &next).await.unwrap().body;
            let Some(last) = page.last() else { break };
            next = filter.clone().after(last);
            listed.extend(page.iter().map(|task| task.id.cast_signed()));
        }
        assert_eq!(listed, all, "{name:?} {status:?} page after page");
    }
}

/// It has an attempt behind it that counted, though no error tells of it.
#[tokio::test]
async fn a_task_whose_lease_lapsed_and_that_was_given_back_then_is_listed_as_one_to_retry() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let id = fixture.create(&queue, 1).await[0];
    fixture.retain_one(&queue).await;
    fixture.lapse_leases().await;
    fixture.finish_one(&queue, Outcome::GiveBack).await;
    assert_eq!(fixture.status(id).await, Some(Status::Retry));
    assert_eq!(fixture.list(&TaskFilter::new().status(Status::Retry)).await, [id]);
    assert!(fixture.list(&TaskFilter::new().status(Status::New)).await.is_empty());
}

#[tokio::test]
async fn a_queue_is_cleaned_oldest_first_and_no_more_than_asked() {
    let fixture = Fixture::new().await;
    let (plain, other) = (fixture.plain_queue().await, fixture.queue(QueueMeta::new("other")).await);
    let created = fixture.create(&plain, 5).await;
    fixture.create(&other, 1).await;
    fixture.finish_one(&other, done()).await;
    // The oldest have failed: what was done is not removed before them.
    for index in 0..4 {
        let outcome = if index < 2 { Outcome::failed(&"no").unwrap() } else { done() };
        fixture.finish_one(&plain, outcome).await;
    }
    let clean = |limit| fixture.store.clean_queue(&fixture.namespace, &plain, limit);
    let ids = |tasks: Vec<pgmill_schema::Task>| -> Vec<i64> {
        tasks.iter().map(|task| task.id.cast_signed()).collect()
    };
    let expected = fixture.store.get_task(&fixture.namespace, created[0]).await.unwrap().unwrap();
    let first = clean(3).await.unwrap();
    assert_eq!(first[0], expected);
    assert_eq!(ids(first), created[..3]);
    assert_eq!(ids(clean(3).await.unwrap()), created[3..4]);
    assert_eq!(ids(clean(3).await.unwrap()), Vec::<i64>::new());
    assert_eq!(fixture.status(created[4]).await, Some(Status::New), "a live task stays");
    assert_eq!(fixture.list(&TaskFilter::new().queue(other)).await.len(), 1, "and another queue");
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn queues_are_listed_by_name_page_by_page() {
    let fixture = Fixture::new().await;
    for name in ["c", "a", "b"] {
        fixture.queue(QueueMeta::new(name)).await;
    }
    let names = async |page: ListRequest| -> (u64, Vec<String>) {
        let list = fixture.store.list_queues(&fixture.namespace, &page).await.unwrap();
        (list.count, list.body.iter().map(|queue| queue.queue.as_str().to_owned()).collect())
    };
    let of = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(names(ListRequest::new()).await, (3, of(&["a", "b", "c"])));
    assert_eq!(names(ListRequest::new().offset(1).limit(1)).await, (3, of(&["b"])));
    assert_eq!(names(ListRequest::new().offset(9)).await, (3, of(&[])));
    assert_eq!(fixture.store.list_namespaces().await.unwrap(), ["app", "pgmill"]);
}

#[tokio::test]
async fn nothing_of_another_namespace_is_seen_or_changed() {
    let fixture = Fixture::new().await;
    let plain = fixture.plain_queue().await;
    let id = fixture.create(&plain, 1).await[0];
    fixture.finish_one(&plain, done()).await;
    let live = fixture.create(&plain, 1).await[0];

    let (store, other) = (&fixture.store, namespace("other"));
    for id in [id, live] {
        assert_eq!(store.get_task_with_attempts(&other, id).await.unwrap(), None);
    }
    let list = store.list_tasks(&other, &TaskFilter::new()).await.unwrap();
    assert_eq!((list.count, list.body.len()), (0, 0));
    assert_eq!(store.list_queues(&other, &ListRequest::new()).await.unwrap().count, 0);
    assert!(store.list_queue_statuses(&other).await.unwrap().is_empty());
    assert!(store.get_queue(&other, &plain).await.unwrap().is_none());
    assert!(store.clean_queue(&other, &plain, 10).await.unwrap().is_empty());
    assert!(store.delete_queue(&other, &plain).await.unwrap().is_none());
    assert!(store.pause_queue(&other, &plain, true).await.unwrap().is_none());
    let patch = QueueMeta::patch().retries(99);
    assert!(store.update_queue(&other, &plain, Some(&queue("stolen")), &patch).await.unwrap().is_none());
    let lost = NewTask { namespace: other.clone(), ..fixture.new_task(&plain).await };
    let answer = store.enqueue(&[lost], pgmill_store::Sending::First).await.unwrap();
    assert_eq!(answer, [pgmill_store::Enqueued::NoQueue]);

    let ours = store.get_queue(&fixture.namespace, &plain).await.unwrap().unwrap();
    assert_eq!((ours.retries, ours.paused_at), (3, None));
    assert_eq!(fixture.list(&TaskFilter::new()).await, [id, live]);
}

#[tokio::test]
async fn a_name_that_is_taken_is_refused_by_its_constraint() {
    let fixture = Fixture::new().await;
    let (a, b) = (fixture.queue(QueueMeta::new("a")).await, fixture.queue(QueueMeta::new("b")).await);
    let error =
        fixture.store.update_queue(&fixture.namespace, &a, Some(&b), &QueueMeta::patch()).await.unwrap_err();
    assert!(matches!(error, pgmill_store::StoreError::Refused(_)), "{error:?}");
    assert_eq!(error.constraint(), Some("queue_name"));
    assert!(
        fixture.store.create_queue(&fixture.namespace, &a, &QueueMeta::new("a")).await.unwrap().is_none()
    );
}
