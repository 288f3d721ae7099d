//! The system as a graph of states: where it begins, what can happen in each state, and what must hold in all of them.

use stateright::{Model, Property};

use crate::action::{Action, Transit};
use crate::passing::Passing;
use crate::recovery;
use crate::rules::Rules;
use crate::state::{Budget, Creation, Fault, Hand, State, Stray};
use crate::statement::Ending;
use crate::tables::{Lease, Place};

/// What a run of the checker goes through.
#[derive(Clone, Debug)]
pub struct System {
    /// The queue, and the checks of the statements.
    pub rules: Rules,
    /// How many tasks.
    pub tasks: usize,
    /// How many workers.
    pub workers: usize,
    /// How handlers end.
    pub endings: Vec<Ending>,
    /// How often what else can happen does.
    pub budget: Budget,
    /// The most retains of a task that are looked at.
    pub attempts: u8,
    /// Whether workers extend leases.
    pub extends: bool,
    /// Whether history is pruned and counters are folded while it goes on.
    pub tidies: bool,
    /// Whether a lease that a crash of the server or an operator took from its holder may overlap with another.
    pub excuses_crashes: bool,
    /// Whether states that differ by names alone are one. A path through them then has no names to follow.
    pub renames: bool,
}

impl System {
    fn transits(&self, state: &State) -> &'static [Transit] {
        if state.budget.losses > 0 {
            &[Transit::Answered, Transit::AnswerLost, Transit::Late]
        } else {
            &[Transit::Answered]
        }
    }

    fn of_tasks(&self, state: &State, actions: &mut Vec<Action>) {
        let transits = self.transits(state);
        for task in 0..self.tasks {
            match state.creations[task] {
                Creation::Unsent => {
                    actions.extend(transits.iter().map(|transit| Action::Create(task, *transit)));
                }
                Creation::Settling => actions.push(Action::CreateAgain(task)),
                Creation::Acknowledged => {}
            }
            if state.stray_creations[task] {
                actions.push(Action::CreateArrives(task));
            }
            let place = state.tables.entries[task].place;
            if let Place::Live(row) = place {
                actions.push(Action::Pass(Passing::Due(task)));
                if row.lease == Some(Lease::Running) {
                    actions.push(Action::Pass(Passing::Lapse(task)));
                }
                actions.push(Action::Pass(Passing::Death(task)));
            }
            if state.budget.cancels > 0 && matches!(place, Place::Live(_)) {
                actions.push(Action::Cancel(task));
            }
            let ended = matches!(place, Place::Finished(_) | Place::Live(_));
            if state.budget.revivals > 0 && state.operator.settling.is_none() && ended {
                actions.extend(transits.iter().map(|transit| Action::Revive(task, *transit)));
            }
            if self.tidies && matches!(place, Place::Finished(_)) {
                actions.push(Action::Prune(task));
            }
        }
    }

    fn of_workers(&self, state: &State, actions: &mut Vec<Action>) {
        let transits = self.transits(state);
        for (number, worker) in state.workers.iter().enumerate() {
            match worker.hand {
                Hand::Empty => {
                    for task in 0..self.tasks {
                        let retain = |transit| Action::Retain { worker: number, task, transit };
                        // A late one is the same whatever it was sent for.
                        let some = transits.iter().filter(|transit| task == 0 || **transit != Transit::Late);
                        actions.extend(some.map(|transit| retain(*transit)));
                    }
                }
                Hand::Running { .. } => {
                    for ending in &self.endings {
                        let release = |transit| Action::Release { worker: number, ending: *ending, transit };
                        actions.extend(transits.iter().map(|transit| release(*transit)));
                    }
                    if self.extends {
                        actions.push(Action::Extend(number));
                    }
                }
                Hand::Settling { .. } => actions.extend([Action::Settle(number), Action::GiveUp(number)]),
            }
            if state.budget.deaths > 0 && (worker.hand != Hand::Empty || !worker.lost.is_empty()) {
                actions.push(Action::Die(number));
            }
            for (stray, what) in worker.strays.iter().enumerate() {
                let tasks = if matches!(what, Stray::Retain { .. }) { self.tasks } else { 1 };
                actions.extend((0..tasks).map(|task| Action::Arrives { worker: number, stray, task }));
            }
        }
    }
}

