//! Tokens and the audit: what the database keeps, what it tells apart, and what leaves.

use std::time::Duration;

use pgmill_schema::{
    AuditFilter, AuditMeta, Json, ListRequest, Namespace, Role, Token, TokenMeta, TokenName, hours, seconds,
};
use pgmill_store::KnownToken;

use crate::support::{Fixture, namespace};

const HASH: [u8; 32] = [7; 32];

impl Fixture {
    async fn try_token(&self, name: &str, expires_in: Option<Duration>) -> Option<Token> {
        let meta = TokenMeta { expires_in, ..TokenMeta::new(name, Role::Worker) };
        let name = TokenName::new(name).unwrap();
        self.store.create_token(&name, None, &meta, &HASH, "cli").await.unwrap()
    }

    async fn token(&self, name: &str) -> i64 {
        self.try_token(name, None).await.expect("a new token").id.cast_signed()
    }

    async fn find(&self, id: i64) -> KnownToken {
        self.store.find_token(id).await.unwrap().expect("a token")
    }

    async fn expire(&self, id: i64) {
        self.sql(&format!(
            "UPDATE pgmill.token SET created_at = now() - interval '1 hour', expires_at = now() WHERE id = {id}"
        ))
        .await;
    }

    async fn audited(&self, filter: AuditFilter) -> (u64, Vec<String>) {
        let list = self.store.list_audit(&filter).await.unwrap();
        (
            list.count,
            list.body.into_iter().map(|entry| format!("{} {}", entry.action, entry.target)).collect(),
        )
    }
}

#[tokio::test]
async fn a_token_is_read_back_as_it_was_created() {
    let fixture = Fixture::new().await;
    let namespaces: [Namespace; 2] = [namespace("a"), namespace("b")];
    let name = TokenName::new("deploy").unwrap();
    let meta = TokenMeta::new("not used", Role::Operator).expires_in(hours(1));
    let created = fixture.store.create_token(&name, Some(&namespaces), &meta, &HASH, "alice").await;
    let created = created.unwrap().unwrap();
    assert_eq!(
        (created.name.as_str(), created.role, created.created_by.as_str()),
        ("deploy", Role::Operator, "alice")
    );
    assert_eq!(created.namespaces.as_deref(), Some(&namespaces[..]));
    assert_eq!(created.expires_at.unwrap().duration_since(created.created_at).as_secs(), 3_600);
    assert_eq!((created.revoked_at, created.last_used_at), (None, None));
    let found = fixture.find(created.id.cast_signed()).await;
    assert_eq!((found.token, found.secret_hash, found.usable), (created, HASH, true));
    assert!(
        found.remains.unwrap() <= hours(1) && found.remains.unwrap() > seconds(3_500),
        "{:?}",
        found.remains
    );
    assert_eq!(fixture.store.find_token(i64::MAX).await.unwrap(), None);
}

#[tokio::test]
async fn a_name_is_free_again_once_its_token_is_revoked_or_has_expired() {
    let fixture = Fixture::new().await;
    let first = fixture.token("deploy").await;
    assert_eq!(fixture.try_token("deploy", None).await, None, "taken");
    let revoked = fixture.store.revoke_token(first).await.unwrap().unwrap();
    assert!(revoked.revoked_at.is_some());
    let second = fixture.token("deploy").await;
    fixture.expire(second).await;
    let third = fixture.token("deploy").await;
    assert!(fixture.find(second).await.token.revoked_at.is_some(), "or it would come back with its name");
    let ids: Vec<u64> = fixture
        .store
        .list_tokens(&ListRequest::new())
        .await
        .unwrap()
        .body
        .iter()
        .map(|token| token.id)
        .collect();
    assert_eq!(ids, [third, second, first].map(i64::unsigned_abs));
}

#[tokio::test]
async fn of_many_that_create_a_token_of_one_name_one_succeeds() {
    let fixture = Fixture::new().await;
    let expired = fixture.token("deploy").await;
    fixture.expire(expired).await;
    let tries = std::iter::repeat_with(|| fixture.try_token("deploy", None)).take(8);
    let created = futures_util::future::join_all(tries).await;
    assert_eq!(created.iter().flatten().count(), 1, "{created:?}");
}

#[tokio::test]
async fn a_token_that_was_revoked_or_has_expired_is_not_usable() {
    let fixture = Fixture::new().await;
    assert!(!fixture.store.has_tokens().await.unwrap());
    let (revoked, expired) = (fixture.token("revoked").await, fixture.token("expired").await);
    assert!(fixture.store.has_tokens().await.unwrap());
    let first = fixture.store.revoke_token(revoked).await.unwrap().unwrap();
    fixture.expire(expired).await;
    assert!(!fixture.find(revoked).await.usable);
    let found = fixture.find(expired).await;
    assert_eq!((found.usable, found.remains), (false, Some(Duration::ZERO)));
    assert!(!fixture.store.has_tokens().await.unwrap());
    let again = fixture.store.revoke_token(revoked).await.unwrap().unwrap();
    assert_eq!(again.revoked_at, first.revoked_at, "revoking twice keeps the first time");
    assert_eq!(fixture.store.revoke_token(i64::MAX).await.unwrap(), None);
}

