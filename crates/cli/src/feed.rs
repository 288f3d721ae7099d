//! Streams of events, printed until Ctrl-C.

use futures_util::StreamExt;
use pgmill_client::{Message, Signal, Signals};

use crate::{failure, output, shutdown};

/// Where to say why the connection is lost.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Loss {
    /// Among what is printed, as the reference does.
    Line,
    /// On standard error, for what is printed is read by programs.
    Remark,
}

/// Prints what `line` makes of each message, and why the connection is lost whenever it is.
///
/// # Errors
///
/// What ends the stream: the server does not know the path or the token, or does not allow it.
pub(crate) async fn follow(
    mut signals: Signals,
    loss: Loss,
    line: impl Fn(&Message) -> Option<String>,
) -> anyhow::Result<()> {
    let asked = shutdown::asked();
    tokio::pin!(asked);
    loop {
        let signal = tokio::select! {
            biased;
            asked = &mut asked => return asked,
            signal = signals.next() => signal,
        };
        match signal {
            Some(Ok(Signal::Message(message))) => {
                if let Some(line) = line(&message) {
                    output::line(&line);
                }
            }
            Some(Ok(Signal::Reconnecting(error))) => {
                let text = failure::text(&error, false);
                let text = format!("[reconnecting] {}", text.trim_start_matches("Error: ").trim_end());
                match loss {
                    Loss::Line => output::line(&text),
                    Loss::Remark => output::note(&text),
                }
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error.into()),
            None => return Ok(()),
        }
        if output::is_closed() {
            return Ok(());
        }
    }
}
