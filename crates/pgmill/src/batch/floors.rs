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
//! lease, a row that was locked when it was passed. So floors are used only while they pay: two claims from the left edge
//! in turn that were slow for what they found switch them on, for 20 times the time that was lost, from one second to four;
//! then the left edge is claimed from again, and one slow claim is enough. That bounds both what is spent on dead entries
//! (a twentieth, unless a claim takes 0.2 s) and the wait of a task left of a floor. A claim is judged beside others that do
//! not look, and only if another came just before it: after a pause everything is slow. A judgement holds for a while, so
//! that an idle process does not keep itself busy by judging.
//!
//! Even then the floors come first, and the left edge is left to those who found nothing at them, so that nobody waits for it
//! in vain: with thousands of leased tasks at the head of a queue, it is slow whenever it is looked at. Only
//! where the floors never leave anybody without a task it is looked at all the same, after 4 s.
//!
//! ```text
//!             slow                     20 × what was lost is over
//!   left edge ────▶ floors alone ──────────────────────────────────▶ floors first ──┐
//!       ▲                ▲                                                │         │ found: stays, at most 4 s
//!       │ fast           └──── slow ──── left edge ◀──────────────────────┘ nothing │
//!       └───────────────────────────────────┘                             ▲         │
//!                                                                         └─────────┘
//! ```
//!
//! A slow claim that found less than was wanted has seen all there was: then there is a floor for each queue that was
//! asked for, at the time of the claim, whether anything was ever claimed from it or not. Not so where any queue was asked for
//! of more than a hundred: it is their number that takes the time, and ten floors for each would make it longer.
//!
//! Tasks created by this process lower its floor themselves, and for the commits of others a floor stays a margin
//! behind the present.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pgmill_schema::{Namespace, QueueName, Task};
use pgmill_store::{Demand, Enqueued, Floor, NewTask, Retained};
use tokio::time::Instant;

/// How long other processes' commits may take to become visible.
const MARGIN: SignedDuration = SignedDuration::from_millis(100);
/// What a claim may take, by itself and for each task it found, before it is looked into.
const CLAIM: Duration = Duration::from_millis(1);
const CLAIM_PER_TASK: Duration = Duration::from_micros(20);
/// What it may take beside that, and beside a quarter more than a claim that does not look.
const SLACK: Duration = Duration::from_micros(200);
/// How often that is compared.
const COMPARE_EVERY: Duration = Duration::from_secs(1);
/// How long floors are used at least and at most, and how many times what the left edge cost. The most is what a task whose
/// lease has lapsed waits for, left of a floor.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(4);
const COST_RATIO: u32 = 20;
/// How soon after another a claim must come for its time to tell something: after a pause everything is slow.
const WARM: Duration = Duration::from_millis(100);
/// For how long claims that were found to be slow are taken to be so, as long as they take their time.
const SLOW_FOR: Duration = Duration::from_secs(30);
/// For how long a claim that was found not to be slow clears others like it, at most.
const CLEAR_FOR: Duration = Duration::from_secs(60);
/// The same for claims that take longer: a busy machine is not told from a slow claim all the time.
const CLEAR_OTHERS_FOR: Duration = Duration::from_secs(30);
/// How long the left edge is put off for claims that the floors satisfy.
const PATIENCE: Duration = Duration::from_secs(4);
/// The most queues whose floors are raised all at once for a demand that names none.
const RAISED: usize = 100;

pub(crate) struct Floors {
    state: Mutex<State>,
    used: bool,
}

#[derive(Default)]
struct State {
    queues: HashMap<Namespace, HashMap<QueueName, Places>>,
    used_until: Option<Instant>,
    /// Since when the left edge is put off.
    put_off_since: Option<Instant>,
    compared: Option<Instant>,
    /// When the last claim was answered.
    answered: Option<Instant>,
    /// How long a claim took that was found not to be slow, and for how long others that take less than twice as long are
    /// taken for the same.
    cleared: Duration,
    clear_for: Duration,
    /// What was lost by the last claim from the left edge, if that was slow.
    lost: Option<Duration>,
}

/// Where to claim from.
pub(crate) enum Start {
    /// The left edge: it is cheap, or has to be looked at.
    LeftEdge,
    /// The floors.
    Floors(Vec<Floor>),
    /// The floors, and then the left edge for those who found nothing.
    FloorsFirst(Vec<Floor>),
}

