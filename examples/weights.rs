//! Several queues in one pool, with weights: a flood in one does not keep the other waiting.
//!
//! ```text
//! cargo run --example weights
//! ```

use std::error::Error;
use std::time::Duration;

use pgmill::{Context, Manager, QueueMeta, QueueOptions, TaskError, TaskMeta, WorkerPool};
use pgmill_examples::Database;
use tokio_util::sync::CancellationToken;

/// Takes as long for each task, so that the order of their ends shows who has how many workers.
async fn work(_: Context, _number: u32) -> Result<(), TaskError> {
    tokio::time::sleep(Duration::from_millis(20)).await;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let database = Database::open().await?;
    let manager = Manager::connect(database.url()).namespace("examples").await?;
    let pool = WorkerPool::builder(&manager)
        .workers(8)
        // One letter for each task that ends.
        .on_end(|ended| print!("{}", if ended.task.queue.as_str() == "orders" { 'O' } else { 'm' }))
        .until_empty(true)
        .build()?;

    // While both have tasks, orders have three workers of four. When one has none, the other has all of them.
    pool.register_queue_with(QueueMeta::new("orders"), QueueOptions::new().weight(3), work).await?;
    // A concurrency is a limit in any case: never more than four mails at once, however idle the other workers are.
    let gently = QueueOptions::new().weight(1).concurrency(4);
    pool.register_queue_with(QueueMeta::new("mails"), gently, work).await?;

    let numbers =
        |count: u32| (0..count).map(|number| TaskMeta::json(&number)).collect::<Result<Vec<_>, _>>();
    manager.create_tasks("mails", numbers(300)?).await?;
    println!("300 mails wait");
    manager.create_tasks("orders", numbers(90)?).await?;
    println!("90 orders come after them");

    let report = pool.run(CancellationToken::new()).await?;
    println!("\n{} tasks are done", report.done);
    manager.close().await;
    Ok(())
}
