//! The rules held against a real database, in which somebody changed something behind everybody's back: what is planted here goes
//! through the ledger's trigger, the statements that read the tables, and what is made of their rows.

use std::collections::BTreeSet;

use pgmill::{Manager, Outcome, Task, TaskMeta};
use pgmill_testkit::{TestDatabase, has_plain_role, skipped};
use serde_json::json;
use tokio_postgres::Client;

use super::{check, model};
use crate::clock;
use crate::evidence::Evidence;
use crate::history::{Account, Answer, Event, Fate, Line, Ran, Wanted};
use crate::roles::{NAMESPACE, fence};
use crate::scene::{connect, prepare};

const LOST: &str = "an acknowledged task is there, under its id, once";
const TWICE: &str = "no task is there twice, and none that was refused";
const CHAIN: &str = "each change of a task goes on from the one before";
const LEASES: &str = "no two leases of a task run at the same time";
const ATTEMPTS: &str = "attempts are counted one by one, and never exceed the retries";
const FENCES: &str = "a release ends the attempt that it was meant for";
const COUNTS: &str = "the counters equal the tables";
const LEFT: &str = "nothing is left over";

/// A database with three tasks: the first is done, the second is retained, and the third waits.
struct Tables {
    client: Client,
    lines: Vec<(&'static str, Event)>,
    _database: TestDatabase,
}

impl Tables {
    async fn full() -> Self {
        let database = TestDatabase::create().await;
        prepare(database.url()).await.unwrap();
        let manager = Manager::connect(database.url()).namespace(NAMESPACE).await.unwrap();
        let mut lines = vec![("driver", Event::Began { wall: clock::wall() })];
        for (call, mark) in [(1, "first"), (2, "second"), (3, "third")] {
            let meta = TaskMeta::json(&json!({ "mark": mark })).unwrap();
            let task = manager.create_task("work", meta).await.unwrap();
            let tasks = vec![Wanted { mark: mark.to_owned(), keyed: false }];
            let queue = "work".to_owned();
            lines.push(("producer-0.0", Event::Asked { call, queue, priority: 5, tasks }));
            lines.push(("producer-0.0", Event::Answered { call, answer: Answer::Created(vec![task.id]) }));
        }
        let done = retain(&manager).await;
        let (fence, retained_at) = (fence(&done).unwrap(), done.started_at.unwrap().as_microsecond());
        let (mark, queue) = ("first".to_owned(), "work".to_owned());
        lines.push(("worker-0.0", Event::Started { fence, mark, queue, retained_at }));
        lines.push(("worker-0.0", Event::Ended { fence, ran: Ran::Done }));
        let released = manager.release_task(&done, Outcome::done_empty()).await.unwrap();
        let fate = Fate::Recorded(released.status as u8);
        lines.push(("worker-0.0", Event::Told { fence, fate }));
        retain(&manager).await;
        manager.close().await;
        let client = connect(database.url()).await.unwrap();
        Self { client, lines, _database: database }
    }

    /// The rules that are broken, but for that of the model, which finds much of what others do.
    async fn broken(&mut self) -> BTreeSet<&'static str> {
        let account = |process: &str| {
            let own = self.lines.iter().enumerate().filter(|(_, (whose, _))| *whose == process);
            let lines = own.map(|(at, (_, event))| Line { at: at as u64, event: event.clone() }).collect();
            Account { process: process.to_owned(), lines }
        };
        let accounts = ["driver", "producer-0.0", "worker-0.0"].map(account).into();
        let evidence = Evidence::gather(accounts, &mut self.client).await.unwrap();
        let rules = check(&evidence).into_iter().map(|violation| violation.rule);
        rules.filter(|rule| *rule != model::RULE).collect()
    }
}

async fn retain(manager: &Manager) -> Task {
    manager.next_task("worker", &["work"]).await.unwrap().expect("one waits")
}

/// What is broken after these changes, beside that two tasks have not ended.
async fn after(changes: &str) -> Vec<&'static str> {
    let mut tables = Tables::full().await;
    assert_eq!(Vec::from_iter(tables.broken().await), [LEFT], "before anything is planted");
    tables.client.batch_execute(changes).await.unwrap_or_else(|error| panic!("{changes}: {error:?}"));
    tables.broken().await.into_iter().filter(|rule| *rule != LEFT).collect()
}

/// The one who plants owns the tables, and may make a schema for the ledger.
fn left_out() -> bool {
    skipped(has_plain_role(), "the role may not make the schema of the ledger")
}

#[tokio::test]
async fn a_task_that_is_removed_is_missed() {
    if left_out() {
        return;
    }
    let broken = after("DELETE FROM pgmill.task WHERE payload ->> 'mark' = 'third'").await;
    assert_eq!(broken, [LOST, CHAIN, COUNTS]);
}

#[tokio::test]
async fn a_task_that_is_kept_twice_is_found() {
    if left_out() {
        return;
    }
    let broken = after("INSERT INTO pgmill.task_finished SELECT * FROM pgmill.task_finished").await;
    assert_eq!(broken, [LOST, TWICE, COUNTS]);
}

#[tokio::test]
async fn a_task_that_is_given_out_while_another_has_its_lease_is_found() {
    if left_out() {
        return;
    }
    let given_out = "UPDATE pgmill.task SET attempt = attempt + 1, holder = holder + (1::bigint << 40) WHERE lease_until IS NOT NULL";
    assert_eq!(after(given_out).await, [LEASES]);
}

#[tokio::test]
async fn a_number_of_an_attempt_that_is_left_out_is_found() {
    if left_out() {
        return;
    }
    let skipped =
        "UPDATE pgmill.task SET attempt = attempt + 2, holder = 7, worker = 'w', started_at = now(),
        lease_until = now() + interval '1 minute' WHERE payload ->> 'mark' = 'third'";
    assert_eq!(after(skipped).await, [ATTEMPTS, COUNTS]);
}

#[tokio::test]
async fn a_change_that_the_ledger_does_not_have_is_found() {
    if left_out() {
        return;
    }
    let unseen = "ALTER TABLE pgmill.task DISABLE TRIGGER chaos_ledger;
        UPDATE pgmill.task SET spared = 1 WHERE lease_until IS NOT NULL;
        ALTER TABLE pgmill.task ENABLE TRIGGER chaos_ledger";
    assert_eq!(after(unseen).await, [CHAIN]);
}

#[tokio::test]
async fn a_result_that_became_another_is_found() {
    if left_out() {
        return;
    }
    let broken = after("UPDATE pgmill.task_finished SET status = 4").await;
    assert!(broken.contains(&FENCES) && broken.contains(&COUNTS), "{broken:?}");
}

#[tokio::test]
async fn a_payload_that_is_that_of_another_is_found() {
    if left_out() {
        return;
    }
    let swapped =
        r#"UPDATE pgmill.task SET payload = '{"mark": "first"}' WHERE payload ->> 'mark' = 'third'"#;
    assert_eq!(after(swapped).await, [LOST, CHAIN, TWICE]);
}

#[tokio::test]
async fn a_counter_that_counts_one_too_many_is_found() {
    if left_out() {
        return;
    }
    let counted = "INSERT INTO pgmill.task_count_delta (queue_id, status, day, n)
        SELECT q.id, 0, '-infinity', 1 FROM pgmill.queue q WHERE q.queue = 'keyed'";
    assert_eq!(after(counted).await, [COUNTS]);
}
