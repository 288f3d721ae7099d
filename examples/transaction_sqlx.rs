//! Creates a task in a transaction of sqlx, so that the task exists if and only if its data does.
//!
//! ```text
//! cargo run --example transaction_sqlx
//! ```
//!
//! It needs the feature `sqlx` of pgmill, and is otherwise as `transaction`. A pool of workers runs the task, as in any
//! program; it goes on over connections of its own.

use std::error::Error;

use pgmill::{Context, Manager, QueueMeta, TaskError, TaskMeta, WorkerPool};
use pgmill_examples::Database;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

/// Prints a receipt.
async fn receipt(context: Context, total: i32) -> Result<(), TaskError> {
    println!("task {}: a receipt over {total}", context.id());
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let database = Database::open().await?;
    let manager = Manager::connect(database.url()).namespace("examples").await?;
    let workers = WorkerPool::builder(&manager).until_empty(true).build()?;
    workers.register_queue(QueueMeta::new("sqlx-receipts"), receipt).await?;

    // The program's own connections, and its own table.
    let pool = PgPool::connect(database.url()).await?;
    sqlx::query("CREATE TABLE IF NOT EXISTS example_sqlx_orders (total integer NOT NULL)")
        .execute(&pool)
        .await?;

    // An order that is committed has its receipt on the way.
    let mut transaction = pool.begin().await?;
    let order = sqlx::query("INSERT INTO example_sqlx_orders VALUES ($1)").bind(4200);
    order.execute(&mut *transaction).await?;
    let meta = TaskMeta::json(&4200)?;
    let (task, wake) = manager.create_task_sqlx(&mut transaction, "sqlx-receipts", meta).await?;
    transaction.commit().await?;
    // Tells idle workers, here and in other processes; without it they find the task at their next look.
    wake.send(&manager);
    println!("the order is committed, and so is its task {}", task.id);

    // An order that is not committed has none.
    let mut transaction = pool.begin().await?;
    let order = sqlx::query("INSERT INTO example_sqlx_orders VALUES ($1)").bind(990);
    order.execute(&mut *transaction).await?;
    let meta = TaskMeta::json(&990)?;
    let (task, _) = manager.create_task_sqlx(&mut transaction, "sqlx-receipts", meta).await?;
    transaction.rollback().await?;
    println!("the order is rolled back, and so is its task {}", task.id);

    // Ends when no task waits any more.
    let report = workers.run(CancellationToken::new()).await?;
    println!("{} receipt printed", report.done);
    sqlx::query("DROP TABLE example_sqlx_orders").execute(&pool).await?;
    pool.close().await;
    manager.close().await;
    Ok(())
}
