//! What it takes to hand a row to somebody who waits for it, with two connections and nothing else: an INSERT that is
//! committed, a NOTIFY, its arrival at the other connection, and a SELECT of the row there.

use std::future::poll_fn;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use pgmill::ConnectOptions;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_postgres::AsyncMessage;
use tokio_postgres::types::{Json, Type};

use crate::bench::Bench;
use crate::dice::{Dice, SEED};
use crate::measure::Latencies;

const INSERT: &str = include_str!("../../sql/insert_limit.sql");
const LISTEN: &str = include_str!("../../sql/listen_limit.sql");
const NOTIFY: &str = include_str!("../../sql/notify_limit.sql");
const SELECT: &str = include_str!("../../sql/select_limit.sql");
/// The pause before each, in milliseconds: from this to less than twice this.
const PAUSE: u64 = 10;

/// How long each of so many rows took, from the call of the INSERT to the answer to the SELECT.
pub(crate) async fn pickup(bench: &Bench, rows: u32) -> anyhow::Result<Latencies> {
    let client = bench.connect().await?;
    let insert = client.prepare_typed(INSERT, &[Type::INT8, Type::JSON]).await?;
    let notify = client.prepare_typed(NOTIFY, &[Type::TEXT]).await?;
    let (arrived, mut arrivals) = mpsc::channel(1);
    let listener = listen(&bench.options, arrived).await?;
    let mut dice = Dice::new(SEED);
    let mut latencies = Vec::new();
    for row in 0..rows {
        tokio::time::sleep(Duration::from_millis(PAUSE + dice.below(PAUSE))).await;
        let payload = RawValue::from_string(bench.plan.payload(row as usize).as_str().to_owned())?;
        let id = i64::from(row);
        let called = Instant::now();
        client.execute(&insert, &[&id, &Json(payload)]).await?;
        client.execute(&notify, &[&id.to_string()]).await?;
        let Some((told, at)) = arrivals.recv().await else { break };
        ensure!(told == id, "row {told} was told of, not {id}");
        latencies.push(at - called);
    }
    drop(arrivals);
    if latencies.len() < rows as usize {
        listener.await?.context("the connection that listens failed")?;
    } else {
        listener.abort();
    }
    Ok(Latencies::new(latencies))
}

/// Reads each row as soon as it is told of, and says when it has it.
async fn listen(
    options: &ConnectOptions,
    arrived: mpsc::Sender<(i64, Instant)>,
) -> anyhow::Result<JoinHandle<anyhow::Result<()>>> {
    let (client, mut driver) = options.connect().await?;
    let (told, mut tidings) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|cx| driver.poll_message(cx)).await {
            if let AsyncMessage::Notification(notification) = message {
                // Nobody may wait for it any more.
                let _ = told.send(notification.payload().to_owned());
            }
        }
    });
    let select = client.prepare_typed(SELECT, &[Type::INT8]).await?;
    client.batch_execute(LISTEN).await?;
    Ok(tokio::spawn(async move {
        while let Some(id) = tidings.recv().await {
            let id: i64 = id.parse()?;
            client.query_one(&select, &[&id]).await?;
            if arrived.send((id, Instant::now())).await.is_err() {
                break;
            }
        }
        Ok(())
    }))
}
