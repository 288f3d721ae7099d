//! Creates a task, runs it by hand, and looks at what is kept of it: what a pool of workers (`worker`) does beneath.
//!
//! ```text
//! cargo run --example first_task
//! ```
//!
//! A real program connects to a server that is there already, and has its workers in another process, often on another
//! machine: all they share is the database.

use std::error::Error;

use pgmill::{Manager, Outcome, QueueMeta, Status, TaskMeta, hours, minutes};
use pgmill_examples::Database;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let database = Database::open().await?;
    let manager = Manager::connect(database.url()).namespace("examples").await?;
    manager
        .register_queue(QueueMeta::new("letters").ttl(hours(24)).retries(3).retry_delay(minutes(1)))
        .await?;

    // In one process at least: nothing else ends tasks that have expired or whose last lease has lapsed.
    let shutdown = CancellationToken::new();
    let maintenance = tokio::spawn({
        let (manager, shutdown) = (manager.clone(), shutdown.clone());
        async move { manager.run(shutdown).await }
    });

    // Once this returns, the task is on disk: it survives a crash of this program and of the database.
    let created = manager.create_task("letters", TaskMeta::json(&"a@example.com")?).await?;
    println!("task {} is durable", created.id);

    while let Some(task) = manager.next_task("worker-1", &["letters"]).await? {
        // The task is this worker's until its lease ends. A handler may see a task twice, so sending has to bear that.
        println!("attempt {} of task {}: sending {:?}", task.attempt, task.id, task.payload);
        let released = manager.release_task(&task, Outcome::done(&"sent")?).await?;
        println!("task {} is {}", released.id, released.status);
    }

    let kept = manager.get_task(created.id).await?;
    assert_eq!(kept.status, Some(Status::Released));
    println!("the history says: {:?} at {:?}", kept.result, kept.finished_at);
    shutdown.cancel();
    maintenance.await?;
    manager.close().await;
    Ok(())
}
