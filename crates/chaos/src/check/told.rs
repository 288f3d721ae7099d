//! Whoever has run a handler is told what became of the attempt, once: unless its process was killed before.

use std::collections::{HashMap, HashSet};

use super::Index;
use crate::evidence::Evidence;
use crate::history::{Fence, Reason};

pub(super) fn find(evidence: &Evidence, _: &Index<'_>) -> Vec<String> {
    let mut told: HashMap<(&str, Fence), usize> = HashMap::new();
    for one in &evidence.told {
        *told.entry((one.process.as_str(), one.fence)).or_default() += 1;
    }
    let asked = evidence.departures.iter().filter(|(_, departure)| departure.reason == Reason::Asked);
    let asked: HashSet<&str> = asked.map(|(_, departure)| departure.process.as_str()).collect();
    let runs = evidence.runs.iter().filter(|run| run.ran.is_some() && asked.contains(run.process.as_str()));
    let untold = runs.filter(|run| !told.contains_key(&(run.process.as_str(), run.fence)));
    let untold = untold.map(|run| format!("{} ran {:?}, and was told nothing", run.process, run.fence));
    let often = told.iter().filter(|(_, times)| **times > 1);
    let often =
        often.map(|((process, fence), times)| format!("{process} was told {times} times of {fence:?}"));
    untold.chain(often).collect()
}

#[cfg(test)]
mod tests {
    use super::super::planted::{clean, gone, only_rule};
    use crate::history::{Fate, Reason};

    const RULE: &str = "who has run a handler is told once what became of it";

    #[test]
    fn a_handler_that_is_told_nothing_is_found() {
        let mut evidence = clean();
        evidence.told.remove(0);
        only_rule(&evidence, &[RULE]);
        evidence.departures = vec![gone("worker-1.0", Reason::Killed)];
        only_rule(&evidence, &[]);
    }

    #[test]
    fn a_handler_that_is_told_twice_is_found() {
        let mut evidence = clean();
        let mut again = evidence.told[0].clone();
        again.fate = Fate::Unknown;
        evidence.told.push(again);
        only_rule(&evidence, &[RULE]);
    }
}
