//! The namespaces of a database.

use pgmill::{Manager, QueueMeta};

use crate::fixture::Fixture;

/// `Test_Namespace_ListNamespaces`: a fresh manager lists the system's namespace.
#[tokio::test]
async fn test_namespace_list_namespaces_of_a_fresh_manager() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.manager.list_namespaces().await.unwrap(), ["pgmill"]);
}

/// `Test_Namespace_ListNamespaces`: a namespace appears with its first queue.
#[tokio::test]
async fn test_namespace_list_namespaces_after_register_queue() {
    let fixture = Fixture::with_queue().await;
    assert_eq!(fixture.manager.list_namespaces().await.unwrap(), ["app", "pgmill"]);
    fixture.manager.register_queue(QueueMeta::new("another")).await.unwrap();
    assert_eq!(fixture.manager.list_namespaces().await.unwrap(), ["app", "pgmill"]);
}

/// `Test_Namespace_ListNamespaces`: those of other managers.
#[tokio::test]
async fn test_namespace_list_namespaces_of_other_managers() {
    let fixture = Fixture::with_queue().await;
    let other = Manager::connect(fixture.database.url()).namespace("Zebra").await.unwrap();
    other.register_queue(QueueMeta::new("q")).await.unwrap();
    assert_eq!(fixture.manager.list_namespaces().await.unwrap(), ["Zebra", "app", "pgmill"]);
    assert_eq!(other.list_namespaces().await.unwrap(), ["Zebra", "app", "pgmill"]);
}
