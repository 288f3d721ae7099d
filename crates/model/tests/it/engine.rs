//! The real statements on a real database, in the words of the model.
//!
//! Each task has a queue of its own, so that a retain takes the task that the model says. Times do not pass by themselves:
//! all of them are hours away, and are moved by the test.

mod observed;

use std::time::Duration;

use pgmill_model::{Answer, Claim, Ending, Holder, Passing, Pause, Rules, Statement, Status, Tables};
use pgmill_schema::{Json, Namespace, QueueMeta, QueueName, WorkerName};
use pgmill_store::{
    Caller, Cancelled, Demand, Ended, Enqueued, Fence, NewTask, PruneStep, Retried, Sending, Store,
    StoreError, SweepPlace,
};
use pgmill_testkit::TestDatabase;

use crate::dice::Dice;

pub(crate) use observed::visible;

const HOUR: Duration = Duration::from_secs(3600);
const TTL: Duration = Duration::from_secs(24 * 3600);
const BEYOND: Duration = Duration::from_secs(48 * 3600);

pub(crate) struct Engine {
    store: Store,
    database: TestDatabase,
    namespace: Namespace,
    queues: Vec<QueueName>,
    ids: Vec<i64>,
    /// The reserved ids by which retries are named, for each number that the model gives them.
    flights: Vec<i64>,
    /// Chooses between statements that do the same.
    dice: Dice,
}

impl Engine {
    pub(crate) async fn new(database: TestDatabase, rules: &Rules, tasks: usize, dice: Dice) -> Self {
        let store = database.store();
        let namespace = Namespace::new("model").unwrap();
        let mut queues = Vec::new();
        for task in 0..tasks {
            let meta = QueueMeta::new(format!("queue{task}"))
                .retries(u64::from(rules.queue.retries))
                .retry_delay(HOUR)
                .retention(if rules.queue.keeps { TTL } else { Duration::ZERO });
            let meta = if rules.queue.mortal { meta.ttl(TTL) } else { meta.no_ttl() };
            let queue = QueueName::new(&meta.queue).unwrap();
            store.register_queue(&namespace, &queue, &meta).await.unwrap();
            queues.push(queue);
        }
        let ids = store.reserve_ids(i32::try_from(tasks).unwrap()).await.unwrap();
        let flights = store.reserve_ids(20).await.unwrap();
        Self { store, database, namespace, queues, ids, flights, dice }
    }

    /// As [`observe`](Self::observe), after the server was started anew: with connections that know of that.
    pub(crate) async fn observe_anew(&mut self) -> Tables {
        self.store = self.database.store();
        self.observe().await
    }

    /// Runs a statement, and tells what it answers; `None` where the model does not say.
    pub(crate) async fn run(&mut self, statement: &Statement) -> Option<Answer> {
        Some(match statement {
            Statement::Enqueue { task, delayed, again } => self.enqueue(*task, *delayed, *again).await,
            Statement::Retain { .. } | Statement::Extend(_) | Statement::Release { .. } => {
                self.run_together(std::slice::from_ref(statement)).await[0]
            }
            Statement::Sweep => {
                let mut place = Some(SweepPlace::START);
                while let Some(from) = place {
                    place = self.store.sweep(from, 2).await.unwrap().place;
                }
                return None;
            }
            Statement::Cancel(task) => {
                match self.store.cancel_task(&self.namespace, self.ids[*task]).await.unwrap() {
                    Cancelled::Task(..) => Answer::Done(Status::Cancelled),
                    Cancelled::NoTask => Answer::NoTask,
                    Cancelled::Ended(status) => Answer::Has(status_of(status)),
                    Cancelled::Locked => panic!("locked by nobody"),
                }
            }
            Statement::Revive { task, flight } => {
                let flight = self.flights[usize::try_from(*flight).unwrap()];
                match self.store.retry_task(&self.namespace, self.ids[*task], flight).await.unwrap() {
                    Retried::Task(task) => Answer::Done(status_of(task.status.unwrap())),
                    Retried::NoTask => Answer::NoTask,
                    Retried::Live(status) => Answer::Has(status_of(status)),
                    Retried::Settled => Answer::Settled(None),
                    other => panic!("{other:?}"),
                }
            }
            Statement::Prune(task) if self.dice.one_in(2) => self.prune(*task).await,
            Statement::Prune(task) => {
                let removed = self.store.clean_queue(&self.namespace, &self.queues[*task], 1).await.unwrap();
                removed.first().map_or(Answer::Nothing, |task| Answer::Done(status_of(task.status.unwrap())))
            }
            Statement::Fold => {
                self.store.fold_counts(1000).await.unwrap();
                return None;
            }
        })
    }

