//! How long it takes after a fault until the rate is back: results of handlers that were recorded as done, smoothed over half a
//! second.
//!
//! The rate to come back to is that of the seconds right before each fault, under the same load. They begin only when nothing
//! waits any more, so that no fault is measured against a rate that the one before it has spoiled.

use std::collections::HashMap;
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
use crate::history::{Account, Event, Fate, RELEASED, Writer, read};
use crate::linux::Disk;
use crate::plan::{Kind, fault};
use crate::roles::Role;
use crate::run::one;
use crate::scene::{Scene, check_programs};

/// A rate is counted in steps of 100 ms, over five of them.
const STEP: u64 = 100_000;
const WINDOW: u64 = 5;
/// It is back when it is so over the two seconds that follow, too.
const SUSTAINED: u64 = 20;
/// For how long the rate before is taken, and how much of it is as good as all.
const CALM: Duration = Duration::from_secs(3);
const SHARE: f64 = 0.95;
/// How much of the load has to be done in that time, at the least: else there is no rate to come back to.
const LEAST: f64 = 0.7;
/// How long a fault may miss what it is to hit.
const PATIENCE: Duration = Duration::from_secs(30);
/// For how long after a fault is over its rate is looked at.
const AFTER: Duration = Duration::from_secs(10);
/// How long it may take until nothing waits.
const RECOVERED: Duration = Duration::from_secs(60);

/// One fault, by the clock of the history.
#[derive(Debug, Clone, Copy)]
struct Sample {
    /// Its number in the history.
    n: usize,
    kind: Kind,
    from: u64,
    to: u64,
}

/// What was felt of one.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Felt {
    /// Done in a second before.
    before: f64,
    /// From its beginning until the rate was back; nothing if it was never gone, `None` if it was not back in time.
    back: Option<Duration>,
}

/// Measures, and prints the table; tells whether the rate came back each time.
pub(crate) fn measure(args: &RecoveryArgs, load: &LoadArgs) -> anyhow::Result<bool> {
    check_programs()?;
    let folder = Folder::open(load.keep.as_deref())?;
    let disk = folder.disk()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut samples, mut left_out) = runtime.block_on(sample(args, load, &folder, disk))?;
    let accounts = read(folder.path())?;
    begin_at_hit(&mut samples, &accounts);
    let told = Evidence::of_history(accounts).told;
    let done = told.iter().filter(|told| told.fate == Fate::Recorded(RELEASED));
    let mut ends: Vec<u64> = done.map(|told| told.at).collect();
    ends.sort_unstable();
    let felt = samples.iter().map(|sample| (*sample, feel(&ends, sample)));
    // Three producers create at this rate.
    let least = load.rate as f64 * 3.0 * LEAST;
    let (felt, idle): (Vec<_>, Vec<_>) = felt.partition(|(_, felt)| felt.before >= least);
    for (sample, felt) in idle {
        let (kind, before) = (sample.kind, felt.before);
        left_out.push(format!("`{kind}`, once: {before:.0} tasks a second before it are too few"));
    }
    let mut text = table(&felt);
    for what in &left_out {
        text += &format!("\nNot measured: {what}.\n");
    }
    std::io::stdout().write_all(text.as_bytes())?;
    anyhow::ensure!(!felt.is_empty(), "nothing was measured");
    Ok(felt.iter().all(|(_, felt)| felt.back.is_some()))
}

