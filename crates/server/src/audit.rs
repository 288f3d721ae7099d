//! Who changed what: through here goes what changes queues, tickers and tokens, and what cancels and retries tasks.
//!
//! What is done to tasks by those who create, retain and release them is not here: it is as much as the tasks are, and their
//! history tells it.

use std::future::Future;

use metrics::{Unit, counter, describe_counter};
use pgmill::{AuditMeta, Json, Manager, Namespace, NewToken, Queue, Task, Ticker, Token};
use serde::Serialize;
use serde_json::Value;
use tracing::Instrument;

use crate::caller::Caller;
use crate::error::ApiError;
use crate::layers::chain;

const FAILURES: &str = "pgmill_audit_failures_total";

/// Tells a recorder what is counted here.
pub(crate) fn describe() {
    describe_counter!(
        FAILURES,
        Unit::Count,
        "Changes that were made and could not be recorded in the audit."
    );
}

/// What is about to be done.
#[derive(Debug)]
pub(crate) struct Change {
    action: &'static str,
    subject: Option<String>,
    detail: Option<Json>,
}

impl Change {
    /// By the name of the operation, `pause_queue` say, to whatever the operation answers.
    pub(crate) fn new(action: &'static str) -> Self {
        Self { action, subject: None, detail: None }
    }

    /// To the queue or ticker of this name: what the operation answers may have another by then.
    pub(crate) fn of(self, name: &str) -> Self {
        Self { subject: Some(name.trim().to_lowercase()), ..self }
    }

    /// With these settings, those that are given. No payloads: they are not for whoever may read the audit.
    pub(crate) fn with(self, settings: &impl Serialize) -> Self {
        let Ok(Value::Object(mut settings)) = serde_json::to_value(settings) else { return self };
        settings.retain(|_, value| !value.is_null());
        Self { detail: Json::encode(&settings).ok(), ..self }
    }
}

/// What can be changed.
pub(crate) trait Subject {
    /// How the audit names it.
    fn name(&self) -> String;

    /// Where it is; `None` if it is of no namespace.
    fn namespace(&self) -> Option<Namespace>;

    /// What there is to know of it where the change itself does not tell.
    fn detail(&self) -> Option<Json> {
        None
    }
}

impl Subject for Queue {
    fn name(&self) -> String {
        self.queue.to_string()
    }

    fn namespace(&self) -> Option<Namespace> {
        Some(self.namespace.clone())
    }
}

impl Subject for Task {
    fn name(&self) -> String {
        self.id.to_string()
    }

    fn namespace(&self) -> Option<Namespace> {
        Some(self.namespace.clone())
    }

    fn detail(&self) -> Option<Json> {
        Json::encode(&serde_json::json!({ "queue": self.queue })).ok()
    }
}

impl Subject for Ticker {
    fn name(&self) -> String {
        self.ticker.to_string()
    }

    fn namespace(&self) -> Option<Namespace> {
        Some(self.namespace.clone())
    }
}

impl Subject for Token {
    fn name(&self) -> String {
        self.name.to_string()
    }

    fn namespace(&self) -> Option<Namespace> {
        None
    }

    /// Names are used again, and say nothing of what the token could do.
    fn detail(&self) -> Option<Json> {
        Json::encode(self).ok()
    }
}

impl Subject for NewToken {
    fn name(&self) -> String {
        Subject::name(&self.token)
    }

    fn namespace(&self) -> Option<Namespace> {
        None
    }

    fn detail(&self) -> Option<Json> {
        self.token.detail()
    }
}

impl Caller {
    /// Does what changes something, and records it once that has succeeded.
    ///
    /// A client that goes away takes the handler of its request with it. Here both are done all the same, for else it could
    /// change what it may, and leave no trace. A change that cannot be recorded stays: that is logged, and counted.
    ///
    /// # Errors
    /// Those of the operation.
    pub(crate) async fn change<T, E, F>(
        self,
        change: Change,
        operation: impl FnOnce(Manager) -> F + Send + 'static,
    ) -> Result<T, ApiError>
    where
        T: Subject + Send + 'static,
        E: Send,
        F: Future<Output = Result<T, E>> + Send,
        ApiError: From<E>,
    {
        let both = async move {
            let changed = operation(self.manager.clone()).await;
            let changed = changed.map_err(|error| ApiError::from(error).of_change())?;
            record(&self.manager, self.entry(change, &changed)).await;
            Ok(changed)
        };
        tokio::spawn(both.in_current_span()).await.unwrap_or_else(|error| Err(ApiError::defect(error)))
    }

    fn entry(&self, change: Change, changed: &impl Subject) -> AuditMeta {
        AuditMeta {
            actor: self.actor().to_owned(),
            token_id: self.token().map(|known| known.token().id),
            namespace: changed.namespace(),
            action: change.action.to_owned(),
            target: change.subject.unwrap_or_else(|| changed.name()),
            request_id: self.request_id().map(str::to_owned),
            detail: change.detail.or_else(|| changed.detail()),
        }
    }
}

async fn record(manager: &Manager, entry: AuditMeta) {
    let AuditMeta { actor, action, target: subject, .. } = entry.clone();
    if let Err(error) = manager.record_audit(entry).await {
        counter!(FAILURES).increment(1);
        tracing::error!(
            actor,
            action,
            subject,
            error = chain(&error),
            "{action} of {subject} by {actor} is not in the audit"
        );
    }
}
