//! Health, and what is told while PostgreSQL is away.

use pgmill::Manager;
use pgmill_server::{Api, Options, ServeOptions};
use pgmill_testkit::{StopMode, TestDatabase, TestServer, wait_until};
use serde_json::json;

use crate::fixture::Fixture;
use crate::serve_scene::{Log, PATIENCE, Scene};

#[tokio::test]
async fn health_is_told_under_the_prefix_and_at_the_root() {
    for (prefix, paths) in [("/api", &["/health", "/api/health"][..]), ("", &["/health"])] {
        let fixture = Fixture::with(Options::new().prefix(prefix)).await;
        for path in paths {
            let live = fixture.get(&format!("{path}/live")).await;
            assert_eq!((live.status, live.json()), (200, json!({ "status": "ok" })));
            let ready = fixture.get(&format!("{path}/ready")).await;
            assert_eq!((ready.status, ready.json()["status"].as_str()), (200, Some("ok")), "{}", ready.body);
        }
    }
}

#[tokio::test]
async fn health_is_told_without_a_token() {
    let fixture = Fixture::with(Options::new().auth(true)).await;
    for path in ["/health/live", "/health/ready", "/api/health/live", "/api/health/ready"] {
        assert_eq!(fixture.get(path).await.status, 200, "{path}");
    }
    assert_eq!(fixture.get("/api/queue").await.status, 401);
}

#[tokio::test]
async fn ready_says_that_the_server_is_about_to_end() {
    let fixture = Fixture::new().await;
    let api = Api::new(fixture.manager.clone(), Options::new());
    let scene = Scene::of(api.router(), ServeOptions::new()).await;
    assert_eq!(scene.http.send("GET", "/health/ready", &[], "").await.status, 200);
    api.shutdown().cancel();
    let ready = scene.http.send("GET", "/health/ready", &[], "").await;
    assert_eq!((ready.status, ready.json()["checks"]["server"]["status"].as_str()), (503, Some("stopping")));
    assert_eq!(scene.http.send("GET", "/health/live", &[], "").await.status, 200);
}

#[tokio::test]
async fn ready_says_that_the_database_lacks_migrations() {
    let database = TestDatabase::empty().await;
    let manager = Manager::connect(database.url()).migrate(false).await.unwrap();
    let scene = Scene::of(Api::new(manager, Options::new()).router(), ServeOptions::new()).await;
    let ready = scene.http.send("GET", "/health/ready", &[], "").await;
    let migrations = &ready.json()["checks"]["migrations"];
    assert_eq!((ready.status, migrations["status"].as_str()), (503, Some("missing")), "{}", ready.body);
    assert_eq!(ready.header("retry-after"), Some("1"));
    assert!(migrations["detail"].as_str().unwrap().contains("0009_maintenance"), "{migrations}");
}

#[tokio::test]
async fn while_postgresql_is_away_answers_say_so_and_nothing_about_where_it_is() {
    let (log, _guard) = Log::start();
    let server = TestServer::own();
    let database = TestDatabase::create_on(&server).await;
    let manager = Manager::connect(database.url()).await.unwrap();
    let scene = Scene::of(Api::new(manager, Options::new()).router(), ServeOptions::new()).await;
    let get = async |path: &str| scene.http.send("GET", path, &[("X-Request-Id", "away-1")], "").await;
    assert_eq!(get("/health/ready").await.status, 200);

    server.halt(StopMode::Immediate).await;
    let answer = get("/api/queue").await;
    let expected = json!({
        "code": 503, "reason": "Service Unavailable: try again later", "error": "unavailable", "request_id": "away-1"
    });
    assert_eq!((answer.json(), answer.header("retry-after")), (expected, Some("1")));
    assert_eq!(log.lines("a request failed").len(), 1);
    assert!(log.lines("a request failed")[0].contains("away-1"));

    wait_until("ready to say so", PATIENCE, async || get("/health/ready").await.status == 503).await;
    let ready = get("/health/ready").await;
    assert_eq!(ready.json()["checks"]["database"]["status"], "unavailable", "{}", ready.body);
    for secret in ["127.0.0.1", "localhost", "5432", "SELECT", "postgres", database.name()] {
        assert!(!ready.body.contains(secret), "{secret} in {}", ready.body);
    }
    assert_eq!(get("/health/live").await.status, 200);

    server.resume().await;
    wait_until("ready to say so", PATIENCE, async || get("/health/ready").await.status == 200).await;
    assert_eq!(get("/api/queue").await.status, 200);
}
