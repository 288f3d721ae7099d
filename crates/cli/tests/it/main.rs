//! What the program promises, with the real binary on a real PostgreSQL.

#[cfg(test)]
mod demo;
mod leases;
#[cfg(test)]
mod postgres;
#[cfg(test)]
mod run;
mod shutdown;
#[cfg(test)]
mod support;
mod usage;
mod work;
