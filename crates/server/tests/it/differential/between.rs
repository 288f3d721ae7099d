//! What happened between two requests of the captures without being captured, and what puts the database back where the
//! captures have it after an answer of ours that is wanted to be another.

use pgmill_testkit::wait_until;

use super::json::Json;
use super::normalise::{Run, micros};
use super::scene::{PATIENCE, Scene};

/// A step that follows a request.
#[derive(Debug)]
enum Step {
    /// This call: method, path and body.
    Call(&'static str, &'static str, &'static str),
    /// The task goes back to where it was before the reference did not give it out.
    Untake(&'static str),
    /// The task fails all its attempts; between them it is made due.
    FailAll(&'static str),
    /// The task is let expire.
    Expire(&'static str),
}

const QUEUE: &str = "/api/queue";

/// After which request of which file what is done.
const STEPS: &[(&str, usize, &[Step])] = &[
    // A ttl as text is understood here, so that the queue is there already when it is created.
    ("gold2", 37, &[Step::Call("DELETE", "/api/queue/q2", "")]),
    // Settings that are refused here: the queues are made with ones that are not.
    (
        "gold2",
        41,
        &[Step::Call("POST", QUEUE, r#"{"queue":"q2","ttl":90000000000,"retries":1,"retry_delay":0}"#)],
    ),
    (
        "gold2",
        42,
        &[Step::Call("POST", QUEUE, r#"{"queue":"q3","ttl":5000000000,"retries":3,"retry_delay":1000}"#)],
    ),
    ("gold3", 13, &[Step::Call("DELETE", "/api/queue/form2", "")]),
    ("gold3", 21, &[Step::Untake("1")]),
    ("gold3", 32, &[Step::Untake("2")]),
    ("gold3", 33, &[Step::Untake("2")]),
    ("gold4", 11, &[Step::Call("POST", QUEUE, r#"{"queue":"r0","retries":1,"retry_delay":1000000}"#)]),
    ("gold4", 14, &[Step::Untake("6")]),
    ("gold4", 16, &[Step::FailAll("7")]),
    ("gold4", 17, &[Step::Call("PATCH", "/api/queue/b3", r#"{"ttl":"never"}"#)]),
    ("gold4", 23, &[Step::Expire("9")]),
    // A queue with tasks can be renamed here.
    ("gold5", 25, &[Step::Call("PATCH", "/api/queue/case-2", r#"{"queue":"case-1"}"#)]),
    ("gold5", 27, &[Step::Call("PATCH", "/api/queue/case-1", r#"{"retries":5}"#)]),
];

/// Does what follows this request.
pub(crate) async fn after(scene: &Scene, run: &Run, file: &str, at: usize) {
    let steps = STEPS.iter().filter(|step| (step.0, step.1) == (file, at));
    for step in steps.flat_map(|step| step.2) {
        match step {
            Step::Call(method, path, body) => drop(scene.call(method, path, body, run).await),
            Step::Untake(id) => untake(scene, run, id).await,
            Step::FailAll(id) => fail_all(scene, run, id).await,
            Step::Expire(id) => expire(scene, run, id).await,
        }
    }
}

async fn untake(scene: &Scene, run: &Run, id: &str) {
    scene.call("PATCH", &format!("/api/task/{id}"), r#"{"give_back":true}"#, run).await;
    sql(scene, "update pgmill.task set worker = null, run_at = created_at where id = $1", &run.here(id))
        .await;
}

/// B12 and design section 11: the pause doubles, give or take a tenth, and none follows the last attempt.
async fn fail_all(scene: &Scene, run: &Run, id: &str) {
    let path = format!("/api/task/{id}");
    for pause in [10, 20, 0] {
        scene.call("PUT", "/api/task/b3?worker=w", "", run).await;
        scene.call("PATCH", &path, r#"{"fail":true}"#, run).await;
        let task = Json::parse(&scene.call("GET", &path, "", run).await.body);
        let due = task.get("delayed_at").and_then(Json::as_text).map(micros);
        let Some(Json::List(attempts)) = task.get("attempts") else { panic!("no attempts: {task}") };
        let ended = attempts.last().and_then(|attempt| attempt.get("ended_at")).and_then(Json::as_text);
        let ended = ended.map_or_else(|| panic!("no end: {task}"), micros);
        match due {
            Some(due) => {
                let (waits, tenth) = (due - ended, pause * 100_000);
                assert!((waits - pause * 1_000_000).abs() <= tenth, "{waits} us instead of {pause} s");
            }
            None => assert_eq!(pause, 0, "no pause: {task}"),
        }
        sql(scene, "update pgmill.task set run_at = now() where id = $1", &run.here(id)).await;
    }
}

async fn expire(scene: &Scene, run: &Run, id: &str) {
    wait_until("the task to expire", PATIENCE, async || {
        let task = scene.call("GET", &format!("/api/task/{id}"), "", run).await.body;
        Json::parse(&task).get("status").and_then(Json::as_text) == Some("expired")
    })
    .await;
}

async fn sql(scene: &Scene, statement: &str, id: &str) {
    let id: i64 = id.parse().unwrap();
    scene.database.connect().await.execute(statement, &[&id]).await.unwrap();
}
