//! What a run must have seen, beside breaking no rule: each kind of fault that was planned, and work of every role. Where nothing
//! happens, nothing goes wrong.

use std::collections::BTreeSet;

use crate::evidence::{Evidence, Op};
use crate::history::{Answer, Fate};
use crate::plan::{Fault, Kind};
use crate::run::Tallies;

/// So often workers have to be killed or stopped before a lease has to have lapsed, and a clock to jump before it has to have been seen:
/// some have nothing to do then, or are not there.
const HARM: usize = 5;

/// How many of a hundred faults that were asked for have to have been injected: some meet nothing, whatever stands in for them.
const ENOUGH: usize = 90;

/// What each role did, in words and numbers.
pub(crate) fn deeds(evidence: &Evidence) -> [(&'static str, &'static str, usize); 8] {
    let created = |role: &str| {
        let calls = evidence.calls.iter().filter(|call| call.process.starts_with(role));
        calls.filter(|call| matches!(call.answer, Some((_, Answer::Created(_))))).count()
    };
    let ended = |role: &str| {
        let told = evidence.told.iter().filter(|told| told.process.starts_with(role));
        told.filter(|told| matches!(told.fate, Fate::Recorded(_))).count()
    };
    let (calls, attempts) = ("calls were acknowledged", "attempts were recorded");
    [
        ("producer", calls, created("producer-")),
        ("caller", calls, created("caller-")),
        ("server", "calls and attempts were its", created("caller-") + ended("remote-")),
        ("worker", attempts, ended("worker-")),
        ("orderly", attempts, ended("orderly-")),
        ("remote", attempts, ended("remote-")),
        ("maintainer", "jobs were run", evidence.maintained),
        ("maintenance", "counts were folded", evidence.folded),
    ]
}

/// What did not happen. A kind that cannot be injected here is told by the tallies, and is nobody's fault.
pub(crate) fn missing(planned: &[Fault], tallies: &Tallies, evidence: &Evidence) -> Vec<String> {
    let kinds: BTreeSet<_> = planned.iter().map(|fault| fault.kind).collect();
    let kinds = kinds.into_iter().filter(|kind| {
        let tally = tallies.get(kind).copied().unwrap_or_default();
        tally.injected == 0 && tally.impossible.is_none()
    });
    let kinds = kinds.map(|kind| format!("{kind} was planned, and never injected"));
    let idle = deeds(evidence).into_iter().filter(|(.., times)| *times == 0);
    let idle = idle.map(|(role, what, _)| format!("{role}: no {what}"));
    kinds.chain(few(planned, tallies)).chain(idle).chain(unfelt(tallies, evidence)).collect()
}

/// That the time was up long before all was injected.
fn few(planned: &[Fault], tallies: &Tallies) -> Option<String> {
    let injected: usize = tallies.values().map(|tally| tally.injected).sum();
    let is_few = injected * 100 < planned.len() * ENOUGH;
    is_few.then(|| format!("{injected} of {} faults were injected: give it more --minutes", planned.len()))
}

