//! The server over real HTTP, on a real PostgreSQL.

#![cfg(test)]

mod audit;
mod bodies;
mod bombs;
mod bounds;
mod concurrency;
mod differential;
mod docs;
mod events;
mod fixture;
mod groups;
mod guarded;
mod guide;
mod hostile;
mod http;
mod injection;
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
mod rights;
mod serve_frames;
mod serve_health;
mod serve_hostile;
mod serve_limits;
mod serve_safety;
mod serve_scene;
mod serve_stop;
mod serve_tls;
mod steps;
mod tasks;
mod tick_stream;
mod tokens;
mod wire;
