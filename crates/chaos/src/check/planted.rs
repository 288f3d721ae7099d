//! A run in which all is as it should be, for tests to plant one violation in.

use super::{RULES, check};
use crate::evidence::{
    AMNESTY, Call, Count, Disturbance, Entry, Evidence, Found, Lease, Op, Run, Span, Told,
};
use crate::history::{Answer, Departure, Fate, Fence, Ran, Reason, Wanted};

fn fence(task: i64, attempt: i32) -> Fence {
    Fence { task, attempt, holder: task * 10 + i64::from(attempt) }
}

/// An entry about a task that is not leased.
fn entry(op: Op, before: Fence, after: Fence, at: i64) -> Entry {
    Entry {
        op,
        before,
        lease: None,
        after,
        until: None,
        spared_before: 0,
        spared: 0,
        retries: 3,
        dies_at: None,
        at,
        // So long ago that it keeps no lease.
        server_start: -2 * AMNESTY,
    }
}

/// The end of an attempt under its lease.
pub(super) fn end(own: Fence, lease: Lease, at: i64) -> Entry {
    Entry { lease: Some(lease), ..entry(Op::Ended, own, own, at) }
}

fn worker(attempt: i32) -> String {
    format!("worker-{attempt}.0")
}

fn run(task: i64, attempt: i32, from: u64, to: u64) -> Run {
    Run {
        process: worker(attempt),
        fence: fence(task, attempt),
        mark: format!("mark-{task}"),
        queue: super::order::ORDERED.to_owned(),
        retained_at: i64::try_from(from).unwrap() - 5,
        from,
        to,
        ran: Some(Ran::Done),
    }
}

pub(super) fn gone(process: &str, reason: Reason) -> (i64, Departure) {
    let (process, words) = (process.to_owned(), String::new());
    (9_000, Departure { process, reason, since: 100, code: Some(0), words })
}

pub(super) fn fault(kind: &str, from: i64, to: i64) -> Disturbance {
    Disturbance { kind: kind.to_owned(), span: Span { from, to } }
}

/// Two tasks, one after the other: created, retained, run and released.
pub(crate) fn clean() -> Evidence {
    let mut evidence = Evidence::default();
    for (task, id) in [(1, 1), (2, 2)] {
        let mark = format!("mark-{task}");
        let (from, none) = (1_000 * id, Fence { task, attempt: 0, holder: 0 });
        evidence.calls.push(Call {
            process: "producer-0.0".to_owned(),
            queue: super::order::ORDERED.to_owned(),
            priority: 5,
            tasks: vec![Wanted { mark: mark.clone(), keyed: false }],
            asked: from,
            answer: Some((from + 10, Answer::Created(vec![id]))),
        });
        let (own, at) = (fence(task, 1), 1_000 * task);
        let lease = Lease { started: at + 15, until: at + 80 };
        evidence.runs.push(run(task, 1, from + 20, from + 500));
        evidence.told.push(Told { at: 5_000, process: worker(1), fence: own, fate: Fate::Recorded(3) });
        evidence.ledger.push(entry(Op::Created, none, none, at));
        evidence
            .ledger
            .push(Entry { until: Some(lease.until), ..entry(Op::Retained, none, own, lease.started) });
        evidence.ledger.push(end(own, lease, at + 70));
        let found = Found { mark, status: Some(3), fence: own, spared: 0, retries: 3, key: None };
        evidence.tasks.push(found);
    }
    evidence.departures = [1, 2].map(|number| gone(&worker(number), Reason::Asked)).into();
    recount(&mut evidence);
    evidence
}

/// Counts the tasks anew, for a violation that is not about the counters.
pub(super) fn recount(evidence: &mut Evidence) {
    let count = |status: u8| {
        let is_it = |found: &&Found| found.status.unwrap_or(0) == status;
        let n = i64::try_from(evidence.tasks.iter().filter(is_it).count()).unwrap();
        Count { queue: "ordered".to_owned(), status, told: n, found: n }
    };
    evidence.counts = [0, 3, 4, 5, 6].map(count).into();
}

