//! A process ends only if the driver killed it, or asked it to, and then in order; and a handler without an end was in one that was
//! killed.
//!
//! One excuse: the server ends at its start, in words of its own, if there is no database then, which whoever runs it starts again.

use std::collections::HashSet;

use super::Index;
use super::lapses::is_disturbed;
use crate::evidence::{Evidence, Span};
use crate::history::{Departure, Reason};

/// What the server says that found no database when it was started.
const NO_DATABASE: &str = "the database cannot be used";

pub(super) fn find(evidence: &Evidence, _: &Index<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (at, departure) in &evidence.departures {
        let Departure { process, reason, code, words, .. } = departure;
        let is_in_order = match reason {
            Reason::Killed => true,
            Reason::Asked => *code == Some(0),
            Reason::None => is_without_database(evidence, departure, *at),
        };
        if !is_in_order {
            let how = code.map_or_else(|| "by a signal".to_owned(), |code| format!("with {code}"));
            let when = if *reason == Reason::Asked { "when it was asked to" } else { "by itself" };
            wrong.push(format!("{process} ended {when}, {how}: {words}"));
        }
    }
    let killed = evidence.departures.iter().filter(|(_, departure)| departure.reason == Reason::Killed);
    let killed: HashSet<&str> = killed.map(|(_, departure)| departure.process.as_str()).collect();
    let cut = evidence.runs.iter().filter(|run| run.ran.is_none() && !killed.contains(run.process.as_str()));
    wrong.extend(cut.map(|run| format!("{} was not killed, and {:?} has no end", run.process, run.fence)));
    wrong
}

/// Whether it is the server, which found no database while one of the faults kept it away.
fn is_without_database(evidence: &Evidence, departure: &Departure, end: i64) -> bool {
    let life = Span { from: evidence.moment(departure.since), to: end };
    departure.process.starts_with("server-")
        && departure.code == Some(1)
        && departure.words.contains(NO_DATABASE)
        && is_disturbed(evidence, life)
}

#[cfg(test)]
mod tests {
    use super::super::planted::{clean, fault, gone, only_rule};
    use super::NO_DATABASE;
    use crate::history::Reason;

    const RULE: &str = "processes end only if they are killed or asked to";

    #[test]
    fn a_process_that_ends_by_itself_is_found_with_its_last_words() {
        let mut evidence = clean();
        let (at, mut departure) = gone("producer-0.0", Reason::None);
        (departure.code, departure.words) = (Some(101), "panicked at".to_owned());
        evidence.departures.push((at, departure));
        only_rule(&evidence, &[RULE]);
        let found = super::super::check(&evidence);
        assert!(found[0].what.contains("with 101: panicked at"), "{found:?}");
    }

    #[test]
    fn a_process_that_was_asked_to_end_and_failed_is_found() {
        let mut evidence = clean();
        evidence.departures[0].1.code = Some(1);
        only_rule(&evidence, &[RULE]);
    }

    #[test]
    fn a_handler_that_vanished_from_a_process_that_was_not_killed_is_found() {
        let mut evidence = clean();
        let mut run = evidence.runs[0].clone();
        run.ran = None;
        run.fence.task = 2;
        run.fence.attempt = 3;
        evidence.runs.push(run);
        let found = super::super::check(&evidence);
        assert!(found.iter().any(|violation| violation.what.contains("has no end")), "{found:?}");
    }

    #[test]
    fn a_server_may_end_at_its_start_for_want_of_a_database_and_only_while_a_fault_takes_that() {
        let mut evidence = clean();
        let (at, mut departure) = gone("server-0.0", Reason::None);
        (departure.code, departure.words) = (Some(1), format!("Error: {NO_DATABASE}: refused"));
        evidence.departures.push((at, departure));
        only_rule(&evidence, &[RULE]);
        evidence.faults.push(fault("crash", 900, 1_000));
        only_rule(&evidence, &[]);
    }
}
