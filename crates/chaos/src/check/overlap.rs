//! Two handlers of one task run at the same time only if the lease of the first had lapsed when the second was given out, or
//! if a crash of the server undid the retain of one of them, whose commit had not reached the disk.

use std::collections::HashMap;

use super::Index;
use crate::evidence::{Evidence, Op, Run};

pub(super) fn find(evidence: &Evidence, index: &Index<'_>) -> Vec<String> {
    let mut by_task: HashMap<i64, Vec<&Run>> = HashMap::new();
    for run in &evidence.runs {
        by_task.entry(run.fence.task).or_default().push(run);
    }
    let mut wrong = Vec::new();
    for runs in by_task.values_mut() {
        runs.sort_by_key(|run| run.from);
        for (at, later) in runs.iter().enumerate() {
            for earlier in runs[..at].iter().filter(|earlier| earlier.to > later.from) {
                if !is_excused(index, earlier, later) {
                    wrong.push(format!(
                        "{:?} in {} began {} ms before {:?} in {} came to its end",
                        later.fence,
                        later.process,
                        (earlier.to - later.from) / 1_000,
                        earlier.fence,
                        earlier.process
                    ));
                }
            }
        }
    }
    wrong
}

fn is_excused(index: &Index<'_>, earlier: &Run, later: &Run) -> bool {
    if index.is_undone(earlier) || index.is_undone(later) {
        return true;
    }
    // Of two, the one that was given out first, whichever began first.
    let first = if earlier.fence.attempt < later.fence.attempt { earlier } else { later };
    let entries = index.entries.get(&first.fence.task).map_or(&[][..], Vec::as_slice);
    entries.iter().any(|entry| entry.op == Op::Retained && entry.before == first.fence && entry.has_lapsed())
}

#[cfg(test)]
mod tests {
    use super::super::planted::{clean, handed_on, only_rule, returned, undone};

    const RULE: &str = "handlers of a task overlap only after a lapse or a crash";

    #[test]
    fn handlers_overlap_after_a_lapse() {
        let mut evidence = clean();
        handed_on(&mut evidence);
        only_rule(&evidence, &[]);
    }

    #[test]
    fn a_handler_beside_another_that_was_returned_is_found() {
        let mut evidence = clean();
        returned(&mut evidence);
        evidence.runs[0].to = 1_500;
        only_rule(&evidence, &[RULE]);
    }

    #[test]
    fn a_retain_that_a_crash_undid_is_an_excuse() {
        let mut evidence = clean();
        undone(&mut evidence);
        only_rule(&evidence, &[]);
    }
}
