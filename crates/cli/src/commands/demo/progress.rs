//! How far it is: a bar on a terminal, a line now and then elsewhere.

use std::convert::Infallible;
use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::sleep;

use super::tally::Tally;
use crate::output;

/// Shows the progress until it is dropped.
pub(super) async fn show(tally: &Tally) -> Infallible {
    if !io::stderr().is_terminal() {
        loop {
            sleep(Duration::from_secs(2)).await;
            output::note(&format!("pgmill: {} of {} tasks are finished", tally.finished(), tally.tasks()));
        }
    }
    let bar = Bar::new(tally.tasks());
    loop {
        sleep(Duration::from_millis(100)).await;
        bar.0.set_position(tally.finished() as u64);
    }
}

/// Says how far it came.
pub(super) fn close(tally: &Tally) {
    output::note(&format!("pgmill: {} of {} tasks are finished", tally.finished(), tally.tasks()));
}

/// A bar that leaves the terminal clean.
struct Bar(ProgressBar);

impl Bar {
    fn new(tasks: usize) -> Self {
        let bar = ProgressBar::new(tasks as u64);
        if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} tasks, {per_sec}, {eta} left")
        {
            bar.set_style(style);
        }
        Self(bar)
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
