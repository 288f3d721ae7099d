//! A pool that runs beside its test.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use pgmill::{RunError, RunReport, WorkerPool, WorkerPoolBuilder};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::scene::LIMIT;

/// A pool that runs.
pub(crate) struct Running {
    pub(crate) stop: CancellationToken,
    run: JoinHandle<Result<RunReport, RunError>>,
}

impl Running {
    pub(crate) fn start<S: Send + Sync + 'static>(pool: WorkerPool<S>) -> Self {
        let stop = CancellationToken::new();
        let token = stop.clone();
        Self { stop, run: tokio::spawn(async move { pool.run(token).await }) }
    }

    /// Stops the pool, and waits for its end.
    pub(crate) async fn stop(self) -> RunReport {
        self.stop.cancel();
        self.end().await
    }

    /// Waits for the pool to end.
    pub(crate) async fn end(self) -> RunReport {
        tokio::time::timeout(LIMIT, self.run).await.expect("the pool to end").unwrap().unwrap()
    }

    /// The process dies: nothing is tidied up.
    pub(crate) async fn drop(self) {
        self.run.abort();
        drop(self.run.await);
    }
}

/// How attempts ended, in words: what the observer of a pool was told.
#[derive(Clone, Default)]
pub(crate) struct Ends(Arc<Mutex<Vec<String>>>);

impl Ends {
    pub(crate) fn of<S: Send + Sync + 'static>(
        builder: WorkerPoolBuilder<S>,
    ) -> (WorkerPoolBuilder<S>, Self) {
        let ends = Self::default();
        let told = ends.clone();
        let builder = builder.on_end(move |ended| {
            let end = match ended.end {
                pgmill::End::Recorded { status, .. } => status.to_string(),
                other => format!("{other:?}"),
            };
            told.0.lock().unwrap().push(end);
        });
        (builder, ends)
    }

    pub(crate) fn all(&self) -> Vec<String> {
        let mut all = self.0.lock().unwrap().clone();
        all.sort();
        all
    }
}

/// Counts, and can be waited for.
#[derive(Clone)]
pub(crate) struct Counter(Arc<tokio::sync::watch::Sender<usize>>);

impl Counter {
    pub(crate) fn new() -> Self {
        Self(Arc::new(tokio::sync::watch::Sender::new(0)))
    }

    pub(crate) fn add(&self) -> usize {
        self.0.send_modify(|count| *count += 1);
        self.get()
    }

    pub(crate) fn get(&self) -> usize {
        *self.0.borrow()
    }

    pub(crate) async fn reach(&self, count: usize) {
        let mut seen = self.0.subscribe();
        let reached = seen.wait_for(|seen| *seen >= count);
        let reached = tokio::time::timeout(LIMIT, reached).await.map(|reached| *reached.unwrap());
        assert!(reached.is_ok(), "waited for {count}, and reached {}", self.get());
    }
}

pub(crate) const SHORT: Duration = Duration::from_millis(50);

/// What a pool tells that did no more than this.
pub(crate) fn report(count: impl FnOnce(&mut RunReport)) -> RunReport {
    let mut report = RunReport::default();
    count(&mut report);
    report
}
