//! The options of a connection, complete: nothing is left to be looked up but files.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, LoadBalanceHosts, SslNegotiation, TargetSessionAttrs};

use super::conninfo;
use super::error::ConnectError;
use super::parameters::{Environment, Parameters};
use super::passfile;
use super::tls::TlsOptions;

/// How to reach a database, and as whom.
///
/// Read from what users know from `psql`: a URL or `name=value` pairs, then the `PG*` variables of the environment,
/// then defaults. A parameter of the string wins over its variable. Besides the parameters of libpq there are three
/// of our own: `pool_max_conns`; `pgmill_mode`, which is `pooler` where a pooler in transaction mode, such as PgBouncer, stands
/// between us and the server; and `pgmill_listen`, the `host:port` of the server itself, or several with commas between them,
/// for the one connection that is told of tasks and so cannot lead through such a pooler. All else is as for the others.
///
/// Defaults: host `localhost`, port 5432, the name of the operating system's user as user, the user as database,
/// `sslmode=prefer`, `application_name=pgmill`, `connect_timeout=10` (seconds, for each address tried; 0 for no limit),
/// `keepalives_idle=30` (seconds), `tcp_user_timeout=15000` (milliseconds), `pool_max_conns=10`, `pgmill_mode=direct`.
///
/// What libpq has beyond the parameters listed by [`ConnectError::UnknownParameter`] is refused in a string, and its
/// variables, such as `PGSERVICE` and `PGSSLCRL`, are not read. Neither GSSAPI nor keys with a passphrase are supported.
/// `target_session_attrs=primary` means `read-write`: a queue is of no use on a primary that refuses writes.
///
/// The password is never part of a message, nor of the `Debug` output.
///
/// ```
/// use pgmill_store::ConnectOptions;
///
/// let options: ConnectOptions = "postgres://app:secret@db1,db2:5433/shop?sslmode=require".parse()?;
/// assert_eq!(options.host_label(), "db1:5432,db2:5433");
/// assert_eq!(options.database(), "shop");
/// assert!(!format!("{options:?}").contains("secret"));
/// # Ok::<(), pgmill_store::ConnectError>(())
/// ```
#[derive(Clone)]
pub struct ConnectOptions {
    pub(super) hosts: Vec<Host>,
    /// Where the server itself is, if `hosts` is a pooler.
    listen: Option<Vec<Host>>,
    pub(super) user: String,
    pub(super) database: String,
    pub(super) password: Option<String>,
    pub(super) passfile: Option<PathBuf>,
    pub(super) tls: TlsOptions,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) random_order: bool,
    /// What every attempt has in common. Host, port, password and TLS are set for each.
    pub(super) base: Config,
    application_name: String,
    pool_size: NonZeroUsize,
    pooler: bool,
}

/// One of the servers to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) place: Place,
    pub(super) port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A name to resolve and to verify, and the address to use instead of resolving it.
    Tcp { name: String, address: Option<IpAddr> },
    /// The directory of a Unix socket.
    Socket(PathBuf),
}

/// Whether a connection is encrypted, and what is demanded of the server's certificate. The meaning is libpq's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslMode {
    /// Never TLS.
    Disable,
    /// Without TLS; with it if the server refuses that.
    Allow,
    /// With TLS; without it if the server has none, or the handshake fails. The default.
    Prefer,
    /// With TLS. The certificate is verified as for `VerifyCa` if the root certificate file exists, else not at all.
    Require,
    /// With TLS, and a certificate issued by a trusted authority.
    VerifyCa,
    /// With TLS, and a certificate issued by a trusted authority for the host that was asked for.
    VerifyFull,
}

impl SslMode {
    /// The word used in connection strings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Allow => "allow",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

impl ConnectOptions {
    /// Reads a URL or a list of `name=value`, and the environment for what it does not say.
    ///
    /// # Errors
    /// If the string is malformed, names an unknown parameter, or a value is not allowed; a variable of the environment
    /// is named by its own name. No file is read and no connection tried.
    pub fn parse(text: &str) -> Result<Self, ConnectError> {
        Self::parse_with(text, |name| std::env::var(name).ok())
    }

