//! Scripts at random on the real engine, sensible or not: after each statement, answer and tables are what the model says.

use pgmill_model::{Answer, Claim, Ending, Guards, Holder, Passing, Pause, Queue, Rules, Statement, Tables};
use pgmill_testkit::{TestDatabase, has_pooler, skipped};

use crate::dice::Dice;
use crate::engine::{Engine, visible};
use crate::lanes::run_all;

const SCRIPTS: u64 = 300;
const STATEMENTS: usize = 40;
const TASKS: usize = 2;

/// What a script is made up from.
struct Script {
    dice: Dice,
    sent: [bool; TASKS],
    claims: Vec<Claim>,
    holders: Vec<Holder>,
}

enum Step {
    Run(Statement),
    /// As one: a batch.
    RunTogether(Vec<Statement>),
    Pass(Passing),
}

impl Script {
    fn new(seed: u64) -> Self {
        Self { dice: Dice::new(seed), sent: [false; TASKS], claims: Vec::new(), holders: Vec::new() }
    }

    fn next(&mut self) -> Step {
        let task = self.dice.below(TASKS);
        let step = match self.dice.below(24) {
            0 | 1 => self.enqueue(task),
            2..=5 => self.retain(&[task]).remove(0),
            6 | 7 => return Step::RunTogether(self.retain(&[0, 1])),
            8..=11 => return self.release(),
            12 | 13 => return self.about_all(),
            14 => match self.some_claim() {
                Some(claim) => Statement::Extend(claim),
                None => Statement::Sweep,
            },
            15 | 16 => Statement::Sweep,
            17 => Statement::Cancel(task),
            18 => Statement::Revive { task, flight: i64::try_from(self.dice.below(4)).unwrap() },
            19 => Statement::Prune(task),
            20 => Statement::Fold,
            21 => return Step::Pass(Passing::Due(task)),
            22 => return Step::Pass(Passing::Lapse(task)),
            _ if self.dice.one_in(3) => return Step::Pass(Passing::Death(task)),
            _ => return Step::Pass(Passing::Lapse(task)),
        };
        Step::Run(step)
    }

    /// Once as the first sending, at any time, and again as often as it comes.
    fn enqueue(&mut self, task: usize) -> Statement {
        let again = self.sent[task] || self.dice.one_in(8);
        self.sent[task] |= !again;
        Statement::Enqueue { task, delayed: self.dice.one_in(4), again }
    }

    /// Those that travel together have one holder.
    fn retain(&mut self, tasks: &[usize]) -> Vec<Statement> {
        let holder = Holder::try_from(self.holders.len()).unwrap() + 1;
        let lost: Vec<Holder> = self.holders.iter().copied().filter(|_| self.dice.one_in(6)).collect();
        self.holders.push(holder);
        tasks.iter().map(|task| Statement::Retain { task: *task, holder, lost: lost.clone() }).collect()
    }

    fn release(&mut self) -> Step {
        let Some(claim) = self.some_claim() else { return Step::Run(Statement::Sweep) };
        let again = self.dice.one_in(3);
        Step::Run(Statement::Release { claim, ending: self.ending(), again })
    }

    /// A batch of releases, or of extensions: of each task, the last claim that was handed out.
    fn about_all(&mut self) -> Step {
        let last = |task| self.claims.iter().rev().find(|claim| claim.task == task).copied();
        let claims: Vec<Claim> = (0..TASKS).filter_map(last).collect();
        if claims.len() < 2 {
            return self.release();
        }
        let (extends, again) = (self.dice.one_in(4), self.dice.one_in(3));
        let all_done = self.dice.one_in(3);
        let statements = claims.into_iter().map(|claim| {
            if extends {
                return Statement::Extend(claim);
            }
            let ending = if all_done { Ending::Done } else { self.ending() };
            Statement::Release { claim, ending, again }
        });
        Step::RunTogether(statements.collect())
    }

    fn ending(&mut self) -> Ending {
        let pause = self.dice.of(&[Pause::None, Pause::Some, Pause::PastDeath]);
        self.dice.of(&[
            Ending::Done,
            Ending::Retry(pause),
            Ending::Retry(Pause::None),
            Ending::Fail,
            Ending::GiveBack,
            Ending::Snooze(pause),
            Ending::Cancel,
        ])
    }

    /// One that was handed out, mostly the last; sometimes with a wrong attempt or holder.
    fn some_claim(&mut self) -> Option<Claim> {
        let past = if self.dice.one_in(3) { self.dice.below(4) } else { 0 };
        let mut claim = *self.claims.iter().rev().nth(past)?;
        if self.dice.one_in(12) {
            claim.attempt += 1;
        }
        if self.dice.one_in(12) {
            claim.holder = self.dice.of(&self.holders);
        }
        Some(claim)
    }
}

async fn replay(seed: u64) -> usize {
    let mut script = Script::new(seed);
    let queue = Queue {
        retries: 1 + u8::from(script.dice.one_in(2)) + u8::from(script.dice.one_in(4)),
        keeps: !script.dice.one_in(3),
        mortal: script.dice.one_in(2),
    };
    let rules = Rules { queue, guards: Guards::ALL };
    let mut model = Tables::new(TASKS);
    let database = TestDatabase::create().await;
    let mut engine = Engine::new(database, &rules, TASKS, Dice::new(!seed)).await;
    let mut told = Vec::new();
    let mut wrote = 0;
    for _ in 0..STATEMENTS {
        let (statements, answers) = match script.next() {
            Step::Run(statement) => {
                let answer = engine.run(&statement).await;
                (vec![statement], vec![answer])
            }
            Step::RunTogether(statements) => {
                told.push("together:".to_owned());
                let answers = engine.run_together(&statements).await;
                (statements, answers.into_iter().map(Some).collect())
            }
            Step::Pass(passing) => {
                model.pass(passing);
                engine.pass(passing).await;
                told.push(format!("{passing:?}"));
                (Vec::new(), Vec::new())
            }
        };
        assert_eq!(statements.len(), answers.len(), "seed {seed}: {answers:?} to {statements:?}");
        for (statement, answer) in statements.into_iter().zip(answers) {
            let (expected, changed) = model.run(&statement, &rules);
            told.push(format!("{statement:?}: {expected:?}"));
            assert!(answer.is_none_or(|it| it == expected), "seed {seed}: {answer:?} after {told:#?}");
            wrote += usize::from(changed);
            if let Answer::Retained(claim) = expected {
                script.claims.push(claim);
            }
        }
        assert_eq!(visible(engine.observe().await), visible(model.clone()), "seed {seed}: after {told:#?}");
    }
    wrote
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_sent_to_the_engine_it_does_what_the_model_does() {
    if skipped(has_pooler(), "who looks at the tables beside the engine has a session of its own") {
        return;
    }
    let wrote = run_all("scripts", SCRIPTS, replay).await;
    println!("{wrote} statements changed something");
    assert!(wrote > usize::try_from(SCRIPTS).unwrap() * 5, "the scripts do hardly anything: {wrote}");
}
