//! Bodies that are one thing or a list of it.

use pgmill::{List, QueueMeta, Task, TaskMeta, TickerMeta};
use pgmill_schema::openapi::{Any, NameGiven};
use utoipa::openapi::schema::OneOfBuilder;
use utoipa::openapi::{ArrayBuilder, Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::routes::task::retain::Retained;

/// A task to create.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it is only described: crate::routes::task::create reads it")]
pub(crate) struct NewTask {
    /// The name of the queue.
    #[schema(value_type = NameGiven)]
    queue: String,
    /// What the worker receives.
    payload: Any,
    #[serde(flatten)]
    task: TaskMeta,
}

/// A queue to create.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it is only described: QueueMeta is what is read")]
pub(crate) struct NewQueue {
    /// The name of the queue.
    #[schema(value_type = NameGiven)]
    queue: String,
    #[serde(flatten)]
    settings: QueueMeta,
}

/// A ticker to create.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it is only described: TickerMeta is what is read")]
pub(crate) struct NewTicker {
    /// The name of the ticker.
    #[schema(value_type = NameGiven)]
    ticker: String,
    #[serde(flatten)]
    settings: TickerMeta,
}

/// Declares a schema that is one of two things, which are described besides.
macro_rules! either {
    ($(#[$doc:meta])* $name:ident = $one:ty, $many:expr, with $($part:ty),+) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let one = Ref::from_schema_name(<$one>::name());
                RefOr::T(Schema::OneOf(OneOfBuilder::new().item(one).item($many).build()))
            }
        }

        impl ToSchema for $name {
            fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
                $(
                    schemas.push((<$part>::name().into_owned(), <$part>::schema()));
                    <$part>::schemas(schemas);
                )+
            }
        }
    };
}

either! {
    /// A task, or a list of them.
    OneOrMany = Task, Ref::from_schema_name("List_Task"), with Task
}

either! {
    /// A task to create, or up to 1,000 of them.
    OneOrManyNew = NewTask,
    ArrayBuilder::new().items(Ref::from_schema_name("NewTask")).min_items(Some(1)).max_items(Some(1_000)),
    with NewTask
}

either! {
    /// A task that was retained, or a list of them.
    RetainedOneOrMany = Retained, List::<Retained>::schema(), with Retained
}
