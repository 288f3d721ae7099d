use pgmill::{Manager, Outcome, QueueMeta, Status, TaskMeta};
use pgmill_testkit::TestDatabase;

#[tokio::test]
async fn a_task_goes_through_its_life() {
    let database = TestDatabase::create().await;
    let manager = Manager::connect(database.url()).namespace("app").await.unwrap();
    manager.register_queue(QueueMeta::new("q")).await.unwrap();
    let task = manager.create_task("q", TaskMeta::json(&1).unwrap()).await.unwrap();
    assert_eq!(task.id, 1);
    let taken = manager.next_task("w", &["q"]).await.unwrap().unwrap();
    let released = manager.release_task(&taken, Outcome::done(&"ok").unwrap()).await.unwrap();
    assert_eq!(released.status, Status::Released);
    let seen = manager.get_task(task.id).await.unwrap();
    assert_eq!(seen.result.unwrap().as_str(), "\"ok\"");
}
