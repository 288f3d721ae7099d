//! For which namespace a request is.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use axum::http::request::Parts;
use pgmill::{Manager, Namespace};

use crate::error::ApiError;
use crate::input::Query;

const HEADER: &str = "pgmill-namespace";

/// Which namespaces a request may be for, beside that of the manager.
#[derive(Debug, Clone, Default)]
pub(crate) enum Served {
    /// None.
    #[default]
    Own,
    These(BTreeSet<Namespace>),
    All,
}

impl Served {
    /// The manager of the namespace that a request names, or the one that serves those which name none. A parameter goes before a
    /// header.
    ///
    /// # Errors
    /// 400 if it is not the name of a namespace; 403 if it is not served.
    pub(crate) fn manager(&self, own: &Manager, parts: &Parts) -> Result<Manager, ApiError> {
        let query = Query::parse(parts.uri.query().unwrap_or_default());
        let header = parts.headers.get(HEADER).map(|value| value.to_str().map_err(|_| unreadable()));
        let asked = match query.first("namespace") {
            Some(name) => name,
            None => match header {
                Some(name) => name?,
                None => return Ok(own.clone()),
            },
        };
        let namespace = Namespace::new(asked)?;
        let is_served = match self {
            _ if namespace == *own.namespace() => true,
            Self::Own => false,
            Self::These(these) => these.contains(&namespace),
            Self::All => true,
        };
        if !is_served {
            let message = "this server does not serve that namespace";
            let error = ApiError::new(StatusCode::FORBIDDEN, "namespace_not_served", message);
            return Err(error.with_detail(namespace.as_str()));
        }
        Ok(own.with_namespace(namespace.as_str())?)
    }
}

fn unreadable() -> ApiError {
    ApiError::bad("invalid_name", format!("the header {HEADER} is not text"))
}
