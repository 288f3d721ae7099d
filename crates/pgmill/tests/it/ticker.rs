//! Tickers: the reference's tests, and what goes beyond them.

use std::time::Duration;

use pgmill::{
    CronError, DEFAULT_CATCH_UP, DEFAULT_INTERVAL, ListRequest, Manager, NameError, NameKind, QueueMeta,
    TickPolicy, TickerError, TickerMeta, TickerMetaError, hours, minutes, seconds,
};
use pgmill_testkit::wait_until;

use crate::fixture::{Fixture, SOON, json};

fn not_found(error: &TickerError) -> bool {
    matches!(error, TickerError::NotFound { namespace, ticker } if namespace == "app" && ticker == "missing")
}

async fn register(manager: &Manager, name: &str) {
    manager.register_ticker(TickerMeta::new(name).interval(hours(1))).await.unwrap();
}

/// `Test_Ticker_RegisterTicker`: creates.
#[tokio::test]
async fn test_ticker_register_ticker_creates() {
    let fixture = Fixture::new().await;
    let meta = TickerMeta::new(" T ").interval(minutes(1)).payload(json(r#"{"key": "value"}"#));
    let ticker = fixture.manager.register_ticker(meta).await.unwrap();
    assert_eq!(ticker.ticker.as_str(), "t");
    assert_eq!(ticker.interval, Some(minutes(1)));
    assert_eq!(ticker.payload, json(r#"{"key": "value"}"#));
    assert_eq!(ticker.namespace.as_str(), "app");
    assert_eq!(ticker.timestamp, None);
    assert_eq!(fixture.manager.get_ticker("t").await.unwrap(), ticker);
}

#[tokio::test]
async fn a_ticker_has_the_documented_defaults() {
    let fixture = Fixture::new().await;
    let ticker = fixture.manager.register_ticker(TickerMeta::new("t")).await.unwrap();
    assert_eq!(ticker.interval, Some(DEFAULT_INTERVAL));
    assert_eq!(ticker.payload, json("{}"));
    assert_eq!((ticker.cron, ticker.time_zone, ticker.queue), (None, None, None));
    assert_eq!((ticker.policy, ticker.catch_up), (TickPolicy::Coalesce, DEFAULT_CATCH_UP));
    assert_eq!(ticker.priority, pgmill::DEFAULT_PRIORITY);
}

/// `Test_Ticker_RegisterTicker`: registering again updates what is given.
#[tokio::test]
async fn test_ticker_register_ticker_updates() {
    let fixture = Fixture::new().await;
    let meta = TickerMeta::new("t").interval(minutes(1)).payload(json("1")).queue("q");
    fixture.manager.register_ticker(meta).await.unwrap();
    let meta = TickerMeta::new("t").interval(minutes(2)).payload(json("null"));
    let ticker = fixture.manager.register_ticker(meta).await.unwrap();
    assert_eq!((ticker.interval, ticker.payload.as_str()), (Some(minutes(2)), "null"));
    assert_eq!(ticker.queue.unwrap().as_str(), "q", "what is not given stays");
    assert_eq!(fixture.manager.list_tickers(ListRequest::new()).await.unwrap().count, 1);
}

/// `Test_Ticker_RegisterTicker`: an invalid name.
#[tokio::test]
async fn test_ticker_register_ticker_invalid_name() {
    let fixture = Fixture::new().await;
    let error = fixture.manager.register_ticker(TickerMeta::new("invalid ticker!")).await.unwrap_err();
    assert_eq!(error.to_string(), r#"Invalid ticker name: "invalid ticker!""#);
}

/// `Test_Ticker_RegisterTicker`: an empty name.
#[tokio::test]
async fn test_ticker_register_ticker_empty_name() {
    let fixture = Fixture::new().await;
    let error = fixture.manager.register_ticker(TickerMeta::new("")).await.unwrap_err();
    assert!(matches!(error, TickerError::Name(NameError::Missing { kind: NameKind::Ticker })), "{error:?}");
}

#[tokio::test]
async fn a_ticker_that_exists_cannot_be_created_again() {
    let fixture = Fixture::new().await;
    let (first, second) = (fixture.manager.clone(), fixture.other_process().await);
    let create = |manager: Manager, priority| async move {
        manager.create_ticker(TickerMeta::new("t").priority(priority)).await
    };
    let answers = tokio::join!(create(first.clone(), 1), create(second, 2), create(first, 3));
    let answers = [answers.0, answers.1, answers.2];
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
    for error in answers.iter().filter_map(|answer| answer.as_ref().err()) {
        assert!(matches!(error, TickerError::Exists { ticker, .. } if ticker == "t"), "{error:?}");
        assert!(!error.is_transient());
    }
}

/// `Test_Ticker_ListTickers`: lists all, by name.
#[tokio::test]
async fn test_ticker_list_tickers() {
    let fixture = Fixture::new().await;
    for name in ["list-2", "list-3", "list-1"] {
        register(&fixture.manager, name).await;
    }
    register(&fixture.manager.with_namespace("other").unwrap(), "foreign").await;
    let list = fixture.manager.list_tickers(ListRequest::new()).await.unwrap();
    let names: Vec<&str> = list.body.iter().map(|ticker| ticker.ticker.as_str()).collect();
    assert_eq!((list.count, names), (3, vec!["list-1", "list-2", "list-3"]));
}

/// `Test_Ticker_ListTickers`: a limit of 2.
#[tokio::test]
async fn test_ticker_list_tickers_with_limit() {
    let fixture = Fixture::new().await;
    for name in ["a", "b", "c"] {
        register(&fixture.manager, name).await;
    }
    let page = async |page: ListRequest| {
        let list = fixture.manager.list_tickers(page).await.unwrap();
        assert_eq!(list.count, 3, "the count is of all");
        list.body.iter().map(|ticker| ticker.ticker.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(page(ListRequest::new().limit(2)).await, ["a", "b"]);
    assert_eq!(page(ListRequest::new().limit(2).offset(2)).await, ["c"]);
    assert!(page(ListRequest::new().offset(3)).await.is_empty());
}

/// `Test_Ticker_GetTicker`: an existing one.
#[tokio::test]
async fn test_ticker_get_ticker() {
    let fixture = Fixture::new().await;
    register(&fixture.manager, "t").await;
    let ticker = fixture.manager.get_ticker(" T ").await.unwrap();
    assert_eq!((ticker.interval, ticker.namespace.as_str()), (Some(hours(1)), "app"));
}

/// `Test_Ticker_GetTicker`: a missing one.
#[tokio::test]
async fn test_ticker_get_ticker_missing() {
    let fixture = Fixture::new().await;
    let error = fixture.manager.get_ticker("missing").await.unwrap_err();
    assert!(not_found(&error), "{error:?}");
    assert_eq!(error.to_string(), r#"ticker "missing" not found in namespace "app""#);
}

/// `Test_Ticker_DeleteTicker`: returns it, then it is gone.
#[tokio::test]
async fn test_ticker_delete_ticker() {
    let fixture = Fixture::new().await;
    register(&fixture.manager, "missing").await;
    let deleted = fixture.manager.delete_ticker("missing").await.unwrap();
    assert_eq!(deleted.interval, Some(hours(1)));
    assert!(not_found(&fixture.manager.get_ticker("missing").await.unwrap_err()));
    assert!(fixture.manager.next_ticker().await.unwrap().is_none());
}

/// `Test_Ticker_DeleteTicker`: a missing one.
#[tokio::test]
async fn test_ticker_delete_ticker_missing() {
    let fixture = Fixture::new().await;
    assert!(not_found(&fixture.manager.delete_ticker("missing").await.unwrap_err()));
}

/// `Test_Ticker_UpdateTicker`: interval and payload.
#[tokio::test]
async fn test_ticker_update_ticker() {
    let fixture = Fixture::new().await;
    register(&fixture.manager, "t").await;
    let meta = TickerMeta::patch().interval(minutes(2)).payload(json("[1]"));
    let updated = fixture.manager.update_ticker("t", meta).await.unwrap();
    assert_eq!((updated.interval, updated.payload.as_str()), (Some(minutes(2)), "[1]"));
    assert_eq!(fixture.manager.get_ticker("t").await.unwrap(), updated);
}

/// `Test_Ticker_UpdateTicker`: a missing one.
#[tokio::test]
async fn test_ticker_update_ticker_missing() {
    let fixture = Fixture::new().await;
    for meta in [TickerMeta::patch().priority(1), TickerMeta::patch().cron("@daily")] {
        let error = fixture.manager.update_ticker("missing", meta).await.unwrap_err();
        assert!(not_found(&error), "{error:?}");
    }
}

/// `Test_Ticker_UpdateTicker`: nothing to change, which is told before anything else.
#[tokio::test]
async fn test_ticker_update_ticker_no_patch_values() {
    let fixture = Fixture::new().await;
    let error = fixture.manager.update_ticker("missing", TickerMeta::patch()).await.unwrap_err();
    assert!(matches!(error, TickerError::NothingToChange));
    assert_eq!(error.to_string(), "No patch values");
}

#[tokio::test]
async fn a_ticker_is_renamed_unless_the_name_is_taken() {
    let fixture = Fixture::new().await;
    register(&fixture.manager, "t").await;
    register(&fixture.manager, "taken").await;
    let renamed = fixture.manager.update_ticker("t", TickerMeta::patch().rename(" New ")).await.unwrap();
    assert_eq!(renamed.ticker.as_str(), "new");
    fixture.manager.update_ticker("new", TickerMeta::patch().rename("new")).await.unwrap();
    let error = fixture.manager.update_ticker("new", TickerMeta::patch().rename("Taken")).await.unwrap_err();
    assert!(matches!(&error, TickerError::Exists { ticker, .. } if ticker == "taken"), "{error:?}");
    assert!(fixture.manager.get_ticker("t").await.is_err());
}

/// `Test_Ticker_NextTicker`: a new ticker of 100 ms ticks at once, and again 150 ms later.
#[tokio::test]
async fn test_ticker_next_ticker() {
    let fixture = Fixture::new().await;
    let meta = TickerMeta::new("t").interval(Duration::from_millis(100)).payload(json("7"));
    fixture.manager.register_ticker(meta).await.unwrap();
    let first = fixture.manager.next_ticker().await.unwrap().expect("a tick at once");
    assert_eq!((first.ticker.as_str(), first.payload.as_str()), ("t", "7"));
    let first = first.timestamp.unwrap();
    let mut second = None;
    wait_until("the second tick", SOON, async || {
        second = fixture.manager.next_ticker().await.unwrap();
        second.is_some()
    })
    .await;
    let micros = second.unwrap().timestamp.unwrap().duration_since(first).as_micros();
    assert!(micros > 0 && micros % 100_000 == 0, "{micros} µs later: on the grid");
}

/// `Test_Ticker_NextTickerNs`: tickers are those of a namespace.
#[tokio::test]
async fn test_ticker_next_ticker_ns() {
    let fixture = Fixture::new().await;
    register(&fixture.manager.with_namespace("other").unwrap(), "t").await;
    assert!(fixture.manager.next_ticker().await.unwrap().is_none());
    assert!(fixture.manager.next_ticker_ns("third").await.unwrap().is_none());
    let tick = fixture.manager.next_ticker_ns("other").await.unwrap().unwrap();
    assert_eq!(tick.namespace.as_str(), "other");
    let error = fixture.manager.next_ticker_ns("pgmill").await.unwrap_err();
    assert!(matches!(error, TickerError::Name(NameError::Reserved)), "{error:?}");
}

#[tokio::test]
async fn ticks_are_taken_by_name_and_by_number() {
    let fixture = Fixture::new().await;
    for name in ["a", "b", "c", "d"] {
        register(&fixture.manager, name).await;
    }
    let take = async |names: &[&str], limit| {
        let ticks = fixture.manager.next_tickers(names, limit).await.unwrap();
        ticks.iter().map(|tick| tick.ticker.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(take(&["c", "unknown"], 10).await, ["c"]);
    assert!(take(&["c"], 10).await.is_empty());
    assert!(take(&[], 0).await.is_empty());
    assert_eq!(take(&[], 2).await, ["a", "b"]);
    assert_eq!(take(&[], 10).await, ["d"]);
    assert!(matches!(fixture.manager.next_tickers(&["a b"], 1).await, Err(TickerError::Name(_))));
}

#[tokio::test]
async fn b20_an_interval_of_less_than_a_millisecond_is_refused_with_what_is_allowed() {
    let fixture = Fixture::new().await;
    let wrong = [Duration::ZERO, Duration::from_micros(999), hours(876_001)];
    for interval in wrong {
        let error =
            fixture.manager.register_ticker(TickerMeta::new("t").interval(interval)).await.unwrap_err();
        assert!(matches!(&error, TickerError::Meta(TickerMetaError::OutOfRange { .. })), "{error:?}");
        assert!(error.to_string().starts_with("interval must be from 1ms to 876000h (100 years), not "));
    }
    assert!(fixture.manager.get_ticker("t").await.is_err());
    for interval in [Duration::from_millis(1), hours(876_000)] {
        let meta = TickerMeta::new("t").interval(interval);
        assert_eq!(fixture.manager.register_ticker(meta).await.unwrap().interval, Some(interval));
    }
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_told_with_what_is_allowed() {
    let fixture = Fixture::new().await;
    let t = || TickerMeta::new("t");
    let cases = [
        (
            t().interval(hours(1)).cron("@daily"),
            "interval, cron and disabled exclude each other: set one of them",
        ),
        (t().disabled().cron("@daily"), "interval, cron and disabled exclude each other: set one of them"),
        (t().time_zone("UTC"), "time_zone is that of a cron expression: set cron as well"),
        (t().interval(hours(1)).time_zone("UTC"), "time_zone is that of a cron expression: set cron as well"),
        (t().priority(10), "priority must be from 0 (first) to 9 (last), not 10"),
        (t().catch_up(0), "catch_up must be from 1 to 1000 ticks, not 0"),
        (t().catch_up(1_001), "catch_up must be from 1 to 1000 ticks, not 1001"),
        (t().queue("a b"), "Invalid queue name: \"a b\""),
        (t().cron(" "), "cron must be an expression of 5 or 6 fields, at most 255 bytes, not \" \""),
        (t().cron("0 0 30 2 *"), "the cron expression \"0 0 30 2 *\" is never due: there is no such day"),
        (
            t().cron("@daily").time_zone("Mars/Olympus"),
            "unknown time zone \"Mars/Olympus\": want an IANA name such as \"Europe/Berlin\" or \"UTC\"",
        ),
    ];
    for (meta, message) in cases {
        for error in [
            fixture.manager.register_ticker(meta.clone()).await.unwrap_err(),
            fixture.manager.create_ticker(meta).await.unwrap_err(),
        ] {
            assert_eq!(error.to_string(), message);
            assert!(!error.is_transient());
        }
    }
    for wrong in ["* * * *", "60 * * * *", "* * * * * * *", "x * * * *", "* * 32 * *"] {
        let error = fixture.manager.register_ticker(t().cron(wrong)).await.unwrap_err();
        assert!(matches!(error, TickerError::Cron(CronError::Expression { .. })), "{wrong}: {error:?}");
        assert!(error.to_string().contains("want 5 fields"), "{error}");
    }
    let large = t().payload(json(&format!("\"{}\"", "x".repeat(1 << 20))));
    let error = fixture.manager.register_ticker(large).await.unwrap_err();
    assert!(matches!(error, TickerError::Meta(TickerMetaError::PayloadTooLarge { .. })), "{error:?}");
    assert_eq!(fixture.manager.list_tickers(ListRequest::new()).await.unwrap().count, 0);
}

#[tokio::test]
async fn a_namespace_with_a_ticker_is_listed() {
    let fixture = Fixture::new().await;
    register(&fixture.manager, "t").await;
    fixture.manager.with_namespace("queues").unwrap().register_queue(QueueMeta::new("q")).await.unwrap();
    assert_eq!(fixture.manager.list_namespaces().await.unwrap(), ["app", "pgmill", "queues"]);
}

#[tokio::test]
async fn a_ticker_without_an_interval_is_disabled_until_it_gets_one() {
    let fixture = Fixture::new().await;
    register(&fixture.manager, "t").await;
    let disabled = fixture.manager.update_ticker("t", TickerMeta::patch().disabled()).await.unwrap();
    assert!(disabled.is_disabled());
    assert_eq!((disabled.interval, disabled.next_at), (None, None));
    assert!(fixture.manager.next_ticker().await.unwrap().is_none());
    let payload = fixture.manager.update_ticker("t", TickerMeta::patch().payload(json("1"))).await.unwrap();
    assert!(payload.is_disabled());
    let enabled = fixture.manager.update_ticker("t", TickerMeta::patch().interval(seconds(5))).await.unwrap();
    assert!(enabled.next_at.is_some());
    assert!(fixture.manager.next_ticker().await.unwrap().is_some());
}
