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
mod serve_health;
mod serve_limits;
mod serve_safety;
mod serve_scene;
mod serve_stop;
mod serve_tls;
mod steps;
mod tasks;
mod tick_stream;
mod wire;