/// The floors of a queue, by priority.
#[derive(Clone, Copy)]
struct Places {
    queue_id: i32,
    at: [Option<Place>; 10],
}

/// A place in the order of tasks: when one is due, and its id.
pub(crate) type Place = (Timestamp, i64);

impl Floors {
    /// Unused, every claim starts at the left edge.
    pub(crate) fn new(used: bool) -> Self {
        Self { state: Mutex::default(), used }
    }

    /// Where to claim from.
    pub(crate) fn start(&self, demands: &[Demand]) -> Start {
        let mut state = self.state();
        let Some(until) = state.used_until else { return Start::LeftEdge };
        let now = Instant::now();
        if now < until {
            return Start::Floors(state.floors(demands));
        }
        if now - *state.put_off_since.get_or_insert(now) < PATIENCE {
            return Start::FloorsFirst(state.floors(demands));
        }
        Start::LeftEdge
    }

    /// Learns from a claim: from the places it reached, and, if it started at the left edge, from its cost. Returns what it
    /// took beyond what it found, if that may have been slow: it is to be [compared](Self::compare).
    pub(crate) fn learn(
        &self,
        retained: &[Retained],
        from_left_edge: bool,
        took: Duration,
    ) -> Option<Duration> {
        if !self.used {
            return None;
        }
        let mut state = self.state();
        let of_one_queue = |one: &Retained, next: &Retained| {
            one.queue_id == next.queue_id && one.task.queue == next.task.queue
        };
        for retained in retained.chunk_by(of_one_queue) {
            let Some(Retained { queue_id, task, .. }) = retained.first() else { continue };
            let queues = state.queues.entry(task.namespace.clone()).or_default();
            let places = Places::of(queues, &task.queue, *queue_id);
            for Retained { run_at, task, .. } in retained {
                let at = &mut places.at[usize::from(task.priority.min(9))];
                *at = (*at).max(Some(reached(task, *run_at)));
            }
        }
        let now = Instant::now();
        let warm = state.answered.replace(now).is_some_and(|before| now - before < took + WARM);
        if !from_left_edge {
            return None;
        }
        state.put_off_since = None;
        let was_slow = state.used_until.take().is_some();
        let count = u32::try_from(retained.len()).unwrap_or(u32::MAX);
        let took = took.saturating_sub(CLAIM_PER_TASK * count);
        if !warm {
            return None;
        }
        if took < CLAIM {
            state.lost = None;
            return None;
        }
        let known_for = if was_slow {
            SLOW_FOR
        } else if took < state.cleared * 2 {
            state.clear_for
        } else {
            state.clear_for.clamp(COMPARE_EVERY, CLEAR_OTHERS_FOR)
        };
        if state.compared.is_some_and(|at| now - at < known_for) {
            state.used_until = was_slow.then(|| now + SHORTEST);
            return None;
        }
        state.compared = Some(now);
        Some(took)
    }

    /// Compares what a claim took with one that does not look: in both may be a network, or a busy machine.
    /// Returns whether claims are slow: this one and the one before. One alone may have met a busy moment, and what lies left
    /// of a floor would wait for nothing.
    pub(crate) fn compare(&self, took: Duration, nothing: Duration) -> bool {
        let lost = took.saturating_sub(nothing + nothing / 4 + SLACK);
        let mut state = self.state();
        if lost.is_zero() {
            state.lost = None;
            state.cleared = took;
            state.clear_for = (state.clear_for * 2).clamp(COMPARE_EVERY, CLEAR_FOR);
            return false;
        }
        (state.cleared, state.clear_for) = (Duration::ZERO, Duration::ZERO);
        let Some(before) = state.lost.replace(lost) else {
            // The next one is looked into at once.
            state.compared = None;
            return false;
        };
        let time = (lost.min(before) * COST_RATIO).clamp(SHORTEST, LONGEST);
        state.used_until = Some(Instant::now() + time);
        true
    }

    /// Nothing was left in these queues of the demand, told with the time of the database, by a claim that began so long before.
    pub(crate) fn raise(&self, demand: &Demand, wanted: &[(i32, QueueName, Timestamp)], began: Duration) {
        if demand.queues.is_empty() && wanted.len() > RAISED {
            return;
        }
        let mut state = self.state();
        let queues = state.queues.entry(demand.namespace.clone()).or_default();
        for (queue_id, queue, now) in wanted {
            let claimed = now.checked_sub(began).and_then(|claimed| claimed.checked_sub(MARGIN));
            let Ok(latest) = claimed else { continue };
            for at in &mut Places::of(queues, queue, *queue_id).at {
                *at = (*at).max(Some((latest, 0)));
            }
        }
    }

