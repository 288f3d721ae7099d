//! Ticks at the time that the test says.

use pgmill::{Manager, Ticker};

/// Takes all ticks that are due in the manager's namespace: those of tickers with a target queue make their tasks, as
/// [`Manager::run`] has them do, and the others are returned. With a [`Clock`](pgmill::Clock) that is moved by hand it is the
/// test that says what is due.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use pgmill::{Manager, QueueMeta, TickerMeta, hours};
/// use pgmill_testkit::{Clock, TaskMatch, TestDatabase, assert_enqueued, fire_tickers};
///
/// let database = TestDatabase::create().await;
/// let clock = Clock::manual("2026-01-05T08:00:00Z".parse()?);
/// let manager = Manager::connect(database.url()).ticker_clock(clock.clone()).await?;
/// manager.register_queue(QueueMeta::new("reports")).await?;
/// let nightly = TickerMeta::new("nightly").cron("30 2 * * *").time_zone("Europe/Berlin");
/// manager.register_ticker(nightly.clone()).await?;
/// manager.register_ticker(TickerMeta { ticker: "report".to_owned(), ..nightly }.queue("reports")).await?;
///
/// assert!(fire_tickers(&manager).await.is_empty());
/// clock.advance(hours(24));
/// assert_eq!(fire_tickers(&manager).await[0].ticker.as_str(), "nightly");
/// assert_enqueued(&manager, "reports", TaskMatch::any().count(1)).await;
/// assert!(fire_tickers(&manager).await.is_empty());
/// # Ok(())
/// # }
/// ```
///
/// # Panics
/// If the database fails, with the reason.
pub async fn fire_tickers(manager: &Manager) -> Vec<Ticker> {
    let mut ticks = Vec::new();
    loop {
        let next = manager.next_ticker().await;
        match next.unwrap_or_else(|error| panic!("the next tick cannot be taken: {error}")) {
            Some(tick) => ticks.push(tick),
            None => return ticks,
        }
    }
}
