//! Which queue may have how many of the slots.
//!
//! Slots are shared by weighted max-min: every queue that has tasks is owed its part of the slots by weight, and what it
//! cannot use is owed to the others. A part need not be a whole number: with one slot and two queues, each is owed half
//! of it. So a queue may hold up to its part rounded up, and a slot that several may have goes to the one that was served
//! least for its weight.
//!
//! Nothing here looks at a clock or at the database.

/// What is known of one queue, or of several that share a handler.
#[derive(Debug, Clone)]
pub(super) struct Share {
    /// How much it counts beside the others; at least 1.
    pub(super) weight: u32,
    /// How many of its tasks may run at once; at least 1.
    pub(super) concurrency: usize,
    pub(super) running: usize,
    /// Retained, and not started yet.
    pub(super) waiting: usize,
    /// Asked for, and not answered yet.
    pub(super) asking: usize,
    /// Whether there may be tasks in the database.
    pub(super) wants: bool,
    /// Whether it may be asked for now.
    pub(super) may_ask: bool,
    /// How many tasks to keep in reserve for each slot; 0 for tasks that take long.
    pub(super) depth: f64,
    /// How often it was served for its weight.
    pub(super) served: f64,
}

impl Share {
    fn holding(&self) -> usize {
        self.running + self.waiting + self.asking
    }

    /// How many slots it could use.
    fn demand(&self) -> usize {
        if self.wants { self.concurrency } else { self.holding().min(self.concurrency) }
    }

    /// How much it would have been served after so many tasks more.
    fn served_with(&self, more: usize) -> f64 {
        self.served + (self.waiting + self.asking + more) as f64 / f64::from(self.weight)
    }
}

/// The slots each is owed: in proportion to the weights, but to nobody more than it can use.
pub(super) fn parts(workers: usize, shares: &[Share]) -> Vec<f64> {
    let mut parts = vec![0.0; shares.len()];
    let mut open: Vec<usize> = (0..shares.len()).collect();
    let mut left = workers as f64;
    loop {
        let weight: f64 = open.iter().map(|&index| f64::from(shares[index].weight)).sum();
        let level = left / weight;
        let content =
            |index: &usize| shares[*index].demand() as f64 <= level * f64::from(shares[*index].weight);
        let (satisfied, others): (Vec<usize>, Vec<usize>) = open.iter().copied().partition(content);
        if satisfied.is_empty() {
            for index in others {
                parts[index] = level * f64::from(shares[index].weight);
            }
            return parts;
        }
        for index in satisfied {
            parts[index] = shares[index].demand() as f64;
            left -= parts[index];
        }
        open = others;
    }
}

/// How many tasks to ask for, for each.
///
/// What is asked for can be started at once, or as soon as tasks end that are known to be short; beyond that there is
/// only the reserve of those whose own tasks are short.
pub(super) fn asks(workers: usize, shares: &[Share]) -> Vec<usize> {
    let parts = parts(workers, shares);
    // A hair below, so that a part that is a whole number stays one.
    let mosts: Vec<usize> = parts.iter().map(|part| (part - 1e-9).ceil().max(0.0) as usize).collect();
    let held: usize = shares.iter().map(Share::holding).sum();
    // Short tasks of those who hold more than their part make room at once.
    let soon: usize = shares
        .iter()
        .zip(&mosts)
        .filter(|(share, _)| share.depth > 0.0)
        .map(|(share, most)| (share.running + share.waiting).saturating_sub(*most))
        .sum();
    let mut room = workers.saturating_sub(held) + soon;
    let mut asks = vec![0; shares.len()];
    while room > 0 {
        let hungry = (0..shares.len()).filter(|&index| {
            let share = &shares[index];
            share.wants && share.may_ask && share.holding() + asks[index] < mosts[index]
        });
        let next = hungry.min_by(|&one, &other| {
            shares[one].served_with(asks[one] + 1).total_cmp(&shares[other].served_with(asks[other] + 1))
        });
        let Some(next) = next else { break };
        asks[next] += 1;
        room -= 1;
    }
    for (index, share) in shares.iter().enumerate() {
        let reserve = (parts[index] * share.depth) as usize;
        let holding = share.holding() + asks[index];
        if !share.wants || !share.may_ask || holding < mosts[index] {
            continue;
        }
        let missing = reserve.saturating_sub(holding - mosts[index]);
        // A reserve is filled up when half of it is gone: a statement for each task would cost more than it gains.
        if asks[index] > 0 || missing * 2 >= reserve {
            asks[index] += missing;
        }
    }
    asks
}

