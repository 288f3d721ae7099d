//! The end of a pool, in stages, each of which the second signal cuts short.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use pgmill_schema::seconds;
use tokio::time::timeout;

use super::ended::{End, RunReport};
use super::engine::Engine;
use super::fetcher::Claims;

/// How long releases are waited for after the second signal: what was just given back is worth a moment.
const HURRIED_FLUSH: Duration = seconds(2);

impl<S: Send + Sync + 'static> Engine<S> {
    /// Ends everything that is under way.
    pub(super) async fn stop(self: &Arc<Self>, claims: Claims) -> RunReport {
        for attempt in self.book().stop() {
            self.give_back(attempt);
        }
        let late = Aborting(tokio::spawn(Arc::clone(self).give_back_late(claims)));
        self.calm_within(self.settings.grace).await;
        for token in self.book().cancel_running() {
            token.cancel();
        }
        self.calm_within(self.settings.cancel_grace).await;
        self.give_up();
        self.flush(late).await;
        self.over.cancel();
        self.book().report()
    }

    /// Waits until no handler runs.
    async fn calm_within(&self, time: Duration) {
        let calm = timeout(time, self.wait_until(|book| book.running() == 0));
        self.settings.now.run_until_cancelled(calm).await;
    }

    /// Takes the slots of all handlers, and gives their tasks back.
    fn give_up(self: &Arc<Self>) {
        let given_up = self.book().give_up_running();
        for (attempt, why) in given_up {
            self.given_up(attempt, why);
        }
    }

    /// What comes now is not started any more.
    async fn give_back_late(self: Arc<Self>, mut claims: Claims) {
        while let Some(claimed) = claims.next().await {
            // What a failed claim retained all the same, the next one of this process gives back.
            drop(self.claimed(claimed));
        }
    }

    async fn flush(&self, mut late: Aborting) {
        let flushed = async {
            drop((&mut late.0).await);
            self.wait_until(super::book::Book::is_empty).await;
        };
        let hurried = async {
            self.settings.now.cancelled().await;
            tokio::time::sleep(HURRIED_FLUSH).await;
        };
        tokio::select! {
            biased;
            () = flushed => return,
            () = tokio::time::sleep(self.settings.flush) => {}
            () = hurried => {}
        }
        let left = self.book().all();
        tracing::warn!(
            "the database does not answer; attempts that could not be recorded: {}. Their tasks run again when their \
             leases have lapsed",
            left.len()
        );
        for attempt in left {
            self.end(&attempt, None, &End::Unrecorded, attempt.running_for());
        }
    }
}

/// A task that ends with whoever waits for it.
#[derive(Debug)]
pub(super) struct Aborting<T = ()>(pub(super) tokio::task::JoinHandle<T>);

impl<T> Drop for Aborting<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Gives everything back if the run is dropped before its end.
pub(super) struct Halt<S: Send + Sync + 'static>(pub(super) Arc<Engine<S>>);

impl<S: Send + Sync + 'static> Drop for Halt<S> {
    fn drop(&mut self) {
        for attempt in self.0.book().stop() {
            self.0.give_back(attempt);
        }
        self.0.give_up();
        if !self.0.over.is_cancelled() {
            let (over, flush) = (self.0.over.clone(), self.0.settings.flush);
            self.0.spawn(async move {
                tokio::time::sleep(flush).await;
                over.cancel();
            });
        }
    }
}
