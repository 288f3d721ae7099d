//! Parameters of queries, as they are described. What reads them is `crate::input`.

use utoipa::IntoParams;

/// Which page of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it is only described")]
pub(crate) struct PageQuery {
    /// How many items to skip. Default 0.
    #[param(maximum = 9_223_372_036_854_775_807_i64)]
    offset: Option<u64>,
    /// How many items to show; more than 100 counts as 100. Default 100. With 0 only the count is shown.
    limit: Option<u64>,
}

/// Which tasks.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it is only described")]
pub(crate) struct TaskQuery {
    /// Only those of this queue.
    queue: Option<String>,
    /// Only those with this status.
    #[param(inline, value_type = Option<pgmill::Status>)]
    status: Option<String>,
}

/// Which entries of the audit.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it is only described")]
pub(crate) struct AuditQuery {
    /// Only this action, such as `pause_queue`.
    action: Option<String>,
    /// Only what was done to this queue, task, ticker or token.
    target: Option<String>,
}

/// What to retain.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it is only described")]
pub(crate) struct RetainQuery {
    /// The label of the worker: 1 to 255 characters.
    #[param(min_length = 1, max_length = 255)]
    worker: String,
    /// A queue to take tasks from, as often as there are queues. Default: any.
    queue: Option<Vec<String>>,
    /// How many tasks at most. The answer is then a list.
    #[param(minimum = 1, maximum = 1000)]
    n: Option<u64>,
    /// How long to wait for a task: nanoseconds, or a text such as `30s`; at most a minute. Default: not at all.
    wait: Option<String>,
    /// For how long the task is held: a second to 30 days. A release then has to name the lease that is answered. Default:
    /// that of its queue, and the release may do without.
    lease: Option<String>,
}

/// Which changes of tasks.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it is only described")]
pub(crate) struct EventQuery {
    /// Only tasks of this queue, as often as there are queues.
    queue: Option<Vec<String>>,
    /// Only changes to this status, as often as there are statuses.
    status: Option<Vec<String>>,
    /// Only this task, up to 100 times.
    #[param(max_items = 100)]
    id: Option<Vec<u64>>,
}
