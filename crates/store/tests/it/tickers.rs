//! Ticks are taken along a grid, by one who asks.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pgmill_schema::{Namespace, QueueMeta, TickPolicy, Ticker, TickerMeta, TickerName, minutes, seconds};
use pgmill_store::{ClaimTicks, ClaimedTicks, CronDecision, CronSchedule, Store, TickLease};

use crate::support::{Fixture, namespace};

fn start() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn at(seconds: f64) -> Timestamp {
    start() + SignedDuration::from_secs_f64(seconds)
}

fn name(name: &str) -> TickerName {
    TickerName::new(name).unwrap()
}

/// Creates a ticker at the start of these tests' time.
async fn create(fixture: &Fixture, meta: TickerMeta) -> Ticker {
    let ticker = name(&meta.ticker);
    let created = fixture.store.create_ticker(&fixture.namespace, &ticker, &meta, None, Some(start())).await;
    created.unwrap().expect("a name that is free")
}

fn claim(fixture: &Fixture, now: Timestamp) -> ClaimTicks {
    let namespace = Some(fixture.namespace.clone());
    ClaimTicks { namespace, limit: 1_000, now: Some(now), ..ClaimTicks::default() }
}

async fn take(store: &Store, claim: ClaimTicks) -> ClaimedTicks {
    store.claim_ticks(&claim).await.unwrap()
}

/// Takes all there is to take at this time, and tells the seconds of their grid points.
async fn drain(fixture: &Fixture, now: f64) -> Vec<f64> {
    let mut stamps = Vec::new();
    loop {
        let claimed = take(&fixture.store, claim(fixture, at(now))).await;
        stamps.extend(claimed.ticks.iter().map(stamp));
        if claimed.next != Some(Duration::ZERO) {
            return stamps;
        }
    }
}

fn stamp(tick: &pgmill_store::Tick) -> f64 {
    tick.ticker.timestamp.unwrap().duration_since(start()).as_secs_f64()
}

#[tokio::test]
async fn the_first_tick_is_due_at_once_and_the_next_ones_on_its_grid() {
    let fixture = Fixture::new().await;
    let created = create(&fixture, TickerMeta::new("t").interval(seconds(10))).await;
    assert_eq!((created.timestamp, created.next_at), (None, Some(start())));
    let claimed = take(&fixture.store, claim(&fixture, at(3.0))).await;
    assert_eq!(
        claimed.ticks[0].ticker.timestamp,
        Some(start()),
        "a tick that is taken late carries its time"
    );
    assert_eq!(claimed.next, Some(seconds(7)), "and moves nothing");
    assert!(drain(&fixture, 9.9).await.is_empty());
    assert_eq!(drain(&fixture, 10.0).await, [10.0]);
    assert_eq!(drain(&fixture, 20.5).await, [20.0]);
}

#[tokio::test]
async fn missed_ticks_are_treated_as_the_policy_says() {
    let hour = 3_600;
    let cases: [(TickPolicy, u64, u32, f64, &[f64]); 12] = [
        (TickPolicy::Coalesce, 10, 100, 10.0, &[10.0]),
        (TickPolicy::Coalesce, 10, 100, 59.9, &[50.0]),
        (TickPolicy::Coalesce, 10, 100, 1e9 + 3.0, &[1e9]),
        (TickPolicy::Coalesce, hour, 100, 7_199.0, &[3_600.0]),
        // Less late than its interval and than a minute, a tick still comes.
        (TickPolicy::Skip, 10, 100, 35.0, &[30.0]),
        (TickPolicy::Skip, hour, 100, 3_660.0, &[3_600.0]),
        (TickPolicy::Skip, hour, 100, 3_660.1, &[]),
        (TickPolicy::Skip, hour, 100, 7_250.0, &[7_200.0]),
        (TickPolicy::CatchUp, 10, 100, 10.0, &[10.0]),
        (TickPolicy::CatchUp, 10, 100, 45.0, &[10.0, 20.0, 30.0, 40.0]),
        (TickPolicy::CatchUp, 10, 2, 45.0, &[30.0, 40.0]),
        (TickPolicy::CatchUp, 10, 1, 45.0, &[40.0]),
    ];
    for (policy, interval, catch_up, now, expected) in cases {
        let fixture = Fixture::new().await;
        let meta = TickerMeta::new("t").interval(seconds(interval)).catch_up(catch_up).policy(policy);
        create(&fixture, meta).await;
        assert_eq!(drain(&fixture, 0.0).await, [0.0]);
        let case = format!("{policy} of {interval} s, at {now}");
        assert_eq!(drain(&fixture, now).await, expected, "{case}");
        // Whatever became of them, the next one is on the grid, and nothing comes before it.
        let interval = interval as f64;
        let next = (now / interval).floor() * interval + interval;
        assert!(drain(&fixture, next - 0.001).await.is_empty(), "{case}");
        assert_eq!(drain(&fixture, next).await, [next], "{case}");
    }
}

