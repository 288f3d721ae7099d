//! How a worker ends, and what becomes of what it was doing.

use nix::sys::signal::Signal;
use pgmill::{AttemptOutcome, Status};

use crate::support::{Bench, Program, wait_for_end_of};

/// Leaves its process id, and goes on for ever.
const ENDLESS: &str = "echo $$ > pid.new; mv pid.new pid; exec sleep 1000";

#[tokio::test]
async fn sigterm_lets_running_commands_end() {
    let bench = Bench::new().await;
    let id = bench.create("null").await;
    let script = "touch begun; while [ ! -e go ]; do sleep 0.01; done; echo 1";
    let mut worker = Program::start(&mut bench.work(&[], script));
    bench.sign("begun").await;
    worker.signal(Signal::SIGTERM);
    worker.says("stopping").await;
    worker.says("waiting for 1 task").await;
    let late = bench.create("null").await;
    std::fs::write(bench.path("go"), "").unwrap();
    assert_eq!(worker.end().await, Some(0));
    assert_eq!(bench.result(id).await, (Status::Released, "1".to_owned()));
    // A claim that was under way at the signal may have found it: then it was given back.
    let late = bench.task(late).await;
    assert_eq!((late.status, late.retries), (Some(Status::New), 3), "no task is begun after SIGTERM");
    assert!(late.attempts.iter().all(|attempt| attempt.outcome == AttemptOutcome::GivenBack), "{late:?}");
}

#[tokio::test]
async fn after_the_grace_commands_are_stopped_and_their_tasks_given_back() {
    let bench = Bench::new().await;
    let id = bench.create("null").await;
    let mut worker = Program::start(&mut bench.work(&["--grace", "100ms"], ENDLESS));
    let pid = bench.sign("pid").await;
    worker.signal(Signal::SIGINT);
    assert_eq!(worker.end().await, Some(0));
    wait_for_end_of(&pid).await;
    let task = bench.task(id).await;
    assert_eq!((task.status, task.retries), (Some(Status::New), 3), "it costs no attempt");
    let outcomes: Vec<_> = task.attempts.iter().map(|attempt| attempt.outcome).collect();
    assert_eq!(outcomes, [AttemptOutcome::GivenBack]);
}

#[tokio::test]
async fn a_command_that_ends_well_when_asked_to_has_done_its_task() {
    let bench = Bench::new().await;
    let id = bench.create("null").await;
    let script = "trap 'echo 5; exit 0' TERM; touch begun; while :; do sleep 0.01; done";
    let mut worker = Program::start(&mut bench.work(&["--grace", "0s"], script));
    bench.sign("begun").await;
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.end().await, Some(0));
    assert_eq!(bench.result(id).await, (Status::Released, "5".to_owned()));
}

#[tokio::test]
async fn a_second_signal_ends_commands_at_once_that_ignore_the_first() {
    let bench = Bench::new().await;
    let id = bench.create("null").await;
    let script = format!("trap '' TERM; {ENDLESS}");
    let mut worker = Program::start(&mut bench.work(&["--grace", "1h"], &script));
    let pid = bench.sign("pid").await;
    worker.signal(Signal::SIGTERM);
    worker.says("a second signal ends it at once").await;
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.end().await, Some(0));
    wait_for_end_of(&pid).await;
    assert_eq!(bench.task(id).await.status, Some(Status::New));
}
