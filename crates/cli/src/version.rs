//! What `--version` prints.

use serde::Serialize;

/// The fields and their order are those of the contract; what is not known is left out.
#[derive(Debug, Serialize)]
pub(crate) struct Info {
    #[serde(skip_serializing_if = "Option::is_none")]
    branch: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    build_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compiler: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<&'static str>,
    name: &'static str,
    source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<&'static str>,
    version: &'static str,
}

pub(crate) fn info() -> Info {
    let built = option_env!("BUILD_TIME").and_then(|seconds| seconds.parse().ok());
    Info {
        branch: option_env!("BUILD_BRANCH"),
        build_time: built
            .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
            .map(|time| time.to_string()),
        compiler: option_env!("BUILD_COMPILER"),
        hash: option_env!("BUILD_HASH"),
        name: "pgmill",
        source: env!("CARGO_PKG_REPOSITORY"),
        tag: option_env!("BUILD_TAG"),
        version: env!("CARGO_PKG_VERSION"),
    }
}
