//! A process that uses up its own pool of connections.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Injected;
use super::processes::one_of;
use crate::dice::Dice;
use crate::roles::{Hoard, Role};
use crate::scene::Scene;

/// Those that have a pool and can be told to.
const HOARDERS: [Role; 6] =
    [Role::Worker, Role::Worker, Role::Producer, Role::Producer, Role::Orderly, Role::Maintainer];
/// How long it may take until all connections are taken, and how often it is looked whether they are.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(20);

pub(super) async fn exhaust(scene: &Scene, length: Duration, dice: &mut Dice) -> anyhow::Result<Injected> {
    let member = one_of(scene, &HOARDERS, dice);
    let hoard = Hoard::of(&scene.folder, member);
    let hit = format!("{:?} {}", member.0, member.1);
    let asked = Instant::now();
    hoard.ask()?;
    while hoard.taken().is_none() && asked.elapsed() < PATIENCE {
        sleep(LOOK).await;
    }
    let taken = hoard.taken();
    if taken.is_some() {
        sleep(length).await;
    }
    hoard.end()?;
    Ok(match taken {
        Some(connections) => Injected::Yes(format!("{hit}, {connections} connections")),
        None => Injected::Missed(hit),
    })
}
