//! Where an answer leads: what of it names what other operations are about.

use serde_json::{Value, json};
use utoipa::openapi::link::Link;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{OpenApi, RefOr};

/// What creates or retains something, with the key of the answer that names it, and what can be done to it then.
static LINKS: [(&str, &str, &[Target]); 5] = [
    (
        "create_queue",
        "queue",
        &[
            named("get_queue"),
            named("update_queue"),
            named("delete_queue"),
            named("get_queue_status"),
            named("pause_queue"),
            named("resume_queue"),
            numbered("retain_task_from"),
            Target { operation: "create_task", parameter: None, body: Some(task) },
        ],
    ),
    ("create_ticker", "ticker", &[named("get_ticker"), named("update_ticker"), named("delete_ticker")]),
    (
        "create_task",
        "id",
        &[numbered("get_task"), numbered("cancel_task"), numbered("retry_task"), numbered("release_task")],
    ),
    (
        "retain_task",
        "id",
        &[
            numbered("get_task"),
            numbered("cancel_task"),
            Target { operation: "release_task", parameter: Some("id"), body: Some(lease) },
            Target { operation: "heartbeat", parameter: Some("id"), body: Some(lease) },
        ],
    ),
    ("create_token", "id", &[numbered("get_token"), numbered("revoke_token")]),
];

/// An operation that an answer leads to.
struct Target {
    operation: &'static str,
    /// What of it the key names; `None` where that is in the body.
    parameter: Option<&'static str>,
    body: Option<fn() -> Value>,
}

const fn named(operation: &'static str) -> Target {
    Target { operation, parameter: Some("name"), body: None }
}

const fn numbered(operation: &'static str) -> Target {
    Target { operation, parameter: Some("id"), body: None }
}

fn task() -> Value {
    json!({ "queue": "$response.body#/queue", "payload": {} })
}

fn lease() -> Value {
    json!({ "lease": "$response.body#/lease" })
}

/// Adds the links to the answers.
pub(super) fn add(document: &mut OpenApi) {
    let items = document.paths.paths.values_mut();
    let operations = items.flat_map(|item| [&mut item.post, &mut item.put]).flatten();
    for operation in operations {
        let from = operation.operation_id.as_deref();
        let known = LINKS.iter().find(|(id, ..)| from == Some(*id));
        if let Some((_, key, targets)) = known {
            link(operation, key, targets);
        }
    }
}

fn link(operation: &mut Operation, key: &str, targets: &[Target]) {
    let Some(RefOr::T(created)) = operation.responses.responses.get_mut("201") else { return };
    for target in targets {
        let mut link = Link::builder().operation_id(target.operation);
        if let Some(parameter) = target.parameter {
            link = link.parameter(parameter, format!("$response.body#/{key}"));
        }
        let link = link.request_body(target.body.map(|body| body())).build();
        created.links.insert(target.operation.to_owned(), link.into());
    }
}
