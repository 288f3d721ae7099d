//! A worker: creates some tasks, runs them, and goes on until Ctrl-C.
//!
//! ```text
//! cargo run --example worker
//! ```
//!
//! A real program has its workers in another process than its producers, often on another machine: all they share is the
//! database.

use std::error::Error;

use pgmill::{Context, Manager, QueueMeta, TaskError, TaskMeta, TaskResultExt, WorkerPool, seconds};
use pgmill_examples::{Database, Stop};
use serde::{Deserialize, Serialize};

/// A payload is anything that serde can write and read as JSON.
#[derive(Serialize, Deserialize)]
struct Email {
    to: String,
}

/// Runs for each task. What it returns is kept as the task's result; an error has the task tried again.
async fn send(context: Context, email: Email) -> Result<String, TaskError> {
    let (_, host) = email.to.split_once('@').ok_or("no address").discard()?; // Never tried again.
    if host == "slow.example" && context.attempt() == 1 {
        println!("{} does not answer; trying again later", email.to);
        return Err(TaskError::retry("no answer")); // As would `?` on any error.
    }
    println!("sent to {} at attempt {}", email.to, context.attempt());
    Ok("sent".to_owned())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let database = Database::open().await?;
    let manager = Manager::connect(database.url()).namespace("examples").await?;

    // The pool ends at the first Ctrl-C, and at the second one without waiting for what runs.
    let stop = Stop::at_signals()?;

    // Creates the queue, or changes its settings if it is there already.
    let pool = WorkerPool::builder(&manager).workers(8).now(stop.now).build()?;
    pool.register_queue(QueueMeta::new("emails").retries(3).retry_delay(seconds(1)), send).await?;

    // Once this returns, the task is on disk: it survives a crash of this program and of the database.
    for to in ["ann@example.com", "bob@slow.example", "nobody"] {
        let task = manager.create_task("emails", TaskMeta::json(&Email { to: to.to_owned() })?).await?;
        println!("task {} is to send to {to}", task.id);
    }

    // Until Ctrl-C. Then nothing new is begun, and what runs may come to its end.
    println!("Ctrl-C stops, and once more at once");
    let report = pool.run(stop.gently).await?;
    println!("{} done, {} tried again, {} failed", report.done, report.retried, report.failed);
    manager.close().await;
    Ok(())
}
