//! `pgmill work`: what commands are told, and what becomes of what they say.

use nix::sys::signal::Signal;
use pgmill::{AttemptOutcome, QueueMeta, Status, TaskMeta};
use pgmill_testkit::{StopMode, TestServer, has_pooler, skipped, wait_until};
use serde_json::Value;

use crate::support::{Bench, PATIENCE, Program, QUEUE, output, pgmill, runs, stderr, wait_for_end_of};

#[tokio::test]
async fn exit_0_is_done_with_json_on_standard_output_as_the_result() {
    let bench = Bench::new().await;
    let result = bench.run_one(r#"echo '{"n": [1.50, 12345678901234567890]}'"#).await;
    assert_eq!(result, (Status::Released, r#"{"n": [1.50, 12345678901234567890]}"#.to_owned()));
}

#[tokio::test]
async fn other_output_becomes_text_and_none_becomes_null() {
    let bench = Bench::new().await;
    assert_eq!(bench.run_one("printf 'two\nlines\n'").await.1, r#""two\nlines""#);
    assert_eq!(bench.run_one("printf ' \n'").await, (Status::Released, "null".to_owned()));
    // Bytes that are no text, and characters that PostgreSQL cannot store.
    assert_eq!(bench.run_one(r"printf 'a\000b\377c'").await.1, "\"a\u{fffd}b\u{fffd}c\"");
    assert_eq!(bench.run_one(r#"printf '%s' '"\u0000"'"#).await.1, r#""\"\\u0000\"""#);
}

#[tokio::test]
async fn exit_65_fails_for_good() {
    let bench = Bench::new().await;
    let (status, result) = bench.run_one("echo not the result; echo no such customer >&2; exit 65").await;
    assert_eq!((status, result.as_str()), (Status::Failed, r#""no such customer""#));
}

#[tokio::test]
async fn exit_75_other_codes_and_signals_are_retried() {
    let bench = Bench::new().await;
    for (script, error) in [
        ("echo busy >&2; exit 75", r#""busy""#),
        ("exit 3", r#""exit status 3""#),
        ("kill -9 $$", r#""killed by SIGKILL""#),
    ] {
        let (status, result) = bench.run_one(script).await;
        assert_eq!((status, result.as_str()), (Status::Retry, error), "{script}");
    }
}

#[tokio::test]
async fn the_last_failed_attempt_fails_the_task() {
    let bench = Bench::new().await;
    let queue = QueueMeta::new(QUEUE).retries(2).retry_delay(std::time::Duration::ZERO);
    bench.manager.register_queue(queue).await.unwrap();
    let id = bench.create("1").await;
    let printed = bench.work_until_empty(&["--until-empty", "--json"], "exit 75").await;
    assert_eq!(bench.task(id).await.status, Some(Status::Failed));
    let lines: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> = lines.iter().map(|line| (line["status"].as_str(), line["attempt"].as_u64())).collect();
    assert_eq!(told, [(Some("retry"), Some(1)), (Some("failed"), Some(2))]);
}

#[tokio::test]
async fn the_end_of_standard_error_is_kept() {
    let bench = Bench::new().await;
    // 30,000 bytes of a character that is two bytes long, so that the cut falls between its halves or not.
    let script = r"printf 'x' >&2; head -c 15000 /dev/zero | sed 's/\x00/é/g' >&2; echo end >&2; exit 1";
    let (_, result) = bench.run_one(script).await;
    let text: String = serde_json::from_str(&result).unwrap();
    assert!((8 * 1024 - 8..=8 * 1024).contains(&text.len()), "{}", text.len());
    assert!(text.starts_with('é') && text.ends_with("éend"), "{text}");
}

#[tokio::test]
async fn output_that_is_too_long_fails_the_task_and_says_why() {
    let bench = Bench::new().await;
    let (status, result) =
        bench.run_one("head -c 3000000 /dev/zero | tr '\\0' a; touch ran_to_its_end").await;
    assert_eq!(status, Status::Failed);
    assert!(result.contains("too long for a result: at most 1048576 bytes"), "{result}");
    assert!(bench.path("ran_to_its_end").exists());
}

#[tokio::test]
async fn the_command_finds_the_payload_and_the_task() {
    let bench = Bench::new().await;
    let payload = r#"{"b": 1.0, "a": [ 12345678901234567890 ]}"#;
    let id = bench.create(payload).await;
    let script =
        "cat > payload; env | grep ^PGMILL_ | grep -v -e ^PGMILL_PG_BIN= -e ^PGMILL_TEST_ | sort > env";
    bench.work_until_empty(&["--until-empty", "--name", "w 1"], script).await;
    assert_eq!(bench.sign("payload").await, payload);
    let variables = format!(
        "PGMILL_ATTEMPT=1\nPGMILL_NAMESPACE=default\nPGMILL_QUEUE=jobs\nPGMILL_RETRIES=3\nPGMILL_TASK_ID={id}\n\
         PGMILL_WORKER=w 1"
    );
    assert_eq!(bench.sign("env").await, variables);
    assert_eq!(bench.task(id).await.worker.as_deref(), Some("w 1"));
}

#[tokio::test]
async fn a_command_need_not_read_its_input() {
    let bench = Bench::new().await;
    let payload = format!("\"{}\"", "x".repeat(500_000));
    let id = bench.create(&payload).await;
    bench.work_until_empty(&["--until-empty"], "true").await;
    assert_eq!(bench.task(id).await.status, Some(Status::Released));
}

#[tokio::test]
async fn what_a_command_leaves_in_the_background_does_not_hold_its_task() {
    let bench = Bench::new().await;
    let (status, result) = bench.run_one("sleep 1000 & echo $! > left; echo 7").await;
    assert_eq!((status, result.as_str()), (Status::Released, "7"));
    let left = bench.sign("left").await;
    assert!(runs(&left));
    crate::support::send(left.parse().unwrap(), Signal::SIGKILL);
}

#[tokio::test]
async fn a_timeout_ends_the_command_and_all_it_started_and_is_retried() {
    let bench = Bench::new().await;
    let id = bench.create("null").await;
    let script = "echo started >&2; trap '' TERM; sleep 1000 & echo $! > inner.new; mv inner.new inner; wait; sleep 1000";
    let mut worker = Program::start(&mut bench.work(&["--timeout", "300ms", "--debug"], script));
    bench.wait_for(id, Status::Retry).await;
    let inner = bench.sign("inner").await;
    wait_for_end_of(&inner).await;
    assert_eq!(bench.result(id).await.1, r#""timed out after 300ms\nstarted""#);
    assert!(worker.line().await.contains("retry attempt=1"));
    worker.stop().await;
}

#[tokio::test]
async fn so_many_commands_run_at_once() {
    let bench = Bench::new().await;
    for _ in 0..3 {
        bench.create("null").await;
    }
    // Each ends only when all three have begun.
    let script = "touch begun-$PGMILL_TASK_ID; while [ $(ls begun-* | wc -l) -lt 3 ]; do sleep 0.01; done";
    let printed = bench.work_until_empty(&["--until-empty", "--workers", "3"], script).await;
    assert_eq!(printed.lines().count(), 3, "{printed}");
}

#[tokio::test]
async fn no_more_tasks_are_retained_than_commands_run() {
    let bench = Bench::new().await;
    let ids = [bench.create("1").await, bench.create("2").await, bench.create("3").await];
    let mut worker =
        Program::start(&mut bench.work(&["--workers", "2", "--grace", "0s"], "touch begun; sleep 1000"));
    bench.sign("begun").await;
    bench.wait_for(ids[0], Status::Retained).await;
    bench.wait_for(ids[1], Status::Retained).await;
    assert_eq!(bench.task(ids[2]).await.status, Some(Status::New));
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.end().await, Some(0));
    assert_eq!(bench.task(ids[2]).await.attempt, 0);
}

#[tokio::test]
async fn any_takes_from_every_queue_of_the_namespace_and_no_other() {
    let bench = Bench::new().await;
    bench.manager.register_queue(QueueMeta::new("more")).await.unwrap();
    let other = bench.manager.with_namespace("other").unwrap();
    other.register_queue(QueueMeta::new(QUEUE)).await.unwrap();
    let first = bench.create("1").await;
    let second = bench.manager.create_task("more", TaskMeta::json(&2).unwrap()).await.unwrap().id;
    let foreign = other.create_task(QUEUE, TaskMeta::json(&3).unwrap()).await.unwrap().id;
    let mut command = pgmill(&["work", "--any", "--until-empty", "--url", bench.database.url(), "--", "cat"]);
    assert!(output(&mut command).await.status.success());
    assert_eq!(bench.result(first).await, (Status::Released, "1".to_owned()));
    assert_eq!(bench.result(second).await, (Status::Released, "2".to_owned()));
    assert_eq!(other.get_task(foreign).await.unwrap().status, Some(Status::New));
}

#[tokio::test]
async fn a_command_that_cannot_be_run_is_refused_before_anything_is_retained() {
    let bench = Bench::new().await;
    let id = bench.create("null").await;
    std::fs::write(bench.path("plain"), "no program").unwrap();
    for (command, reason) in [
        ("no-such-program", "there is no such program in PATH"),
        ("./none", "there is no such file"),
        ("./plain", "it is not an executable file"),
    ] {
        let mut worker = pgmill(&["work", QUEUE, "--url", bench.database.url(), "--", command]);
        let output = output(worker.current_dir(bench.folder.path())).await;
        assert_eq!(output.status.code(), Some(1));
        let said = stderr(&output);
        assert!(said.contains(&format!("Error: the command `{command}` cannot be run")), "{said}");
        assert!(said.contains(reason), "{said}");
    }
    assert_eq!(bench.task(id).await.attempt, 0);
}

#[tokio::test]
async fn a_queue_that_does_not_exist_is_mentioned_and_waited_for() {
    let bench = Bench::new().await;
    let url = bench.database.url();
    let mut worker = Program::start(&mut pgmill(&["work", "later", "--url", url, "--", "cat"]));
    worker.says("there is no queue `later` in the namespace `default` yet").await;
    bench.manager.register_queue(QueueMeta::new("later")).await.unwrap();
    let id = bench.manager.create_task("later", TaskMeta::json(&1).unwrap()).await.unwrap().id;
    bench.wait_for(id, Status::Released).await;
    worker.stop().await;
    let output = output(&mut pgmill(&["work", "none", "--until-empty", "--url", url, "--", "cat"])).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("Error: there is no queue `none` in the namespace `default`"));
}

#[tokio::test]
async fn until_empty_does_not_wait_for_a_paused_queue_and_says_that_it_is() {
    let bench = Bench::new().await;
    let id = bench.create("null").await;
    bench.manager.pause_queue(QUEUE).await.unwrap();
    let output = output(&mut bench.work(&["--until-empty"], "cat")).await;
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    assert_eq!(said.matches("queue `jobs` is paused").count(), 1, "{said}");
    assert_eq!(bench.task(id).await.status, Some(Status::New));
}

#[tokio::test]
async fn a_worker_mentions_a_paused_queue_once_and_goes_on_when_it_is_resumed() {
    let bench = Bench::new().await;
    let id = bench.create("null").await;
    bench.manager.pause_queue(QUEUE).await.unwrap();
    let mut worker = Program::start(&mut bench.work(&[], "cat"));
    worker.says("queue `jobs` is paused").await;
    bench.manager.resume_queue(QUEUE).await.unwrap();
    bench.wait_for(id, Status::Released).await;
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.end().await, Some(0));
    assert_eq!(worker.count("is paused"), 1);
}

#[tokio::test]
async fn the_log_tells_whether_a_worker_is_woken_by_notifications_or_by_polling_alone() {
    if skipped(has_pooler(), "the role, or the way to the server, is one of the test's own") {
        return;
    }
    let bench = Bench::new().await;
    let mark = if bench.database.url().contains('?') { '&' } else { '?' };
    let pooled = format!("{}{mark}pgmill_mode=pooler", bench.database.url());
    for (url, how) in [(bench.database.url(), "by notifications"), (&pooled, "by polling alone")] {
        let mut worker = Program::start(&mut bench.work(&["--debug", "--url", url], "cat"));
        worker.says(&format!("woken {how}")).await;
        worker.stop().await;
    }
}

#[tokio::test]
async fn the_command_of_a_task_that_expires_is_stopped_and_its_task_has_expired() {
    let bench = Bench::new().await;
    let first = bench.create("null").await;
    let script = "echo $$ > new-$PGMILL_TASK_ID; mv new-$PGMILL_TASK_ID pid-$PGMILL_TASK_ID; exec sleep 1000";
    let options = ["--json", "--workers", "2", "--grace", "0s"];
    let mut worker = Program::start(&mut bench.work(&options, script));
    // From here on it takes a moment until a task is begun.
    bench.sign(&format!("pid-{first}")).await;
    bench.manager.register_queue(QueueMeta::new(QUEUE).ttl(std::time::Duration::from_secs(5))).await.unwrap();
    let id = bench.create("null").await;
    let pid = bench.sign(&format!("pid-{id}")).await;
    wait_for_end_of(&pid).await;
    assert!(worker.line().await.contains(r#""status":"expired""#));
    worker.stop().await;
    let text = r#""stopped: the task expired while its command ran""#;
    assert_eq!(bench.result(id).await, (Status::Expired, text.to_owned()));
    assert_eq!(bench.task(first).await.status, Some(Status::New), "it was given back");
}

#[tokio::test]
async fn a_worker_outlives_a_crash_of_the_database_and_mentions_it_once() {
    let server = TestServer::own();
    let bench = Bench::on(&server).await;
    let before = bench.create("1").await;
    let mut worker = Program::start(
        &mut bench.work(&["--json"], "echo begun > begun; while [ ! -e go ]; do sleep 0.01; done; cat"),
    );
    bench.sign("begun").await;
    server.halt(StopMode::Immediate).await;
    std::fs::write(bench.path("go"), "").unwrap();
    worker.says("trying again until it works").await;
    server.resume().await;
    wait_until("the task to be released", PATIENCE, async || {
        bench.manager.get_task(before).await.is_ok_and(|task| task.status == Some(Status::Released))
    })
    .await;
    let after = bench.create("2").await;
    bench.wait_for(after, Status::Released).await;
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.end().await, Some(0));
    assert_eq!(bench.task(before).await.attempt, 1);
    assert!(
        bench.task(before).await.attempts.iter().all(|attempt| attempt.outcome != AttemptOutcome::Lapsed)
    );
    // A pooler may let it wait instead, and no try fails.
    let mentions = worker.count("tasks cannot be retained: ");
    assert!(mentions == 1 || has_pooler() && mentions == 0, "{mentions}");
}
