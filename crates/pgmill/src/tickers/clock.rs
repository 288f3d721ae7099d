use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

/// The clock that tickers go by. It is the database's; a test may put another one in its place, which moves only when it is
/// told to.
///
/// Cloning is cheap, and clones are the same clock.
///
/// ```
/// # async fn example(url: &str) -> Result<(), Box<dyn std::error::Error>> {
/// use pgmill::{Clock, Manager, TickerMeta, hours};
///
/// let clock = Clock::manual("2026-01-01T00:00:00Z".parse()?);
/// let manager = Manager::connect(url).ticker_clock(clock.clone()).await?;
/// manager.register_ticker(TickerMeta::new("hourly").interval(hours(1))).await?;
/// assert!(manager.next_ticker().await?.is_some());
/// assert!(manager.next_ticker().await?.is_none());
/// clock.advance(hours(1));
/// assert!(manager.next_ticker().await?.is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Clock {
    manual: Option<watch::Sender<Timestamp>>,
}

impl Clock {
    /// The clock of the database: the default.
    #[must_use]
    pub fn database() -> Self {
        Self { manual: None }
    }

    /// A clock for tests, which stands still at this time until it is moved. Loops of tickers then wait for it to be moved.
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        Self { manual: Some(watch::Sender::new(start)) }
    }

    /// Moves the clock forward.
    ///
    /// # Panics
    /// If it is the database's, or would leave the range of a [`Timestamp`].
    pub fn advance(&self, by: Duration) {
        let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
        self.hands().send_modify(|now| *now += by);
    }

    /// Sets the clock.
    ///
    /// # Panics
    /// If it is the database's.
    pub fn set(&self, now: Timestamp) {
        self.hands().send_replace(now);
    }

    /// The time it shows; `None` if it is the database's.
    #[must_use]
    pub fn now(&self) -> Option<Timestamp> {
        self.manual.as_ref().map(|now| *now.borrow())
    }

    fn hands(&self) -> &watch::Sender<Timestamp> {
        match &self.manual {
            Some(now) => now,
            None => panic!("the clock of the database cannot be set"),
        }
    }

    /// Tells when it is moved from now on; `None` if it goes by itself.
    pub(crate) fn moves(&self) -> Option<watch::Receiver<Timestamp>> {
        self.manual.as_ref().map(watch::Sender::subscribe)
    }
}
