//! The workloads. Each runs one round, checks in the database that everything was done, and leaves nothing behind.

mod backlog;
mod bulk;
mod connections;
mod depth;
mod drain;
mod http;
mod idle;
mod latency;
mod low_load;
mod mixed;
mod pools;
mod queues;
mod retain;
mod single;
mod sustained;
mod tickers;

pub(crate) use backlog::{History, backlog, fill};

use crate::args::Workload;
use crate::bench::Bench;
use crate::figure::Figure;

impl Workload {
    /// Measures the workload, and its limit before it.
    pub(crate) async fn round(self, bench: &Bench) -> anyhow::Result<Vec<Figure>> {
        let figures = match self {
            Self::EnqueueSingle => single::round(bench).await?,
            Self::EnqueueBulk => bulk::round(bench).await?,
            Self::Drain => drain::round(bench).await?,
            Self::Latency => latency::round(bench).await?,
            Self::Retain => retain::round(bench).await?,
            Self::Tickers => tickers::round(bench).await?,
            Self::Backlog => depth::backlog(bench).await?,
            Self::Finished => depth::finished(bench).await?,
            Self::Pinned => depth::pinned(bench).await?,
            Self::Growth => depth::growth(bench).await?,
            Self::Idle => idle::round(bench).await?,
            Self::Sustained => sustained::round(bench).await?,
            Self::LowLoad => low_load::round(bench).await?,
            Self::Mixed => mixed::round(bench).await?,
            Self::Queues => queues::round(bench).await?,
            Self::Http => http::round(bench).await?,
            Self::Connections => connections::round(bench).await?,
        };
        Ok(figures)
    }
}
