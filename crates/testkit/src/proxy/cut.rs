//! Where in the course of a request something is to go wrong, and what.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

/// A place in the course of a request at which its connection breaks, or suffers another [`Mishap`].
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
    /// Once the client has been sent the whole answer: it knows what came of the statement, and can say no more on this
    /// connection.
    AfterAnswer,
}

/// What befalls a connection at a [`CutPoint`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mishap {
    /// It breaks, and both sides see that.
    Cut,
    /// For so long it stands still, both ways; then all of it goes on, in order.
    Delay(Duration),
    /// It falls silent, both ways: what comes from then on is lost, and neither side is told. After so long it breaks.
    Swallow(Duration),
}

/// A mishap that waits for its request.
#[derive(Debug)]
pub(super) struct Arm {
    pub(super) point: CutPoint,
    pub(super) mishap: Mishap,
    needle: String,
    /// How many more requests are to match, this one included.
    left: usize,
    settled: Settled,
    happened: oneshot::Sender<()>,
}

/// Whether a mishap happens: decided once, by the request at its point, or by whoever takes the mishap back.
#[derive(Debug, Clone, Default)]
pub(super) struct Settled(Arc<OnceLock<bool>>);

impl Settled {
    /// Decides that it happens; `false` if it was taken back before.
    fn happen(&self) -> bool {
        self.0.set(true).is_ok()
    }

    /// Decides that it does not; `false` if it has come to its point before.
    pub(super) fn take_back(&self) -> bool {
        self.0.set(false).is_ok()
    }

    pub(super) fn is_taken_back(&self) -> bool {
        self.0.get() == Some(&false)
    }
}

impl Arm {
    /// Its point is reached. `None` if it was taken back since it met the request: all goes on then.
    pub(super) fn strike(self) -> Option<Self> {
        self.settled.happen().then_some(self)
    }

    pub(super) fn tell(self) {
        // A test that does not wait for it is no matter.
        let _ = self.happened.send(());
    }
}

/// What is known of a mishap by whoever armed it.
#[derive(Debug)]
pub(super) struct Armed {
    pub(super) settled: Settled,
    pub(super) happened: oneshot::Receiver<()>,
}

/// The mishaps of a proxy that have not met their request.
#[derive(Debug, Default)]
pub(super) struct Arms {
    arms: Mutex<Vec<Arm>>,
}

impl Arms {
    pub(super) fn add(&self, point: CutPoint, mishap: Mishap, needle: &str, nth: usize) -> Armed {
        let (happened, told) = oneshot::channel();
        let settled = Settled::default();
        let (needle, left) = (needle.to_owned(), nth.max(1));
        self.list().push(Arm { point, mishap, needle, left, settled: settled.clone(), happened });
        Armed { settled, happened: told }
    }

    /// The mishap for this request, if there is one. Every request must be shown once.
    pub(super) fn meet(&self, statement: &[u8]) -> Option<Arm> {
        let statement = String::from_utf8_lossy(statement);
        let mut arms = self.list();
        for arm in arms.iter_mut().filter(|arm| statement.contains(&arm.needle)) {
            arm.left = arm.left.saturating_sub(1);
        }
        let due = arms.iter().position(|arm| arm.left == 0)?;
        Some(arms.remove(due))
    }

    /// Forgets what was taken back, so that no request meets it in place of another.
    pub(super) fn tidy(&self) {
        self.list().retain(|arm| !arm.settled.is_taken_back());
    }

    fn list(&self) -> MutexGuard<'_, Vec<Arm>> {
        self.arms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
