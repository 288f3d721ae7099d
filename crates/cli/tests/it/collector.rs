//! A collector of traces, by HTTP and by gRPC, that reads of them what tests ask for.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::HeaderMap;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

/// What it was sent.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A span, as far as tests look at it.
#[derive(Debug, Clone)]
pub(crate) struct SentSpan {
    pub(crate) trace: String,
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) name: String,
    pub(crate) attributes: Vec<String>,
}

/// It takes what comes for as long as the runtime of its test runs.
pub(crate) struct Collector {
    pub(crate) address: String,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl Collector {
    pub(crate) async fn start(by_grpc: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let sent = Arc::<Mutex<Vec<Sent>>>::default();
        let shelf = Arc::clone(&sent);
        tokio::spawn(async move {
            loop {
                let io = TokioIo::new(listener.accept().await.unwrap().0);
                let shelf = Arc::clone(&shelf);
                let service = service_fn(move |request| take(Arc::clone(&shelf), request));
                tokio::spawn(async move {
                    if by_grpc {
                        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                        let _ = server.serve_connection(io, service).await;
                    } else {
                        let _ =
                            hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
                    }
                });
            }
        });
        Self { address, sent }
    }

    /// Everything that was sent, which it forgets.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        std::mem::take(&mut self.sent.lock().unwrap())
    }
}

type Answer = StreamBody<futures_util::stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>;

async fn take(
    shelf: Arc<Mutex<Vec<Sent>>>,
    request: Request<Incoming>,
) -> Result<Response<Answer>, hyper::Error> {
    let (head, body) = request.into_parts();
    let by_grpc = head.headers["content-type"] == "application/grpc";
    let body = body.collect().await?.to_bytes();
    // A message is behind a mark and its length.
    let body = if by_grpc { body.slice(5..) } else { body };
    shelf.lock().unwrap().push(Sent { path: head.uri.path().to_owned(), headers: head.headers, body });
    let frames = if by_grpc {
        let done = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
        vec![Ok(Frame::data(Bytes::from_static(&[0; 5]))), Ok(Frame::trailers(done))]
    } else {
        Vec::new()
    };
    let kind = if by_grpc { "application/grpc" } else { "application/x-protobuf" };
    let answer = Response::builder().header("content-type", kind);
    Ok(answer.body(StreamBody::new(futures_util::stream::iter(frames))).unwrap())
}

impl Sent {
    /// `ExportTraceServiceRequest.resource_spans.scope_spans.spans`.
    pub(crate) fn spans(&self) -> Vec<SentSpan> {
        let scopes = fields(&self.body, 1).into_iter().flat_map(|resource| fields(resource, 2));
        scopes.flat_map(|scope| fields(scope, 2)).map(SentSpan::read).collect()
    }

    /// Whether a text is in it as it is.
    pub(crate) fn holds(&self, text: &str) -> bool {
        self.body.windows(text.len()).any(|window| window == text.as_bytes())
    }
}

impl SentSpan {
    fn read(span: &[u8]) -> Self {
        let bytes = |number| fields(span, number).first().copied().unwrap_or_default();
        let hex = |number| bytes(number).iter().map(|byte| format!("{byte:02x}")).collect();
        let attributes = fields(span, 9).into_iter().map(|attribute| {
            let text = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
            let value = fields(attribute, 2)[0];
            // A text, or a number below 16384.
            let value =
                fields(value, 1).first().map_or_else(|| number(&value[1..]).0.to_string(), |it| text(it));
            format!("{}={value}", text(fields(attribute, 1)[0]))
        });
        Self {
            trace: hex(1),
            id: hex(2),
            parent: hex(4),
            name: String::from_utf8_lossy(bytes(5)).into_owned(),
            attributes: attributes.collect(),
        }
    }
}

/// The fields of a message of Protocol Buffers that have a length, and this number.
fn fields(mut message: &[u8], wanted: u64) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let (key, rest) = number(message);
        message = match key & 7 {
            0 => number(rest).1,
            1 => &rest[8..],
            2 => {
                let (length, rest) = number(rest);
                let (field, rest) = rest.split_at(length.try_into().unwrap());
                if key >> 3 == wanted {
                    found.push(field);
                }
                rest
            }
            5 => &rest[4..],
            kind => panic!("a field of kind {kind}"),
        };
    }
    found
}

fn number(bytes: &[u8]) -> (u64, &[u8]) {
    let end = bytes.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
    let number = bytes[..end].iter().rev().fold(0, |number, byte| number << 7 | u64::from(byte & 0x7f));
    (number, &bytes[end..])
}
