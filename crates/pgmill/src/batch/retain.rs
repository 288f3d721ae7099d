//! The retain batcher.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pgmill_schema::{Task, WorkerName};
use pgmill_store::{Caller, Demand, Floor, Retained, Store, StoreError};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::batcher::{Batcher, Flight};
use super::floors::{Floors, Start};
use super::release::{ReleaseFlight, give_back};
use super::settle::Pauses;
use crate::error::RetainError;
use crate::events::Feed;
use crate::maintenance::ensure_partitions;
use crate::telemetry::{BatchMeters, Meters};

/// How many holders whose answer was lost are remembered. A task retained by an older one comes back when its lease
/// lapses.
const LOST_HOLDERS: usize = 64;
/// How often it is measured what a claim takes that does not look: the least of them is not the noise of a busy machine.
const MEASURED: usize = 3;
/// The low bits of a holder count the flights of a process; the others are random. The lowest bit belongs to the statement,
/// which marks with it what was retained fenced.
const FLIGHT_BITS: u32 = 23;
const NEXT_FLIGHT: i64 = 2;

/// Somebody who waits for tasks.
pub(crate) struct RetainCall {
    pub(crate) demand: Demand,
    pub(crate) want: i32,
    pub(crate) worker: WorkerName,
    pub(crate) lease: Option<i64>,
    pub(crate) fenced: bool,
    pub(crate) answer: oneshot::Sender<Result<Handoff, RetainError>>,
}

/// Retained tasks on their way to a caller. If the caller has gone away, wherever they are when it does, they are given
/// back at once.
pub(crate) struct Handoff {
    tasks: Vec<Task>,
    releases: Batcher<ReleaseFlight>,
}

impl Handoff {
    pub(crate) fn take(mut self) -> Vec<Task> {
        std::mem::take(&mut self.tasks)
    }
}

impl Drop for Handoff {
    fn drop(&mut self) {
        for call in self.tasks.iter().filter_map(give_back) {
            if self.releases.push(call).is_err() {
                tracing::warn!(
                    "a task could not be given back, for the manager is closed: its lease will lapse"
                );
            }
        }
    }
}

pub(crate) struct RetainFlight {
    store: Store,
    releases: Batcher<ReleaseFlight>,
    floors: Arc<Floors>,
    events: Arc<Feed>,
    meters: Arc<Meters>,
    batch_meters: BatchMeters,
    settle: Duration,
    /// The next holder. Each statement has one of its own, so that a retain that is lost in a crash of the server is
    /// told from its repetition even within this process.
    next_holder: AtomicI64,
    lost: Mutex<VecDeque<i64>>,
    suspect: Mutex<Option<Suspect>>,
}

/// A claim that may have been slow.
struct Suspect {
    demands: Vec<Demand>,
    /// Those that it has not found enough for.
    exhausted: Vec<Demand>,
    started: Instant,
    took: Duration,
}

impl RetainFlight {
    pub(crate) fn new(
        store: Store,
        releases: Batcher<ReleaseFlight>,
        (floors, events): (Arc<Floors>, Arc<Feed>),
        (meters, batch_meters): (Arc<Meters>, BatchMeters),
        settle: Duration,
    ) -> Self {
        let next_holder = AtomicI64::new(first_holder());
        Self {
            store,
            releases,
            floors,
            events,
            meters,
            batch_meters,
            settle,
            next_holder,
            lost: Mutex::default(),
            suspect: Mutex::default(),
        }
    }
}

impl Flight for RetainFlight {
    type Call = RetainCall;

    fn bytes(_: &RetainCall) -> usize {
        0
    }

    /// The tasks it asks for.
    fn rows(call: &RetainCall) -> usize {
        usize::try_from(call.want).unwrap_or_default()
    }

    fn is_abandoned(call: &RetainCall) -> bool {
        call.answer.is_closed()
    }

