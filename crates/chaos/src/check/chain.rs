//! The ledger has every change of a task: each goes on from what the one before left, the first is that it was created, nothing
//! comes after its end, and the tables have what the last one left. So no task is there, or gone, of which the ledger knows nothing.

use super::Index;
use crate::evidence::{Entry, Evidence, Found, Op};

pub(super) fn find(_: &Evidence, index: &Index<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (task, entries) in &index.entries {
        if let Some(first) = entries.first().filter(|first| first.op != Op::Created) {
            wrong.push(format!("task {task} was {:?} before it was created", first.op));
        }
        for pair in entries.windows(2) {
            if let [before, entry] = pair {
                wrong.extend(gap(before, entry));
            }
        }
        let found = index.by_id.get(task).and_then(|found| found.first());
        match entries.last().zip(found) {
            Some((last, found)) if !is_left(last, found) => {
                wrong.push(format!("{:?} was {:?} last, and is found as {found:?}", last.after, last.op));
            }
            Some(_) => {}
            None => wrong.push(format!("task {task} was created, and is not there")),
        }
    }
    let unknown = index.by_id.keys().filter(|task| !index.entries.contains_key(task));
    wrong.extend(unknown.map(|task| format!("task {task} is there, and was not created")));
    wrong
}

fn gap(before: &Entry, entry: &Entry) -> Option<String> {
    let told = |what: &str| Some(format!("{:?}, which was {:?}: {what}", entry.after, entry.op));
    let until = entry.lease.map(|lease| lease.until);
    match entry.op {
        Op::Created => told("it was created twice"),
        _ if before.op == Op::Ended => told("it had ended"),
        _ if (before.after, before.until, before.spared) != (entry.before, until, entry.spared_before) => {
            told("something changed it before that the ledger does not have")
        }
        Op::Retained | Op::Extended if entry.until.is_none() => told("it has no lease"),
        Op::Extended | Op::Returned | Op::Ended if entry.before != entry.after => told("it changed hands"),
        Op::Extended | Op::Returned if entry.lease.is_none() => told("it had no lease"),
        _ => None,
    }
}

/// The sweep, which ends what nobody holds, leaves no holder.
fn is_left(last: &Entry, found: &Found) -> bool {
    let holder = last.after.holder == found.fence.holder || (last.op == Op::Ended && found.fence.holder == 0);
    let counts = (last.after.attempt, last.spared) == (found.fence.attempt, found.spared);
    holder && counts && found.status.is_some() == (last.op == Op::Ended)
}

#[cfg(test)]
mod tests {
    use super::super::planted::{clean, handed_on, only_rule};
    use crate::evidence::Op;

    const RULE: &str = "each change of a task goes on from the one before";

    #[test]
    fn a_change_that_is_missing_is_found() {
        let mut evidence = clean();
        handed_on(&mut evidence);
        let extended = evidence.ledger.iter().position(|entry| entry.op == Op::Retained).unwrap();
        evidence.ledger[extended].until = Some(1);
        only_rule(&evidence, &[RULE]);
    }

    #[test]
    fn a_change_after_the_end_is_found() {
        let mut evidence = clean();
        let ended = evidence.ledger.iter().find(|entry| entry.op == Op::Ended).unwrap().clone();
        evidence.ledger.push(ended);
        only_rule(&evidence, &[RULE]);
    }

    #[test]
    fn a_task_that_is_not_as_its_last_change_left_it_is_found() {
        let mut evidence = clean();
        evidence.tasks[0].spared = 1;
        only_rule(&evidence, &[RULE]);
    }
}
