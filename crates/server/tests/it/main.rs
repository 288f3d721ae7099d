//! The server over real HTTP, on a real PostgreSQL.

#![cfg(test)]

mod audit;
mod differential;
mod fixture;
mod guarded;
mod http;
mod longpoll;
mod metrics;
mod queues;
mod release;
mod retain;
mod rights;
mod steps;
mod tasks;
mod tick_stream;
mod tokens;
mod wire;
