//! Parameters of queries, as they are described. What reads them is `crate::input`.

use pgmill_schema::openapi::{DurationInQuery, NameOrNothing};
use utoipa::openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};

/// The id of a task.
#[derive(Debug)]
pub(crate) struct TaskNumber;

impl PartialSchema for TaskNumber {
    fn schema() -> RefOr<Schema> {
        let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(i64::MAX));
        number.format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64))).into()
    }
}

impl ToSchema for TaskNumber {}

/// Which page of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it is only described")]
pub(crate) struct PageQuery {
    /// How many items to skip. Default 0.
    #[param(maximum = 9_223_372_036_854_775_807_i64)]
    offset: Option<u64>,
    /// How many items to show; more than 100 counts as 100. Default 100. With 0 only the count is shown.
    #[param(format = "uint64", maximum = 18_446_744_073_709_551_615_u64)]
    limit: Option<u64>,
}

/// Which tasks.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it is only described")]
pub(crate) struct TaskQuery {
    /// Only those of this queue.
    #[param(inline, value_type = Option<NameOrNothing>)]
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
    #[param(inline, value_type = pgmill::WorkerName)]
    worker: String,
    /// A queue to take tasks from, as often as there are queues, up to 100. Default: any.
    #[param(inline, max_items = 100, value_type = Option<Vec<NameOrNothing>>)]
    queue: Option<Vec<String>>,
    /// How many tasks at most. The answer is then a list.
    #[param(minimum = 1, maximum = 1000)]
    n: Option<u64>,
    /// How long to wait for a task: nanoseconds, or a text such as `30s`; at most a minute. Default: not at all.
    #[param(inline, value_type = Option<DurationInQuery>)]
    wait: Option<String>,
    /// For how long the task is held: a second to 30 days. A release then has to name the lease that is answered. Default:
    /// that of its queue, and the release may do without.
    #[param(inline, value_type = Option<DurationInQuery>)]
    lease: Option<String>,
}

/// Which changes of tasks.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it is only described")]
pub(crate) struct EventQuery {
    /// Only tasks of this queue, as often as there are queues.
    #[param(inline, value_type = Option<Vec<NameOrNothing>>)]
    queue: Option<Vec<String>>,
    /// Only changes to this status, as often as there are statuses.
    #[param(inline, value_type = Option<Vec<pgmill::Status>>)]
    status: Option<Vec<String>>,
    /// Only this task, up to 100 times.
    #[param(inline, value_type = Option<Vec<TaskNumber>>, max_items = 100)]
    id: Option<Vec<u64>>,
}
