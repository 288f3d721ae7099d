//! What was asked for is there at most once, however often it was sent; what was refused is not there; and a bulk is there as
//! a whole or not at all.

use std::collections::{HashMap, HashSet};

use super::Index;
use crate::evidence::Evidence;
use crate::history::Answer;

pub(super) fn find(evidence: &Evidence, index: &Index<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    // One with a key may be refused at one call, and created by another.
    let mut refused: HashMap<&str, bool> = HashMap::new();
    let mut marks: HashSet<&str> = HashSet::new();
    for call in &evidence.calls {
        let is_refused = matches!(call.answer, Some((_, Answer::Refused(_))));
        for wanted in &call.tasks {
            marks.insert(&wanted.mark);
            *refused.entry(&wanted.mark).or_insert(true) &= is_refused;
        }
        let there =
            call.tasks.iter().filter(|wanted| index.by_mark.contains_key(wanted.mark.as_str())).count();
        let keyless = call.tasks.iter().all(|wanted| !wanted.keyed);
        if keyless && there != 0 && there != call.tasks.len() {
            let (of, first) = (call.tasks.len(), call.tasks.first().map_or("", |wanted| &wanted.mark));
            wrong.push(format!("of a bulk of {of} ({first}) {there} are there"));
        }
    }
    for (mark, found) in &index.by_mark {
        if found.len() > 1 {
            let ids: Vec<i64> = found.iter().map(|found| found.fence.task).collect();
            wrong.push(format!("{mark:?} is there {} times: {ids:?}", found.len()));
        }
        if !marks.contains(mark) {
            wrong.push(format!("nobody asked for {mark:?}"));
        }
    }
    let there = refused.iter().filter(|(mark, refused)| **refused && index.by_mark.contains_key(*mark));
    wrong.extend(there.map(|(mark, _)| format!("{mark:?} was refused, and is there")));
    wrong
}

#[cfg(test)]
mod tests {
    use super::super::planted::{clean, only_rule, recount};
    use crate::evidence::Call;
    use crate::history::Answer;

    const RULE: &str = "no task is there twice, and none that was refused";
    const CHAIN: &str = "each change of a task goes on from the one before";

    #[test]
    fn a_second_task_of_a_call_is_found() {
        let mut evidence = clean();
        let mut again = evidence.tasks[0].clone();
        again.fence.task = 99;
        again.status = Some(4);
        evidence.tasks.push(again);
        only_rule(&evidence, &[RULE, CHAIN, "the counters equal the tables"]);
    }

    #[test]
    fn a_second_task_of_a_call_with_a_key_that_was_sent_twice_is_found() {
        let mut evidence = clean();
        evidence.calls[0].tasks[0].keyed = true;
        // What nobody knows of was sent again, and both are there.
        evidence.calls[0].answer = None;
        let again = Call { answer: None, asked: 2, ..evidence.calls[0].clone() };
        evidence.calls.push(again);
        let mut twin = evidence.tasks[0].clone();
        twin.fence.task = 99;
        twin.status = Some(4);
        evidence.tasks.push(twin);
        only_rule(&evidence, &[RULE, CHAIN, "the counters equal the tables"]);
    }

    #[test]
    fn a_task_that_was_refused_and_is_there_is_found() {
        let mut evidence = clean();
        evidence.calls[0].answer = Some((10, Answer::Refused("no".to_owned())));
        only_rule(&evidence, &[RULE]);
    }

    #[test]
    fn half_a_bulk_is_found() {
        let mut evidence = clean();
        let second = evidence.calls.remove(1);
        evidence.calls[0].tasks.extend(second.tasks);
        evidence.calls[0].answer = None;
        evidence.tasks.remove(1);
        recount(&mut evidence);
        only_rule(&evidence, &[RULE, CHAIN]);
    }

    #[test]
    fn a_task_that_nobody_asked_for_is_found() {
        let mut evidence = clean();
        evidence.calls.remove(1);
        only_rule(&evidence, &[RULE]);
    }
}
