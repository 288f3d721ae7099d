//! Clients of HTTP/2 that mean no good, frame by frame: <https://www.rfc-editor.org/rfc/rfc9113>.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use futures_util::stream;
use pgmill_server::ServeOptions;
use pgmill_testkit::wait_until;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::serve_scene::{PATIENCE, SOON, Scene};
use crate::serve_tls::Files;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// GET, https, /, and the host, as HPACK writes them.
const GET: &[u8] = b"\x82\x87\x84\x41\x09localhost";
/// The same of /ok, and of /large.
const GET_OK: &[u8] = b"\x82\x87\x44\x03/ok\x41\x09localhost";
const GET_LARGE: &[u8] = b"\x82\x87\x44\x06/large\x41\x09localhost";
/// No answer may be sent before the client says so.
const NO_WINDOW: &[u8] = &[0, 4, 0, 0, 0, 0];
/// A byte of each answer may be sent before the client says so.
const SMALL_WINDOW: &[u8] = &[0, 4, 0, 0, 0, 1];

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn request(stream: u32) -> Vec<u8> {
    request_for(GET, stream)
}

fn request_for(what: &[u8], stream: u32) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, what)
}

/// That so many more bytes of an answer may be sent.
fn room(stream: u32, bytes: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes())
}

/// What the next frame of this kind and stream holds.
async fn next_frame(connection: &mut (impl AsyncRead + Unpin), kind: u8, stream: u32) -> Vec<u8> {
    let read = async {
        loop {
            let mut head = [0; 9];
            connection.read_exact(&mut head).await.expect("the connection goes on");
            let [a, b, c, its_kind, _, id @ ..] = head;
            let length = u32::from_be_bytes([0, a, b, c]);
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            connection.read_exact(&mut payload).await.unwrap();
            if (its_kind, u32::from_be_bytes(id)) == (kind, stream) {
                return payload;
            }
        }
    };
    timeout(PATIENCE, read).await.expect("the frame")
}

/// Another request on a connection is answered.
async fn assert_goes_on(
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
    stream: u32,
) {
    writer.write_all(&[request_for(GET_OK, stream), room(stream, 100)].concat()).await.unwrap();
    let mut answer = Vec::new();
    while answer != b"ok" {
        answer.extend(next_frame(reader, DATA, stream).await);
        assert!(b"ok".starts_with(&answer), "{answer:?}");
    }
}

/// A server over TLS, and how many of its handlers and their answers are alive.
struct Frames {
    files: Files,
    scene: Scene,
    alive: Arc<AtomicUsize>,
}

struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn one(of: &Arc<AtomicUsize>) -> Self {
        of.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(of))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Frames {
    async fn new(options: ServeOptions) -> Self {
        let alive = Arc::new(AtomicUsize::new(0));
        let (streaming, waiting) = (Arc::clone(&alive), Arc::clone(&alive));
        let stream = async move || {
            let alive = Alive::one(&streaming);
            let parts =
                stream::unfold(alive, async |alive| Some((Ok::<_, Infallible>("x".repeat(1 << 14)), alive)));
            Body::from_stream(parts)
        };
        let whole = Arc::clone(&alive);
        let large = async move || {
            let alive = Alive::one(&whole);
            let parts = stream::unfold((false, alive), async |(given, alive)| {
                (!given).then(|| (Ok::<_, Infallible>("x".repeat(1 << 20)), (true, alive)))
            });
            Body::from_stream(parts)
        };
        let wait = async move || {
            let _alive = Alive::one(&waiting);
            pending::<()>().await;
        };
        let app = Router::new()
            .route("/", get(stream))
            .route("/large", get(large))
            .route("/wait", get(wait))
            .route("/ok", get(async || "ok"));
        let files = Files::new();
        let scene = Scene::of(app, options.tls(files.tls())).await;
        Self { files, scene, alive }
    }

    /// A connection that says this about itself.
    async fn open(&self, settings: &[u8]) -> TlsStream<TcpStream> {
        let mut stream = self.files.connect(&self.scene, "h2").await.unwrap();
        stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, settings)].concat()).await.unwrap();
        stream
    }

    /// Others are answered.
    async fn is_well(&self) {
        let mut stream = self.files.connect(&self.scene, "http/1.1").await.unwrap();
        stream.write_all(b"GET /ok HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("an answer").unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    async fn until_nobody_is_alive(&self) {
        wait_until("all to end", PATIENCE, async || self.alive.load(Ordering::Relaxed) == 0).await;
    }
}

/// Reads until the server closes the connection, in whatever way.
async fn closed(stream: &mut TlsStream<TcpStream>) {
    let mut heard = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut heard)).await.expect("the server closes it");
}

#[tokio::test]
async fn answers_that_a_client_never_lets_be_sent_are_cut_and_the_others_of_its_connection_go_on() {
    let frames = Frames::new(ServeOptions::new().write_time(SOON)).await;
    let (mut reader, mut writer) = split(frames.open(NO_WINDOW).await);
    writer.write_all(&[request(1), request(3)].concat()).await.unwrap();
    next_frame(&mut reader, RST_STREAM, 1).await;
    next_frame(&mut reader, RST_STREAM, 3).await;
    frames.until_nobody_is_alive().await;
    assert_goes_on(&mut reader, &mut writer, 5).await;
}

