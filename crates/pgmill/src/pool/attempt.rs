//! One attempt: runs the handler, then sees to it that its end is recorded.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use pgmill_schema::{Claim, Outcome, Task};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use super::book::{Finished, Why};
use super::context::Context;
use super::ended::End;
use super::engine::Engine;
use super::handler::{self, Said, unstorable};
use super::task_error::chain;
use crate::error::ReleaseError;
use crate::outage::Outage;
use crate::telemetry::{self, Fate, HandlingMeters, Level};

/// A task that the pool holds.
pub(super) struct Attempt {
    pub(super) claim: Claim,
    pub(super) task: Task,
    pub(super) lane: usize,
    /// Before the call that retained it: its lease counts from here.
    pub(super) asked: Instant,
    pub(super) arrived: Instant,
    /// When the task expires.
    pub(super) deadline: Option<Instant>,
    started: OnceLock<Instant>,
    /// Asks the handler to come to an end.
    pub(super) token: CancellationToken,
    /// The handler is not waited for any longer.
    pub(super) dropped: Notify,
    pub(super) meters: Arc<HandlingMeters>,
    lease_lost: AtomicBool,
    open: Mutex<Open>,
}

/// What ends with the attempt, however long somebody keeps its context.
struct Open {
    /// Counts it among what is held.
    held: Option<Level>,
    /// From the start of its handler.
    span: Option<Span>,
}

impl Attempt {
    /// `None` for a task that came without a holder, and cannot be released.
    pub(super) fn new(
        task: Task,
        lane: usize,
        asked: Instant,
        meters: Arc<HandlingMeters>,
    ) -> Option<Arc<Self>> {
        Self::with_token(task, lane, asked, meters, CancellationToken::new()).map(Arc::new)
    }

    /// One whose handler is asked to come to an end by this token.
    pub(super) fn with_token(
        task: Task,
        lane: usize,
        asked: Instant,
        meters: Arc<HandlingMeters>,
        token: CancellationToken,
    ) -> Option<Self> {
        // Both times are the database's, so that only their difference counts here.
        let left = task
            .dies_at
            .zip(task.started_at)
            .map(|(dies_at, now)| Duration::try_from(dies_at.duration_since(now)).unwrap_or(Duration::ZERO));
        Some(Self {
            claim: task.claim()?,
            deadline: left.and_then(|left| asked.checked_add(left)),
            lane,
            asked,
            arrived: Instant::now(),
            started: OnceLock::new(),
            token,
            dropped: Notify::new(),
            lease_lost: AtomicBool::new(false),
            open: Mutex::new(Open { held: Some(meters.holding()), span: None }),
            meters,
            task,
        })
    }

    /// From when the task was due until it was started, or until now if it has not been.
    pub(super) fn waited(&self) -> Duration {
        let due = self.task.delayed_at.unwrap_or(self.task.created_at);
        let before = self.task.started_at.map(|retained| retained.duration_since(due));
        let before = before.and_then(|before| Duration::try_from(before).ok()).unwrap_or_default();
        let here = self.started.get().copied().unwrap_or_else(Instant::now);
        before + here.saturating_duration_since(self.arrived)
    }

    /// Its lease is lost, or is about to be. That is counted once, however often it turns out.
    pub(super) fn lease_lost(&self) {
        if !self.lease_lost.swap(true, Ordering::Relaxed) {
            self.meters.lease_lost();
        }
    }

    /// The span of what is done for it; none before its handler is started.
    pub(super) fn span(&self) -> Span {
        self.open().span.clone().unwrap_or_else(Span::none)
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_span(&self, worker: &str) -> Span {
        let span = telemetry::running(&self.task, worker);
        self.open().span = Some(span.clone());
        span
    }

    /// It is over: counted, and told in its span, which ends.
    pub(super) fn ended(&self, fate: Fate) {
        if fate == Fate::Lost {
            self.lease_lost();
        }
        self.meters.ended(fate);
        let Open { held, span } = std::mem::replace(&mut *self.open(), Open { held: None, span: None });
        drop(held);
        if let Some(span) = span {
            fate.note(&span);
        }
    }

    /// For how long the handler has run.
    pub(super) fn running_for(&self) -> Duration {
        self.started.get().map(Instant::elapsed).unwrap_or_default()
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt").field("claim", &self.claim).finish_non_exhaustive()
    }
}

impl<S: Send + Sync + 'static> Engine<S> {
    /// Starts an attempt that has been given a slot.
    pub(super) fn start(self: &Arc<Self>, attempt: Arc<Attempt>) {
        let engine = Arc::clone(self);
        self.spawn(async move {
            let span = attempt.open_span(&engine.common.worker);
            engine.attempt(&attempt).instrument(span).await;
        });
    }

