//! Whatever is done, in whatever order: PostgreSQL shows what the model shows.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use pgmill::{
    BatchOptions, CancelError, Claim, EnqueueError, Json, LookupError, Manager, Outcome, QueueError,
    QueueMeta, ReleaseError, Retain, RetryError, Status, Task, TaskFilter, hours, minutes,
};
use pgmill_testkit::TestDatabase;
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof};
use proptest::test_runner::{Config, FileFailurePersistence, TestRunner};
use tokio_postgres::Client;

use crate::model::{Model, ModelQueue, Verdict};
use crate::scene::{builder, is_long, payload};

const QUEUES: [&str; 2] = ["one", "two"];
const REGRESSIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/property.proptest-regressions");

/// Numbers pick from what there is at that time: the n-th, counted round.
#[derive(Debug, Clone)]
enum Op {
    Create { queue: usize, delay: Option<Duration>, priority: u8, key: Option<u8> },
    Retain { queues: Vec<usize>, count: usize },
    Release { nth: usize, outcome: Outcome },
    ReleaseStale { nth: usize, outcome: Outcome },
    Extend { nth: usize },
    Cancel { nth: usize },
    RetryTask { nth: usize },
    Pause { queue: usize, pause: bool },
    Update { queue: usize, retries: u32, ttl: Option<Duration>, keeps_history: bool },
    Delete { queue: usize },
    Register { queue: usize },
    Lapse { nth: usize },
    Outlive { nth: usize },
    ComeDue { nth: usize },
    Maintain,
    Clean { queue: usize },
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let queue = || 0..QUEUES.len();
    let nth = any::<u8>().prop_map(usize::from);
    let delay = prop_oneof![3 => Just(None), 1 => Just(Some(hours(1)))];
    let priority = prop_oneof![Just(0), Just(5), Just(9)];
    let key = prop_oneof![3 => Just(None), 1 => (0..2_u8).prop_map(Some)];
    let create = (queue(), delay, priority, key).prop_map(|(queue, delay, priority, key)| Op::Create {
        queue,
        delay,
        priority,
        key,
    });
    let queues = prop_oneof![Just(vec![0]), Just(vec![1]), Just(vec![1, 0]), Just(vec![])];
    let retain = (queues, 1..4_usize).prop_map(|(queues, count)| Op::Retain { queues, count });
    let release = (nth.clone(), outcome()).prop_map(|(nth, outcome)| Op::Release { nth, outcome });
    let stale = (nth.clone(), outcome()).prop_map(|(nth, outcome)| Op::ReleaseStale { nth, outcome });
    let ttl = prop_oneof![Just(None), Just(Some(hours(1)))];
    let update = (queue(), 1..4_u32, ttl, any::<bool>())
        .prop_map(|(queue, retries, ttl, keeps_history)| Op::Update { queue, retries, ttl, keeps_history });
    let op = prop_oneof![
        12 => create,
        10 => retain,
        10 => release,
        2 => stale,
        2 => nth.clone().prop_map(|nth| Op::Extend { nth }),
        3 => nth.clone().prop_map(|nth| Op::Cancel { nth }),
        4 => nth.clone().prop_map(|nth| Op::RetryTask { nth }),
        2 => (queue(), any::<bool>()).prop_map(|(queue, pause)| Op::Pause { queue, pause }),
        2 => update,
        1 => queue().prop_map(|queue| Op::Delete { queue }),
        2 => queue().prop_map(|queue| Op::Register { queue }),
        3 => nth.clone().prop_map(|nth| Op::Lapse { nth }),
        2 => nth.clone().prop_map(|nth| Op::Outlive { nth }),
        3 => nth.prop_map(|nth| Op::ComeDue { nth }),
        2 => Just(Op::Maintain),
        1 => queue().prop_map(|queue| Op::Clean { queue }),
    ];
    prop::collection::vec(op, 20..60)
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let json = |text: &str| Json::encode(text).expect("a text");
    let retry = move |after| Outcome::Retry { result: json("again"), after };
    prop_oneof![
        3 => Just(Outcome::Done(json("done"))),
        2 => Just(retry(Some(Duration::ZERO))),
        1 => Just(retry(Some(minutes(30)))),
        1 => Just(retry(Some(hours(2)))),
        1 => Just(retry(None)),
        1 => Just(Outcome::Failed(json("failed"))),
        1 => Just(Outcome::GiveBack),
        1 => Just(Outcome::Snooze(Duration::ZERO)),
        1 => Just(Outcome::Snooze(hours(2))),
        1 => Just(Outcome::Cancelled(json("off"))),
    ]
}

