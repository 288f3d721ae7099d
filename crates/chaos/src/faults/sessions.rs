//! Other sessions of the database, which end ours, take their place, or stand in their way.

use std::time::Duration;

use anyhow::Context;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Transaction};

use super::Injected;
use crate::dice::Dice;
use crate::plan::{Fault, Kind};
use crate::scene::Scene;

const TERMINATE: &str = include_str!("../../sql/terminate.sql");
const LOCK_ROW: &str = include_str!("../../sql/lock_row.sql");
const LOCK_TABLE: [&str; 3] = [
    include_str!("../../sql/lock_table_share.sql"),
    include_str!("../../sql/lock_table_exclusive.sql"),
    include_str!("../../sql/lock_table_access.sql"),
];
const HOLD: &str = include_str!("../../sql/hold.sql");
const PROVOKE: &str = include_str!("../../sql/provoke.sql");
const SOOTHE: &str = include_str!("../../sql/soothe.sql");
/// What statements are made to fail with: a serialization failure, a deadlock.
const CODES: [&str; 2] = ["40001", "40P01"];
/// How long a session waits for a lock, or an answer.
const PATIENCE: Duration = Duration::from_secs(4);

/// The server may be down just now, or go down meanwhile, by another fault: then this one was missed.
pub(super) async fn inject(scene: &Scene, fault: &Fault, dice: &mut Dice) -> anyhow::Result<Injected> {
    Ok(match within(scene, fault, dice).await {
        Ok(hit) => Injected::Yes(hit),
        Err(error) => Injected::Missed(format!("{error:#}")),
    })
}

async fn within(scene: &Scene, fault: &Fault, dice: &mut Dice) -> anyhow::Result<String> {
    let mut client = scene.connect().await?;
    match fault.kind {
        Kind::Terminate => terminate(&client, dice.between(1, 15)).await,
        Kind::Exhaust => exhaust(scene, &client, fault.length).await,
        Kind::Conflicts => conflicts(&client, fault.length, dice).await,
        Kind::LockTable => {
            let transaction = client.transaction().await?;
            let statement = dice.one_of(&LOCK_TABLE);
            timeout(PATIENCE, transaction.batch_execute(statement))
                .await
                .context("the table is not to be had")??;
            sleep(fault.length).await;
            let mode = statement.lines().last().unwrap_or_default().to_lowercase();
            Ok(mode)
        }
        Kind::HoldTransaction => {
            let repeatable =
                client.build_transaction().isolation_level(tokio_postgres::IsolationLevel::RepeatableRead);
            let transaction = repeatable.start().await?;
            transaction.query_one(HOLD, &[]).await?;
            sleep(fault.length).await;
            Ok(format!("for {:?}", fault.length))
        }
        _ => {
            let transaction = client.transaction().await?;
            let locked = lock_rows(&transaction, dice.between(2, 12)).await?;
            anyhow::ensure!(locked > 0, "there is no task to lock");
            sleep(fault.length).await;
            Ok(format!("{locked} tasks"))
        }
    }
}

async fn terminate(client: &Client, sessions: u64) -> anyhow::Result<String> {
    let ended: i64 = client.query_one(TERMINATE, &[&i64::try_from(sessions)?]).await?.try_get(0)?;
    anyhow::ensure!(ended > 0, "there is no session to end");
    Ok(format!("{ended} sessions"))
}

/// Takes every connection that is left, and ends some of the others, whose place is then taken too.
async fn exhaust(scene: &Scene, client: &Client, length: Duration) -> anyhow::Result<String> {
    let mut taken = Vec::new();
    let refusal = loop {
        match timeout(PATIENCE, scene.connect()).await? {
            Ok(one) => taken.push(one),
            Err(refusal) => break refusal,
        }
    };
    let code = refusal.downcast_ref::<tokio_postgres::Error>().and_then(tokio_postgres::Error::code);
    anyhow::ensure!(code == Some(&SqlState::TOO_MANY_CONNECTIONS), refusal);
    terminate(client, 10).await?;
    let end = Instant::now() + length;
    while Instant::now() < end {
        match scene.connect().await {
            Ok(one) => taken.push(one),
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
    Ok(format!("{} connections", taken.len()))
}

async fn conflicts(client: &Client, length: Duration, dice: &mut Dice) -> anyhow::Result<String> {
    let (code, percent) = (dice.one_of(&CODES), dice.between(2, 30));
    let milliseconds = length.as_secs_f64() * 1_000.0;
    client.execute(PROVOKE, &[&milliseconds, &(percent as f64 / 100.0), &code]).await?;
    sleep(length).await;
    client.execute(SOOTHE, &[]).await?;
    Ok(format!("{code}, {percent} % of rows"))
}

/// The other way round than everybody else locks them, and with pauses, so that others come in between.
async fn lock_rows(transaction: &Transaction<'_>, rows: u64) -> anyhow::Result<u64> {
    let mut before = i64::MAX;
    let mut locked = 0;
    for _ in 0..rows {
        let row = timeout(PATIENCE, transaction.query_opt(LOCK_ROW, &[&before])).await??;
        let Some(row) = row else { break };
        before = row.try_get(0)?;
        locked += 1;
        sleep(Duration::from_millis(15)).await;
    }
    Ok(locked)
}
