//! The tickers of a pool: a loop for each, beside the tasks.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use pgmill_schema::{Ticker, TickerName};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::context::Common;
use super::handler::catch;
use super::options::Settings;
use crate::manager::Manager;
use crate::tickers::{TickerError, TickerLoop};

/// How often a loop looks for a ticker that was changed elsewhere.
const PERIOD: Duration = Duration::from_secs(15);
/// The same for each ticker of the pool: many of them together do not ask more often than this.
const PERIOD_EACH: Duration = Duration::from_secs(1);
/// How long it takes at most until a change by another process is seen.
const LONGEST_PERIOD: Duration = Duration::from_secs(60);

type Source = Box<dyn Error + Send + Sync>;
type Handler<S> =
    Box<dyn Fn(TickContext<S>) -> Pin<Box<dyn Future<Output = Result<(), Source>> + Send>> + Send + Sync>;

/// The tick that a handler is called for, and what it runs in. Cloning is cheap.
pub struct TickContext<S = ()> {
    ticker: Arc<Ticker>,
    token: CancellationToken,
    common: Arc<Common<S>>,
}

impl<S> TickContext<S> {
    /// The ticker; its `timestamp` is when it was due.
    pub fn ticker(&self) -> &Ticker {
        &self.ticker
    }

    /// Cancelled when the handler should come to an end soon, since the pool stops and will not wait much longer.
    pub fn cancellation(&self) -> &CancellationToken {
        &self.token
    }

    /// What [`state`](crate::WorkerPoolBuilder::state) was given.
    pub fn state(&self) -> &S {
        &self.common.state
    }

    /// The pool's manager.
    pub fn manager(&self) -> &Manager {
        &self.common.manager
    }

    /// The name of the pool.
    pub fn worker(&self) -> &str {
        &self.common.worker
    }
}

impl<S> Clone for TickContext<S> {
    fn clone(&self) -> Self {
        Self { ticker: Arc::clone(&self.ticker), token: self.token.clone(), common: Arc::clone(&self.common) }
    }
}

impl<S> fmt::Debug for TickContext<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TickContext").field("ticker", &self.ticker).finish_non_exhaustive()
    }
}

/// A ticker, and the handler of its ticks.
pub(super) struct RegisteredTicker<S> {
    pub(super) name: TickerName,
    handler: Handler<S>,
}

impl<S> RegisteredTicker<S> {
    pub(super) fn new<F, Fut, E>(name: TickerName, handler: F) -> Self
    where
        F: Fn(TickContext<S>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Source> + 'static,
    {
        let handler: Handler<S> = Box::new(move |context| {
            let running = handler(context);
            Box::pin(async move { running.await.map_err(Into::into) })
        });
        Self { name, handler }
    }
}

/// The loops, while they run.
pub(super) struct Ticking {
    loops: JoinSet<Result<(), TickerError>>,
    token: CancellationToken,
}

impl Ticking {
    pub(super) fn start<S: Send + Sync + 'static>(
        common: &Arc<Common<S>>,
        tickers: Vec<RegisteredTicker<S>>,
        settings: &Settings,
        stop: &CancellationToken,
    ) -> Self {
        let token = CancellationToken::new();
        let each = PERIOD_EACH * u32::try_from(tickers.len()).unwrap_or(u32::MAX);
        let options = TickerLoop::new().batch(1).period(each.clamp(PERIOD, LONGEST_PERIOD));
        let options = options.log_errors(settings.log_ticker_errors);
        let mut loops = JoinSet::new();
        for RegisteredTicker { name, handler } in tickers {
            let options = options.clone().names([name.as_str()]);
            let (common, token, stop) = (Arc::clone(common), token.clone(), stop.clone());
            loops.spawn(async move {
                let handler = Arc::new(handler);
                let ended = common
                    .manager
                    .for_each_tick(stop.clone(), options, |ticker| {
                        let (token, common) = (token.clone(), Arc::clone(&common));
                        let context = TickContext { ticker: Arc::new(ticker), token, common };
                        let handler = Arc::clone(&handler);
                        async move { catch(|| handler(context)).await? }
                    })
                    .await;
                // One that fails ends them all, and the pool.
                if ended.is_err() {
                    stop.cancel();
                }
                ended
            });
        }
        Self { loops, token }
    }

    /// Waits for the handlers in the same stages as for those of tasks. The first error is the one that counts.
    pub(super) async fn stop(mut self, settings: &Settings) -> Result<(), TickerError> {
        let mut ended = Ok(());
        self.ended_within(settings.grace, settings, &mut ended).await;
        self.token.cancel();
        self.ended_within(settings.cancel_grace, settings, &mut ended).await;
        if !self.loops.is_empty() {
            tracing::warn!("handlers of tickers that did not come to an end in time: {}", self.loops.len());
            self.loops.abort_all();
        }
        ended
    }

    async fn ended_within(
        &mut self,
        time: Duration,
        settings: &Settings,
        ended: &mut Result<(), TickerError>,
    ) {
        let all = async {
            while let Some(one) = self.loops.join_next().await {
                if let (Ok(()), Ok(Err(error))) = (&ended, one) {
                    *ended = Err(error);
                }
            }
        };
        settings.now.run_until_cancelled(timeout(time, all)).await;
    }
}
