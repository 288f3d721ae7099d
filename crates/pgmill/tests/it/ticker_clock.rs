//! When tickers tick, by a clock that the test moves.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pgmill::{Clock, Manager, TickPolicy, TickerError, TickerMeta, hours, minutes, seconds};

use crate::fixture::{Fixture, json};

/// A manager whose tickers go by a clock that stands.
struct Timed {
    fixture: Fixture,
    manager: Manager,
    clock: Clock,
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

impl Timed {
    async fn at(start: &str) -> Self {
        let fixture = Fixture::new().await;
        let clock = Clock::manual(time(start));
        let manager = Manager::connect(fixture.database.url()).namespace("app").ticker_clock(clock.clone());
        Self { manager: manager.await.unwrap(), fixture, clock }
    }

    async fn new() -> Self {
        Self::at("2026-01-01T00:00:00Z").await
    }

    async fn register(&self, meta: TickerMeta) -> pgmill::Ticker {
        self.manager.register_ticker(meta).await.unwrap()
    }

    async fn update(&self, meta: TickerMeta) -> pgmill::Ticker {
        self.manager.update_ticker("t", meta).await.unwrap()
    }

    /// Takes all that is due, and tells at which time of the day.
    async fn take(&self) -> Vec<String> {
        let mut times = Vec::new();
        while let Some(tick) = self.manager.next_ticker().await.unwrap() {
            times.push(tick.timestamp.unwrap().strftime("%H:%M:%S").to_string());
        }
        times
    }

