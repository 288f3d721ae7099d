//! A task is done because a handler said so, in the attempt that is recorded with it; and a handler gets the payload of its task.

use std::collections::HashSet;

use super::Index;
use crate::evidence::Evidence;
use crate::history::{Fence, RELEASED, Ran};

pub(super) fn find(evidence: &Evidence, index: &Index<'_>) -> Vec<String> {
    let done: HashSet<Fence> =
        evidence.runs.iter().filter(|run| run.ran == Some(Ran::Done)).map(|run| run.fence).collect();
    let released = evidence.tasks.iter().filter(|found| found.status == Some(RELEASED));
    let undone = released.filter(|found| !done.contains(&found.fence));
    let undone =
        undone.map(|found| format!("{:?} ({}) is done, and no handler did it", found.fence, found.mark));
    let strange = evidence.runs.iter().filter(|run| {
        let found = index.by_id.get(&run.fence.task).and_then(|found| found.first());
        found.is_some_and(|found| found.mark != run.mark)
    });
    let strange = strange.map(|run| format!("{:?} ran with the payload of {:?}", run.fence, run.mark));
    undone.chain(strange).collect()
}

#[cfg(test)]
mod tests {
    use super::super::planted::{clean, only_rule};
    use crate::history::Ran;

    const RULE: &str = "what is done was done by a handler";

    #[test]
    fn a_task_that_is_done_by_nobody_is_found() {
        let mut evidence = clean();
        evidence.runs.remove(0);
        only_rule(&evidence, &[RULE]);
    }

    #[test]
    fn a_task_that_is_done_though_its_handler_was_dropped_is_found() {
        let mut evidence = clean();
        evidence.runs[1].ran = Some(Ran::Dropped);
        only_rule(&evidence, &[RULE]);
    }
}
