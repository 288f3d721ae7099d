//! A PostgreSQL that crashes, and one whose disk is full.

use std::time::Duration;

use pgmill_testkit::CutPoint;
use tokio::time::{Instant, sleep, timeout};

use super::Injected;
use crate::dice::Dice;
use crate::plan::{Fault, Kind};
use crate::scene::{Scene, Side};

const PATIENCE: Duration = Duration::from_secs(5);
/// How long PostgreSQL may take to come to itself when there is room again.
const RECOVERY: Duration = Duration::from_secs(30);

pub(super) async fn inject(scene: &Scene, fault: &Fault, dice: &mut Dice) -> anyhow::Result<Injected> {
    match fault.kind {
        Kind::DiskFull => fill_disk(scene, fault.length).await,
        Kind::CrashAfterRetain => {
            let (side, point) = (
                dice.one_of(&[Side::Workers, Side::Server]),
                dice.one_of(&[CutPoint::BeforeAnswer, CutPoint::MidAnswer]),
            );
            let retained = scene.proxy(side).arm(point, "pgmill.retain_");
            if !matches!(timeout(PATIENCE, tokio::spawn(retained)).await, Ok(Ok(()))) {
                return Ok(Injected::Missed);
            }
            crash(scene, fault.length).await?;
            Ok(Injected::Yes(format!("{side:?}, {point:?}")))
        }
        _ => {
            crash(scene, fault.length).await?;
            Ok(Injected::Yes(format!("away for {:?}", fault.length)))
        }
    }
}

async fn crash(scene: &Scene, away: Duration) -> anyhow::Result<()> {
    scene.crash().await?;
    sleep(away).await;
    scene.resume().await
}

async fn fill_disk(scene: &Scene, length: Duration) -> anyhow::Result<Injected> {
    let Some(disk) = &scene.disk else {
        return Ok(Injected::Impossible("no file system may be mounted: it needs root"));
    };
    // Files grow between the look and the change.
    if disk.fill().is_err() && disk.fill().is_err() {
        return Ok(Injected::Missed);
    }
    sleep(length).await;
    disk.free()?;
    let begun = Instant::now();
    // It may have crashed, and may be starting again by itself, or have given up.
    loop {
        scene.resume().await?;
        match scene.connect().await {
            Ok(_) => return Ok(Injected::Yes(format!("for {length:?}, back after {:?}", begun.elapsed()))),
            Err(error) if begun.elapsed() > RECOVERY => return Err(error),
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
}
