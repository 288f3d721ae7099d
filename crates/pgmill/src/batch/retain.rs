//! The retain batcher.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pgmill_schema::{Task, WorkerName};
use pgmill_store::{Caller, Demand, Retained, Store, StoreError};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::batcher::{Batcher, Flight};
use super::floors::Floors;
use super::release::{ReleaseFlight, give_back};
use super::settle::Pauses;
use crate::error::RetainError;
use crate::maintenance::ensure_partitions;

/// How many holders whose answer was lost are remembered. A task retained by an older one comes back when its lease
/// lapses.
const LOST_HOLDERS: usize = 64;
/// The low bits of a holder count the flights of a process; the others are random.
const FLIGHT_BITS: u32 = 23;

/// Somebody who waits for tasks.
pub(crate) struct RetainCall {
    pub(crate) demand: Demand,
    pub(crate) want: i32,
    pub(crate) worker: WorkerName,
    pub(crate) lease: Option<i64>,
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
    settle: Duration,
    /// The next holder. Each statement has one of its own, so that a retain that is lost in a crash of the server is
    /// told from its repetition even within this process.
    next_holder: AtomicI64,
    lost: Mutex<VecDeque<i64>>,
}

impl RetainFlight {
    pub(crate) fn new(
        store: Store,
        releases: Batcher<ReleaseFlight>,
        floors: Arc<Floors>,
        settle: Duration,
    ) -> Self {
        let next_holder = AtomicI64::new(first_holder());
        Self { store, releases, floors, settle, next_holder, lost: Mutex::default() }
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
        let (demands, callers) = sum_up(&calls);
        let mut pauses = Pauses::within(self.settle);
        let retained = loop {
            match self.retain(&demands, &callers).await {
                Err(StoreError::Lost(_) | StoreError::Contended(_)) if pauses.pause().await => {}
                Err(StoreError::PartitionMissing(_))
                    if ensure_partitions(&self.store).await.is_ok() && pauses.pause().await => {}
                retained => break retained,
            }
        };
        match retained {
            Ok(retained) => self.deal(calls, retained),
            Err(error) => {
                let error = RetainError::Store(error.into());
                // A caller that went away does not need its answer.
                calls.into_iter().for_each(|call| drop(call.answer.send(Err(error.clone()))));
            }
        }
    }
}

impl RetainFlight {
    async fn retain(&self, demands: &[Demand], callers: &[Caller]) -> Result<Vec<Retained>, StoreError> {
        let holder = self.next_holder.fetch_add(1, Ordering::Relaxed);
        let lost: Vec<i64> = self.lost().iter().copied().collect();
        let floors = self.floors.get(demands);
        let started = Instant::now();
        let answer = self.store.retain(demands, callers, &floors, holder, &lost).await;
        match &answer {
            Ok(retained) => self.floors.learn(retained, floors.is_empty(), started.elapsed()),
            Err(StoreError::Lost(_)) => {
                let mut lost = self.lost();
                lost.truncate(LOST_HOLDERS - 1);
                lost.push_front(holder);
            }
            Err(_) => {}
        }
        answer
    }

    fn deal(&self, calls: Vec<RetainCall>, mut retained: Vec<Retained>) {
        // An update answers its rows in no promised order.
        retained.sort_by_key(|one| (one.task.priority, one.run_at, one.task.id));
        let mut hands: Vec<Vec<Task>> = calls.iter().map(|_| Vec::new()).collect();
        for Retained { caller, task, .. } in retained {
            hands[caller].push(task);
        }
        for (call, tasks) in calls.into_iter().zip(hands) {
            let handoff = Handoff { tasks, releases: self.releases.clone() };
            // To a caller that went away nothing is handed: dropping it gives the tasks back.
            drop(call.answer.send(Ok(handoff)));
        }
    }

    fn lost(&self) -> std::sync::MutexGuard<'_, VecDeque<i64>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
            Caller { demand, want: call.want, worker: call.worker.clone(), lease: call.lease }
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
