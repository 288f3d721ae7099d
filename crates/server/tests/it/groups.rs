//! The interface in parts, and within other applications.

use axum::Router;
use pgmill::Manager;
use pgmill_server::{Api, Options, router};
use pgmill_testkit::TestDatabase;
use serde_json::json;
use tokio::net::TcpListener;

use crate::http::{Http, Reply};

const JSON: [(&str, &str); 1] = [("Content-Type", "application/json")];

async fn served(app: Router) -> Http {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let http = Http::new(listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    http
}

async fn get(http: Http, path: &str) -> Reply {
    http.open("GET", path, &[], "").await
}

#[tokio::test]
async fn each_group_answers_its_own_paths_and_no_others() {
    let database = TestDatabase::create().await;
    let api = Api::new(Manager::connect(database.url()).await.unwrap(), Options::new());
    let groups = [
        (api.namespaces(), "/api/namespace"),
        (api.queues(), "/api/queue"),
        (api.tasks(), "/api/task"),
        (api.tickers(), "/api/ticker"),
        (api.events(), "/api/event"),
        (api.metrics(), "/api/metrics"),
        (api.tokens(), "/api/token"),
        (api.audit(), "/api/audit"),
        (api.health(), "/api/health/live"),
        (api.docs(), "/api/docs"),
    ];
    let paths: Vec<&str> = groups.iter().map(|(_, path)| *path).collect();
    for (group, own) in groups {
        let http = served(group).await;
        for path in &paths {
            let expected = if *path == own { 200 } else { 404 };
            assert_eq!(get(http, path).await.status, expected, "{path} of {own}");
        }
    }
}

#[tokio::test]
async fn groups_are_merged_with_each_other_and_with_routes_of_an_application() {
    let database = TestDatabase::create().await;
    let api = Api::new(Manager::connect(database.url()).await.unwrap(), Options::new().prefix("/v1/"));
    let own = Router::new().route("/v1/ticker", axum::routing::get(async || "mine"));
    let http = served(own.merge(api.queues()).merge(api.tasks())).await;
    let created = http.send("POST", "/v1/queue", &JSON, r#"{"queue":"jobs"}"#).await;
    assert_eq!(created.status, 201, "{}", created.body);
    let created = http.send("POST", "/v1/task", &JSON, r#"{"queue":"jobs","payload":1}"#).await;
    assert_eq!(created.status, 201, "{}", created.body);
    assert_eq!(get(http, "/v1/status").await.json()["body"][0]["tasks"]["new"], 1);
    assert_eq!(get(http, "/v1/ticker").await.body, "mine");
}

#[tokio::test]
async fn a_router_that_is_nested_answers_as_one_that_is_not() {
    let database = TestDatabase::create().await;
    let manager = Manager::connect(database.url()).await.unwrap();
    let open = router(manager.clone(), Options::new());
    let closed = router(manager, Options::new().auth(true));
    let http = served(Router::new().nest("/jobs", open).nest("/closed", closed)).await;
    assert_eq!(get(http, "/jobs/api/queue").await.json(), json!({"count": 0}));
    let missing = get(http, "/jobs/api/nope?x=1").await;
    assert_eq!((missing.status, &missing.json()["detail"]), (404, &json!("/jobs/api/nope?x=1")));
    let refused = http.send("HEAD", "/jobs/api/queue", &[], "").await;
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, POST")));
    let moved = get(http, "/jobs//api/queue?limit=1").await;
    assert_eq!((moved.status, moved.header("location")), (301, Some("/jobs/api/queue?limit=1")));
    assert_eq!(get(http, "/closed/api/queue").await.status, 401);
    assert_eq!(get(http, "/closed/health/live").await.status, 200);
    assert_eq!(get(http, "/closed/docs").await.status, 200);
}
