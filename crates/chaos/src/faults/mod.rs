//! How each fault is injected: a file for each lane.

mod network;
mod processes;
mod server;
mod sessions;

use crate::dice::Dice;
use crate::plan::{Fault, Lane};
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

/// Injects it, and returns when it is over.
pub(crate) async fn inject(scene: &Scene, fault: &Fault) -> anyhow::Result<Injected> {
    let mut dice = Dice::new(fault.seed);
    match fault.kind.lane() {
        Lane::Processes => processes::inject(scene, fault, &mut dice).await,
        Lane::Network => network::inject(scene, fault, &mut dice).await,
        Lane::Sessions => sessions::inject(scene, fault, &mut dice).await,
        Lane::Server => server::inject(scene, fault, &mut dice).await,
    }
}
