//! `/audit`.

use pgmill::{AuditEntry, AuditFilter, List};

use crate::answer::{Answer, Answered};
use crate::caller::Caller;
use crate::input::{Page, Query};
use crate::openapi::{AuditQuery, PageQuery};
use crate::resource::{Routes, at};
use crate::routes::queue::unechoed;

pub(crate) fn routes() -> Routes {
    Routes::new([at("/audit").get(list)])
}

/// Who changed what within the last 90 days, in all namespaces, newest first; that of one action or target.
#[utoipa::path(
    get,
    path = "/audit",
    operation_id = "list_audit",
    tag = "audit",
    params(PageQuery, AuditQuery),
    responses((status = 200, description = "One page of entries.", body = List<AuditEntry>)),
)]
pub(crate) async fn list(caller: Caller, query: Query, Page(page): Page) -> Answered<List<AuditEntry>> {
    let given = |name| query.first(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let filter = AuditFilter { action: given("action"), target: given("target"), page };
    Ok(Answer::ok(unechoed(caller.manager.list_audit(filter).await?)))
}
