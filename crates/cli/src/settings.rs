//! The settings of queues and tickers as arguments, and the words they know.

use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use pgmill::{Backoff, QueueMeta, Status, TickPolicy, TickerMeta};

use crate::{args, payload};

/// Reads a status of tasks.
pub(crate) fn statuses() -> impl TypedValueParser<Value = Status> {
    PossibleValuesParser::new(Status::ALL.map(Status::as_str)).try_map(|name| name.parse::<Status>())
}

#[derive(Debug, clap::Args)]
pub(crate) struct QueueSettings {
    /// How long a task has to be done, such as 24h. Default 1h.
    #[arg(long, value_name = "DURATION", value_parser = args::duration)]
    ttl: Option<Duration>,
    /// Let tasks live until they are done.
    #[arg(long, conflicts_with = "ttl")]
    no_ttl: bool,
    /// The number of attempts in all, at least 1. Default 3.
    #[arg(long, value_name = "N", value_parser = args::uint)]
    retries: Option<u64>,
    /// The pause after the first failed attempt. Default 2m.
    #[arg(long, value_name = "DURATION", value_parser = args::duration)]
    retry_delay: Option<Duration>,
    /// How the pause grows from attempt to attempt. Default exponential.
    #[arg(long, value_name = "KIND", value_parser = backoffs())]
    backoff: Option<Backoff>,
    /// The longest pause between two attempts. Default 24h.
    #[arg(long, value_name = "DURATION", value_parser = args::duration)]
    max_retry_delay: Option<Duration>,
    /// How long at least a task that is done stays visible. Default 24h.
    #[arg(long, value_name = "DURATION", value_parser = args::duration)]
    retention: Option<Duration>,
    /// How long at least a task that failed, expired or was cancelled stays visible. Default 168h.
    #[arg(long, value_name = "DURATION", value_parser = args::duration)]
    retention_failed: Option<Duration>,
    /// How long a worker that sends no heartbeat holds a task. Default 15m.
    #[arg(long, value_name = "DURATION", value_parser = args::duration)]
    lease: Option<Duration>,
}

fn backoffs() -> impl TypedValueParser<Value = Backoff> {
    PossibleValuesParser::new(Backoff::ALL.map(Backoff::as_str)).try_map(|name| name.parse::<Backoff>())
}

impl QueueSettings {
    /// Adds what was given to settings that have a name or none.
    pub(crate) fn apply(&self, meta: QueueMeta) -> QueueMeta {
        let meta = QueueMeta {
            retries: self.retries,
            retry_delay: self.retry_delay,
            backoff: self.backoff,
            max_retry_delay: self.max_retry_delay,
            retention: self.retention,
            retention_failed: self.retention_failed,
            lease: self.lease,
            ..meta
        };
        match self.ttl {
            Some(ttl) => meta.ttl(ttl),
            None if self.no_ttl => meta.no_ttl(),
            None => meta,
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct TickerSettings {
    /// The time from one tick to the next, such as 90s. Default 1m, unless there is --cron.
    #[arg(long, value_name = "DURATION", value_parser = args::duration)]
    interval: Option<Duration>,
    /// What every tick carries. Default {}.
    #[arg(long, value_name = "JSON", allow_negative_numbers = true)]
    payload: Option<String>,
    /// A cron expression of 5 fields, or of 6 with the seconds first.
    #[arg(long, value_name = "EXPRESSION", conflicts_with = "interval")]
    cron: Option<String>,
    /// The time zone that the cron expression is read in, such as Europe/Berlin. Default UTC.
    #[arg(long, value_name = "ZONE", requires = "cron")]
    time_zone: Option<String>,
    /// Let each tick make a task in this queue, rather than hand it to whoever listens; '' ends that.
    #[arg(long, value_name = "QUEUE")]
    queue: Option<String>,
    /// The priority of those tasks, from 0, which goes first, to 9. Default 5.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=9))]
    priority: Option<u8>,
    /// What becomes of ticks that nobody was there to take. Default coalesce.
    #[arg(long, value_name = "POLICY", value_parser = policies())]
    policy: Option<TickPolicy>,
    /// How many of them at most are caught up with, under the policy `catch_up`. Default 100.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    catch_up: Option<u32>,
}

fn policies() -> impl TypedValueParser<Value = TickPolicy> {
    PossibleValuesParser::new(TickPolicy::ALL.map(TickPolicy::as_str))
        .try_map(|name| name.parse::<TickPolicy>())
}

impl TickerSettings {
    /// Adds what was given to settings that have a name or none.
    pub(crate) fn apply(self, meta: TickerMeta) -> anyhow::Result<TickerMeta> {
        let payload = self.payload.map(|text| payload::json(&text, "payload")).transpose()?;
        let Self { interval, cron, time_zone, queue, priority, policy, catch_up, .. } = self;
        Ok(TickerMeta { payload, interval, cron, time_zone, queue, priority, policy, catch_up, ..meta })
    }
}
