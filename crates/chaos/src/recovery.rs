//! How long it takes after a fault until the rate is back: handlers done, smoothed over half a second.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::args::{LoadArgs, RecoveryArgs};
use crate::clock::{self, micros};
use crate::dice::Dice;
use crate::evidence::Evidence;
use crate::folder::Folder;
use crate::history::{Writer, read};
use crate::linux::Disk;
use crate::plan::{Kind, fault};
use crate::roles::Role;
use crate::run::{DRAIN, one};
use crate::scene::{Scene, check_programs};

/// A rate is counted in steps of 100 ms, over five of them.
const STEP: u64 = 100_000;
const WINDOW: u64 = 5;
/// For how long the rate before is taken, and how much of it is as good as all.
const CALM: Duration = Duration::from_secs(3);
const SHARE: f64 = 0.95;
/// How long a fault may miss what it is to hit.
const PATIENCE: Duration = Duration::from_secs(30);
/// For how long after a fault is over its rate is looked at.
const AFTER: Duration = Duration::from_secs(5);

/// One fault, by the clock of the history.
#[derive(Debug, Clone, Copy)]
struct Sample {
    kind: Kind,
    from: u64,
    to: u64,
}

/// Measures, and prints the table.
pub(crate) fn measure(args: &RecoveryArgs, load: &LoadArgs) -> anyhow::Result<bool> {
    check_programs()?;
    let folder = Folder::open(load.keep.as_deref())?;
    let disk = folder.disk()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let samples = runtime.block_on(sample(args, load, &folder, disk))?;
    let mut done = Evidence::of_history(read(folder.path())?).runs;
    done.retain(|run| run.ran.is_some());
    let mut ends: Vec<u64> = done.iter().map(|run| run.to).collect();
    ends.sort_unstable();
    table(&samples, &ends);
    Ok(true)
}

async fn sample(
    args: &RecoveryArgs,
    load: &LoadArgs,
    folder: &Folder,
    disk: Option<Disk>,
) -> anyhow::Result<Vec<Sample>> {
    let history = Writer::open(folder.path(), "driver")?;
    let scene = Arc::new(Scene::open(folder.script(load.rate, true), disk, history.clone()).await?);
    let (cast, over) = (scene.cast.clone(), CancellationToken::new());
    let told = over.clone();
    let supervising = tokio::spawn(async move { cast.supervise(told).await });
    sleep(CALM).await;
    let mut dice = Dice::for_part(args.seed, "recovery");
    let mut samples = Vec::new();
    for round in 1..=args.samples {
        for kind in load.kinds() {
            sleep(CALM).await;
            let mut fault = fault(samples.len() + 1, kind, &mut dice);
            fault.pause = Duration::ZERO;
            eprintln!("round {round} of {}: {kind}", args.samples);
            let from = clock::now();
            let tally = one(&scene, &history, &fault, Instant::now() + PATIENCE).await?;
            if tally.injected == 1 {
                samples.push(Sample { kind, from, to: clock::now() });
            }
            sleep(AFTER).await;
        }
    }
    scene.cast.dismiss(&[Role::Producer, Role::Caller]).await?;
    scene.drain(DRAIN).await?;
    over.cancel();
    supervising.await??;
    Ok(samples)
}

/// From the beginning of the fault until the rate is back, if it was ever gone. `None` if it was not back in time.
fn recovery(ends: &[u64], sample: &Sample) -> Option<Duration> {
    let count = |from: u64, to: u64| {
        (ends.partition_point(|end| *end < to) - ends.partition_point(|end| *end < from)) as f64
    };
    let before = count(sample.from.saturating_sub(micros(CALM)), sample.from) / CALM.as_secs_f64();
    let is_back = |at: u64| {
        let window = STEP * WINDOW;
        let rate = count(at.saturating_sub(window), at) / Duration::from_micros(window).as_secs_f64();
        rate >= before * SHARE
    };
    let last = sample.to + micros(AFTER);
    let mut times = (sample.from..last).step_by(usize::try_from(STEP).unwrap_or(1));
    // It is gone once it has been so for a whole window, which chance alone is not.
    let Some(gone) = times.find(|at| (0..WINDOW).all(|step| !is_back(at + step * STEP))) else {
        return Some(Duration::ZERO);
    };
    let mut later = (gone..last).step_by(usize::try_from(STEP).unwrap_or(1));
    later.find(|at| is_back(*at)).map(|at| Duration::from_micros(at - sample.from))
}

fn table(samples: &[Sample], ends: &[u64]) {
    let mut text = String::from(
        "| fault | what is broken | lasts, median | back at 95 %, median | worst | of |\n|---|---|---|---|---|---|\n",
    );
    for kind in Kind::all() {
        let of_kind: Vec<&Sample> = samples.iter().filter(|sample| sample.kind == kind).collect();
        if of_kind.is_empty() {
            continue;
        }
        let lengths = of_kind.iter().map(|sample| Some(Duration::from_micros(sample.to - sample.from)));
        let times: Vec<Option<Duration>> = of_kind.iter().map(|sample| recovery(ends, sample)).collect();
        let ((length, _), (median, worst)) = (middle_and_worst(lengths.collect()), middle_and_worst(times));
        text +=
            &format!("| `{kind}` | {} | {length} | {median} | {worst} | {} |\n", kind.help(), of_kind.len());
    }
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// The median (the upper one of two) and the longest; what did not come back in time is longer than all others.
fn middle_and_worst(mut times: Vec<Option<Duration>>) -> (String, String) {
    times.sort_by_key(|time| time.unwrap_or(Duration::MAX));
    let told = |time: Option<&Option<Duration>>| match time {
        Some(Some(time)) => format!("{:.1} s", time.as_secs_f64()),
        Some(None) => format!("over {} s", AFTER.as_secs()),
        None => String::new(),
    };
    (told(times.get(times.len() / 2)), told(times.last()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A handler every 10 ms for 20 s, but for a gap.
    fn ends(gap: std::ops::Range<u64>) -> Vec<u64> {
        (0..2_000).map(|n| n * 10_000).filter(|end| !gap.contains(end)).collect()
    }

    const SAMPLE: Sample = Sample { kind: Kind::Crash, from: 5_000_000, to: 6_000_000 };

    #[test]
    fn a_gap_is_over_when_a_window_is_full_again() {
        let recovered = recovery(&ends(5_000_000..6_500_000), &SAMPLE).unwrap();
        assert!((1_900..=2_100).contains(&recovered.as_millis()), "{recovered:?}");
    }

    #[test]
    fn a_fault_that_nobody_noticed_takes_no_time() {
        assert_eq!(recovery(&ends(0..0), &SAMPLE), Some(Duration::ZERO));
    }

    #[test]
    fn a_rate_that_does_not_come_back_is_told() {
        assert_eq!(recovery(&ends(5_000_000..20_000_000), &SAMPLE), None);
        let (median, worst) =
            middle_and_worst(vec![None, Some(Duration::from_secs(1)), Some(Duration::ZERO)]);
        assert_eq!((median.as_str(), worst.as_str()), ("1.0 s", "over 5 s"));
    }
}
