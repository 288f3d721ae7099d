//! Chooses how the server is run.

use std::path::PathBuf;

use crate::account::Account;
use crate::embedded::{Control, Embedded, Place, SocketDir, State, watchdog};
use crate::folder::Folder;
use crate::installation::Search;
use crate::server::Server;
use crate::{EmbeddedError, cluster, psql, tuning};

/// Options for a local server; made by [`Embedded::builder`].
#[derive(Debug, Clone)]
#[must_use = "nothing is started until `start` is called"]
pub struct Builder {
    bin_dir: Option<PathBuf>,
    data_dir: Option<PathBuf>,
    database: String,
    ephemeral: bool,
    keep_running: bool,
    settings: Vec<(String, String)>,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            bin_dir: None,
            data_dir: None,
            database: cluster::USER.to_owned(),
            ephemeral: false,
            keep_running: false,
            settings: Vec::new(),
        }
    }

    /// The folder of the server's programs, `initdb` and `postgres`, before all others.
    ///
    /// Default: `PGMILL_PG_BIN`, else the first of the places that [`find_installation`](crate::find_installation)
    /// looks at. A relative path is resolved against the working folder.
    pub fn bin_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.bin_dir = Some(folder.into());
        self
    }

    /// The folder that keeps the cluster, its password and its log; created when missing.
    ///
    /// Default: `PGMILL_DATA`, else `$XDG_DATA_HOME/pgmill` or `~/.local/share/pgmill`
    /// (`~/Library/Application Support/pgmill` on macOS), for root `/var/lib/pgmill`. A relative path is
    /// resolved against the working folder. Not together with [`ephemeral`](Self::ephemeral).
    pub fn data_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(folder.into());
        self
    }

    /// The database that [`Embedded::url`] names; created when missing. Default `pgmill`; 1 to 63 bytes.
    pub fn database(mut self, name: &str) -> Self {
        name.clone_into(&mut self.database);
        self
    }

    /// Runs on a new folder below the system's temporary one, which is removed when the server is stopped, also
    /// when the program is killed. For tests.
    ///
    /// Commits are as durable as ever; only the making of the cluster does not wait for the disk.
    pub fn ephemeral(mut self) -> Self {
        self.ephemeral = true;
        self
    }

    /// Whether a server that [`start`](Self::start) starts outlives its handle and the program. Default `false`.
    ///
    /// [`Embedded::stop`] and [`Embedded::halt`] stop it all the same. Not together with
    /// [`ephemeral`](Self::ephemeral).
    pub fn keep_running(mut self, keep: bool) -> Self {
        self.keep_running = keep;
        self
    }

    /// A server setting, as in `postgresql.conf`, that overrides the tuning. May be called repeatedly.
    ///
    /// Has no effect on a server that is already running. Where the server listens and where its files are
    /// cannot be set. Whoever turns `fsync` or `synchronous_commit` off gives up that committed data survives a
    /// crash.
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts the server, or joins the one that runs on the same folder, and returns when it answers.
    ///
    /// Blocks for about a second when the cluster has to be made, for a fraction of one otherwise, and for as long
    /// as crash recovery takes (at most five minutes) after a crash. In asynchronous code call it through
    /// `spawn_blocking`.
    ///
    /// # Errors
    ///
    /// Any [`EmbeddedError`]: no server installed, an option or folder that cannot be used, or a server that
    /// does not start, with the last lines of its log.
    pub fn start(self) -> Result<Embedded, EmbeddedError> {
        self.check()?;
        let account = Account::for_server()?;
        let search = match &self.bin_dir {
            Some(folder) => Search::in_folder(folder),
            None => Search::from_environment(),
        };
        if self.ephemeral {
            let installation = search.newest()?;
            let folder = Folder::temporary(&account)?;
            let server = Server { installation, account, folder, settings: self.settings };
            return launch(server, self.database, false);
        }
        let folder = Folder::persistent(self.data_dir, &account)?;
        let _lock = folder.lock(&account)?;
        let installation = match cluster::major_of(&folder) {
            Some(major) => search.of_major(major, folder.root())?,
            None => search.newest()?,
        };
        let server = Server { installation, account, folder, settings: self.settings };
        match server.find_running()? {
            Some(running) => {
                let password = cluster::password_of(&server.folder)?;
                psql::ensure_database(&server.installation.psql, running.port, &password, &self.database)?;
                let socket_dir = SocketDir::of_other(running.socket_dir);
                let place = Place { port: running.port, socket_dir, password };
                let control = Control { state: State::Shared, watchdog: None };
                Ok(Embedded::new(server, control, place, self.database, self.keep_running))
            }
            None => launch(server, self.database, self.keep_running),
        }
    }

    fn check(&self) -> Result<(), EmbeddedError> {
        psql::check_name(&self.database)?;
        for (name, value) in &self.settings {
            tuning::check(name, value)?;
        }
        let conflict = match self {
            Self { ephemeral: true, data_dir: Some(_), .. } => "data_dir",
            Self { ephemeral: true, keep_running: true, .. } => "keep_running",
            _ => return Ok(()),
        };
        Err(EmbeddedError::Invalid {
            what: format!("`{conflict}` together with `ephemeral`"),
            reason: "an ephemeral server has a folder of its own, which goes when the server does".to_owned(),
        })
    }
}

fn launch(server: Server, database: String, keep_running: bool) -> Result<Embedded, EmbeddedError> {
    let Server { account, folder, installation, .. } = &server;
    let socket_dir = SocketDir::create(folder, account)?;
    // Before the cluster is made, so that a folder of a program killed meanwhile is removed too.
    let mut watchdog = watchdog(&server, &socket_dir, keep_running)?;
    let password = match cluster::major_of(folder) {
        Some(_) => cluster::password_of(folder)?,
        None => cluster::create(folder, installation, account)?,
    };
    let (process, port) = server.launch(None, socket_dir.path(), watchdog.as_mut())?;
    let place = Place { port, socket_dir, password };
    let control = Control { state: State::Owned(process), watchdog };
    let embedded = Embedded::new(server, control, place, database, keep_running);
    embedded.ensure_database()?;
    Ok(embedded)
}
