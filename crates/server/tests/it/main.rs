//! The server over real HTTP, on a real PostgreSQL.

#![cfg(test)]

mod bodies;
mod concurrency;
mod differential;
mod fixture;
mod http;
mod interventions;
mod longpoll;
mod metrics;
mod names;
mod outage;
mod queries;
mod queues;
mod reference;
mod release;
mod retain;
mod steps;
mod tasks;
mod tick_stream;
mod wire;
