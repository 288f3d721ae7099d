//! What a ticker goes by, and when that is due.

use jiff::{SignedDuration, Timestamp};
use pgmill_schema::{DEFAULT_INTERVAL, Ticker, TickerMeta, TickerMetaError, TickerName};
use pgmill_store::CronSchedule;

use super::cron::Cron;
use super::error::TickerError;
use crate::manager::Manager;

const UTC: &str = "UTC";
/// The most times that a preview tells.
const PREVIEW: usize = 1_000;

/// Of what to tell when it is due: a [`Ticker`] that there is, or one that is described by a [`TickerMeta`].
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Schedule<'a> {
    /// A ticker that there is.
    Ticker(&'a Ticker),
    /// A ticker that is about to be created.
    Meta(&'a TickerMeta),
}

impl<'a> From<&'a Ticker> for Schedule<'a> {
    fn from(ticker: &'a Ticker) -> Self {
        Self::Ticker(ticker)
    }
}

impl<'a> From<&'a TickerMeta> for Schedule<'a> {
    fn from(meta: &'a TickerMeta) -> Self {
        Self::Meta(meta)
    }
}

impl Manager {
    /// When a ticker will be due: the next `count` times after `from`, at most 1,000. None if it is disabled. A ticker that is
    /// described by a [`TickerMeta`] is taken as created at `from`. Nothing is asked of the database.
    ///
    /// # Errors
    /// [`TickerError::Meta`] and [`TickerError::Cron`] say what is allowed.
    ///
    /// ```no_run
    /// # fn example(manager: pgmill::Manager) -> Result<(), Box<dyn std::error::Error>> {
    /// use pgmill::TickerMeta;
    ///
    /// let nightly = TickerMeta::new("nightly").cron("30 2 * * *").time_zone("Europe/Berlin");
    /// let due = manager.preview(&nightly, 2, "2026-03-28T00:00:00Z".parse()?)?;
    /// assert_eq!(due[0], "2026-03-28T01:30:00Z".parse()?);
    /// // The next day there is no half past two: clocks go from two to three.
    /// assert_eq!(due[1], "2026-03-29T01:00:00Z".parse()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn preview<'a>(
        &self,
        schedule: impl Into<Schedule<'a>>,
        count: usize,
        from: Timestamp,
    ) -> Result<Vec<Timestamp>, TickerError> {
        let count = count.min(PREVIEW);
        let (cron, interval, first) = match schedule.into() {
            Schedule::Ticker(ticker) => {
                (cron(ticker.cron.as_deref(), ticker.time_zone.as_deref())?, ticker.interval, ticker.next_at)
            }
            Schedule::Meta(meta) => {
                meta.validate(self.shared.max_payload)?;
                let interval = meta.interval.unwrap_or(DEFAULT_INTERVAL);
                let cron = cron(meta.cron.as_deref(), meta.time_zone.as_deref())?;
                (cron, Some(interval).filter(|_| !meta.disabled), Some(from))
            }
        };
        if let Some(cron) = cron {
            let after = |at: &Timestamp| cron.next(*at);
            return Ok(std::iter::successors(after(&from), after).take(count).collect());
        }
        let (Some(interval), Some(first)) = (interval, first) else { return Ok(Vec::new()) };
        Ok(grid(first, SignedDuration::try_from(interval).unwrap_or(SignedDuration::MAX), from)
            .take(count)
            .collect())
    }

    /// The cron expression that `meta` makes the ticker go by, and when that is due first; `None` if it gives none. Of
    /// expression and zone, what is not given stays as it is.
    pub(super) async fn cron_schedule(
        &self,
        ticker: &TickerName,
        meta: &TickerMeta,
        may_be_new: bool,
    ) -> Result<Option<CronSchedule>, TickerError> {
        if meta.cron.is_none() && meta.time_zone.is_none() {
            return Ok(None);
        }
        let known = self.shared.store.get_ticker(&self.namespace, ticker).await?;
        if known.ticker.is_none() && !may_be_new {
            return Err(self.no_ticker(ticker));
        }
        let (seen_cron, seen_zone) =
            known.ticker.map(|ticker| (ticker.cron, ticker.time_zone)).unwrap_or_default();
        let text = meta.cron.as_ref().or(seen_cron.as_ref()).ok_or(TickerMetaError::ZoneWithoutCron)?.trim();
        let cron =
            Cron::parse(text, meta.time_zone.as_ref().or(seen_zone.as_ref()).map_or(UTC, String::as_str))?;
        let now = self.shared.tickers.clock.now().unwrap_or(known.now);
        let next_at = cron.next(now).ok_or_else(|| super::CronError::Never { given: text.to_owned() })?;
        Ok(Some(CronSchedule {
            cron: text.to_owned(),
            time_zone: cron.zone().to_owned(),
            next_at,
            seen: (seen_cron, seen_zone),
        }))
    }
}

fn cron(expression: Option<&str>, zone: Option<&str>) -> Result<Option<Cron>, TickerError> {
    match (expression, zone) {
        (Some(expression), zone) => Ok(Some(Cron::parse(expression, zone.unwrap_or(UTC))?)),
        (None, Some(_)) => Err(TickerMetaError::ZoneWithoutCron.into()),
        (None, None) => Ok(None),
    }
}

/// The points of a grid that are not before `first`, and after `from` unless they begin there.
fn grid(first: Timestamp, interval: SignedDuration, from: Timestamp) -> impl Iterator<Item = Timestamp> {
    let past = from.duration_since(first).as_micros();
    let step = interval.as_micros().max(1);
    let skipped = if past > 0 { past / step + 1 } else { 0 };
    let micros = i128::from(first.as_microsecond()) + skipped * step;
    let points = std::iter::successors(Some(micros), move |micros| micros.checked_add(step));
    points.map_while(|micros| Timestamp::from_microsecond(i64::try_from(micros).ok()?).ok())
}
