//! What operators and admins do.

use futures_util::TryStreamExt as _;
use pgmill::{AuditFilter, ListRequest, Outcome, QueueMeta, Role, Status, TaskMeta, TokenMeta};
use pgmill_client::{Client, Retain, Secret};
use pgmill_server::Options;

use crate::Fixture;

#[tokio::test]
async fn a_queue_is_paused_and_resumed_and_tells_its_counts() {
    let Fixture { client, manager, .. } = &Fixture::new().await;
    manager.register_queue(QueueMeta::new("emails")).await.unwrap();
    client.create_task("emails", &TaskMeta::json(&1).unwrap()).await.unwrap();
    assert!(client.pause_queue("emails").await.unwrap().paused_at.is_some());
    assert!(client.retain_task("w", &["emails"]).await.unwrap().is_none());
    let counts = client.queue_status("emails").await.unwrap();
    assert_eq!((counts.tasks.new, counts.paused_at.is_some()), (1, true));
    assert!(client.resume_queue("emails").await.unwrap().paused_at.is_none());
    assert!(client.retain_task("w", &["emails"]).await.unwrap().is_some());
    let all = client.list_statuses(ListRequest::new()).await.unwrap();
    assert_eq!((all.count, all.body[0].tasks.retained), (1, 1));
}

#[tokio::test]
async fn a_task_is_cancelled_and_retried() {
    let Fixture { client, manager, .. } = &Fixture::new().await;
    manager.register_queue(QueueMeta::new("emails")).await.unwrap();
    let task = client.create_task("emails", &TaskMeta::json(&1).unwrap()).await.unwrap();
    assert_eq!(client.cancel_task(task.id).await.unwrap().status, Some(Status::Cancelled));
    let again = client.cancel_task(task.id).await.unwrap_err();
    assert_eq!((again.is_conflict(), again.code()), (true, Some("task_finished")));
    assert_eq!(client.retry_task(task.id).await.unwrap().status, Some(Status::New));
    let again = client.retry_task(task.id).await.unwrap_err();
    assert_eq!((again.is_conflict(), again.code()), (true, Some("task_not_finished")));
}

#[tokio::test]
async fn who_asks_for_a_lease_has_to_name_it() {
    let Fixture { client, manager, .. } = &Fixture::new().await;
    manager.register_queue(QueueMeta::new("emails")).await.unwrap();
    client.create_task("emails", &TaskMeta::json(&1).unwrap()).await.unwrap();
    let retain = Retain::new("w").queues(["emails"]).lease(pgmill::minutes(1));
    let held = client.retain_one(&retain).await.unwrap().unwrap();
    let done = Outcome::done(&1).unwrap();
    let refused = client.release_task(held.task.id, &done).await.unwrap_err();
    assert_eq!((refused.is_conflict(), refused.code()), (true, Some("lease_required")));
    assert_eq!(client.release_task(&held, &done).await.unwrap().status, Some(Status::Released));
}

#[tokio::test]
async fn tokens_open_what_their_roles_may_and_what_is_done_with_them_is_in_the_audit() {
    let fixture = Fixture::with(Options::new().auth(true)).await;
    let made = fixture.manager.create_token(TokenMeta::new("root", Role::Admin), "cli").await.unwrap();
    let anonymous = fixture.client.list_queues(ListRequest::new()).await.unwrap_err();
    assert!(anonymous.is_unauthorized(), "{anonymous}");

    let admin = fixture.client_with(made.secret.expose());
    let new = admin.create_token(&TokenMeta::new("reader", Role::Viewer)).await.unwrap();
    let reader = fixture.client_with(new.secret.expose());
    reader.list_queues(ListRequest::new()).await.unwrap();
    assert!(reader.create_queue(&QueueMeta::new("emails")).await.unwrap_err().is_forbidden());
    admin.create_queue(&QueueMeta::new("emails")).await.unwrap();

    let names: Vec<_> =
        admin.list_tokens_stream().map_ok(|token| token.name.to_string()).try_collect().await.unwrap();
    assert_eq!(names, ["reader", "root"]);
    assert_eq!(admin.get_token(new.token.id).await.unwrap().created_by, "root");
    admin.revoke_token(new.token.id).await.unwrap();
    assert!(reader.list_queues(ListRequest::new()).await.unwrap_err().is_unauthorized());

    let entries = admin.list_audit(&AuditFilter::default()).await.unwrap().body;
    let actions: Vec<_> = entries.iter().map(|entry| (entry.actor.as_str(), entry.action.as_str())).collect();
    assert_eq!(actions, [("root", "revoke_token"), ("root", "create_queue"), ("root", "create_token")]);
}

#[tokio::test]
async fn the_server_tells_how_it_is_and_what_it_can_do() {
    let Fixture { client, .. } = &Fixture::new().await;
    assert!(client.health_live().await.unwrap().is_ok());
    assert!(client.health_ready().await.unwrap().is_ok());
    let described = client.openapi().await.unwrap();
    assert!(described.contains("\"operationId\": \"create_task\""));
}

impl Fixture {
    fn client_with(&self, token: &str) -> Client {
        let address = format!("http://{}/api", self.address);
        Client::builder(address).token(Secret::new(token)).build().expect("a client")
    }
}
