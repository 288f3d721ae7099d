//! Where the reference is wrong: isolation, concurrency, names and lists. The numbers are those of its defects.

use std::collections::HashSet;

use pgmill::{
    ListRequest, LookupError, Manager, NameError, NameKind, OpenError, QueueError, QueueMeta, QueueName,
    ReleaseError, Status, TaskFilter, minutes, seconds,
};
use pgmill_testkit::{TestDatabase, has_plain_role};
use tokio::task::JoinSet;

use crate::fixture::{Fixture, done, task};

/// B1: concurrent operations of one manager shared their parameters.
#[tokio::test(flavor = "multi_thread")]
async fn b01_concurrent_operations_do_not_mix_their_parameters() {
    let fixture = Fixture::new().await;
    for number in 0..4 {
        fixture.manager.register_queue(QueueMeta::new(format!("q{number}"))).await.unwrap();
    }
    let mut callers = JoinSet::new();
    for caller in 0..32_u64 {
        let (manager, name) = (fixture.manager.clone(), format!("q{}", caller % 4));
        callers.spawn(async move {
            for round in 0..10 {
                // Those of one queue write the same, so that whatever comes back is either right or of another queue.
                let meta = QueueMeta::patch().retries(1 + caller % 4 * 100 + round);
                let updated = manager.update_queue(&name, meta).await.unwrap();
                assert_eq!(updated.queue.as_str(), name);
                let got = manager.get_queue(&name).await.unwrap();
                assert_eq!((got.queue.as_str(), u64::from(got.retries) / 100), (name.as_str(), caller % 4));
            }
        });
    }
    callers.join_all().await;
}

/// B2: the queue that was touched last became a hidden filter of the statistics.
#[tokio::test]
async fn b02_statistics_are_of_all_queues_whatever_was_touched_last() {
    let fixture = Fixture::with_queue().await;
    fixture.manager.register_queue(QueueMeta::new("last")).await.unwrap();
    fixture.manager.get_queue("last").await.unwrap();
    let statuses = fixture.manager.list_queue_statuses().await.unwrap();
    let queues: HashSet<&str> = statuses.iter().map(|row| row.queue.as_str()).collect();
    assert_eq!(queues, HashSet::from(["last", "q"]));
}

/// B3: statistics joined queues of the same name across namespaces.
#[tokio::test]
async fn b03_statistics_do_not_mix_queues_of_the_same_name() {
    let fixture = Fixture::with_queue().await;
    let other = fixture.manager.with_namespace("other").unwrap();
    other.register_queue(QueueMeta::new("q")).await.unwrap();
    fixture.create(task(1)).await;
    assert_eq!(fixture.manager.list_queue_statuses().await.unwrap().len(), 7);
    assert_eq!(fixture.count(Status::New).await, 1);
    let others = other.list_queue_statuses().await.unwrap();
    assert_eq!(others.len(), 7);
    assert!(others.iter().all(|row| row.count == 0 && row.namespace.as_str() == "other"), "{others:?}");
}

/// B4: the list of tasks had neither a filter on the namespace nor one on the queue.
#[tokio::test]
async fn b04_tasks_are_listed_only_in_their_namespace() {
    let fixture = Fixture::with_queue().await;
    let other = fixture.manager.with_namespace("other").unwrap();
    other.register_queue(QueueMeta::new("q")).await.unwrap();
    let theirs = other.create_task("q", task("theirs")).await.unwrap();
    let ours = fixture.create(task("ours")).await;
    let list = fixture.manager.list_tasks(TaskFilter::new()).await.unwrap();
    assert_eq!((list.count, list.body), (1, vec![ours]));
    assert!(matches!(fixture.manager.get_task(theirs.id).await, Err(LookupError::NotFound { .. })));
}

/// B4: see above.
#[tokio::test]
async fn b04_tasks_are_listed_by_queue() {
    let fixture = Fixture::with_queue().await;
    fixture.manager.register_queue(QueueMeta::new("other")).await.unwrap();
    let wanted = fixture.create(task(1)).await;
    fixture.manager.create_task("other", task(2)).await.unwrap();
    let of = async |queue: &str| {
        let filter = TaskFilter::new().queue(QueueName::new(queue).unwrap());
        fixture.manager.list_tasks(filter).await.unwrap()
    };
    let list = of(" Q ").await;
    assert_eq!((list.count, list.body), (1, vec![wanted]));
    let list = of("missing").await;
    assert_eq!((list.count, list.body.len()), (0, 0));
}

