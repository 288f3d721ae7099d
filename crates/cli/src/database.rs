//! The database of a command: the one that was named, or an embedded one.

use anyhow::Context;
use pgmill::{ConnectOptions, Manager, Namespace};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::embedded::Server;
use crate::{args, output};

/// Which database to use.
#[derive(Debug, clap::Args)]
pub(crate) struct DatabaseArgs {
    /// The database, as a URL or as name=value pairs; without it, an embedded PostgreSQL in the user's data folder.
    ///
    /// Arguments can be read by every user of the machine: a URL with a password is better given as `DATABASE_URL`.
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    url: Option<String>,
}

impl DatabaseArgs {
    /// As if it had been named by `--url`.
    pub(crate) fn named(url: String) -> Self {
        Self { url: Some(url) }
    }

    /// With another user or password than it names. An embedded server has its own.
    pub(crate) fn with_credentials(self, user: Option<&str>, password: Option<&str>) -> Self {
        let url = self.url.filter(|url| !url.is_empty()).map(|url| {
            let credentials = [("user", user), ("password", password)];
            credentials
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)))
                .fold(url, |url, parameter| with_parameter(&url, parameter))
        });
        Self { url }
    }
}

/// The URL, or the pairs, with one more parameter: of several with one name the last counts.
fn with_parameter(url: &str, (name, value): (&str, &str)) -> String {
    if !url.contains("://") {
        let value = value.replace('\\', r"\\").replace('\'', r"\'");
        return format!("{url} {name}='{value}'");
    }
    let separator = if url.contains('?') { '&' } else { '?' };
    let escaped = value.bytes().fold(String::new(), |text, byte| match byte {
        byte if byte.is_ascii_alphanumeric() => text + char::from(byte).encode_utf8(&mut [0; 4]),
        byte => text + &format!("%{byte:02X}"),
    });
    format!("{url}{separator}{name}={escaped}")
}

/// A database that can be connected to.
#[derive(Debug)]
pub(crate) struct Database {
    options: ConnectOptions,
    embedded: Option<Server>,
}

impl Database {
    /// The database that was named, which is not connected to yet, or an embedded one, which is started.
    pub(crate) async fn open(args: &DatabaseArgs) -> anyhow::Result<Self> {
        if let Some(url) = args.url.as_deref().filter(|url| !url.is_empty()) {
            let options = ConnectOptions::parse(url)
                .context("the database named by --url or DATABASE_URL cannot be used")?;
            return Ok(Self { options, embedded: None });
        }
        let server = Server::start(None).await.context(
            "the embedded PostgreSQL cannot be used; name a database with --url or DATABASE_URL instead",
        )?;
        let options =
            ConnectOptions::parse(&server.handle().url()).context("the embedded PostgreSQL has no URL")?;
        output::note(&format!(
            "pgmill: using the embedded PostgreSQL in {}; --url or DATABASE_URL names another",
            server.handle().data_dir().display()
        ));
        Ok(Self { options, embedded: Some(server) })
    }

    /// Connects, brings the database up to date, and maintains it from then on.
    pub(crate) async fn session(self, namespace: &Namespace) -> anyhow::Result<Session> {
        let manager = Manager::connect_with(self.options.clone()).namespace(namespace.as_str()).await;
        let manager = manager.context("the database cannot be used")?;
        let wanted = CancellationToken::new();
        let maintenance = tokio::spawn({
            let (manager, wanted) = (manager.clone(), wanted.clone());
            async move { manager.run(wanted).await }
        });
        Ok(Session { manager, wanted, maintenance, database: self })
    }

    /// How to reach it.
    pub(crate) fn options(&self) -> &ConnectOptions {
        &self.options
    }

    /// A shell command that opens it, and holds no password.
    pub(crate) fn psql(&self) -> String {
        let (user, database) = (self.options.user(), self.options.database());
        let hosts = self.options.host_label();
        if let Some(server) = &self.embedded {
            let password = server.handle().data_dir().join("password");
            let port = server.handle().port();
            return format!(
                "PGPASSWORD=\"$(cat {})\" psql -h 127.0.0.1 -p {port} -U {user} {database}",
                password.display()
            );
        }
        match hosts.rsplit_once(':') {
            Some((folder, port)) if folder.starts_with('/') => {
                format!("psql -h {folder} -p {port} -U {user} {database}")
            }
            _ => format!("psql postgres://{user}@{hosts}/{database}"),
        }
    }

    /// The command that keeps the embedded server running after this program.
    pub(crate) fn start_command(&self) -> Option<String> {
        self.embedded.as_ref().map(|_| format!("{} postgres", args::program()))
    }

    /// Stops an embedded server that this program has started.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        match self.embedded {
            Some(server) => server.stop().await,
            None => Ok(()),
        }
    }
}

/// A database that is connected to, and maintained.
#[derive(Debug)]
pub(crate) struct Session {
    manager: Manager,
    wanted: CancellationToken,
    maintenance: JoinHandle<()>,
    database: Database,
}

impl Session {
    pub(crate) fn manager(&self) -> &Manager {
        &self.manager
    }

    /// As [`Database::start_command`].
    pub(crate) fn start_command(&self) -> Option<String> {
        self.database.start_command()
    }

    /// As [`Database::psql`].
    pub(crate) fn psql(&self) -> String {
        self.database.psql()
    }

    /// Sends what is under way, and ends everything that was started.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        self.wanted.cancel();
        self.maintenance.await?;
        self.manager.close().await;
        self.manager.pool().close();
        drop(self.manager);
        self.database.close().await
    }
}
