//! PostgreSQL's own record of a running server, `postmaster.pid`, and whether to believe it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::EmbeddedError;
use crate::account::Account;
use crate::folder::write_private;

/// The lines of `postmaster.pid` that matter here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) pid: u32,
    /// These are written a moment after the process id.
    pub(crate) port: Option<u16>,
    pub(crate) socket_dir: Option<PathBuf>,
    pub(crate) ready: bool,
}

impl Record {
    pub(crate) fn read(cluster: &Path) -> Option<Self> {
        let text = fs::read_to_string(path(cluster)).ok()?;
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let line = |number: usize| lines.get(number - 1).filter(|line| !line.is_empty());
        Some(Self {
            // Negative while a single-user server holds the folder.
            pid: line(1)?.trim_start_matches('-').parse().ok()?,
            port: line(4).and_then(|port| port.parse().ok()),
            socket_dir: line(5).map(PathBuf::from),
            ready: line(8).is_some_and(|status| *status == "ready"),
        })
    }

    /// The record, when the server it speaks of runs; a server that was killed leaves its record behind.
    pub(crate) fn of_running(cluster: &Path) -> Option<Self> {
        Self::read(cluster).filter(|record| serves(record.pid, cluster))
    }
}

/// Clears away what a killed server left, when process ids recorded there may belong to somebody else by now.
/// The caller holds the folder's lock and knows that no server runs.
///
/// PostgreSQL refuses to start while any process of its user has the recorded id, unless it is the server's own
/// parent. `postmaster.pid` is therefore given this program's id instead of being removed: PostgreSQL still finds
/// in it the shared memory of the dead server, and waits for sessions that outlived it. The lock of the socket
/// protects nothing more, as the folder it is in serves this cluster alone.
pub(crate) fn disown_leftovers(
    cluster: &Path,
    socket_dir: &Path,
    port: u16,
    account: &Account,
) -> Result<(), EmbeddedError> {
    let record = path(cluster);
    let text = fs::read_to_string(&record).unwrap_or_default();
    if let Some((_, rest)) = text.split_once('\n') {
        write_private(&record, &format!("{}\n{rest}", process::id()), account)?;
    }
    let lock = socket_dir.join(format!(".s.PGSQL.{port}.lock"));
    match fs::remove_file(&lock) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(EmbeddedError::Io { action: "remove", path: lock, source: error })
        }
        _ => Ok(()),
    }
}

pub(crate) fn signal(pid: u32, signal: Signal) -> Result<(), Errno> {
    match i32::try_from(pid) {
        Ok(pid) if pid > 0 => kill(Pid::from_raw(pid), signal),
        _ => Err(Errno::ESRCH),
    }
}

fn path(cluster: &Path) -> PathBuf {
    cluster.join("postmaster.pid")
}

/// Whether the process is a live PostgreSQL server of this cluster.
#[cfg(target_os = "linux")]
pub(crate) fn serves(pid: u32, cluster: &Path) -> bool {
    let process = PathBuf::from(format!("/proc/{pid}"));
    let Ok(stat) = fs::read_to_string(process.join("stat")) else { return false };
    // `pid (name) state …`; a zombie has ended, although its id is still taken.
    let Some((start, rest)) = stat.rsplit_once(')') else { return false };
    let name = start.split_once('(').map_or("", |(_, name)| name);
    if rest.trim_start().starts_with(['Z', 'X']) || !name.starts_with("postgres") {
        return false;
    }
    // A server works in its data directory. Where that is hidden, the name has to do.
    let cluster = fs::canonicalize(cluster).unwrap_or_else(|_| cluster.to_owned());
    fs::read_link(process.join("cwd")).map_or(true, |folder| folder == cluster)
}

/// Whether the process is a live PostgreSQL server.
#[cfg(not(target_os = "linux"))]
pub(crate) fn serves(pid: u32, _cluster: &Path) -> bool {
    let listed = crate::account::own_command(Path::new("/bin/ps"))
        .args(["-o", "stat=,comm=", "-p", &pid.to_string()])
        .output();
    listed.is_ok_and(|output| {
        let line = String::from_utf8_lossy(&output.stdout);
        !line.trim_start().starts_with('Z') && line.contains("postgres")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_line_by_line_and_may_be_incomplete() {
        let cluster = tempfile::tempdir().unwrap();
        assert_eq!(Record::read(cluster.path()), None);
        fs::write(path(cluster.path()), "4711\n/data\n1700000000\n").unwrap();
        let starting = Record { pid: 4711, port: None, socket_dir: None, ready: false };
        assert_eq!(Record::read(cluster.path()), Some(starting));
        fs::write(path(cluster.path()), "4711\n/data\n17\n20001\n/sock\n127.0.0.1\n  1 2\nready   \n")
            .unwrap();
        let ready =
            Record { pid: 4711, port: Some(20_001), socket_dir: Some(PathBuf::from("/sock")), ready: true };
        assert_eq!(Record::read(cluster.path()), Some(ready));
    }

    #[test]
    fn a_process_that_is_no_server_of_the_cluster_is_not_believed() {
        let cluster = tempfile::tempdir().unwrap();
        fs::write(path(cluster.path()), format!("{}\n/data\n", process::id())).unwrap();
        assert_eq!(Record::of_running(cluster.path()), None);
    }
}
