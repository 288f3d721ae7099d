use std::time::Duration;

use jiff::Timestamp;
use pgmill_schema::{
    Backoff, DEFAULT_LEASE, DEFAULT_MAX_RETRY_DELAY, DEFAULT_RETENTION, DEFAULT_RETENTION_FAILED,
    DEFAULT_RETRIES, DEFAULT_RETRY_DELAY, DEFAULT_TTL, NameError, NameKind, Namespace, Queue, QueueMeta,
    QueueMetaError, QueueName, QueueStatus, Status, Ttl, days, hours, minutes, seconds,
};

fn queue(name: &str) -> Queue {
    Queue {
        queue: QueueName::new(name).expect("a queue name"),
        ttl: Ttl::After(DEFAULT_TTL),
        retries: DEFAULT_RETRIES,
        retry_delay: DEFAULT_RETRY_DELAY,
        namespace: Namespace::new("default").expect("a namespace"),
        backoff: Backoff::default(),
        max_retry_delay: DEFAULT_MAX_RETRY_DELAY,
        retention: DEFAULT_RETENTION,
        retention_failed: DEFAULT_RETENTION_FAILED,
        lease: DEFAULT_LEASE,
        paused_at: None,
    }
}

#[test]
fn a_queue_prints_as_in_the_contract_with_our_keys_behind() {
    let text = serde_json::to_string(&queue("  CaSe-1  ")).unwrap();
    assert_eq!(
        text,
        r#"{"queue":"case-1","ttl":3600000000000,"retries":3,"retry_delay":120000000000,"namespace":"default","#
            .to_owned()
            + r#""backoff":"exponential","max_retry_delay":86400000000000,"retention":86400000000000,"#
            + r#""retention_failed":604800000000000,"lease":900000000000}"#
    );
}

#[test]
fn a_queue_whose_tasks_never_expire_prints_no_ttl() {
    let queue = Queue { ttl: Ttl::Never, retry_delay: seconds(10), ..queue("b3") };
    let text = serde_json::to_string(&queue).unwrap();
    let contract = r#"{"queue":"b3","retries":3,"retry_delay":10000000000,"namespace":"default","#;
    assert!(text.starts_with(contract), "{text}");
    assert_eq!(serde_json::from_str::<Queue>(&text).unwrap(), queue);
}

