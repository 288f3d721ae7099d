//! What pgmill promises, in memory: queues and tasks of one namespace, for one process.
//!
//! The model takes points in time from the answers it is compared with, and times are either past or at least ten minutes
//! in the future, so that it never matters when exactly something happened.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use pgmill::{AttemptOutcome, Claim, Json, Outcome, Status, Task, hours, minutes};

/// Earlier than this is past, and anything later is to come.
pub(crate) fn soon() -> Timestamp {
    Timestamp::now() + minutes(1)
}

#[derive(Debug, Clone)]
pub(crate) struct ModelQueue {
    pub(crate) paused: bool,
    pub(crate) retries: u32,
    pub(crate) ttl: Option<Duration>,
    pub(crate) keeps_history: bool,
}

impl Default for ModelQueue {
    fn default() -> Self {
        Self { paused: false, retries: 3, ttl: Some(hours(1)), keeps_history: true }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Lease {
    pub(crate) holder: i64,
    pub(crate) lapsed: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ModelAttempt {
    pub(crate) attempt: u32,
    pub(crate) worker: Option<String>,
    pub(crate) outcome: AttemptOutcome,
    pub(crate) error: Option<Json>,
}

#[derive(Debug, Clone)]
pub(crate) struct ModelTask {
    pub(crate) id: u64,
    pub(crate) queue: usize,
    pub(crate) payload: Json,
    pub(crate) priority: u8,
    pub(crate) key: Option<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) run_at: Timestamp,
    pub(crate) dies_at: Option<Timestamp>,
    pub(crate) total: u32,
    pub(crate) attempt: u32,
    pub(crate) spared: u32,
    pub(crate) worker: Option<String>,
    pub(crate) lease: Option<Lease>,
    pub(crate) result: Option<Json>,
    pub(crate) history: Vec<ModelAttempt>,
    pub(crate) finished: Option<Status>,
}

impl ModelTask {
    pub(crate) fn is_past_death(&self) -> bool {
        self.dies_at.is_some_and(|at| at < soon())
    }

    fn counted(&self) -> u32 {
        self.attempt - self.spared
    }

    /// The status that is stored, and counted.
    pub(crate) fn stored(&self) -> Status {
        match (self.finished, &self.lease) {
            (Some(status), _) => status,
            (None, Some(_)) => Status::Retained,
            (None, None) if self.counted() == 0 => Status::New,
            (None, None) => Status::Retry,
        }
    }

    /// The status that is shown.
    pub(crate) fn status(&self) -> Status {
        if self.finished.is_none() && self.is_past_death() { Status::Expired } else { self.stored() }
    }

    /// The attempts left that are shown.
    pub(crate) fn retries(&self) -> u32 {
        match self.status() {
            Status::Failed => 0,
            Status::Retained | Status::Released => self.total + 1 - self.counted(),
            _ => self.total - self.counted(),
        }
    }

    fn is_held(&self) -> bool {
        self.lease.as_ref().is_some_and(|lease| !lease.lapsed)
    }

    fn is_due(&self) -> bool {
        self.finished.is_none()
            && self.run_at < soon()
            && !self.is_past_death()
            && !self.is_held()
            && self.counted() < self.total
    }

    fn note(&mut self, outcome: AttemptOutcome, error: Option<Json>) {
        let worker = self.worker.clone();
        self.history.push(ModelAttempt { attempt: self.attempt, worker, outcome, error });
    }

    /// Compares what is shown of a task with what is known of it.
    pub(crate) fn assert_shown(&self, task: &Task, with_history: bool) {
        let id = self.id;
        let status = self.status();
        assert_eq!(task.id, id);
        assert_eq!(task.status, Some(status), "the status of task {id}");
        assert_eq!(task.retries, self.retries(), "the attempts left of task {id}, {status:?}");
        assert_eq!(task.attempt, self.attempt, "the attempts of task {id}");
        assert_eq!(task.priority, self.priority, "the priority of task {id}");
        assert_eq!(task.key, self.key, "the key of task {id}");
        assert_eq!(task.payload.as_ref(), Some(&self.payload), "the payload of task {id}");
        assert_eq!(task.worker, self.worker, "the worker of task {id}");
        assert_eq!(task.created_at, self.created_at, "the creation of task {id}");
        let delayed = (self.run_at != self.created_at && status != Status::Failed).then_some(self.run_at);
        assert_eq!(task.delayed_at, delayed, "delayed_at of task {id}, {status:?}");
        let dies = self.dies_at.filter(|_| status != Status::Released);
        assert_eq!(task.dies_at, dies, "dies_at of task {id}, {status:?}");
        let result = self.result.clone().filter(|_| self.lease.is_none());
        assert_eq!(task.result, result, "the result of task {id}, {status:?}");
        let started = self.lease.is_some() || status == Status::Released;
        assert_eq!(task.started_at.is_some(), started, "started_at of task {id}, {status:?}");
        assert_eq!(task.finished_at.is_some(), status == Status::Released, "finished_at of task {id}");
        assert_eq!(task.lease_until.is_some(), self.lease.is_some(), "the lease of task {id}");
        if with_history {
            let shown: Vec<_> = task
                .attempts
                .iter()
                .map(|a| ModelAttempt {
                    attempt: a.attempt,
                    worker: a.worker.clone(),
                    outcome: a.outcome,
                    error: a.error.clone(),
                })
                .collect();
            assert_eq!(shown, self.history, "the history of task {id}");
        }
    }
}

/// What a release is to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Ended(Status),
    NotFound,
    NotRetained,
    Superseded,
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) queues: [Option<ModelQueue>; 2],
    pub(crate) tasks: BTreeMap<u64, ModelTask>,
    /// Which task has a key of a queue.
    pub(crate) keys: BTreeMap<(usize, String), u64>,
}

