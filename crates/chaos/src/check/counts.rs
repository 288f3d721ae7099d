//! The counters, which every statement changes by what it did, tell exactly what there is; and what was counted for that is what
//! was read of each status, so that no table was read in part.

use super::Index;
use crate::evidence::Evidence;

/// The stored statuses of live tasks are below, those of finished ones from here on.
const FINISHED: u8 = 3;
const STATUSES: std::ops::RangeInclusive<u8> = FINISHED..=6;

pub(super) fn find(evidence: &Evidence, _: &Index<'_>) -> Vec<String> {
    let wrong = evidence.counts.iter().filter(|count| count.told != count.found);
    let told = wrong.map(|count| {
        format!(
            "queue {}, status {}: {} by the counters, {} there",
            count.queue, count.status, count.told, count.found
        )
    });
    let counted = |is_meant: &dyn Fn(u8) -> bool| -> i64 {
        evidence.counts.iter().filter(|count| is_meant(count.status)).map(|count| count.found).sum()
    };
    let read = |status: Option<u8>| {
        let there = evidence.tasks.iter().filter(|found| found.status == status).count();
        i64::try_from(there).unwrap_or(i64::MAX)
    };
    let live = (counted(&|status| status < FINISHED), read(None), "live".to_owned());
    let finished = STATUSES.map(|status| {
        (counted(&|counted| counted == status), read(Some(status)), format!("of status {status}"))
    });
    let parts = std::iter::once(live).chain(finished).filter(|(counted, read, _)| counted != read);
    let parts =
        parts.map(|(counted, read, which)| format!("{counted} tasks {which} were counted, and {read} read"));
    told.chain(parts.collect::<Vec<_>>()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::planted::{clean, only_rule};

    const RULE: &str = "the counters equal the tables";

    #[test]
    fn a_counter_that_is_off_by_one_is_found() {
        let mut evidence = clean();
        evidence.counts[0].told += 1;
        only_rule(&evidence, &[RULE]);
    }

    #[test]
    fn a_count_of_nothing_is_found() {
        let mut evidence = clean();
        evidence.counts.clear();
        only_rule(&evidence, &[RULE]);
    }

    #[test]
    fn a_task_too_many_in_both_is_found() {
        let mut evidence = clean();
        evidence.counts[1].told += 1;
        evidence.counts[1].found += 1;
        only_rule(&evidence, &[RULE]);
    }
}
