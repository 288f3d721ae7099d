//! What the program promises, with the real binary on a real PostgreSQL.

mod bulk;
#[cfg(feature = "otel")]
#[cfg(test)]
mod collector;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod describe;
#[cfg(test)]
mod differential;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod injection;
mod leases;
#[cfg(test)]
mod people;
#[cfg(test)]
mod polyglot;
#[cfg(test)]
mod postgres;
mod queues;
mod remote_work;
#[cfg(test)]
mod run;
#[cfg(test)]
mod served;
mod shutdown;
mod streams;
#[cfg(test)]
mod support;
mod tasks;
mod tokens;
#[cfg(test)]
mod traces;
mod usage;
mod work;
