//! Connections that break, that are slow, and that fall silent: all of some processes.

use std::time::Duration;

use pgmill_testkit::Direction;
use tokio::time::sleep;

use super::{Injected, points};
use crate::dice::Dice;
use crate::plan::{Fault, Kind};
use crate::scene::{Scene, Side};

const DIRECTIONS: [Direction; 3] = [Direction::ToServer, Direction::ToClient, Direction::Both];

pub(super) async fn inject(scene: &Scene, fault: &Fault, dice: &mut Dice) -> anyhow::Result<Injected> {
    if let Some((stage, mishap)) = points::of(fault) {
        return Ok(points::inject(scene, fault, stage, mishap, dice).await);
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
