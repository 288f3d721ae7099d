//! What runs while the pool runs: the book, and everybody who writes in it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pgmill_schema::{Outcome, QueueName};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::attempt::{Attempt, warn_dropped};
use super::book::{Book, Finished, Why};
use super::context::Common;
use super::ended::{End, Ended};
use super::handler::Handler;
use super::lane::Lane;
use super::options::{QueueOptions, Settings};
use super::task_error::TaskError;
use crate::telemetry::PoolMeters;

/// A handler, and the queues it serves: none for every queue of the namespace.
pub(super) struct Registered<S> {
    pub(super) queues: Vec<QueueName>,
    pub(super) options: QueueOptions,
    pub(super) handler: Handler<S>,
}

pub(super) struct Engine<S> {
    pub(super) common: Arc<Common<S>>,
    pub(super) lanes: Vec<Registered<S>>,
    pub(super) settings: Settings,
    pub(super) meters: PoolMeters,
    /// Cancelled when nothing is tried any more.
    pub(super) over: CancellationToken,
    /// Something has ended, so that there may be room for more.
    pub(super) room: Notify,
    /// The same, for who waits for the end of everything.
    changed: Notify,
    book: Mutex<Book>,
    runtime: Handle,
}

impl<S: Send + Sync + 'static> Engine<S> {
    pub(super) fn new(common: Arc<Common<S>>, settings: Settings, lanes: Vec<Registered<S>>) -> Self {
        let open = lanes.iter().map(|lane| Lane::new(&lane.options, settings.workers)).collect();
        Self {
            book: Mutex::new(Book::new(&settings, open)),
            meters: PoolMeters::new(common.manager.namespace().as_str(), settings.workers),
            common,
            lanes,
            settings,
            over: CancellationToken::new(),
            room: Notify::new(),
            changed: Notify::new(),
            runtime: Handle::current(),
        }
    }

    /// Nothing that can panic runs under the lock, and nothing that waits.
    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(future);
    }

    /// A handler has come to its end: its slot goes to the next task.
    pub(super) fn finish(self: &Arc<Self>, attempt: &Attempt, ran: Duration) -> Option<Finished> {
        let (mut finished, stopping) = {
            let mut book = self.book();
            (book.finish(attempt, ran)?, book.is_stopping())
        };
        self.tell(stopping);
        // After the others were told: if this one blocks its thread, they have left it.
        if let Some(next) = finished.next.take() {
            self.start(next);
        }
        Some(finished)
    }

    /// An attempt has ended: the one place that is told of all of them.
    pub(super) fn end(&self, attempt: &Attempt, outcome: Option<&Outcome>, end: &End, ran: Duration) {
        let fate = end.fate(outcome);
        let (first, stopping) = {
            let mut book = self.book();
            (book.end(attempt, fate), book.is_stopping())
        };
        if !first {
            return;
        }
        attempt.ended(fate);
        self.tell(stopping);
        let Some(on_end) = &self.settings.on_end else { return };
        let ended = Ended { task: &attempt.task, outcome, end, waited: attempt.waited(), ran };
        if catch_unwind(AssertUnwindSafe(|| on_end(&ended))).is_err() {
            tracing::error!(task.id = attempt.task.id, "on_end panicked");
        }
    }

    pub(super) fn tell(&self, stopping: bool) {
        self.room.notify_one();
        if stopping {
            self.changed.notify_waiters();
        }
    }

    /// Waits until the book is as wanted. Only for the time after the pool was asked to stop.
    pub(super) async fn wait_until(&self, wanted: impl Fn(&Book) -> bool) {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if wanted(&self.book()) {
                return;
            }
            changed.await;
        }
    }

    /// Returns a task that is not to be started.
    pub(super) fn give_back(self: &Arc<Self>, attempt: Arc<Attempt>) {
        let engine = Arc::clone(self);
        self.spawn(async move { engine.release(&attempt, Outcome::GiveBack, Duration::ZERO).await });
    }

    /// Sees to the task of a handler that was given up, and drops the handler where it awaits.
    pub(super) fn given_up(self: &Arc<Self>, attempt: Arc<Attempt>, why: Why) {
        attempt.dropped.notify_one();
        let ran = attempt.running_for();
        let outcome = match why {
            Why::Lost => {
                warn_dropped(&attempt, "its lease was lost, and its handler did not come to an end in time");
                return self.end(&attempt, None, &End::Lost, ran);
            }
            Why::Expired => {
                let error =
                    TaskError::retry("the task expired while it ran, and its handler did not come to an end");
                error.outcome()
            }
            // Whether the lease has lapsed by now, the database decides.
            Why::Stopping | Why::Lapsing => Outcome::GiveBack,
        };
        tracing::warn!(
            task.id = attempt.task.id,
            "task {} of queue {}: its handler did not come to an end in time, and is given up",
            attempt.task.id,
            attempt.task.queue
        );
        let engine = Arc::clone(self);
        let span = attempt.span();
        self.spawn(async move { engine.release(&attempt, outcome, ran).await }.instrument(span));
    }
}
