//! Where a run keeps its histories, and its PostgreSQL.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::TempDir;

use crate::cast::Script;
use crate::linux::Disk;
use crate::scene::free_address;

#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// Removed at the end, unless it is kept.
    temporary: Option<TempDir>,
}

impl Folder {
    pub(crate) fn open(keep: Option<&Path>) -> anyhow::Result<Self> {
        let (path, temporary) = match keep {
            Some(path) => {
                fs::create_dir_all(path)?;
                (path.canonicalize()?, None)
            }
            None => {
                let temporary = tempfile::Builder::new().prefix("pgmill-chaos-").tempdir()?;
                (temporary.path().to_owned(), Some(temporary))
            }
        };
        let used = fs::read_dir(&path)?.next().is_some();
        anyhow::ensure!(!used, "{} is not empty: a run has a folder of its own", path.display());
        // The server runs as another user when this runs as root.
        fs::set_permissions(&path, PermissionsExt::from_mode(0o755))?;
        Ok(Self { path, temporary })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What the processes of the run are told.
    pub(crate) fn script(&self, seed: u64, rate: u64, steady: bool) -> Script {
        Script { folder: self.path.clone(), server: free_address(), seed, rate, steady }
    }

    /// A disk of its own for PostgreSQL; `None`, and a word about it, where that cannot be.
    pub(crate) fn disk(&self) -> anyhow::Result<Option<Disk>> {
        let place = self.path.join("disk");
        fs::create_dir(&place).with_context(|| format!("{} cannot be made", place.display()))?;
        match Disk::mount(&place) {
            Ok(disk) => Ok(Some(disk)),
            Err(error) => {
                eprintln!("a full disk is left out: {error:#}");
                Ok(None)
            }
        }
    }

    /// Keeps it for whoever wants to know what happened.
    pub(crate) fn keep(&mut self) {
        if let Some(temporary) = self.temporary.take() {
            let _ = temporary.keep();
        }
    }
}
