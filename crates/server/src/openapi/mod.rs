//! The description of the interface in OpenAPI, made from the handlers and types themselves.

mod common;
mod exclusions;
mod links;
mod parameters;
mod prose;
mod shapes;

use utoipa::OpenApi;

use self::common::Common;
use crate::error::ErrorBody;
use crate::routes::{audit, docs, event, health, metrics, namespace, queue, task, ticker, token};

pub(crate) use parameters::{AuditQuery, EventQuery, PageQuery, RetainQuery, TaskQuery};
pub(crate) use shapes::{NewQueue, NewTicker, OneOrMany, OneOrManyNew, RetainedOneOrMany};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "pgmill",
        description = "Task queues on PostgreSQL.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(
        namespace::list,
        queue::list,
        queue::create,
        queue::get,
        queue::update,
        queue::delete,
        queue::pause,
        queue::resume,
        ticker::list,
        ticker::create,
        ticker::get,
        ticker::update,
        ticker::delete,
        queue::status,
        queue::list_statuses,
        task::list,
        task::create::create,
        task::retain::from_any,
        task::retain::from_one,
        task::get,
        task::release::release,
        task::cancel,
        task::retry,
        task::release::heartbeat,
        event::stream,
        token::list,
        token::create,
        token::get,
        token::revoke,
        audit::list,
        metrics::scrape,
        health::live,
        health::ready,
        docs::openapi,
    ),
    components(schemas(ErrorBody)),
    modifiers(&Common),
)]
struct Document;

/// The document, for a server with this prefix, and with or without tokens.
pub(crate) fn document(prefix: &str, tokens: bool) -> utoipa::openapi::OpenApi {
    let mut document = Document::openapi();
    let root = if prefix.is_empty() { "/" } else { prefix };
    if tokens {
        common::ask_for_tokens(&mut document);
    }
    document.servers = Some(vec![utoipa::openapi::Server::new(root)]);
    document
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::document;
    use crate::routes;

    /// Pages and their parts are for people.
    const UNDESCRIBED: [&str; 3] = ["/docs", "/docs/style.css", "/docs/script.js"];

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let document = document("", false);
        let described: BTreeSet<String> = document
            .paths
            .paths
            .iter()
            .flat_map(|(path, item)| {
                let operations = [
                    ("GET", &item.get),
                    ("POST", &item.post),
                    ("PUT", &item.put),
                    ("PATCH", &item.patch),
                    ("DELETE", &item.delete),
                ];
                let given = operations.into_iter().filter(|(_, operation)| operation.is_some());
                given.map(move |(method, _)| format!("{method} {path}")).collect::<Vec<_>>()
            })
            .collect();
        let routes: BTreeSet<String> = routes::all("")
            .methods()
            .filter(|(path, _)| !UNDESCRIBED.contains(path))
            .map(|(path, method)| format!("{method} {path}"))
            .collect();
        assert_eq!(described, routes);
    }

    #[test]
    fn the_description_is_the_one_that_is_committed() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
        let now = document("/api", false).to_pretty_json().unwrap() + "\n";
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            std::fs::write(&path, &now).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == now,
            "crates/server/openapi.json is not what the code describes: run with UPDATE_OPENAPI=1"
        );
    }
}
