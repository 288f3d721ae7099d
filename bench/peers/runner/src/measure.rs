//! One workload of one system, with what it took.

use std::time::Instant;

use peer_driver::Outcome;
use serde::Serialize;
use tokio_postgres::Client;

use crate::args::Plan;
use crate::driver::Driver;
use crate::server::Server;
use crate::usage::Totals;

/// What a driver answered, and what was measured around it.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Measured {
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
    /// The start and the end of the driver included, as in all that follow.
    pub(crate) wall_s: f64,
    pub(crate) wal_bytes: f64,
    pub(crate) commits: f64,
    pub(crate) server_cpu_s: f64,
    pub(crate) driver_cpu_s: f64,
}

/// A database that was made for a workload, with the schema of a system.
#[derive(Debug)]
pub(crate) struct Database<'a> {
    server: &'a Server,
    control: &'a Client,
    name: String,
}

impl<'a> Database<'a> {
    pub(crate) async fn make(
        server: &'a Server,
        control: &'a Client,
        name: &str,
        driver: &Driver,
        plan: &Plan,
    ) -> anyhow::Result<Self> {
        control.batch_execute(&format!("CREATE DATABASE {name}")).await?;
        let database = Self { server, control, name: name.to_owned() };
        driver.run("setup", 1, &server.url(name), plan).await?;
        // So that it is no part of what is measured, and pages that are written later come whole into the WAL once.
        control.batch_execute("CHECKPOINT").await?;
        Ok(database)
    }

    pub(crate) async fn measure(
        &self,
        driver: &Driver,
        workload: &str,
        callers: u32,
        plan: &Plan,
    ) -> anyhow::Result<Measured> {
        let totals = async || Totals::read(self.control, &self.name, self.server.pid()).await;
        let (before, started) = (totals().await?, Instant::now());
        let outcome = driver.run(workload, callers, &self.server.url(&self.name), plan).await?;
        let wall_s = started.elapsed().as_secs_f64();
        let after = totals().await?;
        Ok(Measured {
            outcome,
            wall_s,
            wal_bytes: after.wal - before.wal,
            commits: after.commits - before.commits,
            server_cpu_s: after.server - before.server,
            driver_cpu_s: after.driver - before.driver,
        })
    }

    /// Makes room for the next.
    pub(crate) async fn remove(self) -> anyhow::Result<()> {
        Ok(self.control.batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name)).await?)
    }
}
