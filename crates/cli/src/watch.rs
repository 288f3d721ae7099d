//! An answer that is asked for again and again.

use std::time::Duration;

use anyhow::{anyhow, bail};
use crossterm::terminal;
use pgmill_client::Error;
use tokio::time::sleep;

use crate::remote::RemoteArgs;
use crate::show::Show;
use crate::{args, failure, output, shutdown};

/// To the upper left corner, and everything from there on is wiped.
const ANEW: &str = "\x1b[H\x1b[J";

/// Whether to look once or until Ctrl-C.
#[derive(Debug, clap::Args)]
pub(crate) struct WatchArgs {
    /// Look again and again until Ctrl-C, by default every 2 seconds: on a terminal in place, else as a line of JSON
    /// each time.
    #[arg(
        long,
        value_name = "INTERVAL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "2s",
        value_parser = args::interval
    )]
    watch: Option<Duration>,
}

impl WatchArgs {
    /// Asks and prints: once, or again and again.
    pub(crate) async fn print<T: Show>(
        &self,
        remote: &RemoteArgs,
        ask: impl AsyncFn() -> Result<T, Error>,
    ) -> anyhow::Result<()> {
        let Some(interval) = self.watch else {
            return until_interrupted(async { remote.print(&ask().await?) }).await;
        };
        let mut screen = Screen::new(remote.is_for_people());
        tokio::select! {
            biased;
            asked = shutdown::asked() => asked,
            end = async {
                while !output::is_closed() {
                    match ask().await {
                        Ok(answer) => screen.show(&answer),
                        Err(error) if error.is_transient() => screen.fail(&error),
                        Err(error) => bail!(error),
                    }
                    sleep(interval).await;
                }
                Ok(())
            } => end,
        }
    }
}

/// Where answers are shown.
struct Screen {
    for_people: bool,
    last: Option<String>,
}

impl Screen {
    fn new(for_people: bool) -> Self {
        Self { for_people, last: None }
    }

    fn show(&mut self, answer: &impl Show) {
        if self.for_people {
            let text = answer.show();
            draw(&text);
            self.last = Some(text);
        } else {
            output::json_line(answer);
        }
    }

    /// What was seen last stays, for it is still the best that is known.
    fn fail(&self, error: &Error) {
        match &self.last {
            Some(last) if self.for_people => draw(&format!("{}\n\n{last}", failure::text(error, true))),
            _ => output::note(&failure::text(error, self.for_people)),
        }
    }
}

/// Fills the terminal with the text, as far as it fits.
fn draw(text: &str) {
    let height = terminal::size().ok().map(|(_, height)| usize::from(height)).filter(|height| *height > 0);
    let height = height.map_or(usize::MAX, |height| height.max(2) - 1);
    let lines: Vec<&str> = text.lines().take(height).collect();
    output::text(&format!("{ANEW}{}\n", lines.join("\n")));
}

/// Runs a command that only asks; Ctrl-C gives it up.
pub(crate) async fn until_interrupted<T>(
    command: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    tokio::select! {
        // From the start on, an interrupt must find that it is listened for.
        biased;
        asked = shutdown::asked() => {
            asked?;
            Err(anyhow!("interrupted: what was asked may have happened all the same"))
        }
        result = command => result,
    }
}
