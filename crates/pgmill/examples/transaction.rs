//! Creates a task in a transaction of the program's own, so that the task exists if and only if the data does.
//!
//! ```text
//! cargo run -p pgmill --example transaction
//! ```
//!
//! The transaction is one of tokio-postgres, on the connections that pgmill uses itself; any other to the same database
//! would do, and in any other language the SQL function `pgmill.create_task` does the same.

use std::error::Error;

use pgmill::{Manager, QueueMeta, TaskMeta};
use pgmill_embedded::Embedded;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = tokio::task::spawn_blocking(|| Embedded::builder().ephemeral().start()).await??;
    let manager = Manager::connect(server.url()).namespace("shop").await?;
    manager.register_queue(QueueMeta::new("receipts")).await?;
    let mut client = manager.pool().get().await?;
    client.batch_execute("CREATE TABLE orders (id bigint PRIMARY KEY, total integer NOT NULL)").await?;

    // An order that is committed has its receipt on the way.
    let transaction = client.transaction().await?;
    transaction.execute("INSERT INTO orders VALUES ($1, $2)", &[&1_i64, &4200]).await?;
    let (task, wake) = manager.create_task_in(&*transaction, "receipts", TaskMeta::json(&1)?).await?;
    assert!(
        manager.next_task("worker-1", &["receipts"]).await?.is_none(),
        "nobody sees it before the commit"
    );
    transaction.commit().await?;
    // Workers of this process need not wait for their next look.
    wake.send(&manager);
    let taken = manager.next_task("worker-1", &["receipts"]).await?;
    assert_eq!(taken.map(|taken| taken.id), Some(task.id));
    println!("order 1 is committed, and so is task {}", task.id);

    // An order that is not committed has none.
    let transaction = client.transaction().await?;
    transaction.execute("INSERT INTO orders VALUES ($1, $2)", &[&2_i64, &990]).await?;
    let (task, _) = manager.create_task_in(&*transaction, "receipts", TaskMeta::json(&2)?).await?;
    transaction.rollback().await?;
    assert!(manager.get_task(task.id).await.is_err(), "the task went with the transaction");
    println!("order 2 is rolled back, and so is task {}", task.id);
    manager.close().await;
    Ok(())
}