    async fn fly(&self, calls: Vec<RetainCall>) {
        let (demands, _) = sum_up(&calls);
        match self.floors.start(&demands) {
            Start::LeftEdge => self.serve(calls, &[]).await,
            Start::Floors(floors) => self.serve(calls, &floors).await,
            Start::FloorsFirst(floors) => {
                let empty_handed = self.serve_some(calls, &floors).await;
                if !empty_handed.is_empty() {
                    self.serve(empty_handed, &[]).await;
                }
            }
        }
        let suspect = lock(&self.suspect).take();
        if let Some(suspect) = suspect {
            self.look_into(suspect).await;
        }
    }
}

impl RetainFlight {
    /// Answers everybody, with tasks or without.
    async fn serve(&self, calls: Vec<RetainCall>, floors: &[Floor]) {
        for (call, tasks) in self.claim(calls, floors).await {
            self.hand(call, tasks);
        }
    }

    /// Answers those who get tasks, and returns the others.
    async fn serve_some(&self, calls: Vec<RetainCall>, floors: &[Floor]) -> Vec<RetainCall> {
        let (empty_handed, served): (Vec<_>, Vec<_>) =
            self.claim(calls, floors).await.into_iter().partition(|(_, tasks)| tasks.is_empty());
        served.into_iter().for_each(|(call, tasks)| self.hand(call, tasks));
        empty_handed.into_iter().map(|(call, _)| call).collect()
    }

    /// Retains for these calls, and returns them with what each gets. An error is told to all, and none is left.
    async fn claim(&self, calls: Vec<RetainCall>, floors: &[Floor]) -> Vec<(RetainCall, Vec<Task>)> {
        let (demands, callers) = sum_up(&calls);
        let mut pauses = Pauses::within(self.settle);
        let retained = loop {
            match self.retain(&demands, &callers, floors).await {
                Err(StoreError::Lost(_) | StoreError::Contended(_)) if pauses.pause().await => {}
                Err(StoreError::PartitionMissing(_))
                    if ensure_partitions(&self.store).await.is_ok() && pauses.pause().await => {}
                retained => break retained,
            }
            self.batch_meters.retried();
        };
        match retained {
            Ok(retained) => {
                self.meters.retained(retained.iter().map(|one| &one.task));
                retained.iter().for_each(|one| self.events.publish(&one.task));
                deal(calls, retained)
            }
            Err(error) => {
                let error = RetainError::Store(error.into());
                // A caller that went away does not need its answer.
                calls.into_iter().for_each(|call| drop(call.answer.send(Err(error.clone()))));
                Vec::new()
            }
        }
    }

    async fn retain(
        &self,
        demands: &[Demand],
        callers: &[Caller],
        floors: &[Floor],
    ) -> Result<Vec<Retained>, StoreError> {
        let holder = self.next_holder.fetch_add(NEXT_FLIGHT, Ordering::Relaxed);
        let lost: Vec<i64> = lock(&self.lost).iter().copied().collect();
        let started = Instant::now();
        let answer = self.store.retain(demands, callers, floors, holder, &lost).await;
        let wanted = callers.iter().map(|caller| usize::try_from(caller.want).unwrap_or_default()).sum();
        self.batch_meters.sent(wanted, started.elapsed(), &answer);
        match &answer {
            Ok(retained) => {
                if let Some(took) = self.floors.learn(retained, floors.is_empty(), started.elapsed()) {
                    let exhausted = exhausted(demands, callers, retained);
                    let demands = demands.to_vec();
                    *lock(&self.suspect) = Some(Suspect { demands, exhausted, started, took });
                }
            }
            Err(StoreError::Lost(_)) => {
                let mut lost = lock(&self.lost);
                lost.truncate(LOST_HOLDERS - 1);
                lost.push_front(holder);
                drop(lost);
                // So many may be retained now, of which nobody knows.
                for (demand, want) in wanted_each(demands, callers) {
                    self.events.lose(&demand.namespace, want);
                }
            }
            Err(_) => {}
        }
        answer
    }

    /// To a caller that went away nothing is handed: dropping it gives the tasks back.
    fn hand(&self, call: RetainCall, tasks: Vec<Task>) {
        drop(call.answer.send(Ok(Handoff { tasks, releases: self.releases.clone() })));
    }

