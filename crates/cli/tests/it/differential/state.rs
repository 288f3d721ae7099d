//! The database that the captured calls met, as our server keeps it.

use std::time::Duration;

use pgmill::{Manager, Outcome, QueueMeta, Status, TaskMeta, TickerMeta, hours, minutes, seconds};
use pgmill_testkit::{TestDatabase, wait_until};

use super::normalise::Run;
use crate::support::PATIENCE;

const PAYLOAD_2: &str = r#"{"a":"<b>&  é","f":1.50,"n":12345678901234567890,"dup":2,"zeta":1}"#;

/// Makes queues, tasks and tickers, and lets the run know the tasks by the ids of the capture.
pub(crate) async fn make(database: &TestDatabase, run: &mut Run) {
    let manager = Manager::connect(database.url()).namespace("default").await.unwrap();
    let queue = |name: &str| QueueMeta::new(name).ttl(hours(1)).retries(3).retry_delay(minutes(2));
    let queues = [
        queue("case-1").retries(3),
        queue("q3").ttl(seconds(5)).retry_delay(Duration::from_micros(1)),
        queue("q4"),
        queue("form1").ttl(seconds(5)).retries(7),
        queue("r0").retries(1).retry_delay(Duration::from_millis(1)),
        queue("b3").retries(1).retry_delay(seconds(10)),
        queue("sh"),
        queue("q2-new").ttl(seconds(90)).retries(1).retry_delay(Duration::ZERO),
    ];
    for queue in queues {
        manager.create_queue(queue).await.unwrap();
    }
    let mut create = async |queue: &str, captured: &str, payload: &str| {
        let mut meta = TaskMeta::raw(payload.parse().unwrap());
        if captured == "3" {
            meta = meta.delayed_at("2098-12-31T22:00:00.123456Z".parse().unwrap());
        }
        let task = manager.create_task(queue, meta).await.unwrap();
        run.learn(&task.id.to_string(), captured);
    };
    create("case-1", "1", "null").await;
    end(
        &manager,
        "case-1",
        "w1",
        Outcome::Done(r#"{"a":12345678901234567000,"b":1,"h":"<x>"}"#.parse().unwrap()),
    )
    .await;
    create("case-1", "2", PAYLOAD_2).await;
    create("case-1", "3", "\"str\"").await;
    create("case-1", "4", "[1,2,3]").await;
    create("r0", "6", "1").await;
    create("b3", "7", "1").await;
    end(&manager, "b3", "w", Outcome::retry(&()).unwrap()).await;
    manager.update_queue("b3", QueueMeta::patch().retries(3).no_ttl()).await.unwrap();
    create("b3", "8", "2").await;
    create("sh", "9", "3").await;
    expire(&manager, database).await;
    manager.update_queue("case-1", QueueMeta::patch().retries(5)).await.unwrap();
    manager.update_queue("sh", QueueMeta::patch().ttl(Duration::from_millis(300))).await.unwrap();
    for ticker in ["t2", "t3", "tform", "tick-renamed"] {
        let (interval, payload) = match ticker {
            "tform" => (1, "{}"),
            "tick-renamed" => (2, "\"x\""),
            "t3" => (60, "null"),
            _ => (60, "{}"),
        };
        let meta = TickerMeta::new(ticker).interval(seconds(interval)).payload(payload.parse().unwrap());
        manager.create_ticker(meta).await.unwrap();
    }
    let other = Manager::connect(database.url()).namespace("other").await.unwrap();
    other.create_queue(queue("r0")).await.unwrap();
}

/// Call 15 of `cli2.txt`.
pub(crate) async fn change_t2(database: &TestDatabase) {
    let manager = Manager::connect(database.url()).namespace("default").await.unwrap();
    manager.update_ticker("t2", TickerMeta::patch().payload("null".parse().unwrap())).await.unwrap();
}

/// What the reference did not give out goes back to where it was.
pub(crate) async fn untake(database: &TestDatabase, id: &str) {
    let manager = Manager::connect(database.url()).namespace("default").await.unwrap();
    let task = manager.get_task(id.parse().unwrap()).await.unwrap();
    manager.release_task(&task, Outcome::GiveBack).await.unwrap();
    let statement = "update pgmill.task set worker = null, run_at = created_at where id = $1";
    let id: i64 = id.parse().unwrap();
    database.connect().await.execute(statement, &[&id]).await.unwrap();
}

async fn end(manager: &Manager, queue: &str, worker: &str, outcome: Outcome) {
    let task = manager.next_task(worker, &[queue]).await.unwrap().expect("a task");
    manager.release_task(&task, outcome).await.unwrap();
}

/// The task of `sh` is retained, fails after its time, and is expired.
async fn expire(manager: &Manager, database: &TestDatabase) {
    let task = manager.next_task("w", &["sh"]).await.unwrap().expect("a task");
    let id = i64::try_from(task.id).unwrap();
    let client = database.connect().await;
    let statement = "update pgmill.task set dies_at = created_at + interval '300 ms' where id = $1";
    client.execute(statement, &[&id]).await.unwrap();
    wait_until("the task to expire", PATIENCE, async || {
        manager.get_task(task.id).await.unwrap().status == Some(Status::Expired)
    })
    .await;
    manager.release_task(&task, Outcome::retry(&()).unwrap()).await.unwrap();
}