#[tokio::test]
async fn an_answer_that_a_client_takes_byte_by_byte_is_cut_and_the_others_of_its_connection_go_on() {
    let frames = Frames::new(ServeOptions::new().write_time(SOON)).await;
    for (what, first) in [(GET, 1), (GET_LARGE, 3)] {
        let (mut reader, mut writer) = split(frames.open(SMALL_WINDOW).await);
        writer.write_all(&request_for(what, first)).await.unwrap();
        let trickle = async {
            loop {
                tokio::time::sleep(SOON / 10).await;
                writer.write_all(&room(first, 1)).await.unwrap();
            }
        };
        tokio::select! {
            _ = next_frame(&mut reader, RST_STREAM, first) => {}
            () = trickle => {}
        }
        frames.until_nobody_is_alive().await;
        assert_goes_on(&mut reader, &mut writer, first + 2).await;
    }
}

#[tokio::test]
async fn a_large_answer_arrives_whole_whatever_the_window() {
    let frames = Frames::new(ServeOptions::new()).await;
    let (mut reader, mut writer) = split(frames.open(&[]).await);
    writer
        .write_all(&[request_for(GET_LARGE, 1), room(0, 1 << 20), room(1, 1 << 20)].concat())
        .await
        .unwrap();
    let mut length = 0;
    while length < 1 << 20 {
        let part = next_frame(&mut reader, DATA, 1).await;
        assert!(part.iter().all(|byte| *byte == b'x'));
        length += part.len();
    }
    assert_eq!(length, 1 << 20);
    frames.until_nobody_is_alive().await;
}

#[tokio::test]
async fn a_client_that_waits_for_an_answer_is_not_cut_for_it() {
    let frames = Frames::new(ServeOptions::new().write_time(SOON)).await;
    let mut stream = frames.open(&[]).await;
    let waiting = b"\x82\x87\x44\x05/wait\x41\x09localhost";
    stream.write_all(&frame(HEADERS, END_STREAM | END_HEADERS, 1, waiting)).await.unwrap();
    wait_until("it to begin", PATIENCE, async || frames.alive.load(Ordering::Relaxed) == 1).await;
    tokio::time::sleep(SOON * 5).await;
    assert_eq!(frames.alive.load(Ordering::Relaxed), 1);
    drop(stream);
    frames.until_nobody_is_alive().await;
}

#[tokio::test]
async fn requests_that_are_taken_back_at_once_leave_nothing_behind_and_others_are_answered() {
    let frames = Frames::new(ServeOptions::new()).await;
    let mut stream = frames.open(&[]).await;
    for first in (1..20_000).step_by(200) {
        let pairs = (first..first + 200)
            .step_by(2)
            .flat_map(|id| [request(id), frame(RST_STREAM, 0, id, &8_u32.to_be_bytes())]);
        // It is closed once it has had enough of them.
        if stream.write_all(&pairs.flatten().collect::<Vec<u8>>()).await.is_err() {
            break;
        }
    }
    frames.is_well().await;
    drop(stream);
    frames.until_nobody_is_alive().await;
}

#[tokio::test]
async fn a_head_without_end_is_refused_before_it_takes_much_memory() {
    let frames = Frames::new(ServeOptions::new()).await;
    let mut stream = frames.open(&[]).await;
    stream.write_all(&frame(HEADERS, END_STREAM, 1, GET)).await.unwrap();
    // A header of 16 bytes that is not to be remembered, over and over.
    let header = b"\x10\x06x-many\x07forever";
    let more = frame(CONTINUATION, 0, 1, &header.repeat(1_000));
    let flood = async { while stream.write_all(&more).await.is_ok() {} };
    timeout(PATIENCE, flood).await.expect("it is closed");
    frames.is_well().await;
}

#[tokio::test]
async fn who_says_nothing_or_only_asks_whether_somebody_is_there_is_closed() {
    let limits = ServeOptions::new().header_time(SOON).idle_time(SOON * 3);
    let frames = Frames::new(limits).await;
    let mut silent = frames.files.connect(&frames.scene, "h2").await.unwrap();
    closed(&mut silent).await;
    let mut pinging = frames.open(&[]).await;
    let pings = async {
        while pinging.write_all(&frame(PING, 0, 0, b"whoisit?")).await.is_ok() {
            tokio::time::sleep(SOON / 4).await;
        }
    };
    timeout(PATIENCE, pings).await.expect("it is closed all the same");
    frames.is_well().await;
}

#[tokio::test]
async fn what_is_no_http_2_is_closed() {
    let frames = Frames::new(ServeOptions::new().header_time(SOON)).await;
    for bad in [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        [PREFACE, &[0xff; 64]].concat(),
        [PREFACE, &frame(SETTINGS, 0, 0, &[0; 5])].concat(),
        [PREFACE, &frame(SETTINGS, 0, 0, &[]), &frame(CONTINUATION, END_HEADERS, 1, GET)].concat(),
        [PREFACE, &frame(SETTINGS, 0, 0, &[]), &request(2)].concat(),
        [PREFACE, &frame(SETTINGS, 0, 0, &[]), &frame(HEADERS, 5, 1, &[0xff; 32])].concat(),
    ] {
        let mut stream = frames.files.connect(&frames.scene, "h2").await.unwrap();
        stream.write_all(&bad).await.unwrap();
        closed(&mut stream).await;
    }
    frames.is_well().await;
    assert_eq!(frames.alive.load(Ordering::Relaxed), 0);
}
