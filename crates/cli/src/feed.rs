//! Streams of events, printed until Ctrl-C.

use futures_util::StreamExt;
use pgmill_client::{Message, Signal, Signals};

use crate::{failure, output, shutdown};

/// Prints what `line` makes of each message, and why the connection is lost whenever it is.
///
/// # Errors
///
/// What ends the stream: the server does not know the path or the token, or does not allow it.
pub(crate) async fn follow(
    mut signals: Signals,
    line: impl Fn(&Message) -> Option<String>,
) -> anyhow::Result<()> {
    let asked = shutdown::asked();
    tokio::pin!(asked);
    loop {
        let signal = tokio::select! {
            signal = signals.next() => signal,
            asked = &mut asked => return asked,
        };
        match signal {
            Some(Ok(Signal::Message(message))) => {
                if let Some(line) = line(&message) {
                    output::line(&line);
                }
            }
            Some(Ok(Signal::Reconnecting(error))) => {
                let text = failure::text(&error, false);
                output::line(&format!("[reconnecting] {}", text.trim_start_matches("Error: ").trim_end()));
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error.into()),
            None => return Ok(()),
        }
    }
}