    /// Runs statements of one kind, each about another task, as the one statement that a batch is; tells what it answers
    /// about each. What they are sent with is that of the first.
    pub(crate) async fn run_together(&mut self, statements: &[Statement]) -> Vec<Answer> {
        let (mut tasks, mut claims, mut endings) = (Vec::new(), Vec::new(), Vec::new());
        for statement in statements {
            match statement {
                Statement::Retain { task, .. } => tasks.push(*task),
                Statement::Extend(claim) => claims.push(*claim),
                Statement::Release { claim, ending, .. } => endings.push((*claim, *ending)),
                other => panic!("it is not sent together with others: {other:?}"),
            }
        }
        match &statements[0] {
            Statement::Retain { holder, lost, .. } => self.retain(&tasks, *holder, lost).await,
            Statement::Release { again, .. } => self.release(&endings, *again).await,
            _ => self.extend(&claims).await,
        }
    }

    async fn enqueue(&self, task: usize, delayed: bool, again: bool) -> Answer {
        let new = NewTask {
            id: self.ids[task],
            namespace: self.namespace.clone(),
            queue: self.queues[task].clone(),
            payload: Json::encode(&task).unwrap(),
            delayed_at: None,
            delay: delayed.then(|| micros(HOUR)),
            priority: 5,
            key: None,
            traceparent: None,
        };
        let sending = if again { Sending::Again } else { Sending::First };
        match self.store.enqueue(&[new], sending).await.map(|answers| answers[0]) {
            Ok(Enqueued::Created { .. }) => Answer::Done(Status::New),
            Ok(Enqueued::Settled) => Answer::Settled(None),
            Err(StoreError::Contended(_)) => Answer::Overtaken,
            other => panic!("{other:?}"),
        }
    }

    async fn retain(&mut self, tasks: &[usize], holder: Holder, lost: &[Holder]) -> Vec<Answer> {
        let demand = |task: &usize| Demand {
            namespace: self.namespace.clone(),
            queues: vec![self.queues[*task].clone()],
        };
        let mut demands: Vec<Demand> = tasks.iter().map(demand).collect();
        let worker = WorkerName::new("worker").unwrap();
        let caller = Caller { demand: 0, want: 1, worker, lease: Some(micros(HOUR)), fenced: false };
        let callers: Vec<Caller> =
            (0..demands.len()).map(|demand| Caller { demand, ..caller.clone() }).collect();
        // One queue has a statement of its own; a second demand, which nobody makes, takes the general one.
        demands.extend(demands.first().cloned().filter(|_| self.dice.one_in(2)));
        // Holders are even.
        let lost: Vec<i64> = lost.iter().map(|holder| holder * 2).collect();
        let retained = self.store.retain(&demands, &callers, &[], holder * 2, &lost).await.unwrap();
        let claims: Vec<_> = retained.iter().map(|retained| retained.task.claim().unwrap()).collect();
        assert!(claims.iter().all(|claim| claim.holder() == holder * 2));
        let answers = tasks.iter().map(|task| {
            let claim = claims.iter().find(|claim| claim.id() == self.ids[*task]);
            claim.map_or(Answer::Nothing, |claim| {
                let attempt = u8::try_from(claim.attempt()).unwrap();
                Answer::Retained(Claim { task: *task, attempt, holder })
            })
        });
        let answers: Vec<Answer> = answers.collect();
        let dealt = answers.iter().filter(|answer| **answer != Answer::Nothing).count();
        assert_eq!(dealt, claims.len(), "a task that was not asked for");
        answers
    }

    async fn extend(&self, claims: &[Claim]) -> Vec<Answer> {
        let leases: Vec<_> = claims.iter().map(|claim| (self.claim(*claim), None)).collect();
        let extended = self.store.extend(&self.namespace, &leases).await.unwrap();
        let answer = |until: &Option<_>| match until {
            Some(_) => Answer::Done(Status::Retained),
            None => Answer::NotRetained,
        };
        extended.iter().map(answer).collect()
    }

    fn claim(&self, claim: Claim) -> pgmill_schema::Claim {
        pgmill_schema::Claim::new(self.ids[claim.task], i32::from(claim.attempt), claim.holder * 2)
    }