    /// Reads the `PG*` variables of the environment alone.
    ///
    /// # Errors
    /// As for [`parse`](Self::parse).
    pub fn from_env() -> Result<Self, ConnectError> {
        Self::parse("")
    }

    /// As [`parse`](Self::parse), with the environment replaced by a function from the name of a variable to its value.
    /// `HOME` is one of them.
    ///
    /// ```
    /// use pgmill_store::ConnectOptions;
    ///
    /// let env = |name: &str| (name == "PGHOST").then(|| "db.example".to_owned());
    /// let options = ConnectOptions::parse_with("user=app", env)?;
    /// assert_eq!(options.host_label(), "db.example:5432");
    /// # Ok::<(), pgmill_store::ConnectError>(())
    /// ```
    ///
    /// # Errors
    /// As for [`parse`](Self::parse).
    pub fn parse_with(text: &str, env: impl Fn(&str) -> Option<String>) -> Result<Self, ConnectError> {
        let env: Environment<'_> = &env;
        let parameters = Parameters::gather(conninfo::split(text)?, env)?;
        Self::from_parameters(&parameters, env)
    }

    fn from_parameters(parameters: &Parameters, env: Environment<'_>) -> Result<Self, ConnectError> {
        // Accepted for the sake of shared connection strings; there is only one value that can be granted.
        parameters.word("gssencmode", &[("disable", ()), ("prefer", ())])?;
        parameters.word("client_encoding", &[("UTF8", ()), ("utf8", ()), ("UTF-8", ()), ("auto", ())])?;

        let user = match parameters.owned("user") {
            Some(user) => user,
            None => os_user().ok_or_else(|| {
                ConnectError::malformed(
                    "no user is given, and the operating system's user has no name; add user=…",
                )
            })?,
        };
        let database = parameters.owned("dbname").unwrap_or_else(|| user.clone());
        let application_name = parameters
            .owned("application_name")
            .or_else(|| parameters.owned("fallback_application_name"))
            .unwrap_or_else(|| "pgmill".to_owned());
        let home = home(env);
        let pool_size = parameters.number("pool_max_conns", 1, "a number of connections")?.unwrap_or(10);

        let mut options = Self {
            hosts: hosts(parameters)?,
            listen: listen(parameters)?,
            password: parameters.owned("password"),
            passfile: passfile::path(parameters.text("passfile"), home.as_deref()),
            tls: TlsOptions::from_parameters(parameters, home.as_deref())?,
            connect_timeout: Some(parameters.seconds("connect_timeout")?.unwrap_or(Duration::from_secs(10)))
                .filter(|timeout| !timeout.is_zero()),
            random_order: parameters
                .word("load_balance_hosts", &[("disable", false), ("random", true)])?
                .unwrap_or(false),
            base: base(parameters)?,
            pool_size: usize::try_from(pool_size)
                .ok()
                .and_then(NonZeroUsize::new)
                .unwrap_or(NonZeroUsize::MAX),
            pooler: parameters.word("pgmill_mode", &[("direct", false), ("pooler", true)])?.unwrap_or(false),
            user,
            database,
            application_name,
        };
        options
            .base
            .user(&options.user)
            .dbname(&options.database)
            .application_name(&options.application_name);
        Ok(options)
    }

    /// Replaces the name under which the connections appear in `pg_stat_activity`.
    #[must_use]
    pub fn with_application_name(mut self, name: impl Into<String>) -> Self {
        self.application_name = name.into();
        self.base.application_name(&self.application_name);
        self
    }

    /// Replaces the largest number of connections a [pool](Self::pool) holds.
    #[must_use]
    pub fn with_pool_size(mut self, connections: NonZeroUsize) -> Self {
        self.pool_size = connections;
        self
    }

    /// Says whether a connection pooler in transaction mode, such as PgBouncer, stands between us and the server.
    #[must_use]
    pub fn with_pooler(mut self, pooler: bool) -> Self {
        self.pooler = pooler;
        self
    }

