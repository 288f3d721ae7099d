//! Server-sent events, taken apart as the bytes come: <https://html.spec.whatwg.org/multipage/server-sent-events.html>.

use std::collections::VecDeque;
use std::time::Duration;

use reqwest::StatusCode;
use serde::de::DeserializeOwned;

use crate::Error;

/// The longest line, and the most data of one message.
const LIMIT: usize = 16 << 20;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One message of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// What it is, such as `ticker` or `ping`; `message` if the server does not say.
    pub event: String,
    /// What it tells: its lines of data, joined by line feeds.
    pub data: String,
    /// The id that the server gave it.
    pub id: Option<String>,
}

impl Message {
    pub(crate) fn decode<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_str(&self.data)
            .map_err(|error| Error::undecodable(StatusCode::OK, self.data.as_bytes(), error))
    }
}

/// A line, or the data of a message, that is too long to be kept: more than 16 MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Takes bytes in pieces of any size and hands out the messages in them.
///
/// A message is one as soon as it has a name or data; by the standard it needs data, but the pings of the contract have none.
#[derive(Debug)]
pub(crate) struct Decoder {
    limit: usize,
    line: Vec<u8>,
    /// The last byte ended a line and was a carriage return: a line feed right after it belongs to it.
    returned: bool,
    first: bool,
    event: Option<String>,
    data: Option<String>,
    id: Option<String>,
    retry: Option<Duration>,
    ready: VecDeque<Message>,
}

impl Decoder {
    pub(crate) fn new() -> Decoder {
        Decoder::with_limit(LIMIT)
    }

    fn with_limit(limit: usize) -> Decoder {
        Decoder {
            limit,
            line: Vec::new(),
            returned: false,
            first: true,
            event: None,
            data: None,
            id: None,
            retry: None,
            ready: VecDeque::new(),
        }
    }

    /// The next message that is complete.
    pub(crate) fn next(&mut self) -> Option<Message> {
        self.ready.pop_front()
    }

    /// The pause before reconnecting that the server asked for, if it did since it was last asked here.
    pub(crate) fn take_retry(&mut self) -> Option<Duration> {
        self.retry.take()
    }

    /// Takes more bytes. After an error the stream is of no use any more.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), TooLong> {
        while let Some(first) = bytes.first() {
            if std::mem::take(&mut self.returned) && *first == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            let (part, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            if self.line.len() + part.len() > self.limit {
                return Err(TooLong);
            }
            self.line.extend_from_slice(part);
            bytes = rest;
            if let Some((end, rest)) = rest.split_first() {
                self.returned = *end == b'\r';
                bytes = rest;
                let line = std::mem::take(&mut self.line);
                self.end_line(&line)?;
            }
        }
        Ok(())
    }

    fn end_line(&mut self, line: &[u8]) -> Result<(), TooLong> {
        let marked = std::mem::take(&mut self.first).then(|| line.strip_prefix(BYTE_ORDER_MARK)).flatten();
        let line = String::from_utf8_lossy(marked.unwrap_or(line));
        if line.is_empty() {
            self.dispatch();
            return Ok(());
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => self.event = Some(value.to_owned()).filter(|event| !event.is_empty()),
            "data" => self.add(value)?,
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            "retry" => self.retry = value.parse().ok().map(Duration::from_millis).or(self.retry),
            // Comments, whose field is empty, and what nobody knows yet.
            _ => {}
        }
        Ok(())
    }

    fn add(&mut self, value: &str) -> Result<(), TooLong> {
        let Some(data) = &mut self.data else {
            self.data = Some(value.to_owned());
            return Ok(());
        };
        if data.len() + value.len() >= self.limit {
            return Err(TooLong);
        }
        data.push('\n');
        data.push_str(value);
        Ok(())
    }

