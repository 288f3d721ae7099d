//! `/metrics`.

use std::io::Write;

use axum::extract::State;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::api::App;
use crate::caller::Caller;
use crate::metrics::gather;
use crate::resource::{Routes, at};

const TEXT: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8; escaping=underscores");

pub(crate) fn routes() -> Routes {
    Routes::new([at("/metrics").get(scrape)])
}

/// The metrics in the text format of Prometheus.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "get_metrics",
    tag = "server",
    responses((status = 200, description = "The text format of Prometheus.", body = String, content_type = "text/plain")),
)]
pub(crate) async fn scrape(caller: Caller, State(app): State<App>, headers: HeaderMap) -> Response {
    let text = gather(&caller.manager, app.options().shown_recorder(), caller.is_everywhere()).await;
    if takes_gzip(&headers)
        && let Ok(packed) = packed(text.as_bytes())
    {
        let gzip = HeaderValue::from_static("gzip");
        return ([(CONTENT_TYPE, TEXT), (CONTENT_ENCODING, gzip), (VARY, vary())], packed).into_response();
    }
    ([(CONTENT_TYPE, TEXT), (VARY, vary())], text).into_response()
}

fn vary() -> HeaderValue {
    HeaderValue::from_static("accept-encoding")
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim().eq_ignore_ascii_case("gzip")
            && !matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
    })
}

fn packed(text: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 4), Compression::fast());
    encoder.write_all(text)?;
    encoder.finish()
}
