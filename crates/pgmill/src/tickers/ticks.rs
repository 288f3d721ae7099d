//! Ticks as they come.

use std::collections::VecDeque;
use std::error::Error as StdError;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use pgmill_schema::{NameError, Ticker, TickerName};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::claimer::Claimer;
use super::error::TickerError;
use super::puller::{PERIOD, Pulled, Puller};
use crate::manager::Manager;

/// A consumer that is through with a batch of ticks within this time gets larger ones.
const QUICK: Duration = Duration::from_millis(10);
const SHORTEST_PERIOD: Duration = Duration::from_millis(1);

/// How a loop takes ticks.
#[derive(Debug, Clone)]
pub struct TickerLoop {
    period: Duration,
    batch: u32,
    names: Vec<String>,
    shutdown: Option<CancellationToken>,
    log_errors: bool,
}

impl Default for TickerLoop {
    fn default() -> Self {
        Self { period: PERIOD, batch: 100, names: Vec::new(), shutdown: None, log_errors: false }
    }
}

impl TickerLoop {
    /// Of all tickers of the namespace.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How often at least to ask the database: at least 1 ms. Default 15 s.
    ///
    /// Ticks do not wait for this: a loop sleeps until the next one is due. It is for tickers that other processes create or
    /// change meanwhile; those of this process are noticed at once.
    #[must_use]
    pub fn period(mut self, period: Duration) -> Self {
        self.period = period;
        self
    }

    /// How many ticks to take at once at most: 1 to 1,000. Default 100.
    ///
    /// A loop takes one at a time, unless more are due than it can keep up with so, and whoever gets them asks for the next
    /// one within a few milliseconds. What is taken and not yet handed out when the loop is dropped is lost; with 1, that is
    /// nothing.
    #[must_use]
    pub fn batch(mut self, ticks: u32) -> Self {
        self.batch = ticks.clamp(1, 1_000);
        self
    }

    /// Only ticks of these tickers. Default: of all.
    #[must_use]
    pub fn names(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.names = names.into_iter().map(Into::into).collect();
        self
    }

    /// Takes no more ticks once the token is cancelled; those that are taken are still handed out, and then the loop ends.
    #[must_use]
    pub fn until(mut self, shutdown: CancellationToken) -> Self {
        self.shutdown = Some(shutdown);
        self
    }

    /// Whether [`Manager::for_each_tick`] logs the error of a handler and goes on. Default `false`: it ends, and returns it.
    #[must_use]
    pub fn log_errors(mut self, log: bool) -> Self {
        self.log_errors = log;
        self
    }
}

/// The ticks of a loop, as they come: a [`Stream`], or [`next`](Self::next) by [`next`](Self::next).
///
/// An error of the database does not end it: it is logged once for each outage, and the loop goes on trying. It ends with
/// [`TickerError::Closed`] if the connections are closed, and silently when it is [told to](TickerLoop::until).
#[must_use = "no tick is taken until it is polled"]
pub struct Ticks {
    stream: Pin<Box<dyn Stream<Item = Result<Ticker, TickerError>> + Send>>,
}

impl Ticks {
    /// The next tick, as soon as one is due. Dropping the call loses nothing: the next one goes on where it was.
    pub async fn next(&mut self) -> Option<Result<Ticker, TickerError>> {
        poll_fn(|context| self.stream.as_mut().poll_next(context)).await
    }
}

impl Stream for Ticks {
    type Item = Result<Ticker, TickerError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.stream.as_mut().poll_next(context)
    }
}

impl std::fmt::Debug for Ticks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ticks").finish_non_exhaustive()
    }
}