#[tokio::test]
async fn tokens_are_listed_page_by_page_with_their_number() {
    let fixture = Fixture::new().await;
    let page = ListRequest::new().offset(1).limit(1);
    assert_eq!(fixture.store.list_tokens(&page).await.unwrap().count, 0);
    for name in ["a", "b", "c"] {
        fixture.token(name).await;
    }
    let list = fixture.store.list_tokens(&page).await.unwrap();
    assert_eq!((list.count, list.body.len(), list.body[0].name.as_str()), (3, 1, "b"));
    let beyond = fixture.store.list_tokens(&ListRequest::new().offset(9)).await.unwrap();
    assert_eq!((beyond.count, beyond.body.len()), (3, 0));
}

#[tokio::test]
async fn use_is_recorded_at_most_once_a_minute_and_waits_for_nobody() {
    let fixture = Fixture::new().await;
    let id = fixture.token("deploy").await;
    let used = async || fixture.find(id).await.token.last_used_at;
    fixture.store.touch_token(id).await.unwrap();
    let first = used().await;
    assert!(first.is_some());
    fixture.store.touch_token(id).await.unwrap();
    assert_eq!(used().await, first, "within the minute");
    fixture.sql("UPDATE pgmill.token SET last_used_at = last_used_at - interval '61 s'").await;
    let long_ago = used().await;
    let somebody = fixture.database.connect().await;
    somebody.batch_execute("BEGIN; SELECT FROM pgmill.token FOR UPDATE").await.unwrap();
    fixture.store.touch_token(id).await.unwrap();
    assert_eq!(used().await, long_ago, "left be");
    somebody.batch_execute("COMMIT").await.unwrap();
    fixture.store.touch_token(id).await.unwrap();
    assert!(used().await > first);
}

#[tokio::test]
async fn the_audit_is_read_newest_first_by_action_and_target() {
    let fixture = Fixture::new().await;
    let detail = Json::from_text(r#"{"ttl": 12345678901234567890}"#).unwrap();
    let full = AuditMeta::new("alice", "update_queue", "a")
        .token_id(7)
        .namespace(fixture.namespace.clone())
        .request_id("r-1")
        .detail(detail.clone());
    let id = fixture.store.record_audit(&full).await.unwrap();
    for (action, target) in [("pause_queue", "a"), ("pause_queue", "b"), ("resume_queue", "a")] {
        fixture.store.record_audit(&AuditMeta::new("cli", action, target)).await.unwrap();
    }
    let all = AuditFilter::new;
    let newest_first = ["resume_queue a", "pause_queue b", "pause_queue a", "update_queue a"];
    assert_eq!(fixture.audited(all()).await, (4, newest_first.map(str::to_owned).to_vec()));
    let expected = |rows: &[&str]| rows.iter().map(|&row| row.to_owned()).collect::<Vec<_>>();
    let pauses = fixture.audited(all().action("pause_queue")).await;
    assert_eq!(pauses, (2, expected(&["pause_queue b", "pause_queue a"])));
    let both = fixture.audited(all().action("pause_queue").target("a")).await;
    assert_eq!(both, (1, expected(&["pause_queue a"])));
    let page = fixture.audited(all().target("a").page(ListRequest::new().offset(1).limit(1))).await;
    assert_eq!(page, (3, expected(&["pause_queue a"])));
    assert_eq!(fixture.audited(all().target("none")).await, (0, Vec::new()));

    let last = ListRequest::new().offset(3);
    let entry = fixture.store.list_audit(&all().page(last)).await.unwrap().body.remove(0);
    assert_eq!((entry.id, entry.actor.as_str(), entry.token_id), (id, "alice", Some(7)));
    assert_eq!(
        (entry.namespace.as_ref(), entry.request_id.as_deref()),
        (Some(&fixture.namespace), Some("r-1"))
    );
    assert_eq!(entry.detail, Some(detail), "not a digit is lost");
}

#[tokio::test]
async fn what_is_older_than_90_days_leaves_step_by_step_and_the_rest_stays() {
    let fixture = Fixture::new().await;
    for target in ["1", "2", "3", "kept", "new"] {
        fixture.store.record_audit(&AuditMeta::new("cli", "pause_queue", target)).await.unwrap();
    }
    fixture.sql("UPDATE pgmill.audit SET at = now() - interval '91 days' WHERE target < '4'").await;
    fixture.sql("UPDATE pgmill.audit SET at = now() - interval '89 days' WHERE target = 'kept'").await;
    let mut pruned = Vec::new();
    for _ in 0..3 {
        pruned.push(fixture.store.prune_audit(2).await.unwrap());
    }
    assert_eq!(pruned, [2, 1, 0]);
    assert_eq!(fixture.audited(AuditFilter::new()).await.1, ["pause_queue new", "pause_queue kept"]);

    for (name, change) in [
        ("revoked", "revoked_at = now() - interval '91 days'"),
        ("expired", "created_at = now() - interval '1 year', expires_at = now() - interval '91 days'"),
        ("lately", "revoked_at = now() - interval '89 days'"),
        ("living", "last_used_at = now()"),
    ] {
        let id = fixture.token(name).await;
        fixture.sql(&format!("UPDATE pgmill.token SET {change} WHERE id = {id}")).await;
    }
    assert_eq!(fixture.store.prune_tokens(100).await.unwrap(), 2);
    let left = fixture.store.list_tokens(&ListRequest::new()).await.unwrap();
    assert_eq!(left.body.iter().map(|token| token.name.as_str()).collect::<Vec<_>>(), ["living", "lately"]);
}

#[tokio::test]
async fn what_a_token_is_proven_by_is_not_in_its_debug() {
    let fixture = Fixture::new().await;
    let id = fixture.token("deploy").await;
    let known = format!("{:?}", fixture.find(id).await);
    assert!(known.contains("deploy") && !known.contains("[7, 7"), "{known}");
}
