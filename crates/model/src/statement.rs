//! The statements: what each does to the tables, and what it answers. Each arm says the same as the SQL function it is
//! named after, condition by condition; `crates/store/migrations` has those.

use crate::rules::Rules;
use crate::tables::{
    Claim, Death, Finished, Holder, Lease, Outcome, PastAttempt, Place, Row, Status, Tables,
};

/// How far away the next start is that a release asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pause {
    /// At once.
    None,
    /// Ahead, within the life of the task.
    Some,
    /// Behind the end of its life, if that has an end.
    PastDeath,
}

/// How a release ends an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ending {
    /// Done.
    Done,
    /// Failed, to be tried again.
    Retry(Pause),
    /// Failed for good.
    Fail,
    /// Given back, as a pool does that stops.
    GiveBack,
    /// Put off.
    Snooze(Pause),
    /// Cancelled by its handler.
    Cancel,
}

/// A statement on its way to the tables.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Statement {
    /// `enqueue_v1`, of one task.
    Enqueue {
        /// The task.
        task: usize,
        /// Whether its first start is put off.
        delayed: bool,
        /// Whether it may have been committed by an earlier sending.
        again: bool,
    },
    /// `retain_v1` and `retain_one_v1`, as far as they take this task.
    Retain {
        /// The task.
        task: usize,
        /// The new holder.
        holder: Holder,
        /// Holders whose answer this process has lost.
        lost: Vec<Holder>,
    },
    /// `extend_v1`.
    Extend(Claim),
    /// `release_v1` and `release_done_v1`.
    Release {
        /// The attempt.
        claim: Claim,
        /// How it ends.
        ending: Ending,
        /// Whether it may have been committed by an earlier sending.
        again: bool,
    },
    /// `sweep_v1`, from the start to the end.
    Sweep,
    /// `cancel_v1`.
    Cancel(usize),
    /// `retry_v1`.
    Revive {
        /// The task.
        task: usize,
        /// What names this retry.
        flight: i64,
    },
    /// `clean_queue_v1`, by an operator, at any time; and `prune_finished_v1`, once the task is past its retention.
    Prune(usize),
    /// `fold_counts_v1`.
    Fold,
}

/// What a statement answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    /// It was done, and the task has this status by it.
    Done(Status),
    /// The task is retained.
    Retained(Claim),
    /// An earlier sending did it, and the task had this status by that.
    Settled(Option<Status>),
    /// A later sending came before, and this one changed nothing.
    Overtaken,
    /// There is no such task.
    NoTask,
    /// The task is not retained, or has ended.
    NotRetained,
    /// Another attempt of the task is retained.
    Superseded,
    /// The task has another status than it takes.
    Has(Status),
    /// There was nothing to do.
    Nothing,
}

impl Tables {
    /// Runs a statement, and tells what it answers, and whether it wrote anything.
    pub fn run(&mut self, statement: &Statement, rules: &Rules) -> (Answer, bool) {
        let answer = match statement {
            Statement::Enqueue { task, delayed, again } => {
                return self.enqueue(*task, *delayed, *again, rules);
            }
            Statement::Retain { task, holder, lost } => self.retain(*task, *holder, lost, rules),
            Statement::Extend(claim) => self.extend(*claim, rules),
            Statement::Release { claim, ending, again } => self.release(*claim, *ending, *again, rules),
            Statement::Sweep => self.sweep(rules),
            Statement::Cancel(task) => self.cancel(*task),
            Statement::Revive { task, flight } => self.revive(*task, *flight, rules),
            Statement::Prune(task) => self.prune(*task, rules),
            Statement::Fold => self.fold(rules),
        };
        (answer, matches!(answer, Answer::Done(_) | Answer::Retained(_)))
    }

    fn enqueue(&mut self, task: usize, delayed: bool, again: bool, rules: &Rules) -> (Answer, bool) {
        let entry = &mut self.entries[task];
        if again {
            let noted = std::mem::replace(&mut entry.resent, rules.guards.notes_resent);
            let settled =
                !matches!(entry.place, Place::Nowhere | Place::Removed) || !entry.receipts.is_empty();
            if settled {
                return (Answer::Settled(None), noted != entry.resent);
            }
        } else if entry.resent {
            return (Answer::Overtaken, false);
        }
        entry.place = Place::Live(Row {
            attempt: 0,
            spared: 0,
            retries: rules.queue.retries,
            lease: None,
            holder: None,
            due: !delayed,
            death: if rules.queue.mortal { Death::Ahead } else { Death::Never },
            spared_by_restart: false,
        });
        self.count(Status::New, 1);
        (Answer::Done(Status::New), true)
    }

