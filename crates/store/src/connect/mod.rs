//! From a connection string and the environment to an open connection.
//!
//! Everything libpq does between `psql "postgres://…"` and the first query lives here: parameters and their environment
//! variables, the password file, `sslmode`, several hosts. It opens connections and knows no statement but the session
//! defaults; what runs on a connection is the business of the rest of the crate.
//!
//! - `conninfo` splits a connection string into parameters; `parameters` knows their names, variables and values.
//! - `options` is the result of both: [`ConnectOptions`].
//! - `dial` opens one connection: hosts in turn, with and without TLS. `tls`, `verifier` and `passfile` serve it;
//!   `diagnosis` reads its failures.
//! - `driver` runs an open connection; `pool` keeps many; `cancel` stops what one is at.

mod cancel;
mod conninfo;
mod diagnosis;
mod dial;
mod driver;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod options;
mod parameters;
mod passfile;
mod pool;
#[cfg(test)]
mod tests;
mod tls;
mod verifier;

pub use driver::Driver;
pub use error::{ConnectError, ConnectFailure};
pub use options::{ConnectOptions, SslMode};
