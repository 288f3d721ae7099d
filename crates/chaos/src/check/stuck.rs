//! When the faults are over, and time enough has passed, everything has ended.

use super::Index;
use crate::evidence::Evidence;

pub(super) fn find(evidence: &Evidence, _: &Index<'_>) -> Vec<String> {
    let left = evidence.tasks.iter().filter(|found| found.status.is_none());
    left.map(|found| format!("{:?} ({}) has not ended", found.fence, found.mark)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::planted::{clean, only_rule};

    #[test]
    fn a_task_that_does_not_end_is_found() {
        let mut evidence = clean();
        evidence.tasks[1].status = None;
        let rules = ["a release ends the attempt that it was meant for", "nothing is left over"];
        only_rule(&evidence, &rules);
    }
}