impl Manager {
    /// The ticks of the namespace, as they come.
    ///
    /// Consumers compete: of all loops in all processes, each tick goes to exactly one. A tick that was taken by a process
    /// that dies before it has acted on it is lost; where that matters, give the ticker a target queue
    /// ([`TickerMeta::queue`](crate::TickerMeta::queue)), which makes a task of each tick. The ticks of tickers that have
    /// one are not handed out.
    ///
    /// A loop that is dropped while it waits loses nothing; one that is dropped while it asks the database may lose a tick.
    ///
    /// # Errors
    /// [`TickerError::Period`] if the period is below 1 ms; [`TickerError::Name`] if a name is one no ticker can have.
    ///
    /// ```no_run
    /// # async fn example(manager: pgmill::Manager) -> Result<(), pgmill::TickerError> {
    /// use pgmill::TickerLoop;
    ///
    /// let mut ticks = manager.run_ticker_loop(TickerLoop::new())?;
    /// while let Some(tick) = ticks.next().await {
    ///     let tick = tick?;
    ///     println!("{} of {:?}: {:?}", tick.ticker, tick.timestamp, tick.payload);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn run_ticker_loop(&self, options: TickerLoop) -> Result<Ticks, TickerError> {
        let TickerLoop { period, batch, names, shutdown, log_errors: _ } = options;
        if period < SHORTEST_PERIOD {
            return Err(TickerError::Period { given: period });
        }
        let names = names.iter().map(|name| TickerName::new(name)).collect::<Result<Vec<_>, NameError>>()?;
        let names = Some(names).filter(|names| !names.is_empty());
        let claimer = Claimer::new(Arc::clone(&self.shared), Some(self.namespace.clone()), names, batch);
        let puller = Puller::new("ticks cannot be taken", claimer, period, shutdown.unwrap_or_default());
        let source = Source { puller, taken: VecDeque::new(), batch, size: 1, taken_at: Instant::now() };
        Ok(Ticks { stream: Box::pin(stream::unfold(Some(source), Source::next).fuse()) })
    }

    /// As [`run_ticker_loop`](Self::run_ticker_loop), in another namespace.
    ///
    /// # Errors
    /// Those of [`run_ticker_loop`](Self::run_ticker_loop); if it is no namespace, or a reserved one.
    pub fn run_ticker_loop_ns(&self, namespace: &str, options: TickerLoop) -> Result<Ticks, TickerError> {
        self.with_namespace(namespace)?.run_ticker_loop(options)
    }

    /// Calls a handler for each tick of the namespace, one after another, until the token is cancelled: then the ticks that
    /// are taken are still handled, and it returns.
    ///
    /// # Errors
    /// Those of [`run_ticker_loop`](Self::run_ticker_loop); [`TickerError::Handler`] with the first error of the handler,
    /// unless such [are to be logged](TickerLoop::log_errors).
    ///
    /// ```no_run
    /// # async fn example(manager: pgmill::Manager, shutdown: tokio_util::sync::CancellationToken)
    /// # -> Result<(), pgmill::TickerError> {
    /// use pgmill::TickerLoop;
    ///
    /// let options = TickerLoop::new().names(["heartbeat"]).log_errors(true);
    /// manager
    ///     .for_each_tick(shutdown, options, |tick| async move {
    ///         println!("{} ticks", tick.ticker);
    ///         Ok::<_, std::io::Error>(())
    ///     })
    ///     .await
    /// # }
    /// ```
    pub async fn for_each_tick<H, F, E>(
        &self,
        shutdown: CancellationToken,
        options: TickerLoop,
        mut handler: H,
    ) -> Result<(), TickerError>
    where
        H: FnMut(Ticker) -> F,
        F: Future<Output = Result<(), E>>,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let log_errors = options.log_errors;
        let mut ticks = self.run_ticker_loop(options.until(shutdown))?;
        while let Some(tick) = ticks.next().await {
            let tick = tick?;
            let ticker = tick.ticker.to_string();
            if let Err(error) = handler(tick).await {
                let source = error.into();
                if !log_errors {
                    return Err(TickerError::Handler { ticker, source });
                }
                tracing::warn!(error = &*source as &dyn StdError, %ticker, "the handler of a ticker failed: {source}");
            }
        }
        Ok(())
    }
}

/// What a loop knows between two ticks.
struct Source {
    puller: Puller,
    /// Taken, and not yet handed out.
    taken: VecDeque<Ticker>,
    /// How many to take at once at most, and next time.
    batch: u32,
    size: u32,
    taken_at: Instant,
}

impl Source {
    async fn next(source: Option<Self>) -> Option<(Result<Ticker, TickerError>, Option<Self>)> {
        let mut source = source?;
        loop {
            if let Some(ticker) = source.taken.pop_front() {
                return Some((Ok(ticker), Some(source)));
            }
            // A consumer that takes its time leaves what is due to others.
            let quick = source.taken_at.elapsed() < QUICK;
            source.size =
                if quick && source.puller.is_behind() { source.size * 2 } else { 1 }.min(source.batch);
            match source.puller.pull(source.size).await {
                Pulled::Ticks(ticks) => {
                    source.taken.extend(ticks);
                    source.taken_at = Instant::now();
                }
                Pulled::Closed => return Some((Err(TickerError::Closed), None)),
                Pulled::Over => return None,
            }
        }
    }
}