impl Model for System {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self.tasks, self.workers, self.budget)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.onlooker.fault.is_some() {
            return;
        }
        self.of_tasks(state, actions);
        self.of_workers(state, actions);
        actions.extend([Action::Sweep, Action::Flush, Action::Pass(Passing::AmnestyEnds)]);
        if self.tidies {
            actions.push(Action::Fold);
        }
        if state.budget.crashes > 0 {
            actions.push(Action::Crash);
        }
        if state.operator.settling.is_some() {
            actions.push(Action::ReviveAgain);
        }
        if state.operator.stray.is_some() {
            actions.push(Action::ReviveArrives);
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let (mut next, _) = state.after(action, &self.rules);
        if next == *state {
            return None;
        }
        if self.renames && self.rules.guards.holder_per_retain {
            next = next.renamed();
        }
        Some(next)
    }

    fn within_boundary(&self, state: &State) -> bool {
        let mut rows = state.tables.entries.iter().filter_map(|entry| entry.row());
        rows.all(|row| row.attempt <= self.attempts)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(KEPT, |_, state| kept(state)),
            Property::always(NO_OVERLAP, no_overlap),
            Property::always(BOUNDED, |_, state| bounded(state)),
            Property::always(FENCED, |_, state| is_clear(state, Fault::Trespass)),
            Property::always(ONCE, |_, state| once(state)),
            Property::always(TRUTH, |_, state| is_clear(state, Fault::Lie)),
            Property::always(PATIENT, |_, state| is_clear(state, Fault::Hasty)),
            Property::always(COUNTED, |_, state: &State| state.tables.counted() == state.tables.recount()),
            Property::always(NOT_STUCK, |system, state| recovery::ends(state, &system.rules)),
            // That the checker gets anywhere at all.
            Property::sometimes(REACHES_END, |_, state: &State| {
                state.onlooker.ends.iter().any(|ends| *ends > 0)
            }),
        ]
    }
}

/// An acknowledged task is there, and ends exactly once, but for the retries of an operator.
pub const KEPT: &str = "an acknowledged task is there, and ends once";
/// No two leases of a task run at the same time.
pub const NO_OVERLAP: &str = "no two leases of a task run at once";
/// A task has no more attempts than it is granted.
pub const BOUNDED: &str = "attempts stay within their bound";
/// Only who holds an attempt ends or extends it.
pub const FENCED: &str = "only who holds an attempt ends it";
/// No attempt ends twice, and no number of one is used twice.
pub const ONCE: &str = "an attempt ends once";
/// Whoever is answered is told what happened.
pub const TRUTH: &str = "an answer tells what happened";
/// Retain and sweep leave leases alone that have time, also those from before a restart.
pub const PATIENT: &str = "no lease is taken before its time";
/// The counters are what is in the tables.
pub const COUNTED: &str = "the counters are what is in the tables";
/// From every state, a worker that does its work brings all tasks to an end, and so does time alone.
pub const NOT_STUCK: &str = "nothing is stuck";
/// Some task has ended in some state.
pub const REACHES_END: &str = "a task ends";

fn is_clear(state: &State, fault: Fault) -> bool {
    state.onlooker.fault != Some(fault)
}

fn kept(state: &State) -> bool {
    is_clear(state, Fault::CreatedAnew)
        && state.tables.entries.iter().enumerate().all(|(task, entry)| {
            let (ends, revivals) = (state.onlooker.ends[task], state.onlooker.revivals[task]);
            i64::from(revivals) <= state.operator.flights
                && match entry.place {
                    Place::Nowhere => state.creations[task] != Creation::Acknowledged,
                    Place::Live(_) => ends == revivals,
                    Place::Finished(_) | Place::Removed => ends == revivals + 1,
                }
        })
}

fn no_overlap(system: &System, state: &State) -> bool {
    let running: Vec<usize> = state
        .workers
        .iter()
        .filter_map(|worker| match worker.hand {
            Hand::Running { claim, leased: true, void } if !(void && system.excuses_crashes) => {
                Some(claim.task)
            }
            _ => None,
        })
        .collect();
    running.iter().enumerate().all(|(at, task)| !running[..at].contains(task))
}

fn bounded(state: &State) -> bool {
    let mut rows = state.tables.entries.iter().filter_map(|entry| entry.row());
    rows.all(|row| row.spared <= row.attempt && row.spent() <= row.retries)
}

fn once(state: &State) -> bool {
    let numbers_differ = state.tables.entries.iter().all(|entry| {
        let running = entry.row().filter(|row| row.lease.is_some()).map(|row| row.attempt);
        let mut numbers: Vec<u8> = entry.past.iter().map(|past| past.attempt).chain(running).collect();
        let count = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.len() == count
    });
    numbers_differ && is_clear(state, Fault::ReleasedTwice)
}
