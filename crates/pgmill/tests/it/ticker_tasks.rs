//! Tickers with a target queue: one task for each tick, whoever runs and whatever breaks.

use std::sync::Arc;
use std::time::Duration;

use pgmill::{Clock, Manager, QueueMeta, TaskFilter, TickerLoop, TickerMeta, hours, seconds};
use pgmill_testkit::wait_until;
use tokio_util::sync::CancellationToken;

use crate::faults::{Line, POINTS};
use crate::fixture::{Fixture, SOON, json};
use crate::scene::{LIMIT, QUEUE, builder, number};

const TASKS: &str = "SELECT count(*) FROM pgmill.task";

/// Runs maintenance, and with it the tickers that make tasks, until the token is dropped.
fn run(manager: &Manager) -> tokio_util::sync::DropGuard {
    let (manager, shutdown) = (manager.clone(), CancellationToken::new());
    let guard = shutdown.clone().drop_guard();
    tokio::spawn(async move { manager.run(shutdown).await });
    guard
}

fn start() -> jiff::Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

#[tokio::test]
async fn run_makes_the_tasks_of_tickers_of_every_namespace_and_wakes_their_workers() {
    let fixture = Fixture::with_queue().await;
    let other = fixture.manager.with_namespace("other").unwrap();
    other.register_queue(QueueMeta::new("q")).await.unwrap();
    let _running = run(&fixture.manager);
    for manager in [&fixture.manager, &other] {
        let mut arrivals = manager.arrivals(&["q"]).unwrap();
        let meta = TickerMeta::new("t").interval(hours(1)).queue(" Q ").priority(3).payload(json("[1]"));
        let ticker = manager.register_ticker(meta).await.unwrap();
        assert_eq!(ticker.queue.unwrap().as_str(), "q");
        let task = tokio::time::timeout(LIMIT, async {
            loop {
                if let Some(task) = manager.next_task("w", &["q"]).await.unwrap() {
                    return task;
                }
                arrivals.wait().await;
            }
        });
        let task = task.await.unwrap();
        assert_eq!((task.payload, task.priority), (Some(json("[1]")), 3));
        assert_eq!(task.namespace, *manager.namespace());
    }
}

#[tokio::test]
async fn a_tick_that_makes_a_task_is_not_handed_out_and_is_made_by_loops_too() {
    let fixture = Fixture::with_queue().await;
    for meta in [
        TickerMeta::new("a").queue("q"),
        TickerMeta::new("b").queue("q").interval(hours(1)),
        TickerMeta::new("c"),
    ] {
        fixture.manager.register_ticker(meta).await.unwrap();
    }
    let tick = fixture.manager.next_ticker().await.unwrap().unwrap();
    assert_eq!(tick.ticker.as_str(), "c");
    assert!(fixture.manager.next_ticker().await.unwrap().is_none());
    assert_eq!(number(&fixture.client, TASKS).await, 2);
    fixture.manager.register_ticker(TickerMeta::new("d").queue("q").cron("* * * * * *")).await.unwrap();
    let mut ticks = fixture.manager.run_ticker_loop(TickerLoop::new()).unwrap();
    wait_until("a task of the cron ticker", SOON, async || {
        assert!(tokio::time::timeout(Duration::from_millis(100), ticks.next()).await.is_err());
        number(&fixture.client, TASKS).await > 2
    })
    .await;
}

#[tokio::test]
async fn a_ticker_whose_queue_is_missing_goes_on_and_makes_tasks_once_there_is_one() {
    let fixture = Fixture::new().await;
    fixture
        .manager
        .register_ticker(TickerMeta::new("t").interval(Duration::from_millis(20)).queue("q"))
        .await
        .unwrap();
    let _running = run(&fixture.manager);
    let ticks = "SELECT ticks FROM pgmill.ticker WHERE ns <> 'pgmill'";
    wait_until("ticks without a queue", SOON, async || number(&fixture.client, ticks).await > 3).await;
    assert_eq!(number(&fixture.client, TASKS).await, 0);
    fixture.manager.register_queue(QueueMeta::new("q")).await.unwrap();
    wait_until("a task", SOON, async || number(&fixture.client, TASKS).await > 0).await;
}