    fn retain(&mut self, task: usize, holder: Holder, lost: &[Holder], rules: &Rules) -> Answer {
        let guards = rules.guards;
        let Place::Live(row) = &mut self.entries[task].place else { return Answer::Nothing };
        let is_lost = row.lease.is_some() && row.holder.is_some_and(|holder| lost.contains(&holder));
        let lapsed = row.lease == Some(Lease::Lapsed) && !(guards.amnesty && row.spared_by_restart);
        let free = row.lease.is_none() || lapsed || !guards.waits_for_lapse;
        let left = row.spent() < row.retries || !guards.counts_attempts;
        if !row.due || row.death == Death::Past || !((free && left) || is_lost) {
            return Answer::Nothing;
        }
        let before = row.status();
        row.attempt += 1;
        row.spared += u8::from(is_lost);
        row.holder = Some(holder);
        row.lease = Some(Lease::Running);
        row.spared_by_restart = false;
        let attempt = row.attempt;
        if before == Status::Retained {
            if !is_lost {
                let past = PastAttempt { attempt: attempt - 1, holder: None, outcome: Outcome::Lapsed };
                self.entries[task].past.push(past);
            }
        } else {
            self.count(before, -1);
            self.count(Status::Retained, 1);
        }
        Answer::Retained(Claim { task, attempt, holder })
    }

    fn extend(&mut self, claim: Claim, rules: &Rules) -> Answer {
        let Place::Live(row) = &mut self.entries[claim.task].place else { return Answer::NotRetained };
        if !passes(row, claim, rules) {
            return Answer::NotRetained;
        }
        row.lease = Some(if row.death == Death::Past { Lease::Lapsed } else { Lease::Running });
        Answer::Done(Status::Retained)
    }

    fn release(&mut self, claim: Claim, ending: Ending, again: bool, rules: &Rules) -> Answer {
        let task = claim.task;
        let row = match &self.entries[task].place {
            Place::Live(row) if passes(row, claim, rules) => *row,
            _ => return self.look_back(claim, again),
        };
        let status = fate(&row, ending);
        let outcome = match (ending, status) {
            (Ending::Done, _) => None,
            (Ending::GiveBack, _) => Some(Outcome::GivenBack),
            (Ending::Cancel, _) => Some(Outcome::Cancelled),
            (_, Status::Expired) => Some(Outcome::Expired),
            (_, Status::Failed) => Some(Outcome::Failed),
            (Ending::Snooze(_), _) => Some(Outcome::Snoozed),
            _ => Some(Outcome::Retry),
        };
        let entry = &mut self.entries[task];
        let past = outcome.map(|outcome| PastAttempt { attempt: row.attempt, holder: row.holder, outcome });
        entry.past.extend(past);
        let kept = status != Status::Released || rules.queue.keeps;
        entry.place = match status {
            Status::New | Status::Retry => Place::Live(Row {
                spared: row.spared + u8::from(!matches!(ending, Ending::Retry(_))),
                lease: None,
                due: !matches!(ending, Ending::Retry(pause) | Ending::Snooze(pause) if pause != Pause::None),
                spared_by_restart: false,
                ..row
            }),
            _ if kept => Place::Finished(Finished {
                status,
                attempt: row.attempt,
                spared: row.spared,
                holder: row.holder,
            }),
            _ => {
                entry.receipts.push((row.attempt, row.holder));
                Place::Removed
            }
        };
        self.count(Status::Retained, -1);
        if kept {
            self.count(status, 1);
        }
        Answer::Done(status)
    }

    /// What a release is answered that ends nothing.
    fn look_back(&self, claim: Claim, again: bool) -> Answer {
        let entry = &self.entries[claim.task];
        let own = |attempt, holder| again && (attempt, holder) == (claim.attempt, Some(claim.holder));
        if let Some(past) = entry.past.iter().find(|past| own(past.attempt, past.holder)) {
            let spent = |before: &PastAttempt| {
                before.attempt < past.attempt && matches!(before.outcome, Outcome::Retry | Outcome::Lapsed)
            };
            return Answer::Settled(Some(match past.outcome {
                Outcome::Retry => Status::Retry,
                Outcome::Failed => Status::Failed,
                Outcome::Cancelled => Status::Cancelled,
                Outcome::Expired => Status::Expired,
                _ if entry.past.iter().any(spent) => Status::Retry,
                _ => Status::New,
            }));
        }
        if entry.receipts.iter().any(|(attempt, holder)| own(*attempt, *holder)) {
            return Answer::Settled(Some(Status::Released));
        }
        match &entry.place {
            Place::Live(row) if row.lease.is_some() => Answer::Superseded,
            Place::Live(row) if own(row.attempt, row.holder) => Answer::Settled(Some(row.status())),
            Place::Finished(end) if own(end.attempt, end.holder) => Answer::Settled(Some(end.status)),
            Place::Live(_) | Place::Finished(_) => Answer::NotRetained,
            Place::Nowhere | Place::Removed => Answer::NoTask,
        }
    }

