//! That nothing is stuck: from a state on, all faults end, and it is seen whether the tasks do too.
//!
//! Two ways are gone. A worker that does its work takes each task when its time has come, and is done with it. And nobody
//! does any work: leases are taken and lapse, until no attempt is left. In both, whoever waits for an answer asks again.

use crate::action::Action;
use crate::passing::Passing;
use crate::rules::Rules;
use crate::state::{Creation, State};
use crate::statement::{Answer, Ending, Statement};
use crate::tables::{Place, Tables};

/// Whether all tasks that were created come to an end, both ways, and are counted rightly then.
pub(crate) fn ends(state: &State, rules: &Rules) -> bool {
    let mut settled = state.clone();
    for task in 0..settled.creations.len() {
        if settled.creations[task] == Creation::Settling {
            (settled, _) = settled.after(Action::CreateAgain(task), rules);
        }
    }
    let holder = settled.fresh_holder();
    [true, false].into_iter().all(|works| {
        let mut tables = settled.tables.clone();
        let rounds = if works { 1 } else { rounds(&tables) };
        (0..rounds).for_each(|_| round(&mut tables, holder, works, rules));
        tables.run(&Statement::Fold, rules);
        let ended = |place: &Place| !matches!(place, Place::Live(_));
        tables.entries.iter().all(|entry| ended(&entry.place)) && tables.folded == tables.recount()
    })
}

/// As many as a task may have attempts.
fn rounds(tables: &Tables) -> u8 {
    tables.entries.iter().filter_map(|entry| entry.row()).map(|row| row.retries + 1).max().unwrap_or(0)
}

fn round(tables: &mut Tables, holder: i64, works: bool, rules: &Rules) {
    tables.pass(Passing::AmnestyEnds);
    for task in 0..tables.entries.len() {
        tables.pass(Passing::Due(task));
        tables.pass(Passing::Lapse(task));
        let retain = Statement::Retain { task, holder, lost: Vec::new() };
        if let (Answer::Retained(claim), _) = tables.run(&retain, rules) {
            if works {
                tables.run(&Statement::Release { claim, ending: Ending::Done, again: false }, rules);
            } else {
                tables.pass(Passing::Lapse(task));
            }
        }
    }
    tables.run(&Statement::Sweep, rules);
}
