//! All that is known of a run when it is over: what the processes wrote, what the ledger says, and what the tables hold.

use std::collections::HashMap;

use anyhow::Context;
use tokio_postgres::{Client, IsolationLevel, Row};

use crate::history::{Account, Answer, Departure, Event, Fate, Fence, Ran, Wanted};

const READ_LEDGER: &str = include_str!("../sql/read_ledger.sql");
const READ_TASKS: &str = include_str!("../sql/read_tasks.sql");
const READ_COUNTS: &str = include_str!("../sql/read_counts.sql");
pub(crate) const COUNT_FOLDED: &str = include_str!("../sql/count_folded.sql");

/// For how long after a start of the server leases from before it do not lapse, in microseconds.
pub(crate) const AMNESTY: i64 = 30_000_000;

/// A span of time, by the clock of the database, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: i64,
    pub(crate) to: i64,
}

impl Span {
    /// Whether the two have a moment in common.
    pub(crate) fn meets(self, other: Self) -> bool {
        self.from <= other.to && other.from <= self.to
    }
}

/// A fault, or a try at one.
#[derive(Debug, Clone)]
pub(crate) struct Disturbance {
    pub(crate) kind: String,
    pub(crate) span: Span,
}

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
    pub(crate) at: u64,
    pub(crate) process: String,
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

/// A lease, in microseconds by the clock of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lease {
    /// When the task was retained. Later extensions leave it as it is.
    pub(crate) started: i64,
    pub(crate) until: i64,
}

/// A change of a task that was committed, and outlasted every crash. Times are in microseconds by the clock of the database.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) op: Op,
    pub(crate) before: Fence,
    /// The lease that it had before.
    pub(crate) lease: Option<Lease>,
    pub(crate) after: Fence,
    /// Until when it is leased now.
    pub(crate) until: Option<i64>,
    pub(crate) spared_before: i32,
    pub(crate) spared: i32,
    pub(crate) retries: i32,
    pub(crate) dies_at: Option<i64>,
    /// When the transaction began.
    pub(crate) at: i64,
    /// When the server was started.
    pub(crate) server_start: i64,
}

impl Entry {
    /// Whether the lease that it had before was over: its end had come, and no start of the server kept it.
    pub(crate) fn has_lapsed(&self) -> bool {
        let is_kept =
            |lease: Lease| lease.started < self.server_start && self.at < self.server_start + AMNESTY;
        self.lease.is_some_and(|lease| lease.until < self.at && !is_kept(lease))
    }

    /// How many attempts have cost something.
    pub(crate) fn spent(&self) -> i32 {
        self.after.attempt - self.spared
    }
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
    /// How many counts maintenance has folded.
    pub(crate) folded: usize,
    /// How many of its jobs were run by the process that does nothing else.
    pub(crate) maintained: usize,
    /// How often a process saw its clock jump.
    pub(crate) jumps: usize,
    pub(crate) faults: Vec<Disturbance>,
    /// In which PostgreSQL crashed.
    pub(crate) crashes: Vec<Span>,
    /// In which PostgreSQL, or the machine, had too much to do.
    pub(crate) slow: Vec<Span>,
    /// When a process was sent a signal.
    pub(crate) signals: Vec<(i64, String)>,
    pub(crate) departures: Vec<(i64, Departure)>,
    /// What the clock of the histories is behind that of the database.
    pub(crate) behind: i64,
}

impl Evidence {
    /// Reads what is left in one snapshot, so that the counters are held against the tables of the same moment.
    pub(crate) async fn gather(accounts: Vec<Account>, client: &mut Client) -> anyhow::Result<Self> {
        let mut evidence = Self::of_history(accounts);
        let snapshot =
            client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
        let snapshot = snapshot.start().await?;
        let ledger = snapshot.query(READ_LEDGER, &[]).await.context("the ledger cannot be read")?;
        evidence.ledger = ledger.iter().map(entry).collect::<Result<_, _>>()?;
        let tasks = snapshot.query(READ_TASKS, &[]).await.context("the tasks cannot be read")?;
        evidence.tasks = tasks.iter().map(found).collect::<Result<_, _>>()?;
        let counts = snapshot.query(READ_COUNTS, &[]).await.context("the counts cannot be read")?;
        evidence.counts = counts.iter().map(count).collect::<Result<_, _>>()?;
        let folded: i64 = snapshot.query_one(COUNT_FOLDED, &[]).await?.try_get(0)?;
        evidence.folded = usize::try_from(folded)?;
        Ok(evidence)
    }

    /// What the processes tell, without the database.
    pub(crate) fn of_history(accounts: Vec<Account>) -> Self {
        let mut evidence = Self::default();
        let mut gone = HashMap::new();
        let lines = || accounts.iter().flat_map(|account| &account.lines);
        let began = lines().find_map(|line| match line.event {
            Event::Began { wall } => Some(wall - signed(line.at)),
            _ => None,
        });
        evidence.behind = began.unwrap_or(0);
        for line in lines() {
            if let Event::Gone(departure) = &line.event {
                gone.insert(departure.process.clone(), line.at);
            }
        }
        for account in accounts {
            let end = gone.get(&account.process).copied().unwrap_or(u64::MAX);
            evidence.add(account, end);
        }
        evidence
    }

