//! Runs the examples as a reader would, each on a database of its own, and checks what they print.

#[cfg(test)]
mod support;

use pgmill_testkit::{has_plain_role, has_pooler, skipped};
use support::{Example, request};

const OWN_TABLES: &str = "the example makes a table of its own in public, by a session of its own";

/// Runs an example that ends by itself.
async fn output(name: &str) -> Vec<String> {
    Example::start(name).await.end().await
}

#[tokio::test]
async fn worker() {
    let mut example = Example::start("worker").await;
    example.prints("sent to ann@example.com at attempt 1").await;
    example.prints("sent to bob@slow.example at attempt 2").await;
    example.interrupt();
    assert_eq!(example.end().await.last().unwrap(), "2 done, 1 tried again, 1 failed");
}

#[tokio::test]
async fn first_task() {
    let printed = output("first_task").await;
    assert!(printed.iter().any(|line| line.contains("is released")), "{printed:?}");
}

#[tokio::test]
async fn transaction() {
    if skipped(has_plain_role() || has_pooler(), OWN_TABLES) {
        return;
    }
    let printed = output("transaction").await;
    assert!(printed[0].starts_with("the order is committed, and so is its task"), "{printed:?}");
    assert!(printed[1].starts_with("the order is rolled back, and so is its task"), "{printed:?}");
}

#[tokio::test]
async fn transaction_sqlx() {
    if skipped(has_plain_role() || has_pooler(), OWN_TABLES) {
        return;
    }
    let printed = output("transaction_sqlx").await;
    assert!(printed.iter().any(|line| line.ends_with("a receipt over 4200")), "{printed:?}");
    assert_eq!(printed.last().unwrap(), "1 receipt printed");
}

#[tokio::test]
async fn cron() {
    let printed = output("cron").await;
    let previewed =
        |line: &&String| line.starts_with("nightly will be due at") && line.contains("T02:30:00+0");
    assert_eq!(printed.iter().filter(previewed).count(), 3, "{printed:?}");
    assert!(printed.iter().filter(|line| line.starts_with("a report on sales")).count() >= 3, "{printed:?}");
}

#[tokio::test]
async fn weights() {
    let printed = output("weights").await;
    assert_eq!(printed.last().unwrap(), "390 tasks are done");
    let ends = printed.iter().find(|line| line.starts_with(['O', 'm'])).unwrap();
    let last_order = ends.rfind('O').unwrap() + 1;
    let mails = ends[..last_order].matches('m').count();
    // By weight they are 30, behind a reserve of those that came first.
    assert!((15..=60).contains(&mails), "{mails} mails until the last order: {ends}");
}

#[tokio::test]
async fn web() {
    let mut example = Example::start("web").await;
    let address = example.prints("listening on ").await.replace("listening on ", "");
    let created = request(&address, "POST /emails", "\"ann@example.com\"").await;
    assert!(created.starts_with("HTTP/1.1 202 "), "{created}");
    let id = created
        .split("\"id\":")
        .nth(1)
        .unwrap()
        .split([',', '}'])
        .next()
        .unwrap()
        .trim_matches('"')
        .to_owned();
    example.prints("sending to ann@example.com").await;
    let running = request(&address, &format!("GET /emails/{id}"), "").await;
    assert!(running.starts_with("HTTP/1.1 200 ") && running.contains("\"retained\""), "{running}");
    assert!(request(&address, "GET /emails/999999", "").await.starts_with("HTTP/1.1 404 "));
    example.interrupt();
    let printed = example.end().await;
    let tail: Vec<&str> = printed.iter().rev().take(3).rev().map(String::as_str).collect();
    assert_eq!(tail, ["stopping", "sent to ann@example.com", "1 done"], "what runs comes to its end");
}
