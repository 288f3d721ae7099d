use std::error::Error as StdError;

use pgmill_schema::{ListRequestError, NameError, TickerMetaError};
use pgmill_store::StoreError;

use super::cron::CronError;

/// Why an operation on tickers failed. Nothing has changed, unless the connection was lost ([`StoreError::Lost`]).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TickerError {
    /// There is no such ticker.
    #[error("ticker \"{ticker}\" not found in namespace \"{namespace}\"")]
    NotFound {
        /// Where it was looked for.
        namespace: String,
        /// Its name.
        ticker: String,
    },
    /// The name is taken.
    #[error("ticker \"{ticker}\" already exists in namespace \"{namespace}\"")]
    Exists {
        /// Where it is.
        namespace: String,
        /// The name.
        ticker: String,
    },
    /// A name that no ticker, queue or namespace can have.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A setting that cannot be used.
    #[error(transparent)]
    Meta(#[from] TickerMetaError),
    /// A cron expression or a time zone that cannot be used.
    #[error(transparent)]
    Cron(#[from] CronError),
    /// An update that changes nothing.
    #[error("No patch values")]
    NothingToChange,
    /// A page beyond the largest number.
    #[error(transparent)]
    Page(#[from] ListRequestError),
    /// The period of a loop is too short.
    #[error("period must be at least 1ms, not {given:?}")]
    Period {
        /// The period as given.
        given: std::time::Duration,
    },
    /// The ticker was changed by others each time it was to be changed here.
    #[error("ticker \"{ticker}\" is being changed by others: try again")]
    Contended {
        /// Its name.
        ticker: String,
    },
    /// The connections were closed, so that a loop can get no ticks any more.
    #[error("the pool of connections is closed")]
    Closed,
    /// A handler failed, and that was to end its loop.
    #[error("the handler of ticker \"{ticker}\" failed")]
    Handler {
        /// The ticker's name.
        ticker: String,
        /// What the handler said.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl TickerError {
    /// Whether trying again later may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Contended { .. } => true,
            Self::Store(error) => error.is_transient(),
            _ => false,
        }
    }
}
