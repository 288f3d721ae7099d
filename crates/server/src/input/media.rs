//! The type of a body.

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;

use crate::error::ApiError;

/// The content type in lower case, without its parameters, and the header as it came.
///
/// # Errors
/// If there is none, or it cannot be parsed: the contract refuses a body without a type.
pub(crate) fn media_type(headers: &HeaderMap) -> Result<(String, &str), ApiError> {
    let refused = |message| ApiError::bad("unsupported_content_type", message);
    let Some(header) = headers.get(CONTENT_TYPE) else { return Err(refused("mime: no media type")) };
    let header = header.to_str().map_err(|_| refused("mime: invalid media type"))?;
    let mut parts = header.split(';');
    let name = parts.next().unwrap_or_default().trim();
    if name.is_empty() {
        return Err(refused("mime: no media type"));
    }
    if !name.splitn(2, '/').all(is_token) {
        return Err(refused("mime: invalid media type"));
    }
    let mut parts = parts.map(str::trim).peekable();
    while let Some(part) = parts.next() {
        let is_parameter = part.split_once('=').is_some_and(|(name, value)| {
            is_token(name.trim()) && (is_token(value) || (value.starts_with('"') && value.ends_with('"')))
        });
        // A semicolon at the end is no parameter, and does no harm.
        if !is_parameter && !(part.is_empty() && parts.peek().is_none()) {
            return Err(refused("mime: invalid media parameter"));
        }
    }
    Ok((name.to_ascii_lowercase(), header))
}

fn is_token(text: &str) -> bool {
    let special = |byte: u8| b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || special(byte))
}