    async fn take_at(&self, time_of_day: &str) -> Vec<String> {
        self.clock.set(time(&format!("2026-01-01T{time_of_day}Z")));
        self.take().await
    }
}

#[tokio::test]
async fn b32_ticks_come_on_the_grid_whatever_the_delay_of_whoever_takes_them() {
    let timed = Timed::new().await;
    timed.register(TickerMeta::new("t").interval(seconds(1))).await;
    let mut taken = timed.take().await;
    for _ in 0..20 {
        timed.clock.advance(Duration::from_millis(1_010));
        taken.extend(timed.take().await);
    }
    let expected: Vec<String> = (0..=20).map(|second| format!("00:00:{second:02}")).collect();
    assert_eq!(taken, expected);
}

#[tokio::test]
async fn b32_a_ticker_without_an_interval_never_ticks() {
    let timed = Timed::new().await;
    timed.register(TickerMeta::new("t").disabled()).await;
    assert!(timed.take().await.is_empty());
    timed.clock.advance(hours(1_000));
    assert!(timed.take().await.is_empty());
}

#[tokio::test]
async fn b33_changes_that_are_not_of_the_interval_do_not_reset_the_clock() {
    let timed = Timed::new().await;
    timed.register(TickerMeta::new("t").interval(minutes(10))).await;
    assert_eq!(timed.take().await, ["00:00:00"]);
    timed.clock.advance(minutes(4));
    let before = timed.update(TickerMeta::patch().payload(json("1"))).await;
    for meta in [
        TickerMeta::patch().priority(1),
        TickerMeta::patch().queue("q"),
        TickerMeta::patch().no_queue(),
        TickerMeta::patch().policy(TickPolicy::Skip),
        TickerMeta::patch().catch_up(7),
        TickerMeta::patch().interval(minutes(10)),
        TickerMeta::patch().rename("t"),
    ] {
        let updated = timed.update(meta).await;
        assert_eq!((updated.timestamp, updated.next_at), (before.timestamp, before.next_at));
    }
    let again = timed.register(TickerMeta::new("t").interval(minutes(10)).payload(json("2"))).await;
    assert_eq!(again.next_at, before.next_at);
    let renamed = timed.update(TickerMeta::patch().rename("renamed")).await;
    assert_eq!(renamed.next_at, before.next_at);
    assert!(timed.take().await.is_empty());
    assert_eq!(timed.take_at("00:10:00").await, ["00:10:00"]);
}

#[tokio::test]
async fn b33_a_new_interval_starts_at_the_last_tick_but_not_in_the_past() {
    let timed = Timed::new().await;
    timed.register(TickerMeta::new("t").interval(minutes(10))).await;
    // Never ticked: at once.
    let changed = timed.update(TickerMeta::patch().interval(minutes(20))).await;
    assert_eq!(changed.next_at, Some(time("2026-01-01T00:00:00Z")));
    assert_eq!(timed.take().await, ["00:00:00"]);
    timed.clock.advance(minutes(4));
    let shorter = timed.update(TickerMeta::patch().interval(minutes(5))).await;
    assert_eq!(shorter.next_at, Some(time("2026-01-01T00:05:00Z")));
    let past = timed.update(TickerMeta::patch().interval(minutes(1))).await;
    assert_eq!(past.next_at, Some(time("2026-01-01T00:04:00Z")), "at once, not for the minutes before");
    assert_eq!(timed.take().await, ["00:04:00"]);
    let longer = timed.register(TickerMeta::new("t").interval(hours(1))).await;
    assert_eq!(longer.next_at, Some(time("2026-01-01T01:04:00Z")));
    assert_eq!(longer.timestamp, Some(time("2026-01-01T00:04:00Z")), "the last tick stays told");
}

#[tokio::test]
async fn missed_ticks_are_treated_as_the_policy_says() {
    let cases: [(TickerMeta, &str, &[&str]); 8] = [
        (TickerMeta::new("t").interval(hours(1)), "05:30:00", &["05:00:00"]),
        (TickerMeta::new("t").interval(hours(1)).policy(TickPolicy::Skip), "05:00:59", &["05:00:00"]),
        (TickerMeta::new("t").interval(hours(1)).policy(TickPolicy::Skip), "05:30:00", &[]),
        (TickerMeta::new("t").interval(hours(1)).catch_up(2), "05:30:00", &["04:00:00", "05:00:00"]),
        (TickerMeta::new("t").cron("0 * * * *"), "05:30:00", &["05:00:00"]),
        (TickerMeta::new("t").cron("0 * * * *").policy(TickPolicy::Skip), "05:00:59", &["05:00:00"]),
        (TickerMeta::new("t").cron("0 * * * *").policy(TickPolicy::Skip), "05:30:00", &[]),
        (TickerMeta::new("t").cron("0 * * * *").catch_up(2), "05:30:00", &["04:00:00", "05:00:00"]),
    ];
    for (meta, now, expected) in cases {
        let timed = Timed::new().await;
        let case = format!("{meta:?} at {now}");
        timed.register(meta).await;
        timed.take().await;
        assert_eq!(timed.take_at(now).await, expected, "{case}");
        assert!(timed.take_at("05:59:59").await.is_empty(), "{case}");
        assert_eq!(timed.take_at("06:00:00").await, ["06:00:00"], "{case}");
    }
}

#[tokio::test]
async fn a_cron_ticker_ticks_when_it_is_due_next_and_not_at_once() {
    let timed = Timed::at("2026-03-28T12:00:00Z").await;
    let meta = TickerMeta::new("t").cron("30 2 * * *").time_zone("Europe/Berlin");
    let created = timed.register(meta.clone()).await;
    assert_eq!((created.interval, created.cron.as_deref()), (None, Some("30 2 * * *")));
    assert_eq!(created.time_zone.as_deref(), Some("Europe/Berlin"));
    assert_eq!(created.next_at, Some(time("2026-03-29T01:00:00Z")), "after the gap");
    assert!(timed.take().await.is_empty());
    timed.clock.set(time("2026-03-29T01:00:30Z"));
    assert_eq!(timed.register(meta).await.next_at, created.next_at, "the clock is not reset");
    assert_eq!(timed.take().await, ["01:00:00"]);
    assert_eq!(timed.manager.get_ticker("t").await.unwrap().next_at, Some(time("2026-03-30T00:30:00Z")));
}

#[tokio::test]
async fn an_expression_and_its_zone_are_changed_one_by_one_or_for_an_interval() {
    let timed = Timed::new().await;
    timed.register(TickerMeta::new("t").cron("0 3 * * *")).await;
    let zone = timed.update(TickerMeta::patch().time_zone("america/new_york")).await;
    assert_eq!(zone.time_zone.as_deref(), Some("America/New_York"), "as it is spelled");
    assert_eq!(zone.next_at, Some(time("2026-01-01T08:00:00Z")));
    let cron = timed.update(TickerMeta::patch().cron("0 4 * * *")).await;
    assert_eq!(cron.time_zone.as_deref(), Some("America/New_York"), "what is not given stays");
    assert_eq!(cron.next_at, Some(time("2026-01-01T09:00:00Z")));
    let interval = timed.update(TickerMeta::patch().interval(hours(1))).await;
    assert_eq!((interval.cron, interval.time_zone, interval.interval), (None, None, Some(hours(1))));
    assert_eq!(interval.next_at, Some(time("2026-01-01T00:00:00Z")));
    let error = timed.manager.update_ticker("t", TickerMeta::patch().time_zone("UTC")).await.unwrap_err();
    assert!(matches!(error, TickerError::Meta(_)), "{error:?}");
    let back = timed.register(TickerMeta::new("t").cron("@hourly")).await;
    assert_eq!((back.interval, back.time_zone.as_deref()), (None, Some("UTC")));
}

#[tokio::test]
async fn a_preview_is_what_will_be_due() {
    let timed = Timed::at("2026-10-24T20:10:00Z").await;
    let cases = [
        TickerMeta::new("t").cron("*/20 * * * *").time_zone("Europe/Berlin"),
        TickerMeta::new("t").cron("30 2 * * *").time_zone("Europe/Berlin"),
        TickerMeta::new("t").cron("15 */3 * * *").time_zone("America/New_York"),
        TickerMeta::new("t").interval(minutes(17)),
    ];
    for meta in cases {
        let now = timed.clock.now().unwrap();
        let preview = timed.manager.preview(&meta, 20, now).unwrap();
        assert_eq!(preview.len(), 20);
        let ticker = timed.register(meta.clone()).await;
        assert_eq!(timed.manager.preview(&ticker, 20, now).unwrap(), preview, "{meta:?}");
        for due in &preview {
            timed.clock.set(*due);
            let tick = timed.manager.next_ticker().await.unwrap();
            assert_eq!(tick.expect("a tick that was foretold").timestamp, Some(*due), "{meta:?}");
            assert!(timed.manager.next_ticker().await.unwrap().is_none());
        }
        timed.manager.delete_ticker("t").await.unwrap();
    }
    let from = timed.clock.now().unwrap();
    assert!(timed.manager.preview(&TickerMeta::new("t").disabled(), 5, from).unwrap().is_empty());
    let wrong = timed.manager.preview(&TickerMeta::new("t").cron("0 0 31 6 *"), 5, from);
    assert!(matches!(wrong, Err(TickerError::Cron(_))), "{wrong:?}");
    let ticker = timed.register(TickerMeta::new("t").interval(minutes(10))).await;
    let later = timed.manager.preview(&ticker, 1, from + SignedDuration::from_mins(25)).unwrap();
    assert_eq!(later, [from + SignedDuration::from_mins(30)], "on the grid, after that time");
}

#[tokio::test]
async fn a_cron_ticker_that_this_process_cannot_read_stops_no_other() {
    let timed = Timed::new().await;
    timed.register(TickerMeta::new("alien").cron("0 1 * * *")).await;
    timed.register(TickerMeta::new("known").cron("0 2 * * *")).await;
    timed.fixture.sql("UPDATE pgmill.ticker SET time_zone = 'Mars/Olympus' WHERE ticker = 'alien'").await;
    assert_eq!(timed.take_at("03:00:00").await, ["02:00:00"]);
    timed.fixture.sql("UPDATE pgmill.ticker SET time_zone = 'UTC' WHERE ticker = 'alien'").await;
    assert_eq!(timed.take().await, ["01:00:00"]);
}

#[tokio::test]
async fn a_cron_ticker_that_somebody_holds_is_left_until_it_is_let_go() {
    let timed = Timed::new().await;
    timed.register(TickerMeta::new("held").cron("0 1 * * *")).await;
    timed.register(TickerMeta::new("free").cron("0 2 * * *")).await;
    timed.fixture.sql("BEGIN; SELECT FROM pgmill.ticker WHERE ticker = 'held' FOR UPDATE").await;
    timed.clock.set(time("2026-01-01T03:00:00Z"));
    let ticks = timed.manager.next_tickers(&[], 10).await.unwrap();
    assert_eq!(ticks.iter().map(|tick| tick.ticker.as_str()).collect::<Vec<_>>(), ["free"]);
    assert!(timed.manager.next_tickers(&[], 10).await.unwrap().is_empty());
    timed.fixture.sql("COMMIT").await;
    assert_eq!(timed.take().await, ["01:00:00"]);
}

#[tokio::test]
async fn an_expression_and_its_zone_that_are_changed_at_the_same_time_are_both_changed() {
    let timed = Timed::new().await;
    for _ in 0..20 {
        timed.register(TickerMeta::new("t").cron("0 3 * * *").time_zone("UTC")).await;
        let other = timed.fixture.manager.clone();
        let (zone, cron) = tokio::join!(
            timed.manager.update_ticker("t", TickerMeta::patch().time_zone("Europe/Berlin")),
            other.update_ticker("t", TickerMeta::patch().cron("0 4 * * *")),
        );
        zone.unwrap();
        cron.unwrap();
        let now = timed.manager.get_ticker("t").await.unwrap();
        assert_eq!(
            (now.cron.as_deref(), now.time_zone.as_deref()),
            (Some("0 4 * * *"), Some("Europe/Berlin"))
        );
    }
}
