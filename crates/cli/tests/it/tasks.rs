//! Tasks, asked for through a server.

use std::process::Stdio;

use nix::sys::signal::Signal;
use pgmill_testkit::{StopMode, TestServer};
use serde_json::{Value, json};

use crate::served::Served;
use crate::support::{Bench, PATIENCE, Program, output, stderr, stdout};

fn id(task: &Value) -> String {
    task["id"].to_string()
}

#[tokio::test]
async fn a_task_is_created_retained_and_completed() {
    let served = Served::new().await;
    let created = served.json(&["create-task", "jobs", "--payload={\"a\":1}", "--priority", "0"]).await;
    assert_eq!((&created["status"], &created["priority"]), (&json!("new"), &json!(0)));
    let retained = served.json(&["retain-task", "--worker=w", "jobs"]).await;
    assert_eq!((&retained["id"], &retained["worker"]), (&created["id"], &json!("w")));
    assert!(retained["lease"].is_string(), "{retained}");
    // Ids may be written as Go reads numbers.
    let hex = format!("{:#x}", created["id"].as_u64().unwrap());
    let done = served.json(&["complete-task", &hex, "--result", "[1,2]"]).await;
    assert_eq!((&done["status"], &done["result"]), (&json!("released"), &json!([1, 2])));
    assert_eq!(served.json(&["task", &hex]).await["status"], "released");
}

#[tokio::test]
async fn an_error_fails_the_attempt_and_null_is_none() {
    let served = Served::new().await;
    for (options, status, result) in [
        (&["--error=\"x\""][..], "retry", json!("x")),
        (&["--error=null"], "released", Value::Null),
        (&["--error=\"x\"", "--discard"], "failed", json!("x")),
        (&["--discard"], "failed", Value::Null),
        (&["--error={\"no\":1}", "--retry-in=10m"], "retry", json!({"no": 1})),
        (&[], "released", Value::Null),
    ] {
        served.json(&["create-task", "jobs", "--payload=1"]).await;
        let task = served.json(&["retain-task", "--worker=w"]).await;
        let ended = served.json(&[&["complete-task", &id(&task)], options].concat()).await;
        assert_eq!((&ended["status"], &ended["result"]), (&json!(status), &result), "{options:?}");
    }
}

#[tokio::test]
async fn a_retain_with_a_lease_is_completed_with_it_and_not_without() {
    let served = Served::new().await;
    served.json(&["create-task", "jobs", "--payload=1"]).await;
    let list = served.json(&["retain-task", "--worker=w", "--count=5", "--lease=1m", "--wait=1s"]).await;
    assert_eq!(list["count"], 1);
    let task = &list["body"][0];
    let refusal = served.refusal(&["complete-task", &id(task)]).await;
    assert!(refusal.contains("lease_required"), "{refusal}");
    let lease = task["lease"].as_str().unwrap();
    assert_eq!(served.json(&["complete-task", &id(task), "--lease", lease]).await["status"], "released");
    let refusal = served.refusal(&["complete-task", &id(task), "--lease", lease]).await;
    assert!(refusal.contains("ErrUnexpectedResponse: 40"), "{refusal}");
    assert_eq!(served.text(&["retain-task", "--worker=w", "--count=5"]).await, "{\n  \"count\": 0\n}\n");
}

#[tokio::test]
async fn payloads_are_printed_with_every_digit_and_escaped_as_the_reference_does() {
    let served = Served::new().await;
    let payload = r#"--payload={"a":"<b>&","n":12345678901234567890,"f":1.50}"#;
    let printed = served.text(&["create-task", "jobs", payload]).await;
    assert_eq!(served.json(&["create-task", "jobs", "--payload", "-1"]).await["payload"], -1);
    for part in [r#""a": "\u003cb\u003e\u0026""#, r#""n": 12345678901234567890"#, r#""f": 1.50"#] {
        assert!(printed.contains(part), "{part}: {printed}");
    }
}

#[tokio::test]
async fn json_arguments_are_looked_at_before_anything_is_sent() {
    let served = Served::new().await;
    for (args, start) in [
        (["create-task", "jobs", "--payload={bad"], "Error: invalid payload JSON: "),
        (["complete-task", "7", "--error={bad"], "Error: invalid error JSON: "),
        (["complete-task", "7", "--result={bad"], "Error: invalid result JSON: "),
    ] {
        let refusal = served.refusal(&args).await;
        assert!(refusal.starts_with(start), "{refusal}");
    }
    let refusal = served.refusal(&["create-task", "jobs"]).await;
    assert!(refusal.starts_with("Error: ErrUnexpectedResponse: 400 Bad Request: {"), "{refusal}");
    assert!(refusal.contains("missing payload"), "{refusal}");
}

