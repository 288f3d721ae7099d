use std::collections::HashMap;

use pgmill_schema::{Key, NameError, NameKind, Namespace, QueueName, TickerName, WorkerName};
use proptest::prelude::*;

#[test]
fn a_queue_name_is_trimmed_and_lower_cased() {
    assert_eq!(QueueName::new("  CaSe-1\u{a0}\u{2003}\n").unwrap().as_str(), "case-1");
    // The Kelvin sign becomes a plain k.
    assert_eq!(QueueName::new("\u{212a}ey").unwrap().as_str(), "key");
}

#[test]
fn a_queue_name_has_1_to_64_characters() {
    let longest = "a".repeat(64);
    assert_eq!(QueueName::new(&longest).unwrap().as_str(), longest);
    let longer = "a".repeat(65);
    assert_eq!(QueueName::new(&longer), Err(NameError::Invalid { kind: NameKind::Queue, value: longer }));
    assert_eq!(QueueName::new("q").unwrap().as_str(), "q");
}

#[test]
fn a_queue_name_starts_with_a_letter_and_goes_on_with_letters_digits_hyphens_and_underscores() {
    for good in ["a-_9", "z", "a0"] {
        assert_eq!(QueueName::new(good).unwrap().as_str(), good);
    }
    for bad in ["1bad", "-a", "_a", "a b", "a/b", "a.b", "ä", "aé", "a\0", "日本"] {
        assert_eq!(
            QueueName::new(bad),
            Err(NameError::Invalid { kind: NameKind::Queue, value: bad.to_owned() }),
            "{bad:?}"
        );
    }
}

#[test]
fn errors_read_as_the_contract_says() {
    assert_eq!(QueueName::new(" \t ").unwrap_err().to_string(), "Missing queue name");
    assert_eq!(QueueName::new("a b").unwrap_err().to_string(), r#"Invalid queue name: "a b""#);
    assert_eq!(TickerName::new("").unwrap_err().to_string(), "Missing ticker name");
    assert_eq!(TickerName::new("a/b").unwrap_err().to_string(), r#"Invalid ticker name: "a/b""#);
    assert_eq!(WorkerName::new("  ").unwrap_err().to_string(), "Missing worker");
    assert_eq!(Namespace::new("").unwrap_err().to_string(), "namespace must not be empty");
    assert_eq!(Namespace::new("pgqueue").unwrap_err().to_string(), "namespace is reserved for system use");
}

#[test]
fn every_error_says_what_is_allowed() {
    assert!(QueueName::new("a b").unwrap_err().allowed().contains("63"));
    assert!(Namespace::new("PGMILL").unwrap_err().allowed().contains("not pgmill or pgqueue"));
    assert!(Key::new("").unwrap_err().allowed().contains("255"));
}

#[test]
fn a_namespace_keeps_its_case_and_has_at_most_50_characters() {
    assert_eq!(Namespace::new(" MyApp ").unwrap().as_str(), "MyApp");
    assert!(Namespace::new(&"n".repeat(50)).is_ok());
    assert!(matches!(
        Namespace::new(&"n".repeat(51)),
        Err(NameError::Invalid { kind: NameKind::Namespace, .. })
    ));
    assert!(Namespace::new("9a").is_err());
}

#[test]
fn the_system_namespaces_are_reserved_in_any_case() {
    for name in ["pgmill", "PgMill", " PGQUEUE ", "pgqueue"] {
        assert_eq!(Namespace::new(name), Err(NameError::Reserved), "{name}");
        assert_eq!(name.parse::<Namespace>(), Err(NameError::Reserved), "{name}");
    }
    assert!(Namespace::new("pgmill2").is_ok());
}

#[test]
fn the_system_namespace_can_be_read_back() {
    let system = Namespace::system();
    assert_eq!(system.as_str(), "pgmill");
    assert_eq!(Namespace::from_stored("pgmill").unwrap(), system);
    let json = serde_json::to_string(&system).unwrap();
    assert_eq!(serde_json::from_str::<Namespace>(&json).unwrap(), system);
    assert!(serde_json::from_str::<Namespace>(r#""PGMILL""#).is_err());
    assert!(Namespace::from_stored("a b").is_err());
}

#[test]
fn a_worker_is_trimmed_and_has_1_to_255_characters_without_control_characters() {
    assert_eq!(WorkerName::new(" Worker 1/ä ").unwrap().as_str(), "Worker 1/ä");
    assert!(WorkerName::new(&"ä".repeat(255)).is_ok());
    assert_eq!(
        WorkerName::new(&"ä".repeat(256)),
        Err(NameError::TooLong { kind: NameKind::Worker, length: 256, limit: 255 })
    );
    for bad in ["a\0b", "a\nb", "a\u{85}b"] {
        assert!(
            matches!(WorkerName::new(bad), Err(NameError::Invalid { kind: NameKind::Worker, .. })),
            "{bad:?}"
        );
    }
}

#[test]
fn a_key_is_used_as_given_and_has_1_to_255_characters_without_nul() {
    assert_eq!(Key::new(" a\n").unwrap().as_str(), " a\n");
    assert!(matches!(Key::new(""), Err(NameError::Missing { kind: NameKind::Key })));
    assert!(matches!(Key::new("a\0"), Err(NameError::Invalid { kind: NameKind::Key, .. })));
    assert!(matches!(
        Key::new(&"k".repeat(256)),
        Err(NameError::TooLong { kind: NameKind::Key, length: 256, .. })
    ));
}

#[test]
fn a_name_is_a_string_in_json_and_is_checked_when_read() {
    let name: QueueName = serde_json::from_str(r#"" Mail ""#).unwrap();
    assert_eq!(serde_json::to_string(&name).unwrap(), r#""mail""#);
    let error = serde_json::from_str::<QueueName>(r#""a b""#).unwrap_err();
    assert!(error.to_string().starts_with(r#"Invalid queue name: "a b""#), "{error}");
}

#[test]
fn a_map_keyed_by_names_is_searched_by_text() {
    let map = HashMap::from([(QueueName::new("mail").unwrap(), 1)]);
    assert_eq!(map.get("mail"), Some(&1));
}

proptest! {
    #[test]
    fn normalising_twice_changes_nothing(text in "\\PC{0,70}") {
        if let Ok(name) = QueueName::new(&text) {
            prop_assert_eq!(QueueName::new(name.as_str()), Ok(name.clone()));
            let ticker = TickerName::new(&text).unwrap();
            prop_assert_eq!(ticker.as_str(), name.as_str());
        }
        if let Ok(name) = WorkerName::new(&text) {
            prop_assert_eq!(WorkerName::new(name.as_str()), Ok(name.clone()));
        }
    }

    #[test]
    fn every_identifier_is_a_queue_name(name in "[a-z][a-z0-9_-]{0,63}", left in "\\s{0,3}", right in "\\s{0,3}") {
        let given = format!("{left}{}{right}", name.to_uppercase());
        let queue = QueueName::new(&given);
        prop_assert_eq!(queue.as_ref().map(QueueName::as_str), Ok(name.as_str()));
    }
}
