//! All that is known of a run when it is over: what the processes wrote, what the ledger says, and what the tables hold.

use std::collections::HashMap;

use anyhow::Context;
use tokio_postgres::{Client, Row};

use crate::history::{Account, Answer, Event, Fate, Fence, Ran, Wanted};

const READ_LEDGER: &str = include_str!("../sql/read_ledger.sql");
const READ_TASKS: &str = include_str!("../sql/read_tasks.sql");
const READ_COUNTS: &str = include_str!("../sql/read_counts.sql");

/// A call that was to create tasks.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) process: String,
    pub(crate) queue: String,
    pub(crate) priority: u8,
    pub(crate) tasks: Vec<Wanted>,
    pub(crate) asked: u64,
    /// `None` if the process was killed before it had an answer.
    pub(crate) answer: Option<(u64, Answer)>,
}

/// A handler that ran.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) process: String,
    pub(crate) fence: Fence,
    pub(crate) mark: String,
    pub(crate) queue: String,
    pub(crate) retained_at: i64,
    pub(crate) from: u64,
    /// The end of its process where it did not come to its own.
    pub(crate) to: u64,
    pub(crate) ran: Option<Ran>,
}

/// What a worker was told of a release.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) fence: Fence,
    pub(crate) fate: Fate,
}

/// What a change of a task was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Created,
    Retained,
    Extended,
    Returned,
    Ended,
}

/// A change of a task that was committed, and outlasted every crash.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) op: Op,
    pub(crate) before: Fence,
    pub(crate) leased_before: bool,
    /// The lease that it had before was over.
    pub(crate) lapsed: bool,
    pub(crate) after: Fence,
    pub(crate) spared: i32,
    pub(crate) retries: i32,
}

/// A task as it is at the end.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) mark: String,
    /// `None` of one that has not ended.
    pub(crate) status: Option<u8>,
    pub(crate) fence: Fence,
    pub(crate) spared: i32,
    pub(crate) retries: i32,
    pub(crate) key: Option<String>,
}

/// What the counters tell of a queue and status, beside what there is.
#[derive(Debug, Clone)]
pub(crate) struct Count {
    pub(crate) queue: String,
    pub(crate) status: u8,
    pub(crate) told: i64,
    pub(crate) found: i64,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Evidence {
    pub(crate) calls: Vec<Call>,
    pub(crate) runs: Vec<Run>,
    pub(crate) told: Vec<Told>,
    pub(crate) ledger: Vec<Entry>,
    pub(crate) tasks: Vec<Found>,
    pub(crate) counts: Vec<Count>,
}

impl Evidence {
    pub(crate) async fn gather(accounts: Vec<Account>, client: &Client) -> anyhow::Result<Self> {
        let mut evidence = Self::of_history(accounts);
        let ledger = client.query(READ_LEDGER, &[]).await.context("the ledger cannot be read")?;
        evidence.ledger = ledger.iter().map(entry).collect::<Result<_, _>>()?;
        let tasks = client.query(READ_TASKS, &[]).await.context("the tasks cannot be read")?;
        evidence.tasks = tasks.iter().map(found).collect::<Result<_, _>>()?;
        let counts = client.query(READ_COUNTS, &[]).await.context("the counts cannot be read")?;
        evidence.counts = counts.iter().map(count).collect::<Result<_, _>>()?;
        Ok(evidence)
    }

    /// What the processes tell, without the database.
    pub(crate) fn of_history(accounts: Vec<Account>) -> Self {
        let gone: HashMap<String, u64> = accounts
            .iter()
            .flat_map(|account| &account.lines)
            .filter_map(|line| match &line.event {
                Event::Gone { process } => Some((process.clone(), line.at)),
                _ => None,
            })
            .collect();
        let mut evidence = Self::default();
        for account in accounts {
            let end = gone.get(&account.process).copied().unwrap_or(u64::MAX);
            evidence.add(account, end);
        }
        evidence
    }

    fn add(&mut self, account: Account, end: u64) {
        let (mut calls, mut runs) = (HashMap::new(), HashMap::new());
        let Account { process, lines } = account;
        for line in lines {
            match line.event {
                Event::Asked { call, queue, priority, tasks } => {
                    calls.insert(call, self.calls.len());
                    let process = process.clone();
                    self.calls.push(Call { process, queue, priority, tasks, asked: line.at, answer: None });
                }
                Event::Answered { call, answer } => {
                    if let Some(call) = calls.get(&call) {
                        self.calls[*call].answer = Some((line.at, answer));
                    }
                }
                Event::Started { fence, mark, queue, retained_at } => {
                    runs.insert(fence, self.runs.len());
                    let (process, from) = (process.clone(), line.at);
                    self.runs.push(Run {
                        process,
                        fence,
                        mark,
                        queue,
                        retained_at,
                        from,
                        to: end.max(from),
                        ran: None,
                    });
                }
                Event::Ended { fence, ran } => {
                    if let Some(run) = runs.get(&fence).and_then(|run| self.runs.get_mut(*run)) {
                        run.to = line.at;
                        run.ran = Some(ran);
                    }
                }
                Event::Told { fence, fate } => self.told.push(Told { fence, fate }),
                Event::Jumped { .. } | Event::Gone { .. } | Event::Fault { .. } => {}
            }
        }
    }
}

fn entry(row: &Row) -> anyhow::Result<Entry> {
    let op = match row.try_get(0)? {
        "created" => Op::Created,
        "retained" => Op::Retained,
        "extended" => Op::Extended,
        "returned" => Op::Returned,
        "ended" => Op::Ended,
        other => anyhow::bail!("the ledger has an entry {other:?}"),
    };
    let task = row.try_get(1)?;
    Ok(Entry {
        op,
        before: Fence { task, attempt: row.try_get(2)?, holder: row.try_get(3)? },
        leased_before: row.try_get(4)?,
        lapsed: row.try_get(5)?,
        after: Fence { task, attempt: row.try_get(6)?, holder: row.try_get(7)? },
        spared: row.try_get(8)?,
        retries: row.try_get(9)?,
    })
}

fn found(row: &Row) -> anyhow::Result<Found> {
    Ok(Found {
        mark: row.try_get::<_, Option<String>>(1)?.unwrap_or_default(),
        status: row.try_get::<_, Option<i16>>(2)?.and_then(|status| u8::try_from(status).ok()),
        fence: Fence { task: row.try_get(0)?, attempt: row.try_get(3)?, holder: row.try_get(6)? },
        spared: row.try_get(4)?,
        retries: row.try_get(5)?,
        key: row.try_get(7)?,
    })
}

fn count(row: &Row) -> anyhow::Result<Count> {
    Ok(Count {
        queue: row.try_get(0)?,
        status: u8::try_from(row.try_get::<_, i16>(1)?)?,
        told: row.try_get(2)?,
        found: row.try_get(3)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Line;

    #[test]
    fn a_handler_that_did_not_come_to_its_end_ran_until_its_process_was_gone() {
        let fence = Fence { task: 1, attempt: 1, holder: 2 };
        let started = Event::Started { fence, mark: "a".to_owned(), queue: "q".to_owned(), retained_at: 0 };
        let account = |process: &str, at, event| Account {
            process: process.to_owned(),
            lines: vec![Line { at, event }],
        };
        let gone = Event::Gone { process: "worker-0.0".to_owned() };
        let evidence =
            Evidence::of_history(vec![account("worker-0.0", 5, started), account("driver", 9, gone)]);
        assert_eq!((evidence.runs[0].from, evidence.runs[0].to, evidence.runs[0].ran), (5, 9, None));
    }
}
