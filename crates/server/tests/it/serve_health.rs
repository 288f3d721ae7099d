//! Health, and what is told while PostgreSQL is away.

use pgmill::{CheckOptions, Manager, Verdict};
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

#[tokio::test]
async fn ready_tells_of_what_keeps_it_from_its_work_and_of_what_soon_will() {
    let fixture = Fixture::new().await;
    let client = fixture.database.connect().await;
    let checks = async || fixture.get("/api/health/ready").await.json()["checks"].clone();
    wait_until("all to be looked at", PATIENCE, async || checks().await["xmin"].is_object()).await;
    let well = checks().await;
    let names = "version writable isolation durability timeouts connections notify_queue wraparound clock privileges partitions \
        maintenance autovacuum xmin";
    for name in names.split_whitespace() {
        assert!(well[name]["status"].is_string(), "{name} in {well}");
    }
    for name in ["version", "writable", "connections", "privileges", "partitions", "maintenance", "xmin"] {
        assert_eq!(well[name], json!({ "status": "ok" }), "{well}");
    }

    // A warning is told, and takes nothing away.
    let late = "UPDATE pgmill.ticker SET next_at = now() - interval '1 hour' WHERE ticker = 'sweep'";
    client.batch_execute(late).await.unwrap();
    wait_until("the warning", PATIENCE, async || checks().await["maintenance"]["status"] == "warn").await;
    let warned = fixture.get("/api/health/ready").await;
    assert_eq!((warned.status, &warned.json()["status"]), (200, &json!("ok")), "{}", warned.body);
    assert_eq!(warned.json()["checks"]["maintenance"]["detail"], "1 of 5 jobs are late");

    let drop_day = "DO $$ BEGIN EXECUTE 'DROP TABLE pgmill.task_gone_'
        || to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD'); END $$";
    client.batch_execute(drop_day).await.unwrap();
    wait_until("the failure", PATIENCE, async || fixture.get("/api/health/ready").await.status == 503).await;
    let failed = fixture.get("/api/health/ready").await;
    assert_eq!(failed.json()["status"], "unavailable");
    assert_eq!(failed.json()["checks"]["partitions"]["status"], "fail", "{}", failed.body);
    assert_eq!(failed.json()["checks"]["database"]["status"], "ok", "{}", failed.body);
    fixture.manager.ensure_partitions().await.unwrap();
    wait_until("it to be mended", PATIENCE, async || fixture.get("/api/health/ready").await.status == 200)
        .await;
}

#[tokio::test]
async fn ready_tells_all_that_the_doctor_does_and_what_is_dear_is_a_warning_at_most() {
    let fixture = Fixture::new().await;
    let client = fixture.database.connect().await;
    client.batch_execute("DROP FUNCTION pgmill.check_queues_v1").await.unwrap();
    let ready = async || fixture.get("/api/health/ready").await;
    wait_until("all to be looked at", PATIENCE, async || {
        ready().await.json()["checks"]["unused"].is_object()
    })
    .await;
    let told = ready().await;
    let checks = told.json()["checks"].clone();
    let doctor = fixture.manager.check(&CheckOptions::new()).await;
    for check in doctor.checks.iter().filter(|check| check.name != "connection") {
        assert!(checks[check.name]["status"].is_string(), "{} in {checks}", check.name);
    }
    assert_eq!(doctor.check("schema").unwrap().verdict, Verdict::Fail);
    assert_eq!(checks["schema"]["status"], "warn", "{checks}");
    assert_eq!(checks["stuck"]["status"], "unknown", "{checks}");
    assert_eq!((told.status, told.json()["status"].as_str()), (200, Some("ok")), "{}", told.body);
}

#[tokio::test]
async fn ready_costs_the_database_no_more_when_many_ask() {
    let fixture = Fixture::new().await;
    let client = fixture.database.connect().await;
    // Whoever looks at the jobs waits, and those who ask meanwhile neither wait for that nor look, too.
    client.batch_execute("BEGIN; LOCK TABLE pgmill.ticker").await.unwrap();
    let asking: Vec<_> = (0..20)
        .map(|_| {
            let http = fixture.http;
            tokio::spawn(async move { http.send("GET", "/api/health/ready", &[], "").await })
        })
        .collect();
    for asked in asking {
        let told = asked.await.unwrap();
        assert_eq!(
            (told.status, told.json()["checks"]["maintenance"].is_null()),
            (200, true),
            "{}",
            told.body
        );
    }
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let waiting: i64 = client.query_one(waiting, &[]).await.unwrap().get(0);
    assert!((1..=2).contains(&waiting), "{waiting}: there is one look of each kind at a time");
    client.batch_execute("ROLLBACK").await.unwrap();
    wait_until("the checks", PATIENCE, async || {
        fixture.get("/api/health/ready").await.json()["checks"]["maintenance"]["status"] == "ok"
    })
    .await;
}
