//! Where a collector is, and how it is spoken to.

use std::collections::HashMap;

use anyhow::bail;

/// Headers by their names.
pub(super) type Headers = HashMap<String, String>;

/// A collector.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// By HTTP, at this URL.
    Http(String),
    /// By gRPC, at this URL.
    Grpc(String),
}

impl Endpoint {
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("https", text));
        let rest = rest.trim_end_matches('/');
        let has_port =
            |rest: &str| rest.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        match scheme {
            "http" | "https" if text.contains("://") || has_port(rest) => {
                Ok(Self::Http(format!("{scheme}://{rest}/v1/traces")))
            }
            "grpc" => Ok(Self::Grpc(format!("http://{rest}"))),
            "grpcs" => Ok(Self::Grpc(format!("https://{rest}"))),
            _ => bail!(
                "{text} is no address of a collector; want http://host:port, https://host:port, grpc://host:port, \
                 grpcs://host:port or host:port"
            ),
        }
    }
}

/// Reads `name=value,name=value`.
pub(super) fn headers(text: &str) -> anyhow::Result<Headers> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| match pair.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        // Without what was given: it may be a secret.
        _ => bail!("the headers for the collector cannot be read; want name=value,name=value"),
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Endpoint, headers};

    proptest! {
        #[test]
        fn an_endpoint_has_a_scheme_that_is_spoken_or_is_refused(text in prop_oneof!["\\PC{0,40}", "(https?|grpcs?|ftp)://[a-z:/0-9]{0,20}"]) {
            if let Ok(Endpoint::Http(url) | Endpoint::Grpc(url)) = Endpoint::parse(&text) {
                prop_assert!(url.starts_with("http://") || url.starts_with("https://"), "{}", url);
            }
        }

        #[test]
        fn no_header_is_told_in_an_error(text in "[ ,=]{0,3}[a-z]{8,12}[ ,]{0,3}") {
            let word = text.trim_matches([' ', ',', '=']).to_owned();
            if let Err(error) = headers(&text) {
                prop_assert!(!error.to_string().contains(&word));
            }
        }
    }

    #[test]
    fn an_endpoint_is_read_as_the_reference_reads_it() {
        let http = |url: &str| Endpoint::Http(url.to_owned());
        let grpc = |url: &str| Endpoint::Grpc(url.to_owned());
        for (text, endpoint) in [
            ("http://localhost:4318", http("http://localhost:4318/v1/traces")),
            ("https://otlp.example.org/", http("https://otlp.example.org/v1/traces")),
            ("https://otlp.example.org/otlp/", http("https://otlp.example.org/otlp/v1/traces")),
            ("otlp.example.org:443", http("https://otlp.example.org:443/v1/traces")),
            ("grpc://localhost:4317", grpc("http://localhost:4317")),
            ("grpcs://localhost:4317", grpc("https://localhost:4317")),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap(), endpoint, "{text}");
        }
        for text in ["localhost", "ftp://localhost:1", "localhost:port"] {
            assert!(Endpoint::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn headers_are_read_and_none_is_told_in_an_error() {
        let read = headers("a=1, b=x=y,").unwrap();
        assert_eq!((read.len(), read["a"].as_str(), read["b"].as_str()), (2, "1", "x=y"));
        for text in ["secret", "=secret"] {
            assert!(!headers(text).unwrap_err().to_string().contains("secret"));
        }
    }
}