    async fn attempt(self: &Arc<Self>, attempt: &Arc<Attempt>) {
        let context = Context::new(Arc::clone(attempt), Arc::clone(&self.common));
        attempt.started.get_or_init(Instant::now);
        let running = attempt.meters.started(attempt.waited());
        let said = tokio::select! {
            biased;
            said = handler::run(&self.lanes[attempt.lane].handler, context) => Some(said),
            () = attempt.dropped.notified() => None,
        };
        let ran = attempt.running_for();
        drop(running);
        attempt.meters.ran(ran);
        match (said, self.finish(attempt, ran)) {
            (Some(said), Some(Finished { why: Some(Why::Lost), .. })) => {
                warn_dropped(attempt, "its lease was lost");
                self.end(attempt, Some(&outcome(said, None)), &End::Lost, ran);
            }
            (Some(said), Some(finished)) => self.release(attempt, outcome(said, finished.why), ran).await,
            // The slot was taken from it. Whoever did that sees to the task, and has told of it.
            (_, None) | (None, _) => {}
        }
    }

    /// Records the outcome, however long it takes, unless the attempt turns out to be another's.
    pub(super) async fn release(&self, attempt: &Attempt, mut outcome: Outcome, ran: Duration) {
        let mut outage: Option<Outage> = None;
        let mut unknown = false;
        let end = loop {
            let manager = &self.common.manager;
            let answer = if unknown {
                // By its fence, it tells what an earlier try of ours has ended from what others have made of the task:
                // a retain that a crash undid is repeated under the same number by somebody else.
                manager.release_again(&attempt.task, outcome.clone()).await
            } else {
                manager.release_task(&attempt.task, outcome.clone()).await
            };
            match answer {
                Ok(_) if outcome == Outcome::GiveBack => break End::GivenBack,
                Ok(released) => {
                    break End::Recorded { status: released.status, task: released.task.map(Box::new) };
                }
                Err(ReleaseError::Outcome(error)) => {
                    let Task { id, queue, .. } = &attempt.task;
                    tracing::warn!(task.id = id, "task {id} of queue {queue}: {error}");
                    outcome = unstorable(&error);
                }
                // An earlier try may have ended it, which nobody can tell any more.
                Err(ReleaseError::Closed) if unknown => break End::Unrecorded,
                Err(
                    error @ (ReleaseError::Superseded { .. }
                    | ReleaseError::NotRetained { .. }
                    | ReleaseError::NotFound { .. }
                    | ReleaseError::Id { .. }
                    | ReleaseError::Closed),
                ) => {
                    warn_dropped(attempt, &chain(&error));
                    break End::Lost;
                }
                Err(error) => {
                    unknown |= matches!(error, ReleaseError::Unknown { .. });
                    let outage = outage.get_or_insert_with(|| Outage::new("a result cannot be recorded"));
                    if self.over.run_until_cancelled(sleep(outage.failed(&error))).await.is_none() {
                        return;
                    }
                }
            }
        };
        self.end(attempt, Some(&outcome), &end, ran);
    }
}

/// What a handler said, as it is released.
pub(super) fn outcome(said: Said, why: Option<Why>) -> Outcome {
    match said {
        // It only failed because it was interrupted: somebody else goes on with it, at no cost.
        // The fence sees to it that it counts only while nobody else does already.
        Said::Error(error) if matches!(why, Some(Why::Stopping | Why::Lapsing)) && error.is_plain_retry() => {
            Outcome::GiveBack
        }
        Said::Error(error) => error.outcome(),
        Said::Outcome(outcome) => outcome,
    }
}

pub(super) fn warn_dropped(attempt: &Attempt, why: &str) {
    let Task { id, queue, attempt: number, .. } = &attempt.task;
    tracing::warn!(
        task.id = id,
        "task {id} of queue {queue}: the result of attempt {number} is dropped: {why}"
    );
}
