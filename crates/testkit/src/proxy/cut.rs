//! Where a connection is to be cut.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// A place in the course of a request at which its connection breaks.
///
/// A request is one execution of a statement: from its Bind, or its simple Query, to the end of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CutPoint {
    /// Before the request reaches the server: the statement does not run.
    BeforeRequest,
    /// Once the server has been sent all of the request: the statement runs, perhaps after the client has learned that
    /// its connection broke, and commits unless a transaction block is open.
    AfterRequest,
    /// Once the whole answer has arrived from the server, of which the client gets nothing: the statement has run, and
    /// has committed unless a transaction block is open.
    BeforeAnswer,
    /// As [`BeforeAnswer`](Self::BeforeAnswer), but the client gets the first half of the answer's bytes.
    MidAnswer,
}

/// A cut that waits for its request.
#[derive(Debug)]
pub(super) struct Arm {
    pub(super) point: CutPoint,
    needle: String,
    /// How many more requests are to match, this one included.
    left: usize,
    fired: oneshot::Sender<()>,
}

impl Arm {
    pub(super) fn fire(self) {
        // A test that does not wait for it is no matter.
        let _ = self.fired.send(());
    }
}

/// The cuts of a proxy that have not met their request.
#[derive(Debug, Default)]
pub(super) struct Arms {
    arms: Mutex<Vec<Arm>>,
}

impl Arms {
    pub(super) fn add(&self, point: CutPoint, needle: &str, nth: usize) -> oneshot::Receiver<()> {
        let (fired, told) = oneshot::channel();
        self.list().push(Arm { point, needle: needle.to_owned(), left: nth.max(1), fired });
        told
    }

    /// The cut for this request, if there is one. Every request must be shown once.
    pub(super) fn meet(&self, statement: &[u8]) -> Option<Arm> {
        let statement = String::from_utf8_lossy(statement);
        let mut arms = self.list();
        for arm in arms.iter_mut().filter(|arm| statement.contains(&arm.needle)) {
            arm.left = arm.left.saturating_sub(1);
        }
        let due = arms.iter().position(|arm| arm.left == 0)?;
        Some(arms.remove(due))
    }

    fn list(&self) -> MutexGuard<'_, Vec<Arm>> {
        self.arms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
