//! What is seen when a statement runs: whom it concerned, and whether it may have.

use crate::rules::Rules;
use crate::state::{Fault, State};
use crate::statement::{Answer, Statement};
use crate::tables::{Claim, Entry, Lease, Place};

/// Runs a statement, and notes what it did.
pub(crate) fn watch(state: &mut State, statement: &Statement, rules: &Rules) -> Answer {
    let before = state.tables.clone();
    let (answer, wrote) = state.tables.run(statement, rules);
    if wrote {
        // A commit that waits for the disk takes along all that came before it.
        let waits = !matches!(statement, Statement::Retain { .. });
        let durable = state.durable.take().unwrap_or_else(|| before.clone());
        state.durable = Some(durable).filter(|durable| !waits && *durable != state.tables);
    }
    let done = matches!(answer, Answer::Done(_));
    match statement {
        Statement::Release { claim, .. } if done => {
            state.note(Fault::Trespass, !is_held(&before.entries, *claim));
            state.note(Fault::ReleasedTwice, state.onlooker.released.contains(claim));
            state.onlooker.released.push(*claim);
            state.onlooker.released.sort_unstable();
        }
        Statement::Extend(claim) if done => state.note(Fault::Trespass, !is_held(&before.entries, *claim)),
        _ => {}
    }
    for (task, was) in before.entries.iter().enumerate() {
        note_change(state, task, was, statement);
    }
    answer
}

fn note_change(state: &mut State, task: usize, was: &Entry, statement: &Statement) {
    let place = state.tables.entries[task].place;
    match (was.place, place) {
        (Place::Live(_), Place::Finished(_) | Place::Removed) => state.onlooker.ends[task] += 1,
        (Place::Finished(_) | Place::Removed, Place::Live(_)) => {
            state.onlooker.revivals[task] += 1;
            state.note(Fault::CreatedAnew, !matches!(statement, Statement::Revive { .. }));
        }
        _ => {}
    }
    // Only time takes a lease from its holder, or its own process, which knows that nobody is at work.
    if let Place::Live(row) = was.place {
        let lost = matches!(statement, Statement::Retain { lost, .. }
            if row.holder.is_some_and(|holder| lost.contains(&holder)));
        let taken = matches!(statement, Statement::Retain { .. } | Statement::Sweep) && place != was.place;
        let has_time = row.spared_by_restart || row.lease == Some(Lease::Running);
        state.note(Fault::Hasty, has_time && taken && !lost);
    }
}

impl State {
    /// What a worker is told of its release, held against what became of it.
    pub(crate) fn tell(&mut self, claim: Claim, answer: Answer) {
        let said = matches!(answer, Answer::Done(_) | Answer::Settled(_));
        self.note(Fault::Lie, said != self.onlooker.released.contains(&claim));
    }

    fn note(&mut self, fault: Fault, happened: bool) {
        if happened {
            self.onlooker.fault.get_or_insert(fault);
        }
    }
}

fn is_held(entries: &[Entry], claim: Claim) -> bool {
    entries[claim.task].row().is_some_and(|row| row.is_held_by(claim))
}
