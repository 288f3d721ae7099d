//! The way back to a caller.

use tokio::sync::oneshot;

/// Answers a caller, also if the call is dropped: with its runtime, or by a panic.
#[derive(Debug)]
pub(crate) struct Reply<T, E> {
    caller: Option<oneshot::Sender<Result<T, E>>>,
    /// What a caller is told whose call is dropped.
    dropped: Option<E>,
}

impl<T, E> Reply<T, E> {
    /// The way back to a caller who is told this if the call is dropped before it departs.
    pub(crate) fn new(dropped: E) -> (Self, oneshot::Receiver<Result<T, E>>) {
        let (caller, waiting) = oneshot::channel();
        (Self { caller: Some(caller), dropped: Some(dropped) }, waiting)
    }

    /// The call is about to be sent: dropped from now on, it may have been carried out.
    pub(crate) fn depart(&mut self, dropped: E) {
        self.dropped = Some(dropped);
    }

    /// Whether nobody waits any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.caller.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    pub(crate) fn send(mut self, result: Result<T, E>) {
        if let Some(caller) = self.caller.take() {
            // A caller that went away does not need its answer.
            drop(caller.send(result));
        }
    }
}

impl<T, E> Drop for Reply<T, E> {
    fn drop(&mut self) {
        if let (Some(caller), Some(dropped)) = (self.caller.take(), self.dropped.take()) {
            drop(caller.send(Err(dropped)));
        }
    }
}
