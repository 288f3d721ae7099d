//! The data folder: where it is, what is in it, who may use it, and the lock that serialises starts.
//!
//! | in the folder | what |
//! |---|---|
//! | `cluster/` | PostgreSQL's own data directory |
//! | `password` | the password of the user `pgmill`, mode 0600 |
//! | `server.log` | what the server prints |
//! | `socket/` | its Unix socket, mode 0700 |
//! | `lock` | held while a program starts the server |

use std::env;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::unistd::Uid;
use tempfile::TempDir;

use crate::EmbeddedError;
use crate::account::Account;

/// A start includes crash recovery, which can take minutes.
const LOCK_TIMEOUT: Duration = Duration::from_secs(330);

#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
    /// Present in ephemeral mode: removes the folder when dropped.
    temporary: Option<TempDir>,
}

impl Folder {
    /// A new folder below the system's temporary one, removed with the returned value.
    pub(crate) fn temporary(account: &Account) -> Result<Self, EmbeddedError> {
        let parent = env::temp_dir();
        let temporary = tempfile::Builder::new()
            .prefix("pgmill-")
            .permissions(PermissionsExt::from_mode(0o700))
            .tempdir_in(&parent)
            .map_err(EmbeddedError::io("create a folder in", &parent))?;
        let root = prepare(temporary.path(), account)?;
        Ok(Self { root, temporary: Some(temporary) })
    }

    /// The folder that was chosen, else `PGMILL_DATA`, else the user's own; created when missing.
    pub(crate) fn persistent(chosen: Option<PathBuf>, account: &Account) -> Result<Self, EmbeddedError> {
        let path = chosen
            .or_else(|| env::var_os("PGMILL_DATA").filter(|value| !value.is_empty()).map(PathBuf::from))
            .or_else(default_path)
            .ok_or(EmbeddedError::NoFolder)?;
        let path = std::path::absolute(&path).map_err(EmbeddedError::io("resolve", &path))?;
        Ok(Self { root: prepare(&path, account)?, temporary: None })
    }

    pub(crate) fn is_temporary(&self) -> bool {
        self.temporary.is_some()
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn cluster(&self) -> PathBuf {
        self.root.join("cluster")
    }

    pub(crate) fn password(&self) -> PathBuf {
        self.root.join("password")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("server.log")
    }

    /// Waits until no other program is starting the server of this folder. Released when the file is dropped.
    pub(crate) fn lock(&self, account: &Account) -> Result<File, EmbeddedError> {
        let path = self.root.join("lock");
        let file = open_private(&path, account)?;
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if start.elapsed() < LOCK_TIMEOUT => {
                    thread::sleep(Duration::from_millis(20));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(EmbeddedError::Locked { lock: path, seconds: LOCK_TIMEOUT.as_secs() });
                }
                Err(TryLockError::Error(source)) => {
                    return Err(EmbeddedError::Io { action: "lock", path, source });
                }
            }
        }
    }
}

/// Opens a file for appending that only the server's user may read, creating it when missing.
///
/// The folder belongs to that user, so root must not follow a link found in it.
pub(crate) fn open_private(path: &Path, account: &Account) -> Result<File, EmbeddedError> {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(path)
        .map_err(EmbeddedError::io("open", path))?;
    account.give_file(&file).map_err(EmbeddedError::io("hand over", path))?;
    Ok(file)
}

/// Writes a file that only the server's user may read, as a whole or not at all.
pub(crate) fn write_private(path: &Path, contents: &str, account: &Account) -> Result<(), EmbeddedError> {
    let draft = path.with_extension("draft");
    let write = || -> io::Result<()> {
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        account.give_file(&file)?;
        file.write_all(contents.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        sync_parent(path)
    };
    write().map_err(EmbeddedError::io("write", path))
}

/// Makes a rename or a creation in the folder of `path` survive a power failure.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

/// Creates a folder that only the server's user may enter; one that exists is kept.
pub(crate) fn create_private_folder(path: &Path, account: &Account) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => account.give_folder(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

fn default_path() -> Option<PathBuf> {
    if Uid::effective().is_root() {
        return Some(PathBuf::from("/var/lib/pgmill"));
    }
    let home = env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    if cfg!(target_os = "macos") {
        return home.map(|home| home.join("Library/Application Support/pgmill"));
    }
    env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .filter(|folder| folder.is_absolute())
        .or_else(|| home.map(|home| home.join(".local/share")))
        .map(|folder| folder.join("pgmill"))
}

/// Creates the folder when missing, checks that the server's user can use it, and resolves links in its path.
fn prepare(path: &Path, account: &Account) -> Result<PathBuf, EmbeddedError> {
    let create = || -> io::Result<()> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        create_private_folder(path, account)?;
        // An empty folder of root's own (a fresh mount, a temporary folder) is meant for the server.
        if account.switches() && fs::metadata(path)?.uid() == 0 && fs::read_dir(path)?.next().is_none() {
            account.give_folder(path)?;
        }
        Ok(())
    };
    match create() {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
        other => other.map_err(EmbeddedError::io("create", path))?,
    }
    check_reachable(path, account)?;
    fs::canonicalize(path).map_err(EmbeddedError::io("resolve", path))
}

/// Asks as the server's user, because only the system knows what modes, ACLs and mounts add up to.
fn check_reachable(folder: &Path, account: &Account) -> Result<(), EmbeddedError> {
    const SCRIPT: &str = r#"
        i=0
        for folder; do [ -x "$folder" ] || { echo "$i"; exit; }; i=$((i + 1)); done
        [ -r "$folder" ] && [ -w "$folder" ] || echo "$((i - 1))"
    "#;
    let mut ways: Vec<&Path> = folder.ancestors().collect();
    ways.reverse();
    let shell = Path::new("/bin/sh");
    let output = account
        .command(shell)
        .args(["-c", SCRIPT, "sh"])
        .args(&ways)
        .stdin(Stdio::null())
        .output()
        .map_err(EmbeddedError::io("run", shell))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    match printed.trim().parse::<usize>().ok().and_then(|index| ways.get(index)) {
        None => Ok(()),
        Some(blocked) => Err(EmbeddedError::Unreachable {
            folder: folder.to_owned(),
            blocked: blocked.to_path_buf(),
            user: account.name().to_owned(),
        }),
    }
}
