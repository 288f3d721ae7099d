//! The checker: what must hold of a run, each as a pure function of the evidence in a file of its own.
//!
//! Crashes and faults excuse some of what must not be otherwise: a handler whose retain is gone, a lease that lapsed. Each
//! excuse asks for the record of what it names, at the time at which that must have been.

mod acknowledged;
mod attempts;
mod chain;
mod counts;
mod fences;
mod lapses;
mod leases;
mod model;
mod once;
mod order;
mod overlap;
#[cfg(test)]
pub(crate) mod planted;
mod processes;
mod reasons;
mod stuck;
#[cfg(test)]
mod tables;
mod told;
mod undone;
mod work;

use std::collections::HashMap;
use std::fmt;

use crate::evidence::{Entry, Evidence, Found, Op, Run, Span};
use crate::history::Fence;

pub(crate) use order::ORDERED;

/// For how long the commit of a retain may not be on disk, and a crash undo it, in microseconds from the beginning of its
/// transaction. It may wait for its locks, and then for three rounds of the log's writer, which are 0.6 s while the disk keeps up.
const UNFLUSHED: i64 = 5_000_000;
/// Below these bits all holders of one process are the same: it counts the statements by which it retains.
const FLIGHT_BITS: u32 = 23;

/// What must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) rule: &'static str,
    pub(crate) what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.what)
    }
}

/// A rule, in words, and what it finds.
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    find: fn(&Evidence, &Index<'_>) -> Vec<String>,
}

pub(crate) const RULES: &[Rule] = &[
    Rule { name: "an acknowledged task is there, under its id, once", find: acknowledged::find },
    Rule { name: "no task is there twice, and none that was refused", find: once::find },
    Rule { name: "each change of a task goes on from the one before", find: chain::find },
    Rule { name: "no two leases of a task run at the same time", find: leases::find },
    Rule { name: "a lease lapses only where something kept it from being extended", find: lapses::find },
    Rule { name: "handlers of a task overlap only after a lapse or a crash", find: overlap::find },
    Rule { name: "what runs was retained, and only a crash undoes that", find: undone::find },
    Rule { name: "attempts are counted one by one, and never exceed the retries", find: attempts::find },
    Rule { name: "a release ends the attempt that it was meant for", find: fences::find },
    Rule { name: "who has run a handler is told once what became of it", find: told::find },
    Rule { name: "what is done was done by a handler", find: work::find },
    Rule { name: "what fails, expires or costs an attempt has a reason to", find: reasons::find },
    Rule { name: "tasks of a priority are retained in the order of their creation", find: order::find },
    Rule { name: "the counters equal the tables", find: counts::find },
    Rule { name: "nothing is left over", find: stuck::find },
    Rule { name: "processes end only if they are killed or asked to", find: processes::find },
    Rule { name: model::RULE, find: model::find },
];

/// What several rules look up.
pub(crate) struct Index<'a> {
    /// The entries of each task, in their order.
    pub(crate) entries: HashMap<i64, Vec<&'a Entry>>,
    /// The retain of each fence that outlasted every crash.
    pub(crate) retains: HashMap<Fence, &'a Entry>,
    pub(crate) runs: HashMap<Fence, &'a Run>,
    pub(crate) by_id: HashMap<i64, Vec<&'a Found>>,
    pub(crate) by_mark: HashMap<&'a str, Vec<&'a Found>>,
    /// By what their holders have in common.
    processes: HashMap<i64, &'a str>,
    crashes: &'a [Span],
}

impl<'a> Index<'a> {
    fn new(evidence: &'a Evidence) -> Self {
        let mut index = Self {
            entries: HashMap::new(),
            retains: HashMap::new(),
            runs: HashMap::new(),
            by_id: HashMap::new(),
            by_mark: HashMap::new(),
            processes: HashMap::new(),
            crashes: &evidence.crashes,
        };
        for entry in &evidence.ledger {
            index.entries.entry(entry.after.task).or_default().push(entry);
            if entry.op == Op::Retained {
                index.retains.insert(entry.after, entry);
            }
        }
        for found in &evidence.tasks {
            index.by_id.entry(found.fence.task).or_default().push(found);
            index.by_mark.entry(&found.mark).or_default().push(found);
        }
        for run in &evidence.runs {
            index.runs.insert(run.fence, run);
            index.processes.insert(run.fence.holder >> FLIGHT_BITS, &run.process);
        }
        index
    }

    /// Whether a crash of the server undid the retain that this was run by, for its commit does not wait for the disk.
    pub(crate) fn is_undone(&self, run: &Run) -> bool {
        let unflushed = Span { from: run.retained_at, to: run.retained_at + UNFLUSHED };
        !self.retains.contains_key(&run.fence) && self.crashes.iter().any(|crash| crash.meets(unflushed))
    }

    /// Whether this retain took back one of the same process whose answer was lost: nobody knew of it, so that nobody ran it.
    pub(crate) fn is_taken_back(&self, entry: &Entry) -> bool {
        let of_one_process = entry.before.holder >> FLIGHT_BITS == entry.after.holder >> FLIGHT_BITS;
        entry.lease.is_some()
            && entry.spared == entry.spared_before + 1
            && of_one_process
            && !self.runs.contains_key(&entry.before)
    }

    /// Which process ran this, or others that it retained by the same name; `None` if it ran nothing.
    pub(crate) fn process_of(&self, fence: Fence) -> Option<&'a str> {
        let run = self.runs.get(&fence).map(|run| run.process.as_str());
        run.or_else(|| self.processes.get(&(fence.holder >> FLIGHT_BITS)).copied())
    }

    /// The status that a task has ended with.
    pub(crate) fn status(&self, task: i64) -> Option<u8> {
        self.by_id.get(&task).and_then(|found| found.first()).and_then(|found| found.status)
    }
}

/// All that is wrong.
pub(crate) fn check(evidence: &Evidence) -> Vec<Violation> {
    let index = Index::new(evidence);
    RULES
        .iter()
        .flat_map(|rule| {
            let found = (rule.find)(evidence, &index);
            found.into_iter().map(|what| Violation { rule: rule.name, what })
        })
        .collect()
}