#[tokio::test]
async fn ticks_stay_on_their_grid_whenever_they_are_taken() {
    for interval in [1_000, 1_001, 33_333, 1_000_000, 7_654_321] {
        let fixture = Fixture::new().await;
        create(&fixture, TickerMeta::new("t").interval(Duration::from_micros(interval))).await;
        let interval = i64::try_from(interval).unwrap();
        let (mut now, mut taken) = (0, -1);
        for turn in 0..100 {
            let time = start() + SignedDuration::from_micros(now);
            let claimed = take(&fixture.store, claim(&fixture, time)).await;
            let stamps: Vec<_> = claimed.ticks.iter().map(|t| t.ticker.timestamp.unwrap()).collect();
            let point = now / interval;
            let due = (point > taken).then(|| start() + SignedDuration::from_micros(point * interval));
            assert_eq!(stamps, Vec::from_iter(due), "an interval of {interval} µs at {now}");
            let next = (point + 1) * interval - now;
            assert_eq!(claimed.next, Some(Duration::from_micros(next.unsigned_abs())));
            taken = point;
            // Some steps end just before a point of the grid, on it, or after it; others anywhere.
            now += match turn % 5 {
                0 => next,
                1 => interval - 1,
                2 => 1,
                _ => (turn * 7_919_777) % (5 * interval),
            };
        }
    }
}

#[tokio::test]
async fn a_ticker_without_an_interval_never_ticks() {
    let fixture = Fixture::new().await;
    let created = create(&fixture, TickerMeta::new("t").disabled()).await;
    assert_eq!((created.interval, created.next_at), (None, None));
    let claimed = take(&fixture.store, claim(&fixture, at(1e9))).await;
    assert!(claimed.ticks.is_empty() && claimed.next.is_none(), "{claimed:?}");
}

#[tokio::test]
async fn a_claim_is_of_a_namespace_and_of_the_names_that_are_given() {
    let fixture = Fixture::new().await;
    for ticker in ["a", "b", "c"] {
        create(&fixture, TickerMeta::new(ticker).interval(minutes(1))).await;
    }
    let other = ClaimTicks { namespace: Some(namespace("other")), ..claim(&fixture, start()) };
    assert!(take(&fixture.store, other).await.ticks.is_empty());
    let names = Some(vec![name("c"), name("unknown")]);
    let claimed = take(&fixture.store, ClaimTicks { names: names.clone(), ..claim(&fixture, start()) }).await;
    assert_eq!(claimed.ticks.len(), 1);
    assert_eq!(claimed.next, Some(minutes(1)), "of those that are named");
    let limited = take(&fixture.store, ClaimTicks { limit: 1, ..claim(&fixture, start()) }).await;
    assert_eq!((limited.ticks.len(), limited.next), (1, Some(Duration::ZERO)), "there is another one");
    let rest = take(&fixture.store, claim(&fixture, start())).await;
    assert_eq!((rest.ticks.len(), rest.next), (1, Some(minutes(1))));
}

#[tokio::test]
async fn a_ticker_that_somebody_holds_is_left_out_and_asked_for_again_soon() {
    let fixture = Fixture::new().await;
    create(&fixture, TickerMeta::new("a").interval(minutes(1))).await;
    create(&fixture, TickerMeta::new("b").interval(minutes(1))).await;
    fixture.sql("BEGIN; SELECT FROM pgmill.ticker WHERE ticker = 'a' FOR UPDATE").await;
    let claimed = take(&fixture.store, claim(&fixture, start())).await;
    assert_eq!(claimed.ticks.len(), 1);
    let claimed = take(&fixture.store, claim(&fixture, start())).await;
    assert_eq!((claimed.ticks.len(), claimed.next), (0, Some(Duration::from_millis(100))));
    fixture.sql("COMMIT").await;
    assert_eq!(drain(&fixture, 0.0).await, [0.0]);
}

#[tokio::test]
async fn a_leased_ticker_is_not_given_out_until_it_is_finished_or_its_lease_has_lapsed() {
    let fixture = Fixture::new().await;
    let system = Namespace::system();
    fixture.sql("DELETE FROM pgmill.ticker").await;
    let meta = TickerMeta::new("job").interval(seconds(1));
    fixture.store.create_ticker(&system, &name("job"), &meta, None, None).await.unwrap().unwrap();
    let leased = |holder, length| ClaimTicks {
        namespace: Some(system.clone()),
        limit: 10,
        lease: Some(TickLease { holder, length }),
        ..ClaimTicks::default()
    };
    assert_eq!(take(&fixture.store, leased(1, seconds(60))).await.ticks.len(), 1);
    fixture.sql("UPDATE pgmill.ticker SET next_at = now() - interval '5 seconds'").await;
    let claimed = take(&fixture.store, leased(2, seconds(60))).await;
    assert!(claimed.ticks.is_empty());
    assert!(claimed.next.unwrap() > seconds(50), "{:?}: until the lease lapses", claimed.next);

    let job = name("job");
    assert!(!fixture.store.extend_tick(&system, &job, 2, seconds(90)).await.unwrap());
    assert!(fixture.store.extend_tick(&system, &job, 1, seconds(90)).await.unwrap());
    assert!(take(&fixture.store, leased(2, seconds(60))).await.next.unwrap() > seconds(80));
    assert!(!fixture.store.finish_tick(&system, &job, 2, seconds(30)).await.unwrap());
    assert!(fixture.store.finish_tick(&system, &job, 1, seconds(30)).await.unwrap());
    let claimed = take(&fixture.store, leased(2, seconds(60))).await;
    assert!(claimed.ticks.is_empty());
    assert!((seconds(29)..=seconds(30)).contains(&claimed.next.unwrap()), "{:?}", claimed.next);

    fixture.sql("UPDATE pgmill.ticker SET next_at = now()").await;
    assert_eq!(take(&fixture.store, leased(2, seconds(60))).await.ticks.len(), 1);
    fixture.sql("UPDATE pgmill.ticker SET next_at = now(), lease_until = now()").await;
    assert_eq!(take(&fixture.store, leased(3, seconds(60))).await.ticks.len(), 1, "the lease has lapsed");
    assert!(!fixture.store.finish_tick(&system, &job, 2, Duration::ZERO).await.unwrap(), "the fence");
}

