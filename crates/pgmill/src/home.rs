//! Where what many share runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// The runtime a manager was made in. What many share runs there rather than where a call comes from, for that runtime may
/// end with the caller, and must not take the calls of others with it.
pub(crate) struct Home {
    runtime: Handle,
    ended: Arc<AtomicBool>,
    /// Ends the task that watches over the runtime.
    _watched: oneshot::Sender<()>,
}

impl Home {
    /// Must be called within a tokio runtime.
    pub(crate) fn current() -> Self {
        let (watched, unwatched) = oneshot::channel();
        let runtime = Handle::current();
        let ended = Arc::new(AtomicBool::new(false));
        let end = End(Arc::clone(&ended));
        runtime.spawn(async move {
            let _end = end;
            // Never sent: resolves when this is dropped.
            let _ = unwatched.await;
        });
        Self { runtime, ended, _watched: watched }
    }

    /// Where to start something: once the home has ended, in the runtime of the caller.
    pub(crate) fn runtime(&self) -> Handle {
        let ended = self.ended.load(Ordering::Relaxed);
        ended.then(Handle::try_current).and_then(Result::ok).unwrap_or_else(|| self.runtime.clone())
    }
}

/// Tells that the task which holds it is dropped.
struct End(Arc<AtomicBool>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
