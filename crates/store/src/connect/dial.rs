//! Opens one connection: hosts, addresses, with TLS and without, in the order of libpq.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_postgres::config::SslMode as Encryption;
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::diagnosis::{Circumstances, Kind, hint};
use super::driver::Driver;
use super::error::{Cause, ConnectError, ConnectFailure};
use super::options::{ConnectOptions, Host, Place, SslMode};
use super::passfile::{self, Lookup};

impl ConnectOptions {
    /// Opens a connection, as it is: no session defaults are set.
    ///
    /// Hosts are tried in turn, each with all its addresses, until one lets us in. A server that refuses the user or the
    /// password ends it; one that is starting does not. The password file and the files of the TLS parameters are read
    /// anew each time.
    ///
    /// The connection does nothing unless the [`Driver`] runs:
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use pgmill_store::ConnectOptions;
    ///
    /// let (client, driver) = ConnectOptions::from_env()?.connect().await?;
    /// tokio::spawn(driver.run());
    /// client.simple_query("SELECT 1").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If no host lets us in, or a file cannot be used.
    pub async fn connect(&self) -> Result<(Client, Driver), ConnectError> {
        let (tls, hosts) = read_files(self).await?;
        let mut failures = Vec::new();
        for (host, password) in hosts {
            let attempt = Attempt { options: self, host: &host, password: &password, tls: &tls };
            match attempt.every_address(&mut failures).await {
                Step::Connected(client, driver) => return Ok((client, driver)),
                Step::NextHost => {}
                Step::Stop => break,
            }
        }
        Err(report(self, failures))
    }
}

/// Reads the files that a connection needs, so that a wrong one is known before the first attempt.
pub(super) fn check_files(options: &ConnectOptions) -> Result<(), ConnectError> {
    connector(options).map(drop)
}

pub(super) fn connector(options: &ConnectOptions) -> Result<MakeRustlsConnect, ConnectError> {
    // TLS is not spoken over Unix sockets, and what it would need may well be missing then.
    let unused = options.hosts.iter().all(|host| matches!(host.place, Place::Socket(_)));
    if unused { options.tls.unused_connector() } else { options.tls.connector() }
}

type HostsWithPasswords = Vec<(Host, Lookup)>;

async fn read_files(
    options: &ConnectOptions,
) -> Result<(MakeRustlsConnect, HostsWithPasswords), ConnectError> {
    let options = options.clone();
    let reading = spawn_blocking(move || {
        let tls = connector(&options)?;
        let mut hosts: Vec<_> =
            options.hosts.iter().map(|host| (host.clone(), find_password(&options, host))).collect();
        if options.random_order {
            let random = RandomState::new();
            hosts.sort_by_cached_key(|(host, _)| random.hash_one(host.to_string()));
        }
        Ok((tls, hosts))
    });
    match reading.await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down, and is about to drop us too.
            Err(_) => std::future::pending().await,
        },
    }
}

fn find_password(options: &ConnectOptions, host: &Host) -> Lookup {
    match (&options.password, &options.passfile) {
        (Some(password), _) => Lookup::Found(password.clone()),
        (None, Some(path)) => passfile::look_up(path, host, &options.database, &options.user),
        (None, None) => Lookup::NoEntry,
    }
}

enum Step {
    Connected(Client, Driver),
    NextHost,
    Stop,
}

struct Failure {
    target: String,
    cause: Cause,
    kind: Kind,
    hint: Option<String>,
}

struct Attempt<'a> {
    options: &'a ConnectOptions,
    host: &'a Host,
    password: &'a Lookup,
    tls: &'a MakeRustlsConnect,
}

