use pgmill_schema::{
    DEFAULT_CATCH_UP, DEFAULT_PRIORITY, Json, Namespace, QueueName, TickPolicy, Ticker, TickerMeta,
    TickerMetaError, TickerName, minutes, seconds,
};

const LIMIT: usize = 1 << 20;

fn ticker(name: &str) -> Ticker {
    Ticker {
        ticker: TickerName::new(name).expect("a ticker name"),
        payload: Json::from_text("{}").expect("JSON"),
        interval: Some(minutes(1)),
        namespace: Namespace::new("default").expect("a namespace"),
        timestamp: None,
        cron: None,
        time_zone: None,
        queue: None,
        priority: DEFAULT_PRIORITY,
        policy: TickPolicy::Coalesce,
        catch_up: DEFAULT_CATCH_UP,
        next_at: None,
    }
}

#[test]
fn a_ticker_prints_as_in_the_contract() {
    let timestamp = Some("2026-11-22T17:01:13.788794Z".parse().unwrap());
    let text = serde_json::to_string(&Ticker { timestamp, ..ticker("T2") }).unwrap();
    assert_eq!(
        text,
        r#"{"ticker":"t2","payload":{},"interval":60000000000,"namespace":"default","#.to_owned()
            + r#""timestamp":"2026-11-22T17:01:13.788794Z"}"#
    );
}

#[test]
fn a_disabled_ticker_prints_no_interval_and_our_keys_come_behind() {
    let disabled = Ticker { interval: None, ..ticker("t") };
    assert!(disabled.is_disabled());
    let text = serde_json::to_string(&disabled).unwrap();
    assert_eq!(text, r#"{"ticker":"t","payload":{},"namespace":"default"}"#);
    let cron = Ticker {
        cron: Some("0 3 * * *".to_owned()),
        time_zone: Some("Europe/Berlin".to_owned()),
        queue: Some(QueueName::new("q").unwrap()),
        priority: 1,
        policy: TickPolicy::CatchUp,
        catch_up: 7,
        next_at: Some("2026-01-01T02:00:00Z".parse().unwrap()),
        ..disabled
    };
    assert!(!cron.is_disabled());
    let text = serde_json::to_string(&cron).unwrap();
    assert_eq!(
        text,
        r#"{"ticker":"t","payload":{},"namespace":"default","cron":"0 3 * * *","time_zone":"Europe/Berlin","#
            .to_owned()
            + r#""queue":"q","priority":1,"policy":"catch_up","catch_up":7,"next_at":"2026-01-01T02:00:00Z"}"#
    );
    assert_eq!(serde_json::from_str::<Ticker>(&text).unwrap(), cron);
}

#[test]
fn a_ticker_without_our_keys_has_their_defaults() {
    let text = r#"{"ticker":"t2","interval":60000000000,"namespace":"default"}"#;
    assert_eq!(serde_json::from_str::<Ticker>(text).unwrap(), ticker("t2"));
}

#[test]
fn settings_are_read_with_null_as_not_given_but_for_the_payload() {
    let read = |text: &str| serde_json::from_str::<TickerMeta>(text).unwrap();
    let nulls =
        r#"{"ticker":null,"interval":null,"cron":null,"disabled":null,"queue":null,"policy":null,"other":1}"#;
    assert!(read(nulls).is_empty_patch());
    assert_eq!(read(r#"{"payload":null}"#), TickerMeta::patch().payload(Json::null()));
    assert_eq!(read(r#"{"interval":"1m30s"}"#), TickerMeta::patch().interval(seconds(90)));
    let full = TickerMeta::new("t").cron("@daily").time_zone("UTC").queue("q").priority(2).catch_up(3);
    assert_eq!(read(&serde_json::to_string(&full).unwrap()), full);
    assert_eq!(serde_json::to_string(&TickerMeta::patch()).unwrap(), "{}");
    assert_eq!(read(r#"{"disabled":true}"#), TickerMeta::patch().disabled());
    assert!(serde_json::from_str::<TickerMeta>(r#"{"policy":"maybe"}"#).is_err());
}

#[test]
fn settings_are_checked_up_to_their_bounds() {
    let t = || TickerMeta::new("t");
    for good in [
        TickerMeta::patch(),
        t().interval(std::time::Duration::from_millis(1)),
        t().interval(minutes(60 * 876_000)),
        t().catch_up(1),
        t().catch_up(1_000),
        t().priority(9),
        t().no_queue(),
        t().payload(Json::from_text(format!("\"{}\"", "x".repeat(LIMIT - 2))).unwrap()),
    ] {
        assert_eq!(good.validate(LIMIT), Ok(()), "{good:?}");
    }
    for bad in [
        t().interval(std::time::Duration::from_micros(999)),
        t().interval(minutes(60 * 876_000) + seconds(1)),
        t().catch_up(0),
        t().catch_up(1_001),
        t().priority(10),
        t().cron("x".repeat(256)),
        t().cron("@daily").time_zone(""),
    ] {
        assert!(matches!(bad.validate(LIMIT), Err(TickerMetaError::OutOfRange { .. })), "{bad:?}");
    }
    assert!(matches!(t().queue("a b").validate(LIMIT), Err(TickerMetaError::Name(_))));
    assert!(matches!(t().rename("a b").validate(LIMIT), Err(TickerMetaError::Name(_))));
    assert_eq!(t().interval(minutes(1)).disabled().validate(LIMIT), Err(TickerMetaError::Conflict));
    assert_eq!(t().disabled().time_zone("UTC").validate(LIMIT), Err(TickerMetaError::ZoneWithoutCron));
}
