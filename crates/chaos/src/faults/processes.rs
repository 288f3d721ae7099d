//! Processes that are killed, that stand still, and whose clock jumps.

use nix::sys::signal::Signal;
use tokio::time::sleep;

use super::Injected;
use crate::cast::Member;
use crate::dice::Dice;
use crate::plan::{Fault, Kind};
use crate::roles::Role;
use crate::scene::Scene;

/// By how many seconds a clock goes wrong.
const JUMPS: [i64; 8] = [-86_400, -3_600, -60, -3, 3, 60, 3_600, 86_400];

pub(super) async fn inject(scene: &Scene, fault: &Fault, dice: &mut Dice) -> anyhow::Result<Injected> {
    let roles: &[Role] = match fault.kind {
        Kind::KillWorker => &[Role::Worker, Role::Worker, Role::Worker, Role::Orderly],
        Kind::StopWorker => &[Role::Worker, Role::Worker, Role::Worker, Role::Remote],
        Kind::KillRemote => &[Role::Remote],
        Kind::KillProducer => &[Role::Producer, Role::Producer, Role::Caller],
        Kind::KillServer | Kind::StopServer => &[Role::Server],
        Kind::KillMaintainer => &[Role::Maintainer],
        _ => return jump(scene, dice),
    };
    let member = one_of(scene, roles, dice);
    let hit = format!("{:?} {}", member.0, member.1);
    if !matches!(fault.kind, Kind::StopWorker | Kind::StopServer) {
        let was_there = scene.cast.signal(member, Signal::SIGKILL);
        return Ok(if was_there { Injected::Yes(hit) } else { Injected::Missed(hit) });
    }
    if !scene.cast.signal(member, Signal::SIGSTOP) {
        return Ok(Injected::Missed(hit));
    }
    sleep(fault.length).await;
    scene.cast.signal(member, Signal::SIGCONT);
    Ok(Injected::Yes(hit))
}

fn one_of(scene: &Scene, roles: &[Role], dice: &mut Dice) -> Member {
    let role = dice.one_of(roles);
    let number = dice.between(0, scene.cast.count(role).max(1) as u64);
    (role, usize::try_from(number).unwrap_or(0))
}

fn jump(scene: &Scene, dice: &mut Dice) -> anyhow::Result<Injected> {
    let Some(clock) = &scene.clock else { return Ok(Injected::Impossible("libfaketime is not installed")) };
    let seconds = dice.one_of(&JUMPS);
    clock.set(seconds)?;
    Ok(Injected::Yes(format!("the clock of Worker 0 is {seconds:+} s")))
}
