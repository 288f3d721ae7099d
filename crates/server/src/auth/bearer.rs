//! The token of a request: `Authorization: Bearer`, or the password of `Authorization: Basic`, for clients that can only be
//! given a URL. Without a password it is the user, for those that can only be given an address: the command line of the
//! reference takes `TOKEN@host:port`, but no second colon.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pgmill::TokenSecret;

/// What a request presents.
#[derive(Debug)]
pub(crate) enum Presented {
    Nothing,
    /// Something that cannot be a token, whatever the tokens are.
    Garbage,
    Secret(TokenSecret),
}

/// Takes the header out of the request: nothing behind this can log it.
pub(crate) fn take(headers: &mut HeaderMap) -> Presented {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let presented = match (values.next(), values.next()) {
        (None, _) => Presented::Nothing,
        (Some(value), None) => {
            let secret = value.to_str().ok().and_then(token).and_then(|text| TokenSecret::parse(&text).ok());
            secret.map_or(Presented::Garbage, Presented::Secret)
        }
        // Who reads the first and who reads the last would let in different people.
        (Some(_), Some(_)) => Presented::Garbage,
    };
    headers.remove(AUTHORIZATION);
    presented
}

fn token(value: &str) -> Option<String> {
    let (scheme, rest) = value.trim().split_once(' ')?;
    let rest = rest.trim_start();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
    let (user, password) = pair.split_once(':')?;
    Some(if password.is_empty() { user } else { password }.to_owned())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn presented(values: &[&str]) -> Presented {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        let presented = take(&mut headers);
        assert!(headers.is_empty(), "left behind");
        presented
    }

    #[test]
    fn a_token_is_read_from_either_scheme() {
        let secret = TokenSecret::new(7, [0xab; 32]);
        let token = secret.expose();
        let basic = |user: &str| format!("basic {}", STANDARD.encode(format!("{user}:{token}")));
        let user = format!("Basic {}", STANDARD.encode(format!("{token}:")));
        for value in [
            format!("Bearer {token}"),
            format!("bEaReR  {token} "),
            basic(""),
            basic("who ever"),
            basic("ä"),
            user,
        ] {
            match presented(&[&value]) {
                Presented::Secret(read) => assert_eq!(read.expose(), token),
                other => panic!("{value}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_is_no_token_is_garbage_and_no_header_is_nothing() {
        assert!(matches!(presented(&[]), Presented::Nothing));
        let secret = TokenSecret::new(7, [0xab; 32]);
        let token = secret.expose();
        let bearer = format!("Bearer {token}");
        let two = format!("Bearer {token}, Bearer {token}");
        let colonless = format!("Basic {}", STANDARD.encode(token));
        for value in ["", "Bearer", "Bearer ", "Basic !", "Digest x", token, &two, &colonless] {
            assert!(matches!(presented(&[value]), Presented::Garbage), "{value}");
        }
        assert!(matches!(presented(&[&bearer, &bearer]), Presented::Garbage), "two headers");
    }
}
