//! The sizes that the model is checked in, each with the faults that it is there for.

use pgmill_model::{Budget, Ending, Guards, Pause, Queue, Rules, System};

pub(crate) const NOTHING: Budget = Budget { crashes: 0, deaths: 0, losses: 0, cancels: 0, revivals: 0 };

pub(crate) const QUEUE: Queue = Queue { retries: 2, keeps: true, mortal: false };

/// Two tasks, two workers, and nothing goes wrong but that leases lapse.
pub(crate) fn plain() -> System {
    System {
        rules: Rules { queue: QUEUE, guards: Guards::ALL },
        tasks: 2,
        workers: 2,
        endings: vec![Ending::Done, Ending::Retry(Pause::Some), Ending::GiveBack],
        budget: NOTHING,
        attempts: 4,
        extends: true,
        tidies: false,
        excuses_crashes: true,
        renames: true,
    }
}

/// The server crashes, and workers die.
pub(crate) fn crashes() -> System {
    System {
        endings: vec![Ending::Done, Ending::Retry(Pause::None)],
        attempts: 3,
        budget: Budget { crashes: 1, deaths: 1, losses: 1, ..NOTHING },
        ..plain()
    }
}

/// Answers are lost, and statements come late.
pub(crate) fn losses() -> System {
    System {
        endings: vec![Ending::Done, Ending::GiveBack],
        attempts: 3,
        budget: Budget { losses: 2, ..NOTHING },
        extends: false,
        ..plain()
    }
}

/// One task, at which everybody is: maintenance, an operator, and all faults.
pub(crate) fn meddling() -> System {
    System {
        rules: Rules { queue: Queue { mortal: true, ..QUEUE }, guards: Guards::ALL },
        tasks: 1,
        attempts: 3,
        endings: vec![
            Ending::Done,
            Ending::Retry(Pause::PastDeath),
            Ending::Snooze(Pause::Some),
            Ending::Fail,
        ],
        budget: Budget { crashes: 1, deaths: 0, losses: 1, cancels: 1, revivals: 1 },
        tidies: true,
        ..plain()
    }
}

/// As [`meddling`], in a queue that keeps no history of what is done.
pub(crate) fn forgetting() -> System {
    let system = meddling();
    System {
        rules: Rules { queue: Queue { keeps: false, ..QUEUE }, ..system.rules },
        endings: vec![Ending::Done, Ending::Cancel],
        budget: Budget { crashes: 0, losses: 2, ..system.budget },
        ..system
    }
}
