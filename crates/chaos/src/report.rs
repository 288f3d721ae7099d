//! What a run prints at its end.

use std::collections::HashSet;
use std::time::Duration;

use crate::check::{RULES, Violation};
use crate::coverage::deeds;
use crate::evidence::{Evidence, Op};
use crate::history::{Answer, Fate, Fence};
use crate::run::Tallies;

/// How many violations are printed; all are counted.
const MOST: usize = 40;

pub(crate) fn tallies(tallies: &Tallies, took: Duration) {
    println!("faults in {:.0} s:", took.as_secs_f64());
    for (kind, tally) in tallies {
        match tally.impossible {
            Some(why) => println!("  {kind:<20} left out: {why}"),
            None if tally.missed > 0 => {
                println!("  {kind:<20} {:>4}   missed besides: {}", tally.injected, tally.missed);
            }
            None => println!("  {kind:<20} {:>4}", tally.injected),
        }
    }
}

pub(crate) fn evidence(evidence: &Evidence, left: i64, drained: Duration) {
    let answered = |wanted: fn(&Answer) -> bool| {
        let calls = evidence
            .calls
            .iter()
            .filter(|call| call.answer.as_ref().is_some_and(|(_, answer)| wanted(answer)));
        calls.count()
    };
    println!(
        "calls: {} made, {} acknowledged, {} refused, {} unknown; the others never answered",
        evidence.calls.len(),
        answered(|answer| matches!(answer, Answer::Created(_))),
        answered(|answer| matches!(answer, Answer::Refused(_))),
        answered(|answer| matches!(answer, Answer::Unknown(_))),
    );
    let ops = |op| evidence.ledger.iter().filter(|entry| entry.op == op).count();
    let retains = || evidence.ledger.iter().filter(|entry| entry.op == Op::Retained);
    let lapsed = retains().filter(|entry| entry.has_lapsed()).count();
    println!(
        "tasks: {} created, {} retains, {lapsed} of them after a lapse, {} extensions, {} returned, {} ended",
        ops(Op::Created),
        ops(Op::Retained),
        ops(Op::Extended),
        ops(Op::Returned),
        ops(Op::Ended),
    );
    let told = |wanted: fn(Fate) -> bool| evidence.told.iter().filter(|told| wanted(told.fate)).count();
    println!(
        "handlers: {} begun, {} cut short, {} told lost, {} told nothing certain; jumps of a clock seen: {}",
        evidence.runs.len(),
        evidence.runs.iter().filter(|run| run.ran.is_none()).count(),
        told(|fate| fate == Fate::Lost),
        told(|fate| fate == Fate::Unknown),
        evidence.jumps,
    );
    let retained: HashSet<Fence> = retains().map(|entry| entry.after).collect();
    println!(
        "crashes of PostgreSQL: {}; retains that were run and that a crash undid: {}",
        evidence.crashes.len(),
        evidence.runs.iter().filter(|run| !retained.contains(&run.fence)).count(),
    );
    let slow: i64 = evidence.slow.iter().map(|slow| slow.to - slow.from).sum();
    println!(
        "PostgreSQL, or the machine, had too much to do: {} times, {:.1} s in all",
        evidence.slow.len(),
        Duration::from_micros(slow.unsigned_abs()).as_secs_f64(),
    );
    for (role, what, times) in deeds(evidence) {
        println!("  {role:<12} {times:>7} {what}");
    }
    println!("left over after {:.1} s: {left}", drained.as_secs_f64());
}

pub(crate) fn violations(violations: &[Violation]) {
    for rule in RULES {
        let broken = violations.iter().filter(|violation| violation.rule == rule.name).count();
        println!("  {:>5}  {}", if broken == 0 { "holds".to_owned() } else { broken.to_string() }, rule.name);
    }
    for violation in violations.iter().take(MOST) {
        println!("violation: {violation}");
    }
}

pub(crate) fn missing(missing: &[String]) {
    for one in missing {
        println!("missing: {one}");
    }
}