/// Injects each kind in turn; tells of what was injected, and of what was not.
async fn sample(
    args: &RecoveryArgs,
    load: &LoadArgs,
    folder: &Folder,
    disk: Option<Disk>,
) -> anyhow::Result<(Vec<Sample>, Vec<String>)> {
    let history = Writer::open(folder.path(), "driver")?;
    let scene = Arc::new(Scene::open(folder.script(load.rate, true), disk, history.clone()).await?);
    let (cast, over) = (scene.cast.clone(), CancellationToken::new());
    let told = over.clone();
    let supervising = tokio::spawn(async move { cast.supervise(told).await });
    // Until the load has set in.
    sleep(CALM).await;
    let mut dice = Dice::for_part(args.seed, "recovery");
    let (mut samples, mut left_out, mut n) = (Vec::new(), Vec::new(), 0);
    for round in 1..=args.samples {
        for kind in load.kinds() {
            n += 1;
            let mut fault = fault(n, kind, &mut dice);
            fault.pause = Duration::ZERO;
            eprintln!("round {round} of {}: {kind}", args.samples);
            if !calm_down(&scene, load.rate).await {
                left_out.push(format!(
                    "`{kind}` in round {round}, for the rate was not back {} s after the fault before",
                    RECOVERED.as_secs()
                ));
                continue;
            }
            let from = clock::now();
            let tally = one(&scene, &history, &fault, Instant::now() + PATIENCE).await?;
            if tally.injected == 1 {
                samples.push(Sample { n, kind, from, to: clock::now() });
                sleep(AFTER).await;
            } else {
                let why = tally.impossible.unwrap_or("it met nothing");
                left_out.push(format!("`{kind}` in round {round}: {why}"));
            }
        }
    }
    scene.cast.dismiss(&[Role::Producer, Role::Caller]).await?;
    let left = scene.drain().await?;
    over.cancel();
    supervising.await??;
    anyhow::ensure!(left == 0, "{left} tasks are left over");
    Ok((samples, left_out))
}

/// Waits until everybody keeps up with the load, for as long as the rate before is taken. Tells whether they do.
async fn calm_down(scene: &Scene, rate: u64) -> bool {
    // Of three producers a tenth of a second's worth: what is under way while nothing is the matter. More, which is done besides, would
    // raise the rate to come back to.
    let few = i64::try_from(rate * 3 / 10).unwrap_or(i64::MAX).max(10);
    let begun = Instant::now();
    let mut since = begun;
    while since.elapsed() < CALM {
        if begun.elapsed() > RECOVERED {
            return false;
        }
        if !scene.left().await.is_ok_and(|left| left <= few) {
            since = Instant::now();
        }
        sleep(Duration::from_micros(STEP)).await;
    }
    true
}

/// A fault begins with the try that hit: those that missed before it did nothing.
fn begin_at_hit(samples: &mut [Sample], accounts: &[Account]) {
    let mut tries: HashMap<usize, u64> = HashMap::new();
    for line in accounts.iter().flat_map(|account| &account.lines) {
        if let Event::Fault { n, over: false, .. } = line.event {
            tries.insert(n, line.at);
        }
    }
    for sample in samples {
        sample.from = tries.get(&sample.n).copied().unwrap_or(sample.from);
    }
}

fn feel(ends: &[u64], sample: &Sample) -> Felt {
    let count = |from: u64, to: u64| {
        (ends.partition_point(|end| *end < to) - ends.partition_point(|end| *end < from)) as f64
    };
    let before = count(sample.from.saturating_sub(micros(CALM)), sample.from) / CALM.as_secs_f64();
    let is_full = |from: u64, to: u64| {
        count(from, to) / Duration::from_micros(to.saturating_sub(from)).as_secs_f64() >= before * SHARE
    };
    let is_back = |at: u64| is_full(at.saturating_sub(STEP * WINDOW), at);
    let last = sample.to + micros(AFTER) - STEP * SUSTAINED;
    let times = |from: u64| (from..last).step_by(usize::try_from(STEP).unwrap_or(1));
    // It is gone once it has been so for a whole window, which chance alone is not.
    let Some(gone) = times(sample.from).find(|at| (0..WINDOW).all(|step| !is_back(at + step * STEP))) else {
        return Felt { before, back: Some(Duration::ZERO) };
    };
    let back = times(gone).find(|at| is_back(*at) && is_full(*at, at + SUSTAINED * STEP));
    Felt { before, back: back.map(|at| Duration::from_micros(at - sample.from)) }
}

