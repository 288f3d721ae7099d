//! Tokens: who may use the HTTP interface.

use std::fmt;
use std::time::Duration;

use pgmill_schema::{
    List, ListRequest, Namespace, Role, Token, TokenMeta, TokenName, from_micros, to_micros,
};
use tokio_postgres::types::ToSql;

use crate::error::StoreError;
use crate::queues::{limit, offset};
use crate::row::{Reader, corrupt, page};
use crate::statement::{
    CREATE_TOKEN, FIND_TOKEN, HAS_TOKENS, LIST_TOKENS, PRUNE_TOKENS, REVOKE_TOKEN, TOUCH_TOKEN,
};
use crate::store::Store;

/// A token with what its secret is proven by.
#[derive(Clone, PartialEq, Eq)]
pub struct KnownToken {
    /// The token.
    pub token: Token,
    /// The SHA-256 of its secret.
    pub secret_hash: [u8; 32],
    /// Whether it was neither revoked nor expired, by the database's clock.
    pub usable: bool,
    /// How long it was good for from then on; `None` if it does not expire.
    pub remains: Option<Duration>,
}

impl fmt::Debug for KnownToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownToken")
            .field("token", &self.token)
            .field("usable", &self.usable)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Creates a token with the role and the life of `meta`, which must be valid; its names are not used. `None` where a token
    /// that is neither revoked nor expired has the name.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn create_token(
        &self,
        name: &TokenName,
        namespaces: Option<&[Namespace]>,
        meta: &TokenMeta,
        secret_hash: &[u8; 32],
        created_by: &str,
    ) -> Result<Option<Token>, StoreError> {
        let namespaces: Option<Vec<&str>> =
            namespaces.map(|namespaces| namespaces.iter().map(Namespace::as_str).collect());
        let expires_in = meta.expires_in.map(to_micros);
        let params: [&(dyn ToSql + Sync); 6] = [
            &name.as_str(),
            &secret_hash.as_slice(),
            &meta.role.code(),
            &namespaces,
            &created_by,
            &expires_in,
        ];
        let rows = self.query(&CREATE_TOKEN, &params).await?;
        rows.first().map(|row| token(&Reader::of(row))).transpose()
    }

    /// One token, if there is one, revoked and expired ones too.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn find_token(&self, id: i64) -> Result<Option<KnownToken>, StoreError> {
        let rows = self.look_up(&FIND_TOKEN, &[&id]).await?;
        let Some(row) = rows.first().map(Reader::of) else { return Ok(None) };
        let secret_hash: &[u8] = row.get("secret_hash")?;
        let remains: Option<i64> = row.get("remains")?;
        Ok(Some(KnownToken {
            token: token(&row)?,
            secret_hash: secret_hash.try_into().map_err(|_| corrupt("secret_hash", "another length"))?,
            usable: row.get("usable")?,
            remains: remains.map(|remains| from_micros(remains.max(0))),
        }))
    }

    /// All tokens, newest first, those that were revoked or expired within the last 90 days too.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn list_tokens(&self, request: &ListRequest) -> Result<List<Token>, StoreError> {
        let rows = self.look_up(&LIST_TOKENS, &[&offset(request), &limit(request)]).await?;
        page(&rows, token)
    }

    /// Revokes a token: from now on it opens nothing. Returns it; `None` where there is none.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn revoke_token(&self, id: i64) -> Result<Option<Token>, StoreError> {
        let rows = self.query_again(&REVOKE_TOKEN, &[&id]).await?;
        rows.first().map(|row| token(&Reader::of(row))).transpose()
    }

    /// Records that a token is in use, unless that was recorded within the last minute.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn touch_token(&self, id: i64) -> Result<(), StoreError> {
        self.query_again(&TOUCH_TOKEN, &[&id]).await.map(drop)
    }

    /// Whether there is a token that is neither revoked nor expired.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn has_tokens(&self) -> Result<bool, StoreError> {
        let rows = self.look_up(&HAS_TOKENS, &[]).await?;
        rows.first().map_or(Ok(false), |row| Reader::of(row).get("usable"))
    }

    /// Deletes up to `limit` tokens that were revoked or expired more than 90 days ago. Returns how many there were.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn prune_tokens(&self, limit: i32) -> Result<u64, StoreError> {
        let rows = self.query_again(&PRUNE_TOKENS, &[&limit]).await?;
        rows.first().map_or(Ok(0), |row| Reader::of(row).count("pruned"))
    }
}

/// A row of `token`.
fn token(row: &Reader<'_>) -> Result<Token, StoreError> {
    let name: &str = row.get("name")?;
    let role: i16 = row.get("role")?;
    let namespaces: Option<Vec<&str>> = row.get("namespaces")?;
    let read = |name: &str| Namespace::new(name).map_err(|_| corrupt("namespaces", name));
    Ok(Token {
        id: row.id()?,
        name: TokenName::new(name).map_err(|_| corrupt("name", name))?,
        role: Role::from_code(role).ok_or_else(|| corrupt("role", role))?,
        namespaces: namespaces.map(|names| names.into_iter().map(read).collect()).transpose()?,
        created_at: row.get("created_at")?,
        created_by: row.get("created_by")?,
        expires_at: row.get("expires_at")?,
        revoked_at: row.get("revoked_at")?,
        last_used_at: row.get("last_used_at")?,
    })
}
