//! Tokens and the audit.

use std::time::Duration;

use pgmill::{
    AuditError, AuditFilter, AuditMeta, AuditMetaError, ListRequest, NewToken, Role, TokenError, TokenMeta,
    TokenMetaError, TokenSecret, hours, minutes, seconds,
};

use crate::fixture::Fixture;

impl Fixture {
    async fn token(&self, name: &str) -> NewToken {
        self.manager.create_token(TokenMeta::new(name, Role::Worker), "cli").await.unwrap()
    }

    /// The name of the token that this text opens.
    async fn opened(&self, text: &str) -> Option<String> {
        self.manager.verify_token(text).await.unwrap().map(|token| token.name.to_string())
    }
}

#[tokio::test]
async fn a_token_is_opened_by_its_secret_and_by_nothing_else() {
    let fixture = Fixture::new().await;
    let (first, second) = (fixture.token("first").await, fixture.token("second").await);
    assert_eq!(fixture.opened(first.secret.expose()).await.as_deref(), Some("first"));
    assert_eq!(fixture.opened(second.secret.expose()).await.as_deref(), Some("second"));
    let of_first = |digits: &str| format!("pgmill_{}_{digits}", first.token.id);
    for text in [
        of_first(second.secret.digits()),
        of_first(&"0".repeat(64)),
        of_first(&first.secret.digits().to_uppercase()),
        first.secret.digits().to_owned(),
        format!("pgmill_{}_{}", i64::MAX, first.secret.digits()),
        format!("{} ", first.secret.expose()),
        String::new(),
    ] {
        assert_eq!(fixture.opened(&text).await, None, "{text}");
    }
    // One digit is another.
    let mut digits = first.secret.digits().to_owned();
    let last = if digits.ends_with('0') { "1" } else { "0" };
    digits.replace_range(63.., last);
    assert_eq!(fixture.opened(&of_first(&digits)).await, None);
}

#[tokio::test]
async fn secrets_are_random_and_nowhere_in_the_database() {
    let fixture = Fixture::new().await;
    let (first, second) = (fixture.token("first").await, fixture.token("second").await);
    assert_ne!(first.secret.digits(), second.secret.digits());
    let stored = fixture.stored().await.join("\n");
    assert!(stored.contains("second"), "{stored}");
    for new in [&first, &second] {
        assert!(
            !stored.contains(new.secret.digits()) && !stored.contains(&new.secret.digits()[..16]),
            "{stored}"
        );
    }
}

#[tokio::test]
async fn a_revoked_token_opens_nothing_and_stays_in_the_list() {
    let fixture = Fixture::new().await;
    let NewToken { token, secret } = fixture.token("deploy").await;
    let revoked = fixture.manager.revoke_token(token.id).await.unwrap();
    assert!(revoked.revoked_at.is_some());
    assert_eq!(fixture.opened(secret.expose()).await, None);
    assert!(fixture.manager.find_token(token.id).await.unwrap().is_none());
    assert_eq!(fixture.manager.get_token(token.id).await.unwrap(), revoked);
    assert_eq!(fixture.manager.list_tokens(ListRequest::new()).await.unwrap().body, [revoked]);
    for id in [0, token.id + 1, u64::MAX] {
        let error = fixture.manager.revoke_token(id).await.unwrap_err();
        assert!(matches!(error, TokenError::NotFound { id: missing } if missing == id), "{error:?}");
        let error = fixture.manager.get_token(id).await.unwrap_err();
        assert!(matches!(error, TokenError::NotFound { id: missing } if missing == id), "{error:?}");
    }
}

#[tokio::test]
async fn a_token_expires_by_the_clock_of_the_database() {
    let fixture = Fixture::new().await;
    let meta = TokenMeta::new("deploy", Role::Worker).expires_in(hours(1));
    let NewToken { token, secret } = fixture.manager.create_token(meta, "cli").await.unwrap();
    assert_eq!(token.expires_at.unwrap().duration_since(token.created_at).as_secs(), 3_600);
    let known = fixture.manager.find_token(token.id).await.unwrap().unwrap();
    assert_eq!(known.trusted_for(seconds(5)), seconds(5));
    assert!(known.trusted_for(hours(2)) <= hours(1), "no longer than it is good for");
    fixture.sql("UPDATE pgmill.token SET expires_at = now() + interval '1 minute'").await;
    let known = fixture.manager.find_token(token.id).await.unwrap().unwrap();
    assert!(known.trusted_for(hours(2)) <= minutes(1) && known.trusted_for(hours(2)) > Duration::ZERO);
    assert!(fixture.manager.has_tokens().await.unwrap());
    fixture.sql("UPDATE pgmill.token SET created_at = created_at - interval '1 h', expires_at = now()").await;
    assert_eq!(fixture.opened(secret.expose()).await, None);
    assert!(!fixture.manager.has_tokens().await.unwrap());
}

