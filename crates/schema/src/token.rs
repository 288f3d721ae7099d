use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::wire::time;
use crate::{Namespace, Role, TokenName, TokenSecret};

/// A token: who may use the HTTP interface, and for what. What proves it, the [`TokenSecret`], is not in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Token {
    /// The number, never used again.
    pub id: u64,
    /// The name, unique among the tokens that are neither revoked nor expired.
    pub name: TokenName,
    /// What its holder may do.
    pub role: Role,
    /// In which namespaces; `None` for all there are and will be. Never empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<Vec<Namespace>>,
    /// When it was created.
    #[serde(with = "time")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Time))]
    pub created_at: Timestamp,
    /// Who created it: the name of a token, `anonymous` or `cli`.
    pub created_by: String,
    /// From when on it opens nothing; `None` if it does not expire.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::option")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::openapi::Time>))]
    pub expires_at: Option<Timestamp>,
    /// When it was revoked, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::option")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::openapi::Time>))]
    pub revoked_at: Option<Timestamp>,
    /// When it was used last, to about a minute; `None` if never.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::option")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::openapi::Time>))]
    pub last_used_at: Option<Timestamp>,
}

impl Token {
    /// Whether the token is for this namespace. What its role lets its holder do there is another question.
    #[must_use]
    pub fn covers(&self, namespace: &Namespace) -> bool {
        self.namespaces.as_ref().is_none_or(|namespaces| namespaces.contains(namespace))
    }
}

/// A token that was just created, with what proves it: the only time that is told.
///
/// In JSON, the secret is the key `token` behind those of [`Token`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewToken {
    /// The token.
    #[serde(flatten)]
    pub token: Token,
    /// What to send as `Authorization: Bearer …`.
    #[serde(rename = "token")]
    pub secret: TokenSecret,
}
