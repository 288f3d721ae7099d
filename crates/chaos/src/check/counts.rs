//! The counters, which every statement changes by what it did, tell what there is.

use super::Index;
use crate::evidence::Evidence;

pub(super) fn find(evidence: &Evidence, _: &Index<'_>) -> Vec<String> {
    let wrong = evidence.counts.iter().filter(|count| count.told != count.found);
    let told = wrong.map(|count| {
        format!(
            "queue {}, status {}: {} by the counters, {} there",
            count.queue, count.status, count.told, count.found
        )
    });
    // What the query found is what is there: a table that was read in part would pass otherwise.
    let counted: i64 = evidence.counts.iter().map(|count| count.found).sum();
    let there = i64::try_from(evidence.tasks.len()).unwrap_or(i64::MAX);
    let complete = evidence.counts.is_empty() || counted >= there;
    let missing = format!("{counted} tasks were counted, and {there} are there");
    told.chain((!complete).then_some(missing)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::planted::{clean, only_rule};

    #[test]
    fn a_counter_that_is_off_by_one_is_found() {
        let mut evidence = clean();
        evidence.counts[0].told += 1;
        only_rule(&evidence, &["the counters equal the tables"]);
    }
}