/// The first task as it is when its lease lapses, for its worker stands still: a second one has it while the first is still at
/// it, and ends it.
pub(crate) fn handed_on(evidence: &mut Evidence) {
    let (first, second) = (fence(1, 1), fence(1, 2));
    evidence.runs.push(run(1, 2, 1_100, 1_900));
    evidence.told[0].fate = Fate::Lost;
    evidence.told.push(Told { at: 5_000, process: worker(2), fence: second, fate: Fate::Recorded(3) });
    evidence.signals.push((1_030, worker(1)));
    evidence.tasks[0].fence = second;
    let (old, new) = (Lease { started: 1_015, until: 1_080 }, Lease { started: 1_095, until: 1_990 });
    for entry in evidence.ledger.iter_mut().filter(|entry| entry.before == first) {
        (entry.before, entry.after, entry.lease, entry.at) = (second, second, Some(new), 1_900);
    }
    let retained = entry(Op::Retained, first, second, new.started);
    evidence.ledger.insert(2, Entry { lease: Some(old), until: Some(new.until), ..retained });
}

/// The first task as it is when its first attempt failed, before a second one ended it.
pub(super) fn returned(evidence: &mut Evidence) {
    handed_on(evidence);
    evidence.signals.clear();
    let own = fence(1, 1);
    let lease = evidence.ledger[2].lease.take();
    evidence.ledger.insert(2, Entry { lease, ..entry(Op::Returned, own, own, 1_070) });
    evidence.runs[0].to = 1_060;
    evidence.runs[0].ran = Some(Ran::Retry);
    evidence.told[0].fate = Fate::Recorded(1);
}

/// The first task as it is when the answer of its first retain was lost: the same process has taken it back, and run it.
pub(super) fn taken_back(evidence: &mut Evidence) {
    handed_on(evidence);
    evidence.signals.clear();
    evidence.runs.retain(|run| run.fence != fence(1, 1));
    evidence.told.retain(|told| told.fence != fence(1, 1));
    for entry in evidence.ledger.iter_mut().filter(|entry| entry.after == fence(1, 2)) {
        // Before the lease was over.
        entry.at = entry.at.min(1_060);
        entry.spared = 1;
        entry.spared_before = i32::from(entry.op != Op::Retained);
    }
    evidence.tasks[0].spared = 1;
}

/// The first task as it is when a crash undid an earlier retain of it, whose handler ran on, and was killed.
pub(super) fn undone(evidence: &mut Evidence) {
    let mut before = evidence.runs[0].clone();
    (before.process, before.ran) = ("worker-3.0".to_owned(), None);
    before.fence.holder += 100;
    (before.from, before.retained_at) = (before.from - 10, before.retained_at - 10);
    evidence.runs.push(before);
    evidence.departures.push(gone("worker-3.0", Reason::Killed));
    evidence.crashes.push(Span { from: 1_008, to: 1_012 });
}

/// The first task as it is when it ended with another status.
pub(super) fn ended_as(evidence: &mut Evidence, status: u8) {
    evidence.tasks[0].status = Some(status);
    evidence.told[0].fate = Fate::Recorded(status);
    recount(evidence);
}

/// These rules are broken, and no others; but for that of the model, which finds much of what others do.
#[track_caller]
pub(super) fn only_rule(evidence: &Evidence, rules: &[&str]) {
    let found = check(evidence);
    let mut broken: Vec<&str> =
        found.iter().map(|violation| violation.rule).filter(|rule| *rule != super::model::RULE).collect();
    broken.dedup();
    assert_eq!(broken, rules, "{found:#?}");
}

#[test]
fn a_clean_run_passes() {
    only_rule(&clean(), &[]);
}

#[test]
fn each_rule_has_a_name_of_its_own() {
    let mut names: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), RULES.len());
}
