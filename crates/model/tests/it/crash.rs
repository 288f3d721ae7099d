//! The real server crashes between a retain and the disk, and the model has what it leaves.

use pgmill_model::{Answer, Ending, Guards, Passing, Rules, Statement, Tables};
use pgmill_testkit::{StopMode, TestDatabase, TestServer};

use crate::dice::Dice;
use crate::engine::{Engine, visible};
use crate::systems::QUEUE;

const CRASHES: i64 = 4;

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_the_tables_are_what_was_there_or_what_was_before_the_last_retain() {
    let rules = Rules { queue: pgmill_model::Queue { retries: 20, ..QUEUE }, guards: Guards::ALL };
    let server = TestServer::own();
    let database = TestDatabase::create_on(&server).await;
    let mut engine = Engine::new(database, &rules, 1, Dice::new(1)).await;
    let mut tables = Tables::new(1);
    let mut lost = 0;
    engine.run(&Statement::Enqueue { task: 0, delayed: false, again: false }).await;
    tables.run(&Statement::Enqueue { task: 0, delayed: false, again: false }, &rules);
    for holder in 1..=CRASHES {
        let mut durable = tables.clone();
        let retain = Statement::Retain { task: 0, holder, lost: Vec::new() };
        let (expected, _) = tables.run(&retain, &rules);
        assert_eq!(engine.run(&retain).await, Some(expected));
        let Answer::Retained(claim) = expected else { panic!("{expected:?}") };
        server.halt(StopMode::Immediate).await;
        server.resume().await;
        tables.restart();
        durable.restart();
        let observed = engine.observe_anew().await;
        if visible(observed.clone()) == visible(durable.clone()) {
            lost += 1;
            tables = durable;
        }
        assert_eq!(visible(observed), visible(tables.clone()));
        // Whoever was told of the retain has no attempt if it is lost; and if it is not, the lease has its time.
        engine.pass(Passing::Lapse(0)).await;
        tables.pass(Passing::Lapse(0));
        let again = Statement::Retain { task: 0, holder: 100 + holder, lost: Vec::new() };
        for statement in [again, Statement::Release { claim, ending: Ending::GiveBack, again: true }] {
            let (expected, _) = tables.run(&statement, &rules);
            assert_eq!(engine.run(&statement).await, Some(expected), "{statement:?}");
        }
        // Whoever has it now gives it back, so that the next round begins with a task that is free.
        if let Some(row) = tables.entries[0].row().copied().filter(|row| row.lease.is_some()) {
            let claim = pgmill_model::Claim { task: 0, attempt: row.attempt, holder: row.holder.unwrap() };
            let statement = Statement::Release { claim, ending: Ending::GiveBack, again: false };
            let (expected, _) = tables.run(&statement, &rules);
            assert_eq!(engine.run(&statement).await, Some(expected));
        }
    }
    println!("{lost} of {CRASHES} retains were lost");
}
