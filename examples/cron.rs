//! Makes tasks on a schedule: tickers with a cron expression, a time zone and a target queue.
//!
//! ```text
//! cargo run --example cron
//! ```
//!
//! The statement that takes a tick also makes its task, so each tick makes exactly one, however many processes run. The
//! clock is the database's.

use std::error::Error;
use std::sync::atomic::{AtomicU32, Ordering};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use pgmill::{Context, Json, Manager, QueueMeta, TaskError, TickerMeta, WorkerPool};
use pgmill_examples::Database;
use tokio_util::sync::CancellationToken;

/// What the handlers share. A real program has its clients and connections there.
struct Progress {
    reports: AtomicU32,
    /// Ends the example.
    enough: CancellationToken,
}

impl Progress {
    fn new(enough: CancellationToken) -> Self {
        Self { reports: AtomicU32::new(0), enough }
    }
}

/// Runs for each task that a ticker has made.
async fn report(context: Context<Progress>, about: String) -> Result<(), TaskError> {
    println!("a report on {about}, asked for at {}", context.created_at());
    if context.state().reports.fetch_add(1, Ordering::Relaxed) == 2 {
        context.state().enough.cancel();
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let database = Database::open().await?;
    let manager = Manager::connect(database.url()).namespace("examples").await?;

    // At half past two on working days, by the clocks of Berlin. When is that? No database is asked.
    let nightly =
        TickerMeta::new("nightly").cron("30 2 * * MON-FRI").time_zone("Europe/Berlin").queue("reports");
    for due in manager.preview(&nightly, 3, Timestamp::now())? {
        println!("nightly will be due at {}", due.to_zoned(TimeZone::get("Europe/Berlin")?));
    }
    manager.register_ticker(nightly).await?;

    // With a field for seconds in front: every second. Each of its tasks has this payload.
    let often =
        TickerMeta::new("often").cron("* * * * * *").queue("reports").payload(Json::encode(&"sales")?);
    // To register it again, as each start of a program does, changes nothing.
    manager.register_ticker(often).await?;

    // The tasks of tickers are tasks like all others. Tickers fire while a pool runs, or `Manager::run`.
    let shutdown = CancellationToken::new();
    let pool = WorkerPool::builder(&manager).workers(1).state(Progress::new(shutdown.clone())).build()?;
    pool.register_queue(QueueMeta::new("reports"), report).await?;
    let report = pool.run(shutdown).await?;
    println!("{} reports", report.done);

    for ticker in ["often", "nightly"] {
        manager.delete_ticker(ticker).await?;
    }
    manager.close().await;
    Ok(())
}
