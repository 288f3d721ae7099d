//! Workers that run the tasks that wait, until the database says that all are done.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use tokio_postgres::{Client, NoTls, Statement};

use crate::handled::count;
use crate::outcome::Outcome;
use crate::system::{Finished, Load, Place, System};

/// How often the handlers' count is looked at.
const LOOK: Duration = Duration::from_millis(2);
/// How often the database is asked once the handlers have counted them all.
const ASK: Duration = Duration::from_millis(20);
/// After how long without a handler being started the rest is taken for lost.
const STALLED: Duration = Duration::from_secs(60);

pub(super) async fn drain<S: System>(system: &S, place: &Place, tasks: usize) -> anyhow::Result<Outcome> {
    let tally = Tally::open::<S>(place, tasks).await?;
    let before = tally.count().await?;
    let waiting = i64::try_from(tasks)? - tally.expected;
    ensure!(before == waiting, "the database counts {before} before the drain, not {waiting}");
    let started = Instant::now();
    tokio::select! {
        ended = system.work(Load::Backlog) => {
            ended?;
            bail!("the workers ended by themselves");
        }
        done = all_done(&tally, tasks) => done?,
    }
    let seconds = started.elapsed().as_secs_f64();
    ensure!(count() == tasks, "{} handlers ran for {tasks} tasks", count());
    Ok(Outcome { n: tasks as u64, seconds: Some(seconds), ..Outcome::default() })
}

async fn all_done(tally: &Tally, tasks: usize) -> anyhow::Result<()> {
    let (mut last, mut changed) = (0, Instant::now());
    while last < tasks {
        tokio::time::sleep(LOOK).await;
        let handled = count();
        if handled > last {
            (last, changed) = (handled, Instant::now());
        }
        ensure!(changed.elapsed() < STALLED, "{} of {tasks} tasks were never started", tasks - last);
    }
    loop {
        let (counted, expected) = (tally.count().await?, tally.expected);
        if counted == expected {
            return Ok(());
        }
        ensure!(
            changed.elapsed() < STALLED,
            "all handlers ran, but the database counts {counted}, not {expected}"
        );
        tokio::time::sleep(ASK).await;
    }
}

/// What the database counts, and should count in the end.
struct Tally {
    database: Client,
    statement: Statement,
    expected: i64,
}

impl Tally {
    async fn open<S: System>(place: &Place, tasks: usize) -> anyhow::Result<Self> {
        let (database, connection) = tokio_postgres::connect(&place.url, NoTls).await?;
        // A connection that breaks is reported by its client.
        tokio::spawn(connection);
        let (statement, expected) = match S::finished(place) {
            Finished::Left(statement) => (statement, 0),
            Finished::Done(statement) => (statement, i64::try_from(tasks)?),
        };
        let statement = database.prepare(statement).await.context("the statement that counts")?;
        Ok(Self { database, statement, expected })
    }

    async fn count(&self) -> anyhow::Result<i64> {
        Ok(self.database.query_one(&self.statement, &[]).await?.try_get(0)?)
    }
}
