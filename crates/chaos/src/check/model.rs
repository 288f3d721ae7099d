//! Each task went a way that the model allows: what the ledger has of it is replayed against the statements of
//! `pgmill-model`, one by one, and it is now where that leads.
//!
//! The ledger tells what a change was, and not which statement made it; where several could have, what it left tells. When
//! something was due it does not tell, so that all that was retained is taken to have been.

use std::collections::HashMap;

use pgmill_model::{Answer, Claim, Ending, Guards, Passing, Pause, Place, Queue, Row, Rules, Statement};
use pgmill_model::{Status, Tables};

use super::Index;
use crate::evidence::{Entry, Evidence, Found, Op};
use crate::history::{CANCELLED, EXPIRED, FAILED, Fence, RELEASED, Ran};

pub(super) const RULE: &str = "each task went a way that the model allows";

/// The only task of its tables: each has some of its own, for none has to do with another.
const TASK: usize = 0;

pub(super) fn find(evidence: &Evidence, index: &Index<'_>) -> Vec<String> {
    let ran = evidence.runs.iter().filter_map(|run| Some((run.fence, run.ran?))).collect();
    let traced = index.entries.iter().map(|(task, entries)| {
        let found = index.by_id.get(task).and_then(|found| found.first().copied());
        (task, replay(entries, found, &ran))
    });
    let wrong = traced.filter_map(|(task, replayed)| Some(format!("task {task}: {}", replayed.err()?)));
    let unseen = index.by_id.keys().filter(|task| !index.entries.contains_key(task));
    wrong
        .chain(unseen.map(|task| format!("task {task} is there, and the ledger has nothing of it")))
        .collect()
}

/// A task on its way through the model.
struct Trace {
    rules: Rules,
    tables: Tables,
}

fn replay(entries: &[&Entry], found: Option<&Found>, ran: &HashMap<Fence, Ran>) -> Result<(), String> {
    let retries = small(entries.first().map_or(0, |entry| entry.retries))?;
    let queue = Queue { retries, keeps: true, mortal: entries.iter().any(|entry| entry.dies_at.is_some()) };
    let mut trace = Trace { rules: Rules { queue, guards: Guards::ALL }, tables: Tables::new(1) };
    for (at, entry) in entries.iter().enumerate() {
        let ran = ran.get(&entry.before).copied();
        let taken = trace.expect_before(entry).and_then(|()| trace.take(entry, found, ran));
        taken.map_err(|why| format!("{why}: change {} of {}, {entry:?}", at + 1, entries.len()))?;
    }
    trace.expect_at_end(found)
}

impl Trace {
    fn row(&self) -> Option<&Row> {
        self.tables.entries[TASK].row()
    }

    /// The model has the task as it was before this change.
    fn expect_before(&self, entry: &Entry) -> Result<(), String> {
        let place = self.tables.entries[TASK].place;
        let is_expected = match (entry.op, place) {
            (Op::Created, place) => place == Place::Nowhere,
            (_, Place::Live(row)) => fits(&row, entry.before) && row.lease.is_some() == entry.lease.is_some(),
            _ => false,
        };
        is_expected.then_some(()).ok_or_else(|| format!("the model has {place:?} before"))
    }