#[tokio::test]
async fn a_paused_queue_gets_its_tasks_and_keeps_them() {
    let fixture = Fixture::with_queue().await;
    fixture.manager.pause_queue("q").await.unwrap();
    fixture.manager.register_ticker(TickerMeta::new("t").interval(hours(1)).queue("q")).await.unwrap();
    let _running = run(&fixture.manager);
    wait_until("the task", SOON, async || number(&fixture.client, TASKS).await == 1).await;
    assert!(fixture.manager.next_task("w", &["q"]).await.unwrap().is_none());
}

#[tokio::test]
async fn three_who_run_make_exactly_one_task_for_each_tick() {
    let fixture = Fixture::with_queue().await;
    let clock = Clock::manual(start());
    let mut running = Vec::new();
    let mut managers = Vec::new();
    for _ in 0..3 {
        let manager = builder(fixture.database.url()).ticker_clock(clock.clone()).await.unwrap();
        running.push(run(&manager));
        managers.push(manager);
    }
    managers[0]
        .register_ticker(TickerMeta::new("every").interval(seconds(1)).queue("q").catch_up(100))
        .await
        .unwrap();
    managers[0]
        .register_ticker(TickerMeta::new("cron").cron("* * * * * *").queue("q").catch_up(100))
        .await
        .unwrap();
    for _ in 0..100 {
        clock.advance(Duration::from_millis(330));
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    clock.set(start() + seconds(33));
    // At 0 to 33 s, and at 1 to 33 s.
    let expected = 34 + 33;
    wait_until("all tasks", LIMIT, async || {
        clock.advance(Duration::ZERO);
        number(&fixture.client, TASKS).await >= expected
    })
    .await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(number(&fixture.client, TASKS).await, expected);
    assert_eq!(
        number(&fixture.client, "SELECT sum(ticks)::bigint FROM pgmill.ticker WHERE ns <> 'pgmill'").await,
        expected
    );
}

#[tokio::test]
async fn a_claim_that_is_cut_anywhere_makes_one_task_or_leaves_the_tick() {
    let line = Line::new().await;
    let clock = Clock::manual(start());
    let url = line.proxy.url_for(line.database.url()) + "&connect_timeout=1";
    let manager = builder(&url).ticker_clock(clock.clone()).await.unwrap();
    manager.register_ticker(TickerMeta::new("t").interval(seconds(1)).queue(QUEUE)).await.unwrap();
    let _running = run(&manager);
    let mut expected = 1;
    wait_until("the first task", LIMIT, async || line.tasks().await == expected).await;
    for point in POINTS {
        let fired = line.proxy.arm(point, "claim_ticks_v1");
        clock.advance(seconds(1));
        fired.await;
        expected += 1;
        wait_until("the task of the tick", LIMIT, async || line.tasks().await >= expected).await;
        // Whoever comes back after the cut asks again, and finds nothing more.
        wait_until("the loop to be back", LIMIT, async || {
            clock.advance(Duration::ZERO);
            line.is_quiet().await
        })
        .await;
        assert_eq!(line.tasks().await, expected, "{point:?}");
    }
    assert_eq!(number(&line.client, "SELECT ticks FROM pgmill.ticker WHERE ns <> 'pgmill'").await, expected);
}

#[tokio::test]
async fn a_plain_tick_whose_answer_is_lost_is_lost_and_the_next_one_comes() {
    let line = Line::new().await;
    let clock = Clock::manual(start());
    let url = line.proxy.url_for(line.database.url()) + "&connect_timeout=1";
    let manager = builder(&url).ticker_clock(clock.clone()).await.unwrap();
    manager.register_ticker(TickerMeta::new("t").interval(seconds(1))).await.unwrap();
    let mut ticks = manager.run_ticker_loop(TickerLoop::new()).unwrap();
    let stamp = |tick: pgmill::Ticker| tick.timestamp.unwrap().duration_since(start()).as_secs();
    assert_eq!(stamp(ticks.next().await.unwrap().unwrap()), 0);
    let fired = line.proxy.arm(pgmill_testkit::CutPoint::BeforeAnswer, "claim_ticks_v1");
    clock.advance(seconds(1));
    let next = tokio::spawn(async move { (ticks.next().await.unwrap().unwrap(), ticks) });
    fired.await;
    wait_until("the tick to be taken", LIMIT, async || {
        number(&line.client, "SELECT ticks FROM pgmill.ticker WHERE ns <> 'pgmill'").await == 2
    })
    .await;
    clock.advance(seconds(1));
    let (tick, mut ticks) = tokio::time::timeout(LIMIT, next).await.unwrap().unwrap();
    assert_eq!(stamp(tick), 2);
    // One that never reached the server is not lost.
    let fired = line.proxy.arm(pgmill_testkit::CutPoint::BeforeRequest, "claim_ticks_v1");
    clock.advance(seconds(1));
    let (tick, _) = tokio::join!(tokio::time::timeout(LIMIT, ticks.next()), fired);
    assert_eq!(stamp(tick.unwrap().unwrap().unwrap()), 3);
}

#[tokio::test]
async fn a_server_that_crashes_in_the_midst_loses_no_tick_and_makes_none_twice() {
    let server = pgmill_testkit::TestServer::own();
    let database = pgmill_testkit::TestDatabase::create_on(&server).await;
    let clock = Clock::manual(start());
    let manager = builder(database.url()).ticker_clock(clock.clone()).await.unwrap();
    manager.register_queue(QueueMeta::new(QUEUE)).await.unwrap();
    let catching_up = TickerMeta::new("t").interval(seconds(1)).queue(QUEUE).catch_up(1_000);
    manager.register_ticker(catching_up).await.unwrap();
    let _running = run(&manager);
    for crash in 1..=3 {
        clock.advance(seconds(40));
        tokio::time::sleep(Duration::from_millis(10 * crash)).await;
        server.halt(pgmill_testkit::StopMode::Immediate).await;
        server.resume().await;
    }
    let mut count = 0;
    wait_until("a task of each second", LIMIT, async || {
        clock.advance(Duration::ZERO);
        count = manager.list_tasks(TaskFilter::new().limit(0)).await.map_or(0, |list| list.count);
        count >= 121
    })
    .await;
    let client = database.connect().await;
    assert_eq!(number(&client, TASKS).await, 121);
    assert_eq!(number(&client, "SELECT ticks FROM pgmill.ticker WHERE ns <> 'pgmill'").await, 121);
}

#[tokio::test]
async fn changes_beside_claims_lose_no_tick_and_make_none_twice() {
    let fixture = Fixture::new().await;
    let clock = Clock::manual(start());
    let manager = Arc::new(builder(fixture.database.url()).ticker_clock(clock.clone()).await.unwrap());
    let meta = || TickerMeta::new("t").interval(seconds(1)).catch_up(1_000);
    manager.register_ticker(meta()).await.unwrap();
    let stop = CancellationToken::new();
    let changing = {
        let (manager, stop) = (Arc::clone(&manager), stop.clone());
        tokio::spawn(async move {
            for turn in 0_u64.. {
                manager
                    .update_ticker("t", TickerMeta::patch().payload(json(&turn.to_string())))
                    .await
                    .unwrap();
                manager.register_ticker(meta()).await.unwrap();
                if stop.is_cancelled() {
                    return turn;
                }
            }
            0
        })
    };
    let mut seconds_taken = Vec::new();
    for _ in 0..200 {
        while let Some(tick) = manager.next_ticker().await.unwrap() {
            seconds_taken.push(tick.timestamp.unwrap().duration_since(start()).as_secs());
        }
        clock.advance(Duration::from_millis(700));
    }
    stop.cancel();
    assert!(changing.await.unwrap() > 0);
    while let Some(tick) = manager.next_ticker().await.unwrap() {
        seconds_taken.push(tick.timestamp.unwrap().duration_since(start()).as_secs());
    }
    assert_eq!(seconds_taken, (0..=140).collect::<Vec<_>>());
}
