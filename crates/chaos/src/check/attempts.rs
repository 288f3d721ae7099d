//! Attempts are counted one by one, a number is never given out twice, no more are spent than the queue allows, and each is run
//! at most once.

use std::collections::HashSet;

use super::Index;
use crate::evidence::{Evidence, Op};
use crate::history::Fence;

pub(super) fn find(evidence: &Evidence, index: &Index<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut given: HashSet<(i64, i32)> = HashSet::new();
    for entry in &evidence.ledger {
        let Fence { task, attempt, .. } = entry.after;
        if entry.spent() > entry.retries {
            wrong.push(format!("task {task} spent {} of {} attempts", entry.spent(), entry.retries));
        }
        if entry.op != Op::Retained {
            continue;
        }
        if attempt != entry.before.attempt + 1 {
            wrong.push(format!("task {task}: attempt {attempt} came after {}", entry.before.attempt));
        }
        if !given.insert((task, attempt)) {
            wrong.push(format!("task {task}: attempt {attempt} was given out twice"));
        }
    }
    for found in &evidence.tasks {
        let Fence { task, attempt, .. } = found.fence;
        if attempt - found.spared > found.retries {
            wrong.push(format!(
                "task {task} has spent {} of {} attempts",
                attempt - found.spared,
                found.retries
            ));
        }
    }
    let mut begun: HashSet<Fence> = HashSet::new();
    for run in &evidence.runs {
        if !begun.insert(run.fence) {
            wrong.push(format!("{:?} was run twice", run.fence));
        }
        if let Some(found) = index.by_id.get(&run.fence.task).and_then(|found| found.first())
            && !index.is_undone(run)
            && run.fence.attempt > found.fence.attempt
        {
            wrong.push(format!(
                "{:?} was run, and its task counts {} attempts",
                run.fence, found.fence.attempt
            ));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::super::planted::{clean, handed_on, only_rule};

    const RULE: &str = "attempts are counted one by one, and never exceed the retries";

    #[test]
    fn an_attempt_too_many_is_found() {
        let mut evidence = clean();
        handed_on(&mut evidence);
        for entry in &mut evidence.ledger {
            entry.retries = 1;
        }
        only_rule(&evidence, &[RULE]);
    }

    #[test]
    fn a_number_that_is_given_out_twice_is_found() {
        let mut evidence = clean();
        handed_on(&mut evidence);
        for entry in evidence.ledger.iter_mut().filter(|entry| entry.after.attempt == 2) {
            entry.after.attempt = 1;
        }
        let found = super::super::check(&evidence);
        assert!(found.iter().any(|violation| violation.what.contains("given out twice")), "{found:?}");
    }

    #[test]
    fn an_attempt_that_was_run_and_is_not_counted_is_found() {
        let mut evidence = clean();
        evidence.tasks[0].fence.attempt = 0;
        let found = super::super::check(&evidence);
        assert!(found.iter().any(|violation| violation.what.contains("counts 0 attempts")), "{found:?}");
    }

    #[test]
    fn an_attempt_that_is_run_twice_is_found() {
        let mut evidence = clean();
        let mut again = evidence.runs[0].clone();
        (again.from, again.to) = (again.to + 10, again.to + 20);
        evidence.runs.push(again);
        only_rule(&evidence, &[RULE]);
    }
}
