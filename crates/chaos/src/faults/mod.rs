//! How each fault is injected: a file for each lane, one for what befalls a connection at a point of a statement,
//! and one for a pool of connections that is used up.

mod network;
mod points;
mod pool;
mod processes;
mod server;
mod sessions;

use crate::dice::Dice;
use crate::plan::{Fault, Kind, Lane};
use crate::scene::Scene;

/// What came of a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Injected {
    /// It happened; to whom.
    Yes(String),
    /// What it was to hit was not there: to be tried again. Why.
    Missed(String),
    /// It cannot be injected here; why.
    Impossible(&'static str),
}

/// Injects it, and returns when it is over: nothing of it happens later. At each try it is after something else.
pub(crate) async fn inject(scene: &Scene, fault: &Fault, before: usize) -> anyhow::Result<Injected> {
    let mut dice = Dice::new(fault.seed.wrapping_add(before as u64));
    match fault.kind.lane() {
        Lane::Processes => processes::inject(scene, fault, &mut dice).await,
        Lane::Network => network::inject(scene, fault, &mut dice).await,
        Lane::Sessions if fault.kind == Kind::ExhaustPool => {
            pool::exhaust(scene, fault.length, &mut dice).await
        }
        Lane::Sessions => sessions::inject(scene, fault, &mut dice).await,
        Lane::Server => server::inject(scene, fault, &mut dice).await,
    }
}
