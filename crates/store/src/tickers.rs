//! Tickers: their settings, their schedules, their names.

use jiff::Timestamp;
use pgmill_schema::{List, ListRequest, Namespace, TickPolicy, Ticker, TickerMeta, TickerName, to_micros};
use tokio_postgres::types::ToSql;

use crate::error::StoreError;
use crate::queues::{limit, offset};
use crate::row::Reader;
use crate::statement::{
    CREATE_TICKER, DELETE_TICKER, GET_TICKER, LIST_TICKERS, REGISTER_TICKER, Statement, UPDATE_TICKER,
};
use crate::store::Store;

/// A cron expression as it is to be stored: SQL cannot tell when it is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CronSchedule {
    /// The expression.
    pub cron: String,
    /// The name of its time zone.
    pub time_zone: String,
    /// When it is due first, if it is not what the ticker goes by already.
    pub next_at: Timestamp,
    /// The expression and the zone that the ticker had when this was made of it, both `None` where it had none: if they
    /// have changed since, nothing is written.
    pub seen: (Option<String>, Option<String>),
}

/// A ticker, if there is one, and the database's time of that look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownTicker {
    /// The ticker.
    pub ticker: Option<Ticker>,
    /// The time.
    pub now: Timestamp,
}

/// The settings of a ticker as parameters; null where none is given.
struct Settings<'a> {
    namespace: &'a str,
    ticker: &'a str,
    payload: Option<&'a str>,
    interval: Option<i64>,
    cron: Option<&'a str>,
    time_zone: Option<&'a str>,
    disabled: bool,
    queue: Option<String>,
    priority: Option<i16>,
    policy: Option<i16>,
    catch_up: Option<i32>,
    now: Option<Timestamp>,
    first: Option<Timestamp>,
    merged: bool,
    seen_cron: Option<&'a str>,
    seen_zone: Option<&'a str>,
}

/// How many of the parameters a create takes.
const CREATING: usize = 13;

impl<'a> Settings<'a> {
    fn of(
        (namespace, ticker): (&'a Namespace, &'a TickerName),
        meta: &'a TickerMeta,
        cron: Option<&'a CronSchedule>,
        now: Option<Timestamp>,
    ) -> Self {
        Self {
            namespace: namespace.as_str(),
            ticker: ticker.as_str(),
            payload: meta.payload.as_ref().map(pgmill_schema::Json::as_str),
            interval: meta.interval.map(to_micros),
            cron: cron.map(|cron| cron.cron.as_str()),
            time_zone: cron.map(|cron| cron.time_zone.as_str()),
            disabled: meta.disabled,
            // Names are stored as they are compared.
            queue: meta.queue.as_ref().map(|queue| queue.trim().to_lowercase()),
            priority: meta.priority.map(i16::from),
            policy: meta.policy.map(TickPolicy::code),
            catch_up: meta.catch_up.map(|ticks| i32::try_from(ticks).unwrap_or(i32::MAX)),
            now,
            first: cron.map(|cron| cron.next_at),
            merged: cron.is_some(),
            seen_cron: cron.and_then(|cron| cron.seen.0.as_deref()),
            seen_zone: cron.and_then(|cron| cron.seen.1.as_deref()),
        }
    }

    fn params(&self) -> Vec<&(dyn ToSql + Sync)> {
        vec![
            &self.namespace,
            &self.ticker,
            &self.payload,
            &self.interval,
            &self.cron,
            &self.time_zone,
            &self.disabled,
            &self.queue,
            &self.priority,
            &self.policy,
            &self.catch_up,
            &self.now,
            &self.first,
            &self.merged,
            &self.seen_cron,
            &self.seen_zone,
        ]
    }
}

impl Store {
    /// Creates a ticker; `None` where the name is taken. The settings of `meta` must be valid, its name is not used. `cron`
    /// stands for its cron expression, and `now` for the database's time.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn create_ticker(
        &self,
        namespace: &Namespace,
        ticker: &TickerName,
        meta: &TickerMeta,
        cron: Option<&CronSchedule>,
        now: Option<Timestamp>,
    ) -> Result<Option<Ticker>, StoreError> {
        let settings = Settings::of((namespace, ticker), meta, cron, now);
        self.one_ticker(&CREATE_TICKER, &settings.params()[..CREATING]).await
    }

    /// Creates a ticker, or changes the given settings of the one there is; `None` if its cron expression has changed
    /// since it was looked at. Parameters as for [`create_ticker`](Self::create_ticker).
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn register_ticker(
        &self,
        namespace: &Namespace,
        ticker: &TickerName,
        meta: &TickerMeta,
        cron: Option<&CronSchedule>,
        now: Option<Timestamp>,
    ) -> Result<Option<Ticker>, StoreError> {
        let settings = Settings::of((namespace, ticker), meta, cron, now);
        self.one_ticker(&REGISTER_TICKER, &settings.params()).await
    }

    /// Changes the given settings of a ticker, its name too where `meta` has one; `None` where there is no such ticker,
    /// or where its cron expression has changed since it was looked at.
    ///
    /// # Errors
    /// Those of any statement; [`StoreError::Refused`] with the constraint `ticker_name` if the new name is taken.
    pub async fn update_ticker(
        &self,
        namespace: &Namespace,
        ticker: &TickerName,
        meta: &TickerMeta,
        cron: Option<&CronSchedule>,
        now: Option<Timestamp>,
    ) -> Result<Option<Ticker>, StoreError> {
        let settings = Settings::of((namespace, ticker), meta, cron, now);
        let rename = TickerName::new(&meta.ticker).ok();
        let rename = rename.as_ref().map(TickerName::as_str);
        let mut params = settings.params();
        params.push(&rename);
        self.one_ticker(&UPDATE_TICKER, &params).await
    }

    /// Deletes a ticker, and returns what it was; `None` where there is no such ticker.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn delete_ticker(
        &self,
        namespace: &Namespace,
        ticker: &TickerName,
    ) -> Result<Option<Ticker>, StoreError> {
        self.one_ticker(&DELETE_TICKER, &[&namespace.as_str(), &ticker.as_str()]).await
    }

    /// One ticker, if there is one, and the time.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn get_ticker(
        &self,
        namespace: &Namespace,
        ticker: &TickerName,
    ) -> Result<KnownTicker, StoreError> {
        let rows = self.look_up(&GET_TICKER, &[&namespace.as_str(), &ticker.as_str()]).await?;
        let row = rows.first().ok_or_else(|| StoreError::unexpected("get_ticker answered nothing"))?;
        let row = Reader::of(row);
        let ticker = if row.is_absent("id")? { None } else { Some(row.ticker()?) };
        Ok(KnownTicker { ticker, now: row.get("clock")? })
    }

    /// The tickers of a namespace, by name.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn list_tickers(
        &self,
        namespace: &Namespace,
        page: &ListRequest,
    ) -> Result<List<Ticker>, StoreError> {
        let rows = self.look_up(&LIST_TICKERS, &[&namespace.as_str(), &offset(page), &limit(page)]).await?;
        let count = rows.first().map(|row| Reader::of(row).count("count")).transpose()?.unwrap_or(0);
        let mut body = Vec::with_capacity(rows.len());
        for row in rows.iter().map(Reader::of) {
            if !row.is_absent("id")? {
                body.push(row.ticker()?);
            }
        }
        Ok(List { offset: 0, limit: None, count, body })
    }

    async fn one_ticker(
        &self,
        statement: &Statement,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Ticker>, StoreError> {
        let rows = self.query(statement, params).await?;
        rows.first().map(|row| Reader::of(row).ticker()).transpose()
    }
}
