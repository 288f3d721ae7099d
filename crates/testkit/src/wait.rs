//! Waiting for what happens elsewhere.

use std::fmt;
use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(25);

/// Waits until a condition of an outside system holds: asks at once, then again after 1 ms, and from then on at
/// growing intervals of at most 25 ms.
///
/// For what can be awaited directly, such as a task of the test itself, await that instead. Needs tokio's real clock:
/// not for tests that pause it.
///
/// ```
/// # async fn example() {
/// use std::time::Duration;
/// use pgmill_testkit::{TestDatabase, wait_until};
///
/// let database = TestDatabase::create().await;
/// let client = database.connect().await;
/// wait_until("the queue to appear", Duration::from_secs(5), async || {
///     client.query_opt("select from pgmill.queue", &[]).await.is_ok_and(|row| row.is_some())
/// })
/// .await;
/// # }
/// ```
///
/// # Panics
/// If the condition does not hold within the limit, naming `what` was waited for. A condition that does not answer
/// within it counts as one that does not hold.
pub async fn wait_until(what: &str, limit: Duration, mut condition: impl AsyncFnMut() -> bool) {
    let mut pauses = Pauses::new();
    let holds = async {
        while !condition().await {
            pauses.pause().await;
        }
    };
    if tokio::time::timeout(limit, holds).await.is_err() {
        panic!("waited {pauses} for {what}, which did not happen");
    }
}

/// The pauses between two looks at an outside system; shown as how long was waited.
#[derive(Debug)]
pub(crate) struct Pauses {
    start: Instant,
    next: Duration,
    asked: u64,
}

impl Pauses {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), next: FIRST, asked: 1 }
    }

    pub(crate) fn waited(&self) -> Duration {
        self.start.elapsed()
    }

    pub(crate) async fn pause(&mut self) {
        tokio::time::sleep(self.next).await;
        self.next = (self.next * 2).min(LONGEST);
        self.asked += 1;
    }
}

impl fmt::Display for Pauses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1?} (asked {} times)", self.waited(), self.asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn returns_as_soon_as_the_condition_holds() {
        let mut asked = 0;
        wait_until("the third time", Duration::from_secs(60), async || {
            asked += 1;
            asked == 3
        })
        .await;
        assert_eq!(asked, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "for rain")]
    async fn panics_with_what_was_waited_for() {
        wait_until("rain", Duration::from_millis(5), async || false).await;
    }

    #[tokio::test]
    #[should_panic(expected = "for an answer")]
    async fn a_condition_that_never_answers_does_not_hold() {
        wait_until("an answer", Duration::from_millis(5), std::future::pending).await;
    }
}
