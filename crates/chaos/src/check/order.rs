//! Within a priority, older tasks are retained first: where one worker takes the tasks of a queue, nobody else holds their rows,
//! and a task was acknowledged before the other was asked for. First attempts only: what comes back has lost its place.

use std::collections::HashMap;

use super::Index;
use crate::evidence::{Evidence, Run};
use crate::history::Answer;

/// The queue that a single worker serves.
pub(crate) const ORDERED: &str = "ordered";

pub(super) fn find(evidence: &Evidence, index: &Index<'_>) -> Vec<String> {
    let first_runs = evidence
        .runs
        .iter()
        .filter(|run| run.queue == ORDERED && run.fence.attempt == 1 && !index.is_undone(run));
    let mut runs: HashMap<&str, &Run> = first_runs.map(|run| (run.mark.as_str(), run)).collect();
    let mut lanes: HashMap<u8, Vec<(u64, u64, &Run)>> = HashMap::new();
    for call in evidence.calls.iter().filter(|call| call.queue == ORDERED) {
        let (Some((answered, Answer::Created(_))), [wanted]) = (&call.answer, call.tasks.as_slice()) else {
            continue;
        };
        if let Some(run) = runs.remove(wanted.mark.as_str()) {
            lanes.entry(call.priority).or_default().push((call.asked, *answered, run));
        }
    }
    lanes.into_values().flat_map(overtaken).collect()
}

/// Those that were retained before another which had been acknowledged when they were asked for.
fn overtaken(mut lane: Vec<(u64, u64, &Run)>) -> Vec<String> {
    let mut answered: Vec<(u64, &Run)> = lane.iter().map(|(_, answered, run)| (*answered, *run)).collect();
    answered.sort_by_key(|(answered, _)| *answered);
    lane.sort_by_key(|(asked, ..)| *asked);
    let (mut older, mut latest): (_, Option<&Run>) = (answered.into_iter().peekable(), None);
    let mut wrong = Vec::new();
    for (asked, _, run) in lane {
        while let Some((_, before)) = older.next_if(|(answered, _)| *answered < asked) {
            if latest.is_none_or(|latest| latest.retained_at < before.retained_at) {
                latest = Some(before);
            }
        }
        if let Some(latest) = latest.filter(|latest| latest.retained_at > run.retained_at) {
            wrong.push(format!("{:?} was retained before {:?}, which is older", run.mark, latest.mark));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::super::planted::{clean, only_rule};

    #[test]
    fn a_task_that_overtakes_an_older_one_is_found() {
        let mut evidence = clean();
        evidence.runs[0].retained_at = 1_000_000;
        only_rule(&evidence, &["tasks of a priority are retained in the order of their creation"]);
    }

    #[test]
    fn a_task_that_overtakes_one_of_another_priority_is_none() {
        let mut evidence = clean();
        evidence.runs[0].retained_at = 1_000_000;
        evidence.calls[0].priority = 1;
        only_rule(&evidence, &[]);
    }
}
