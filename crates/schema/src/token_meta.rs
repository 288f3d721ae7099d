use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{NameError, Namespace, Role, TokenName, days, duration_nanos, format_duration, seconds};

const SHORTEST_LIFE: Duration = seconds(1);
const LONGEST_LIFE: Duration = days(10 * 365);
const MAX_NAMESPACES: usize = 100;

/// The names under which the audit has what was done without a token.
const RESERVED: [&str; 2] = ["anonymous", "cli"];

/// What a token is to be.
///
/// In JSON, `expires_in` is an integer number of nanoseconds or a text such as `"720h"`, and unknown keys are ignored.
///
/// ```
/// use pgmill_schema::{Role, TokenMeta, days};
///
/// let meta = TokenMeta::new("shop-workers", Role::Worker).namespaces(["shop"]).expires_in(days(90));
/// meta.validate()?;
/// # Ok::<(), pgmill_schema::TokenMetaError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenMeta {
    /// The name, as [`TokenName`] has it; `anonymous` and `cli` are reserved.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::NameGiven))]
    pub name: String,
    /// What its holder may do.
    pub role: Role,
    /// In which namespaces: 1 to 100. Default all there are and will be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Vec<crate::openapi::NamespaceGiven>>, min_items = 1, max_items = 100))]
    pub namespaces: Option<Vec<String>>,
    /// How long it is good for: 1 s to 10 years. Default until it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "duration_nanos::option")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::openapi::LifeGiven>))]
    pub expires_in: Option<Duration>,
}

/// A token that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenMetaError {
    /// The name of the token, or of a namespace, cannot be used.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The name is one under which the audit has something else.
    #[error("token name {name:?} is reserved (so are: anonymous, cli)")]
    Reserved {
        /// The name.
        name: String,
    },
    /// No namespace was named, or very many.
    #[error("namespaces must name 1 to 100, not {given}: leave it out for all")]
    Namespaces {
        /// How many were.
        given: usize,
    },
    /// The token would end too early or too late.
    #[error("expires_in must be from 1s to 87600h (10 years), not {}: leave it out for no end", format_duration(*.given))]
    ExpiresIn {
        /// The time as given.
        given: Duration,
    },
}

impl TokenMeta {
    /// A token of this name and role, for all namespaces and without an end. The name is checked by
    /// [`validate`](Self::validate).
    #[must_use]
    pub fn new(name: impl Into<String>, role: Role) -> TokenMeta {
        TokenMeta { name: name.into(), role, namespaces: None, expires_in: None }
    }

    /// Sets for which namespaces it is.
    #[must_use]
    pub fn namespaces<N: Into<String>>(self, namespaces: impl IntoIterator<Item = N>) -> TokenMeta {
        TokenMeta { namespaces: Some(namespaces.into_iter().map(Into::into).collect()), ..self }
    }

    /// Sets how long it is good for, 1 s to 10 years.
    #[must_use]
    pub fn expires_in(self, expires_in: Duration) -> TokenMeta {
        TokenMeta { expires_in: Some(expires_in), ..self }
    }

    /// Checks it, and returns its name and its namespaces as they will be stored: sorted, each once.
    ///
    /// # Errors
    ///
    /// [`TokenMetaError`] for the first thing that is wrong.
    pub fn validate(&self) -> Result<(TokenName, Option<Vec<Namespace>>), TokenMetaError> {
        let name = TokenName::new(&self.name)?;
        if RESERVED.contains(&name.as_str()) {
            return Err(TokenMetaError::Reserved { name: name.to_string() });
        }
        if let Some(given) = self.expires_in.filter(|life| !(SHORTEST_LIFE..=LONGEST_LIFE).contains(life)) {
            return Err(TokenMetaError::ExpiresIn { given });
        }
        let Some(given) = &self.namespaces else { return Ok((name, None)) };
        if !(1..=MAX_NAMESPACES).contains(&given.len()) {
            return Err(TokenMetaError::Namespaces { given: given.len() });
        }
        let mut namespaces: Vec<_> =
            given.iter().map(|name| Namespace::new(name)).collect::<Result<_, _>>()?;
        namespaces.sort_unstable();
        namespaces.dedup();
        Ok((name, Some(namespaces)))
    }
}
