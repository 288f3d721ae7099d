//! Media types, as headers name them.

use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};

use crate::error::ApiError;

/// The content type in lower case, without its parameters, and the header as it came.
///
/// # Errors
/// If there is none, or it cannot be parsed: the contract refuses a body without a type.
pub(crate) fn media_type(headers: &HeaderMap) -> Result<(String, &str), ApiError> {
    let refused = |message| ApiError::bad("unsupported_content_type", message);
    let Some(header) = headers.get(CONTENT_TYPE) else { return Err(refused("mime: no media type")) };
    let header = header.to_str().map_err(|_| refused("mime: invalid media type"))?;
    Ok((parse(header).map_err(refused)?, header))
}

/// Whether this media type, in lower case, is the only one that is asked for. A list of several is none that can be parsed.
pub(crate) fn accepts_only(headers: &HeaderMap, kind: &str) -> bool {
    let accept = headers.get(ACCEPT).and_then(|header| header.to_str().ok());
    accept.is_some_and(|accept| parse(accept).is_ok_and(|parsed| parsed == kind))
}

/// A media type in lower case, without its parameters; or what is wrong with it.
fn parse(header: &str) -> Result<String, &'static str> {
    let mut parts = header.split(';');
    let name = parts.next().unwrap_or_default().trim();
    if name.is_empty() {
        return Err("mime: no media type");
    }
    if !name.splitn(2, '/').all(is_token) {
        return Err("mime: invalid media type");
    }
    let mut parts = parts.map(str::trim).peekable();
    while let Some(part) = parts.next() {
        let is_parameter = part.split_once('=').is_some_and(|(name, value)| {
            is_token(name.trim()) && (is_token(value) || (value.starts_with('"') && value.ends_with('"')))
        });
        // A semicolon at the end is no parameter, and does no harm.
        let is_end = part.is_empty() && parts.peek().is_none();
        if !is_parameter && !is_end {
            return Err("mime: invalid media parameter");
        }
    }
    Ok(name.to_ascii_lowercase())
}

fn is_token(text: &str) -> bool {
    let special = |byte: u8| b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || special(byte))
}
