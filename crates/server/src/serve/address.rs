//! Where a server may listen.

use std::io;
use std::net::{Ipv6Addr, SocketAddr};

use tokio::net::{TcpListener, lookup_host};

use super::error::ServeError;
use super::options::ServeOptions;

/// Whether this address may be listened at, as the options are.
///
/// # Errors
/// If it can be reached from elsewhere, and there is no TLS or there are no tokens.
pub(super) fn allowed(address: SocketAddr, options: &ServeOptions) -> Result<(), ServeError> {
    // As the system maps IPv4 into IPv6.
    if address.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    if options.tls.is_none() && !options.insecure {
        return Err(ServeError::Unencrypted { address });
    }
    if !options.authenticated {
        return Err(ServeError::Open { address });
    }
    Ok(())
}

/// Listens at `host:port`, of which the host may be a name, or missing for all interfaces.
pub(super) async fn listen(address: &str, options: &ServeOptions) -> Result<TcpListener, ServeError> {
    let candidates = resolve(address).await?;
    for candidate in &candidates {
        allowed(*candidate, options)?;
    }
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for candidate in candidates {
        match TcpListener::bind(candidate).await {
            Ok(listener) => return Ok(listener),
            Err(error) => failure = error,
        }
    }
    Err(ServeError::Listen { address: address.to_owned(), source: failure })
}

/// The addresses to try, one after the other. Of those of a name, IPv4 comes first, as with Go.
async fn resolve(address: &str) -> Result<Vec<SocketAddr>, ServeError> {
    let invalid =
        |reason: &str| ServeError::Address { address: address.to_owned(), reason: reason.to_owned() };
    let (host, port) = address.rsplit_once(':').ok_or_else(|| invalid("missing port in address"))?;
    let port: u16 = port.parse().map_err(|_| invalid("invalid port"))?;
    if host.is_empty() {
        return Ok(vec![(Ipv6Addr::UNSPECIFIED, port).into(), ([0, 0, 0, 0], port).into()]);
    }
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let found = lookup_host((host, port)).await;
    let mut found: Vec<_> =
        found.map_err(|source| ServeError::Listen { address: address.to_owned(), source })?.collect();
    found.sort_by_key(SocketAddr::is_ipv6);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(address: &str, options: &ServeOptions) -> Option<String> {
        allowed(address.parse().unwrap(), options).err().map(|error| error.to_string())
    }

    #[test]
    fn only_loopback_addresses_do_without_tls_and_tokens() {
        let options = ServeOptions::new();
        for address in ["127.0.0.1:80", "127.1.2.3:80", "[::1]:80", "[::ffff:127.0.0.1]:80"] {
            assert_eq!(refusal(address, &options), None, "{address}");
        }
        for address in ["0.0.0.0:80", "[::]:80", "10.0.0.1:80", "[::ffff:10.0.0.1]:80"] {
            assert!(refusal(address, &options).unwrap().contains("TLS"), "{address}");
            assert!(
                refusal(address, &options.clone().insecure(true)).unwrap().contains("tokens"),
                "{address}"
            );
            assert!(
                refusal(address, &options.clone().authenticated(true)).unwrap().contains("TLS"),
                "{address}"
            );
            assert_eq!(refusal(address, &options.clone().insecure(true).authenticated(true)), None);
        }
    }

    #[tokio::test]
    async fn an_address_is_a_host_and_a_port() {
        assert_eq!(resolve("[::1]:80").await.unwrap(), ["[::1]:80".parse().unwrap()]);
        assert_eq!(resolve(":80").await.unwrap().len(), 2);
        for (address, reason) in
            [("nohost", "missing port"), ("localhost:x", "invalid port"), ("a:70000", "invalid port")]
        {
            assert!(resolve(address).await.unwrap_err().to_string().contains(reason), "{address}");
        }
    }
}
