//! The server over real HTTP, on a real PostgreSQL.

#[cfg(test)]
mod differential;
mod fixture;
mod http;
mod longpoll;
mod metrics;
mod queues;
mod release;
mod retain;
mod steps;
mod tasks;
mod tick_stream;
mod wire;
