//! Tokens, and who did what. All of it needs a token of an admin.

use futures_util::Stream;
use pgmill_schema::{AuditEntry, AuditFilter, List, ListRequest, NewToken, Token, TokenMeta};

use crate::call::Call;
use crate::{Client, Error};

impl Client {
    /// One page of the tokens. Repeated after transient failures.
    ///
    /// # Errors
    ///
    /// [`Error`], as with every method.
    pub async fn list_tokens(&self, page: ListRequest) -> Result<List<Token>, Error> {
        self.fetch(Call::get(&["token"]).page(page)).await
    }

    /// All tokens, page by page: see [`list_tasks_stream`](Client::list_tasks_stream).
    pub fn list_tokens_stream(&self) -> impl Stream<Item = Result<Token, Error>> + Send + use<> {
        self.pages(Call::get(&["token"]), |token: &Token| token.id)
    }

    /// A token, without what proves it. Repeated after transient failures.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if there is none with this id.
    pub async fn get_token(&self, id: u64) -> Result<Token, Error> {
        self.fetch(Call::get(&["token", &id.to_string()])).await
    }

    /// Creates a token. The answer is the only one that has its secret. Repeated only if nothing was done for certain.
    ///
    /// # Errors
    ///
    /// [`Error::is_conflict`] if a token of this name is in use.
    pub async fn create_token(&self, meta: &TokenMeta) -> Result<NewToken, Error> {
        // An answer that cannot be read must not show the secret in its error.
        self.fetch(Call::post(&["token"]).confidential().json(meta)?).await
    }

    /// Revokes a token for good. Repeated only if nothing was done for certain.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if there is none with this id.
    pub async fn revoke_token(&self, id: u64) -> Result<Token, Error> {
        self.fetch(Call::delete(&["token", &id.to_string()])).await
    }

    /// One page of what was done, newest first. Repeated after transient failures.
    ///
    /// # Errors
    ///
    /// [`Error`], as with every method.
    pub async fn list_audit(&self, filter: &AuditFilter) -> Result<List<AuditEntry>, Error> {
        self.fetch(audit(filter).page(filter.page)).await
    }

    /// All of it, page by page, the page of the filter aside: see [`list_tasks_stream`](Client::list_tasks_stream).
    pub fn list_audit_stream(
        &self,
        filter: &AuditFilter,
    ) -> impl Stream<Item = Result<AuditEntry, Error>> + Send + use<> {
        self.pages(audit(filter), |entry: &AuditEntry| entry.id)
    }
}

fn audit(filter: &AuditFilter) -> Call {
    let call = Call::get(&["audit"]).query_all("action", &filter.action);
    call.query_all("target", &filter.target)
}
