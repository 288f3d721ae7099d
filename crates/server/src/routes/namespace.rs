//! `/namespace`.

use pgmill::List;

use crate::answer::{Answer, Answered};
use crate::caller::Caller;
use crate::resource::{Routes, at};

pub(crate) fn routes() -> Routes {
    Routes::new([at("/namespace").get(list)])
}

/// All namespaces that have a queue or a ticker, sorted. The whole list: the query is ignored.
#[utoipa::path(
    get,
    path = "/namespace",
    operation_id = "list_namespaces",
    tag = "namespace",
    responses((status = 200, description = "All namespaces.", body = List<String>)),
)]
pub(crate) async fn list(caller: Caller) -> Answered<List<String>> {
    let body = caller.manager.list_namespaces().await?;
    Ok(Answer::ok(List { offset: 0, limit: None, count: body.len() as u64, body }))
}
