//! Why a server does not serve.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a server does not serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address is no address.
    #[error("{address}: {reason}; want host:port, such as 127.0.0.1:8080")]
    Address {
        /// The address that was given.
        address: String,
        /// What is wrong with it.
        reason: String,
    },

    /// The address is not of the loopback interface, and whoever listens on the way would read tokens and tasks.
    #[error("{address} can be reached from elsewhere: not without TLS, unless that is explicitly allowed")]
    Unencrypted {
        /// The address that was to be listened at.
        address: SocketAddr,
    },

    /// The address is not of the loopback interface, and anybody could do anything.
    #[error("{address} can be reached from elsewhere: not without tokens")]
    Open {
        /// The address that was to be listened at.
        address: SocketAddr,
    },

    /// The address cannot be listened at.
    #[error("cannot listen at {address}")]
    Listen {
        /// The address that was to be listened at.
        address: String,
        /// Why not.
        source: io::Error,
    },

    /// A file of TLS cannot be used.
    #[error("the TLS file {} cannot be used: {reason}", file.display())]
    Tls {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// An origin is none.
    #[error("{origin:?} is no origin; want scheme://host or scheme://host:port, such as https://app.example")]
    Origin {
        /// The origin that was given.
        origin: String,
    },
}