    fn take(&mut self, entry: &Entry, found: Option<&Found>, ran: Option<Ran>) -> Result<(), String> {
        if entry.has_lapsed() {
            self.tables.pass(Passing::Lapse(TASK));
        }
        if entry.dies_at.is_some_and(|dies_at| dies_at <= entry.at) {
            self.tables.pass(Passing::Death(TASK));
        }
        let (Fence { attempt, holder, .. }, before) = (entry.before, self.row().map_or(0, |row| row.spared));
        let claim = Claim { task: TASK, attempt: small(attempt)?, holder };
        let spares = small(entry.spared)? > before;
        let release = |ending| Statement::Release { claim, ending, again: false };
        match entry.op {
            Op::Created => {
                self.run(&Statement::Enqueue { task: TASK, delayed: false, again: false }, Status::New)
            }
            Op::Retained => self.retain(entry, spares),
            Op::Extended => self.run(&Statement::Extend(claim), Status::Retained),
            Op::Returned => {
                let ending = if spares { Ending::GiveBack } else { Ending::Retry(Pause::None) };
                let spent = i32::from(claim.attempt) > entry.spared;
                self.run(&release(ending), if spent { Status::Retry } else { Status::New })
            }
            Op::Ended => match found.and_then(|found| Some((found.status?, found.fence.holder != 0))) {
                Some((RELEASED, _)) => self.run(&release(Ending::Done), Status::Released),
                Some((FAILED, true)) if ran == Some(Ran::Retry) => {
                    self.run(&release(Ending::Retry(Pause::None)), Status::Failed)
                }
                Some((FAILED, true)) => self.run(&release(Ending::Fail), Status::Failed),
                Some((FAILED, false)) => self.run(&Statement::Sweep, Status::Failed),
                Some((EXPIRED, true)) if ran == Some(Ran::Snoozed) => {
                    self.run(&release(Ending::Snooze(Pause::PastDeath)), Status::Expired)
                }
                Some((EXPIRED, true)) => self.run(&release(Ending::Retry(Pause::PastDeath)), Status::Expired),
                Some((EXPIRED, false)) => self.run(&Statement::Sweep, Status::Expired),
                Some((CANCELLED, true)) => self.run(&release(Ending::Cancel), Status::Cancelled),
                Some((CANCELLED, false)) => self.run(&Statement::Cancel(TASK), Status::Cancelled),
                other => Err(format!("no statement ends it as it is found: {other:?}")),
            },
        }?;
        match self.row() {
            Some(row) if !fits(row, entry.after) || i32::from(row.spared) != entry.spared => {
                Err(format!("the model has {row:?} after it"))
            }
            _ => Ok(()),
        }
    }

    /// A process takes from itself what it never had an answer about, at no cost; from others, only what has lapsed.
    fn retain(&mut self, entry: &Entry, spares: bool) -> Result<(), String> {
        self.tables.pass(Passing::Due(TASK));
        let lost = if spares { vec![entry.before.holder] } else { Vec::new() };
        let retain = Statement::Retain { task: TASK, holder: entry.after.holder, lost };
        match self.tables.run(&retain, &self.rules) {
            (Answer::Retained(_), _) => Ok(()),
            (answer, _) => Err(format!("the model answers {answer:?} to {retain:?}")),
        }
    }

    fn run(&mut self, statement: &Statement, status: Status) -> Result<(), String> {
        match self.tables.run(statement, &self.rules) {
            (Answer::Done(its), _) if its == status => Ok(()),
            (answer, _) => Err(format!("the model answers {answer:?} to {statement:?}")),
        }
    }

    /// The task is where the model has it.
    fn expect_at_end(&self, found: Option<&Found>) -> Result<(), String> {
        let place = self.tables.entries[TASK].place;
        let is_expected = found.is_some_and(|found| match place {
            Place::Live(row) => {
                found.status.is_none() && fits(&row, found.fence) && i32::from(row.spared) == found.spared
            }
            Place::Finished(end) => {
                found.status == Some(end.status as u8)
                    && i32::from(end.attempt) == found.fence.attempt
                    && end.holder.unwrap_or(0) == found.fence.holder
                    && i32::from(end.spared) == found.spared
            }
            Place::Nowhere | Place::Removed => false,
        });
        is_expected.then_some(()).ok_or_else(|| format!("the model has {place:?}, and there is {found:?}"))
    }
}

fn fits(row: &Row, fence: Fence) -> bool {
    i32::from(row.attempt) == fence.attempt && row.holder.unwrap_or(0) == fence.holder
}

fn small(number: i32) -> Result<u8, String> {
    u8::try_from(number).map_err(|_| format!("the model does not count to {number}"))
}

#[cfg(test)]
mod tests {
    use super::super::planted::{clean, handed_on, returned, taken_back, undone};
    use super::*;

    fn found(evidence: &Evidence) -> Vec<String> {
        find(evidence, &Index::new(evidence))
    }

    #[track_caller]
    fn assert_found(evidence: &Evidence, what: &str) {
        let found = found(evidence);
        assert!(found.len() == 1 && found[0].contains(what), "{found:#?}");
    }

