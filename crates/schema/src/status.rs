use crate::word::words;

words! {
    /// Where a task stands.
    ///
    /// The first line that matches decides: a finished task has the status it was stored with; past `dies_at` it
    /// is `expired`; under a lease, lapsed or not, it is `retained`; with no attempt counted it is `new`; else it
    /// is waiting to `retry`.
    ///
    /// ```
    /// use pgmill_schema::Status;
    ///
    /// assert_eq!("released".parse(), Ok(Status::Released));
    /// assert!(Status::Retry.is_live() && !Status::Retry.is_finished());
    /// ```
    pub enum Status ("status"), error StatusError {
        /// Waiting, and never yet handed to a worker.
        New = 0 "new",
        /// Waiting for another attempt.
        Retry = 1 "retry",
        /// Held by a worker under a lease.
        Retained = 2 "retained",
        /// Finished: done.
        Released = 3 "released",
        /// Finished: no attempt succeeded, or one failed for good.
        Failed = 4 "failed",
        /// Finished: not done before its time to live ran out.
        Expired = 5 "expired",
        /// Finished: called off.
        Cancelled = 6 "cancelled",
    }
}

impl Status {
    /// Whether the task may still run: `new`, `retry` or `retained`.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, Status::New | Status::Retry | Status::Retained)
    }

    /// Whether the task has ended: `released`, `failed`, `expired` or `cancelled`.
    #[must_use]
    pub const fn is_finished(self) -> bool {
        !self.is_live()
    }
}
