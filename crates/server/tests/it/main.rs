//! The server over real HTTP, on a real PostgreSQL.

mod audit;
mod fixture;
mod guarded;
mod http;
mod metrics;
mod queues;
mod rights;
mod tokens;
