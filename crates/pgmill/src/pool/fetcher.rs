//! Fetches tasks for the slots that are free, until the pool is asked to stop.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use pgmill_schema::{QueueName, Task};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::attempt::Attempt;
use super::book::{Ask, serves};
use super::engine::Engine;
use super::error::RunError;
use crate::error::RetainError;
use crate::outage::Outage;
use crate::tasks::Retain;
use crate::wakes::Arrivals;
use crate::wakes::Arrived;

/// The answer to a claim.
pub(super) struct Claimed {
    ask: Ask,
    asked: Instant,
    tasks: Result<Vec<Task>, RetainError>,
}

/// The claims that are under way.
pub(super) type Claims = FuturesUnordered<Claim>;

type Claim = Pin<Box<dyn Future<Output = Claimed> + Send>>;

impl<S: Send + Sync + 'static> Engine<S> {
    /// Retains and starts tasks until the pool is asked to stop, or until none waits if that was chosen.
    pub(super) async fn fetch(
        self: &Arc<Self>,
        stop: &CancellationToken,
        claims: &mut Claims,
    ) -> Result<(), RunError> {
        let mut news = News::new(self.arrivals()?);
        let mut outage = Outage::new("tasks cannot be retained");
        let mut not_before = Instant::now();
        let mut stopped = std::pin::pin!(stop.cancelled());
        loop {
            let now = Instant::now();
            if not_before <= now {
                let asks = self.book().plan();
                claims.extend(asks.into_iter().map(|ask| self.claim(ask)));
            }
            if self.settings.until_empty && claims.is_empty() && self.book().is_idle() {
                match stop.run_until_cancelled(self.has_nothing_left()).await {
                    None | Some(Ok(true)) => return Ok(()),
                    Some(Ok(false)) => {}
                    Some(Err(error)) => not_before = now + outage.failed(&error),
                }
            }
            let awaits_news = self.book().awaits_news();
            tokio::select! {
                biased;
                () = &mut stopped => return Ok(()),
                Some(claimed) = claims.next() => match self.claimed(claimed) {
                    Ok(found) => {
                        outage.over();
                        news.found |= found;
                    }
                    Err(RetainError::Closed) => return Err(RunError::Closed),
                    Err(error) => not_before = Instant::now() + outage.failed(&error),
                },
                () = self.room.notified() => {}
                () = sleep_until(not_before), if not_before > now => {}
                arrived = news.wait(), if awaits_news => self.believe(&arrived, news.is_unprompted()),
            }
        }
    }

    fn claim(self: &Arc<Self>, ask: Ask) -> Claim {
        let engine = Arc::clone(self);
        Box::pin(async move {
            let queues: Vec<&str> = engine.lanes[ask.lane].queues.iter().map(QueueName::as_str).collect();
            let retain = Retain::new().count(ask.count).lease(engine.settings.lease);
            // Before the call, so that the lease ends here no later than in the database.
            let asked = Instant::now();
            let tasks = engine.common.manager.next_tasks(&engine.common.worker, &queues, retain).await;
            Claimed { ask, asked, tasks }
        })
    }

    /// A claim was answered: the one place that is told of all of them. Tells whether tasks were found.
    pub(super) fn claimed(self: &Arc<Self>, claimed: Claimed) -> Result<bool, RetainError> {
        let Claimed { ask, asked, tasks } = claimed;
        let tasks = match tasks {
            Ok(tasks) => tasks,
            Err(error) => {
                self.book().failed(ask);
                return Err(error);
            }
        };
        let found = !tasks.is_empty();
        if self.book().take_unprompted(ask) {
            self.common.manager.shared.meters.missed(tasks.iter());
        }
        let attempt = |task| {
            let meters = self.meters.of(&task);
            Attempt::new(task, ask.lane, asked, meters)
        };
        let attempts: Vec<_> = tasks.into_iter().filter_map(attempt).collect();
        let (start, give_back) = {
            let mut book = self.book();
            let start = book.answered(ask, asked.elapsed(), attempts);
            let give_back = if book.is_stopping() { book.stop() } else { Vec::new() };
            (start, give_back)
        };
        for attempt in start {
            self.start(attempt);
        }
        for attempt in give_back {
            self.give_back(attempt);
        }
        Ok(found)
    }

    fn believe(&self, arrived: &Arrived, unprompted: bool) {
        let chosen = |lane: usize| match arrived {
            Arrived::Anywhere => true,
            Arrived::In(queues) => queues.iter().any(|queue| serves(&self.lanes[lane].queues, queue)),
        };
        self.book().believe(chosen, unprompted);
    }

    fn arrivals(&self) -> Result<Arrivals, RunError> {
        let any = self.lanes.iter().any(|lane| lane.queues.is_empty());
        let all = self.lanes.iter().flat_map(|lane| &lane.queues).map(QueueName::as_str);
        let queues: Vec<&str> = if any { Vec::new() } else { all.collect() };
        Ok(self.common.manager.arrivals(&queues)?)
    }
}

type Wait = Pin<Box<dyn Future<Output = (Arrivals, Arrived)> + Send>>;

/// Waits for news, across calls that are given up: what is waited for goes on being waited for.
struct News {
    arrivals: Option<Arrivals>,
    waiting: Option<Wait>,
    /// Tasks were found since it was last waited.
    found: bool,
}

impl News {
    fn new(arrivals: Arrivals) -> Self {
        Self { arrivals: Some(arrivals), waiting: None, found: false }
    }

    /// Whether the last wait ended only because it was time to look.
    fn is_unprompted(&self) -> bool {
        self.arrivals.as_ref().is_some_and(Arrivals::is_unprompted)
    }

    async fn wait(&mut self) -> Arrived {
        if let Some(mut arrivals) = self.arrivals.take() {
            if std::mem::take(&mut self.found) {
                arrivals.found();
            }
            self.waiting = Some(Box::pin(async move {
                let arrived = arrivals.wait().await;
                (arrivals, arrived)
            }));
        }
        let Some(waiting) = &mut self.waiting else { return Arrived::Anywhere };
        let (arrivals, arrived) = waiting.await;
        self.arrivals = Some(arrivals);
        self.waiting = None;
        arrived
    }
}
