//! The checker: what must hold of a run, each as a pure function of the evidence in a file of its own.

mod acknowledged;
mod attempts;
mod counts;
mod fences;
mod leases;
mod model;
mod once;
mod order;
mod overlap;
#[cfg(test)]
mod planted;
mod stuck;
mod work;

use std::collections::HashMap;
use std::fmt;

use crate::evidence::{Entry, Evidence, Found, Op};
use crate::history::Fence;

pub(crate) use order::ORDERED;

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
    Rule { name: "no two leases of a task run at the same time", find: leases::find },
    Rule { name: "handlers of a task overlap only after a lapse or a crash", find: overlap::find },
    Rule { name: "attempts are counted one by one, and never exceed the retries", find: attempts::find },
    Rule { name: "a release ends the attempt that it was meant for", find: fences::find },
    Rule { name: "what is done was done by a handler", find: work::find },
    Rule { name: "tasks of a priority are retained in the order of their creation", find: order::find },
    Rule { name: "the counters equal the tables", find: counts::find },
    Rule { name: "nothing is left over", find: stuck::find },
    Rule { name: model::RULE, find: model::find },
];

/// What several rules look up.
pub(crate) struct Index<'a> {
    /// The entries of each task, in their order.
    pub(crate) entries: HashMap<i64, Vec<&'a Entry>>,
    /// The retain of each fence that outlasted every crash.
    pub(crate) retains: HashMap<Fence, &'a Entry>,
    pub(crate) by_id: HashMap<i64, Vec<&'a Found>>,
    pub(crate) by_mark: HashMap<&'a str, Vec<&'a Found>>,
}

impl<'a> Index<'a> {
    fn new(evidence: &'a Evidence) -> Self {
        let mut index = Self {
            entries: HashMap::new(),
            retains: HashMap::new(),
            by_id: HashMap::new(),
            by_mark: HashMap::new(),
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
        index
    }

    /// Whether the retain of this fence was undone by a crash of the server, for its commit does not wait for the disk.
    pub(crate) fn is_undone(&self, fence: Fence) -> bool {
        !self.retains.contains_key(&fence)
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
