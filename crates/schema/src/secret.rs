use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const PREFIX: &str = "pgmill";
const SECRET_DIGITS: usize = 64;

/// The text that proves who has a [`Token`](crate::Token): `pgmill_`, the token's id, `_`, and 64 hexadecimal digits.
///
/// The digits are 256 random bits, made once and kept nowhere: the database has their SHA-256 only. So the text does not show
/// in `Debug`, there is no `Display`, and whoever wants it writes [`expose`](TokenSecret::expose). In JSON it is the text, for
/// that is how it is handed out.
///
/// ```
/// use pgmill_schema::TokenSecret;
///
/// let secret = TokenSecret::new(7, [0xab; 32]);
/// assert!(secret.expose().starts_with("pgmill_7_abab"));
/// assert_eq!(format!("{secret:?}"), "TokenSecret(pgmill_7_…)");
/// assert_eq!(TokenSecret::parse(secret.expose())?.id(), 7);
/// # Ok::<(), pgmill_schema::TokenSecretError>(())
/// ```
#[derive(Clone)]
pub struct TokenSecret {
    id: u64,
    text: String,
}

/// A text that is no token. It is not in the message, for it may be one with a typing error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid token: want pgmill_<id>_<64 hexadecimal digits>, as it was shown when the token was created"
)]
pub struct TokenSecretError(());

#[cfg(feature = "openapi")]
crate::openapi::described!(TokenSecret, crate::openapi::text());

impl TokenSecret {
    /// The text for the token of this id with these random bits.
    #[must_use]
    pub fn new(id: u64, bits: [u8; 32]) -> TokenSecret {
        let digits: String = bits.iter().map(|byte| format!("{byte:02x}")).collect();
        TokenSecret { id, text: format!("{PREFIX}_{id}_{digits}") }
    }

    /// Reads a text as it was shown. Lower case, nothing around it.
    ///
    /// # Errors
    ///
    /// [`TokenSecretError`] if it cannot be one.
    pub fn parse(text: &str) -> Result<TokenSecret, TokenSecretError> {
        let mut parts = text.splitn(3, '_');
        let (Some(PREFIX), Some(id), Some(digits)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(TokenSecretError(()));
        };
        let id = id.parse::<i64>().ok().filter(|number| *number > 0 && number.to_string() == id);
        let valid = digits.len() == SECRET_DIGITS
            && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        match id {
            Some(id) if valid => Ok(TokenSecret { id: id.unsigned_abs(), text: text.to_owned() }),
            _ => Err(TokenSecretError(())),
        }
    }

    /// The id of the token.
    #[must_use]
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// The whole text. Show it once to whoever asked for the token, or send it over TLS; log it nowhere.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The 64 digits alone.
    #[must_use]
    pub fn digits(&self) -> &str {
        &self.text[self.text.len() - SECRET_DIGITS..]
    }
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenSecret({PREFIX}_{}_…)", self.id)
    }
}

impl Serialize for TokenSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for TokenSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<TokenSecret, D::Error> {
        let text = String::deserialize(deserializer)?;
        TokenSecret::parse(&text).map_err(serde::de::Error::custom)
    }
}
