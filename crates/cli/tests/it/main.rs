//! What the program promises, with the real binary on a real PostgreSQL.

mod bulk;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod describe;
mod leases;
#[cfg(test)]
mod people;
#[cfg(test)]
mod postgres;
mod queues;
mod remote_work;
#[cfg(test)]
mod served;
mod shutdown;
mod streams;
#[cfg(test)]
mod support;
mod tasks;
mod usage;
mod work;