#[tokio::test]
async fn a_tick_with_a_target_queue_makes_one_task() {
    let fixture = Fixture::new().await;
    fixture.queue(QueueMeta::new("q")).await;
    let payload = pgmill_schema::Json::from_text(r#"{"n": 1}"#).unwrap();
    let meta = TickerMeta::new("t").interval(minutes(1)).queue("q").priority(2).payload(payload.clone());
    create(&fixture, meta).await;
    create(&fixture, TickerMeta::new("lost").interval(minutes(1)).queue("missing")).await;
    create(&fixture, TickerMeta::new("plain").interval(minutes(1))).await;
    let anywhere = ClaimTicks { namespace: None, ..claim(&fixture, start()) };
    let claimed = take(&fixture.store, anywhere.clone()).await;
    let told: Vec<_> =
        claimed.ticks.iter().map(|t| (t.ticker.ticker.as_str(), t.task, t.is_queue_missing())).collect();
    let [("t", Some(id), false), ("lost", None, true)] = told[..] else { panic!("{told:?}") };
    let task = fixture.task(id).await.unwrap();
    assert_eq!((task.payload, task.priority), (Some(payload), 2));
    assert_eq!(fixture.number("SELECT count(*) FROM pgmill.task").await, 1);
    assert_eq!(claimed.next, Some(minutes(1)));
    assert!(take(&fixture.store, anywhere).await.ticks.is_empty());
    assert_eq!(drain(&fixture, 0.0).await, [0.0], "the plain one was left");
}

#[tokio::test]
async fn a_decision_about_a_cron_ticker_holds_only_if_nobody_has_taken_the_tick() {
    let fixture = Fixture::new().await;
    let cron = CronSchedule {
        cron: "0 * * * *".to_owned(),
        time_zone: "UTC".to_owned(),
        next_at: at(3_600.0),
        seen: (None, None),
    };
    let meta = TickerMeta::new("t").cron("0 * * * *");
    let ticker = name("t");
    let created = fixture.store.create_ticker(&fixture.namespace, &ticker, &meta, Some(&cron), Some(start()));
    let created = created.await.unwrap().unwrap();
    assert_eq!((created.interval, created.next_at), (None, Some(at(3_600.0))));
    let early = take(&fixture.store, claim(&fixture, at(600.0))).await;
    assert!(early.undecided.is_empty());
    assert_eq!(early.next, Some(minutes(50)));

    let due = take(&fixture.store, claim(&fixture, at(3_601.0))).await;
    assert!(due.ticks.is_empty() && due.next.is_none(), "{due:?}");
    let undecided = &due.undecided[0];
    assert_eq!(undecided.ticker.next_at, Some(at(3_600.0)));
    let decision =
        CronDecision { id: undecided.id, seen: at(3_600.0), at: at(3_600.0), next: at(7_200.0), fire: true };
    let decided = ClaimTicks { decisions: vec![decision], ..claim(&fixture, at(3_601.0)) };
    let first = take(&fixture.store, decided.clone()).await;
    assert_eq!((stamp(&first.ticks[0]), first.next), (3_600.0, Some(seconds(3_599))));
    assert!(take(&fixture.store, decided).await.ticks.is_empty(), "it was taken");

    let missed =
        CronDecision { seen: at(7_200.0), at: at(7_200.0), next: at(10_800.0), fire: false, ..decision };
    let missed =
        take(&fixture.store, ClaimTicks { decisions: vec![missed], ..claim(&fixture, at(9_000.0)) }).await;
    assert!(missed.ticks.is_empty());
    assert_eq!(missed.next, Some(seconds(1_800)));
    let known = fixture.store.get_ticker(&fixture.namespace, &name("t")).await.unwrap().ticker.unwrap();
    assert_eq!((known.timestamp, known.next_at), (Some(at(3_600.0)), Some(at(10_800.0))));
}