    /// A time of the histories, by the clock of the database.
    pub(crate) fn moment(&self, at: u64) -> i64 {
        signed(at).saturating_add(self.behind)
    }

    fn add(&mut self, account: Account, end: u64) {
        let (mut calls, mut runs, mut faults) = (HashMap::new(), HashMap::new(), HashMap::new());
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
                Event::Told { fence, fate } => {
                    let (at, process) = (line.at, process.clone());
                    self.told.push(Told { at, process, fence, fate });
                }
                Event::Fault { n, kind, over: false, .. } => {
                    faults.insert(n, self.faults.len());
                    // Until it is told to be over.
                    self.faults
                        .push(Disturbance { kind, span: Span { from: self.moment(line.at), to: i64::MAX } });
                }
                Event::Fault { n, .. } => {
                    let to = self.moment(line.at);
                    if let Some(fault) = faults.get(&n).and_then(|fault: &usize| self.faults.get_mut(*fault))
                    {
                        fault.span.to = to;
                    }
                }
                Event::Crashed { since } => {
                    self.crashes.push(Span { from: self.moment(since), to: self.moment(line.at) });
                }
                Event::Slow { since } => {
                    self.slow.push(Span { from: self.moment(since), to: self.moment(line.at) });
                }
                Event::Signalled { process, .. } => self.signals.push((self.moment(line.at), process)),
                Event::Gone(departure) => self.departures.push((self.moment(line.at), departure)),
                Event::Maintained { jobs } => {
                    self.maintained =
                        self.maintained.saturating_add(usize::try_from(jobs).unwrap_or(usize::MAX));
                }
                Event::Jumped { .. } => self.jumps += 1,
                Event::Began { .. } => {}
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
    let (until, started): (Option<i64>, Option<i64>) = (row.try_get(10)?, row.try_get(11)?);
    Ok(Entry {
        op,
        before: Fence { task, attempt: row.try_get(2)?, holder: row.try_get(3)? },
        lease: until.zip(started).map(|(until, started)| Lease { started, until }),
        after: Fence { task, attempt: row.try_get(4)?, holder: row.try_get(5)? },
        until: row.try_get(12)?,
        spared_before: row.try_get(14)?,
        spared: row.try_get(6)?,
        retries: row.try_get(7)?,
        dies_at: row.try_get(13)?,
        at: row.try_get(8)?,
        server_start: row.try_get(9)?,
    })
}

fn signed(at: u64) -> i64 {
    i64::try_from(at).unwrap_or(i64::MAX)
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
    use crate::history::{Line, Reason};

    fn account(process: &str, lines: Vec<(u64, Event)>) -> Account {
        let lines = lines.into_iter().map(|(at, event)| Line { at, event }).collect();
        Account { process: process.to_owned(), lines }
    }

    #[test]
    fn a_handler_that_did_not_come_to_its_end_ran_until_its_process_was_gone() {
        let fence = Fence { task: 1, attempt: 1, holder: 2 };
        let started = Event::Started { fence, mark: "a".to_owned(), queue: "q".to_owned(), retained_at: 0 };
        let gone = Event::Gone(Departure {
            process: "worker-0.0".to_owned(),
            reason: Reason::Killed,
            since: 1,
            code: None,
            words: String::new(),
        });
        let evidence = Evidence::of_history(vec![
            account("worker-0.0", vec![(5, started)]),
            account("driver", vec![(9, gone)]),
        ]);
        assert_eq!((evidence.runs[0].from, evidence.runs[0].to, evidence.runs[0].ran), (5, 9, None));
    }

    #[test]
    fn what_the_driver_writes_is_told_by_the_clock_of_the_database() {
        let fault = |over| Event::Fault { n: 1, kind: "crash".to_owned(), over, note: String::new() };
        let lines = vec![
            (10, Event::Began { wall: 1_010 }),
            (20, fault(false)),
            (25, Event::Crashed { since: 21 }),
            (28, Event::Slow { since: 26 }),
            (30, fault(true)),
            (40, fault(false)),
        ];
        let evidence = Evidence::of_history(vec![account("driver", lines)]);
        let spans: Vec<_> = evidence.faults.iter().map(|fault| (fault.span.from, fault.span.to)).collect();
        assert_eq!(spans, [(1_020, 1_030), (1_040, i64::MAX)]);
        assert_eq!(evidence.crashes, [Span { from: 1_021, to: 1_025 }]);
        assert_eq!(evidence.slow, [Span { from: 1_026, to: 1_028 }]);
        assert_eq!(evidence.moment(50), 1_050);
    }
}
