//! A PostgreSQL that crashes, and one whose disk is full.

use std::time::Duration;

use pgmill_testkit::{CutPoint, Mishap};
use tokio::time::{Instant, sleep, timeout};

use super::Injected;
use super::points::{PATIENCE, RETAIN};
use crate::dice::Dice;
use crate::plan::{Fault, Kind};
use crate::scene::{Scene, Side};

const SWITCH_WAL: &str = include_str!("../../sql/switch_wal.sql");
/// What is known of a retain that a crash may undo: that it was answered, or nothing.
const POINTS: [CutPoint; 4] =
    [CutPoint::AfterAnswer, CutPoint::BeforeAnswer, CutPoint::AfterAnswer, CutPoint::MidAnswer];
/// How long PostgreSQL may take to come to itself when there is room again: to go through the log since the last checkpoint, which is
/// some hundred megabytes at the most (`max_wal_size`), in memory. pgmill has no part in it, so that none of its defects can hide here;
/// how long it was is in the note of the fault.
const RECOVERY: Duration = Duration::from_secs(30);

pub(super) async fn inject(scene: &Scene, fault: &Fault, dice: &mut Dice) -> anyhow::Result<Injected> {
    match fault.kind {
        Kind::DiskFull => fill_disk(scene, fault.length, dice.percent(50)).await,
        Kind::CrashAfterRetain => {
            let side = dice.one_of(&[Side::Workers, Side::Server]);
            let point = POINTS[fault.turn % POINTS.len()];
            let hit = format!("{side:?}, {point:?}");
            if !scene.proxy(side).ambush(point, Mishap::Cut, RETAIN, 1).within(PATIENCE).await {
                return Ok(Injected::Missed(hit));
            }
            crash(scene, fault.length).await?;
            Ok(Injected::Yes(hit))
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

/// Leaves no room for more rows, or, with the log, for more of that either, which is a crash.
async fn fill_disk(scene: &Scene, length: Duration, log: bool) -> anyhow::Result<Injected> {
    let Some(disk) = &scene.disk else {
        return Ok(Injected::Impossible("no file system may be mounted: it needs root"));
    };
    // Files grow between the look and the change.
    if disk.fill().is_err() && disk.fill().is_err() {
        return Ok(Injected::Missed("files grew too fast".to_owned()));
    }
    let spent = if log { timeout(length, spend_log(scene)).await.is_ok() } else { false };
    sleep(length).await;
    disk.free()?;
    let begun = Instant::now();
    let hit = |spent, took: Duration| {
        let log = if spent { ", the log too" } else { "" };
        format!("for {length:?}{log}, back after {took:?}")
    };
    // It may have crashed, and may be starting again by itself, or have given up.
    loop {
        scene.resume().await?;
        match scene.connect().await {
            Ok(_) => return Ok(Injected::Yes(hit(spent, begun.elapsed()))),
            Err(error) if begun.elapsed() > RECOVERY => return Err(error),
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Uses up the files that are there for the log, until there is none left, or no server.
async fn spend_log(scene: &Scene) {
    let Ok(client) = scene.connect().await else { return };
    while client.execute(SWITCH_WAL, &[]).await.is_ok() {}
}
