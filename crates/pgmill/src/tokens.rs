//! What a [`Manager`] does with tokens: who may use the HTTP interface.
//!
//! A secret is 256 random bits, and what is stored is its SHA-256, once and without salt. Slow, salted hashes are for what
//! people think up: they make it dear to try the likely ones, and let equal ones differ. Of 256 random bits none is likelier
//! than another, and no two are equal; so a slow hash would only make each request slow.

use std::time::Duration;

use pgmill_schema::{
    List, ListRequest, ListRequestError, NewToken, Token, TokenMeta, TokenMetaError, TokenSecret,
};
use pgmill_store::StoreError;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::manager::Manager;

/// Why an operation on tokens failed. Nothing has changed, unless the connection was lost ([`StoreError::Lost`]).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// There is no such token.
    #[error("token {id} not found")]
    NotFound {
        /// Its id.
        id: u64,
    },
    /// A token that is neither revoked nor expired has the name.
    #[error("token \"{name}\" already exists: revoke it first, or choose another name")]
    Exists {
        /// The name.
        name: String,
    },
    /// A token that cannot be.
    #[error(transparent)]
    Meta(#[from] TokenMetaError),
    /// A page beyond the largest number.
    #[error(transparent)]
    Page(#[from] ListRequestError),
    /// The operating system has no random numbers.
    #[error("the operating system has no random numbers to make a secret of")]
    Random,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl TokenError {
    /// Whether trying again later may help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_transient())
    }
}

/// A token that may be used, with what its secret is checked against. For whoever checks many requests, and keeps it for
/// [a while](Self::trusted_for); for a single check there is [`Manager::verify_token`].
#[derive(Debug, Clone)]
pub struct KnownToken(pgmill_store::KnownToken);

impl KnownToken {
    /// The token.
    pub fn token(&self) -> &Token {
        &self.0.token
    }

    /// Whether this is the secret of the token. How long that takes does not depend on how much of it is right.
    pub fn opens(&self, secret: &TokenSecret) -> bool {
        // The ids are no secret.
        let same = self.0.secret_hash.ct_eq(&hash(secret));
        self.0.token.id == secret.id() && same.into()
    }

    /// How long it may be relied on at most, from when it was looked up: `limit`, or less if the token expires before.
    pub fn trusted_for(&self, limit: Duration) -> Duration {
        self.0.remains.map_or(limit, |remains| remains.min(limit))
    }
}

impl Manager {
    /// Creates a token for the HTTP interface, and returns it with its secret, which is told this once and stored nowhere.
    ///
    /// Tokens are not of a namespace, but for those that they name: the manager of any namespace creates the same ones.
    /// `created_by` is who does so, for people to read: the name of a token, say.
    ///
    /// # Errors
    /// [`TokenError::Meta`] says what is allowed; [`TokenError::Exists`] if a token that is neither revoked nor expired has the
    /// name. If the connection was lost, a token may be there whose secret nobody knows: revoke it.
    ///
    /// ```no_run
    /// # async fn example(manager: pgmill::Manager) -> Result<(), pgmill::TokenError> {
    /// use pgmill::{Role, TokenMeta, days};
    ///
    /// let meta = TokenMeta::new("shop-workers", Role::Worker).namespaces(["shop"]).expires_in(days(90));
    /// let new = manager.create_token(meta, "alice").await?;
    /// println!("{}", new.secret.expose());
    ///
    /// let token = manager.verify_token(new.secret.expose()).await?;
    /// assert_eq!(token, Some(new.token));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn create_token(&self, meta: TokenMeta, created_by: &str) -> Result<NewToken, TokenError> {
        let (name, namespaces) = meta.validate()?;
        let mut bits = [0; 32];
        getrandom::fill(&mut bits).map_err(|_| TokenError::Random)?;
        // The id is not part of what is hashed: the database gives it out with the row.
        let secret_hash = hash(&TokenSecret::new(0, bits));
        let created =
            self.shared.store.create_token(&name, namespaces.as_deref(), &meta, &secret_hash, created_by);
        let token = created.await?.ok_or_else(|| TokenError::Exists { name: name.to_string() })?;
        let secret = TokenSecret::new(token.id, bits);
        Ok(NewToken { token, secret })
    }

    /// All tokens, newest first; those that were revoked or expired are among them for 90 days.
    ///
    /// # Errors
    /// If the page lies beyond 2^63, or the database fails.
    pub async fn list_tokens(&self, page: ListRequest) -> Result<List<Token>, TokenError> {
        page.validate()?;
        Ok(self.shared.store.list_tokens(&page).await?)
    }

    /// A token, whether it may be used or not.
    ///
    /// # Errors
    /// [`TokenError::NotFound`].
    pub async fn get_token(&self, id: u64) -> Result<Token, TokenError> {
        let known = self.known_token(id).await?;
        known.map(|known| known.token).ok_or(TokenError::NotFound { id })
    }

    /// Revokes a token, and returns it. From then on it opens nothing; a server may go on taking it for five seconds, unless it
    /// was that server which revoked it. Revoking it again changes nothing.
    ///
    /// # Errors
    /// [`TokenError::NotFound`].
    pub async fn revoke_token(&self, id: u64) -> Result<Token, TokenError> {
        let Ok(stored) = i64::try_from(id) else { return Err(TokenError::NotFound { id }) };
        self.shared.store.revoke_token(stored).await?.ok_or(TokenError::NotFound { id })
    }

    /// Whose secret this is: a token that is neither revoked nor expired, by the database's clock. `None` for any other text.
    ///
    /// # Errors
    /// If the database fails: nothing is known then, and nobody should be let in.
    pub async fn verify_token(&self, text: &str) -> Result<Option<Token>, TokenError> {
        let Ok(secret) = TokenSecret::parse(text) else { return Ok(None) };
        let known = self.find_token(secret.id()).await?;
        Ok(known.filter(|known| known.opens(&secret)).map(|known| known.0.token))
    }

    /// The token of this id, if it is neither revoked nor expired, to check secrets against.
    ///
    /// # Errors
    /// If the database fails: nothing is known then, and nobody should be let in.
    pub async fn find_token(&self, id: u64) -> Result<Option<KnownToken>, TokenError> {
        Ok(self.known_token(id).await?.filter(|known| known.usable).map(KnownToken))
    }

    /// Records that a token was used just now, unless that was recorded within the last minute.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn touch_token(&self, id: u64) -> Result<(), TokenError> {
        let Ok(id) = i64::try_from(id) else { return Ok(()) };
        Ok(self.shared.store.touch_token(id).await?)
    }

    /// Whether there is a token that is neither revoked nor expired: whether anybody could get in where tokens are asked for.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn has_tokens(&self) -> Result<bool, TokenError> {
        Ok(self.shared.store.has_tokens().await?)
    }

    async fn known_token(&self, id: u64) -> Result<Option<pgmill_store::KnownToken>, TokenError> {
        let Ok(id) = i64::try_from(id) else { return Ok(None) };
        Ok(self.shared.store.find_token(id).await?)
    }
}

fn hash(secret: &TokenSecret) -> [u8; 32] {
    Sha256::digest(secret.digits()).into()
}
