//! Every route, every role, own and foreign namespaces.

use pgmill::{Namespace, Role, TokenMeta};
use pgmill_server::{Options, Right, rights};

use crate::fixture::Fixture;

/// What the server makes of a request with this token.
async fn verdict(fixture: &Fixture, right: &Right, token: Option<&str>, query: &str) -> String {
    let path = right.path().replace("{name}", "missing").replace("{id}", "999999999");
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut headers = vec![("Content-Type", "application/json")];
    if right.is_stream() {
        headers.push(("Accept", "text/event-stream"));
    }
    headers.extend(bearer.as_deref().map(|bearer| ("Authorization", bearer)));
    let body = if right.method() == "GET" { "" } else { "{}" };
    let reply = fixture.http.open(right.method(), &format!("/api{path}{query}"), &headers, body).await;
    match reply.status {
        401 | 403 => reply.error(),
        405 | 500.. => panic!("{} {path}: {} {}", right.method(), reply.status, reply.body),
        404 if reply.error() == "path_not_found" => panic!("{} {path} is no route", right.method()),
        _ => "passed".to_owned(),
    }
}

fn expected(right: &Right, role: Role, own: bool, everywhere: bool) -> &'static str {
    let Some(needed) = right.role() else { return "passed" };
    let may = role.includes(needed) && own && (everywhere || !right.is_everywhere());
    if may { "passed" } else { "forbidden" }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_is_open_to_the_roles_it_is_for_in_their_namespaces_and_to_nobody_else() {
    let shop = Namespace::new("shop").unwrap();
    let fixture = Fixture::guarded(Options::new().namespaces([shop])).await;
    let mut wrong = Vec::new();
    let mut judge = |right: &Right, who: &str, found: String, expected: &str| {
        if found != expected {
            wrong.push(format!("{} {} as {who}: {found}, not {expected}", right.method(), right.path()));
        }
    };
    for right in rights() {
        let open = right.role().is_none();
        let found = verdict(&fixture, right, None, "").await;
        judge(right, "nobody", found, if open { "passed" } else { "unauthenticated" });
    }
    for role in Role::ALL {
        let everywhere = fixture.token(role).await;
        let meta = TokenMeta::new(format!("{role}-of-shop"), role).namespaces(["shop"]);
        let of_shop = fixture.token_of(meta).await;
        for right in rights() {
            let token = everywhere.secret.expose();
            for query in ["", "?namespace=shop"] {
                let found = verdict(&fixture, right, Some(token), query).await;
                judge(right, &format!("{role}{query}"), found, expected(right, role, true, true));
            }
            let found = verdict(&fixture, right, Some(token), "?namespace=elsewhere").await;
            let not_served = match expected(right, role, true, true) {
                "passed" if right.role().is_some() => "namespace_not_served",
                other => other,
            };
            judge(right, &format!("{role} elsewhere"), found, not_served);

            let token = of_shop.secret.expose();
            let found = verdict(&fixture, right, Some(token), "?namespace=shop").await;
            judge(right, &format!("{role} of shop at home"), found, expected(right, role, true, false));
            for query in ["", "?namespace=default"] {
                let found = verdict(&fixture, right, Some(token), query).await;
                judge(right, &format!("{role} of shop abroad"), found, expected(right, role, false, false));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_for_the_namespace_that_it_names_by_parameter_or_by_header() {
    let shop = Namespace::new("shop").unwrap();
    let fixture = Fixture::with(Options::new().namespaces([shop])).await;
    fixture.send("POST", "/api/queue?namespace=shop", r#"{"queue":"orders"}"#).await;
    let count = async |path: &str, headers: &[(&str, &str)]| {
        let reply = fixture.http.send("GET", path, headers, "").await;
        if reply.status == 200 { reply.json()["count"].to_string() } else { reply.error() }
    };
    let header = |name| [("Pgmill-Namespace", name)];
    assert_eq!(count("/api/queue", &[]).await, "0");
    assert_eq!(count("/api/queue?namespace=shop", &[]).await, "1");
    assert_eq!(count("/api/queue", &header("shop")).await, "1");
    assert_eq!(count("/api/queue?namespace=default", &header("shop")).await, "0", "the parameter goes first");
    assert_eq!(count("/api/queue", &header("other")).await, "namespace_not_served");
    assert_eq!(count("/api/queue?namespace=Shop", &[]).await, "namespace_not_served", "case matters");
    assert_eq!(count("/api/queue?namespace=a%20b", &[]).await, "invalid_name");
    assert_eq!(count("/api/queue?namespace=", &[]).await, "missing_name");
    assert_eq!(count("/api/queue?namespace=pgmill", &[]).await, "reserved_namespace");

    let all = Fixture::with(Options::new().all_namespaces()).await;
    let created = all.send("POST", "/api/queue?namespace=any", r#"{"queue":"orders"}"#).await;
    assert_eq!((created.status, &created.json()["namespace"]), (201, &"any".into()));
    let own = Fixture::new().await;
    assert_eq!(own.get("/api/queue?namespace=any").await.error(), "namespace_not_served");
    assert_eq!(own.get("/api/queue?namespace=default").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_and_counts_of_the_process_are_shown_to_those_only_whom_they_concern() {
    let shop = Namespace::new("shop").unwrap();
    let fixture = Fixture::guarded(Options::new().namespaces([shop])).await;
    fixture
        .manager
        .with_namespace("shop")
        .unwrap()
        .register_queue(pgmill::QueueMeta::new("q"))
        .await
        .unwrap();
    let everywhere = fixture.token(Role::Viewer).await;
    let of_shop = fixture.token_of(TokenMeta::new("of-shop", Role::Viewer).namespaces(["shop"])).await;
    let all = fixture.with_token(everywhere.secret.expose(), "GET", "/api/namespace", "").await.json();
    assert_eq!(all["body"], serde_json::json!(["default", "pgmill", "shop"]));
    let own = fixture.with_token(of_shop.secret.expose(), "GET", "/api/namespace?namespace=shop", "").await;
    assert_eq!(own.json(), serde_json::json!({"count": 1, "body": ["shop"]}));
    let metrics = fixture.with_token(of_shop.secret.expose(), "GET", "/api/metrics?namespace=shop", "").await;
    assert!(
        metrics.body.contains("namespace=\"shop\"") && !metrics.body.contains("default"),
        "{}",
        metrics.body
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tokens_wanted_everybody_may_do_everything() {
    let fixture = Fixture::new().await;
    for right in rights() {
        for token in [None, Some("garbage")] {
            assert_eq!(
                verdict(&fixture, right, token, "").await,
                "passed",
                "{} {}",
                right.method(),
                right.path()
            );
        }
    }
}