    /// A task may have come to wait.
    pub(crate) fn arrived(&self, task: &NewTask, enqueued: &Enqueued) {
        match enqueued {
            Enqueued::Created { run_at, .. } => {
                self.lower(&task.namespace, &task.queue, task.priority, (*run_at, task.id));
            }
            Enqueued::Settled => self.forget(&task.namespace, &task.queue),
            Enqueued::KeyTaken(_) | Enqueued::NoQueue | Enqueued::DelayedInPast => {}
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

impl State {
    fn floors(&self, demands: &[Demand]) -> Vec<Floor> {
        let mut floors = HashMap::new();
        for demand in demands {
            let Some(queues) = self.queues.get(&demand.namespace) else { continue };
            if demand.queues.is_empty() {
                queues.values().for_each(|places| places.collect(&mut floors));
            }
            for places in demand.queues.iter().filter_map(|queue| queues.get(queue)) {
                places.collect(&mut floors);
            }
        }
        floors.into_values().collect()
    }
}

impl Places {
    /// Those of a queue. One of another id is another queue, which had the name before.
    fn of<'a>(queues: &'a mut HashMap<QueueName, Self>, queue: &QueueName, queue_id: i32) -> &'a mut Self {
        let none = Self { queue_id, at: [None; 10] };
        let places = queues.entry(queue.clone()).or_insert(none);
        if places.queue_id != queue_id {
            *places = none;
        }
        places
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Duration = Duration::from_micros(500);
    const SLOW: Duration = Duration::from_millis(20);

    /// A claim from the left edge that takes so long. Returns whether floors are used after it.
    fn claim(floors: &Floors, took: Duration) -> bool {
        // What comes after a pause tells nothing.
        floors.learn(&[], false, NOTHING);
        if let Some(took) = floors.learn(&[], true, took) {
            floors.compare(took, NOTHING);
        }
        matches!(floors.start(&[]), Start::Floors(_))
    }

    #[test]
    fn one_slow_claim_alone_leads_to_no_floors() {
        let floors = Floors::new(true);
        assert!(!claim(&floors, Duration::from_secs(1)));
        assert!(!claim(&floors, NOTHING));
        assert!(!claim(&floors, SLOW));
    }

    #[test]
    fn two_slow_claims_lead_to_floors_for_as_long_as_the_faster_one_says() {
        let floors = Floors::new(true);
        assert!(!claim(&floors, Duration::from_secs(1)));
        assert!(claim(&floors, SLOW));
        let until = floors.state().used_until.unwrap();
        assert!(until <= Instant::now() + SHORTEST);
    }

    #[test]
    fn a_slow_claim_after_a_pause_tells_nothing() {
        let floors = Floors::new(true);
        assert!(floors.learn(&[], true, SLOW).is_none());
        assert!(floors.learn(&[], true, SLOW).is_some());
    }

    #[test]
    fn floors_are_raised_for_all_queues_that_are_named_and_for_a_hundred_of_any() {
        let more = RAISED + 1;
        for (queues, named, raised) in
            [(RAISED, false, 10 * RAISED), (more, false, 0), (more, true, 10 * more)]
        {
            let floors = Floors::new(true);
            assert!(!claim(&floors, SLOW));
            assert!(claim(&floors, SLOW));
            let ids = 1..=i32::try_from(queues).unwrap();
            let wanted = |id: i32| (id, QueueName::new(&format!("queue-{id}")).unwrap(), Timestamp::now());
            let wanted: Vec<_> = ids.map(wanted).collect();
            let names = wanted.iter().filter(|_| named).map(|(_, name, _)| name.clone()).collect();
            let demand = Demand { namespace: Namespace::new("app").unwrap(), queues: names };
            floors.raise(&demand, &wanted, SLOW);
            let Start::Floors(used) = floors.start(&[demand]) else { panic!("floors are used") };
            assert_eq!(used.len(), raised, "of {queues} queues");
        }
    }

    #[test]
    fn floors_are_used_for_four_seconds_at_most() {
        let floors = Floors::new(true);
        assert!(!claim(&floors, Duration::from_secs(30)));
        assert!(claim(&floors, Duration::from_secs(30)));
        let until = floors.state().used_until.unwrap();
        assert!(until <= Instant::now() + LONGEST);
    }
}
