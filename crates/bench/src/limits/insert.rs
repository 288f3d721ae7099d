//! One-row INSERTs, as pgbench does them: each client on a connection of its own, with a prepared statement, committing
//! each row.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::Context;
use serde_json::value::RawValue;
use tokio_postgres::types::{Json, Type};
use tokio_postgres::{Client, Statement};

use crate::args::PAYLOADS;
use crate::bench::Bench;
use crate::figure::Limit;
use crate::measure::{Caller, Until, closed_loop};

const INSERT: &str = include_str!("../../sql/insert_limit.sql");
const CLIENTS: [usize; 5] = [1, 8, 16, 32, 64];

struct Inserter {
    client: Client,
    insert: Statement,
    next_id: Arc<AtomicI64>,
    payloads: Vec<Box<RawValue>>,
}

impl Caller for Inserter {
    async fn call(&mut self) -> anyhow::Result<()> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let payload = &self.payloads[usize::try_from(id)? % self.payloads.len()];
        self.client.execute(&self.insert, &[&id, &Json(&**payload)]).await?;
        Ok(())
    }
}

/// The most rows a second, at the best number of clients.
pub(crate) async fn best_insert(bench: &Bench) -> anyhow::Result<Limit> {
    let next_id = Arc::new(AtomicI64::new(1));
    let mut best: Option<Limit> = None;
    for clients in CLIENTS {
        let mut inserters = Vec::with_capacity(clients);
        for _ in 0..clients {
            inserters.push(Inserter::open(bench, &next_id).await?);
        }
        bench.checkpoint().await;
        let until = Until { calls: bench.plan.tasks.into(), window: bench.plan.limit_window };
        let per_second = closed_loop(inserters, until).await?.per_second();
        if best.as_ref().is_none_or(|best| per_second > best.per_second) {
            best = Some(Limit { name: format!("one-row INSERT, {clients} clients"), per_second });
        }
    }
    best.context("no one-row INSERT was measured")
}

impl Inserter {
    async fn open(bench: &Bench, next_id: &Arc<AtomicI64>) -> anyhow::Result<Self> {
        let client = bench.connect().await?;
        let insert = client.prepare_typed(INSERT, &[Type::INT8, Type::JSON]).await?;
        let payload = |task| RawValue::from_string(bench.plan.payload(task).as_str().to_owned());
        let payloads = (0..PAYLOADS).map(payload).collect::<Result<_, _>>()?;
        let mut inserter = Self { client, insert, next_id: Arc::clone(next_id), payloads };
        // The first row warms up the connection.
        inserter.call().await?;
        Ok(inserter)
    }
}
