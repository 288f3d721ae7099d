//! Who holds a task, when workers die or are told that they do not.

use nix::sys::signal::Signal;
use pgmill::{AttemptOutcome, Outcome, Status};

use crate::support::{Bench, Program, send, wait_for_end_of};

#[tokio::test]
async fn the_task_of_a_worker_that_was_killed_runs_again_when_its_lease_has_run_out() {
    let bench = Bench::new().await;
    let id = bench.create("null").await;
    let first = "echo $$ > pid.new; mv pid.new pid; exec sleep 1000";
    let mut killed = Program::start(&mut bench.work(&["--lease", "1s"], first));
    let pid = bench.sign("pid").await;
    killed.signal(Signal::SIGKILL);
    killed.end().await;
    let worker = Program::start(&mut bench.work(&["--lease", "1s"], "echo $PGMILL_ATTEMPT"));
    bench.wait_for(id, Status::Released).await;
    worker.stop().await;
    let task = bench.task(id).await;
    assert_eq!(task.result.unwrap().as_str(), "2");
    assert_eq!(task.attempts[0].outcome, AttemptOutcome::Lapsed);
    // What the killed worker could not stop.
    send(pid.parse().unwrap(), Signal::SIGKILL);
}

#[tokio::test]
async fn a_command_may_run_for_longer_than_the_lease() {
    let bench = Bench::new().await;
    let id = bench.create("null").await;
    bench.work_until_empty(&["--until-empty", "--lease", "1s"], "sleep 2.5; echo 1").await;
    let task = bench.task(id).await;
    assert_eq!((task.status, task.attempt), (Some(Status::Released), 1));
}

#[tokio::test]
async fn a_command_whose_task_was_ended_by_somebody_else_is_stopped_and_its_result_dropped() {
    let bench = Bench::new().await;
    let id = bench.create("null").await;
    let script = "echo $$ > pid.new; mv pid.new pid; exec sleep 1000";
    let mut worker = Program::start(&mut bench.work(&["--lease", "1s", "--json"], script));
    let pid = bench.sign("pid").await;
    bench.manager.release_task(id, Outcome::done(&"by hand").unwrap()).await.unwrap();
    wait_for_end_of(&pid).await;
    worker.says("its lease was lost").await;
    assert!(worker.line().await.contains(r#""status":"lost""#));
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.end().await, Some(0));
    assert_eq!(worker.count("its lease was lost"), 1);
    assert_eq!(bench.result(id).await, (Status::Released, r#""by hand""#.to_owned()));
}
