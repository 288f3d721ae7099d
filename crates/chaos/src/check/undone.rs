//! Every handler runs by a retain that is in the ledger, or by one that a crash of PostgreSQL undid: one that was recorded, at a
//! time when the commit of the retain may not have been on disk.

use super::Index;
use crate::evidence::Evidence;

pub(super) fn find(evidence: &Evidence, index: &Index<'_>) -> Vec<String> {
    let gone = evidence.runs.iter().filter(|run| !index.retains.contains_key(&run.fence));
    gone.filter(|run| !index.is_undone(run))
        .map(|run| format!("{:?} was run in {}, and nobody retained it", run.fence, run.process))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::planted::{clean, only_rule, undone};
    use crate::evidence::Span;

    const RULE: &str = "what runs was retained, and only a crash undoes that";

    #[test]
    fn a_crash_undoes_a_retain() {
        let mut evidence = clean();
        undone(&mut evidence);
        only_rule(&evidence, &[]);
    }

    #[test]
    fn a_handler_whose_retain_is_gone_without_a_crash_is_found() {
        let mut evidence = clean();
        undone(&mut evidence);
        evidence.crashes.clear();
        only_rule(&evidence, &["handlers of a task overlap only after a lapse or a crash", RULE]);
    }

    #[test]
    fn a_crash_before_the_retain_or_long_after_it_is_no_excuse() {
        for at in [500, 100_000_000] {
            let mut evidence = clean();
            undone(&mut evidence);
            evidence.crashes = vec![Span { from: at, to: at + 100 }];
            only_rule(&evidence, &["handlers of a task overlap only after a lapse or a crash", RULE]);
        }
    }
}
