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
use axum::http::request::Parts;
use axum::http::{Extensions, StatusCode};
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

    /// Whether a caller may go on as it was let in: a token may have been revoked since, or have expired.
    ///
    /// # Errors
    /// 401 if not, and 503 if that cannot be known.
    pub(crate) async fn admits_still(&self, caller: &Caller) -> Result<(), ApiError> {
        let Some(known) = caller.token() else { return Ok(()) };
        match self.keyring.known(known.token().id).await? {
            Some(_) => Ok(()),
            None => Err(ApiError::unauthenticated(true)),
        }
    }

    /// A request was counted that is none of this source after all.
    fn give_back(&self, source: Source) {
        if let Some(limiter) = &self.limiter {
            limiter.give_back(source);
        }
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

impl Gate {
    async fn admit(&self, parts: &mut Parts) -> Result<Caller, ApiError> {
        let right = rights::needed(&self.route, &parts.method, &parts.headers);
        let presented = bearer::take(&mut parts.headers);
        let Some(needed) = right.role() else {
            return Ok(Caller::new(self.app.manager().clone(), Identity::Anybody, parts));
        };
        let identity = self.identify(presented, parts).await?;
        if !identity.role().includes(needed) {
            return Err(forbidden(format!("this needs the role {needed}")));
        }
        if right.is_everywhere() && !identity.is_everywhere() {
            return Err(forbidden("this needs a token for all namespaces"));
        }
        if right.method().is_empty() {
            // The route refuses the method, whatever namespace it would be for.
            return Ok(Caller::new(self.app.manager().clone(), identity, parts));
        }
        let manager = self.app.options().served().manager(self.app.manager(), parts)?;
        if !identity.covers(manager.namespace()) {
            let error = forbidden("the token is not for this namespace");
            return Err(error.with_detail(manager.namespace().as_str()));
        }
        Ok(Caller::new(manager, identity, parts))
    }

    async fn identify(&self, presented: Presented, parts: &Parts) -> Result<Identity, ApiError> {
        let auth = self.app.auth();
        let address = address(&parts.extensions);
        let (peer, stranger) = (Source::peer(address), Source::stranger(address));
        if !self.app.options().wants_tokens() {
            auth.count(peer)?;
            return Ok(Identity::Anonymous);
        }
        let secret = match &presented {
            Presented::Secret(secret) => secret,
            Presented::Nothing | Presented::Garbage => {
                auth.count(peer)?;
                return Err(ApiError::unauthenticated(matches!(presented, Presented::Garbage)));
            }
        };
        // Before an id is looked up of which nothing is known: guessing costs the database no more than the rate allows. What
        // is looked up for nobody else has a count of its own, so that whoever sends garbage keeps no new token out.
        let is_stranger = !auth.keyring.has_token(secret.id());
        if is_stranger {
            auth.count(stranger)?;
        }
        let known = auth.keyring.open(secret).await;
        // A token that is good was no guess, and nobody knows of one while the database is away.
        if is_stranger && !matches!(known, Ok(None)) {
            auth.give_back(stranger);
        }
        let Some(known) = known? else {
            if !is_stranger {
                auth.count(peer)?;
            }
            return Err(ApiError::unauthenticated(true));
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
