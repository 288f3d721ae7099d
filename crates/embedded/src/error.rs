//! Everything that can go wrong, said so that the reader knows what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// Why a local server could not be found, started, used or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbeddedError {
    /// No PostgreSQL server of version 13 or newer is installed in any of the usual places.
    #[error(
        "no PostgreSQL server (version 13 or newer) was found; looked in {}. Install one with \
         `apt-get install postgresql` (Debian, Ubuntu), `dnf install postgresql-server` (Fedora, RHEL) or \
         `brew install postgresql@17` (macOS), or set PGMILL_PG_BIN to the folder that holds `initdb`",
        list(.searched)
    )]
    NotFound {
        /// The folders that were looked into, in order.
        searched: Vec<PathBuf>,
    },

    /// The folder named by `PGMILL_PG_BIN` or `Builder::bin_dir` does not hold a complete PostgreSQL server.
    #[error(
        "PGMILL_PG_BIN or Builder::bin_dir names {}, which holds no usable PostgreSQL server: {reason}. Point it at \
         the folder that holds `initdb` and `postgres`, or leave it out; `apt-get install postgresql`, \
         `dnf install postgresql-server` and `brew install postgresql@17` install one",
        .bin_dir.display()
    )]
    BadInstallation {
        /// The folder that was named.
        bin_dir: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// The cluster in the data folder was made by another major version than the servers installed here.
    #[error(
        "the cluster in {} was made by PostgreSQL {cluster}, which is not installed{}. Install that version \
         (for example `apt-get install postgresql-{cluster}`), or choose another data folder",
        .folder.display(),
        found(.installed)
    )]
    VersionMismatch {
        /// The data folder.
        folder: PathBuf,
        /// The major version that made the cluster.
        cluster: u32,
        /// The major versions that were found instead.
        installed: Vec<u32>,
    },

    /// The user's home is unknown, so there is no default data folder.
    #[error("no data folder: HOME is not set. Set PGMILL_DATA or call Builder::data_dir")]
    NoFolder,

    /// The user that the server runs as cannot get into the data folder.
    #[error(
        "the data folder {} cannot be used by the user `{user}`, which the server runs as: {} is closed to it. \
         Open that folder, or choose another with PGMILL_DATA or Builder::data_dir (an ephemeral server: with \
         TMPDIR)",
        .folder.display(),
        .blocked.display()
    )]
    Unreachable {
        /// The data folder that was asked for.
        folder: PathBuf,
        /// The folder on the way to it, or itself, that is closed.
        blocked: PathBuf,
        /// The user that the server runs as.
        user: String,
    },

    /// The program runs as root, and there is no unprivileged user to run the server as.
    #[error(
        "PostgreSQL refuses to run as root, and neither of the users `postgres` and `nobody` exists. Create one \
         of them, or run as an ordinary user"
    )]
    NoAccount,

    /// An option of the builder is not usable.
    #[error("{what} is not allowed: {reason}")]
    Invalid {
        /// The option and its value.
        what: String,
        /// What is allowed instead.
        reason: String,
    },

    /// Another program has been starting the server of this folder for too long.
    #[error(
        "another program holds {} for more than {seconds} s while it starts the server of this folder; wait for \
         it, or end it",
        .lock.display()
    )]
    Locked {
        /// The lock file.
        lock: PathBuf,
        /// How long was waited.
        seconds: u64,
    },

    /// The file with the password of an existing cluster is gone.
    #[error(
        "the cluster in {} exists, but its password file {} does not. Bring the file back, or choose another \
         data folder",
        .folder.display(),
        .file.display()
    )]
    PasswordMissing {
        /// The data folder.
        folder: PathBuf,
        /// The missing file.
        file: PathBuf,
    },

    /// `initdb` failed.
    #[error("initdb could not make a cluster in {}:\n{output}", .folder.display())]
    Init {
        /// The data folder.
        folder: PathBuf,
        /// What `initdb` printed.
        output: String,
    },

    /// The server ended instead of becoming ready.
    #[error("PostgreSQL did not start; the last lines of {} are:\n{tail}", .log.display())]
    Start {
        /// The server's log.
        log: PathBuf,
        /// The last lines that this start wrote into it.
        tail: String,
    },

    /// The server runs but did not become ready in time.
    #[error(
        "PostgreSQL was not ready after {seconds} s; the last lines of {} are:\n{tail}",
        .log.display()
    )]
    NotReady {
        /// The server's log.
        log: PathBuf,
        /// How long was waited.
        seconds: u64,
        /// The last lines that this start wrote into it.
        tail: String,
    },

    /// The server of a handle was stopped and started again by another program, on another port.
    #[error(
        "the server was started again by another program, on port {port}; build a new handle to connect to it"
    )]
    Moved {
        /// The port on which it listens now.
        port: u16,
    },

    /// The server did not end in time.
    #[error("PostgreSQL (pid {pid}) did not stop within {seconds} s; a faster StopMode ends it sooner")]
    Stop {
        /// The server's process.
        pid: u32,
        /// How long was waited.
        seconds: u64,
    },

    /// The running server refused to create or look up the database.
    #[error("the server on port {port} could not provide the database `{database}`: {output}")]
    Database {
        /// The server's port.
        port: u16,
        /// The database that was asked for.
        database: String,
        /// What `psql` printed.
        output: String,
    },

    /// The operating system refused something.
    #[error("cannot {action} {}", .path.display())]
    Io {
        /// What was attempted, as a verb.
        action: &'static str,
        /// The file, folder or program.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl EmbeddedError {
    /// For `map_err`: keeps what was attempted on which path beside the system's answer.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

fn list(folders: &[PathBuf]) -> String {
    folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn found(majors: &[u32]) -> String {
    if majors.is_empty() {
        return String::new();
    }
    let majors = majors.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    format!(" (found {majors})")
}