    /// The options of the connection that is told of tasks: these, but to the server that `pgmill_listen` names. `None` if there
    /// is only a pooler in transaction mode, which passes on no notifications.
    ///
    /// ```
    /// use pgmill_store::ConnectOptions;
    ///
    /// let options: ConnectOptions = "postgres://app@pooler:6432/shop?pgmill_mode=pooler&pgmill_listen=db:5432".parse()?;
    /// let listening = options.listening().expect("a server to listen to");
    /// assert_eq!((listening.host_label().as_str(), listening.is_pooler()), ("db:5432", false));
    /// # Ok::<(), pgmill_store::ConnectError>(())
    /// ```
    pub fn listening(&self) -> Option<Self> {
        match &self.listen {
            Some(hosts) => Some(Self { hosts: hosts.clone(), pooler: false, ..self.clone() }),
            None if self.pooler => None,
            None => Some(self.clone()),
        }
    }

    /// The name under which the connections appear in `pg_stat_activity`.
    pub fn application_name(&self) -> &str {
        &self.application_name
    }

    /// The largest number of connections a [pool](Self::pool) holds.
    pub fn pool_size(&self) -> usize {
        self.pool_size.get()
    }

    /// Whether a connection pooler in transaction mode stands between us and the server.
    pub fn is_pooler(&self) -> bool {
        self.pooler
    }

    /// The role to connect as.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The database to connect to.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// How TLS is used.
    pub fn ssl_mode(&self) -> SslMode {
        self.tls.mode
    }

    /// All hosts with their ports, for logs: `db1:5432,db2:5432` or `/run/postgresql:5432`.
    pub fn host_label(&self) -> String {
        self.hosts.iter().map(Host::to_string).collect::<Vec<_>>().join(",")
    }
}

impl FromStr for ConnectOptions {
    type Err = ConnectError;

    fn from_str(text: &str) -> Result<Self, ConnectError> {
        Self::parse(text)
    }
}

impl fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectOptions")
            .field("hosts", &self.host_label())
            .field("user", &self.user)
            .field("database", &self.database)
            .field("password", &self.password.as_ref().map(|_| "…"))
            .field("tls", &self.tls)
            .field("application_name", &self.application_name)
            .field("connect_timeout", &self.connect_timeout)
            .field("pool_size", &self.pool_size)
            .field("pooler", &self.pooler)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Tcp { name, .. } if name.contains(':') => write!(f, "[{name}]:{}", self.port),
            Place::Tcp { name, .. } => write!(f, "{name}:{}", self.port),
            Place::Socket(directory) => write!(f, "{}:{}", directory.display(), self.port),
        }
    }
}

fn hosts(parameters: &Parameters) -> Result<Vec<Host>, ConnectError> {
    let (names, addresses, ports) =
        (parameters.list("host"), parameters.list("hostaddr"), parameters.list("port"));
    let count = names.len().max(addresses.len()).max(1);
    if !names.is_empty() && !addresses.is_empty() && names.len() != addresses.len() {
        let expected = format!("as many addresses as there are hosts, {}", names.len());
        return Err(parameters.invalid("hostaddr", &addresses.join(","), &expected));
    }
    if ports.len() > 1 && ports.len() != count {
        let expected = format!("one port, or as many as there are hosts, {count}");
        return Err(parameters.invalid("port", &ports.join(","), &expected));
    }
    (0..count)
        .map(|at| {
            let port = port(parameters, ports.get(at).or(ports.first()).copied().unwrap_or_default())?;
            let address: Option<IpAddr> = match addresses.get(at).copied().unwrap_or_default() {
                "" => None,
                address => Some(
                    address
                        .parse()
                        .map_err(|_| parameters.invalid("hostaddr", address, "a numeric IP address"))?,
                ),
            };
            let name = match (names.get(at).copied().unwrap_or_default(), address) {
                ("", Some(address)) => address.to_string(),
                ("", None) => "localhost".to_owned(),
                (name, _) => name.to_owned(),
            };
            Ok(Host { place: place(name, address), port })
        })
        .collect()
}

