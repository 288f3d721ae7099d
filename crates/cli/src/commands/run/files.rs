//! How many connections the limit of open files allows.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What is not for clients: the database, logs, the files of TLS.
const OWN: u64 = 100;
/// As many as are wanted where there is no other limit.
const WANTED: u64 = 20_000;

/// Raises the limit of open files as far as it goes, and returns how many connections may be open.
pub(super) fn connections(wanted: Option<u32>) -> usize {
    let files = match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((_, hard)) if setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() => hard,
        Ok((soft, _)) => soft,
        Err(_) => u64::MAX,
    };
    let allowed = files.saturating_sub(OWN).max(1);
    let connections = wanted.map_or(WANTED, u64::from);
    if wanted.is_some() && connections > allowed {
        tracing::warn!(
            "{connections} connections are more than the limit of {files} open files allows: {allowed}"
        );
    }
    usize::try_from(connections.min(allowed)).unwrap_or(usize::MAX)
}
