//! What the data types promise, seen from outside the crate.

mod durations;
mod events;
mod jsons;
mod lists;
mod names;
mod outcomes;
mod queues;
mod tasks;
mod tickers;
mod tokens;
mod words;