/// B5: a filter on the status failed.
#[tokio::test]
async fn b05_tasks_are_listed_by_status() {
    let fixture = Fixture::with(QueueMeta::new("q").retry_delay(minutes(30))).await;
    let mut expected = Vec::new();
    for (status, outcome) in [
        (Status::Released, done()),
        (Status::Failed, pgmill::Outcome::failed(&"no").unwrap()),
        (Status::Cancelled, pgmill::Outcome::cancelled(&"no").unwrap()),
        (Status::Retry, crate::fixture::retry()),
    ] {
        expected.push((status, fixture.create(task(1)).await.id));
        assert_eq!(fixture.finish(outcome).await.status, status);
    }
    expected.push((Status::Retained, fixture.create(task(1)).await.id));
    fixture.retain().await;
    expected.push((Status::New, fixture.create(task(1)).await.id));
    expected.push((Status::Expired, fixture.create(task(1)).await.id));
    fixture
        .sql(&format!("UPDATE pgmill.task SET dies_at = now() - interval '1 s' WHERE id = {}", expected[6].1))
        .await;
    fixture.manager.maintain().await.unwrap();
    for (status, id) in expected {
        let list = fixture.manager.list_tasks(TaskFilter::new().status(status)).await.unwrap();
        let ids: Vec<u64> = list.body.iter().map(|task| task.id).collect();
        assert_eq!((list.count, ids), (1, vec![id]), "{status}");
        assert_eq!(list.body[0].status, Some(status));
    }
}

/// B6: naming no queue, for any of them, never gave a task.
#[tokio::test]
async fn b06_naming_no_queue_means_any_of_the_namespace() {
    let fixture = Fixture::with_queue().await;
    let other = fixture.manager.with_namespace("other").unwrap();
    other.register_queue(QueueMeta::new("q")).await.unwrap();
    other.create_task("q", task("theirs")).await.unwrap();
    let ours = fixture.create(task("ours")).await;
    let taken = fixture.manager.next_task("worker", &[]).await.unwrap().unwrap();
    assert_eq!(taken.id, ours.id);
    assert!(fixture.manager.next_task("worker", &[]).await.unwrap().is_none());
}

/// B7: a task of a queue without a ttl was never given.
#[tokio::test]
async fn b07_a_task_without_a_ttl_is_retained() {
    let fixture = Fixture::with(QueueMeta::new("q").no_ttl()).await;
    let created = fixture.create(task(1)).await;
    assert_eq!(created.dies_at, None);
    let taken = fixture.retain().await;
    assert_eq!((taken.id, taken.dies_at), (created.id, None));
}

/// B8: any namespace could release another's tasks.
#[tokio::test]
async fn b08_a_task_is_released_only_in_its_namespace() {
    let fixture = Fixture::with_queue().await;
    let other = fixture.manager.with_namespace("other").unwrap();
    fixture.create(task(1)).await;
    let taken = fixture.retain().await;
    let by_id = other.release_task(taken.id, done()).await;
    assert!(matches!(by_id, Err(ReleaseError::NotFound { .. })), "{by_id:?}");
    let by_task = other.release_task(&taken, done()).await;
    assert!(matches!(by_task, Err(ReleaseError::NotFound { .. })), "{by_task:?}");
    assert_eq!(fixture.status(&taken).await, Status::Retained);
}

/// B9: a task whose worker died was never offered again.
#[tokio::test]
async fn b09_a_lapsed_lease_spends_the_attempt_and_the_task_is_offered_again() {
    let fixture = Fixture::with(QueueMeta::new("q").retries(2)).await;
    let created = fixture.create(task(1)).await;
    fixture.retain().await;
    fixture.lapse_leases().await;
    assert_eq!(fixture.status(&created).await, Status::Retained, "until somebody else has it");
    let again = fixture.retain().await;
    assert_eq!((again.id, again.attempt, again.retries), (created.id, 2, 1));
    fixture.lapse_leases().await;
    assert!(fixture.manager.next_task("worker", &["q"]).await.unwrap().is_none(), "no attempt is left");
}

