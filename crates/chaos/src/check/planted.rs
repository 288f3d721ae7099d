//! A run in which all is as it should be, for tests to plant one violation in.

use super::{RULES, check};
use crate::evidence::{Call, Count, Entry, Evidence, Found, Op, Run, Told};
use crate::history::{Answer, Fate, Fence, Ran, Wanted};

fn fence(task: i64, attempt: i32) -> Fence {
    Fence { task, attempt, holder: task * 10 + i64::from(attempt) }
}

fn entry(op: Op, before: Fence, after: Fence) -> Entry {
    let leased_before = matches!(op, Op::Ended | Op::Returned | Op::Extended);
    Entry { op, before, leased_before, lapsed: false, after, spared: 0, retries: 3 }
}

fn run(task: i64, attempt: i32, from: u64, to: u64) -> Run {
    Run {
        process: format!("worker-{attempt}.0"),
        fence: fence(task, attempt),
        mark: format!("mark-{task}"),
        queue: super::order::ORDERED.to_owned(),
        retained_at: task * 100 + i64::from(attempt),
        from,
        to,
        ran: Some(Ran::Done),
    }
}

/// Two tasks, one after the other: created, retained, run and released.
pub(super) fn clean() -> Evidence {
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
        let own = fence(task, 1);
        evidence.runs.push(run(task, 1, from + 20, from + 500));
        evidence.told.push(Told { fence: own, fate: Fate::Recorded(3) });
        evidence.ledger.push(entry(Op::Created, none, none));
        evidence.ledger.push(entry(Op::Retained, none, own));
        evidence.ledger.push(entry(Op::Ended, own, own));
        let found = Found { mark, status: Some(3), fence: own, spared: 0, retries: 3, key: None };
        evidence.tasks.push(found);
    }
    let count = |status, n| Count { queue: "ordered".to_owned(), status, told: n, found: n };
    evidence.counts = vec![count(0, 0), count(3, 2)];
    evidence
}

/// The first task as it is when its lease lapses: a second worker has it while the first is still at it, and ends it.
pub(super) fn handed_on(evidence: &mut Evidence) {
    let (first, second) = (fence(1, 1), fence(1, 2));
    evidence.runs.push(run(1, 2, 1_100, 1_900));
    evidence.told[0].fate = Fate::Lost;
    evidence.told.push(Told { fence: second, fate: Fate::Recorded(3) });
    evidence.tasks[0].fence = second;
    for entry in evidence.ledger.iter_mut().filter(|entry| entry.before == first) {
        (entry.before, entry.after) = (second, second);
    }
    let retained = Entry { leased_before: true, lapsed: true, ..entry(Op::Retained, first, second) };
    evidence.ledger.insert(2, retained);
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
