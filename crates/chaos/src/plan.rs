//! Which faults a run injects: a function of its seed.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use clap::ValueEnum;

use crate::dice::Dice;

/// What is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Kind {
    /// kill -9 of a worker pool
    KillWorker,
    /// kill -9 of a worker that takes its tasks over HTTP
    KillRemote,
    /// kill -9 of a process that creates tasks
    KillProducer,
    /// kill -9 of `pgmill run`
    KillServer,
    /// kill -9 of the process that runs maintenance
    KillMaintainer,
    /// kill -9 of the worker pools, or the server, as soon as one of them was answered a retain: before it releases anything
    KillAfterRetain,
    /// SIGSTOP of a worker for longer than its leases, then SIGCONT
    StopWorker,
    /// SIGSTOP of the server, then SIGCONT
    StopServer,
    /// the clock of a worker's host jumps, by seconds or days, back or forth
    ClockJump,
    /// a process uses up its own pool of connections, as handlers do that keep theirs
    ExhaustPool,
    /// all connections of some processes are cut
    CutAll,
    /// a connection is cut at some point of an enqueue
    CutEnqueue,
    /// a connection is cut at some point of a retain
    CutRetain,
    /// a connection is cut at some point of a release
    CutRelease,
    /// a connection is cut at some point of an extension of leases
    CutExtend,
    /// a connection stands still at some point of an enqueue
    DelayEnqueue,
    /// a connection stands still at some point of a retain
    DelayRetain,
    /// a connection stands still at some point of a release
    DelayRelease,
    /// a connection falls silent at some point of an enqueue
    SwallowEnqueue,
    /// a connection falls silent at some point of a retain
    SwallowRetain,
    /// a connection falls silent at some point of a release
    SwallowRelease,
    /// what is sent arrives late
    Delay,
    /// what is sent is lost, and nobody is told
    Swallow,
    /// connections are cut, and no new ones accepted
    Refuse,
    /// sessions are ended by `pg_terminate_backend`
    Terminate,
    /// other sessions take every connection that PostgreSQL has
    Exhaust,
    /// somebody locks tasks one by one, in adverse order, and keeps them locked
    LockRows,
    /// somebody locks the table of tasks
    LockTable,
    /// statements fail by serialization failures and deadlocks
    Conflicts,
    /// somebody holds a transaction open
    HoldTransaction,
    /// PostgreSQL is stopped as in a crash, and started again
    Crash,
    /// the same, as soon as a retain was answered, or its answer was lost: before its commit is on disk, as far as that goes
    CrashAfterRetain,
    /// the disk of PostgreSQL is full
    DiskFull,
}

/// What runs one after the other. Lanes run side by side, so that faults overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    Processes,
    Network,
    Sessions,
    Server,
}

pub(crate) const LANES: [Lane; 4] = [Lane::Processes, Lane::Network, Lane::Sessions, Lane::Server];

/// Of 100 faults, how many go to each lane: as many as it gets done in the same time.
const SHARES: [u64; 4] = [40, 34, 20, 6];

impl Kind {
    pub(crate) fn all() -> Vec<Self> {
        Self::value_variants().to_vec()
    }

    pub(crate) fn lane(self) -> Lane {
        match self {
            Self::KillWorker
            | Self::KillRemote
            | Self::KillProducer
            | Self::KillServer
            | Self::KillMaintainer
            | Self::KillAfterRetain
            | Self::StopWorker
            | Self::StopServer
            | Self::ClockJump => Lane::Processes,
            Self::CutAll
            | Self::CutEnqueue
            | Self::CutRetain
            | Self::CutRelease
            | Self::CutExtend
            | Self::DelayEnqueue
            | Self::DelayRetain
            | Self::DelayRelease
            | Self::SwallowEnqueue
            | Self::SwallowRetain
            | Self::SwallowRelease
            | Self::Delay
            | Self::Swallow
            | Self::Refuse => Lane::Network,
            Self::Terminate
            | Self::Exhaust
            | Self::LockRows
            | Self::LockTable
            | Self::Conflicts
            | Self::HoldTransaction
            | Self::ExhaustPool => Lane::Sessions,
            Self::Crash | Self::CrashAfterRetain | Self::DiskFull => Lane::Server,
        }
    }

    /// How long it lasts, in milliseconds: from, to. Nothing of those that are a moment.
    fn length(self) -> (u64, u64) {
        match self {
            Self::StopWorker => (2_400, 3_600),
            Self::StopServer => (500, 2_500),
            Self::Delay | Self::Refuse | Self::LockRows | Self::Conflicts | Self::Exhaust => (300, 1_200),
            Self::DelayEnqueue | Self::DelayRetain | Self::DelayRelease => (50, 1_500),
            Self::SwallowEnqueue | Self::SwallowRetain | Self::SwallowRelease => (200, 2_800),
            Self::Swallow => (400, 2_800),
            Self::ExhaustPool => (300, 2_500),
            Self::LockTable => (100, 1_000),
            Self::HoldTransaction => (1_000, 3_000),
            Self::Crash | Self::CrashAfterRetain => (0, 600),
            Self::DiskFull => (600, 1_800),
            _ => (0, 1),
        }
    }

    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(|| format!("{self:?}"), |value| value.get_name().to_owned())
    }

    /// What it is, in words.
    pub(crate) fn help(self) -> String {
        let help = self.to_possible_value().and_then(|value| value.get_help().map(ToString::to_string));
        help.unwrap_or_default()
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name())
    }
}

