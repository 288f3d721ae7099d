//! What the crate promises, on real servers.

mod faults;
mod folders;
mod lifecycle;
mod security;
mod sharing;
#[cfg(test)]
mod support;
