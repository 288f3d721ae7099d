//! Connections that break, that are slow, and that fall silent.

use std::time::Duration;

use pgmill_testkit::{CutPoint, Direction};
use tokio::time::{sleep, timeout};

use super::Injected;
use crate::dice::Dice;
use crate::plan::{Fault, Kind};
use crate::scene::{Scene, Side};

/// How long a cut waits for the request that it is for.
const PATIENCE: Duration = Duration::from_secs(5);
const ENQUEUE: &str = "pgmill.enqueue_v1";
/// What large bulks are sent by: by the library alone, and seldom.
const COPY: &str = "FROM STDIN (FORMAT binary)";
const POINTS: [CutPoint; 4] =
    [CutPoint::BeforeRequest, CutPoint::AfterRequest, CutPoint::BeforeAnswer, CutPoint::MidAnswer];
const DIRECTIONS: [Direction; 3] = [Direction::ToServer, Direction::ToClient, Direction::Both];

pub(super) async fn inject(scene: &Scene, fault: &Fault, dice: &mut Dice) -> anyhow::Result<Injected> {
    let (working, creating) = ([Side::Workers, Side::Workers, Side::Server], [Side::Producers, Side::Server]);
    match fault.kind {
        Kind::CutEnqueue => {
            let needle = dice.one_of(&[ENQUEUE, ENQUEUE, ENQUEUE, COPY]);
            let side = if needle == COPY { Side::Producers } else { dice.one_of(&creating) };
            return Ok(cut_at(scene, needle, side, dice).await);
        }
        Kind::CutRetain => return Ok(cut_at(scene, "pgmill.retain_", dice.one_of(&working), dice).await),
        Kind::CutRelease => return Ok(cut_at(scene, "pgmill.release_", dice.one_of(&working), dice).await),
        Kind::CutExtend => return Ok(cut_at(scene, "pgmill.extend_", Side::Workers, dice).await),
        _ => {}
    }
    let side = dice.one_of(&[Side::Workers, Side::Producers, Side::Server]);
    let (proxy, direction) = (scene.proxy(side), dice.one_of(&DIRECTIONS));
    let hit = match fault.kind {
        Kind::Delay => {
            let delay = Duration::from_millis(dice.between(20, 400));
            proxy.delay(direction, delay);
            sleep(fault.length).await;
            proxy.delay(direction, Duration::ZERO);
            format!("{side:?}, {direction:?}, {delay:?}")
        }
        Kind::Swallow => {
            let before = proxy.swallowed(direction);
            proxy.swallow(direction, true);
            sleep(fault.length).await;
            proxy.swallow(direction, false);
            let lost = proxy.swallowed(direction) - before;
            // What has lost bytes stays silent: those who use it find out by themselves, or are told, like this.
            proxy.cut();
            format!("{side:?}, {direction:?}, {lost} bytes")
        }
        Kind::Refuse => {
            proxy.refuse(true);
            proxy.cut();
            sleep(fault.length).await;
            proxy.refuse(false);
            format!("{side:?}")
        }
        _ => {
            let cut = proxy.connections();
            proxy.cut();
            format!("{side:?}, {cut} connections")
        }
    };
    Ok(Injected::Yes(hit))
}

async fn cut_at(scene: &Scene, needle: &str, side: Side, dice: &mut Dice) -> Injected {
    let (point, nth) = (dice.one_of(&POINTS), dice.between(1, 4));
    let nth = if needle == COPY { 1 } else { usize::try_from(nth).unwrap_or(1) };
    let patience = if needle == COPY { PATIENCE * 3 } else { PATIENCE };
    let cut = scene.proxy(side).try_arm(point, needle, nth);
    let hit = format!("{side:?}, {point:?} of {needle}");
    match timeout(patience, cut).await {
        Ok(true) => Injected::Yes(hit),
        Ok(false) | Err(_) => Injected::Missed(hit),
    }
}