#[test]
fn a_queue_reads_what_it_prints_in_the_system_namespace_too() {
    let paused_at = Some("2026-11-22T16:58:44.93414Z".parse::<Timestamp>().unwrap());
    let queue = Queue { namespace: Namespace::system(), paused_at, ..queue("a") };
    let text = serde_json::to_string(&queue).unwrap();
    assert!(text.ends_with(r#","paused_at":"2026-11-22T16:58:44.93414Z"}"#), "{text}");
    assert_eq!(serde_json::from_str::<Queue>(&text).unwrap(), queue);
}

#[test]
fn a_queue_without_our_keys_has_their_defaults() {
    let text = r#"{"queue":"case-1","ttl":3600000000000,"retries":3,"retry_delay":120000000000,"namespace":"default"}"#;
    assert_eq!(serde_json::from_str::<Queue>(text).unwrap(), queue("case-1"));
}

#[test]
fn a_count_names_its_queue_and_status() {
    let count = QueueStatus {
        namespace: Namespace::new("default").unwrap(),
        queue: QueueName::new("case-1").unwrap(),
        status: Status::Expired,
        count: 0,
    };
    let text = r#"{"namespace":"default","queue":"case-1","status":"expired","count":0}"#;
    assert_eq!(serde_json::to_string(&count).unwrap(), text);
    assert_eq!(serde_json::from_str::<QueueStatus>(text).unwrap(), count);
}

#[test]
fn settings_are_read_from_the_bodies_that_clients_send() {
    let read = |text| serde_json::from_str::<QueueMeta>(text).unwrap();
    assert_eq!(read("{}"), QueueMeta::patch());
    assert_eq!(read(r#"{"queue":"","ttl":null,"retries":null,"retry_delay":null}"#), QueueMeta::patch());
    assert_eq!(read(r#"{"queue":null,"namespace":"x","concurrency":4}"#), QueueMeta::patch());
    assert_eq!(
        read(r#"{"queue":"q","ttl":3600000000000,"retries":3,"retry_delay":null}"#),
        QueueMeta::new("q").ttl(hours(1)).retries(3)
    );
    assert_eq!(
        read(
            r#"{"ttl":"never","retry_delay":"1m","backoff":"linear","max_retry_delay":"1h",
                "retention":0,"retention_failed":"24h","lease":"30s"}"#
        ),
        QueueMeta::patch()
            .no_ttl()
            .retry_delay(minutes(1))
            .backoff(Backoff::Linear)
            .max_retry_delay(hours(1))
            .retention(Duration::ZERO)
            .retention_failed(days(1))
            .lease(seconds(30))
    );
}

#[test]
fn settings_of_the_wrong_type_are_refused() {
    for text in [
        r#"{"ttl":"soon"}"#,
        r#"{"ttl":-1}"#,
        r#"{"retries":-1}"#,
        r#"{"retries":1.5}"#,
        r#"{"retries":"3"}"#,
        r#"{"retry_delay":1.5}"#,
        r#"{"retry_delay":-1000}"#,
        r#"{"backoff":"Linear"}"#,
        r#"{"queue":1}"#,
    ] {
        assert!(serde_json::from_str::<QueueMeta>(text).is_err(), "{text}");
    }
}

#[test]
fn settings_print_as_the_contract_sends_them_and_our_keys_only_if_set() {
    let print = |meta: &QueueMeta| serde_json::to_string(meta).unwrap();
    assert_eq!(
        print(&QueueMeta::new("q").ttl(hours(1)).retries(3)),
        r#"{"queue":"q","ttl":3600000000000,"retries":3,"retry_delay":null}"#
    );
    assert_eq!(print(&QueueMeta::patch()), r#"{"retries":null,"retry_delay":null}"#);
    let meta = QueueMeta::new("q").no_ttl().lease(seconds(30)).backoff(Backoff::Constant);
    assert_eq!(serde_json::from_str::<QueueMeta>(&print(&meta)).unwrap(), meta);
}

#[test]
fn settings_at_their_bounds_are_accepted() {
    let (micro, year) = (Duration::from_micros(1), days(365));
    for meta in [
        QueueMeta::patch(),
        QueueMeta::new("q").no_ttl(),
        QueueMeta::patch()
            .ttl(micro)
            .retries(1)
            .retry_delay(Duration::ZERO)
            .max_retry_delay(micro)
            .lease(seconds(1)),
        QueueMeta::patch()
            .ttl(100 * year)
            .retries(2_147_483_647)
            .retry_delay(year)
            .max_retry_delay(100 * year),
        QueueMeta::patch().retention(Duration::ZERO).retention_failed(Duration::ZERO),
        QueueMeta::patch().retention(10 * year).retention_failed(10 * year).lease(days(30)),
    ] {
        assert_eq!(meta.validate(), Ok(()), "{meta:?}");
    }
}

#[test]
fn settings_out_of_bounds_are_refused_by_name_with_what_is_allowed() {
    let (nano, year) = (Duration::from_nanos(1), days(365));
    let micro = 1_000 * nano;
    for (meta, wrong) in [
        (QueueMeta::patch().ttl(999 * nano), "ttl"),
        (QueueMeta::patch().ttl(Duration::ZERO), "ttl"),
        (QueueMeta::patch().ttl(100 * year + micro), "ttl"),
        (QueueMeta::patch().ttl(Duration::MAX), "ttl"),
        (QueueMeta::patch().retries(0), "retries"),
        (QueueMeta::patch().retries(2_147_483_648), "retries"),
        (QueueMeta::patch().retry_delay(year + micro), "retry_delay"),
        (QueueMeta::patch().max_retry_delay(Duration::ZERO), "max_retry_delay"),
        (QueueMeta::patch().max_retry_delay(100 * year + micro), "max_retry_delay"),
        (QueueMeta::patch().retention(10 * year + micro), "retention"),
        (QueueMeta::patch().retention_failed(10 * year + micro), "retention_failed"),
        (QueueMeta::patch().lease(seconds(1) - micro), "lease"),
        (QueueMeta::patch().lease(days(30) + micro), "lease"),
    ] {
        let Err(QueueMetaError::OutOfRange { field, .. }) = meta.validate() else {
            panic!("accepted {meta:?}")
        };
        assert_eq!(field, wrong, "{meta:?}");
    }
    assert_eq!(
        QueueMeta::patch().retries(0).validate().unwrap_err().to_string(),
        "retries is the number of attempts in all and must be at least 1 and at most 2147483647, not 0"
    );
    assert_eq!(
        QueueMeta::patch().lease(days(31)).validate().unwrap_err().to_string(),
        "lease must be from 1s to 720h (30 days), not 744h0m0s"
    );
}

#[test]
fn a_name_that_is_given_must_be_one() {
    let invalid = NameError::Invalid { kind: NameKind::Queue, value: "invalid queue!".into() };
    assert_eq!(QueueMeta::new("invalid queue!").validate(), Err(QueueMetaError::Name(invalid)));
    let missing = NameError::Missing { kind: NameKind::Queue };
    assert_eq!(QueueMeta::patch().rename(" ").validate(), Err(QueueMetaError::Name(missing)));
}

#[test]
fn a_patch_is_empty_if_it_neither_sets_nor_renames() {
    assert!(QueueMeta::patch().is_empty() && QueueMeta::patch().is_empty_patch());
    assert!(QueueMeta::new("q").is_empty() && !QueueMeta::new("q").is_empty_patch());
    let changed = QueueMeta::patch().lease(seconds(9));
    assert!(!changed.is_empty() && !changed.is_empty_patch());
}
