//! A stream of messages that connects again when it breaks.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::stream::{self, BoxStream, Stream, StreamExt as _};
use reqwest::Response;
use reqwest::header::CONTENT_TYPE;
use tokio::time::{sleep, timeout};

use crate::call::Call;
use crate::retry::{PATIENCE, doubled, jittered};
use crate::sse::{Decoder, Message};
use crate::{Client, Error};

const EVENT_STREAM: &str = "text/event-stream";

/// How a stream keeps itself alive.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Upkeep {
    /// A connection on which nothing came for this long is taken for dead.
    pub(crate) silence: Duration,
    /// The first pause before connecting again, and the longest.
    pub(crate) pause: Duration,
    pub(crate) longest_pause: Duration,
}

impl Default for Upkeep {
    fn default() -> Upkeep {
        let seconds = Duration::from_secs;
        Upkeep { silence: seconds(30), pause: seconds(1), longest_pause: seconds(30) }
    }
}

/// What happens on a stream, to be shown or logged; pings too.
#[derive(Debug)]
#[non_exhaustive]
pub enum Signal {
    /// There is a connection: from now on messages come. What happened while there was none does not come any more.
    Connected,
    /// A message came.
    Message(Message),
    /// There is no connection, for this reason. The stream goes on trying.
    Reconnecting(Error),
}

/// All that happens on a stream. It ends after an error, or not at all.
#[must_use = "a stream does nothing unless it is polled"]
pub struct Signals(BoxStream<'static, Result<Signal, Error>>);

/// A stream that connects by itself when it is first polled, and again whenever the connection breaks or stays silent for 30 s:
/// after a pause of 1 s to 30 s, less up to half of that by chance.
///
/// It ends only after an error that would come again: the server does not know the path or the token, or does not allow it.
/// A message that cannot be read is an error, too, but the stream goes on. Dropping it closes the connection.
#[must_use = "a stream does nothing unless it is polled"]
pub struct Subscription<T> {
    signals: Signals,
    read: fn(Signal) -> Option<Result<T, Error>>,
}

impl<T> Subscription<T> {
    pub(crate) fn new(client: &Client, call: Call, read: fn(Signal) -> Option<Result<T, Error>>) -> Self {
        let call = call.accept(EVENT_STREAM);
        let feed = Feed {
            client: client.clone(),
            call,
            state: State::Down(Duration::ZERO),
            failures: 0,
            pause: None,
        };
        let signals = stream::unfold(feed, |mut feed| async { Some((feed.next().await?, feed)) });
        Subscription { signals: Signals(signals.boxed()), read }
    }

    /// The same stream with all that happens on it: pings, messages as they came, and each loss of the connection.
    pub fn into_signals(self) -> Signals {
        self.signals
    }
}

impl Stream for Signals {
    type Item = Result<Signal, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(context)
    }
}

impl<T> Stream for Subscription<T> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match ready!(self.signals.poll_next_unpin(context)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(signal)) => {
                    if let Some(item) = (self.read)(signal) {
                        return Poll::Ready(Some(item));
                    }
                }
            }
        }
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signals(…)")
    }
}

impl<T> fmt::Debug for Subscription<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subscription(…)")
    }
}

struct Feed {
    client: Client,
    call: Call,
    state: State,
    /// How often it failed since the last message.
    failures: u32,
    /// The pause that the server asked for.
    pause: Option<Duration>,
}

enum State {
    /// To be connected after this pause.
    Down(Duration),
    Up(Box<Connection>),
    Ended,
}

struct Connection {
    response: Response,
    decoder: Decoder,
}

impl Feed {
    async fn next(&mut self) -> Option<Result<Signal, Error>> {
        let result = match &mut self.state {
            State::Ended => return None,
            State::Down(pause) => {
                sleep(*pause).await;
                self.connect().await
            }
            State::Up(connection) => {
                let silence = self.client.shared.upkeep.silence;
                let next = connection.next(silence).await;
                self.pause = connection.decoder.take_retry().or(self.pause);
                next.map(|message| {
                    self.failures = 0;
                    Signal::Message(message)
                })
            }
        };
        Some(result.or_else(|error| self.fail(error.asked(|| self.call.asked()))))
    }

    async fn connect(&mut self) -> Result<Signal, Error> {
        let response = self.client.open(&self.call).await?;
        let kind =
            response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !kind.to_ascii_lowercase().starts_with(EVENT_STREAM) {
            let reason = format!("it is {kind:?}, not a stream of events");
            return Err(Error::undecodable(response.status(), &[], reason));
        }
        self.state = State::Up(Box::new(Connection { response, decoder: Decoder::new() }));
        Ok(Signal::Connected)
    }

    /// What to tell of a failure, and what comes after it.
    fn fail(&mut self, error: Error) -> Result<Signal, Error> {
        if is_final(&error) {
            self.state = State::Ended;
            return Err(error);
        }
        let upkeep = self.client.shared.upkeep;
        let first = self.pause.unwrap_or(upkeep.pause).clamp(upkeep.pause, upkeep.longest_pause);
        let pause = jittered(doubled(first, self.failures, upkeep.longest_pause));
        let asked_for = error.retry_after().unwrap_or_default().min(PATIENCE);
        self.failures = self.failures.saturating_add(1);
        self.state = State::Down(pause.max(asked_for));
        Ok(Signal::Reconnecting(error))
    }
}

impl Connection {
    async fn next(&mut self, silence: Duration) -> Result<Message, Error> {
        loop {
            if let Some(message) = self.decoder.next() {
                return Ok(message);
            }
            let chunk = timeout(silence, self.response.chunk()).await;
            let chunk = chunk.map_err(|_| Error::broken("the server fell silent"))?;
            let bytes = chunk.map_err(Error::transport)?;
            let bytes = bytes.ok_or_else(|| Error::broken("the server closed the stream"))?;
            let fed = self.decoder.feed(&bytes);
            fed.map_err(|_| Error::broken("the stream has a message of more than 16 MiB"))?;
        }
    }
}

/// Whether the next try would fail as well.
fn is_final(error: &Error) -> bool {
    let told_off =
        error.status().is_some_and(|status| (400..500).contains(&status) && !matches!(status, 408 | 429));
    told_off || error.is_decode() || error.is_invalid()
}
