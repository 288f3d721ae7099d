//! The end of a worker, in stages, each of which a second signal cuts short.

use std::time::Duration;

use tokio::time::timeout;

use crate::output;
use crate::worker::process::{LAST_WORDS, TIDY_UP};
use crate::worker::{Handler, Worker};

/// How long to wait for what is released to be recorded.
const RECORDING: Duration = Duration::from_secs(10);

impl<H: Handler> Worker<H> {
    /// Waits for the attempts under way, then asks them to end, then ends them. Returns how many are left unrecorded.
    pub(super) async fn drain(&self) -> usize {
        self.attempts.close();
        // At the end of `--until-empty` there is nothing to wait for but a few lines of output.
        if self.shutdown.stop.is_cancelled() {
            match self.attempts.len() {
                0 => {}
                1 => output::note("pgmill: waiting for 1 task"),
                count => output::note(&format!("pgmill: waiting for {count} tasks")),
            }
        }
        self.ended_within(self.options.grace).await;
        self.interrupt.soon.cancel();
        self.ended_within(TIDY_UP + LAST_WORDS).await;
        self.interrupt.now.cancel();
        // Also after the second signal: what was just given back is worth the moment it takes to record it.
        if timeout(RECORDING, self.attempts.wait()).await.is_err() {
            let left = self.attempts.len();
            output::note(&format!(
                "pgmill: the database does not answer; attempts that could not be recorded: {left}. Their tasks \
                 run again when their leases have run out"
            ));
            return left;
        }
        0
    }

    async fn ended_within(&self, time: Duration) {
        let ended = timeout(time, self.attempts.wait());
        self.shutdown.now.run_until_cancelled(ended).await;
    }
}
