//! What the statements go by: the queue's settings, and the checks that they make. The real ones make all of them; with
//! one taken out, the model has to find what goes wrong.

/// The settings of the queue that all tasks of a model are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Attempts in all.
    pub retries: u8,
    /// Whether tasks that are done leave a row in history (`retention` above 0).
    pub keeps: bool,
    /// Whether tasks have a time to live.
    pub mortal: bool,
}

/// The checks, each `true` in pgmill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guards {
    /// A release and an extension ask for the attempt.
    pub fence_by_attempt: bool,
    /// A release and an extension ask for the holder.
    pub fence_by_holder: bool,
    /// Each retain statement has a holder of its own. Otherwise all workers are of one process, which has one.
    pub holder_per_retain: bool,
    /// A retain takes a task from another only when its lease has lapsed.
    pub waits_for_lapse: bool,
    /// A retain looks whether an attempt is left.
    pub counts_attempts: bool,
    /// After a start of the server, leases from before it lapse later.
    pub amnesty: bool,
    /// The sweep writes no holder to the tasks that it ends.
    pub sweep_is_no_holder: bool,
    /// A sweep ends only tasks whose lease has lapsed.
    pub sweep_waits_for_lapse: bool,
    /// A sweep ends tasks without an attempt left.
    pub sweep_ends_exhausted: bool,
    /// An enqueue that is sent again is noted, so that the first sending writes nothing if it comes later.
    pub notes_resent: bool,
    /// A task that is removed from history leaves a receipt.
    pub leaves_receipts: bool,
    /// Folding deletes the changes in the statement that adds them up.
    pub folds_at_once: bool,
}

impl Guards {
    /// As pgmill is.
    pub const ALL: Self = Self {
        fence_by_attempt: true,
        fence_by_holder: true,
        holder_per_retain: true,
        waits_for_lapse: true,
        counts_attempts: true,
        amnesty: true,
        sweep_is_no_holder: true,
        sweep_waits_for_lapse: true,
        sweep_ends_exhausted: true,
        notes_resent: true,
        leaves_receipts: true,
        folds_at_once: true,
    };
}

/// All of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The queue.
    pub queue: Queue,
    /// The checks.
    pub guards: Guards,
}
