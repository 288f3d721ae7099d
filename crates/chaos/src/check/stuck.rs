//! When the faults are over, and time enough has passed, everything has ended.

use super::Index;
use crate::evidence::Evidence;

pub(super) fn find(evidence: &Evidence, _: &Index<'_>) -> Vec<String> {
    let left = evidence.tasks.iter().filter(|found| found.status.is_none());
    left.map(|found| format!("{:?} ({}) has not ended", found.fence, found.mark)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::planted::{clean, only_rule, recount};
    use crate::evidence::Op;
    use crate::history::Fate;

    #[test]
    fn a_task_that_does_not_end_is_found() {
        let mut evidence = clean();
        let ended = evidence.ledger.pop().unwrap();
        assert_eq!(ended.op, Op::Ended);
        evidence.tasks[1].status = None;
        evidence.told[1].fate = Fate::Unknown;
        recount(&mut evidence);
        only_rule(&evidence, &["nothing is left over"]);
    }
}
