//! The client against servers that answer what a test tells them to.

mod contract;
mod errors;
mod lists;
mod requests;
mod retries;
mod streams;
mod stub;
mod tls;
