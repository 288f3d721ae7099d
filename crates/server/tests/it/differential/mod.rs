//! Our server held against the reference: every request of its captures, sent again.
//!
//! The captures are one after the other on one database, each going on where the one before it ended, and are replayed so.
//! Where our server is meant to answer differently, the table in `differences.rs` says how and why; any other difference
//! fails, and so does a line of the table that is not needed. `between.rs` does what was not captured.

mod added;
mod answer;
mod between;
mod change;
mod curl;
mod differences;
mod json;
mod judge;
mod normalise;
mod scene;
mod stream;
mod transcript;

use answer::Answer;
use judge::Judge;
use scene::Scene;
use transcript::{FILES, exchanges};

#[tokio::test(flavor = "multi_thread")]
async fn every_captured_request_is_answered_as_by_the_reference_but_for_the_table_of_differences() {
    let scene = Scene::new().await;
    let mut judge = Judge::default();
    for (file, text) in FILES {
        for exchange in exchanges(file, text) {
            let reply = scene.send(&exchange.request, &exchange.reply, &judge.here).await;
            judge.compare(&exchange, &Answer::of(&reply));
            between::after(&scene, &judge.here, file, exchange.at).await;
        }
        if *file == "gold5" {
            stream::compare(&scene).await;
        }
    }
    judge.finish();
}