impl Model {
    /// Notes a task as it was created.
    pub(crate) fn create(&mut self, queue: usize, delay: Option<Duration>, task: &Task) {
        let settings = self.queues[queue].as_ref().expect("the queue of a new task");
        let run_at = task.delayed_at.unwrap_or(task.created_at);
        let expected = ModelTask {
            id: task.id,
            queue,
            payload: task.payload.clone().expect("a payload"),
            priority: task.priority,
            key: task.key.clone(),
            created_at: task.created_at,
            run_at,
            dies_at: settings.ttl.map(|ttl| run_at + ttl),
            total: settings.retries,
            attempt: 0,
            spared: 0,
            worker: None,
            lease: None,
            result: None,
            history: Vec::new(),
            finished: None,
        };
        expected.assert_shown(task, true);
        assert_eq!(run_at, task.created_at + delay.unwrap_or_default());
        if let Some(key) = &task.key {
            self.keys.insert((queue, key.clone()), task.id);
        }
        self.tasks.insert(task.id, expected);
    }

    /// The task whose key this is: it lives, or the queue keeps such as have ended.
    pub(crate) fn owner(&self, queue: usize, key: &str) -> Option<u64> {
        let owner = self.tasks.get(self.keys.get(&(queue, key.to_owned()))?)?;
        let keeps_done = self.queues[queue].as_ref().is_some_and(|queue| queue.keeps_history);
        (owner.finished != Some(Status::Released) || keeps_done).then_some(owner.id)
    }

    /// The tasks that a retain is to be given, in their order.
    pub(crate) fn next(&self, queues: &[usize], count: usize) -> Vec<u64> {
        let is_open = |queue: usize| self.queues[queue].as_ref().is_some_and(|queue| !queue.paused);
        let mut due: Vec<_> = self
            .tasks
            .values()
            .filter(|task| queues.contains(&task.queue) && is_open(task.queue) && task.is_due())
            .map(|task| (task.priority, task.run_at, task.id))
            .collect();
        due.sort_unstable();
        due.into_iter().take(count).map(|(.., id)| id).collect()
    }

    /// Notes that a task was retained.
    pub(crate) fn retain(&mut self, retained: &Task, worker: &str) {
        let task = self.tasks.get_mut(&retained.id).expect("a known task");
        if task.lease.take().is_some() {
            task.note(AttemptOutcome::Lapsed, None);
        }
        task.attempt += 1;
        task.worker = Some(worker.to_owned());
        let holder = retained.holder.expect("a holder");
        task.lease = Some(Lease { holder, lapsed: false });
        task.assert_shown(retained, false);
    }

    fn running(&self, claim: Claim) -> Result<u64, Verdict> {
        let id = claim.id().unsigned_abs();
        let task = self.tasks.get(&id).ok_or(Verdict::NotFound)?;
        match &task.lease {
            None => Err(Verdict::NotRetained),
            Some(lease)
                if lease.holder == claim.holder()
                    && i64::from(task.attempt) == i64::from(claim.attempt()) =>
            {
                Ok(id)
            }
            Some(_) => Err(Verdict::Superseded),
        }
    }

    /// Whether an extension of this claim succeeds.
    pub(crate) fn extend(&mut self, claim: Claim) -> bool {
        let Some(task) = self.running(claim).ok().and_then(|id| self.tasks.get_mut(&id)) else {
            return false;
        };
        let lapsed = task.is_past_death();
        if let Some(lease) = &mut task.lease {
            lease.lapsed = lapsed;
        }
        true
    }

