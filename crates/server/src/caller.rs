//! Who asks, and for which namespace.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use pgmill::{KnownToken, Manager, Namespace, Role};

use crate::error::ApiError;
use crate::layers::RequestId;

/// Who sent a request, as the guard before its route found out.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The manager of the namespace that the request is for.
    pub(crate) manager: Manager,
    identity: Identity,
    request_id: Option<RequestId>,
}

/// Who that may be.
#[derive(Debug, Clone)]
pub(crate) enum Identity {
    /// On a route that is open to everybody.
    Anybody,
    /// Whoever reaches a server that asks for no tokens, and may do everything.
    Anonymous,
    Token(Arc<KnownToken>),
}

impl Identity {
    pub(crate) fn role(&self) -> Role {
        match self {
            Self::Anybody => Role::Viewer,
            Self::Anonymous => Role::Admin,
            Self::Token(known) => known.token().role,
        }
    }

    pub(crate) fn covers(&self, namespace: &Namespace) -> bool {
        match self {
            Self::Anybody | Self::Anonymous => true,
            Self::Token(known) => known.token().covers(namespace),
        }
    }

    /// Whether it is for all namespaces.
    pub(crate) fn is_everywhere(&self) -> bool {
        match self {
            Self::Anybody | Self::Anonymous => true,
            Self::Token(known) => known.token().namespaces.is_none(),
        }
    }
}

impl Caller {
    pub(crate) fn new(manager: Manager, identity: Identity, parts: &Parts) -> Self {
        Self { manager, identity, request_id: parts.extensions.get().cloned() }
    }

    /// Whether what is to be told of this namespace may be told to the caller.
    pub(crate) fn covers(&self, namespace: &Namespace) -> bool {
        self.identity.covers(namespace)
    }

    /// Whether what is to be told of all namespaces may be told to the caller.
    pub(crate) fn is_everywhere(&self) -> bool {
        self.identity.is_everywhere()
    }

    /// Under which name the audit has what the caller does.
    pub(crate) fn actor(&self) -> &str {
        self.token().map_or("anonymous", |known| known.token().name.as_str())
    }

    /// The token that the request carries, if it carries one.
    pub(crate) fn token(&self) -> Option<&Arc<KnownToken>> {
        match &self.identity {
            Identity::Token(known) => Some(known),
            Identity::Anybody | Identity::Anonymous => None,
        }
    }

    /// The id of the request, if it has one.
    pub(crate) fn request_id(&self) -> Option<&str> {
        self.request_id.as_ref().map(RequestId::as_str)
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| ApiError::defect("no caller was identified"))
    }
}