    fn sweep(&mut self, rules: &Rules) -> Answer {
        let guards = rules.guards;
        let mut answer = Answer::Nothing;
        for task in 0..self.entries.len() {
            let Place::Live(row) = self.entries[task].place else { continue };
            let lapsed = row.lease == Some(Lease::Lapsed) && !(guards.amnesty && row.spared_by_restart);
            let free = row.lease.is_none() || lapsed || !guards.sweep_waits_for_lapse;
            let exhausted = row.lease.is_some() && row.spent() >= row.retries && guards.sweep_ends_exhausted;
            if !free || !(row.death == Death::Past || exhausted) {
                continue;
            }
            let status = if row.death == Death::Past { Status::Expired } else { Status::Failed };
            self.end(task, &row, status, Outcome::Lapsed);
            if let Place::Finished(end) = &mut self.entries[task].place {
                end.holder = row.holder.filter(|_| !guards.sweep_is_no_holder);
            }
            answer = Answer::Done(status);
        }
        answer
    }

    fn cancel(&mut self, task: usize) -> Answer {
        match self.entries[task].place {
            Place::Live(row) if row.death == Death::Past => Answer::Has(Status::Expired),
            Place::Live(row) => {
                self.end(task, &row, Status::Cancelled, Outcome::Cancelled);
                Answer::Done(Status::Cancelled)
            }
            Place::Finished(end) => Answer::Has(end.status),
            Place::Nowhere | Place::Removed => Answer::NoTask,
        }
    }

    /// Moves a live task to history, by somebody who does not hold it.
    fn end(&mut self, task: usize, row: &Row, status: Status, outcome: Outcome) {
        let entry = &mut self.entries[task];
        if row.lease.is_some() {
            entry.past.push(PastAttempt { attempt: row.attempt, holder: None, outcome });
        }
        let (attempt, spared) = (row.attempt, row.spared);
        entry.place = Place::Finished(Finished { status, attempt, spared, holder: None });
        self.count(row.status(), -1);
        self.count(status, 1);
    }

    fn revive(&mut self, task: usize, flight: i64, rules: &Rules) -> Answer {
        let entry = &mut self.entries[task];
        if self.flights.contains(&flight) {
            return Answer::Settled(None);
        }
        let (before, attempt) = match entry.place {
            Place::Nowhere | Place::Removed => return Answer::NoTask,
            Place::Live(row) if row.death != Death::Past => return Answer::Has(row.status()),
            Place::Live(row) => {
                if row.lease.is_some() {
                    let (attempt, outcome) = (row.attempt, Outcome::Lapsed);
                    entry.past.push(PastAttempt { attempt, holder: None, outcome });
                }
                (row.status(), row.attempt)
            }
            Place::Finished(end) => {
                if end.status == Status::Released {
                    entry.receipts.push((end.attempt, end.holder));
                }
                (end.status, end.attempt)
            }
        };
        entry.place = Place::Live(Row {
            attempt,
            spared: attempt,
            retries: rules.queue.retries,
            lease: None,
            holder: None,
            due: true,
            death: if rules.queue.mortal { Death::Ahead } else { Death::Never },
            spared_by_restart: false,
        });
        self.flights.push(flight);
        self.flights.sort_unstable();
        self.count(before, -1);
        self.count(Status::New, 1);
        Answer::Done(Status::New)
    }

    fn prune(&mut self, task: usize, rules: &Rules) -> Answer {
        let entry = &mut self.entries[task];
        let Place::Finished(end) = entry.place else { return Answer::Nothing };
        entry.place = Place::Removed;
        if rules.guards.leaves_receipts {
            entry.receipts.push((end.attempt, end.holder));
        }
        self.count(end.status, -1);
        Answer::Done(end.status)
    }

    fn fold(&mut self, rules: &Rules) -> Answer {
        if self.changes == [0; 7] {
            return Answer::Nothing;
        }
        self.folded = self.counted();
        if rules.guards.folds_at_once {
            self.changes = [0; 7];
        }
        Answer::Done(Status::New)
    }
}

/// The fence.
fn passes(row: &Row, claim: Claim, rules: &Rules) -> bool {
    row.lease.is_some()
        && (row.attempt == claim.attempt || !rules.guards.fence_by_attempt)
        && (row.holder == Some(claim.holder) || !rules.guards.fence_by_holder)
}

/// The status of a task after a release.
fn fate(row: &Row, ending: Ending) -> Status {
    let too_late =
        |pause| row.death == Death::Past || (row.death == Death::Ahead && pause == Pause::PastDeath);
    match ending {
        Ending::Done => Status::Released,
        Ending::Fail => Status::Failed,
        Ending::Cancel => Status::Cancelled,
        Ending::Retry(_) if row.spent() >= row.retries => Status::Failed,
        Ending::Retry(pause) | Ending::Snooze(pause) if too_late(pause) => Status::Expired,
        Ending::Retry(_) => Status::Retry,
        Ending::Snooze(_) | Ending::GiveBack if row.spent() > 1 => Status::Retry,
        Ending::Snooze(_) | Ending::GiveBack => Status::New,
    }
}