    /// Looks into a claim that may have been slow. If it was, the floors of queues from which it has taken everything are
    /// raised to when it began.
    async fn look_into(&self, Suspect { demands, exhausted, started, took }: Suspect) {
        // Without an answer the next slow claim is looked into.
        let Some(nothing) = self.without_looking(&demands).await else { return };
        if !self.floors.compare(took, nothing) {
            return;
        }
        for demand in exhausted {
            if let Ok(wanted) = self.store.wanted_queues(&demand).await {
                self.floors.raise(&demand, &wanted, started.elapsed());
            }
        }
    }
}

impl RetainFlight {
    /// How long a claim takes that wants no tasks, and so does not look for any: the way to the database, and what the
    /// statement costs by itself.
    async fn without_looking(&self, demands: &[Demand]) -> Option<Duration> {
        let worker = WorkerName::new("pgmill").ok()?;
        let callers: Vec<Caller> = (0..demands.len())
            .map(|demand| Caller { demand, want: 0, worker: worker.clone(), lease: None, fenced: false })
            .collect();
        let mut least = None;
        for _ in 0..MEASURED {
            let holder = self.next_holder.fetch_add(NEXT_FLIGHT, Ordering::Relaxed);
            let asked = Instant::now();
            self.store.retain(demands, &callers, &[], holder, &[]).await.ok()?;
            let took = asked.elapsed();
            least = Some(least.map_or(took, |least: Duration| least.min(took)));
        }
        least
    }
}

/// The demands that were not met.
fn exhausted(demands: &[Demand], callers: &[Caller], retained: &[Retained]) -> Vec<Demand> {
    let mut missing: Vec<i64> = vec![0; demands.len()];
    callers.iter().for_each(|caller| missing[caller.demand] += i64::from(caller.want));
    retained.iter().for_each(|one| missing[callers[one.caller].demand] -= 1);
    demands
        .iter()
        .zip(missing)
        .filter(|(_, missing)| *missing > 0)
        .map(|(demand, _)| demand.clone())
        .collect()
}

/// How many tasks are wanted of each demand.
fn wanted_each<'a>(
    demands: &'a [Demand],
    callers: &'a [Caller],
) -> impl Iterator<Item = (&'a Demand, u64)> + use<'a> {
    demands.iter().enumerate().map(|(number, demand)| {
        let wants = callers.iter().filter(|caller| caller.demand == number).map(|caller| caller.want);
        (demand, wants.map(|want| u64::try_from(want).unwrap_or_default()).sum())
    })
}

/// The calls, with what each gets.
fn deal(calls: Vec<RetainCall>, mut retained: Vec<Retained>) -> Vec<(RetainCall, Vec<Task>)> {
    // An update answers its rows in no promised order.
    retained.sort_by_key(|one| (one.task.priority, one.run_at, one.task.id));
    let mut dealt: Vec<_> = calls.into_iter().map(|call| (call, Vec::new())).collect();
    for Retained { caller, task, .. } in retained {
        dealt[caller].1.push(task);
    }
    dealt
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The distinct demands of the calls, and the calls as callers for them.
fn sum_up(calls: &[RetainCall]) -> (Vec<Demand>, Vec<Caller>) {
    let mut demands: Vec<Demand> = Vec::new();
    let mut numbers: HashMap<&Demand, usize> = HashMap::new();
    let callers = calls
        .iter()
        .map(|call| {
            let demand = *numbers.entry(&call.demand).or_insert_with(|| {
                demands.push(call.demand.clone());
                demands.len() - 1
            });
            Caller {
                demand,
                want: call.want,
                worker: call.worker.clone(),
                lease: call.lease,
                fenced: call.fenced,
            }
        })
        .collect();
    (demands, callers)
}

/// A random number of 40 bits, above the bits that count flights.
fn first_holder() -> i64 {
    // Without the operating system's random numbers there is nothing to tell holders apart by.
    let random = getrandom::u64().expect("the operating system has random numbers");
    i64::try_from(random >> (64 - 40) << FLIGHT_BITS).unwrap_or(i64::MAX)
}
