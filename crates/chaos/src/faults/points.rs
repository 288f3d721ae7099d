//! One connection that breaks, stands still or falls silent, at a point of a statement.

use std::time::Duration;

use pgmill_testkit::{CutPoint, Mishap};
use tokio::time::sleep;

use super::Injected;
use crate::dice::Dice;
use crate::plan::{Fault, Kind};
use crate::scene::{Scene, Side};

/// How long it waits for the request that it is for.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
pub(super) const RETAIN: &str = "pgmill.retain_";
/// What large bulks are sent by: by the library alone, and seldom.
const COPY: &str = "FROM STDIN (FORMAT binary)";

/// All of them, in turn.
const POINTS: [CutPoint; 5] = [
    CutPoint::BeforeRequest,
    CutPoint::AfterAnswer,
    CutPoint::AfterRequest,
    CutPoint::BeforeAnswer,
    CutPoint::MidAnswer,
];

/// Which statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Enqueue,
    Retain,
    Release,
    Extend,
}

impl Stage {
    /// What the statement is known by, and whose it is.
    fn pick(self, dice: &mut Dice) -> (&'static str, Side) {
        let working = dice.one_of(&[Side::Workers, Side::Workers, Side::Server]);
        match self {
            Self::Enqueue if dice.percent(25) => (COPY, Side::Producers),
            Self::Enqueue => ("pgmill.enqueue_v1", dice.one_of(&[Side::Producers, Side::Server])),
            Self::Retain => (RETAIN, working),
            Self::Release => ("pgmill.release_", working),
            Self::Extend => ("pgmill.extend_", Side::Workers),
        }
    }
}

/// What befalls which statement by a fault, if it is of this sort.
pub(super) fn of(fault: &Fault) -> Option<(Stage, Mishap)> {
    let (delay, swallow) = (Mishap::Delay(fault.length), Mishap::Swallow(fault.length));
    Some(match fault.kind {
        Kind::CutEnqueue => (Stage::Enqueue, Mishap::Cut),
        Kind::CutRetain => (Stage::Retain, Mishap::Cut),
        Kind::CutRelease => (Stage::Release, Mishap::Cut),
        Kind::CutExtend => (Stage::Extend, Mishap::Cut),
        Kind::DelayEnqueue => (Stage::Enqueue, delay),
        Kind::DelayRetain => (Stage::Retain, delay),
        Kind::DelayRelease => (Stage::Release, delay),
        Kind::SwallowEnqueue => (Stage::Enqueue, swallow),
        Kind::SwallowRetain => (Stage::Retain, swallow),
        Kind::SwallowRelease => (Stage::Release, swallow),
        _ => return None,
    })
}

pub(super) async fn inject(
    scene: &Scene,
    fault: &Fault,
    stage: Stage,
    mishap: Mishap,
    dice: &mut Dice,
) -> Injected {
    let (point, (needle, side)) = (POINTS[fault.turn % POINTS.len()], stage.pick(dice));
    let (nth, patience) = if needle == COPY { (1, PATIENCE * 3) } else { (dice.between(1, 4), PATIENCE) };
    let ambush = scene.proxy(side).ambush(point, mishap, needle, usize::try_from(nth).unwrap_or(1));
    let hit = format!("{side:?}, {mishap:?}, {point:?} of {needle}");
    if !ambush.within(patience).await {
        return Injected::Missed(hit);
    }
    sleep(fault.length).await;
    Injected::Yes(hit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::plan;

    #[test]
    fn each_mishap_befalls_each_stage_at_each_point() {
        let planned = plan(6, 1_000, &Kind::all());
        for (kind, stage) in [
            (Kind::CutEnqueue, Stage::Enqueue),
            (Kind::CutRetain, Stage::Retain),
            (Kind::CutRelease, Stage::Release),
            (Kind::DelayEnqueue, Stage::Enqueue),
            (Kind::DelayRetain, Stage::Retain),
            (Kind::DelayRelease, Stage::Release),
            (Kind::SwallowEnqueue, Stage::Enqueue),
            (Kind::SwallowRetain, Stage::Retain),
            (Kind::SwallowRelease, Stage::Release),
        ] {
            let of_kind: Vec<&Fault> = planned.iter().filter(|fault| fault.kind == kind).collect();
            assert!(of_kind.iter().all(|fault| of(fault).is_some_and(|(its, _)| its == stage)), "{kind}");
            for (at, point) in POINTS.iter().enumerate() {
                let has_turn = of_kind.iter().any(|fault| fault.turn % POINTS.len() == at);
                assert!(has_turn, "{kind}: {point:?}");
            }
        }
    }
}
