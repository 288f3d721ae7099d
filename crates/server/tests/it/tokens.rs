//! `/token`, and what opens a server.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pgmill::{NewToken, Role, TokenMeta};
use pgmill_server::{Options, RateLimit};
use pgmill_testkit::wait_until;

use crate::fixture::Fixture;
use crate::wire::{SOON, Wire};

fn basic(user: &str, password: &str) -> String {
    use base64::Engine;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_token_that_is_good_opens_the_server() {
    let fixture = Fixture::guarded(Options::new()).await;
    let NewToken { secret, token } = fixture.token(Role::Viewer).await;
    let good = secret.expose();
    for value in [
        format!("Bearer {good}"),
        format!("bearer {good}"),
        basic("anybody", good),
        basic("", good),
        basic(good, ""),
    ] {
        assert_eq!(fixture.authorized(&value).await.status, 200, "{value}");
    }
    let nobody = fixture.get("/api/queue").await;
    assert_eq!((nobody.status, nobody.error().as_str()), (401, "unauthenticated"));
    assert_eq!(nobody.header("www-authenticate"), Some("Bearer"));
    let other = pgmill::TokenSecret::new(token.id, [7; 32]);
    let unknown = pgmill::TokenSecret::new(token.id + 1_000, [7; 32]);
    let digits = secret.digits();
    for value in [
        "Bearer garbage".to_owned(),
        "Bearer".to_owned(),
        good.to_owned(),
        format!("Digest {good}"),
        format!("Bearer {digits}"),
        format!("Bearer {good}0"),
        format!("Bearer {}", &good[..good.len() - 1]),
        format!("Bearer {}", other.expose()),
        format!("Bearer {}", unknown.expose()),
        basic(good, "password"),
    ] {
        let refused = fixture.authorized(&value).await;
        assert_eq!((refused.status, refused.error().as_str()), (401, "unauthenticated"), "{value}");
        assert_eq!(refused.header("www-authenticate"), Some("Bearer error=\"invalid_token\""), "{value}");
    }
    let twice = format!("Bearer {good}");
    let headers = [("Authorization", twice.as_str()), ("Authorization", twice.as_str())];
    assert_eq!(fixture.http.send("GET", "/api/queue", &headers, "").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_revoked_here_opens_nothing_at_once_and_one_revoked_elsewhere_soon() {
    let fixture = Fixture::guarded(Options::new()).await;
    let admin = fixture.token(Role::Admin).await;
    let (here, elsewhere) = (fixture.token(Role::Viewer).await, fixture.token(Role::Worker).await);
    let status = async |token: &NewToken| {
        fixture.with_token(token.secret.expose(), "GET", "/api/queue", "").await.status
    };
    assert_eq!((status(&here).await, status(&elsewhere).await), (200, 200));
    let path = format!("/api/token/{}", here.token.id);
    let revoked = fixture.with_token(admin.secret.expose(), "DELETE", &path, "").await;
    assert_eq!(revoked.status, 200);
    assert!(revoked.json()["revoked_at"].is_string(), "{}", revoked.body);
    assert_eq!(status(&here).await, 401);
    fixture.manager.revoke_token(elsewhere.token.id).await.unwrap();
    wait_until("the token to open nothing", SOON, async || status(&elsewhere).await == 401).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_token_and_those_of_others_go_on() {
    let fixture = Fixture::guarded(Options::new()).await;
    let (first, second) = (fixture.token(Role::Worker).await, fixture.token(Role::Operator).await);
    let stream = async |token: &NewToken| {
        let head = format!(
            "Accept: text/event-stream\r\nConnection: close\r\nAuthorization: Bearer {}\r\n",
            token.secret.expose()
        );
        Wire::open(fixture.http, "GET", "/api/ticker", &head).await
    };
    let (mut of_first, mut of_second) = (stream(&first).await, stream(&second).await);
    for wire in [&mut of_first, &mut of_second] {
        wire.until("text/event-stream").await;
    }
    fixture.manager.revoke_token(first.token.id).await.unwrap();
    of_first.until_closed().await;
    fixture.manager.register_ticker(pgmill::TickerMeta::new("after")).await.unwrap();
    of_second.until("after").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_expires_opens_nothing_from_then_on() {
    let fixture = Fixture::guarded(Options::new()).await;
    let meta = TokenMeta::new("short", Role::Viewer).expires_in(Duration::from_secs(1));
    let token = fixture.token_of(meta).await;
    let status = async || fixture.with_token(token.secret.expose(), "GET", "/api/queue", "").await.status;
    assert_eq!(status().await, 200);
    let begun = Instant::now();
    wait_until("the token to expire", SOON, async || status().await == 401).await;
    // It is not believed in for five seconds, for it was known to live for one.
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_known_costs_a_request_no_statement_and_many_at_once_share_one() {
    let fixture = Fixture::guarded(Options::new()).await;
    let token = fixture.token(Role::Viewer).await;
    let watcher = fixture.database.connect().await;
    let looks = async || -> i64 {
        let sql = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%FROM pgmill.token WHERE id%'";
        watcher.query_one(sql, &[]).await.unwrap().get(0)
    };
    let somebody = fixture.database.connect().await;
    somebody.batch_execute("BEGIN; LOCK TABLE pgmill.token").await.unwrap();
    let requests = (0..20).map(|_| fixture.with_token(token.secret.expose(), "GET", "/api/queue", ""));
    let requests = futures_util::future::join_all(requests);
    let seen = async {
        wait_until("the look", SOON, async || looks().await > 0).await;
        // Whoever else would look would do so by now, or not at all.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let seen = looks().await;
        somebody.batch_execute("COMMIT").await.unwrap();
        seen
    };
    let (replies, seen) = tokio::join!(requests, seen);
    assert_eq!(seen, 1);
    assert!(replies.iter().all(|reply| reply.status == 200), "{replies:?}");
    somebody.batch_execute("BEGIN; LOCK TABLE pgmill.token").await.unwrap();
    assert_eq!(fixture.with_token(token.secret.expose(), "GET", "/api/queue", "").await.status, 200);
    let wrong = pgmill::TokenSecret::new(token.token.id, [7; 32]);
    assert_eq!(fixture.with_token(wrong.expose(), "GET", "/api/queue", "").await.status, 401, "guessed");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_database_nobody_gets_in() {
    let fixture = Fixture::guarded(Options::new()).await;
    let token = fixture.token(Role::Viewer).await;
    fixture.manager.pool().close();
    let refused = fixture.with_token(token.secret.expose(), "GET", "/api/queue", "").await;
    assert_eq!((refused.status, refused.error().as_str()), (503, "unavailable"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(
        fixture.get("/api/queue").await.status,
        401,
        "nothing is presented, so there is nothing to look up"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_was_guessed_before_its_token_was_made_does_not_keep_it_out() {
    let fixture = Fixture::guarded(Options::new()).await;
    let admin = fixture.token(Role::Admin).await;
    let guess = pgmill::TokenSecret::new(admin.token.id + 1, [7; 32]);
    assert_eq!(fixture.with_token(guess.expose(), "GET", "/api/queue", "").await.status, 401);
    let body = r#"{"name":"new","role":"viewer"}"#;
    let created = fixture.with_token(admin.secret.expose(), "POST", "/api/token", body).await.json();
    assert_eq!(created["id"], admin.token.id + 1);
    let token = created["token"].as_str().unwrap();
    assert_eq!(fixture.with_token(token, "GET", "/api/queue", "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn use_of_a_token_is_recorded() {
    let fixture = Fixture::guarded(Options::new()).await;
    let NewToken { token, secret } = fixture.token(Role::Viewer).await;
    let used = async || fixture.manager.get_token(token.id).await.unwrap().last_used_at.is_some();
    let wrong = pgmill::TokenSecret::new(token.id, [7; 32]);
    fixture.with_token(wrong.expose(), "GET", "/api/queue", "").await;
    assert!(!used().await, "a guess is no use");
    fixture.with_token(secret.expose(), "GET", "/api/queue", "").await;
    wait_until("the use to be recorded", SOON, used).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_managed_and_a_secret_is_told_once() {
    let fixture = Fixture::guarded(Options::new()).await;
    let admin = fixture.token(Role::Admin).await;
    let send = async |method: &str, path: &str, body: &str| {
        fixture.with_token(admin.secret.expose(), method, path, body).await
    };
    let body = r#"{"name":"Deploy","role":"operator","namespaces":["b","a"],"expires_in":"24h"}"#;
    let created = send("POST", "/api/token", body).await;
    assert_eq!(
        (created.status, created.header("cache-control")),
        (201, Some("no-store")),
        "{}",
        created.body
    );
    let created = created.json();
    assert_eq!(created["name"], "deploy");
    assert_eq!(created["namespaces"], serde_json::json!(["a", "b"]));
    assert_eq!(created["created_by"], "admin");
    let secret = created["token"].as_str().unwrap().to_owned();
    let digits = &secret[secret.len() - 64..];
    let path = format!("/api/token/{}", created["id"]);

    let mut answers = vec![send("GET", &path, "").await, send("GET", "/api/token", "").await];
    assert_eq!((&answers[0].json()["name"], &answers[1].json()["count"]), (&"deploy".into(), &2.into()));
    let again = send("POST", "/api/token", body).await;
    assert_eq!(
        (again.status, again.error().as_str(), &again.json()["detail"]),
        (409, "token_exists", &"deploy".into())
    );
    answers.extend([again, send("DELETE", &path, "").await, send("GET", "/api/audit", "").await]);
    for answer in answers {
        assert!(!answer.body.contains(digits) && !answer.body.contains("hash"), "{}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_about_tokens_that_make_no_sense_are_refused() {
    let fixture = Fixture::new().await;
    for (body, error) in [
        (r#"{"name":"t"}"#, "invalid_body"),
        (r#"{"name":"t","role":"king"}"#, "invalid_body"),
        (r#"{"role":"admin"}"#, "invalid_body"),
        (r#"{"name":"","role":"admin"}"#, "missing_name"),
        (r#"{"name":"a b","role":"admin"}"#, "invalid_name"),
        (r#"{"name":"cli","role":"admin"}"#, "invalid_token_request"),
        (r#"{"name":"t","role":"admin","namespaces":[]}"#, "invalid_token_request"),
        (r#"{"name":"t","role":"admin","namespaces":["pgmill"]}"#, "reserved_namespace"),
        (r#"{"name":"t","role":"admin","expires_in":"1ms"}"#, "invalid_token_request"),
        (r#"{"name":"t","role":"admin","expires_in":-1}"#, "invalid_body"),
    ] {
        let reply = fixture.send("POST", "/api/token", body).await;
        assert_eq!((reply.status, reply.error().as_str()), (400, error), "{body}: {}", reply.body);
    }
    for id in ["x", "-1", "+1", "1.0", "18446744073709551616"] {
        for method in ["GET", "DELETE"] {
            let reply = fixture.send(method, &format!("/api/token/{id}"), "").await;
            assert_eq!((reply.status, reply.error().as_str()), (400, "invalid_parameter"), "{id}");
        }
    }
    for id in ["0", "7", "9223372036854775808"] {
        let reply = fixture.send("DELETE", &format!("/api/token/{id}"), "").await;
        assert_eq!((reply.status, reply.error().as_str()), (404, "token_not_found"), "{id}");
    }
    assert_eq!(fixture.get("/api/token").await.json()["count"], 0);
    assert_eq!(fixture.get("/api/audit").await.json()["count"], 0, "nothing was done");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_token_has_a_rate_and_so_have_all_who_have_none() {
    let limit = RateLimit::per_second(1).burst(3);
    let fixture = Fixture::guarded(Options::new().rate_limit(limit)).await;
    let (busy, calm) = (fixture.token(Role::Viewer).await, fixture.token(Role::Worker).await);
    let statuses = async |token: &str, times: usize| {
        let mut statuses = Vec::new();
        for _ in 0..times {
            statuses.push(fixture.with_token(token, "GET", "/api/queue", "").await);
        }
        statuses
    };
    // More than come back while this runs.
    let replies = statuses(busy.secret.expose(), 30).await;
    assert!(replies[..3].iter().all(|reply| reply.status == 200), "the burst");
    let refused = replies.iter().find(|reply| reply.status != 200).expect("one too many");
    assert_eq!((refused.status, refused.error().as_str()), (429, "rate_limited"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(statuses(calm.secret.expose(), 1).await[0].status, 200, "another token has a rate of its own");
    let guesses = statuses("garbage", 30).await;
    assert_eq!((guesses[0].status, guesses.iter().any(|reply| reply.status == 429)), (401, true));
    assert_eq!(
        statuses(calm.secret.expose(), 1).await[0].status,
        200,
        "guesses are not counted against tokens"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_token_is_not_kept_out_by_garbage_from_its_address() {
    let limit = RateLimit::per_second(1).burst(3);
    let fixture = Fixture::guarded(Options::new().rate_limit(limit)).await;
    let token = fixture.token(Role::Viewer).await;
    let status = async |token: &str| fixture.with_token(token, "GET", "/api/queue", "").await.status;
    let mut refused = false;
    for _ in 0..30 {
        refused |= status("garbage").await == 429;
    }
    assert!(refused, "garbage is limited");
    assert_eq!(status(token.secret.expose()).await, 200);
    // Guesses are limited too, by a count of their own.
    let mut statuses = Vec::new();
    for id in 1_000..1_030 {
        statuses.push(status(pgmill::TokenSecret::new(id, [7; 32]).expose()).await);
    }
    assert_eq!((statuses[0], statuses.contains(&429)), (401, true), "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_no_token_is_told_that_it_asks_too_often() {
    let limit = RateLimit::per_second(1).burst(3);
    let fixture = Fixture::guarded(Options::new().rate_limit(limit)).await;
    // It is believed in for as long as it lives.
    let meta = TokenMeta::new("known", Role::Viewer).expires_in(Duration::from_secs(1));
    let known = fixture.token_of(meta).await;
    let new = fixture.token(Role::Viewer).await;
    let status = async |token: &NewToken| {
        fixture.with_token(token.secret.expose(), "GET", "/api/queue", "").await.status
    };
    assert_eq!(status(&known).await, 200);
    fixture.manager.pool().close();
    wait_until("it to be looked up again", SOON, async || status(&known).await == 503).await;
    for token in [&known, &new] {
        for _ in 0..20 {
            assert_eq!(status(token).await, 503);
        }
    }
}

/// Everything that is logged, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// On one thread, for only that one logs to here.
#[tokio::test]
async fn no_secret_is_logged_whatever_becomes_of_a_request() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_writer({
            let log = log.clone();
            move || log.clone()
        })
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let fixture = Fixture::guarded(Options::new()).await;
    let admin = fixture.token(Role::Admin).await;
    let body = r#"{"name":"deploy","role":"viewer"}"#;
    let created = fixture.with_token(admin.secret.expose(), "POST", "/api/token", body).await.json();
    let deploy = created["token"].as_str().unwrap().to_owned();
    for path in ["/api/queue", "/api/queue/missing", "/api/token", "/api/nope"] {
        fixture.with_token(&deploy, "GET", path, "").await;
        fixture.authorized(&basic("anybody", &deploy)).await;
    }
    fixture
        .sql("ALTER TABLE pgmill.queue RENAME TO lost; ALTER TABLE pgmill.audit RENAME TO audit_lost")
        .await;
    let failed = fixture.with_token(&deploy, "GET", "/api/queue", "").await;
    assert_eq!(failed.status, 500, "{}", failed.body);
    let body = r#"{"name":"unrecorded","role":"viewer"}"#;
    let unrecorded = fixture.with_token(admin.secret.expose(), "POST", "/api/token", body).await;
    assert_eq!(unrecorded.status, 201);
    let unrecorded = unrecorded.json()["token"].as_str().unwrap().to_owned();
    fixture.manager.pool().close();
    let never = pgmill::TokenSecret::new(77, [7; 32]);
    fixture.with_token(never.expose(), "GET", "/api/queue", "").await;
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("create_token of unrecorded by admin is not in the audit"), "{text}");
    for secret in [admin.secret.expose(), &deploy, &unrecorded, never.expose()] {
        let digits = &secret[secret.len() - 64..];
        assert!(!text.contains(digits), "{digits} in {text}");
    }
    assert!(!text.contains(&basic("anybody", &deploy)), "nor in another form");
}