/// One fault. What it hits is rolled from its own seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Its number in the run, from 1.
    pub(crate) n: usize,
    pub(crate) kind: Kind,
    /// How many of its kind come before: what is hit in turn is hit by this.
    pub(crate) turn: usize,
    /// How long after the one before it, in its lane.
    pub(crate) pause: Duration,
    pub(crate) length: Duration,
    pub(crate) seed: u64,
}

/// The faults of a run, of these kinds.
pub(crate) fn plan(seed: u64, faults: usize, kinds: &[Kind]) -> Vec<Fault> {
    let mut dice = Dice::for_part(seed, "plan");
    let lanes: Vec<(Vec<Kind>, u64)> = LANES
        .iter()
        .zip(SHARES)
        .map(|(lane, share)| (kinds.iter().copied().filter(|kind| kind.lane() == *lane).collect(), share))
        .filter(|(kinds, _): &(Vec<Kind>, u64)| !kinds.is_empty())
        .collect();
    let whole: u64 = lanes.iter().map(|(_, share)| share).sum();
    let planned = (1..=faults).filter_map(|n| {
        let mut roll = dice.between(0, whole);
        let (kinds, _) = lanes.iter().find(|(_, share)| match roll.checked_sub(*share) {
            Some(rest) => {
                roll = rest;
                false
            }
            None => true,
        })?;
        Some(fault(n, dice.one_of(kinds), &mut dice))
    });
    let mut planned: Vec<Fault> = planned.collect();
    // One of each to begin with, so that a short run has them all.
    if planned.len() >= kinds.len() {
        for (planned, kind) in planned.iter_mut().zip(kinds) {
            *planned = fault(planned.n, *kind, &mut dice);
        }
    }
    let mut turns: BTreeMap<Kind, usize> = BTreeMap::new();
    for fault in &mut planned {
        let turn = turns.entry(fault.kind).or_default();
        fault.turn = *turn;
        *turn += 1;
    }
    planned
}

impl Fault {
    /// What is injected in its place where it cannot be, or meets nothing however often it is tried: one of these kinds, of
    /// its lane, that was not tried yet.
    pub(crate) fn stand_in(&self, kinds: &[Kind], tried: &[Kind]) -> Option<Self> {
        let left: Vec<Kind> = kinds
            .iter()
            .copied()
            .filter(|kind| kind.lane() == self.kind.lane() && !tried.contains(kind))
            .collect();
        let mut dice = Dice::for_part(self.seed, "stand-in");
        (!left.is_empty()).then(|| fault(self.n, dice.one_of(&left), &mut dice))
    }
}

pub(crate) fn fault(n: usize, kind: Kind, dice: &mut Dice) -> Fault {
    let (from, to) = kind.length();
    // A crash of the server is the hardest on all others, which need some time to come to it again.
    let pause = if kind.lane() == Lane::Server { (1_000, 9_000) } else { (20, 500) };
    Fault {
        n,
        kind,
        turn: n,
        pause: Duration::from_millis(dice.between(pause.0, pause.1)),
        length: Duration::from_millis(dice.between(from, to)),
        seed: dice.between(0, u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_plans_the_same_faults_each_time() {
        let kinds = Kind::all();
        assert_eq!(plan(6, 500, &kinds), plan(6, 500, &kinds));
        assert_ne!(plan(6, 500, &kinds), plan(7, 500, &kinds));
    }

    #[test]
    fn a_thousand_faults_are_of_every_kind() {
        let planned = plan(6, 1_000, &Kind::all());
        assert_eq!(planned.len(), 1_000);
        for kind in Kind::all() {
            let times = planned.iter().filter(|fault| fault.kind == kind).count();
            assert!(times >= 8, "{kind}: {times}");
            assert!(!kind.help().is_empty(), "{kind}");
        }
        let short = plan(6, Kind::all().len(), &Kind::all());
        assert!(Kind::all().iter().all(|kind| short.iter().any(|fault| fault.kind == *kind)));
    }

    #[test]
    fn faults_of_a_kind_are_numbered_so_that_each_point_has_its_turn() {
        let planned = plan(6, 1_000, &Kind::all());
        let turns = planned.iter().filter(|fault| fault.kind == Kind::SwallowRelease).map(|fault| fault.turn);
        let turns: Vec<usize> = turns.collect();
        assert!(turns.len() > 5, "{turns:?}");
        assert_eq!(turns, (0..turns.len()).collect::<Vec<_>>());
    }

    #[test]
    fn what_cannot_be_injected_is_replaced_by_another_kind_of_its_lane_the_same_each_time() {
        let planned = fault(7, Kind::DiskFull, &mut Dice::new(6));
        let kinds = [Kind::Delay, Kind::Crash, Kind::DiskFull];
        let stand_in = planned.stand_in(&kinds, &[Kind::DiskFull]);
        assert_eq!(stand_in.map(|fault| (fault.n, fault.kind)), Some((7, Kind::Crash)));
        assert_eq!(stand_in, planned.stand_in(&kinds, &[Kind::DiskFull]));
        assert_eq!(planned.stand_in(&kinds, &[Kind::DiskFull, Kind::Crash]), None);
    }

    #[test]
    fn only_what_was_asked_for_is_planned() {
        let planned = plan(6, 20, &[Kind::Crash, Kind::Delay]);
        assert_eq!(planned.len(), 20);
        assert!(planned.iter().all(|fault| matches!(fault.kind, Kind::Crash | Kind::Delay)));
    }
}