/// What faults were to bring about, and did not: they met nothing that mattered.
fn unfelt(tallies: &Tallies, evidence: &Evidence) -> impl Iterator<Item = String> {
    let injected = |kinds: &[Kind]| -> usize {
        kinds.iter().filter_map(|kind| tallies.get(kind)).map(|tally| tally.injected).sum()
    };
    let harmed = injected(&[Kind::KillWorker, Kind::KillAfterRetain, Kind::StopWorker]);
    let crashed = injected(&[Kind::Crash, Kind::CrashAfterRetain]);
    let lapsed = evidence.ledger.iter().any(|entry| entry.op == Op::Retained && entry.has_lapsed());
    let lapse = (harmed >= HARM && !lapsed)
        .then(|| format!("workers were killed or stopped {harmed} times, and no lease has lapsed"));
    let crash = (crashed > 0 && evidence.crashes.is_empty())
        .then(|| format!("PostgreSQL was made to crash {crashed} times, and was never seen to"));
    let jumped = injected(&[Kind::ClockJump]);
    let jump = (jumped >= HARM && evidence.jumps == 0)
        .then(|| format!("a clock was made to jump {jumped} times, and no process saw it"));
    lapse.into_iter().chain(crash).chain(jump)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::planted::{clean, handed_on};
    use crate::evidence::{Call, Span, Told};
    use crate::history::Fence;
    use crate::plan::{Kind, plan};
    use crate::run::Tally;

    /// A run in which everybody did something, and both kinds were injected: the one as often as there are faults.
    fn full() -> (Vec<Fault>, Tallies, Evidence) {
        let kinds = [Kind::Crash, Kind::Delay];
        let injected = [1, 4].map(|injected| Tally { injected, ..Tally::default() });
        let mut evidence = Evidence { folded: 1, maintained: 1, ..Evidence::default() };
        evidence.crashes.push(Span { from: 1, to: 2 });
        for role in ["producer-1.0", "caller-0.3"] {
            evidence.calls.push(Call {
                process: role.to_owned(),
                queue: "work".to_owned(),
                priority: 5,
                tasks: Vec::new(),
                asked: 1,
                answer: Some((2, Answer::Created(vec![1]))),
            });
        }
        for role in ["worker-2.0", "orderly-0.0", "remote-0.1"] {
            let fence = Fence { task: 1, attempt: 1, holder: 1 };
            evidence.told.push(Told { at: 3, process: role.to_owned(), fence, fate: Fate::Recorded(3) });
        }
        (plan(6, 4, &kinds), kinds.into_iter().zip(injected).collect(), evidence)
    }

    #[test]
    fn a_run_in_which_all_happened_misses_nothing() {
        let (planned, tallies, evidence) = full();
        assert_eq!(missing(&planned, &tallies, &evidence), [""; 0]);
    }

    #[test]
    fn a_kind_that_was_planned_and_never_injected_is_missed_unless_it_cannot_be() {
        let (planned, mut tallies, evidence) = full();
        tallies.insert(Kind::Crash, Tally { missed: 20, ..Tally::default() });
        assert_eq!(missing(&planned, &tallies, &evidence), ["crash was planned, and never injected"]);
        tallies.remove(&Kind::Crash);
        assert_eq!(missing(&planned, &tallies, &evidence).len(), 1, "the time was up before");
        tallies.insert(Kind::Crash, Tally { impossible: Some("why"), ..Tally::default() });
        assert_eq!(missing(&planned, &tallies, &evidence), [""; 0]);
    }

    #[test]
    fn a_run_of_far_fewer_faults_than_were_asked_for_is_not_what_was_asked_for() {
        let (_, tallies, evidence) = full();
        let planned = plan(6, 6, &[Kind::Crash, Kind::Delay]);
        let few = ["5 of 6 faults were injected: give it more --minutes"];
        assert_eq!(missing(&planned, &tallies, &evidence), few);
    }

    #[test]
    fn workers_that_are_killed_while_no_lease_lapses_were_killed_for_nothing() {
        let (planned, mut tallies, mut evidence) = full();
        tallies.insert(Kind::KillWorker, Tally { injected: HARM, ..Tally::default() });
        let unfelt = ["workers were killed or stopped 5 times, and no lease has lapsed"];
        assert_eq!(missing(&planned, &tallies, &evidence), unfelt);
        let mut lapsed = clean();
        handed_on(&mut lapsed);
        evidence.ledger = lapsed.ledger;
        assert_eq!(missing(&planned, &tallies, &evidence), [""; 0]);
    }

    #[test]
    fn a_clock_that_nobody_saw_jump_did_not() {
        let (planned, mut tallies, mut evidence) = full();
        tallies.insert(Kind::ClockJump, Tally { injected: HARM, ..Tally::default() });
        let unseen = ["a clock was made to jump 5 times, and no process saw it"];
        assert_eq!(missing(&planned, &tallies, &evidence), unseen);
        evidence.jumps = 1;
        assert_eq!(missing(&planned, &tallies, &evidence), [""; 0]);
    }

    #[test]
    fn a_crash_that_nobody_saw_is_missed() {
        let (planned, tallies, mut evidence) = full();
        evidence.crashes.clear();
        let unseen = ["PostgreSQL was made to crash 1 times, and was never seen to"];
        assert_eq!(missing(&planned, &tallies, &evidence), unseen);
    }

    #[test]
    fn a_role_that_did_nothing_is_missed() {
        let (planned, tallies, evidence) = full();
        let idle = Evidence { folded: 0, ..evidence.clone() };
        assert_eq!(missing(&planned, &tallies, &idle), ["maintenance: no counts were folded"]);
        let idle = Evidence { maintained: 0, ..evidence.clone() };
        assert_eq!(missing(&planned, &tallies, &idle), ["maintainer: no jobs were run"]);
        let mut idle = evidence.clone();
        idle.told[0].fate = Fate::Lost;
        assert_eq!(missing(&planned, &tallies, &idle), ["worker: no attempts were recorded"]);
        let mut idle = evidence;
        idle.calls[1].answer = None;
        idle.told.pop();
        assert_eq!(
            missing(&planned, &tallies, &idle).len(),
            3,
            "without both its clients the server did nothing"
        );
    }
}
