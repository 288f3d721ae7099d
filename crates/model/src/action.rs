//! What somebody does, or what befalls them: the steps between states.

use crate::onlooker;
use crate::passing::Passing;
use crate::rules::Rules;
use crate::state::{Creation, Hand, State, Stray};
use crate::statement::{Answer, Ending, Statement};
use crate::tables::{Claim, Holder, Lease, Tables};

/// How a statement fares on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transit {
    /// It arrives, and so does its answer.
    Answered,
    /// It arrives, and its answer is lost.
    AnswerLost,
    /// Whoever sent it gives it up; it may arrive later, or never.
    Late,
}

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A task is created.
    Create(usize, Transit),
    /// Its creation is sent again.
    CreateAgain(usize),
    /// Its creation, given up before, arrives.
    CreateArrives(usize),
    /// A worker with an empty hand retains a task.
    Retain {
        /// The worker.
        worker: usize,
        /// The task; a late one takes whatever there is when it arrives.
        task: usize,
        /// How it fares.
        transit: Transit,
    },
    /// A handler ends, and its attempt is released.
    Release {
        /// The worker.
        worker: usize,
        /// How.
        ending: Ending,
        /// How it fares.
        transit: Transit,
    },
    /// A release is sent again.
    Settle(usize),
    /// A release is given up as unknown.
    GiveUp(usize),
    /// What a worker has given up arrives.
    Arrives {
        /// The worker.
        worker: usize,
        /// Which.
        stray: usize,
        /// What it takes, if it is a retain.
        task: usize,
    },
    /// A worker extends its lease.
    Extend(usize),
    /// A worker dies, and another starts in its place. One that is stopped and goes on does nothing for a while instead.
    Die(usize),
    /// A time comes.
    Pass(Passing),
    /// The disk has all that was committed.
    Flush,
    /// The server crashes, and comes up.
    Crash,
    /// Maintenance ends what nobody can retain any more.
    Sweep,
    /// Maintenance folds the changes of the counters.
    Fold,
    /// An operator, or maintenance, removes a finished task.
    Prune(usize),
    /// An operator cancels a task.
    Cancel(usize),
    /// An operator retries a task.
    Revive(usize, Transit),
    /// That retry is sent again.
    ReviveAgain,
    /// That retry, given up before, arrives.
    ReviveArrives,
}

impl State {
    /// What is after a step, and the statement that arrived in it.
    pub fn after(&self, action: Action, rules: &Rules) -> (Self, Option<Statement>) {
        let mut step = Step { state: self.clone(), rules, arrived: None };
        step.take(action);
        (step.state, step.arrived)
    }
}

/// A step that is being taken.
struct Step<'a> {
    state: State,
    rules: &'a Rules,
    arrived: Option<Statement>,
}

