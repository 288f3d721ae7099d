//! The handle to a running server.

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::account::Account;
use crate::builder::Builder;
use crate::cluster::USER;
use crate::folder::{Folder, create_private_folder};
use crate::postmaster::Record;
use crate::server::{Process, Server, stop_other};
use crate::watchdog::Watchdog;
use crate::{EmbeddedError, psql};

/// How a server is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StopMode {
    /// Waits until every client has disconnected, at most 60 seconds.
    Smart,
    /// Disconnects the clients, rolls their open transactions back and writes a checkpoint. The usual way.
    Fast,
    /// Ends at once, as in a crash: committed data is recovered at the next start.
    Immediate,
}

impl StopMode {
    pub(crate) fn signal(self) -> Signal {
        match self {
            Self::Smart => Signal::SIGTERM,
            Self::Fast => Signal::SIGINT,
            Self::Immediate => Signal::SIGQUIT,
        }
    }
}

/// A local PostgreSQL server, ready to be connected to.
///
/// The server is stopped by the handle that started it (the *owner*), unless it was told to keep running. A handle
/// that found the server running *shares* it:
///
/// | | owner | owner, `keep_running` | sharer |
/// |---|---|---|---|
/// | dropped, or the program ends | stops it | leaves it | leaves it |
/// | [`stop`](Self::stop) | stops it | stops it | leaves it |
/// | [`halt`](Self::halt) | stops it | stops it | stops it |
///
/// An owner's server is stopped also when the program panics, exits without dropping the handle, or is killed.
#[must_use = "dropping the handle stops the server"]
pub struct Embedded {
    server: Server,
    control: Mutex<Control>,
    port: u16,
    socket_dir: SocketDir,
    password: String,
    database: String,
    keep_running: bool,
}

/// What changes during the life of a handle.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) state: State,
    /// Kept while the server is halted, as an ephemeral folder is to be removed then too.
    pub(crate) watchdog: Option<Watchdog>,
}

#[derive(Debug)]
pub(crate) enum State {
    /// Started by this handle.
    Owned(Process),
    /// Started by another handle, here or in another program.
    Shared,
    /// Halted through this handle.
    Halted,
}

impl Embedded {
    /// Options for a server; the defaults are a persistent cluster in the user's data folder and a database named
    /// `pgmill`.
    ///
    /// ```no_run
    /// use pgmill_embedded::Embedded;
    ///
    /// let server = Embedded::builder().ephemeral().start()?;
    /// println!("{}", server.url());
    /// # Ok::<(), pgmill_embedded::EmbeddedError>(())
    /// ```
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(crate) fn new(
        server: Server,
        control: Control,
        place: Place,
        database: String,
        keep_running: bool,
    ) -> Self {
        let Place { port, socket_dir, password } = place;
        Self { server, control: Mutex::new(control), port, socket_dir, password, database, keep_running }
    }

    /// The URL of the database named to the builder: `postgres://pgmill:<password>@127.0.0.1:<port>/<database>`.
    ///
    /// The user `pgmill` is the superuser. The URL holds the password, so keep it out of logs.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_for(&self.database)
    }

    /// The URL of another database of this server, which is not created here.
    #[must_use]
    pub fn url_for(&self, database: &str) -> String {
        let Self { password, port, .. } = self;
        format!("postgres://{USER}:{password}@127.0.0.1:{port}/{}", percent_encode(database))
    }

    /// The port on 127.0.0.1. It stays the same for the life of the handle, and is tried again first at the next
    /// start of a persistent cluster.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of the server's Unix socket. The socket asks for the password too.
    #[must_use]
    pub fn socket_dir(&self) -> &Path {
        &self.socket_dir.path
    }

    /// The data folder. PostgreSQL's own data directory is `cluster` in it; beside it are `password` and
    /// `server.log`.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.server.folder.root()
    }

    /// The folder of the server's programs, such as `pg_dump` and `pgbench`.
    #[must_use]
    pub fn bin_dir(&self) -> &Path {
        &self.server.installation.bin_dir
    }

    /// The server's major version, for example 15.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.server.installation.major
    }

    /// Whether this handle started the server, and so stops it.
    #[must_use]
    pub fn owned(&self) -> bool {
        matches!(self.control().state, State::Owned(_))
    }

    /// The server's process, or `None` when the server does not run.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        match &mut self.control().state {
            State::Owned(process) => process.is_running().then(|| process.pid()),
            State::Shared => Record::of_running(&self.server.folder.cluster()).map(|record| record.pid),
            State::Halted => None,
        }
    }

    /// [`halt`](Self::halt) and [`resume`](Self::resume).
    ///
    /// # Errors
    ///
    /// Those of the two.
    pub fn restart(&self, mode: StopMode) -> Result<(), EmbeddedError> {
        self.halt(mode)?;
        self.resume()
    }

    /// Stops the server, whoever started it, and keeps the handle, so that [`resume`](Self::resume) can start it
    /// again. A server that does not run is no error.
    ///
    /// # Errors
    ///
    /// [`EmbeddedError::Stop`] when the server has not ended after 60 seconds; it is still stopping then.
    pub fn halt(&self, mode: StopMode) -> Result<(), EmbeddedError> {
        let mut control = self.control();
        match &mut control.state {
            State::Owned(process) => process.stop(mode)?,
            State::Shared => stop_other(&self.server.folder.cluster(), mode)?,
            State::Halted => {}
        }
        control.rest();
        Ok(())
    }

    /// Starts a server that was halted, was killed or has crashed, on the same port, so that clients can
    /// reconnect. The handle then owns it, unless another program started it first. A server that runs is left
    /// alone.
    ///
    /// # Errors
    ///
    /// [`EmbeddedError::Start`] when the server does not start, for example because another program took the
    /// port; [`EmbeddedError::Moved`] when another program started it on another port.
    pub fn resume(&self) -> Result<(), EmbeddedError> {
        let mut control = self.control();
        if let State::Owned(process) = &mut control.state
            && process.is_running()
        {
            return Ok(());
        }
        control.rest();
        let Server { account, folder, .. } = &self.server;
        let _lock = folder.lock(account)?;
        if let Some(running) = self.server.find_running()? {
            if running.port != self.port {
                return Err(EmbeddedError::Moved { port: running.port });
            }
            control.state = State::Shared;
            return Ok(());
        }
        let socket_dir = self.socket_dir();
        create_private_folder(socket_dir, account).map_err(EmbeddedError::io("create", socket_dir))?;
        if control.watchdog.is_none() {
            control.watchdog = watchdog(&self.server, &self.socket_dir, self.keep_running)?;
        }
        let (process, _) = self.server.launch(Some(self.port), socket_dir, control.watchdog.as_mut())?;
        control.state = State::Owned(process);
        Ok(())
    }

    /// Ends the handle, and the server if the handle owns it. Like dropping the handle, but with a choice of how,
    /// and with an answer.
    ///
    /// # Errors
    ///
    /// [`EmbeddedError::Stop`] when the server has not ended after 60 seconds. It is then stopped by faster means.
    pub fn stop(self, mode: StopMode) -> Result<(), EmbeddedError> {
        if self.owned() { self.halt(mode) } else { Ok(()) }
    }

    pub(crate) fn ensure_database(&self) -> Result<(), EmbeddedError> {
        psql::ensure_database(&self.server.installation.psql, self.port, &self.password, &self.database)
    }

    /// A panic in another thread leaves the state as true as before.
    fn control(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        let control = self.control.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let State::Owned(process) = &mut control.state {
            if self.keep_running {
                return self.socket_dir.keep();
            }
            // What is about to be removed needs no checkpoint.
            let mode = if self.server.folder.is_temporary() { StopMode::Immediate } else { StopMode::Fast };
            if process.stop(mode).or_else(|_| process.stop(StopMode::Immediate)).is_err() {
                // The watchdog is woken by the end of its pipe, and tries on.
                return;
            }
        }
        if let Some(watchdog) = control.watchdog.take() {
            watchdog.dismiss();
        }
    }
}

