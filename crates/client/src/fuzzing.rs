//! What holds of any stream of events, for the target of `fuzz/` and for the tests.

use crate::Message;
use crate::sse::{Decoder, TooLong};

/// A number that decides how the rest, a stream, is cut into pieces. However it is cut, the messages are the same; and each
/// of them, written as a server writes it, is read again.
///
/// # Panics
/// If something does not hold.
pub fn events(input: &[u8]) {
    let Some((piece, stream)) = input.split_first() else { return };
    let whole = decoded([stream]);
    assert_eq!(decoded(stream.chunks(usize::from(*piece).max(1))), whole);
    for message in whole.unwrap_or_default() {
        let data = message.data.split('\n').map(|line| format!("data: {line}\n"));
        let id = message.id.iter().map(|id| format!("id: {id}\n"));
        let written: String = [format!("event: {}\n", message.event)]
            .into_iter()
            .chain(id)
            .chain(data)
            .chain(["\n".to_owned()])
            .collect();
        assert_eq!(decoded([written.as_bytes()]), Ok(vec![message]), "{written:?}");
    }
}

/// The messages of a stream that comes in these pieces.
fn decoded<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Message>, TooLong> {
    let mut decoder = Decoder::new();
    let mut messages = Vec::new();
    for piece in pieces {
        decoder.feed(piece)?;
        messages.extend(std::iter::from_fn(|| decoder.next()));
    }
    let _ = decoder.take_retry();
    Ok(messages)
}

#[cfg(test)]
#[path = "../../../fuzz/kept.rs"]
mod kept;

#[test]
fn events_hold() {
    kept::hold("events", events);
}
