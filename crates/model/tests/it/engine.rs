//! The real statements on a real database, in the words of the model.
//!
//! Each task has a queue of its own, so that a retain takes the task that the model says. Times do not pass by themselves:
//! all of them are hours away, and are moved by the test.

use std::time::Duration;

use pgmill_model::{
    Answer, Claim, Counts, Death, Ending, Entry, Finished, Holder, Lease, Outcome, Passing, PastAttempt,
    Pause, Place, Row, Rules, Statement, Status, Tables,
};
use pgmill_schema::{Json, Namespace, QueueMeta, QueueName, WorkerName};
use pgmill_store::{
    Caller, Cancelled, Demand, Ended, Enqueued, Fence, NewTask, Retried, Sending, Store, StoreError,
    SweepPlace,
};
use pgmill_testkit::TestDatabase;

use crate::dice::Dice;

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
            Statement::Retain { task, holder, lost } => self.retain(*task, *holder, lost).await,
            Statement::Extend(claim) => {
                let leases = [(self.claim(*claim), None)];
                match self.store.extend(&self.namespace, &leases).await.unwrap()[0] {
                    Some(_) => Answer::Done(Status::Retained),
                    None => Answer::NotRetained,
                }
            }
            Statement::Release { claim, ending, again } => self.release(*claim, *ending, *again).await,
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

    async fn retain(&mut self, task: usize, holder: Holder, lost: &[Holder]) -> Answer {
        let demand = Demand { namespace: self.namespace.clone(), queues: vec![self.queues[task].clone()] };
        let worker = WorkerName::new("worker").unwrap();
        let caller = Caller { demand: 0, want: 1, worker, lease: Some(micros(HOUR)), fenced: false };
        // One queue has a statement of its own; a second demand, which nobody makes, takes the general one.
        let demands = vec![demand; 1 + self.dice.below(2)];
        // Holders are even.
        let lost: Vec<i64> = lost.iter().map(|holder| holder * 2).collect();
        let retained = self.store.retain(&demands, &[caller], &[], holder * 2, &lost).await.unwrap();
        let Some(retained) = retained.first() else { return Answer::Nothing };
        let claim = retained.task.claim().unwrap();
        assert_eq!((claim.id(), claim.holder()), (self.ids[task], holder * 2));
        Answer::Retained(Claim { task, attempt: u8::try_from(claim.attempt()).unwrap(), holder })
    }

    fn claim(&self, claim: Claim) -> pgmill_schema::Claim {
        pgmill_schema::Claim::new(self.ids[claim.task], i32::from(claim.attempt), claim.holder * 2)
    }

    async fn release(&mut self, claim: Claim, ending: Ending, again: bool) -> Answer {
        let outcome = match ending {
            Ending::Done => pgmill_schema::Outcome::done_empty(),
            Ending::Retry(pause) => pgmill_schema::Outcome::retry_in(length(pause), "no").unwrap(),
            Ending::Fail => pgmill_schema::Outcome::failed("no").unwrap(),
            Ending::GiveBack => pgmill_schema::Outcome::GiveBack,
            Ending::Snooze(pause) => pgmill_schema::Outcome::Snooze(length(pause)),
            Ending::Cancel => pgmill_schema::Outcome::cancelled("no").unwrap(),
        };
        let fence = Fence::Claim(self.claim(claim));
        let ending_of =
            pgmill_store::Ending { namespace: self.namespace.clone(), fence, outcome, task: None };
        // Those that are done have a statement of their own, and the general one for what that declines.
        if ending == Ending::Done && !again && self.dice.one_in(2) {
            let (_, released) = self.store.release_done(&[&ending_of]).await.unwrap();
            if released[0] {
                return Answer::Done(Status::Released);
            }
        }
        let sending = if again { Sending::Again } else { Sending::First };
        match self.store.release(&[ending_of], sending).await.unwrap().remove(0) {
            Ended::Released { task, .. } => Answer::Done(status_of(task.status.unwrap())),
            Ended::Settled(status) => Answer::Settled(Some(status_of(status))),
            Ended::NoTask => Answer::NoTask,
            Ended::NotRetained => Answer::NotRetained,
            Ended::Superseded => Answer::Superseded,
            other => panic!("{other:?}"),
        }
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

    /// What the tables have.
    pub(crate) async fn observe(&self) -> Tables {
        let client = self.store.pool().get().await.unwrap();
        let mut tables = Tables::new(self.ids.len());
        let rows = client.query(LIVE, &[&self.ids]).await.unwrap();
        for row in &rows {
            let lease: Option<bool> = row.get("running");
            let dead: Option<bool> = row.get("dead");
            tables.entries[self.task(row.get("id"))].place = Place::Live(Row {
                attempt: small(row.get("attempt")),
                spared: small(row.get("spared")),
                retries: small(row.get("retries")),
                lease: lease.map(|running| if running { Lease::Running } else { Lease::Lapsed }),
                holder: halved(row.get("holder")),
                due: row.get("due"),
                death: match dead {
                    None => Death::Never,
                    Some(false) => Death::Ahead,
                    Some(true) => Death::Past,
                },
                spared_by_restart: row.get("spared_by_restart"),
            });
        }
        for row in &client.query(FINISHED, &[&self.ids]).await.unwrap() {
            let place = &mut tables.entries[self.task(row.get("id"))].place;
            assert_eq!(*place, Place::Nowhere, "a task is live and finished, or finished twice");
            *place = Place::Finished(Finished {
                status: STATUSES[usize::try_from(row.get::<_, i16>("status")).unwrap()],
                attempt: small(row.get("attempt")),
                spared: small(row.get("spared")),
                holder: halved(row.get("holder")),
            });
        }
        for row in &client.query(PAST, &[&self.ids]).await.unwrap() {
            let past = PastAttempt {
                attempt: small(row.get("attempt")),
                holder: halved(row.get("holder")),
                outcome: OUTCOMES[usize::try_from(row.get::<_, i16>("outcome")).unwrap()],
            };
            tables.entries[self.task(row.get("id"))].past.push(past);
        }
        for row in &client.query(RECEIPTS, &[&self.ids]).await.unwrap() {
            let receipt = (small(row.get("attempt")), halved(row.get("holder")));
            tables.entries[self.task(row.get("id"))].receipts.push(receipt);
        }
        for row in &client.query(RESENT, &[]).await.unwrap() {
            let flight: i64 = row.get("flight");
            match self.flights.iter().position(|known| *known == flight) {
                Some(number) => tables.flights.push(i64::try_from(number).unwrap()),
                None => tables.entries[self.task(flight)].resent = true,
            }
        }
        for (kind, counts) in [(FOLDED, &mut tables.folded), (CHANGES, &mut tables.changes)] {
            for row in &client.query(kind, &[]).await.unwrap() {
                let status = usize::try_from(row.get::<_, i16>("status")).unwrap();
                counts[status] = i8::try_from(row.get::<_, i64>("n")).unwrap();
            }
        }
        tables
    }

    fn task(&self, id: i64) -> usize {
        self.ids.iter().position(|known| *known == id).expect("a task of this script")
    }
}

