//! The server over real HTTP, on a real PostgreSQL.

#[cfg(test)]
mod differential;
mod fixture;
mod http;
mod metrics;
mod queues;
mod release;
mod retain;
mod steps;
mod tasks;
