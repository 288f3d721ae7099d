//! What goes wrong without each of the guards: the model has to find it, and tells by which steps.

use pgmill_model::{
    Action, BOUNDED, COUNTED, FENCED, Guards, KEPT, NO_OVERLAP, NOT_STUCK, ONCE, Outcome, PATIENT, Passing,
    PastAttempt, Rules, State, System, TRUTH,
};
use stateright::{Checker, HasDiscoveries, Model};

use crate::systems::{NOTHING, crashes, forgetting, losses, meddling, plain};

fn without(system: System, guards: Guards) -> System {
    System { rules: Rules { guards, ..system.rules }, ..system }
}

/// The steps to a state where the property does not hold.
#[track_caller]
fn counterexample(system: System, property: &'static str) -> Vec<Action> {
    let wanted = HasDiscoveries::AnyOf([property].into());
    let checker = system.checker().threads(2).finish_when(wanted).spawn_bfs().join();
    let path =
        checker.discovery(property).unwrap_or_else(|| panic!("the model does not find it: {property}"));
    let steps = path.into_actions();
    println!("{property}: not after {steps:#?}");
    steps
}

#[track_caller]
fn assert_holds(system: System) {
    let checker = system.checker().threads(2).spawn_bfs().join();
    checker.assert_properties();
}

#[test]
fn without_a_fence_a_release_that_comes_late_ends_the_attempt_of_another() {
    let guards = Guards { fence_by_attempt: false, fence_by_holder: false, ..Guards::ALL };
    let steps = counterexample(without(plain(), guards), FENCED);
    assert!(steps.iter().any(|step| matches!(step, Action::Pass(Passing::Lapse(_)))), "{steps:?}");
}

#[test]
fn a_fence_by_attempt_alone_lets_through_whoever_a_crash_took_the_task_from() {
    let guards = Guards { fence_by_holder: false, ..Guards::ALL };
    let steps = counterexample(without(crashes(), guards), FENCED);
    assert!(steps.contains(&Action::Crash), "{steps:?}");
}

#[test]
fn a_fence_by_attempt_alone_holds_where_no_crash_loses_a_retain() {
    assert_holds(without(plain(), Guards { fence_by_holder: false, ..Guards::ALL }));
}

#[test]
fn a_fence_by_the_holder_alone_needs_a_holder_of_each_retain() {
    let guards = Guards { fence_by_attempt: false, ..Guards::ALL };
    assert_holds(without(System { tasks: 1, ..plain() }, guards));
    counterexample(without(plain(), Guards { holder_per_retain: false, ..guards }), FENCED);
}

#[test]
fn a_holder_of_each_process_is_not_enough_where_a_crash_loses_a_retain() {
    let guards = Guards { holder_per_retain: false, ..Guards::ALL };
    let steps = counterexample(without(crashes(), guards), TRUTH);
    assert!(steps.contains(&Action::Crash), "{steps:?}");
}

#[test]
fn a_retain_that_does_not_wait_for_the_lapse_lets_two_leases_run() {
    counterexample(without(plain(), Guards { waits_for_lapse: false, ..Guards::ALL }), NO_OVERLAP);
}

#[test]
fn a_retain_that_does_not_count_attempts_makes_too_many() {
    counterexample(without(plain(), Guards { counts_attempts: false, ..Guards::ALL }), BOUNDED);
}

#[test]
fn a_crash_that_loses_a_retain_lets_two_leases_run() {
    let steps = counterexample(System { excuses_crashes: false, ..crashes() }, NO_OVERLAP);
    assert!(steps.contains(&Action::Crash), "{steps:?}");
}

#[test]
fn without_an_amnesty_a_restart_takes_leases_away() {
    counterexample(without(crashes(), Guards { amnesty: false, ..Guards::ALL }), PATIENT);
}

#[test]
fn a_sweep_that_leaves_the_holder_passes_for_the_release_of_whoever_lost_the_lease() {
    let guards = Guards { sweep_is_no_holder: false, ..Guards::ALL };
    counterexample(without(losses(), guards), TRUTH);
}

#[test]
fn a_sweep_that_does_not_wait_for_the_lapse_ends_what_runs() {
    let guards = Guards { sweep_waits_for_lapse: false, ..Guards::ALL };
    counterexample(without(plain(), guards), PATIENT);
}

#[test]
fn an_enqueue_that_is_not_noted_as_sent_again_creates_its_task_twice() {
    let guards = Guards { notes_resent: false, ..Guards::ALL };
    counterexample(without(forgetting(), guards), KEPT);
}

#[test]
fn history_that_leaves_no_receipt_lets_answers_lie() {
    let guards = Guards { leaves_receipts: false, ..Guards::ALL };
    counterexample(without(meddling(), guards), TRUTH);
}

#[test]
fn folding_in_two_transactions_counts_twice() {
    counterexample(without(meddling(), Guards { folds_at_once: false, ..Guards::ALL }), COUNTED);
}

#[test]
fn a_sweep_that_leaves_tasks_without_attempts_lets_them_stick() {
    counterexample(without(plain(), Guards { sweep_ends_exhausted: false, ..Guards::ALL }), NOT_STUCK);
}

#[test]
fn a_number_of_an_attempt_that_comes_twice_is_found() {
    let system = plain();
    let mut state = State::new(1, 1, NOTHING);
    let once = system.property(ONCE).condition;
    let past = PastAttempt { attempt: 1, holder: None, outcome: Outcome::Lapsed };
    state.tables.entries[0].past = vec![past, PastAttempt { attempt: 2, ..past }];
    assert!(once(&system, &state));
    state.tables.entries[0].past.push(PastAttempt { outcome: Outcome::Retry, ..past });
    assert!(!once(&system, &state));
}