/// What can be seen of tables: not which of two receipts came first, and not what became of a task that left nothing
/// but a receipt.
pub(crate) fn visible(mut tables: Tables) -> (Vec<Entry>, Vec<i64>, Counts, Counts) {
    for entry in &mut tables.entries {
        entry.receipts.sort_unstable();
        if entry.place == Place::Removed {
            entry.place = Place::Nowhere;
        }
    }
    (tables.entries, tables.flights, tables.folded, tables.changes)
}

const LIVE: &str =
    "SELECT id, attempt, coalesce(spared, 0) AS spared, retries, holder, lease_until >= now() AS running, run_at <= now() AS due,
    dies_at <= now() AS dead, lease_until IS NOT NULL AND started_at < pg_postmaster_start_time()
        AND now() < pg_postmaster_start_time() + interval '30 s' AS spared_by_restart
    FROM pgmill.task WHERE id = ANY ($1)";
const FINISHED: &str = "SELECT id, status, attempt, coalesce(spared, 0) AS spared, holder FROM pgmill.task_finished WHERE id = ANY ($1)";
const PAST: &str =
    "SELECT id, attempt, holder, outcome FROM pgmill.task_attempt WHERE id = ANY ($1) ORDER BY id, attempt";
const RECEIPTS: &str = "SELECT g.id, g.attempt, g.holder
    FROM pgmill.task_gone e, unnest(e.ids, e.attempts, e.holders) AS g(id, attempt, holder) WHERE g.id = ANY ($1)";
const RESENT: &str = "SELECT flight FROM pgmill.enqueue_resent ORDER BY flight";
const FOLDED: &str = "SELECT status, sum(n)::bigint AS n FROM pgmill.task_count GROUP BY status";
const CHANGES: &str = "SELECT status, sum(n)::bigint AS n FROM pgmill.task_count_delta GROUP BY status";

const STATUSES: [Status; 7] = [
    Status::New,
    Status::Retry,
    Status::Retained,
    Status::Released,
    Status::Failed,
    Status::Expired,
    Status::Cancelled,
];

const OUTCOMES: [Outcome; 7] = [
    Outcome::Retry,
    Outcome::Failed,
    Outcome::Lapsed,
    Outcome::GivenBack,
    Outcome::Snoozed,
    Outcome::Cancelled,
    Outcome::Expired,
];

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

fn small(number: i32) -> u8 {
    u8::try_from(number).unwrap()
}

fn halved(holder: Option<i64>) -> Option<Holder> {
    holder.map(|holder| holder / 2)
}
