//! Takes all connections of the process's own pool, for as long as the driver asks for it: as handlers do that keep theirs.
//!
//! The two talk by files in the folder of the histories: one is there while it is asked for, the other while it is so.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use pgmill::Manager;
use tokio::time::{sleep, timeout};

use super::RoleArgs;
use crate::cast::Member;

/// How often it is looked whether it is asked for, or still is.
const LOOK: Duration = Duration::from_millis(20);
/// How long it waits for one connection before it looks again.
const PATIENCE: Duration = Duration::from_millis(500);

/// What a process takes of its pool.
#[derive(Debug)]
pub(crate) struct Hoard {
    asked: PathBuf,
    taken: PathBuf,
}

impl Hoard {
    /// That of whoever has this part, however often it was started again.
    pub(crate) fn of(folder: &Path, (role, number): Member) -> Self {
        let role = role.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
        Self::named(folder, &format!("{role}-{number}"))
    }

    fn named(folder: &Path, member: &str) -> Self {
        let file = |end| folder.join(format!("{member}.{end}"));
        Self { asked: file("hoard"), taken: file("hoarded") }
    }

    /// The driver: from now on. One that was killed while it had it has left its word behind.
    pub(crate) fn ask(&self) -> io::Result<()> {
        remove(&self.taken)?;
        fs::write(&self.asked, "")
    }

    /// The driver: how many connections are taken, once that is all of them.
    pub(crate) fn taken(&self) -> Option<usize> {
        fs::read_to_string(&self.taken).ok()?.parse().ok()
    }

    /// The driver: no longer.
    pub(crate) fn end(&self) -> io::Result<()> {
        remove(&self.asked)?;
        remove(&self.taken)
    }

    fn is_asked_for(&self) -> bool {
        self.asked.exists()
    }

    async fn take_all(&self, manager: &Manager) -> io::Result<()> {
        let (pool, mut taken) = (manager.pool(), Vec::new());
        while taken.len() < pool.status().max_size && self.is_asked_for() {
            // One that cannot be had now may be later: the server may be away.
            match timeout(PATIENCE, pool.get()).await {
                Ok(Ok(connection)) => taken.push(connection),
                _ => sleep(LOOK).await,
            }
        }
        if taken.len() == pool.status().max_size {
            fs::write(&self.taken, taken.len().to_string())?;
        }
        while self.is_asked_for() {
            sleep(LOOK).await;
        }
        Ok(())
    }
}

/// Takes what it is asked for until the process ends.
pub(super) async fn watch(args: RoleArgs, manager: Manager) -> io::Result<()> {
    let member = args.name.split('.').next().unwrap_or_default();
    let hoard = Hoard::named(&args.folder, member);
    loop {
        sleep(LOOK).await;
        if hoard.is_asked_for() {
            hoard.take_all(&manager).await?;
        }
    }
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roles::Role;

    #[test]
    fn what_the_driver_asks_for_is_what_the_process_looks_for() {
        let folder = tempfile::tempdir().unwrap();
        let (driver, process) =
            (Hoard::of(folder.path(), (Role::Worker, 2)), Hoard::named(folder.path(), "worker-2"));
        assert!(!process.is_asked_for());
        fs::write(&process.taken, "6").unwrap();
        driver.ask().unwrap();
        assert_eq!(
            (process.is_asked_for(), driver.taken()),
            (true, None),
            "the word of an earlier time counts"
        );
        fs::write(&process.taken, "6").unwrap();
        assert_eq!(driver.taken(), Some(6));
        driver.end().unwrap();
        assert_eq!((process.is_asked_for(), driver.taken()), (false, None));
    }
}