struct Run<'a> {
    manager: Manager,
    client: &'a Client,
    model: Model,
    /// Every claim there ever was.
    claims: Vec<Claim>,
    retains: usize,
}

impl Run<'_> {
    async fn step(&mut self, op: &Op) {
        match op {
            Op::Create { queue, delay, priority, key } => self.create(*queue, *delay, *priority, *key).await,
            Op::Retain { queues, count } => self.retain(queues, *count).await,
            Op::Release { nth, outcome } => {
                let running: Vec<Claim> =
                    self.claims.iter().copied().filter(|claim| self.is_running(*claim)).collect();
                if !running.is_empty() {
                    self.release(running[nth % running.len()], outcome).await;
                }
            }
            Op::ReleaseStale { nth, outcome } => {
                if !self.claims.is_empty() {
                    self.release(self.claims[nth % self.claims.len()], outcome).await;
                }
            }
            Op::Extend { nth } => {
                if !self.claims.is_empty() {
                    let claim = self.claims[nth % self.claims.len()];
                    let until = self.manager.extend_leases(&[claim], None).await.unwrap();
                    assert_eq!(until[0].is_some(), self.model.extend(claim));
                }
            }
            Op::Cancel { nth } => {
                if let Some(id) = self.pick(*nth, any_task) {
                    self.cancel(id).await;
                }
            }
            Op::RetryTask { nth } => {
                if let Some(id) = self.pick(*nth, any_task) {
                    self.retry(id).await;
                }
            }
            Op::Pause { queue, pause } => {
                let name = QUEUES[*queue];
                let paused = if *pause {
                    self.manager.pause_queue(name).await
                } else {
                    self.manager.resume_queue(name).await
                };
                match &mut self.model.queues[*queue] {
                    Some(settings) => {
                        settings.paused = *pause;
                        assert_eq!(paused.unwrap().paused_at.is_some(), *pause);
                    }
                    None => assert!(matches!(paused, Err(QueueError::NotFound { .. }))),
                }
            }
            Op::Update { queue, retries, ttl, keeps_history } => {
                let retention = if *keeps_history { hours(24) } else { Duration::ZERO };
                let meta = QueueMeta::patch().retries(u64::from(*retries)).retention(retention);
                let meta = ttl.map_or_else(|| meta.clone().no_ttl(), |ttl| meta.clone().ttl(ttl));
                let updated = self.manager.update_queue(QUEUES[*queue], meta).await;
                match &mut self.model.queues[*queue] {
                    Some(settings) => {
                        assert_eq!(updated.unwrap().retries, *retries);
                        let (ttl, keeps_history, retries) = (*ttl, *keeps_history, *retries);
                        *settings = ModelQueue { ttl, keeps_history, retries, ..settings.clone() };
                    }
                    None => assert!(matches!(updated, Err(QueueError::NotFound { .. }))),
                }
            }
            Op::Delete { queue } => {
                let deleted = self.manager.delete_queue(QUEUES[*queue]).await;
                assert_eq!(deleted.is_ok(), self.model.delete(*queue));
            }
            Op::Register { queue } => {
                self.manager.register_queue(QueueMeta::new(QUEUES[*queue])).await.unwrap();
                self.model.queues[*queue].get_or_insert_default();
            }
            Op::Lapse { nth } => {
                let leased = |model: &Model| {
                    model.tasks.values().filter(|task| task.lease.is_some()).map(|task| task.id).collect()
                };
                if let Some(id) = self.pick(*nth, leased) {
                    self.change(id, "lease_until = now() - interval '1 minute'").await;
                    if let Some(lease) = self.model.tasks.get_mut(&id).and_then(|task| task.lease.as_mut()) {
                        lease.lapsed = true;
                    }
                }
            }
            Op::Outlive { nth } => {
                if let Some(id) = self.pick(*nth, live) {
                    let past = "dies_at = now() - interval '1 minute', lease_until = case
                        when lease_until is not null then now() - interval '1 minute' end";
                    let (_, dies_at) = self.change(id, past).await;
                    let task = self.model.tasks.get_mut(&id).expect("a live task");
                    task.dies_at = dies_at;
                    if let Some(lease) = &mut task.lease {
                        lease.lapsed = true;
                    }
                }
            }
            Op::ComeDue { nth } => {
                let waiting = |model: &Model| {
                    let waits = model.tasks.values().filter(|t| t.finished.is_none() && t.lease.is_none());
                    waits.map(|task| task.id).collect()
                };
                if let Some(id) = self.pick(*nth, waiting) {
                    let (run_at, _) = self.change(id, "run_at = now() - interval '1 minute'").await;
                    self.model.tasks.get_mut(&id).expect("a live task").run_at = run_at;
                }
            }
            Op::Maintain => {
                // What removes history has tests of its own: the model keeps what has ended.
                self.manager.sweep().await.unwrap();
                self.manager.fold_counts().await.unwrap();
                self.model.sweep();
            }
            Op::Clean { queue } => {
                let cleaned = self.manager.clean_queue(QUEUES[*queue]).await.unwrap();
                let expected = self.model.clean(*queue);
                assert_eq!(ids(&cleaned), expected.iter().map(|task| task.id).collect::<Vec<_>>());
                cleaned.iter().zip(&expected).for_each(|(task, expected)| expected.assert_shown(task, false));
            }
        }
    }

    async fn create(&mut self, queue: usize, delay: Option<Duration>, priority: u8, key: Option<u8>) {
        let mut meta = payload(self.model.tasks.len()).priority(priority);
        meta.delay = delay;
        meta.key = key.map(|key| format!("key {key}"));
        let owner = meta.key.as_ref().and_then(|key| self.model.owner(queue, key));
        match self.manager.create_task(QUEUES[queue], meta).await {
            Ok(task) => match owner {
                Some(owner) => self.model.tasks[&owner].assert_shown(&task, false),
                None => self.model.create(queue, delay, &task),
            },
            Err(EnqueueError::NoQueue { .. }) => assert!(self.model.queues[queue].is_none()),
            Err(error) => panic!("{error}"),
        }
    }

    async fn retain(&mut self, queues: &[usize], count: usize) {
        let names: Vec<&str> = queues.iter().map(|queue| QUEUES[*queue]).collect();
        let all: Vec<usize> = (0..QUEUES.len()).collect();
        let expected = self.model.next(if queues.is_empty() { &all } else { queues }, count);
        self.retains += 1;
        let worker = format!("w{}", self.retains);
        let retained = self.manager.next_tasks(&worker, &names, Retain::new().count(count)).await.unwrap();
        assert_eq!(ids(&retained), expected, "what is next");
        for task in &retained {
            self.model.retain(task, &worker);
            self.claims.extend(task.claim());
        }
    }

    fn is_running(&self, claim: Claim) -> bool {
        let task = self.model.tasks.get(&claim.id().unsigned_abs());
        task.and_then(|task| task.lease.as_ref()).is_some_and(|lease| lease.holder == claim.holder())
    }

    async fn release(&mut self, claim: Claim, outcome: &Outcome) {
        let verdict = self.model.release(claim, outcome);
        match self.manager.release_task(claim, outcome.clone()).await {
            Ok(released) => {
                assert_eq!(verdict, Verdict::Ended(released.status), "{outcome:?}");
                let now = released.task.expect("the task");
                let Some(task) = self.model.tasks.get_mut(&released.id) else { return };
                // When it is due is for the database to say, within what was asked for.
                if released.status.is_live() {
                    task.run_at = now.delayed_at.unwrap_or(now.created_at);
                }
                assert_eq!((now.retries, now.attempt), (task.retries(), task.attempt), "{outcome:?}");
            }
            Err(ReleaseError::NotFound { .. }) => assert_eq!(verdict, Verdict::NotFound),
            Err(ReleaseError::NotRetained { .. }) => assert_eq!(verdict, Verdict::NotRetained),
            Err(ReleaseError::Superseded { .. }) => assert_eq!(verdict, Verdict::Superseded),
            Err(error) => panic!("{error}"),
        }
    }

    async fn cancel(&mut self, id: u64) {
        let verdict = self.model.cancel(id);
        match self.manager.cancel_task(id).await {
            Ok(task) => {
                assert_eq!(verdict, Ok(()), "task {id}");
                self.model.tasks[&id].assert_shown(&task, false);
            }
            Err(CancelError::Finished { status, .. }) => assert_eq!(verdict, Err(status), "task {id}"),
            Err(error) => panic!("{error}"),
        }
    }

    async fn retry(&mut self, id: u64) {
        let ttl = self.model.ttl(self.model.tasks[&id].queue);
        let verdict = self.model.retry(id);
        match (self.manager.retry_task(id).await, verdict) {
            (Ok(task), Ok(known)) => {
                known.run_at = task.delayed_at.expect("when it is due");
                known.dies_at = ttl.map(|ttl| known.run_at + ttl);
                known.assert_shown(&task, false);
            }
            (Err(RetryError::NotFinished { status, .. }), Err(Ok(known))) => assert_eq!(status, known),
            (Err(RetryError::KeyTaken { by, .. }), Err(Err(owner))) => assert_eq!(by, owner),
            (retried, verdict) => panic!("task {id}: {retried:?} is not {verdict:?}"),
        }
    }

    fn pick(&self, nth: usize, from: impl Fn(&Model) -> Vec<u64>) -> Option<u64> {
        let from = from(&self.model);
        (!from.is_empty()).then(|| from[nth % from.len()])
    }

    /// Lets time pass for one task, by changing its row; returns its `run_at` and `dies_at`.
    async fn change(&self, id: u64, set: &str) -> (Timestamp, Option<Timestamp>) {
        let id = i64::try_from(id).unwrap();
        let change = format!("update pgmill.task set {set} where id = $1 returning run_at, dies_at");
        let row = self.client.query_one(&change, &[&id]).await.unwrap();
        (row.get(0), row.get(1))
    }

    /// Compares all that can be seen.
    async fn compare(&self) {
        let all = self.manager.list_tasks(TaskFilter::new()).await.unwrap();
        assert_eq!(ids(&all.body), self.model.tasks.keys().copied().collect::<Vec<_>>(), "all tasks");
        assert_eq!(all.count, self.model.tasks.len() as u64);
        for (task, known) in all.body.iter().zip(self.model.tasks.values()) {
            known.assert_shown(task, false);
        }
        let statuses = self.manager.list_queue_statuses().await.unwrap();
        let queues = self.model.queues.iter().flatten().count();
        assert_eq!(statuses.len(), 7 * queues);
        for counted in statuses {
            let queue = QUEUES.iter().position(|name| *name == counted.queue.as_str()).unwrap();
            let known = self.model.tasks.values();
            let known = known.filter(|task| task.queue == queue && task.stored() == counted.status).count();
            assert_eq!(counted.count, known as u64, "{:?} tasks of {}", counted.status, counted.queue);
        }
    }

    /// Compares what takes many requests.
    async fn compare_all(&self, ever: &[u64]) {
        for id in ever {
            match (self.manager.get_task(*id).await, self.model.tasks.get(id)) {
                (Ok(task), Some(known)) => known.assert_shown(&task, true),
                (Err(LookupError::NotFound { .. }), None) => {}
                (shown, known) => panic!("{shown:?} is not {known:?}"),
            }
        }
        for (queue, name) in QUEUES.iter().enumerate() {
            for status in [
                Status::New,
                Status::Retry,
                Status::Retained,
                Status::Released,
                Status::Failed,
                Status::Expired,
                Status::Cancelled,
            ] {
                let filter = TaskFilter::new().queue(name.parse().unwrap()).status(status);
                let shown = self.manager.list_tasks(filter).await.unwrap();
                let known = self.model.tasks.values();
                let known: Vec<_> =
                    known.filter(|t| t.queue == queue && t.status() == status).map(|t| t.id).collect();
                assert_eq!(ids(&shown.body), known, "{status:?} tasks of {name}");
            }
        }
    }
}

