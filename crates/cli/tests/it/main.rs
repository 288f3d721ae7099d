//! What the program promises, with the real binary on a real PostgreSQL.

#[cfg(test)]
mod demo;
#[cfg(test)]
mod differential;
mod leases;
#[cfg(test)]
mod postgres;
mod shutdown;
#[cfg(test)]
mod support;
mod usage;
mod work;
