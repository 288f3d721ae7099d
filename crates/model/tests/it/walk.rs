//! Paths through the model, taken by the real engine: it comes to the same state.

use pgmill_model::{Budget, Ending, Passing, Pause, System};
use pgmill_testkit::{TestDatabase, has_pooler, skipped};
use stateright::Model;

use crate::dice::Dice;
use crate::engine::{Engine, visible};
use crate::lanes::run_all;
use crate::systems::meddling;

const WALKS: u64 = 200;
const STEPS: usize = 40;

/// All that can be done without stopping the server.
fn system() -> System {
    System {
        tasks: 2,
        endings: vec![
            Ending::Done,
            Ending::Retry(Pause::None),
            Ending::Retry(Pause::PastDeath),
            Ending::Snooze(Pause::Some),
            Ending::GiveBack,
            Ending::Fail,
            Ending::Cancel,
        ],
        budget: Budget { crashes: 0, deaths: 3, losses: 6, cancels: 2, revivals: 3 },
        attempts: 100,
        renames: false,
        ..meddling()
    }
}

async fn walk(seed: u64) -> usize {
    let system = system();
    let mut dice = Dice::new(seed);
    let database = TestDatabase::create().await;
    let mut engine = Engine::new(database, &system.rules, system.tasks, Dice::new(!seed)).await;
    let mut state = system.init_states().remove(0);
    let mut path = Vec::new();
    let mut arrived = 0;
    for _ in 0..STEPS {
        let mut actions = Vec::new();
        system.actions(&state, &mut actions);
        actions.retain(|action| !matches!(action, pgmill_model::Action::Pass(Passing::AmnestyEnds)));
        actions.retain(|action| system.next_state(&state, *action).is_some());
        if actions.is_empty() {
            break;
        }
        let action = dice.of(&actions);
        let (next, statement) = state.after(action, &system.rules);
        path.push(action);
        if let pgmill_model::Action::Pass(passing) = action {
            engine.pass(passing).await;
        }
        if let Some(statement) = statement {
            arrived += 1;
            let (expected, _) = state.tables.clone().run(&statement, &system.rules);
            let answer = engine.run(&statement).await;
            assert!(answer.is_none_or(|it| it == expected), "seed {seed}: {answer:?} after {path:#?}");
        }
        state = next;
    }
    assert_eq!(
        visible(engine.observe().await),
        visible(state.tables.clone()),
        "seed {seed}: after {path:#?}"
    );
    assert_eq!(state.onlooker.fault, None, "seed {seed}: after {path:#?}");
    arrived
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_model_does_the_engine_does_too() {
    if skipped(has_pooler(), "who looks at the tables beside the engine has a session of its own") {
        return;
    }
    let arrived = run_all("walks", WALKS, walk).await;
    println!("{arrived} statements arrived");
    assert!(arrived > usize::try_from(WALKS).unwrap() * 5, "hardly any statement arrives: {arrived}");
}
