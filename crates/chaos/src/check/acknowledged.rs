//! A task that a caller was told is created ends exactly once, or still waits.

use super::Index;
use crate::evidence::Evidence;
use crate::history::Answer;

pub(super) fn find(evidence: &Evidence, index: &Index<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for call in &evidence.calls {
        let Some((_, Answer::Created(ids))) = &call.answer else { continue };
        if ids.len() != call.tasks.len() {
            wrong.push(format!(
                "{} asked for {} tasks and got {}",
                call.process,
                call.tasks.len(),
                ids.len()
            ));
        }
        for (id, wanted) in ids.iter().zip(&call.tasks) {
            let found = i64::try_from(*id).ok().and_then(|id| index.by_id.get(&id));
            match found.map_or(&[][..], Vec::as_slice) {
                [] => wrong.push(format!("task {id} ({}) is lost", wanted.mark)),
                [one] if one.mark != wanted.mark => {
                    wrong.push(format!("task {id} is {:?}, and should be {:?}", one.mark, wanted.mark));
                }
                [one] if wanted.keyed && one.key.is_none() => {
                    wrong.push(format!("task {id} ({}) has lost its key", wanted.mark));
                }
                [_] => {}
                several => {
                    wrong.push(format!("task {id} ({}) is there {} times", wanted.mark, several.len()));
                }
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::super::planted::{clean, only_rule, recount};
    use crate::history::Answer;

    const RULE: &str = "an acknowledged task is there, under its id, once";

    #[test]
    fn a_lost_task_is_found() {
        let mut evidence = clean();
        evidence.tasks.remove(0);
        recount(&mut evidence);
        only_rule(&evidence, &[RULE, "each change of a task goes on from the one before"]);
    }

    #[test]
    fn a_task_that_ended_twice_is_found() {
        let mut evidence = clean();
        let again = evidence.tasks[0].clone();
        evidence.tasks.push(again);
        let rules =
            [RULE, "no task is there twice, and none that was refused", "the counters equal the tables"];
        only_rule(&evidence, &rules);
    }

    #[test]
    fn a_call_that_got_fewer_tasks_than_it_asked_for_is_found() {
        let mut evidence = clean();
        evidence.calls[0].answer = Some((10, Answer::Created(Vec::new())));
        only_rule(&evidence, &[RULE]);
    }

    #[test]
    fn a_task_that_has_lost_its_key_is_found() {
        let mut evidence = clean();
        evidence.calls[0].tasks[0].keyed = true;
        only_rule(&evidence, &[RULE]);
        evidence.tasks[0].key = Some("its key".to_owned());
        only_rule(&evidence, &[]);
    }

    #[test]
    fn a_task_under_the_id_of_another_is_found() {
        let mut evidence = clean();
        let (first, second) = (evidence.tasks[0].mark.clone(), evidence.tasks[1].mark.clone());
        evidence.tasks[0].mark = second;
        evidence.tasks[1].mark = first;
        only_rule(&evidence, &[RULE, "what is done was done by a handler"]);
    }
}
