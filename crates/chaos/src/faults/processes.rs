//! Processes that are killed, that stand still, and whose clock jumps.

use nix::sys::signal::Signal;
use pgmill_testkit::{CutPoint, Mishap};
use tokio::time::sleep;

use super::Injected;
use super::points::{PATIENCE, RETAIN};
use crate::cast::Member;
use crate::dice::Dice;
use crate::plan::{Fault, Kind};
use crate::roles::Role;
use crate::scene::{Scene, Side};

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
        Kind::KillAfterRetain => return Ok(kill_after_retain(scene, dice).await),
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

pub(super) fn one_of(scene: &Scene, roles: &[Role], dice: &mut Dice) -> Member {
    let role = dice.one_of(roles);
    let number = dice.between(0, scene.cast.count(role).max(1) as u64);
    (role, usize::try_from(number).unwrap_or(0))
}

/// Kills whoever may have got the answer of a retain. All who share a proxy, for it does not know them apart.
async fn kill_after_retain(scene: &Scene, dice: &mut Dice) -> Injected {
    let (side, roles): (_, &[Role]) = match dice.between(0, 3) {
        0 => (Side::Server, &[Role::Server]),
        _ => (Side::Workers, &[Role::Worker, Role::Orderly]),
    };
    let ambush = scene.proxy(side).ambush(CutPoint::AfterAnswer, Mishap::Cut, RETAIN, 1);
    if !ambush.within(PATIENCE).await {
        return Injected::Missed(format!("{side:?}: no retain was answered"));
    }
    let members =
        roles.iter().flat_map(|role| (0..scene.cast.count(*role)).map(move |number| (*role, number)));
    let killed = members.filter(|member| scene.cast.signal(*member, Signal::SIGKILL)).count();
    if killed == 0 {
        return Injected::Missed(format!("{side:?}: no process was there"));
    }
    Injected::Yes(format!("{side:?}, {killed} processes"))
}

fn jump(scene: &Scene, dice: &mut Dice) -> anyhow::Result<Injected> {
    let Some(clock) = &scene.clock else { return Ok(Injected::Impossible("libfaketime is not installed")) };
    let seconds = dice.one_of(&JUMPS);
    clock.set(seconds)?;
    Ok(Injected::Yes(format!("the clock of Worker 0 is {seconds:+} s")))
}