    async fn release(&mut self, endings: &[(Claim, Ending)], again: bool) -> Vec<Answer> {
        let ending_of = |(claim, ending): &(Claim, Ending)| {
            let outcome = match ending {
                Ending::Done => pgmill_schema::Outcome::done_empty(),
                Ending::Retry(pause) => pgmill_schema::Outcome::retry_in(length(*pause), "no").unwrap(),
                Ending::Fail => pgmill_schema::Outcome::failed("no").unwrap(),
                Ending::GiveBack => pgmill_schema::Outcome::GiveBack,
                Ending::Snooze(pause) => pgmill_schema::Outcome::Snooze(length(*pause)),
                Ending::Cancel => pgmill_schema::Outcome::cancelled("no").unwrap(),
            };
            let fence = Fence::Claim(self.claim(*claim));
            pgmill_store::Ending { namespace: self.namespace.clone(), fence, outcome, task: None }
        };
        let sent: Vec<_> = endings.iter().map(ending_of).collect();
        let mut answers = vec![None; sent.len()];
        // Those that are done have a statement of their own, and the general one for what that declines.
        let all_done = endings.iter().all(|(_, ending)| *ending == Ending::Done);
        if all_done && !again && self.dice.one_in(2) {
            let (_, released) = self.store.release_done(&sent).await.unwrap();
            for (answer, released) in answers.iter_mut().zip(released) {
                *answer = released.then_some(Answer::Done(Status::Released));
            }
        }
        let (mut left, mut places) = (Vec::new(), Vec::new());
        for (answer, ending) in answers.iter_mut().zip(sent).filter(|(answer, _)| answer.is_none()) {
            places.push(answer);
            left.push(ending);
        }
        let sending = if again { Sending::Again } else { Sending::First };
        if !left.is_empty() {
            for (place, ended) in places.into_iter().zip(self.store.release(&left, sending).await.unwrap()) {
                *place = Some(match ended {
                    Ended::Released { task, .. } => Answer::Done(status_of(task.status.unwrap())),
                    Ended::Settled(status) => Answer::Settled(Some(status_of(status))),
                    Ended::NoTask => Answer::NoTask,
                    Ended::NotRetained => Answer::NotRetained,
                    Ended::Superseded => Answer::Superseded,
                    other => panic!("{other:?}"),
                });
            }
        }
        answers.into_iter().map(Option::unwrap).collect()
    }

    /// As maintenance does it, whose statement removes only what is past its retention: that is made short for this once.
    async fn prune(&self, task: usize) -> Answer {
        let (client, queue) = (self.store.pool().get().await.unwrap(), self.queues[task].as_str());
        let finished = client.query_opt(STATUS_OF, &[&self.ids[task]]).await.unwrap();
        let before = client.query_one(RETENTION, &[&queue]).await.unwrap();
        let (done, failed): (i64, i64) = (before.get("retention"), before.get("retention_failed"));
        client.execute(SET_RETENTION, &[&queue, &1_i64, &1_i64]).await.unwrap();
        let mut pruned = 0;
        for step in self.store.prune_steps().await.unwrap() {
            let PruneStep::Delete(past) = step else { panic!("nothing is that old: {step:?}") };
            pruned += self.store.prune_finished(past, None, 10).await.unwrap().0;
        }
        client.execute(SET_RETENTION, &[&queue, &done, &failed]).await.unwrap();
        assert_eq!(pruned, u64::from(finished.is_some()));
        finished.map_or(Answer::Nothing, |row| Answer::Done(stored(row.get("status"))))
    }

    /// Moves a time into the past.
    pub(crate) async fn pass(&self, passing: Passing) {
        let (task, change) = match passing {
            Passing::Due(task) => (task, "run_at = now() WHERE run_at > now()"),
            Passing::Lapse(task) => {
                (task, "lease_until = now() - interval '1 second' WHERE lease_until > now()")
            }
            Passing::Death(task) => (
                task,
                "dies_at = now() - interval '1 second', lease_until = lease_until - interval '30 days'
                 WHERE dies_at > now()",
            ),
            Passing::AmnestyEnds => panic!("it ends by itself"),
        };
        let client = self.store.pool().get().await.unwrap();
        let sql = format!("UPDATE pgmill.task SET {change} AND id = {}", self.ids[task]);
        client.batch_execute(&sql).await.unwrap();
    }
}

const STATUS_OF: &str = "SELECT status FROM pgmill.task_finished WHERE id = $1";
const RETENTION: &str =
    "SELECT retention, retention_failed FROM pgmill.queue WHERE ns = 'model' AND queue = $1";
const SET_RETENTION: &str =
    "UPDATE pgmill.queue SET retention = $2, retention_failed = $3 WHERE ns = 'model' AND queue = $1";

const STATUSES: [Status; 7] = [
    Status::New,
    Status::Retry,
    Status::Retained,
    Status::Released,
    Status::Failed,
    Status::Expired,
    Status::Cancelled,
];

fn stored(status: i16) -> Status {
    STATUSES[usize::try_from(status).unwrap()]
}

fn status_of(status: pgmill_schema::Status) -> Status {
    match status {
        pgmill_schema::Status::New => Status::New,
        pgmill_schema::Status::Retry => Status::Retry,
        pgmill_schema::Status::Retained => Status::Retained,
        pgmill_schema::Status::Released => Status::Released,
        pgmill_schema::Status::Failed => Status::Failed,
        pgmill_schema::Status::Expired => Status::Expired,
        pgmill_schema::Status::Cancelled => Status::Cancelled,
    }
}

fn length(pause: Pause) -> Duration {
    match pause {
        Pause::None => Duration::ZERO,
        Pause::Some => HOUR,
        Pause::PastDeath => BEYOND,
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap()
}