/// Which of them has its next waiting task started, if there is a free slot: of those that may, the one served least.
pub(super) fn next_to_start<'a>(
    lanes: impl Iterator<Item = (usize, &'a super::lane::Lane)>,
) -> Option<usize> {
    lanes
        .filter(|(_, lane)| lane.can_start())
        .min_by(|(_, one), (_, other)| one.served_next().total_cmp(&other.served_next()))
        .map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn busy(weight: u32, running: usize) -> Share {
        Share {
            weight,
            concurrency: 1_000,
            running,
            waiting: 0,
            asking: 0,
            wants: true,
            may_ask: true,
            depth: 0.0,
            served: 0.0,
        }
    }

    #[test]
    fn parts_follow_the_weights() {
        assert_eq!(parts(8, &[busy(3, 0), busy(1, 0)]), [6.0, 2.0]);
        assert_eq!(parts(1, &[busy(1, 0), busy(1, 0)]), [0.5, 0.5]);
    }

    #[test]
    fn what_one_cannot_use_the_others_get() {
        let few = Share { concurrency: 2, ..busy(5, 0) };
        let idle = Share { wants: false, ..busy(9, 1) };
        assert_eq!(parts(10, &[few, busy(1, 0), idle]), [2.0, 7.0, 1.0]);
        assert_eq!(parts(10, &[]), [] as [f64; 0]);
    }

    #[test]
    fn a_queue_alone_has_all_slots() {
        assert_eq!(asks(8, &[busy(1, 0)]), [8]);
        assert_eq!(asks(8, &[busy(1, 5)]), [3]);
    }

    #[test]
    fn free_slots_go_to_who_holds_less_than_its_part() {
        assert_eq!(asks(8, &[busy(1, 7), busy(1, 0)]), [0, 1]);
        assert_eq!(asks(8, &[busy(3, 4), busy(1, 0)]), [2, 2]);
    }

    #[test]
    fn a_slot_that_several_are_owed_goes_to_the_one_served_least() {
        let served = |weight, served| Share { served, ..busy(weight, 0) };
        assert_eq!(asks(1, &[served(1, 5.0), served(1, 4.0)]), [0, 1]);
        assert_eq!(asks(1, &[served(1, 4.0), served(1, 5.0)]), [1, 0]);
    }

    #[test]
    fn long_tasks_have_no_reserve_and_short_ones_up_to_their_depth() {
        assert_eq!(asks(8, &[busy(1, 8)]), [0]);
        let short = Share { depth: 1.0, ..busy(1, 8) };
        assert_eq!(asks(8, std::slice::from_ref(&short)), [8]);
        assert_eq!(asks(8, &[Share { waiting: 3, ..short.clone() }]), [5]);
        assert_eq!(asks(8, &[Share { waiting: 5, ..short }]), [0], "still half full");
    }

    #[test]
    fn a_newcomer_need_not_wait_for_the_reserve_of_short_tasks() {
        let flood = Share { depth: 1.0, waiting: 8, ..busy(1, 8) };
        assert_eq!(asks(8, &[flood, busy(1, 0)]), [0, 4]);
    }

    #[test]
    fn a_newcomer_waits_for_long_tasks_in_the_database() {
        assert_eq!(asks(8, &[busy(1, 8), busy(1, 0)]), [0, 0]);
    }

    fn share() -> impl Strategy<Value = Share> {
        (1_u32..20, 1_usize..40, 0_usize..40, 0_usize..20, 0_usize..20, any::<(bool, bool)>(), 0_u8..3)
            .prop_map(|(weight, concurrency, running, waiting, asking, (wants, may_ask), depth)| Share {
                weight,
                concurrency,
                running: running.min(concurrency),
                waiting,
                asking,
                wants,
                may_ask,
                depth: f64::from(depth) / 2.0,
                served: f64::from(weight) * 0.37,
            })
    }

    proptest! {
        #[test]
        fn parts_never_exceed_the_slots_or_the_demand_and_waste_nothing(
            workers in 1_usize..200, shares in prop::collection::vec(share(), 0..8),
        ) {
            let parts = parts(workers, &shares);
            let total: f64 = parts.iter().sum();
            let demand: usize = shares.iter().map(Share::demand).sum();
            prop_assert!((total - demand.min(workers) as f64).abs() < 1e-6, "{parts:?}");
            for (part, share) in parts.iter().zip(&shares) {
                prop_assert!(*part <= share.demand() as f64 + 1e-9);
            }
        }

        /// Nobody could have more without taking from one that has no more for its weight.
        #[test]
        fn parts_are_fair(workers in 1_usize..200, shares in prop::collection::vec(share(), 2..8)) {
            let parts = parts(workers, &shares);
            for (one, part) in parts.iter().enumerate() {
                let content = *part >= shares[one].demand() as f64 - 1e-9;
                for (other, more) in parts.iter().enumerate() {
                    let (per, per_other) =
                        (part / f64::from(shares[one].weight), more / f64::from(shares[other].weight));
                    prop_assert!(content || per >= per_other - 1e-6, "{one} and {other} of {parts:?}");
                }
            }
        }

        #[test]
        fn without_reserves_only_free_slots_are_asked_for_and_no_limit_is_exceeded(
            workers in 1_usize..200, shares in prop::collection::vec(share(), 0..8),
        ) {
            let shares: Vec<Share> = shares.into_iter().map(|share| Share { depth: 0.0, ..share }).collect();
            let asks = asks(workers, &shares);
            let held: usize = shares.iter().map(Share::holding).sum();
            let free = workers.saturating_sub(held);
            prop_assert!(asks.iter().sum::<usize>() <= free);
            for (ask, share) in asks.iter().zip(&shares) {
                prop_assert!(*ask == 0 || share.holding() + ask <= share.concurrency);
                prop_assert!(*ask == 0 || (share.wants && share.may_ask));
            }
        }

        /// No slot stays free that somebody could use and may ask for.
        #[test]
        fn free_slots_are_used(workers in 1_usize..200, shares in prop::collection::vec(share(), 1..8)) {
            let shares: Vec<Share> = shares
                .into_iter()
                .map(|share| Share { wants: true, may_ask: true, depth: 0.0, waiting: 0, asking: 0, ..share })
                .collect();
            let asks = asks(workers, &shares);
            let held: usize = shares.iter().map(Share::holding).sum();
            // Who holds more than its part keeps it until its tasks end, and the others get what is left.
            let usable: usize = shares.iter().map(|share| share.concurrency - share.running).sum();
            let over: usize = shares
                .iter()
                .zip(parts(workers, &shares))
                .map(|(share, part)| share.running.saturating_sub(part as usize))
                .sum();
            let expected = workers.saturating_sub(held).min(usable).saturating_sub(over);
            prop_assert!(asks.iter().sum::<usize>() >= expected, "{asks:?} of {expected}");
        }

        /// Tasks that take equally long, and queues that are never empty: in the long run each runs as many as its
        /// weight is worth, also with fewer slots than queues.
        #[test]
        fn in_the_long_run_shares_are_as_the_weights(
            workers in 1_usize..6, weights in prop::collection::vec(1_u32..6, 1..5),
        ) {
            let mut shares: Vec<Share> = weights.iter().map(|weight| busy(*weight, 0)).collect();
            let mut runs = vec![0_usize; shares.len()];
            let rounds = 2_000;
            for _ in 0..rounds {
                let asks = asks(workers, &shares);
                prop_assert_eq!(asks.iter().sum::<usize>(), workers);
                for ((share, run), ask) in shares.iter_mut().zip(&mut runs).zip(asks) {
                    share.served += ask as f64 / f64::from(share.weight);
                    *run += ask;
                }
            }
            let total: u32 = weights.iter().sum();
            for (run, weight) in runs.iter().zip(&weights) {
                let expected = (rounds * workers) as f64 * f64::from(*weight) / f64::from(total);
                prop_assert!((*run as f64 / expected - 1.0).abs() < 0.02, "{runs:?} for {weights:?}");
            }
        }
    }
}
