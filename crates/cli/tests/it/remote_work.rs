//! `pgmill work --http.addr`: the same work through a server.

use nix::sys::signal::Signal;
use pgmill::{AttemptOutcome, QueueMeta, Status};
use tokio::process::Command;

use crate::served::Served;
use crate::support::{PATIENCE, Program, QUEUE, output, pgmill, send, stderr, wait_for_end_of};

/// Leaves its process id, and goes on for ever.
const ENDLESS: &str = "echo $$ > pid.new; mv pid.new pid; exec sleep 1000";

impl Served {
    /// `pgmill work` on the queue, through the server, running a shell script in the folder of the bench.
    fn work(&self, options: &[&str], script: &str) -> Command {
        let mut command = pgmill(&["work", QUEUE, "--http.addr", &self.address]);
        command.args(options).args(["--", "sh", "-c", script]).current_dir(self.bench.folder.path());
        command
    }
}

#[tokio::test]
async fn commands_run_for_tasks_and_their_ends_are_recorded() {
    let served = Served::new().await;
    let bench = &served.bench;
    bench.manager.register_queue(QueueMeta::new(QUEUE).retries(1)).await.unwrap();
    let mut ids = Vec::new();
    for payload in [r#"{"a": 1.50}"#, "65", "75"] {
        ids.push(bench.create(payload).await);
    }
    let script = "read p; echo $PGMILL_ATTEMPT $PGMILL_WORKER > ran-$PGMILL_TASK_ID; case $p in 65|75) exit $p;; esac; echo \"$p\"";
    let ended =
        output(&mut served.work(&["--until-empty", "--name", "w", "--workers", "2", "--json"], script)).await;
    assert!(ended.status.success(), "{}", stderr(&ended));
    assert_eq!(bench.result(ids[0]).await, (Status::Released, r#"{"a": 1.50}"#.to_owned()));
    assert_eq!(bench.sign(&format!("ran-{}", ids[0])).await, "1 w");
    assert_eq!(bench.result(ids[1]).await, (Status::Failed, r#""exit status 65""#.to_owned()));
    let printed = String::from_utf8(ended.stdout).unwrap();
    assert_eq!(printed.lines().count(), 3, "{printed}");
    assert!(printed.contains(r#""status":"released","attempt":1"#), "{printed}");
}

#[tokio::test]
async fn a_worker_may_run_more_commands_than_a_request_gives_it_tasks() {
    let served = Served::new().await;
    let id = served.bench.create("1").await;
    let ended = output(&mut served.work(&["--until-empty", "--workers", "1500"], "cat")).await;
    assert!(ended.status.success(), "{}", stderr(&ended));
    assert_eq!(served.bench.task(id).await.status, Some(Status::Released));
}

#[tokio::test]
async fn a_worker_that_waits_begins_a_task_as_it_is_created() {
    let served = Served::new().await;
    let mut worker = Program::start(&mut served.work(&["--debug"], "cat"));
    worker.says("request: PUT").await;
    let id = served.bench.create("7").await;
    served.bench.wait_for(id, Status::Released).await;
    worker.stop().await;
    assert_eq!(served.bench.result(id).await.1, "7");
}

#[tokio::test]
async fn a_worker_survives_a_restart_of_the_server_with_its_command() {
    let mut served = Served::new().await;
    let id = served.bench.create("1").await;
    let script = "touch begun; while [ ! -e go ]; do sleep 0.01; done; cat";
    let mut worker = Program::start(&mut served.work(&["--workers", "2"], script));
    served.bench.sign("begun").await;
    served.stop().await;
    // The command ends while there is nobody to release its task to.
    std::fs::write(served.bench.path("go"), "").unwrap();
    worker.says("tasks cannot be retained, trying again until it works").await;
    served.start().await;
    served.bench.wait_for(id, Status::Released).await;
    let later = served.bench.create("2").await;
    served.bench.wait_for(later, Status::Released).await;
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.end().await, Some(0));
    let task = served.bench.task(id).await;
    assert_eq!((task.attempt, task.attempts.len()), (1, 0));
    assert_eq!(worker.count("tasks cannot be retained, trying again"), 1);
}

#[tokio::test]
async fn the_task_of_a_worker_that_was_killed_is_run_again_by_another() {
    let served = Served::new().await;
    let id = served.bench.create("null").await;
    let mut killed = Program::start(&mut served.work(&["--lease", "1s"], ENDLESS));
    let pid = served.bench.sign("pid").await;
    killed.signal(Signal::SIGKILL);
    killed.end().await;
    let worker = Program::start(&mut served.work(&["--lease", "1s"], "echo $PGMILL_ATTEMPT"));
    served.bench.wait_for(id, Status::Released).await;
    worker.stop().await;
    let task = served.bench.task(id).await;
    assert_eq!(task.result.unwrap().as_str(), "2");
    assert_eq!(task.attempts[0].outcome, AttemptOutcome::Lapsed);
    // What the killed worker could not stop.
    send(pid.parse().unwrap(), Signal::SIGKILL);
}

#[tokio::test]
async fn a_command_may_run_for_longer_than_the_lease() {
    let served = Served::new().await;
    let id = served.bench.create("null").await;
    let ended = output(&mut served.work(&["--until-empty", "--lease", "2s"], "sleep 5; echo 1")).await;
    assert!(ended.status.success(), "{}", stderr(&ended));
    let task = served.bench.task(id).await;
    assert_eq!((task.status, task.attempt), (Some(Status::Released), 1));
}

#[tokio::test]
async fn a_command_whose_task_is_called_off_is_stopped() {
    let served = Served::new().await;
    let id = served.bench.create("null").await;
    let mut worker = Program::start(&mut served.work(&["--lease", "2s", "--json"], ENDLESS));
    let pid = served.bench.sign("pid").await;
    served.json(&["cancel-task", &id.to_string()]).await;
    wait_for_end_of(&pid).await;
    worker.says("its lease was lost").await;
    assert!(worker.line().await.contains(r#""status":"lost""#));
    worker.stop().await;
    assert_eq!(served.bench.task(id).await.status, Some(Status::Cancelled));
}

#[tokio::test]
async fn a_command_whose_lease_cannot_be_kept_is_stopped_before_another_may_begin() {
    let mut served = Served::new().await;
    served.bench.create("null").await;
    let mut worker = Program::start(&mut served.work(&["--lease", "2s"], ENDLESS));
    let pid = served.bench.sign("pid").await;
    served.stop().await;
    wait_for_end_of(&pid).await;
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.end().await, Some(1), "the end of the attempt could not be recorded");
    assert_eq!(worker.count("the end of 1 attempts could not be recorded"), 1);
}

#[tokio::test]
async fn a_stop_gives_unfinished_tasks_back() {
    let served = Served::new().await;
    let id = served.bench.create("null").await;
    let mut worker = Program::start(&mut served.work(&["--grace", "100ms"], ENDLESS));
    let pid = served.bench.sign("pid").await;
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.end().await, Some(0));
    wait_for_end_of(&pid).await;
    let task = served.bench.task(id).await;
    assert_eq!((task.status, task.retries), (Some(Status::New), 3), "it costs no attempt");
    assert_eq!(task.attempts[0].outcome, AttemptOutcome::GivenBack);
}

#[tokio::test]
async fn the_command_of_a_task_that_expires_is_stopped() {
    let served = Served::new().await;
    let ttl = std::time::Duration::from_secs(5);
    served.bench.manager.register_queue(QueueMeta::new(QUEUE).ttl(ttl)).await.unwrap();
    let worker = Program::start(&mut served.work(&[], ENDLESS));
    let id = served.bench.create("null").await;
    let pid = served.bench.sign("pid").await;
    wait_for_end_of(&pid).await;
    served.bench.wait_for(id, Status::Expired).await;
    worker.stop().await;
}

#[tokio::test]
async fn queues_that_are_missing_or_paused_are_mentioned() {
    let served = Served::new().await;
    let missing = ["work", "none", "--http.addr", &served.address, "--until-empty", "--", "cat"];
    let refused = output(&mut pgmill(&missing)).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("there is no queue `none`"), "{}", stderr(&refused));
    served.bench.create("1").await;
    served.bench.manager.pause_queue(QUEUE).await.unwrap();
    let mut worker = Program::start(&mut served.work(&[], "cat"));
    worker.says("queue `jobs` is paused").await;
    worker.stop().await;
    let ended = output(&mut served.work(&["--until-empty"], "cat")).await;
    assert!(
        ended.status.success() && stderr(&ended).contains("queue `jobs` is paused"),
        "{}",
        stderr(&ended)
    );
}

#[tokio::test]
async fn a_server_that_is_away_in_the_beginning_is_an_error() {
    let refused =
        pgmill(&["work", QUEUE, "--http.addr", "127.0.0.1:1", "--", "cat"]).kill_on_drop(true).output();
    let refused = tokio::time::timeout(PATIENCE, refused).await.unwrap().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("cannot connect"), "{}", stderr(&refused));
}
