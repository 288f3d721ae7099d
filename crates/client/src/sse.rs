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