fn port(parameters: &Parameters, text: &str) -> Result<u16, ConnectError> {
    match (text, text.parse()) {
        ("", _) => Ok(5432),
        (_, Ok(port @ 1..)) => Ok(port),
        _ => Err(parameters.invalid("port", text, "a port number from 1 to 65535")),
    }
}

fn place(name: String, address: Option<IpAddr>) -> Place {
    match address {
        None if cfg!(unix) && name.starts_with('/') => Place::Socket(PathBuf::from(name)),
        address => Place::Tcp { name, address },
    }
}

fn listen(parameters: &Parameters) -> Result<Option<Vec<Host>>, ConnectError> {
    let Some(text) = parameters.text("pgmill_listen") else { return Ok(None) };
    let (names, ports) = conninfo::split_hosts(text)?;
    if names.iter().any(String::is_empty) {
        return Err(parameters.invalid(
            "pgmill_listen",
            text,
            "host:port, or several with commas between them",
        ));
    }
    let hosts = names
        .into_iter()
        .zip(ports)
        .map(|(name, text)| Ok(Host { place: place(name, None), port: port(parameters, &text)? }));
    hosts.collect::<Result<_, _>>().map(Some)
}

fn base(parameters: &Parameters) -> Result<Config, ConnectError> {
    let mut base = Config::new();
    if let Some(options) = parameters.text("options") {
        base.options(options);
    }
    base.keepalives(parameters.flag("keepalives")?.unwrap_or(true));
    base.keepalives_idle(given(parameters.seconds("keepalives_idle")?).unwrap_or(Duration::from_secs(30)));
    if let Some(interval) = given(parameters.seconds("keepalives_interval")?) {
        base.keepalives_interval(interval);
    }
    let count = parameters.number("keepalives_count", 0, "a number of probes")?.unwrap_or(0);
    if let Ok(count @ 1..) = u32::try_from(count) {
        base.keepalives_retries(count);
    }
    base.tcp_user_timeout(
        given(parameters.milliseconds("tcp_user_timeout")?).unwrap_or(Duration::from_secs(15)),
    );
    // One host is tried at a time, in an order that is decided before.
    base.load_balance_hosts(LoadBalanceHosts::Disable);
    let attrs = [
        ("any", TargetSessionAttrs::Any),
        ("read-write", TargetSessionAttrs::ReadWrite),
        // A queue is written to, so a primary that is read-only is of no use either.
        ("primary", TargetSessionAttrs::ReadWrite),
        ("read-only", TargetSessionAttrs::ReadOnly),
    ];
    if let Some(attrs) = parameters.word("target_session_attrs", &attrs)? {
        base.target_session_attrs(attrs);
    }
    let bindings = [
        ("disable", ChannelBinding::Disable),
        ("prefer", ChannelBinding::Prefer),
        ("require", ChannelBinding::Require),
    ];
    if let Some(binding) = parameters.word("channel_binding", &bindings)? {
        base.channel_binding(binding);
    }
    let negotiations = [("postgres", SslNegotiation::Postgres), ("direct", SslNegotiation::Direct)];
    if let Some(negotiation) = parameters.word("sslnegotiation", &negotiations)? {
        base.ssl_negotiation(negotiation);
    }
    Ok(base)
}

/// In these settings of libpq, 0 stands for the default.
fn given(duration: Option<Duration>) -> Option<Duration> {
    duration.filter(|duration| !duration.is_zero())
}

#[cfg(unix)]
fn os_account() -> Option<nix::unistd::User> {
    nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten()
}

#[cfg(unix)]
fn os_user() -> Option<String> {
    os_account().map(|account| account.name)
}

#[cfg(unix)]
fn home(env: Environment<'_>) -> Option<PathBuf> {
    env("HOME").filter(|home| !home.is_empty()).map(PathBuf::from).or_else(|| Some(os_account()?.dir))
}

#[cfg(not(unix))]
fn os_user() -> Option<String> {
    std::env::var("USERNAME").ok()
}

#[cfg(not(unix))]
fn home(env: Environment<'_>) -> Option<PathBuf> {
    env("HOME").filter(|home| !home.is_empty()).map(PathBuf::from)
}
