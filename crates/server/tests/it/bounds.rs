//! What strangers and those who make up names can have of the server.

use futures_util::future::join_all;
use pgmill::{NewToken, Role, TaskMeta, TokenSecret};
use pgmill_server::{Options, RateLimit};
use pgmill_testkit::wait_until;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::fixture::Fixture;
use crate::wire::{SOON, Wire};

/// How many different things are waited for, and how many namespaces watched, at a time.
const MOST: usize = 1_000;

impl Fixture {
    /// How many rows a table has.
    async fn rows(&self, table: &str) -> i64 {
        let client = self.database.connect().await;
        let sql = format!("SELECT count(*) FROM pgmill.{table}");
        client.query_one(&sql, &[]).await.unwrap().get(0)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn made_up_queues_that_are_waited_for_are_bounded_and_those_who_wait_already_stay() {
    let fixture = Fixture::with_queue().await;
    let http = fixture.http;
    let waiting: Vec<_> = (0..MOST + 50)
        .map(|number| {
            let path = format!("/api/task/made_up_{number}?worker=w&wait=1m");
            tokio::spawn(async move { http.send("PUT", &path, &[], "").await })
        })
        .collect();
    let ended = || waiting.iter().filter(|waiting| waiting.is_finished()).count();
    wait_until("those that are too many to be refused", SOON, async || ended() == 50).await;
    fixture.api.shutdown().cancel();
    let replies = join_all(waiting).await.into_iter().map(Result::unwrap).collect::<Vec<_>>();
    let refused: Vec<_> = replies.iter().filter(|reply| reply.status == 503).collect();
    assert_eq!(refused.len(), 50, "the others were told that there is no task");
    assert_eq!(
        (refused[0].error().as_str(), refused[0].header("retry-after")),
        ("too_many_waits", Some("1"))
    );
    assert_eq!(fixture.put("/api/task/q?worker=w&wait=1ms").await.status, 404, "there is room again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_waits_for_made_up_queues_leaves_room_for_other_tokens() {
    let fixture = Fixture::guarded(Options::new()).await;
    let (greedy, other) = (fixture.token(Role::Worker).await, fixture.token(Role::Operator).await);
    let http = fixture.http;
    let wait = |token: &NewToken, count: usize| -> Vec<_> {
        let (id, bearer) = (token.token.id, format!("Bearer {}", token.secret.expose()));
        (0..count)
            .map(|number| {
                let path = format!("/api/task/made_up_{id}_{number}?worker=w&wait=1m");
                let bearer = bearer.clone();
                tokio::spawn(async move { http.send("PUT", &path, &[("Authorization", &bearer)], "").await })
            })
            .collect()
    };
    let refused = async |waiting: &[JoinHandle<_>], count: usize| {
        wait_until("those that are too many to be refused", SOON, async || {
            waiting.iter().filter(|waiting| waiting.is_finished()).count() == count
        })
        .await;
    };
    let first = wait(&greedy, MOST / 2 + 30);
    refused(&first, 30).await;
    let second = wait(&other, MOST / 4 + 20);
    refused(&second, 20).await;
    let there = second.iter().position(|waiting| !waiting.is_finished()).unwrap();
    let one = format!("/api/task/made_up_{}_{there}?worker=w&wait=1ms", other.token.id);
    let joined = fixture.with_token(greedy.secret.expose(), "PUT", &one, "").await;
    assert_eq!(joined.status, 404, "what others wait for already costs nothing more: {}", joined.body);
    fixture.api.shutdown().cancel();
    for waiting in [first, second] {
        let replies = join_all(waiting).await.into_iter().map(Result::unwrap);
        let refused: Vec<_> = replies.filter(|reply| reply.status == 503).collect();
        assert!(refused.iter().all(|reply| reply.error() == "too_many_waits"), "{refused:?}");
        assert!(refused.iter().all(|reply| reply.header("retry-after") == Some("1")), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn made_up_namespaces_that_are_watched_are_bounded() {
    for path in ["/api/event", "/api/ticker"] {
        let fixture = Fixture::with(Options::new().all_namespaces()).await;
        let head = "Accept: text/event-stream\r\n";
        let open = async |number: usize| {
            let path = format!("{path}?namespace=made-up-{number}");
            let mut wire = Wire::open(fixture.http, "GET", &path, head).await;
            wire.until("\r\n\r\n").await;
            wire
        };
        let mut wires = Vec::new();
        for number in 0..MOST {
            wires.push(open(number).await);
        }
        let mut refused = open(MOST).await;
        assert!(refused.text.starts_with("HTTP/1.1 503 "), "{path}: {}", refused.text);
        refused.until("too_many_waits").await;
        let again = open(0).await;
        assert!(again.text.starts_with("HTTP/1.1 200 "), "{path}: {}", again.text);
        assert!(fixture.rows("watcher").await <= MOST as i64);
        wires.truncate(MOST - 1);
        wait_until("there to be room", SOON, async || open(MOST).await.text.starts_with("HTTP/1.1 200 "))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_waits_takes_no_task_once_its_token_is_revoked() {
    let fixture = Fixture::guarded(Options::new()).await;
    let (admin, worker) = (fixture.token(Role::Admin).await, fixture.token(Role::Worker).await);
    let http = fixture.http;
    let bearer = format!("Bearer {}", worker.secret.expose());
    let waiting = tokio::spawn(async move {
        http.send("PUT", "/api/task/q?worker=w&wait=1m", &[("Authorization", &bearer)], "").await
    });
    wait_until("it to wait", SOON, async || fixture.rows("waiter").await > 0).await;
    let path = format!("/api/token/{}", worker.token.id);
    assert_eq!(fixture.with_token(admin.secret.expose(), "DELETE", &path, "").await.status, 200);
    let task = fixture.manager.create_task("q", TaskMeta::json(&1).unwrap()).await.unwrap();
    let refused = waiting.await.unwrap();
    assert_eq!((refused.status, refused.error().as_str()), (401, "unauthenticated"), "{}", refused.body);
    assert_eq!(refused.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
    let task = fixture.manager.get_task(task.id).await.unwrap();
    assert_eq!((task.status, task.attempt), (Some(pgmill::Status::New), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_guesses_too_often_is_refused_before_a_token_is_looked_up() {
    let limit = RateLimit::per_second(1).burst(3);
    let fixture = Fixture::guarded(Options::new().rate_limit(limit)).await;
    let known = fixture.token(Role::Viewer).await;
    assert_eq!(fixture.with_token(known.secret.expose(), "GET", "/api/queue", "").await.status, 200);
    let client = fixture.database.connect().await;
    // Whoever looks for a token from now on waits, and fails in the end.
    client.batch_execute("BEGIN; LOCK TABLE pgmill.token").await.unwrap();
    let guesses = (0..40).map(|number| {
        let secret = TokenSecret::new(1_000_000 + number, [7; 32]);
        let http = fixture.http;
        async move {
            let bearer = format!("Bearer {}", secret.expose());
            http.send("GET", "/api/queue", &[("Authorization", &bearer)], "").await
        }
    });
    let replies = join_all(guesses).await;
    let limited = replies.iter().filter(|reply| reply.status == 429).count();
    assert!(limited >= 20, "{limited} of 40 were refused, the others looked up");
    client.batch_execute("ROLLBACK").await.unwrap();
    let reply = fixture.with_token(known.secret.expose(), "GET", "/api/queue", "").await;
    assert_eq!(reply.status, 200, "who is known is let in: {}", reply.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_are_good_are_not_counted_against_the_address_they_come_from() {
    let limit = RateLimit::per_second(1).burst(2);
    let fixture = Fixture::guarded(Options::new().rate_limit(limit)).await;
    for role in [Role::Viewer, Role::Worker, Role::Operator, Role::Admin] {
        let token = fixture.token(role).await;
        let reply = fixture.with_token(token.secret.expose(), "GET", "/api/queue", "").await;
        assert_eq!((reply.status, reply.json()["count"].clone()), (200, json!(1)), "{}", reply.body);
    }
}