impl Attempt<'_> {
    async fn every_address(&self, failures: &mut Vec<Failure>) -> Step {
        let addresses = match self.addresses().await {
            Ok(addresses) => addresses,
            Err(cause) => {
                failures.push(self.failure(None, cause));
                return Step::NextHost;
            }
        };
        for address in addresses {
            for encryption in self.encryptions() {
                let cause = match self.once(address, *encryption).await {
                    Ok((client, driver)) => {
                        warn_of_lost_tls(failures, *encryption);
                        return Step::Connected(client, driver);
                    }
                    Err(cause) => cause,
                };
                let failure = self.failure(address, cause);
                let kind = failure.kind.clone();
                failures.push(failure);
                if !kind.may_depend_on_tls() {
                    if kind.may_depend_on_host() {
                        break;
                    }
                    return Step::Stop;
                }
            }
            if failures.last().is_some_and(|failure| !failure.kind.may_depend_on_host()) {
                return Step::Stop;
            }
        }
        Step::NextHost
    }

    /// The addresses of the host; `None` stands for its Unix socket.
    async fn addresses(&self) -> Result<Vec<Option<IpAddr>>, Cause> {
        let (name, address) = match &self.host.place {
            Place::Socket(_) => return Ok(vec![None]),
            Place::Tcp { name, address } => (name, address),
        };
        if let Some(address) = address {
            return Ok(vec![Some(*address)]);
        }
        let found =
            within(self.options.connect_timeout, lookup_host((name.as_str(), self.host.port))).await?;
        let found: Vec<_> = found.map_err(Cause::Io)?.map(|address| Some(address.ip())).collect();
        if found.is_empty() {
            return Err(Cause::Io(io::Error::new(io::ErrorKind::NotFound, "the host name has no address")));
        }
        Ok(found)
    }

    fn encryptions(&self) -> &'static [Encryption] {
        match (&self.host.place, self.options.tls.mode) {
            (Place::Socket(_), _) | (_, SslMode::Disable) => &[Encryption::Disable],
            (_, SslMode::Allow) => &[Encryption::Disable, Encryption::Require],
            (_, SslMode::Prefer) => &[Encryption::Prefer, Encryption::Disable],
            (_, SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull) => &[Encryption::Require],
        }
    }

    async fn once(&self, address: Option<IpAddr>, encryption: Encryption) -> Result<(Client, Driver), Cause> {
        let mut config = self.options.base.clone();
        config.ssl_mode(encryption).port(self.host.port);
        if let Lookup::Found(password) = self.password {
            config.password(password);
        }
        match (&self.host.place, address) {
            (Place::Tcp { name, .. }, Some(address)) => {
                config.host(name).hostaddr(address);
            }
            (Place::Tcp { name, .. }, None) => {
                config.host(name);
            }
            (Place::Socket(directory), _) => set_socket(&mut config, directory),
        }
        // The driver's own timeout ends with the TCP handshake; a server that is stuck would hold us for ever.
        let connected = within(self.options.connect_timeout, config.connect(self.tls.clone())).await?;
        let (client, connection) = connected.map_err(Cause::Driver)?;
        Ok((client, Driver::new(connection)))
    }

    fn failure(&self, address: Option<IpAddr>, cause: Cause) -> Failure {
        let target = match (&self.host.place, address) {
            (Place::Tcp { name, .. }, Some(address)) if *name != address.to_string() => {
                format!("{} ({address})", self.host)
            }
            _ => self.host.to_string(),
        };
        let kind = Kind::of(&cause);
        let circumstances = Circumstances {
            place: &self.host.place,
            ssl_mode: self.options.tls.mode,
            has_password: matches!(self.password, Lookup::Found(_)),
            passfile_note: match self.password {
                Lookup::Ignored(note) => Some(note),
                Lookup::Found(_) | Lookup::NoEntry => None,
            },
        };
        let hint = hint(&cause, &kind, &circumstances);
        Failure { target, cause, kind, hint }
    }
}

/// Going on without TLS is what `sslmode=prefer` means, but seldom what is meant.
fn warn_of_lost_tls(failures: &[Failure], encryption: Encryption) {
    if let Some(failure) = failures.last()
        && failure.kind == Kind::Tls
        && encryption == Encryption::Disable
    {
        let Failure { target, cause, hint, .. } = failure;
        tracing::warn!(%target, %cause, hint, "connected without TLS: the handshake failed");
    }
}

async fn within<F: Future>(limit: Option<Duration>, future: F) -> Result<F::Output, Cause> {
    match limit {
        Some(limit) => timeout(limit, future).await.map_err(|_| Cause::TimedOut(limit)),
        None => Ok(future.await),
    }
}

#[cfg(unix)]
fn set_socket(config: &mut Config, directory: &std::path::Path) {
    config.host_path(directory);
}

#[cfg(not(unix))]
fn set_socket(config: &mut Config, directory: &std::path::Path) {
    config.host(directory.display().to_string());
}

/// The refusal of a server says most; without one it is the last failure that counts. There is at least one failure:
/// there is at least one host.
fn report(options: &ConnectOptions, mut failures: Vec<Failure>) -> ConnectError {
    let decisive = failures
        .iter()
        .rposition(|failure| matches!(failure.kind, Kind::Refused(_) | Kind::Credentials))
        .unwrap_or(failures.len() - 1);
    let Failure { target, cause, kind, hint } = failures.remove(decisive);
    ConnectError::Failed(Box::new(ConnectFailure {
        target,
        database: options.database.clone(),
        user: options.user.clone(),
        hint,
        others: failures.iter().map(|failure| format!("{}: {}", failure.target, failure.cause)).collect(),
        transient: kind.is_transient(),
        cause,
    }))
}
