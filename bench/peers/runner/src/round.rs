//! One row of the table: a system, its driver, and what its rounds gave.

use std::path::Path;

use peer_driver::Info;
use serde::Serialize;
use tokio_postgres::Client;

use crate::args::Plan;
use crate::build::Built;
use crate::driver::Driver;
use crate::figures::{CALLERS, Round};
use crate::machine;
use crate::measure::{Database, Measured};
use crate::server::Server;
use crate::system::System;

#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) info: Option<Info>,
    /// Or why it cannot be driven.
    #[serde(skip)]
    pub(crate) driver: Result<Driver, String>,
    pub(crate) rounds: Vec<Round>,
    /// The workloads that failed, with the reason.
    pub(crate) failures: Vec<String>,
}

impl Row {
    /// Asks the driver what it drives.
    pub(crate) async fn new(system: System, built: &Built) -> Self {
        let asked = async || {
            let driver = built.driver(system)?;
            let info = driver.info().await?;
            anyhow::Ok((driver, info))
        };
        let (driver, info) = match asked().await {
            Ok((driver, info)) => (Ok(driver), Some(info)),
            Err(error) => (Err(format!("{error:#}")), None),
        };
        Self { name: system.name, info, driver, rounds: Vec::new(), failures: Vec::new() }
    }

    /// Why figures are missing.
    pub(crate) fn reasons(&self) -> impl Iterator<Item = String> {
        self.driver
            .as_ref()
            .err()
            .into_iter()
            .chain(&self.failures)
            .map(|why| format!("{}: {why}", self.name))
    }

    /// Measures all workloads on a new server, and describes it. A workload that fails is noted, and the others are
    /// measured all the same.
    ///
    /// # Errors
    /// If there is no server to measure on.
    pub(crate) async fn round(
        &mut self,
        plan: &Plan,
        bin_dir: &Path,
        dir: Option<&Path>,
    ) -> anyhow::Result<Option<String>> {
        let Ok(driver) = self.driver.clone() else { return Ok(None) };
        let server = Server::start(bin_dir, dir).await?;
        let control = server.connect().await?;
        let described = machine::describe(&control, dir).await?;
        let mut round = Round::default();
        let mut run = Run { server: &server, control: &control, driver: &driver, plan, failed: Vec::new() };
        for (at, callers) in CALLERS.into_iter().enumerate() {
            [round.single[at]] = run.workloads(&format!("single_{callers}"), ["single"], callers).await;
        }
        [round.bulk] = run.workloads("bulk", ["bulk"], 1).await;
        [round.seed, round.drain] = run.workloads("drain", ["seed", "drain"], 1).await;
        [round.latency] = run.workloads("latency", ["latency"], 1).await;
        self.failures.append(&mut run.failed);
        self.rounds.push(round);
        drop(control);
        server.stop().await?;
        Ok(Some(described))
    }
}

/// The workloads of one round.
struct Run<'a> {
    server: &'a Server,
    control: &'a Client,
    driver: &'a Driver,
    plan: &'a Plan,
    failed: Vec<String>,
}

impl Run<'_> {
    /// Measures workloads one after the other on one new database, up to the first that fails.
    async fn workloads<const N: usize>(
        &mut self,
        name: &str,
        workloads: [&str; N],
        callers: u32,
    ) -> [Option<Measured>; N] {
        let mut measured = [const { None }; N];
        if let Err(error) = self.try_workloads(name, workloads, callers, &mut measured).await {
            eprintln!("  {name}: {error:#}");
            self.failed.push(format!("{name}: {error:#}"));
        }
        measured
    }

    async fn try_workloads<const N: usize>(
        &self,
        name: &str,
        workloads: [&str; N],
        callers: u32,
        measured: &mut [Option<Measured>; N],
    ) -> anyhow::Result<()> {
        let database = Database::make(self.server, self.control, name, self.driver, self.plan).await?;
        for (workload, measured) in workloads.into_iter().zip(measured) {
            *measured = Some(database.measure(self.driver, workload, callers, self.plan).await?);
        }
        database.remove().await
    }
}