fn any_task(model: &Model) -> Vec<u64> {
    model.tasks.keys().copied().collect()
}

fn live(model: &Model) -> Vec<u64> {
    model.tasks.values().filter(|task| task.finished.is_none()).map(|task| task.id).collect()
}

fn ids(tasks: &[Task]) -> Vec<u64> {
    tasks.iter().map(|task| task.id).collect()
}

#[test]
fn postgresql_shows_what_the_model_shows() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (database, client, manager) = runtime.block_on(async {
        let database = TestDatabase::create().await;
        let client = database.connect().await;
        let manager = builder(database.url()).batching(BatchOptions::default().floors(false)).await.unwrap();
        (database, client, manager)
    });
    let config = Config {
        cases: if is_long() { 1_000 } else { 64 },
        max_shrink_iters: 300,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(REGRESSIONS))),
        ..Config::default()
    };
    let cases = AtomicUsize::new(0);
    let outcome = TestRunner::new(config).run(&ops(), |ops| {
        // Each case has a namespace of its own.
        let namespace = format!("case-{}", cases.fetch_add(1, Ordering::Relaxed));
        runtime.block_on(async {
            let manager = manager.with_namespace(&namespace).unwrap();
            let mut run =
                Run { manager, client: &client, model: Model::default(), claims: Vec::new(), retains: 0 };
            let mut ever = Vec::new();
            run.step(&Op::Register { queue: 0 }).await;
            for op in &ops {
                run.step(op).await;
                run.compare().await;
                ever.extend(run.model.tasks.keys().next_back());
            }
            ever.sort_unstable();
            ever.dedup();
            run.compare_all(&ever).await;
        });
        Ok(())
    });
    drop(database);
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