#[tokio::test]
async fn a_retain_takes_from_all_the_queues_it_names_and_says_when_there_is_nothing() {
    let served = Served::new().await;
    served.json(&["create-queue", "other"]).await;
    let task = served.json(&["create-task", "other", "--payload=1"]).await;
    assert_eq!(served.json(&["retain-task", "--worker=w", "jobs", "OTHER"]).await["id"], task["id"]);
    let refusal = served.refusal(&["retain-task", "--worker=w", "jobs", "other"]).await;
    let expected = "Error: ErrUnexpectedResponse: 404 Not Found: {\n  \"code\": 404,\n  \
                    \"reason\": \"Not Found: no task available\",\n  \"error\": \"no_task_available\"\n}\n\n";
    assert_eq!(refusal, expected);
}

#[tokio::test]
async fn tasks_are_listed_by_queue_and_status() {
    let served = Served::new().await;
    served.json(&["create-queue", "other"]).await;
    for queue in ["jobs", "jobs", "other"] {
        served.json(&["create-task", queue, "--payload=1", "--delayed-at=2098-12-31T23:00:00+01:00"]).await;
    }
    assert_eq!(served.json(&["tasks"]).await["count"], 3);
    assert_eq!(served.json(&["tasks", "--limit=0"]).await["body"].as_array().unwrap().len(), 3);
    let list = served.json(&["tasks", "--queue=Jobs", "--status=new", "--offset=1", "--limit=5"]).await;
    assert_eq!((&list["count"], &list["body"][0]["delayed_at"]), (&json!(2), &json!("2098-12-31T22:00:00Z")));
    assert_eq!(served.text(&["tasks", "--status=failed"]).await, "{\n  \"count\": 0\n}\n");
}

#[tokio::test]
async fn an_operator_pauses_cancels_and_retries() {
    let served = Served::new().await;
    let task = id(&served.json(&["create-task", "jobs", "--payload=1", "--key=k"]).await);
    assert_eq!(id(&served.json(&["create-task", "jobs", "--payload=2", "--key=k"]).await), task);
    assert!(served.json(&["pause-queue", "jobs"]).await["paused_at"].is_string());
    served.refusal(&["retain-task", "--worker=w", "jobs"]).await;
    let status = served.json(&["status", "jobs"]).await;
    assert_eq!((&status["tasks"]["new"], status["paused_at"].is_string()), (&json!(1), true));
    assert_eq!(served.json(&["status"]).await["body"], json!([status]));
    assert!(served.json(&["resume-queue", "jobs"]).await["paused_at"].is_null());
    assert_eq!(served.json(&["cancel-task", &task]).await["status"], "cancelled");
    assert!(served.refusal(&["cancel-task", &task]).await.contains("409 Conflict"));
    assert_eq!(served.json(&["retry-task", &task]).await["status"], "new");
    assert_eq!(served.json(&["health"]).await["status"], "ok");
}

#[tokio::test]
async fn an_interrupt_gives_up_what_was_asked() {
    let served = Served::new().await;
    let mut command = served.pgmill(&["retain-task", "--worker=w", "--wait=60s", "--debug"]);
    let mut waiting = Program::start(&mut command);
    waiting.says("request: PUT").await;
    waiting.signal(Signal::SIGINT);
    assert_eq!(waiting.end().await, Some(1));
    assert_eq!(waiting.count("Error: interrupted"), 1);
}

#[tokio::test]
async fn a_server_that_cannot_reach_its_database_is_not_well() {
    let server = TestServer::own();
    let served = Served::on(Bench::on(&server).await).await;
    server.halt(StopMode::Immediate).await;
    let mut health = served.pgmill(&["health"]);
    let output = output(&mut health).await;
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(1), ""));
    assert!(stdout(&output).contains("\"unavailable\""));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_cannot_be_printed_is_an_error_unless_nobody_wants_to_read_it() {
    let served = Served::new().await;
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let (reader, closed) = std::io::pipe().unwrap();
    drop(reader);
    for (stdout, code, told) in
        [(Stdio::from(full), 1, "Error: standard output cannot be written: "), (Stdio::from(closed), 0, "")]
    {
        let child = served.pgmill(&["queues"]).stdout(stdout).stderr(Stdio::piped()).spawn().unwrap();
        let ended = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
        assert_eq!(ended.status.code(), Some(code), "{}", stderr(&ended));
        assert!(stderr(&ended).starts_with(told), "{}", stderr(&ended));
    }
}
