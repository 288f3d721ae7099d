//! Whose request it is, by its address.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request};
use axum::http::HeaderMap;

/// How the address of a client is found out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peers {
    /// Whether to believe the headers in which a proxy tells it. Without a proxy in front that replaces them, anybody can
    /// write anything into them.
    pub(crate) trust_proxy: bool,
}

/// The address that was found out, for what comes behind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

/// In the order of the contract.
const TOLD_BY_PROXIES: [&str; 4] = ["x-real-ip", "x-forwarded-for", "cf-connecting-ip", "true-client-ip"];

impl Peers {
    /// The address of the client, or of the proxy before it.
    pub(crate) fn address(self, request: &Request) -> Option<IpAddr> {
        let told = self.trust_proxy.then(|| told(request.headers())).flatten();
        told.or_else(|| {
            request.extensions().get().map(|ConnectInfo(peer): &ConnectInfo<SocketAddr>| peer.ip())
        })
    }
}

fn told(headers: &HeaderMap) -> Option<IpAddr> {
    TOLD_BY_PROXIES.iter().find_map(|name| {
        let value = headers.get(*name)?.to_str().ok()?;
        value.split(',').next()?.trim().parse().ok()
    })
}