    fn planted(plant: fn(&mut Evidence)) -> Evidence {
        let mut evidence = clean();
        plant(&mut evidence);
        evidence
    }

    /// The last change of the first task.
    fn end(evidence: &mut Evidence) -> &mut Entry {
        let is_it = |entry: &&mut Entry| entry.after.task == 1 && entry.op == Op::Ended;
        evidence.ledger.iter_mut().find(is_it).unwrap()
    }

    #[test]
    fn the_model_allows_what_pgmill_does() {
        let plants: [fn(&mut Evidence); 5] = [|_| {}, handed_on, returned, taken_back, undone];
        for plant in plants {
            let evidence = planted(plant);
            assert_eq!(found(&evidence), [""; 0], "{:#?}", evidence.ledger);
        }
    }

    #[test]
    fn a_lease_that_is_taken_from_another_before_its_time_is_found() {
        let mut evidence = planted(handed_on);
        let retained = evidence.ledger[2].lease.as_mut().unwrap();
        retained.until += 10_000;
        assert_found(&evidence, "the model answers Nothing to Retain");
    }

    #[test]
    fn an_attempt_beyond_the_last_is_found() {
        let mut evidence = planted(returned);
        evidence.ledger.iter_mut().for_each(|entry| entry.retries = 1);
        assert_found(&evidence, "the model answers Done(Failed) to Release");
        let mut evidence = planted(taken_back);
        evidence.ledger.iter_mut().for_each(|entry| entry.retries = 1);
        assert_eq!(found(&evidence), [""; 0]);
    }

    #[test]
    fn a_change_behind_the_end_is_found() {
        let mut evidence = clean();
        let end = evidence.ledger.last().unwrap().clone();
        evidence.ledger.push(Entry { op: Op::Extended, ..end });
        assert_found(&evidence, "the model has Finished");
    }

    #[test]
    fn a_change_that_the_ledger_skipped_is_found() {
        let mut evidence = clean();
        evidence.ledger.remove(1);
        assert_found(&evidence, "before: change 2 of 2");
    }

    #[test]
    fn a_task_that_failed_for_good_though_its_handler_asked_for_more_is_found() {
        let mut evidence = clean();
        evidence.tasks[0].status = Some(FAILED);
        evidence.runs[0].ran = Some(Ran::Failed);
        assert_eq!(found(&evidence), [""; 0]);
        evidence.runs[0].ran = Some(Ran::Retry);
        assert_found(&evidence, "the model answers Done(Retry) to Release");
    }

    #[test]
    fn a_sweep_of_what_has_attempts_left_is_found() {
        let mut evidence = clean();
        evidence.tasks[0].status = Some(FAILED);
        evidence.tasks[0].fence.holder = 0;
        let end = end(&mut evidence);
        end.at = end.lease.unwrap().until + 1;
        assert_found(&evidence, "the model answers Nothing to Sweep");
        evidence.ledger.iter_mut().for_each(|entry| entry.retries = 1);
        assert_eq!(found(&evidence), [""; 0]);
    }

    #[test]
    fn a_task_that_expired_before_its_time_is_found() {
        let mut evidence = clean();
        evidence.tasks[0].status = Some(EXPIRED);
        evidence.tasks[0].fence.holder = 0;
        let dies_at = end(&mut evidence).at;
        let of_first = |entry: &&mut Entry| entry.after.task == 1;
        evidence.ledger.iter_mut().filter(of_first).for_each(|entry| entry.dies_at = Some(dies_at));
        assert_eq!(found(&evidence), [""; 0]);
        evidence.ledger.iter_mut().filter(of_first).for_each(|entry| entry.dies_at = Some(dies_at + 1));
        assert_found(&evidence, "the model answers Nothing to Sweep");
    }

    #[test]
    fn a_task_that_is_not_as_the_model_leaves_it_is_found() {
        let mut evidence = clean();
        evidence.tasks[1].spared = 1;
        assert_found(&evidence, "and there is Some(Found");
        evidence.ledger.retain(|entry| entry.after.task == 1);
        assert_found(&evidence, "task 2 is there, and the ledger has nothing of it");
    }
}
