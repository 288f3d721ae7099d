//! The manager on a real PostgreSQL.
mod smoke;
