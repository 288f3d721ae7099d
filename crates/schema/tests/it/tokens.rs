//! Roles, tokens and their secrets, and what the audit keeps.

use std::time::Duration;

use pgmill_schema::{
    AuditEntry, AuditMeta, AuditMetaError, Json, NameError, NameKind, Namespace, NewToken, Role, Token,
    TokenMeta, TokenMetaError, TokenName, TokenSecret, days, seconds,
};

fn token() -> Token {
    Token {
        id: 7,
        name: TokenName::new("Shop-Workers").expect("a token name"),
        role: Role::Worker,
        namespaces: Some(vec![Namespace::new("shop").expect("a namespace")]),
        created_at: "2026-11-22T17:01:13.788794Z".parse().expect("a time"),
        created_by: "cli".to_owned(),
        expires_at: None,
        revoked_at: None,
        last_used_at: None,
    }
}

#[test]
fn a_role_includes_those_below_it_and_producer_and_worker_stand_side_by_side() {
    use Role::{Admin, Operator, Producer, Viewer, Worker};
    let included = [
        (Viewer, vec![Viewer]),
        (Producer, vec![Viewer, Producer]),
        (Worker, vec![Viewer, Worker]),
        (Operator, vec![Viewer, Producer, Worker, Operator]),
        (Admin, vec![Viewer, Producer, Worker, Operator, Admin]),
    ];
    for (role, expected) in included {
        let found: Vec<Role> = Role::ALL.into_iter().filter(|needed| role.includes(*needed)).collect();
        assert_eq!(found, expected, "{role}");
    }
}

#[test]
fn roles_have_lasting_words_and_codes() {
    let words = ["viewer", "producer", "worker", "operator", "admin"];
    for (code, (role, word)) in Role::ALL.into_iter().zip(words).enumerate() {
        assert_eq!(word.parse(), Ok(role));
        assert_eq!(usize::try_from(role.code()), Ok(code));
        assert_eq!(serde_json::to_string(&role).unwrap(), format!("{word:?}"));
    }
}

#[test]
fn a_secret_is_read_as_it_was_shown() {
    let secret = TokenSecret::new(i64::MAX.unsigned_abs(), [0x0f; 32]);
    let text = format!("pgmill_9223372036854775807_{}", "0f".repeat(32));
    assert_eq!(secret.expose(), text);
    assert_eq!(secret.digits(), "0f".repeat(32));
    let read = TokenSecret::parse(&text).unwrap();
    assert_eq!((read.id(), read.expose(), read.digits()), (secret.id(), secret.expose(), secret.digits()));
}

#[test]
fn what_is_no_secret_is_refused_without_being_repeated() {
    let digits = "0f".repeat(32);
    for text in [
        String::new(),
        "pgmill".to_owned(),
        digits.clone(),
        format!("pgmill_{digits}"),
        format!("pgmill__{digits}"),
        format!("pgmill_0_{digits}"),
        format!("pgmill_-1_{digits}"),
        format!("pgmill_+1_{digits}"),
        format!("pgmill_01_{digits}"),
        format!("pgmill_9223372036854775808_{digits}"),
        format!("PGMILL_1_{digits}"),
        format!("pgmill_1_{}", digits.to_uppercase()),
        format!("pgmill_1_{digits}0"),
        format!("pgmill_1_{}", &digits[1..]),
        format!("pgmill_1_{}ä", &digits[2..]),
        format!(" pgmill_1_{digits}"),
        format!("pgmill_1_{digits}\n"),
    ] {
        let error = TokenSecret::parse(&text).unwrap_err();
        assert!(!error.to_string().contains("0f0f"), "{error}");
    }
}

#[test]
fn a_new_token_prints_with_its_secret_and_debug_leaves_it_out() {
    let new = NewToken { token: token(), secret: TokenSecret::new(7, [0xab; 32]) };
    let text = serde_json::to_string(&new).unwrap();
    let expected = r#"{"id":7,"name":"shop-workers","role":"worker","namespaces":["shop"],"#.to_owned()
        + r#""created_at":"2026-11-22T17:01:13.788794Z","created_by":"cli","token":"pgmill_7_"#
        + &"ab".repeat(32)
        + "\"}";
    assert_eq!(text, expected);
    let read: NewToken = serde_json::from_str(&text).unwrap();
    assert_eq!((read.token, read.secret.expose()), (token(), new.secret.expose()));
    assert!(!format!("{new:?}").contains("abab"), "{new:?}");
    assert!(!serde_json::to_string(&token()).unwrap().contains("token"));
}

