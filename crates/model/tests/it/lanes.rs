//! Many scripts, some at a time, each from a seed of its own.

use std::future::Future;

use tokio::task::JoinSet;

const AT_ONCE: u64 = 4;

/// The seed of all scripts: `PGMILL_MODEL_SEED`, or the same each time.
fn base() -> u64 {
    std::env::var("PGMILL_MODEL_SEED").map_or(1, |seed| seed.parse().expect("a number as seed"))
}

/// Runs so many of them, and sums up what they count.
pub(crate) async fn run_all<F>(
    what: &str,
    count: u64,
    one: impl Fn(u64) -> F + Copy + Send + 'static,
) -> usize
where
    F: Future<Output = usize> + Send,
{
    let base = base();
    println!("{count} {what} from PGMILL_MODEL_SEED={base}");
    let mut lanes = JoinSet::new();
    for lane in 0..AT_ONCE {
        lanes.spawn(async move {
            let mut sum = 0;
            for number in (lane..count).step_by(AT_ONCE as usize) {
                sum += one(base.wrapping_mul(1_000_003).wrapping_add(number)).await;
            }
            sum
        });
    }
    lanes.join_all().await.into_iter().sum()
}