#[tokio::test]
async fn a_known_token_is_opened_without_asking_again() {
    let fixture = Fixture::new().await;
    let NewToken { token, secret } = fixture.token("deploy").await;
    let known = fixture.manager.find_token(token.id).await.unwrap().unwrap();
    fixture.manager.pool().close();
    assert!(known.opens(&secret));
    assert!(!known.opens(&TokenSecret::new(token.id, [0; 32])));
    let bits =
        std::array::from_fn(|at| u8::from_str_radix(&secret.digits()[2 * at..2 * at + 2], 16).unwrap());
    assert!(known.opens(&TokenSecret::new(token.id, bits)));
    assert!(!known.opens(&TokenSecret::new(token.id + 1, bits)), "the right digits under another id");
    assert_eq!(known.token(), &token);
    // Without the database nothing is known, which is an error, not a no and not a yes.
    let error = fixture.manager.verify_token(secret.expose()).await.unwrap_err();
    assert!(matches!(error, TokenError::Store(_)), "{error:?}");
}

#[tokio::test]
async fn a_token_that_cannot_be_is_refused_and_writes_nothing() {
    let fixture = Fixture::new().await;
    fixture.token("deploy").await;
    let before = fixture.stored().await;
    let create = async |meta| fixture.manager.create_token(meta, "cli").await.unwrap_err();
    let error = create(TokenMeta::new("Deploy", Role::Admin)).await;
    assert!(matches!(&error, TokenError::Exists { name } if name == "deploy"), "{error:?}");
    let error = create(TokenMeta::new("cli", Role::Admin)).await;
    assert!(matches!(error, TokenError::Meta(TokenMetaError::Reserved { .. })), "{error:?}");
    let error = create(TokenMeta::new("t", Role::Admin).namespaces(["a b"])).await;
    assert!(matches!(error, TokenError::Meta(TokenMetaError::Name(_))), "{error:?}");
    let error = fixture.manager.list_tokens(ListRequest::new().offset(u64::MAX)).await.unwrap_err();
    assert!(matches!(error, TokenError::Page(_)), "{error:?}");
    assert_eq!(fixture.stored().await, before);
}

#[tokio::test]
async fn who_uses_a_token_leaves_a_trace() {
    let fixture = Fixture::new().await;
    let NewToken { token, .. } = fixture.token("deploy").await;
    fixture.manager.touch_token(token.id).await.unwrap();
    let used = fixture.manager.get_token(token.id).await.unwrap().last_used_at;
    assert!(used >= Some(token.created_at), "{used:?}");
    fixture.manager.touch_token(u64::MAX).await.unwrap();
}

#[tokio::test]
async fn what_was_done_is_recorded_for_all_namespaces_and_read_from_any() {
    let fixture = Fixture::new().await;
    let other = fixture.manager.with_namespace("other").unwrap();
    let meta =
        AuditMeta::new("alice", "pause_queue", "emails").namespace(fixture.manager.namespace().clone());
    other.record_audit(meta).await.unwrap();
    let list = fixture.manager.list_audit(AuditFilter::new().action("pause_queue")).await.unwrap();
    assert_eq!(
        (list.count, list.body[0].actor.as_str(), list.body[0].target.as_str()),
        (1, "alice", "emails")
    );
    let error = other.record_audit(AuditMeta::new("", "pause_queue", "emails")).await.unwrap_err();
    assert!(matches!(error, AuditError::Meta(AuditMetaError::Text { field: "actor", .. })), "{error:?}");
    let beyond = AuditFilter::new().page(ListRequest::new().offset(u64::MAX));
    assert!(matches!(other.list_audit(beyond).await, Err(AuditError::Page(_))));
}

#[tokio::test]
async fn the_prune_job_removes_what_is_older_than_90_days() {
    let fixture = Fixture::new().await;
    for name in ["deploy", "last"] {
        let NewToken { token, .. } = fixture.token(name).await;
        fixture.manager.revoke_token(token.id).await.unwrap();
    }
    fixture.manager.record_audit(AuditMeta::new("cli", "revoke_token", "deploy")).await.unwrap();
    let done = fixture.manager.prune().await.unwrap();
    assert_eq!((done.audit, done.tokens), (0, 0));
    fixture
        .sql(
            "INSERT INTO pgmill.audit (at, actor, action, target)
            SELECT now() - interval '91 days', 'cli', 'pause_queue', n::text FROM generate_series(1, 12000) n;
            UPDATE pgmill.token SET revoked_at = revoked_at - interval '91 days'",
        )
        .await;
    let done = fixture.manager.prune().await.unwrap();
    assert_eq!((done.audit, done.tokens), (12_000, 1), "in steps, until there is no more");
    let left = fixture.manager.list_tokens(ListRequest::new()).await.unwrap();
    assert_eq!(left.body[0].name.as_str(), "last", "by which a server knows that it is to ask for tokens");
    assert_eq!(fixture.manager.list_audit(AuditFilter::new()).await.unwrap().count, 1);
}
