//! Tokens are made where the database is.

use pgmill::{AuditFilter, ListRequest};
use serde_json::{Value, json};

use crate::support::{Bench, output, pgmill, stderr, stdout};

impl Bench {
    async fn token(&self, args: &[&str]) -> std::process::Output {
        let mut all = vec!["token"];
        all.extend(args);
        output(pgmill(&all).env("DATABASE_URL", self.database.url())).await
    }
}

#[tokio::test]
async fn a_token_is_created_shown_once_listed_and_revoked() {
    let bench = Bench::new().await;
    let created = bench
        .token(&["create", "Deploy", "--role=operator", "--namespace=b", "--namespace=a", "--expires-in=24h"])
        .await;
    assert!(created.status.success(), "{}", stderr(&created));
    let secret = stdout(&created).trim_end().to_owned();
    assert_eq!(stderr(&created), "pgmill: the token deploy is shown this once: keep it\n");
    let token = bench.manager.verify_token(&secret).await.unwrap().expect("it opens");
    assert_eq!((token.name.as_str(), token.created_by.as_str()), ("deploy", "cli"));
    assert_eq!(token.expires_at.unwrap().duration_since(token.created_at).as_hours(), 24);

    let json_created = bench.token(&["create", "second", "--role=viewer", "--json"]).await;
    let second: Value = serde_json::from_str(&stdout(&json_created)).unwrap();
    assert_eq!((&second["name"], second["token"].is_string()), (&json!("second"), true));

    let listed = stdout(&bench.token(&["list"]).await);
    assert!(!listed.contains(&secret[secret.len() - 64..]), "{listed}");
    let list: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(
        (&list["count"], &list["body"][1]["name"], &list["body"][1]["namespaces"]),
        (&json!(2), &json!("deploy"), &json!(["a", "b"]))
    );
    let page: Value = serde_json::from_str(&stdout(&bench.token(&["list", "--limit=1"]).await)).unwrap();
    assert_eq!((&page["count"], page["body"].as_array().unwrap().len()), (&json!(2), 1));

    let revoked: Value = serde_json::from_str(&stdout(&bench.token(&["revoke", "DEPLOY"]).await)).unwrap();
    assert!(revoked["revoked_at"].is_string(), "{revoked}");
    assert_eq!(bench.manager.verify_token(&secret).await.unwrap(), None);
    let by_id = bench.token(&["revoke", &second["id"].to_string()]).await;
    assert!(by_id.status.success(), "{}", stderr(&by_id));
    assert!(!bench.manager.has_tokens().await.unwrap());

    let audit = bench.manager.list_audit(AuditFilter::new().page(ListRequest::new())).await.unwrap();
    let done: Vec<_> =
        audit.body.iter().map(|entry| format!("{} {} {}", entry.actor, entry.action, entry.target)).collect();
    let expected = [
        "cli revoke_token second",
        "cli revoke_token deploy",
        "cli create_token second",
        "cli create_token deploy",
    ];
    assert_eq!(done, expected);
}

#[tokio::test]
async fn what_cannot_be_done_to_a_token_is_told() {
    let bench = Bench::new().await;
    assert!(bench.token(&["create", "deploy", "--role=admin"]).await.status.success());
    for (args, error) in [
        (&["create", "deploy", "--role=admin"][..], "token \"deploy\" already exists: revoke it first"),
        (&["create", "cli", "--role=admin"], "token name \"cli\" is reserved"),
        (&["create", "a b", "--role=admin"], "Invalid token name"),
        (&["create", "t", "--role=admin", "--expires-in=1ms"], "expires_in must be from 1s"),
        (&["revoke", "nobody"], "there is no token \"nobody\" that is not revoked"),
        (&["revoke", "999"], "token 999 not found"),
    ] {
        let refused = bench.token(args).await;
        assert_eq!((refused.status.code(), stdout(&refused).as_str()), (Some(1), ""), "{args:?}");
        assert!(stderr(&refused).contains(error), "{args:?}: {}", stderr(&refused));
    }
}
