//! The server over real HTTP, on a real PostgreSQL.

mod bodies;
mod concurrency;
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