#[test]
fn a_token_covers_its_namespaces_and_one_without_covers_all() {
    let (shop, other) = (Namespace::new("shop").unwrap(), Namespace::new("Shop").unwrap());
    assert!(token().covers(&shop) && !token().covers(&other));
    let everywhere = Token { namespaces: None, ..token() };
    assert!(everywhere.covers(&shop) && everywhere.covers(&other));
}

#[test]
fn the_settings_of_a_token_are_normalised() {
    let meta = TokenMeta::new(" Deploy ", Role::Operator).namespaces(["b", " a ", "b"]).expires_in(days(1));
    let (name, namespaces) = meta.validate().unwrap();
    assert_eq!(name.as_str(), "deploy");
    assert_eq!(namespaces.unwrap().iter().map(Namespace::as_str).collect::<Vec<_>>(), ["a", "b"]);
    let meta: TokenMeta =
        serde_json::from_str(r#"{"name":"t","role":"admin","expires_in":"24h","x":1}"#).unwrap();
    assert_eq!(meta, TokenMeta::new("t", Role::Admin).expires_in(days(1)));
    assert!(serde_json::from_str::<TokenMeta>(r#"{"name":"t"}"#).is_err(), "nobody has a role by accident");
}

#[test]
fn settings_that_no_token_can_have_are_refused_with_what_is_allowed() {
    let plain = || TokenMeta::new("t", Role::Viewer);
    for name in ["anonymous", "CLI"] {
        let error = TokenMeta::new(name, Role::Viewer).validate().unwrap_err();
        assert_eq!(error, TokenMetaError::Reserved { name: name.to_lowercase() });
    }
    let error = TokenMeta::new("", Role::Viewer).validate().unwrap_err();
    assert_eq!(error, TokenMetaError::Name(NameError::Missing { kind: NameKind::Token }));
    let nowhere = plain().namespaces(Vec::<String>::new());
    assert_eq!(nowhere.validate().unwrap_err(), TokenMetaError::Namespaces { given: 0 });
    let many = plain().namespaces((0..101).map(|number| format!("n{number}")));
    assert_eq!(many.validate().unwrap_err(), TokenMetaError::Namespaces { given: 101 });
    assert_eq!(plain().namespaces(["pgmill"]).validate().unwrap_err(), NameError::Reserved.into());
    for life in [Duration::ZERO, Duration::from_millis(999), days(3_650) + seconds(1), Duration::MAX] {
        let error = plain().expires_in(life).validate().unwrap_err();
        assert_eq!(error, TokenMetaError::ExpiresIn { given: life });
        assert!(error.to_string().contains("from 1s to 87600h"), "{error}");
    }
}

#[test]
fn an_entry_of_the_audit_prints_without_what_it_does_not_have() {
    let entry = AuditEntry {
        id: 3,
        at: "2026-11-22T17:01:13Z".parse().unwrap(),
        actor: "cli".to_owned(),
        token_id: None,
        namespace: None,
        action: "revoke_token".to_owned(),
        target: "deploy".to_owned(),
        request_id: None,
        detail: None,
    };
    let text = serde_json::to_string(&entry).unwrap();
    assert_eq!(
        text,
        r#"{"id":3,"at":"2026-11-22T17:01:13Z","actor":"cli","action":"revoke_token","target":"deploy"}"#
    );
    assert_eq!(serde_json::from_str::<AuditEntry>(&text).unwrap(), entry);
}

#[test]
fn what_the_audit_cannot_keep_is_refused() {
    let plain = || AuditMeta::new("alice", "pause_queue", "emails");
    assert_eq!(plain().validate(), Ok(()));
    let long = Json::from_text(format!("{:?}", "x".repeat(16 << 10))).unwrap();
    for (field, meta) in [
        ("actor", AuditMeta { actor: String::new(), ..plain() }),
        ("action", AuditMeta { action: "x".repeat(65), ..plain() }),
        ("target", AuditMeta { target: "a\0b".to_owned(), ..plain() }),
        ("request_id", plain().request_id("x".repeat(256))),
        ("detail", plain().detail(long)),
    ] {
        let AuditMetaError::Text { field: refused, .. } = meta.validate().unwrap_err() else {
            panic!("{field}")
        };
        assert_eq!(refused, field);
    }
}
