//! Reads a failed attempt: what to try next, whether later may be better, and what to tell the user.

use std::error::Error;
use std::io;

use rustls::CertificateError;
use tokio_postgres::error::SqlState;

use super::error::Cause;
use super::options::{Place, SslMode};
use super::verifier::{is_old_version, is_own_authority};

/// What kind of failure it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// No connection to talk over, or it broke.
    Network,
    /// The server has no TLS, or the handshake failed.
    Tls,
    /// The server answered and said no.
    Refused(SqlState),
    /// There is no password, or another way to authenticate is wanted than we have.
    Credentials,
}

impl Kind {
    pub(super) fn of(cause: &Cause) -> Self {
        let Cause::Driver(error) = cause else { return Self::Network };
        if let Some(code) = error.code() {
            return Self::Refused(code.clone());
        }
        // The driver keeps its kinds to itself; its words are what it shows. The tests hold them.
        match error.to_string().as_str() {
            "error performing TLS handshake" => Self::Tls,
            "authentication error" | "invalid configuration" => Self::Credentials,
            _ => Self::Network,
        }
    }

    /// Whether the same server may agree with TLS instead of without, or the other way round.
    ///
    /// Only a refusal by `pg_hba.conf` counts, which comes before any password is sent. A wrong password is not sent
    /// once more in the clear.
    pub(super) fn may_depend_on_tls(&self) -> bool {
        match self {
            Self::Tls => true,
            Self::Refused(code) => *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
            Self::Network | Self::Credentials => false,
        }
    }

    /// Whether another host may do better. A server that refuses the user speaks for all of them.
    pub(super) fn may_depend_on_host(&self) -> bool {
        match self {
            Self::Network | Self::Tls => true,
            Self::Refused(code) => *code == SqlState::CANNOT_CONNECT_NOW,
            Self::Credentials => false,
        }
    }

    /// Whether the same attempt may succeed later.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Network => true,
            // 08 connection, 53 resources, 57 shutting down or starting, 58 trouble of the system or a pooler.
            Self::Refused(code) => {
                ["08", "53", "57", "58"].iter().any(|class| code.code().starts_with(class))
            }
            Self::Tls | Self::Credentials => false,
        }
    }
}

/// What is known about an attempt besides its failure.
pub(super) struct Circumstances<'a> {
    pub(super) place: &'a Place,
    pub(super) ssl_mode: SslMode,
    pub(super) has_password: bool,
    /// Why the password file was not used, if it was not.
    pub(super) passfile_note: Option<&'a str>,
}

/// What to look at first.
pub(super) fn hint(cause: &Cause, kind: &Kind, circumstances: &Circumstances<'_>) -> Option<String> {
    let fixed = match kind {
        Kind::Refused(code) => refusal_hint(code, cause, circumstances)?,
        Kind::Tls => return Some(tls_hint(cause, circumstances)),
        Kind::Credentials if !circumstances.has_password => {
            let note = circumstances.passfile_note.map(|note| format!("; {note}")).unwrap_or_default();
            return Some(format!("set PGPASSWORD, or add a line for this server to ~/.pgpass{note}"));
        }
        Kind::Credentials => return None,
        Kind::Network => network_hint(cause, circumstances)?,
    };
    Some(fixed.to_owned())
}

fn network_hint(cause: &Cause, circumstances: &Circumstances<'_>) -> Option<&'static str> {
    let error = match cause {
        Cause::TimedOut(_) => return Some("is a firewall in the way, or the server stuck?"),
        Cause::Io(_) => return Some("is the host name right?"),
        Cause::Driver(error) => error,
    };
    let socket = matches!(circumstances.place, Place::Socket(_));
    match error.source().and_then(|source| source.downcast_ref::<io::Error>()).map(io::Error::kind)? {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound if socket => {
            Some("is the server running, with its socket in that directory?")
        }
        io::ErrorKind::ConnectionRefused => Some("is the server running there, and listening on that port?"),
        _ => None,
    }
}

fn refusal_hint(code: &SqlState, cause: &Cause, circumstances: &Circumstances<'_>) -> Option<&'static str> {
    let hint = if *code == SqlState::INVALID_PASSWORD {
        if circumstances.has_password { "the password is wrong" } else { "set PGPASSWORD" }
    } else if *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION {
        let encrypted = circumstances.ssl_mode != SslMode::Disable;
        match cause.to_string().contains("pg_hba") {
            true if encrypted => "its pg_hba.conf admits no such user, database and client address",
            true => "its pg_hba.conf admits no such user, database and client address, at least without TLS",
            false => "does the role exist, and may it log in?",
        }
    } else if *code == SqlState::INVALID_CATALOG_NAME {
        "create the database, or name another one"
    } else if *code == SqlState::TOO_MANY_CONNECTIONS {
        "lower pool_max_conns, or raise max_connections of the server"
    } else if *code == SqlState::CANNOT_CONNECT_NOW {
        "the server is starting or stopping"
    } else {
        return None;
    };
    Some(hint)
}

fn tls_hint(cause: &Cause, circumstances: &Circumstances<'_>) -> String {
    let mode = circumstances.ssl_mode.as_str();
    let Some(error) = rustls_error(cause) else {
        return format!("sslmode={mode} insists on TLS; does the server have `ssl = on`?");
    };
    match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "the server's certificate was issued by none of the authorities in sslrootcert".to_owned()
        }
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "connect by a name in the certificate's subjectAltName, or do without it with sslmode=verify-ca"
            .to_owned(),
        error if is_own_authority(error) => {
            "the server's certificate is not the one in sslrootcert, and it is its own authority: name a copy of it"
                .to_owned()
        }
        error if is_old_version(error) => {
            "the server's certificate is of X.509 version 1; issue one of version 3, with a subjectAltName"
                .to_owned()
        }
        rustls::Error::InvalidCertificate(_) => "the server's certificate is not acceptable".to_owned(),
        rustls::Error::AlertReceived(_) => {
            "the server broke off the handshake; does it want a client certificate (sslcert, sslkey)?"
                .to_owned()
        }
        _ => format!("TLS was asked for by sslmode={mode}"),
    }
}

fn rustls_error(cause: &Cause) -> Option<&rustls::Error> {
    let Cause::Driver(error) = cause else { return None };
    error.source()?.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref()
}