/// B17: an id, offset or number of retries beyond what the database counts was an internal error.
#[tokio::test]
async fn b17_numbers_that_the_database_cannot_count_are_told() {
    let fixture = Fixture::with_queue().await;
    let id = u64::MAX;
    assert!(matches!(fixture.manager.get_task(id).await, Err(LookupError::NotFound { id: u64::MAX })));
    assert!(matches!(fixture.manager.release_task(id, done()).await, Err(ReleaseError::Id { id: u64::MAX })));
    let offset = fixture.manager.list_tasks(TaskFilter::new().offset(1 << 63)).await.unwrap_err();
    assert_eq!(offset.to_string(), "offset must be at most 9223372036854775807, not 9223372036854775808");
    let retries = fixture.manager.register_queue(QueueMeta::new("q").retries(1 << 31)).await.unwrap_err();
    assert!(retries.to_string().contains("at most 2147483647, not 2147483648"), "{retries}");
    let nul = pgmill::Json::from_text(r#""\u0000""#).unwrap_err();
    assert!(nul.to_string().contains(r"\u0000 cannot be stored"), "{nul}");
}

/// B18: renaming a queue to a taken name was an internal error, and so was renaming one that holds tasks.
#[tokio::test]
async fn b18_a_queue_is_renamed_with_its_tasks_unless_the_name_is_taken() {
    let fixture = Fixture::with_queue().await;
    fixture.manager.register_queue(QueueMeta::new("taken")).await.unwrap();
    let created = fixture.create(task(1)).await;
    let error = fixture.manager.update_queue("q", QueueMeta::patch().rename("Taken")).await.unwrap_err();
    assert!(matches!(&error, QueueError::Exists { queue, .. } if queue == "taken"), "{error:?}");
    let renamed = fixture.manager.update_queue("q", QueueMeta::patch().rename("New")).await.unwrap();
    assert_eq!(renamed.queue.as_str(), "new");
    let taken = fixture.manager.next_task("worker", &["new"]).await.unwrap().unwrap();
    assert_eq!((taken.id, taken.queue.as_str()), (created.id, "new"));
    assert!(matches!(fixture.manager.get_queue("q").await, Err(QueueError::NotFound { .. })));
}

/// B19: of several that created a queue at once, more than one succeeded, and others failed with an internal error.
#[tokio::test(flavor = "multi_thread")]
async fn b19_of_many_who_create_a_queue_at_once_one_succeeds() {
    let fixture = Fixture::new().await;
    let mut creators = JoinSet::new();
    for retries in 1..=30 {
        let manager = fixture.manager.clone();
        creators.spawn(async move { manager.create_queue(QueueMeta::new("q").retries(retries)).await });
    }
    let results = creators.join_all().await;
    let created: Vec<_> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
    assert_eq!(created.len(), 1);
    let exists = results.iter().filter(|result| matches!(result, Err(QueueError::Exists { .. }))).count();
    assert_eq!(exists, 29, "{results:?}");
    assert_eq!(&fixture.manager.get_queue("q").await.unwrap(), created[0], "a loser changes nothing");
}

/// B21: lists had no order, so that pages shifted after updates.
#[tokio::test]
async fn b21_lists_have_an_order_that_updates_do_not_change() {
    let fixture = Fixture::with(QueueMeta::new("q").retry_delay(seconds(0))).await;
    fixture.manager.register_queue(QueueMeta::new("a")).await.unwrap();
    let mut ids = Vec::new();
    for number in 0..6 {
        ids.push(fixture.create(task(number)).await.id);
    }
    fixture.finish(done()).await;
    fixture.finish(crate::fixture::retry()).await;
    fixture.manager.update_queue("a", QueueMeta::patch().retries(9)).await.unwrap();
    let mut listed = Vec::new();
    for page in 0..3 {
        let list = fixture.manager.list_tasks(TaskFilter::new().offset(page * 2).limit(2)).await.unwrap();
        assert_eq!(list.count, 6);
        listed.extend(list.body.iter().map(|task| task.id));
    }
    assert_eq!(listed, ids);
    let queues = fixture.manager.list_queues(ListRequest::new()).await.unwrap();
    let names: Vec<&str> = queues.body.iter().map(|queue| queue.queue.as_str()).collect();
    assert_eq!(names, ["a", "q"]);
}

/// B22: the name of a queue was not normalised for a retain, and only the first of several was looked at.
#[tokio::test]
async fn b22_queues_to_retain_from_are_normalised_and_all_looked_at() {
    let fixture = Fixture::with_queue().await;
    fixture.manager.register_queue(QueueMeta::new("empty")).await.unwrap();
    let created = fixture.manager.create_task(" Q ", task(1)).await.unwrap();
    let taken =
        fixture.manager.next_task("worker", &["empty", "missing", " Q ", "q"]).await.unwrap().unwrap();
    assert_eq!(taken.id, created.id);
}

/// B23: an unknown queue is as good as an empty one, and a task that was released cannot be again. Both are kept.
#[tokio::test]
async fn b23_an_unknown_queue_is_as_good_as_an_empty_one() {
    let fixture = Fixture::with_queue().await;
    assert!(fixture.manager.next_task("worker", &["missing"]).await.unwrap().is_none());
    fixture.create(task(1)).await;
    let taken = fixture.retain().await;
    fixture.manager.release_task(&taken, done()).await.unwrap();
    let again = fixture.manager.release_task(&taken, done()).await;
    assert!(matches!(again, Err(ReleaseError::NotRetained { .. })), "{again:?}");
}

/// B24: a long namespace made every enqueue fail.
#[tokio::test]
async fn b24_a_namespace_is_an_identifier_of_at_most_50_characters() {
    let database = TestDatabase::create().await;
    let longest = "n".repeat(50);
    let manager = Manager::connect(database.url()).namespace(&longest).await.unwrap();
    manager.register_queue(QueueMeta::new("q")).await.unwrap();
    manager.create_task("q", task(1)).await.unwrap();
    for bad in ["n".repeat(51), "1st".to_owned(), "a b".to_owned(), "ä".to_owned()] {
        let error = Manager::connect(database.url()).namespace(&bad).await.unwrap_err();
        let OpenError::Namespace(error) = error else { panic!("{error:?}") };
        assert_eq!(error, NameError::Invalid { kind: NameKind::Namespace, value: bad });
        assert!(error.allowed().starts_with("a letter, then up to 49"));
    }
}

/// B41: servers that started at once on an empty database failed.
#[tokio::test(flavor = "multi_thread")]
async fn b41_managers_that_start_at_once_on_an_empty_database_all_come_up() {
    let database = TestDatabase::empty().await;
    let mut starting = JoinSet::new();
    for number in 0..8 {
        let url = database.url().to_owned();
        starting.spawn(async move {
            let manager = Manager::connect(url).namespace(format!("n{number}")).await.unwrap();
            manager.register_queue(QueueMeta::new("q")).await.unwrap();
        });
    }
    starting.join_all().await;
}

/// B42: objects went into whichever schema the search path named first, under generic names.
#[tokio::test]
async fn b42_all_objects_are_in_a_schema_of_their_own() {
    let database = TestDatabase::empty().await;
    Manager::connect(database.url()).await.unwrap();
    let client = database.connect().await;
    let elsewhere = "SELECT n.nspname FROM pg_catalog.pg_namespace n
        JOIN (SELECT relnamespace AS ns FROM pg_catalog.pg_class UNION ALL SELECT pronamespace FROM pg_catalog.pg_proc
            UNION ALL SELECT typnamespace FROM pg_catalog.pg_type) o ON o.ns = n.oid
        WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' GROUP BY n.nspname";
    let mut schemas: Vec<String> =
        client.query(elsewhere, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    // Where there is a role, the test kit has a function elsewhere.
    schemas.retain(|schema| !(has_plain_role() && schema == "public"));
    assert_eq!(schemas, ["pgmill"]);
}

/// B51: deleting a queue deletes its tasks, those that run too. That is kept.
#[tokio::test]
async fn b51_deleting_a_queue_deletes_its_tasks_and_a_running_one_finds_no_task() {
    let fixture = Fixture::with_queue().await;
    fixture.create(task(1)).await;
    let taken = fixture.retain().await;
    let waiting = fixture.create(task(2)).await;
    fixture.manager.delete_queue("q").await.unwrap();
    let released = fixture.manager.release_task(&taken, done()).await;
    assert!(matches!(released, Err(ReleaseError::NotFound { .. })), "{released:?}");
    assert!(matches!(fixture.manager.get_task(waiting.id).await, Err(LookupError::NotFound { .. })));
    fixture.manager.register_queue(QueueMeta::new("q")).await.unwrap();
    assert!(
        fixture.manager.next_task("worker", &["q"]).await.unwrap().is_none(),
        "a new queue is another queue"
    );
    assert_eq!(fixture.manager.maintain().await.unwrap().orphaned, 2);
    assert_eq!(fixture.manager.list_tasks(TaskFilter::new()).await.unwrap().count, 0);
}

/// B55: a namespace without a queue is not listed. That is kept.
#[tokio::test]
async fn b55_a_namespace_without_a_queue_is_not_listed() {
    let fixture = Fixture::with_queue().await;
    fixture.manager.delete_queue("q").await.unwrap();
    assert_eq!(fixture.manager.list_namespaces().await.unwrap(), ["pgmill"]);
}
