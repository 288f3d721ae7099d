//! Who may do what.
//!
//! - `rights` is the table: what each route needs.
//! - `bearer` reads the token of a request, `keyring` knows the tokens, `rate` counts requests.
//! - `served` tells for which namespace a request is, `watch` ends streams whose token is revoked.
//!
//! The guard stands before each route, inside of the router, so that it knows the route by its name and none is without.

mod bearer;
mod keyring;
mod rate;
mod rights;
mod served;
mod watch;

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use pgmill::Manager;

use crate::api::App;
use crate::caller::{Caller, Identity};
use crate::error::ApiError;
use crate::layers::ClientAddress;
use crate::options::Options;

use bearer::Presented;
use keyring::Keyring;
use rate::{Limiter, Source};

#[cfg(any(test, fuzzing))]
pub(crate) use bearer::take as take_token;
pub use rate::RateLimit;
pub use rights::{Right, rights};
pub(crate) use served::Served;

/// What the guard knows beyond a request.
#[derive(Debug)]
pub(crate) struct Auth {
    keyring: Keyring,
    limiter: Option<Limiter>,
}

impl Auth {
    pub(crate) fn new(manager: &Manager, options: &Options) -> Self {
        let limiter = options.limit_of_rate().map(Limiter::new);
        Self { keyring: Keyring::new(manager.clone()), limiter }
    }

    /// To be called once a token has changed: what is believed of it is believed no longer.
    pub(crate) fn forget(&self, token: u64) {
        self.keyring.forget(token);
    }

    fn count(&self, source: Source) -> Result<(), ApiError> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        limiter.take(source, Instant::now()).map_err(ApiError::rate_limited)
    }
}

/// A route, and the guard before it.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    pub(crate) app: App,
    pub(crate) route: Arc<str>,
}

/// Lets a request through to its route, if whoever sent it may do so, and tells the route who that is.
pub(crate) async fn guard(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match gate.admit(&mut parts).await {
        Ok(caller) => {
            let known = caller.token().cloned();
            parts.extensions.insert(caller);
            let response = next.run(Request::from_parts(parts, body)).await;
            match known {
                Some(known) => watch::watched(response, &gate.app, &known),
                None => response,
            }
        }
        Err(refusal) => refusal.into_response(),
    }
}

/// Why a request is not let through.
enum Refusal {
    /// It carries no token that is good, and perhaps one that is not.
    Unknown {
        presented: bool,
    },
    Error(ApiError),
}

impl Gate {
    async fn admit(&self, parts: &mut Parts) -> Result<Caller, Refusal> {
        let right = rights::needed(&self.route, &parts.method, &parts.headers);
        let presented = bearer::take(&mut parts.headers);
        let Some(needed) = right.role() else {
            return Ok(Caller::new(self.app.manager().clone(), Identity::Anybody, parts));
        };
        let identity = self.identify(presented, parts).await?;
        if !identity.role().includes(needed) {
            return Err(forbidden(format!("this needs the role {needed}")).into());
        }
        if right.is_everywhere() && !identity.is_everywhere() {
            return Err(forbidden("this needs a token for all namespaces").into());
        }
        if right.method().is_empty() {
            // The route refuses the method, whatever namespace it would be for.
            return Ok(Caller::new(self.app.manager().clone(), identity, parts));
        }
        let manager = self.app.options().served().manager(self.app.manager(), parts)?;
        if !identity.covers(manager.namespace()) {
            let error = forbidden("the token is not for this namespace");
            return Err(error.with_detail(manager.namespace().as_str()).into());
        }
        Ok(Caller::new(manager, identity, parts))
    }

    async fn identify(&self, presented: Presented, parts: &Parts) -> Result<Identity, Refusal> {
        let auth = self.app.auth();
        let peer = Source::peer(address(&parts.extensions));
        if !self.app.options().wants_tokens() {
            auth.count(peer)?;
            return Ok(Identity::Anonymous);
        }
        let known = match &presented {
            Presented::Secret(secret) => auth.keyring.open(secret).await?,
            Presented::Nothing | Presented::Garbage => None,
        };
        let Some(known) = known else {
            auth.count(peer)?;
            return Err(Refusal::Unknown { presented: !matches!(presented, Presented::Nothing) });
        };
        auth.count(Source::Token(known.token().id))?;
        Ok(Identity::Token(known))
    }
}

/// As the server found it out, or else as whatever serves the router tells it.
fn address(extensions: &Extensions) -> Option<IpAddr> {
    let found = extensions.get().map(|ClientAddress(address)| *address);
    found.or_else(|| extensions.get().map(|ConnectInfo(peer): &ConnectInfo<SocketAddr>| peer.ip()))
}

fn forbidden(message: impl Into<Cow<'static, str>>) -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, "forbidden", message)
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self::Error(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let presented = match self {
            Self::Error(error) => return error.into_response(),
            Self::Unknown { presented } => presented,
        };
        // Whether it is unknown, revoked or expired is nothing to tell to somebody unknown.
        let (message, challenge) = match presented {
            true => ("the token is not valid", "Bearer error=\"invalid_token\""),
            false => ("a token is needed: Authorization: Bearer <token>", "Bearer"),
        };
        let error = ApiError::new(StatusCode::UNAUTHORIZED, "unauthenticated", message);
        let mut response = error.into_response();
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        response
    }
}
