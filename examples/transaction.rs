//! Creates a task in a transaction of the program's own, so that the task exists if and only if its data does.
//!
//! ```text
//! cargo run --example transaction
//! ```
//!
//! The transaction is one of tokio-postgres, on any connection to the database; `transaction_sqlx` has the same with sqlx, and
//! in any other language the SQL function `pgmill.create_task` does it.

use std::error::Error;

use pgmill::{Manager, QueueMeta, TaskMeta};
use pgmill_examples::Database;
use tokio_postgres::NoTls;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let database = Database::open().await?;
    let manager = Manager::connect(database.url()).namespace("examples").await?;
    manager.register_queue(QueueMeta::new("receipts")).await?;

    // The program's own connection, and its own table.
    let (mut client, connection) = tokio_postgres::connect(database.url(), NoTls).await?;
    tokio::spawn(connection);
    client.batch_execute("CREATE TABLE IF NOT EXISTS example_orders (total integer NOT NULL)").await?;

    // An order that is committed has its receipt on the way.
    let transaction = client.transaction().await?;
    transaction.execute("INSERT INTO example_orders VALUES ($1)", &[&4200]).await?;
    let (task, wake) = manager.create_task_in(&transaction, "receipts", TaskMeta::json(&4200)?).await?;
    assert!(manager.next_task("worker-1", &["receipts"]).await?.is_none(), "it is not there yet");
    transaction.commit().await?;
    // Tells idle workers, here and in other processes; without it they find the task at their next look.
    wake.send(&manager);
    let taken = manager.next_task("worker-1", &["receipts"]).await?.ok_or("it is there now")?;
    assert_eq!(taken.id, task.id);
    println!("the order is committed, and so is its task {}", task.id);
    manager.release_task(&taken, pgmill::Outcome::done(&"printed")?).await?;

    // An order that is not committed has none.
    let transaction = client.transaction().await?;
    transaction.execute("INSERT INTO example_orders VALUES ($1)", &[&990]).await?;
    let (task, _) = manager.create_task_in(&transaction, "receipts", TaskMeta::json(&990)?).await?;
    transaction.rollback().await?;
    assert!(manager.get_task(task.id).await.is_err(), "the task went with the transaction");
    println!("the order is rolled back, and so is its task {}", task.id);

    client.batch_execute("DROP TABLE example_orders").await?;
    manager.close().await;
    Ok(())
}
