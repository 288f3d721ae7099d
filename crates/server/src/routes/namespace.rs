//! `/namespace`.

use pgmill::{List, Namespace};

use crate::answer::{Answer, Answered};
use crate::caller::Caller;
use crate::resource::{Routes, at};

pub(crate) fn routes() -> Routes {
    Routes::new([at("/namespace").get(list)])
}

/// All namespaces that have a queue or a ticker, sorted; with a token for some, those of
/// them. The whole list: but for the namespace, the query is ignored.
#[utoipa::path(
    get,
    path = "/namespace",
    operation_id = "list_namespaces",
    tag = "namespace",
    responses((status = 200, description = "The namespaces.", body = List<String>)),
)]
pub(crate) async fn list(caller: Caller) -> Answered<List<String>> {
    let mut body = caller.manager.list_namespaces().await?;
    if !caller.is_everywhere() {
        body.retain(|name| Namespace::from_stored(name).is_ok_and(|namespace| caller.covers(&namespace)));
    }
    Ok(Answer::ok(List { offset: 0, limit: None, count: body.len() as u64, body }))
}