impl Step<'_> {
    fn run(&mut self, statement: Statement) -> Answer {
        let answer = onlooker::watch(&mut self.state, &statement, self.rules);
        self.arrived = Some(statement);
        answer
    }

    fn take(&mut self, action: Action) {
        match action {
            Action::Create(task, transit) => self.create(task, transit),
            Action::CreateAgain(task) => {
                self.run(Statement::Enqueue { task, delayed: false, again: true });
                self.state.creations[task] = Creation::Acknowledged;
            }
            Action::CreateArrives(task) => {
                self.state.stray_creations[task] = false;
                self.run(Statement::Enqueue { task, delayed: false, again: false });
            }
            Action::Retain { worker, task, transit } => self.retain(worker, task, transit),
            Action::Release { worker, ending, transit } => self.release(worker, ending, transit),
            Action::Settle(worker) => {
                if let Hand::Settling { claim, ending } = self.state.workers[worker].hand {
                    let answer = self.run(Statement::Release { claim, ending, again: true });
                    self.state.tell(claim, answer);
                    self.state.workers[worker].hand = Hand::Empty;
                }
            }
            Action::GiveUp(worker) => self.state.workers[worker].hand = Hand::Empty,
            Action::Arrives { worker, stray, task } => self.arrives(worker, stray, task),
            Action::Extend(worker) => self.extend(worker),
            Action::Die(worker) => {
                self.state.budget.deaths -= 1;
                self.state.workers[worker].hand = Hand::Empty;
                self.state.workers[worker].lost.clear();
            }
            Action::Pass(passing) => self.pass(passing),
            Action::Flush => self.state.durable = None,
            Action::Crash => self.crash(),
            Action::Sweep => drop(self.run(Statement::Sweep)),
            Action::Fold => drop(self.run(Statement::Fold)),
            Action::Prune(task) => drop(self.run(Statement::Prune(task))),
            Action::Cancel(task) => {
                self.state.budget.cancels -= 1;
                self.run(Statement::Cancel(task));
                self.void_leases();
            }
            Action::Revive(task, transit) => self.revive(task, transit),
            Action::ReviveAgain => {
                if let Some((task, flight)) = self.state.operator.settling.take() {
                    self.run(Statement::Revive { task, flight });
                }
            }
            Action::ReviveArrives => {
                if let Some((task, flight)) = self.state.operator.stray.take() {
                    self.run(Statement::Revive { task, flight });
                }
            }
        }
    }

    fn lose(&mut self, transit: Transit) {
        self.state.budget.losses -= u8::from(transit != Transit::Answered);
    }

    fn create(&mut self, task: usize, transit: Transit) {
        self.lose(transit);
        self.state.creations[task] = Creation::Settling;
        if transit == Transit::Late {
            self.state.stray_creations[task] = true;
            return;
        }
        self.run(Statement::Enqueue { task, delayed: false, again: false });
        if transit == Transit::Answered {
            self.state.creations[task] = Creation::Acknowledged;
        }
    }

    fn next_holder(&self) -> Holder {
        if self.rules.guards.holder_per_retain { self.state.fresh_holder() } else { 1 }
    }

    fn retain(&mut self, worker: usize, task: usize, transit: Transit) {
        self.lose(transit);
        let holder = self.next_holder();
        let lost = self.state.workers[worker].lost.clone();
        if transit == Transit::Late {
            self.state.workers[worker].strays.push(Stray::Retain { holder, lost });
            self.state.workers[worker].lost.push(holder);
            return;
        }
        let answer = self.run(Statement::Retain { task, holder, lost });
        match (answer, transit) {
            (Answer::Retained(claim), Transit::Answered) => {
                self.state.workers[worker].hand = Hand::Running { claim, leased: true, void: false };
            }
            (_, Transit::Answered) => {}
            _ => self.state.workers[worker].lost.push(holder),
        }
    }

    fn release(&mut self, worker: usize, ending: Ending, transit: Transit) {
        self.lose(transit);
        let Hand::Running { claim, .. } = self.state.workers[worker].hand else { return };
        self.state.workers[worker].hand = Hand::Settling { claim, ending };
        if transit == Transit::Late {
            self.state.workers[worker].strays.push(Stray::Release { claim, ending });
            return;
        }
        let answer = self.run(Statement::Release { claim, ending, again: false });
        if transit == Transit::Answered {
            self.state.tell(claim, answer);
            self.state.workers[worker].hand = Hand::Empty;
        }
    }

    fn arrives(&mut self, worker: usize, stray: usize, task: usize) {
        let statement = match self.state.workers[worker].strays.remove(stray) {
            Stray::Retain { holder, lost } => Statement::Retain { task, holder, lost },
            Stray::Release { claim, ending } => Statement::Release { claim, ending, again: false },
        };
        self.run(statement);
    }

    fn extend(&mut self, worker: usize) {
        let Hand::Running { claim, void, .. } = self.state.workers[worker].hand else { return };
        let answer = self.run(Statement::Extend(claim));
        // A handler whose lease is gone is cancelled at once.
        self.state.workers[worker].hand = match answer {
            Answer::Done(_) => Hand::Running { claim, leased: self.is_leased(claim), void },
            _ => Hand::Empty,
        };
    }

    fn is_leased(&self, claim: Claim) -> bool {
        let row = self.state.tables.entries[claim.task].row();
        row.is_some_and(|row| row.is_held_by(claim) && row.lease == Some(Lease::Running))
    }

    fn pass(&mut self, passing: Passing) {
        let before = self.state.tables.clone();
        self.state.tables.pass(passing);
        if let Some(mut durable) = self.state.durable.take() {
            // A lease is another one in there if a later retain is not on the disk: it may have lapsed long ago.
            let lease = |tables: &Tables, task: usize| {
                tables.entries[task].row().map(|row| (row.attempt, row.holder))
            };
            if !matches!(passing, Passing::Lapse(task) if lease(&durable, task) != lease(&before, task)) {
                durable.pass(passing);
            }
            self.state.durable = Some(durable).filter(|durable| *durable != self.state.tables);
        }
        for worker in 0..self.state.workers.len() {
            if let Hand::Running { claim, leased: true, void: false } = self.state.workers[worker].hand {
                let leased = self.is_leased(claim);
                self.state.workers[worker].hand = Hand::Running { claim, leased, void: false };
            }
        }
    }

    fn crash(&mut self) {
        self.state.budget.crashes -= 1;
        if let Some(durable) = self.state.durable.take() {
            self.state.tables = durable;
        }
        self.state.tables.restart();
        // Connections are gone, and what was on its way on them.
        self.state.workers.iter_mut().for_each(|worker| worker.strays.clear());
        self.state.stray_creations.fill(false);
        self.state.operator.stray = None;
        self.void_leases();
    }

    /// Marks the leases that their holders were robbed of.
    fn void_leases(&mut self) {
        for worker in 0..self.state.workers.len() {
            if let Hand::Running { claim, leased: true, void: false } = self.state.workers[worker].hand {
                let void = !self.is_leased(claim);
                self.state.workers[worker].hand = Hand::Running { claim, leased: true, void };
            }
        }
    }

    fn revive(&mut self, task: usize, transit: Transit) {
        self.lose(transit);
        self.state.budget.revivals -= 1;
        self.state.operator.flights += 1;
        let flight = self.state.operator.flights;
        if transit == Transit::Late {
            self.state.operator.stray = Some((task, flight));
        } else {
            self.run(Statement::Revive { task, flight });
        }
        if transit != Transit::Answered {
            self.state.operator.settling = Some((task, flight));
        }
    }
}
