//! Namespaces and queues.

use futures_util::TryStreamExt as _;
use pgmill::{Backoff, ListRequest, QueueMeta, Ttl, hours, minutes, seconds};

use crate::Fixture;

#[tokio::test]
async fn a_queue_is_created_changed_and_deleted() {
    let Fixture { client, manager, .. } = &Fixture::new().await;
    let meta =
        QueueMeta::new("Emails").ttl(hours(2)).retries(7).retry_delay(seconds(3)).backoff(Backoff::Linear);
    let created = client.create_queue(&meta).await.unwrap();
    assert_eq!(created, manager.get_queue("emails").await.unwrap());
    assert_eq!((created.queue.as_str(), created.ttl, created.retries), ("emails", Ttl::After(hours(2)), 7));
    let taken = client.create_queue(&meta).await.unwrap_err();
    assert_eq!((taken.is_conflict(), taken.code()), (true, Some("queue_exists")));

    let updated =
        client.update_queue("emails", &QueueMeta::new("letters").no_ttl().lease(minutes(1))).await.unwrap();
    assert_eq!((updated.queue.as_str(), updated.ttl, updated.lease), ("letters", Ttl::Never, minutes(1)));
    assert_eq!(client.get_queue("letters").await.unwrap(), updated);
    let empty = client.update_queue("letters", &QueueMeta::patch()).await.unwrap_err();
    assert_eq!((empty.status(), empty.code()), (Some(400), Some("no_patch_values")));

    assert_eq!(client.delete_queue("letters").await.unwrap(), updated);
    let gone = client.get_queue("letters").await.unwrap_err();
    assert_eq!((gone.is_not_found(), gone.code()), (true, Some("queue_not_found")));
}

#[tokio::test]
async fn queues_and_namespaces_are_listed() {
    let Fixture { client, manager, .. } = &Fixture::new().await;
    for number in 0..120 {
        manager.register_queue(QueueMeta::new(format!("queue-{number:03}"))).await.unwrap();
    }
    let page = client.list_queues(ListRequest::new().offset(118).limit(50)).await.unwrap();
    assert_eq!((page.count, page.body.len()), (120, 2));
    let all: Vec<_> =
        client.list_queues_stream().map_ok(|queue| queue.queue.to_string()).try_collect().await.unwrap();
    let expected: Vec<_> = (0..120).map(|number| format!("queue-{number:03}")).collect();
    assert_eq!(all, expected);
    let namespaces = client.list_namespaces().await.unwrap();
    assert!(namespaces.body.contains(&"default".to_owned()));
    assert_eq!(namespaces.count, u64::try_from(namespaces.body.len()).unwrap());
}

#[tokio::test]
async fn names_that_cannot_be_are_told_with_what_is_allowed() {
    let Fixture { client, .. } = &Fixture::new().await;
    for name in ["a b", "a/b", "1", "%2e%2e"] {
        let error = client.get_queue(name).await.unwrap_err();
        assert_eq!((error.status(), error.code()), (Some(400), Some("invalid_name")), "{name}: {error}");
    }
}

#[tokio::test]
async fn the_gauge_of_the_contract_is_among_the_metrics() {
    let Fixture { client, manager, .. } = &Fixture::new().await;
    manager.register_queue(QueueMeta::new("emails")).await.unwrap();
    let metrics = client.metrics().await.unwrap();
    assert!(
        metrics.contains(r#"queue_tasks{namespace="default",queue="emails",status="new"} 0"#),
        "{metrics}"
    );
}
