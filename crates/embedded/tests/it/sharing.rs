//! Several handles, in one program or in several, on one data folder.

use std::thread;

use pgmill_embedded::{Embedded, StopMode};

use crate::support::{Program, eventually, folder, query, runs, start_in};

#[test]
fn a_second_handle_shares_the_server_and_leaves_it_running() {
    let folder = folder();
    let owner = start_in(folder.path());
    let sharer = start_in(folder.path());
    assert!(owner.owned() && !sharer.owned());
    assert_eq!(sharer.url(), owner.url());
    assert_eq!(sharer.socket_dir(), owner.socket_dir());
    assert_eq!(sharer.pid(), owner.pid());
    drop(sharer);
    start_in(folder.path()).stop(StopMode::Immediate).unwrap();
    assert_eq!(query(&owner.url(), "select 1"), "1");
}

#[test]
fn starts_at_the_same_time_make_one_server() {
    let folder = folder();
    let handles: Vec<Embedded> = thread::scope(|scope| {
        let starts: Vec<_> = (0..4).map(|_| scope.spawn(|| start_in(folder.path()))).collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    assert_eq!(handles.iter().filter(|handle| handle.owned()).count(), 1);
    for handle in &handles {
        assert_eq!(handle.pid(), handles[0].pid());
        assert_eq!(query(&handle.url(), "select 1"), "1");
    }
}

#[test]
fn another_program_shares_the_server_until_its_owner_ends() {
    let folder = folder();
    let mut program = Program::start("persistent", Some(folder.path()));
    let report = program.report();
    assert!(report.owned);
    let sharer = start_in(folder.path());
    assert!(!sharer.owned());
    assert_eq!(sharer.url(), report.url);
    assert_eq!(sharer.pid(), Some(report.pid));

    program.order("drop");
    assert_eq!(sharer.pid(), None);
    sharer.resume().unwrap();
    assert!(sharer.owned());
    assert_eq!(query(&sharer.url(), "select 1"), "1");
}

#[test]
fn a_sharer_that_halts_the_server_can_take_it_over() {
    let folder = folder();
    let owner = start_in(folder.path());
    let sharer = start_in(folder.path());
    sharer.halt(StopMode::Fast).unwrap();
    assert_eq!((owner.pid(), sharer.pid()), (None, None));
    sharer.resume().unwrap();
    assert!(sharer.owned());
    drop(owner);
    assert_eq!(query(&sharer.url(), "select 1"), "1");
}

#[test]
fn a_server_kept_running_outlives_its_program_and_can_be_halted() {
    let folder = folder();
    let mut program = Program::start("keep_running", Some(folder.path()));
    let report = program.report();
    assert!(report.owned);
    program.order("drop");

    let server = start_in(folder.path());
    assert_eq!(server.pid(), Some(report.pid));
    assert!(!server.owned());
    server.halt(StopMode::Fast).unwrap();
    eventually("the server has ended", || !runs(report.pid));
}