fn table(felt: &[(Sample, Felt)]) -> String {
    let mut text = String::from(
        "| fault | what is broken | lasts, median | done in a second before | back at 95 %, median | worst | never back | of |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for kind in Kind::all() {
        let of_kind: Vec<&(Sample, Felt)> = felt.iter().filter(|(sample, _)| sample.kind == kind).collect();
        if of_kind.is_empty() {
            continue;
        }
        let lengths = of_kind.iter().map(|(sample, _)| Some(Duration::from_micros(sample.to - sample.from)));
        let (length, _) = middle_and_worst(lengths.collect());
        let (median, worst) = middle_and_worst(of_kind.iter().map(|(_, felt)| felt.back).collect());
        let mut before: Vec<f64> = of_kind.iter().map(|(_, felt)| felt.before).collect();
        before.sort_by(f64::total_cmp);
        let before = before.get(before.len() / 2).copied().unwrap_or_default();
        let never = of_kind.iter().filter(|(_, felt)| felt.back.is_none()).count();
        text += &format!(
            "| `{kind}` | {} | {length} | {before:.0} | {median} | {worst} | {never} | {} |\n",
            kind.help(),
            of_kind.len()
        );
    }
    text
}

/// The median (the upper one of two) and the longest; what did not come back in time is longer than all others.
fn middle_and_worst(mut times: Vec<Option<Duration>>) -> (String, String) {
    times.sort_by_key(|time| time.unwrap_or(Duration::MAX));
    let told = |time: Option<&Option<Duration>>| match time {
        Some(Some(time)) => format!("{:.1} s", time.as_secs_f64()),
        Some(None) => format!("not in {} s", AFTER.as_secs()),
        None => String::new(),
    };
    (told(times.get(times.len() / 2)), told(times.last()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Line;

    /// A handler every 10 ms for 20 s, but for some gaps.
    fn ends(gaps: &[(u64, u64)]) -> Vec<u64> {
        (0..2_000)
            .map(|n| n * 10_000)
            .filter(|end| !gaps.iter().any(|(from, to)| (from..to).contains(&end)))
            .collect()
    }

    const SAMPLE: Sample = Sample { n: 1, kind: Kind::Crash, from: 5_000_000, to: 6_000_000 };

    #[test]
    fn a_gap_is_over_when_a_window_is_full_again() {
        let felt = feel(&ends(&[(5_000_000, 6_500_000)]), &SAMPLE);
        let back = felt.back.unwrap();
        assert!((1_900..=2_100).contains(&back.as_millis()), "{back:?}");
        assert!((99.0..=101.0).contains(&felt.before), "{felt:?}");
    }

    #[test]
    fn a_rate_that_is_back_for_a_moment_is_not_back() {
        let gaps = [(5_000_000, 6_500_000), (7_300_000, 8_800_000)];
        let back = feel(&ends(&gaps), &SAMPLE).back.unwrap();
        assert!((4_200..=4_400).contains(&back.as_millis()), "{back:?}");
    }

    #[test]
    fn a_fault_that_nobody_noticed_takes_no_time() {
        assert_eq!(feel(&ends(&[]), &SAMPLE).back, Some(Duration::ZERO));
    }

    #[test]
    fn a_rate_that_does_not_come_back_is_told() {
        let never = feel(&ends(&[(5_000_000, 20_000_000)]), &SAMPLE);
        assert_eq!(never.back, None);
        let once = Felt { back: Some(Duration::from_secs(1)), ..never };
        let table = table(&[(SAMPLE, never), (SAMPLE, once), (SAMPLE, once)]);
        assert!(table.ends_with("| 1.0 s | 100 | 1.0 s | not in 10 s | 1 | 3 |\n"), "{table}");
    }

    #[test]
    fn a_fault_that_missed_first_begins_with_the_try_that_hit() {
        let fault = |at, over| {
            let event = Event::Fault { n: 1, kind: "crash".to_owned(), over, note: String::new() };
            Line { at, event }
        };
        let lines = vec![fault(10, false), fault(20, true), fault(30, false), fault(40, true)];
        let mut samples = [SAMPLE];
        begin_at_hit(&mut samples, &[Account { process: "driver".to_owned(), lines }]);
        assert_eq!(samples[0].from, 30);
    }
}
