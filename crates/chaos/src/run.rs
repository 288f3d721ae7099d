//! A run: faults while everybody works, then time to come to an end, then the check.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use pgmill::minutes;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::args::RunArgs;
use crate::check::check;
use crate::clock;
use crate::coverage;
use crate::crashes;
use crate::evidence::Evidence;
use crate::faults::{Injected, inject};
use crate::folder::Folder;
use crate::history::{Event, Writer, read};
use crate::linux::Disk;
use crate::plan::{Fault, Kind, LANES, plan};
use crate::report;
use crate::roles::Role;
use crate::scene::{Scene, check_programs};

/// How long everybody works before the first fault.
const WARM_UP: Duration = Duration::from_secs(2);
/// How often a fault is tried that missed what it was to hit.
const TRIES: usize = 20;

/// What came of the faults of a kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) injected: usize,
    pub(crate) missed: usize,
    /// Why those of this kind cannot be injected here.
    pub(crate) impossible: Option<&'static str>,
}

pub(crate) type Tallies = BTreeMap<Kind, Tally>;

/// Runs, checks and reports; tells whether nothing was wrong.
pub(crate) fn run(args: &RunArgs) -> anyhow::Result<bool> {
    check_programs()?;
    let seed = args.seed.unwrap_or_else(|| clock::now() % 1_000_000);
    println!("seed {seed}: repeat with {}", args.again(seed));
    let mut folder = Folder::open(args.load.keep.as_deref())?;
    let disk = folder.disk()?;
    // On this thread alone: children end with the thread that started them.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ran = runtime.block_on(play(args, seed, &folder, disk));
    if !matches!(ran, Ok(true)) {
        println!("the histories are kept in {}", folder.path().display());
        folder.keep();
    }
    ran
}

async fn play(args: &RunArgs, seed: u64, folder: &Folder, disk: Option<Disk>) -> anyhow::Result<bool> {
    let history = Writer::open(folder.path(), "driver")?;
    history.note(Event::Began { wall: clock::wall() });
    let scene =
        Arc::new(Scene::open(folder.script(seed, args.load.rate, false), disk, history.clone()).await?);
    let (cast, over) = (scene.cast.clone(), CancellationToken::new());
    let told = over.clone();
    let supervising = tokio::spawn(async move { cast.supervise(told).await });
    let watched = CancellationToken::new();
    let watching = tokio::spawn(crashes::watch(Arc::clone(&scene), history.clone(), watched.clone()));
    sleep(WARM_UP).await;
    let kinds = args.load.kinds();
    let planned = plan(seed, args.faults, &kinds);
    let begun = Instant::now();
    let tallies = all_lanes(&scene, &history, &planned, &kinds, begun + minutes(args.minutes)).await?;
    let took = begun.elapsed();
    anyhow::ensure!(!supervising.is_finished(), "nobody looks after the processes: {:?}", supervising.await);

    let ended = Instant::now();
    let left = finish(&scene).await?;
    over.cancel();
    supervising.await??;
    watched.cancel();
    watching.await??;
    let drained = ended.elapsed();
    let mut client = scene.settle().await?;
    let evidence = Evidence::gather(read(folder.path())?, &mut client).await?;
    let (violations, missing) = (check(&evidence), coverage::missing(&planned, &tallies, &evidence));
    report::tallies(&tallies, took);
    report::evidence(&evidence, left, drained);
    println!("deadlocks that PostgreSQL ended, by its log: {}", scene.deadlocks()?);
    report::violations(&violations);
    report::missing(&missing);
    let injected: usize = tallies.values().map(|tally| tally.injected).sum();
    println!("seed {seed}: {injected} faults, {} violations", violations.len());
    anyhow::ensure!(injected > 0, "no fault was injected");
    Ok(violations.is_empty() && missing.is_empty())
}

/// The end of a run: nothing new is created, and what is there comes to its end. Tells how much does not.
async fn finish(scene: &Scene) -> anyhow::Result<i64> {
    scene.cast.dismiss(&[Role::Producer, Role::Caller]).await?;
    let left = scene.drain().await?;
    scene.fold().await?;
    let workers = [Role::Worker, Role::Orderly, Role::Remote, Role::Maintainer, Role::Server];
    scene.cast.dismiss(&workers).await?;
    Ok(left)
}

/// Injects the faults of all lanes, side by side.
async fn all_lanes(
    scene: &Arc<Scene>,
    history: &Writer,
    planned: &[Fault],
    kinds: &[Kind],
    until: Instant,
) -> anyhow::Result<Tallies> {
    let tallies = Arc::new(Mutex::new(Tallies::new()));
    let lanes = LANES.map(|lane| {
        let faults: Vec<Fault> = planned.iter().copied().filter(|fault| fault.kind.lane() == lane).collect();
        let (scene, history, tallies) = (Arc::clone(scene), history.clone(), Arc::clone(&tallies));
        let kinds = kinds.to_vec();
        tokio::spawn(async move {
            for fault in faults {
                let (mut tried, mut next) = (Vec::new(), Some(fault));
                while let Some(fault) = next {
                    let (kind, tally) = (fault.kind, one(&scene, &history, &fault, until).await);
                    let tally = tally.with_context(|| format!("fault {} ({kind})", fault.n))?;
                    add(&tallies, kind, tally);
                    tried.push(kind);
                    let is_over = tally.injected > 0 || Instant::now() >= until;
                    next = if is_over { None } else { fault.stand_in(&kinds, &tried) };
                }
            }
            anyhow::Ok(())
        })
    });
    for lane in lanes {
        lane.await??;
    }
    let tallies = tallies.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(tallies)
}

fn add(tallies: &Mutex<Tallies>, kind: Kind, tally: Tally) {
    let mut tallies = tallies.lock().unwrap_or_else(PoisonError::into_inner);
    let all = tallies.entry(kind).or_default();
    all.injected += tally.injected;
    all.missed += tally.missed;
    all.impossible = all.impossible.or(tally.impossible);
}

/// Injects one, again if it missed.
pub(crate) async fn one(
    scene: &Scene,
    history: &Writer,
    fault: &Fault,
    until: Instant,
) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    for before in 0..TRIES {
        if timeout_at(until, sleep(fault.pause)).await.is_err() {
            return Ok(tally);
        }
        let note = |over, note| {
            history.note(Event::Fault { n: fault.n, kind: fault.kind.name(), over, note });
        };
        note(false, String::new());
        match inject(scene, fault, before).await? {
            Injected::Yes(hit) => {
                note(true, hit);
                tally.injected = 1;
                return Ok(tally);
            }
            Injected::Missed(why) => {
                note(true, format!("missed: {why}"));
                tally.missed += 1;
            }
            Injected::Impossible(why) => {
                note(true, format!("impossible: {why}"));
                tally.impossible = Some(why);
                return Ok(tally);
            }
        }
    }
    Ok(tally)
}
