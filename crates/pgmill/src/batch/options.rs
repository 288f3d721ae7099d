//! What can be set about the batchers.

use std::time::Duration;

/// How calls are gathered into statements. The defaults suit most programs: batches size themselves by load, and there
/// is no delay to tune.
#[derive(Debug, Clone)]
pub struct BatchOptions {
    pub(crate) flights: usize,
    pub(crate) max_rows: usize,
    pub(crate) max_bytes: usize,
    pub(crate) room: usize,
    pub(crate) settle: Duration,
    pub(crate) floors: bool,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self {
            flights: 2,
            max_rows: 1_000,
            max_bytes: 1 << 20,
            room: 64 << 20,
            settle: Duration::from_secs(30),
            floors: true,
        }
    }
}

impl BatchOptions {
    /// How many statements of one kind may be under way at once. Default 2, at least 1; claims always take turns. Each holds a connection.
    #[must_use]
    pub fn flights(mut self, flights: usize) -> Self {
        self.flights = flights.max(1);
        self
    }

    /// How many rows a statement carries, or retains for all its callers together, at most; a single call that asks for
    /// more tasks still travels alone. Default 1,000, at least 1.
    #[must_use]
    pub fn max_rows(mut self, rows: usize) -> Self {
        self.max_rows = rows.max(1);
        self
    }

    /// How many bytes of payloads or results a statement carries at most; a single larger one still travels alone.
    /// Default 1 MiB. What a retain brings back is not bounded by this, but by [`max_rows`](Self::max_rows) alone: by so
    /// many of the largest payloads there are.
    #[must_use]
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// How many bytes of waiting calls each batcher holds at most, 1 KiB being counted for a call beside its payload;
    /// further callers wait. Default 64 MiB.
    #[must_use]
    pub fn room(mut self, bytes: usize) -> Self {
        self.room = bytes;
        self
    }

    /// Whether claims may begin where this process has been in a queue, while they are slow from its beginning: beside
    /// thousands of leased tasks, or under a transaction that is held open. Default `true`. What comes to lie before that
    /// place, such as a task whose lease has lapsed, may then be found some seconds later, after tasks behind it. With `false`
    /// every claim begins at the beginning.
    #[must_use]
    pub fn floors(mut self, floors: bool) -> Self {
        self.floors = floors;
        self
    }

    /// How long a call whose outcome has become unknown is asked about again before it is answered as unknown, and one
    /// that others are in the way of is tried again. Default 30 s. What the first sending took before, up to the
    /// [deadline](crate::ManagerBuilder::deadline), is not counted.
    #[must_use]
    pub fn settle(mut self, limit: Duration) -> Self {
        self.settle = limit;
        self
    }
}
