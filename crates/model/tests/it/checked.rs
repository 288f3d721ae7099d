//! All states of all systems.

use pgmill_model::{REACHES_END, System};
use stateright::{Checker, Model};

use crate::systems::{crashes, forgetting, losses, meddling, plain};

/// Goes through every state, and expects that nothing is wrong in any.
#[track_caller]
fn check(name: &str, system: System) {
    let checker = system.checker().threads(2).spawn_bfs().join();
    println!(
        "{name}: {} states, {} steps, depth {}",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth()
    );
    for (property, path) in checker.discoveries() {
        assert_eq!(property, REACHES_END, "{name}: {:#?}", path.into_vec());
    }
    assert!(checker.is_done(), "{name}: some states were not seen");
    assert!(checker.discovery(REACHES_END).is_some(), "{name}: no task ever ends");
}

#[test]
fn nothing_goes_wrong_where_leases_lapse() {
    check("plain", plain());
}

#[test]
fn nothing_goes_wrong_where_the_server_crashes_and_workers_die() {
    check("crashes", crashes());
}

#[test]
fn nothing_goes_wrong_where_answers_are_lost_and_statements_come_late() {
    check("losses", losses());
}

#[test]
fn nothing_goes_wrong_where_operator_and_maintenance_meddle() {
    check("meddling", meddling());
}

#[test]
fn nothing_goes_wrong_where_no_history_is_kept() {
    check("forgetting", forgetting());
}
