//! What a workload took of the machine: CPU by the kernel's accounts, WAL and commits by the server's.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio_postgres::Client;

/// The kernel tells CPU time in hundredths of a second, on every Linux.
const TICKS: f64 = 100.0;
/// How long sessions of a driver that has ended may take to end.
const ENDING: Duration = Duration::from_secs(10);

const TOTALS: &str = "SELECT (pg_current_wal_insert_lsn() - '0/0')::float8 AS wal, \
    (SELECT sum(xact_commit)::float8 FROM pg_stat_database WHERE datname = $1) AS commits";
const SESSIONS: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1";

/// Totals, which only ever grow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Totals {
    pub(crate) wal: f64,
    pub(crate) commits: f64,
    pub(crate) server: f64,
    pub(crate) driver: f64,
}

impl Totals {
    /// As they are once nobody is connected to the database any more: sessions report what they did when they end.
    pub(crate) async fn read(control: &Client, database: &str, postmaster: u32) -> anyhow::Result<Self> {
        let since = Instant::now();
        while control.query_one(SESSIONS, &[&database]).await?.try_get::<_, i64>(0)? > 0 {
            if since.elapsed() > ENDING {
                bail!("sessions of the driver outlive it");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let row = control.query_one(TOTALS, &[&database]).await?;
        Ok(Self {
            wal: row.try_get("wal")?,
            commits: row.try_get("commits")?,
            server: tree(postmaster)?,
            driver: ended_children()?,
        })
    }
}

/// What the CPU did for a process and its children, in seconds; those that have ended included.
fn tree(root: u32) -> anyhow::Result<f64> {
    let mut seconds = 0.0;
    for entry in fs::read_dir("/proc").context("/proc cannot be read")? {
        let name = entry?.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // One that ended meanwhile is in its parent's account.
        let Some(account) = account(&id.to_string()) else { continue };
        if id == root || account.parent == root {
            seconds += account.own + account.children;
        }
    }
    Ok(seconds)
}

/// What the CPU did for children of this process that have ended, and for theirs. The server is none of them: it runs.
fn ended_children() -> anyhow::Result<f64> {
    Ok(account("self").context("/proc/self/stat cannot be read")?.children)
}

/// What the kernel tells of a process.
#[derive(Debug, PartialEq)]
struct Account {
    parent: u32,
    own: f64,
    children: f64,
}

fn account(process: &str) -> Option<Account> {
    parse(&fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
}

/// The name of the program, in parentheses, can hold anything: what counts comes after the last of them.
fn parse(stat: &str) -> Option<Account> {
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let seconds = |index: usize| fields.get(index)?.parse::<f64>().ok().map(|ticks| ticks / TICKS);
    Some(Account {
        parent: fields.get(1)?.parse().ok()?,
        own: seconds(11)? + seconds(12)?,
        children: seconds(13)? + seconds(14)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_read_whatever_the_program_is_called() {
        let stat = "42 (a) b) S 7 1 1 0 -1 4194304 100 0 0 0 150 50 25 75 20 0 1 0 9 0 0";
        assert_eq!(parse(stat), Some(Account { parent: 7, own: 2.0, children: 1.0 }));
        assert_eq!(parse("42 (a"), None);
    }
}