    /// What a release comes to. When a task that waits again is due is told by its answer.
    pub(crate) fn release(&mut self, claim: Claim, outcome: &Outcome) -> Verdict {
        let id = match self.running(claim) {
            Ok(id) => id,
            Err(verdict) => return verdict,
        };
        let task = self.tasks.get_mut(&id).expect("a task that runs");
        let keeps_history = self.queues[task.queue].as_ref().is_none_or(|queue| queue.keeps_history);
        let k = task.counted();
        let is_late = |pause: Duration| task.dies_at.is_some_and(|at| Timestamp::now() + pause > at);
        let waits_as = if k > 1 { Status::Retry } else { Status::New };
        let (status, noted) = match outcome {
            Outcome::Done(_) => (Status::Released, None),
            Outcome::Failed(_) => (Status::Failed, Some(AttemptOutcome::Failed)),
            Outcome::Cancelled(_) => (Status::Cancelled, Some(AttemptOutcome::Cancelled)),
            Outcome::GiveBack => (waits_as, Some(AttemptOutcome::GivenBack)),
            Outcome::Snooze(pause) if is_late(*pause) => (Status::Expired, Some(AttemptOutcome::Expired)),
            Outcome::Snooze(_) => (waits_as, Some(AttemptOutcome::Snoozed)),
            Outcome::Retry { .. } if k >= task.total => (Status::Failed, Some(AttemptOutcome::Failed)),
            Outcome::Retry { after, .. } if is_late(after.unwrap_or(minutes(2))) => {
                (Status::Expired, Some(AttemptOutcome::Expired))
            }
            Outcome::Retry { .. } => (Status::Retry, Some(AttemptOutcome::Retry)),
        };
        let result = outcome.result().cloned();
        if let Some(noted) = noted {
            task.note(noted, result.clone());
        }
        task.lease = None;
        if status.is_live() {
            task.result = result.or_else(|| task.result.take());
            if !matches!(outcome, Outcome::Retry { .. }) {
                task.spared += 1;
            }
        } else {
            task.result = result;
            task.finished = Some(status);
            if status == Status::Released && !keeps_history {
                self.forget(id);
            }
        }
        Verdict::Ended(status)
    }

    /// What a cancellation comes to: the status of a task that had ended before.
    pub(crate) fn cancel(&mut self, id: u64) -> Result<(), Status> {
        let task = self.tasks.get_mut(&id).expect("a known task");
        if task.status().is_finished() {
            return Err(task.status());
        }
        if task.lease.take().is_some() {
            task.note(AttemptOutcome::Cancelled, None);
        }
        task.finished = Some(Status::Cancelled);
        Ok(())
    }

    /// What a retry comes to: the status of a task that has not ended, or who has its key. When it is due is told by the
    /// answer.
    pub(crate) fn retry(&mut self, id: u64) -> Result<&mut ModelTask, Result<Status, u64>> {
        let task = &self.tasks[&id];
        if task.status().is_live() {
            return Err(Ok(task.status()));
        }
        if let Some(key) = &task.key {
            if let Some(owner) = self.owner(task.queue, key).filter(|owner| *owner != id) {
                return Err(Err(owner));
            }
            self.keys.insert((task.queue, key.clone()), id);
        }
        let task = self.tasks.get_mut(&id).expect("a known task");
        if task.lease.take().is_some() {
            task.note(AttemptOutcome::Lapsed, None);
        }
        let settings = self.queues[task.queue].as_ref().expect("the queue of a task");
        (task.finished, task.result) = (None, None);
        (task.spared, task.total) = (task.attempt, settings.retries);
        Ok(task)
    }

    /// How long the tasks of a queue live.
    pub(crate) fn ttl(&self, queue: usize) -> Option<Duration> {
        self.queues[queue].as_ref().and_then(|settings| settings.ttl)
    }

    /// Takes a task away, and its key with it.
    fn forget(&mut self, id: u64) {
        self.tasks.remove(&id);
        self.keys.retain(|_, owner| *owner != id);
    }

    /// Ends what nobody can retain any more.
    pub(crate) fn sweep(&mut self) {
        for task in self.tasks.values_mut().filter(|task| task.finished.is_none() && !task.is_held()) {
            let lapsed = task.lease.is_some();
            let status = match task.is_past_death() {
                true => Status::Expired,
                false if lapsed && task.counted() >= task.total => Status::Failed,
                false => continue,
            };
            if lapsed {
                task.note(AttemptOutcome::Lapsed, None);
                task.lease = None;
            }
            if status == Status::Failed && task.result.is_none() {
                task.result = Some(Json::encode("the lease lapsed on the last attempt").expect("a text"));
            }
            task.finished = Some(status);
        }
    }

    /// Takes the finished tasks of a queue away, and returns their ids, oldest first.
    pub(crate) fn clean(&mut self, queue: usize) -> Vec<ModelTask> {
        let finished: Vec<_> = self
            .tasks
            .values()
            .filter(|task| task.queue == queue && task.finished.is_some())
            .cloned()
            .collect();
        finished.iter().for_each(|task| self.forget(task.id));
        finished
    }

    pub(crate) fn delete(&mut self, queue: usize) -> bool {
        self.tasks.retain(|_, task| task.queue != queue);
        self.keys.retain(|(of, _), _| *of != queue);
        self.queues[queue].take().is_some()
    }
}