impl Control {
    fn rest(&mut self) {
        self.state = State::Halted;
        if let Some(watchdog) = &mut self.watchdog {
            watchdog.rest();
        }
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded")
            .field("port", &self.port)
            .field("data_dir", &self.data_dir())
            .field("version", &self.version())
            .field("owned", &self.owned())
            .finish_non_exhaustive()
    }
}

/// Where clients find a server, and what they have to say.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) port: u16,
    pub(crate) socket_dir: SocketDir,
    pub(crate) password: String,
}

/// The folder of the Unix socket.
#[derive(Debug)]
pub(crate) struct SocketDir {
    path: PathBuf,
    /// Present when the folder is outside the data folder: removes it when dropped.
    elsewhere: Option<TempDir>,
}

impl SocketDir {
    /// The system stores the path of a socket in 104 bytes (108 on Linux), its end included.
    const LONGEST: usize = 103 - "/.s.PGSQL.65535".len();

    /// A private folder in the data folder, or, when its path is too long for a socket, below `/tmp`, which is
    /// short on every system; the folder named by `TMPDIR` often is not.
    pub(crate) fn create(folder: &Folder, account: &Account) -> Result<Self, EmbeddedError> {
        let path = folder.root().join("socket");
        if path.as_os_str().len() <= Self::LONGEST {
            create_private_folder(&path, account).map_err(EmbeddedError::io("create", &path))?;
            return Ok(Self { path, elsewhere: None });
        }
        let parent = Path::new("/tmp");
        let elsewhere = tempfile::Builder::new()
            .prefix("pgmill-")
            .permissions(PermissionsExt::from_mode(0o700))
            .tempdir_in(parent)
            .map_err(EmbeddedError::io("create a folder in", parent))?;
        account.give_folder(elsewhere.path()).map_err(EmbeddedError::io("hand over", elsewhere.path()))?;
        Ok(Self { path: elsewhere.path().to_owned(), elsewhere: Some(elsewhere) })
    }

    /// The folder of a server that another handle started, and which that handle looks after.
    pub(crate) fn of_other(path: PathBuf) -> Self {
        Self { path, elsewhere: None }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn keep(&mut self) {
        if let Some(elsewhere) = self.elsewhere.take() {
            let _ = elsewhere.keep();
        }
    }
}

/// The watchdog for a server about to be started, unless the server is to outlive the program.
pub(crate) fn watchdog(
    server: &Server,
    socket_dir: &SocketDir,
    keep_running: bool,
) -> Result<Option<Watchdog>, EmbeddedError> {
    if keep_running {
        return Ok(None);
    }
    let Server { account, folder, .. } = server;
    let mut remove = Vec::new();
    if folder.is_temporary() {
        remove.push(folder.root().to_owned());
    }
    remove.extend(socket_dir.elsewhere.as_ref().map(|elsewhere| elsewhere.path().to_owned()));
    Watchdog::start(account, &folder.cluster(), &remove).map(Some)
}

fn percent_encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn database_names_are_escaped_in_urls() {
        assert_eq!(percent_encode("pgmill_1"), "pgmill_1");
        assert_eq!(percent_encode("a b/ü?"), "a%20b%2F%C3%BC%3F");
    }
}