    fn dispatch(&mut self) {
        let (event, data, id) = (self.event.take(), self.data.take(), self.id.take());
        if event.is_some() || data.is_some() {
            let event = event.unwrap_or_else(|| "message".to_owned());
            self.ready.push_back(Message { event, data: data.unwrap_or_default(), id });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{Strategy, any, prop_oneof, proptest};
    use proptest::sample::select;

    use super::*;

    fn message(event: &str, data: &str) -> Message {
        Message { event: event.to_owned(), data: data.to_owned(), id: None }
    }

    /// Feeds a text in pieces that end at these places.
    fn decode(text: &[u8], cuts: &[usize]) -> Result<Vec<Message>, TooLong> {
        let mut decoder = Decoder::with_limit(64);
        let mut messages = Vec::new();
        let mut ends: Vec<usize> =
            cuts.iter().map(|cut| cut % (text.len() + 1)).chain([text.len()]).collect();
        ends.sort_unstable();
        let mut from = 0;
        for end in ends {
            decoder.feed(&text[from..end])?;
            messages.extend(std::iter::from_fn(|| decoder.next()));
            from = end;
        }
        Ok(messages)
    }

    #[track_caller]
    fn assert_messages(text: &str, expected: &[Message]) {
        let one_by_one: Vec<usize> = (0..text.len()).collect();
        for cuts in [&[][..], &one_by_one] {
            assert_eq!(decode(text.as_bytes(), cuts).as_deref(), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn the_bytes_of_the_contract_are_read() {
        assert_messages("event: ping\n\n", &[message("ping", "")]);
        let tick = "event: ticker\ndata: {\"ticker\":\"t2\"}\n\n";
        assert_messages(tick, &[message("ticker", "{\"ticker\":\"t2\"}")]);
    }

    #[test]
    fn a_line_ends_with_cr_lf_or_both() {
        for end in ["\n", "\r", "\r\n"] {
            let text = ["event: a", "data: x", "", "data: y", "", ""].join(end);
            assert_messages(&text, &[message("a", "x"), message("message", "y")]);
        }
        assert_messages("data: x\r\r\ndata: y\n\r\n", &[message("message", "x"), message("message", "y")]);
    }

    #[test]
    fn lines_of_data_are_joined_and_one_space_is_not_theirs() {
        assert_messages("data:a\ndata\ndata:  b\n\n", &[message("message", "a\n\n b")]);
    }

    #[test]
    fn comments_unknown_fields_and_an_unfinished_message_are_nothing() {
        assert_messages(": ping\n\nnobody: knows\n\n\n\ndata: unfinished\n", &[]);
    }

    #[test]
    fn a_byte_order_mark_at_the_start_is_no_part_of_the_first_line() {
        let text = "\u{feff}data: x\n\n\u{feff}data: y\n\n";
        assert_messages(text, &[message("message", "x")]);
    }

    #[test]
    fn an_id_is_of_its_message() {
        let with_id = Message { id: Some("7".to_owned()), ..message("message", "x") };
        assert_messages("id: 7\ndata: x\n\ndata: y\n\n", &[with_id, message("message", "y")]);
    }

    #[test]
    fn a_pause_is_asked_for_in_milliseconds_and_other_texts_ask_for_nothing() {
        let mut decoder = Decoder::new();
        decoder.feed(b"retry: 1500\nretry: soon\n\n").unwrap();
        assert_eq!((decoder.next(), decoder.take_retry()), (None, Some(Duration::from_millis(1500))));
        assert_eq!(decoder.take_retry(), None);
    }

    #[test]
    fn what_is_too_long_is_not_kept() {
        let longest = format!("data:{}\n\n", "x".repeat(59));
        assert_messages(&longest, &[message("message", &"x".repeat(59))]);
        let line = format!("data:{}", "x".repeat(60));
        assert_eq!(decode(line.as_bytes(), &[10, 20]), Err(TooLong));
        let lines = "data: 0123456789\n".repeat(7);
        assert_eq!(decode(lines.as_bytes(), &[]), Err(TooLong));
    }

    fn piece() -> impl Strategy<Value = Vec<u8>> {
        let usual = select(vec![
            "\n",
            "\r",
            "\r\n",
            "\n\n",
            "data: x",
            "data:",
            "event: ticker",
            "id: 1",
            "retry: 5",
            ": c",
            "\u{feff}",
            "ä",
            " ",
        ]);
        prop_oneof![usual.prop_map(|text| text.as_bytes().to_vec()), vec(any::<u8>(), 0..4)]
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_messages(pieces in vec(piece(), 0..40), cuts in vec(any::<usize>(), 0..20)) {
            let text = pieces.concat();
            assert_eq!(decode(&text, &cuts).ok(), decode(&text, &[]).ok());
        }
    }
}
