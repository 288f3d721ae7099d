//! What a [`Manager`] does with tickers.
//!
//! - `claimer` takes ticks, `ticks` hands them out as a stream, `scheduler` fires those that make tasks.
//! - `cron` tells when an expression is due; `schedule` what a ticker is to go by; `clock` what time it is.

mod claimer;
mod clock;
mod cron;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod puller;
mod schedule;
mod scheduler;
mod ticks;

use std::sync::Arc;
use std::time::Duration;

use pgmill_schema::{List, ListRequest, Ticker, TickerMeta, TickerName};
use pgmill_store::StoreError;

use crate::manager::Manager;

pub(crate) use claimer::TickerState;
pub use clock::Clock;
pub use cron::CronError;
pub use error::TickerError;
pub use schedule::Schedule;
pub use ticks::{TickerLoop, Ticks};

use claimer::Claimer;

/// How often a change is tried again that others got in the way of.
const TURNS: usize = 20;

impl Manager {
    /// Creates the ticker that `meta` names, or changes the settings that are given of the one there is.
    ///
    /// A ticker with an interval ticks at once, and from then on along a grid: a tick that is taken late moves none of the
    /// others. Its clock starts anew only where the interval becomes another: one interval after the last tick, or at once if
    /// that is past. Registering it again with the same interval at each start of a program changes nothing.
    ///
    /// A ticker with a cron expression ticks first when it is due next. The expression has 5 fields, or 6 with seconds
    /// first; names (`MON`, `JAN`), `L` (last), `#` (`FRI#2`), `W` (nearest weekday) and `@daily` are understood. It is read in
    /// its time zone, where clocks may be changed:
    /// - if the hour is given (`30 2 * * *`), a time that is skipped is due once, at the first moment after the change, and a
    ///   time that occurs twice is due once, the first time;
    /// - if the hour is `*` or `*/n`, it is due whenever the clock matches: not while the clock skips, and in both passes of
    ///   an hour that occurs twice. So `*/15 * * * *` is due each quarter of an hour through both changes.
    ///
    /// A ticker with a target queue makes a task at each tick, exactly one, whichever process runs
    /// ([`Manager::run`], or a loop of tickers of its namespace). The queue need not exist yet.
    ///
    /// # Errors
    /// [`TickerError::Name`], [`TickerError::Meta`] and [`TickerError::Cron`] say what is allowed; nothing is written then.
    ///
    /// ```no_run
    /// # async fn example(manager: pgmill::Manager) -> Result<(), pgmill::TickerError> {
    /// use pgmill::{TickerMeta, minutes};
    ///
    /// manager.register_ticker(TickerMeta::new("heartbeat").interval(minutes(5))).await?;
    /// let nightly = TickerMeta::new("nightly").cron("0 3 * * *").time_zone("Europe/Berlin").queue("reports");
    /// let nightly = manager.register_ticker(nightly).await?;
    /// println!("due at {:?}", nightly.next_at);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn register_ticker(&self, meta: TickerMeta) -> Result<Ticker, TickerError> {
        let ticker = self.named(&meta)?;
        for _ in 0..TURNS {
            let cron = self.cron_schedule(&ticker, &meta, true).await?;
            let (store, now) = (&self.shared.store, self.shared.tickers.clock.now());
            let made = store.register_ticker(&self.namespace, &ticker, &meta, cron.as_ref(), now).await?;
            if let Some(made) = made {
                return Ok(self.changed(made));
            }
        }
        Err(TickerError::Contended { ticker: ticker.to_string() })
    }

    /// Creates the ticker that `meta` names. See [`register_ticker`](Self::register_ticker).
    ///
    /// # Errors
    /// [`TickerError::Exists`] if there is one; of several that create it at once, one succeeds.
    pub async fn create_ticker(&self, meta: TickerMeta) -> Result<Ticker, TickerError> {
        let ticker = self.named(&meta)?;
        let cron = self.cron_schedule(&ticker, &meta, true).await?;
        let (store, now) = (&self.shared.store, self.shared.tickers.clock.now());
        let created = store.create_ticker(&self.namespace, &ticker, &meta, cron.as_ref(), now).await?;
        created.map(|created| self.changed(created)).ok_or_else(|| self.ticker_exists(&ticker))
    }

    /// Changes the settings that are given of a ticker, and its name where `meta` has one. When it is due changes only
    /// with the interval or the cron expression, as [`register_ticker`](Self::register_ticker) says.
    ///
    /// # Errors
    /// [`TickerError::NothingToChange`] before anything else; [`TickerError::NotFound`]; [`TickerError::Exists`] if the new
    /// name is taken.
    pub async fn update_ticker(&self, ticker: &str, meta: TickerMeta) -> Result<Ticker, TickerError> {
        let ticker = TickerName::new(ticker)?;
        if meta.is_empty_patch() {
            return Err(TickerError::NothingToChange);
        }
        meta.validate(self.shared.max_payload)?;
        for _ in 0..TURNS {
            let cron = self.cron_schedule(&ticker, &meta, false).await?;
            let (store, now) = (&self.shared.store, self.shared.tickers.clock.now());
            match store.update_ticker(&self.namespace, &ticker, &meta, cron.as_ref(), now).await {
                Ok(Some(updated)) => return Ok(self.changed(updated)),
                // With a cron expression, it may also have got another one meanwhile.
                Ok(None) if cron.is_some() => {}
                Ok(None) => return Err(self.no_ticker(&ticker)),
                Err(error @ StoreError::Refused(_)) if error.constraint() == Some("ticker_name") => {
                    return Err(self.ticker_exists(&TickerName::new(&meta.ticker)?));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(TickerError::Contended { ticker: ticker.to_string() })
    }

    /// A ticker.
    ///
    /// # Errors
    /// [`TickerError::NotFound`].
    pub async fn get_ticker(&self, ticker: &str) -> Result<Ticker, TickerError> {
        let ticker = TickerName::new(ticker)?;
        let known = self.shared.store.get_ticker(&self.namespace, &ticker).await?;
        known.ticker.ok_or_else(|| self.no_ticker(&ticker))
    }

    /// Deletes a ticker, and returns what it was. The tasks it made stay.
    ///
    /// # Errors
    /// [`TickerError::NotFound`].
    pub async fn delete_ticker(&self, ticker: &str) -> Result<Ticker, TickerError> {
        let ticker = TickerName::new(ticker)?;
        let deleted = self.shared.store.delete_ticker(&self.namespace, &ticker).await?;
        deleted.ok_or_else(|| self.no_ticker(&ticker))
    }

    /// The tickers of the namespace, by name.
    ///
    /// # Errors
    /// If the page lies beyond 2^63, or the database fails.
    pub async fn list_tickers(&self, page: ListRequest) -> Result<List<Ticker>, TickerError> {
        page.validate()?;
        Ok(self.shared.store.list_tickers(&self.namespace, &page).await?)
    }

    /// Takes the tick of the namespace that has been due for longest, if one is due. Nobody else gets it: if this process dies
    /// before it has acted on it, or this call is dropped while it is under way, it is lost.
    ///
    /// The ticks of tickers with a target queue make their tasks, and are not returned.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn next_ticker(&self) -> Result<Option<Ticker>, TickerError> {
        Ok(self.take_ticks(None, 1).await?.pop())
    }

    /// As [`next_ticker`](Self::next_ticker), in another namespace.
    ///
    /// # Errors
    /// If it is no namespace, or a reserved one; if the database fails.
    pub async fn next_ticker_ns(&self, namespace: &str) -> Result<Option<Ticker>, TickerError> {
        self.with_namespace(namespace)?.next_ticker().await
    }

    /// As [`next_ticker`](Self::next_ticker), for several at once, and only those of certain tickers where `names` has any.
    /// More than 1,000 are taken as 1,000.
    ///
    /// # Errors
    /// If a name is one no ticker can have, or the database fails.
    pub async fn next_tickers(&self, names: &[&str], limit: usize) -> Result<Vec<Ticker>, TickerError> {
        let names = names.iter().map(|name| TickerName::new(name)).collect::<Result<Vec<_>, _>>()?;
        let names = Some(names).filter(|names| !names.is_empty());
        self.take_ticks(names, limit).await
    }

    async fn take_ticks(
        &self,
        names: Option<Vec<TickerName>>,
        limit: usize,
    ) -> Result<Vec<Ticker>, TickerError> {
        let limit = u32::try_from(limit.min(1_000)).unwrap_or(1_000);
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut claimer = Claimer::new(Arc::clone(&self.shared), Some(self.namespace.clone()), names, limit);
        // Ticks that made tasks, and cron tickers that had to be decided on, are no answer yet. A ticker that is always due
        // must not keep the caller for ever.
        for _ in 0..TURNS {
            let claimed = claimer.claim().await?;
            if !claimed.ticks.is_empty() || claimed.next != Some(Duration::ZERO) {
                return Ok(claimed.ticks);
            }
        }
        Ok(Vec::new())
    }

    /// The name of a ticker to create, once all of its settings are known to be good.
    fn named(&self, meta: &TickerMeta) -> Result<TickerName, TickerError> {
        let ticker = TickerName::new(&meta.ticker)?;
        meta.validate(self.shared.max_payload)?;
        Ok(ticker)
    }

    fn changed(&self, ticker: Ticker) -> Ticker {
        self.shared.tickers.change();
        ticker
    }

    fn no_ticker(&self, ticker: &TickerName) -> TickerError {
        TickerError::NotFound { namespace: self.namespace.to_string(), ticker: ticker.to_string() }
    }

    fn ticker_exists(&self, ticker: &TickerName) -> TickerError {
        TickerError::Exists { namespace: self.namespace.to_string(), ticker: ticker.to_string() }
    }
}
