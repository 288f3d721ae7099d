//! Where to start looking for due tasks.
//!
//! A claim walks an index from its left edge. Normally that is where the due tasks are. While a transaction is held open
//! anywhere in the database, though, VACUUM can remove nothing, and the entries of all tasks that ended since lie there,
//! dead, to be walked by every claim. A floor is the place this process has reached in a queue and priority; a claim that
//! starts there walks none of them.
//!
//! ```text
//!   task_ready:  x x x x x x x x x x x x x o o o o o o        x dead   o waiting
//!                ▲ left edge            ▲ floor: the last one claimed
//! ```
//!
//! What lies left of the floor is not seen: a task whose enqueue began before and committed after it was passed, a lapsed
//! lease, a row that was locked when it was passed. So floors are used only while they pay: a claim from the left edge
//! that was slow for what it found switches them on, for 20 times the time it lost, at least a second; then the left edge
//! is claimed from again. That bounds both what is spent on dead entries (a twentieth) and the wait of a task left of a
//! floor. Tasks created by this process lower its floor themselves, and for the commits of others a floor stays a margin
//! behind the present.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pgmill_schema::{Namespace, QueueName, Task};
use pgmill_store::{Demand, Floor, Retained};
use tokio::time::Instant;

/// How long other processes' commits may take to become visible.
const MARGIN: SignedDuration = SignedDuration::from_millis(100);
/// What a claim may take, by itself and for each task it found, before it is slow.
const CLAIM: Duration = Duration::from_millis(5);
const CLAIM_PER_TASK: Duration = Duration::from_micros(20);
/// How long floors are used at least, and how many times what the left edge cost.
const SHORTEST: Duration = Duration::from_secs(1);
const COST_RATIO: u32 = 20;

#[derive(Default)]
pub(crate) struct Floors {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    queues: HashMap<Namespace, HashMap<QueueName, Places>>,
    used_until: Option<Instant>,
}

/// The floors of a queue, by priority.
struct Places {
    queue_id: i32,
    at: [Option<Place>; 10],
}

/// A place in the order of tasks: when one is due, and its id.
pub(crate) type Place = (Timestamp, i64);

impl Floors {
    /// The floors to claim from; none while claims from the left edge are cheap.
    pub(crate) fn get(&self, demands: &[Demand]) -> Vec<Floor> {
        let state = self.state();
        if state.used_until.is_none_or(|until| Instant::now() >= until) {
            return Vec::new();
        }
        let mut floors = HashMap::new();
        for demand in demands {
            let Some(queues) = state.queues.get(&demand.namespace) else { continue };
            if demand.queues.is_empty() {
                queues.values().for_each(|places| places.collect(&mut floors));
            }
            for places in demand.queues.iter().filter_map(|queue| queues.get(queue)) {
                places.collect(&mut floors);
            }
        }
        floors.into_values().collect()
    }

    /// Learns from a claim: from the places it reached, and, if it started at the left edge, from its cost.
    pub(crate) fn learn(&self, retained: &[Retained], from_left_edge: bool, took: Duration) {
        let mut state = self.state();
        for Retained { queue_id, run_at, task, .. } in retained {
            let queues = state.queues.entry(task.namespace.clone()).or_default();
            let places = queues
                .entry(task.queue.clone())
                .or_insert_with(|| Places { queue_id: *queue_id, at: [None; 10] });
            if places.queue_id != *queue_id {
                *places = Places { queue_id: *queue_id, at: [None; 10] };
            }
            let at = &mut places.at[usize::from(task.priority.min(9))];
            *at = (*at).max(Some(reached(task, *run_at)));
        }
        if from_left_edge {
            let count = u32::try_from(retained.len()).unwrap_or(u32::MAX);
            let lost = took.saturating_sub(CLAIM + CLAIM_PER_TASK * count);
            state.used_until = (!lost.is_zero()).then(|| Instant::now() + (lost * COST_RATIO).max(SHORTEST));
        }
    }

    /// A task has come to wait at this place.
    pub(crate) fn lower(&self, namespace: &Namespace, queue: &QueueName, priority: i16, place: Place) {
        let mut state = self.state();
        let places = state.queues.get_mut(namespace).and_then(|queues| queues.get_mut(queue));
        let Some(places) = places else { return };
        let priority = usize::try_from(priority).unwrap_or(0).min(9);
        if let Some(at) = &mut places.at[priority] {
            *at = (*at).min(place);
        }
    }

    /// Tasks have come to wait in this queue at places that are not known.
    pub(crate) fn forget(&self, namespace: &Namespace, queue: &QueueName) {
        if let Some(queues) = self.state().queues.get_mut(namespace) {
            queues.remove(queue);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    /// A queue may be in several demands, and its floors are wanted once.
    fn collect(&self, floors: &mut HashMap<(i32, i16), Floor>) {
        for (priority, place) in (0_i16..).zip(self.at) {
            if let Some((at, id)) = place {
                let floor = Floor { queue_id: self.queue_id, priority, at, id };
                floors.insert((self.queue_id, priority), floor);
            }
        }
    }
}

/// The place of a claimed task, or the margin before its claim, whichever comes first. Both times are the database's.
fn reached(task: &Task, run_at: Timestamp) -> Place {
    let id = i64::try_from(task.id).unwrap_or_default();
    let latest = task.started_at.unwrap_or(run_at).saturating_sub(MARGIN).unwrap_or(run_at);
    (run_at, id).min((latest, 0))
}
