//! Who sleeps, and who tells them of tasks.

use std::fmt;
use std::time::Duration;

use pgmill_schema::{Namespace, QueueName, to_micros};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::error::StoreError;
use crate::retain::Demand;
use crate::row::Reader;
use crate::session::Behind;
use crate::statement::{SLEEP, Statement, WAKE, WAKE_ONE};
use crate::store::Store;

/// A queue into which tasks have come, and in what time the first of them is due.
pub type Arrival = (Namespace, QueueName, Duration);

/// The bytes of the longest notice: PostgreSQL takes less than 8,000.
const LONGEST_NOTICE: usize = 7_900;

impl Store {
    /// What `process` does before it sleeps: tells in what time the next task is due that it wants (`None`: none is known),
    /// and, with `told_for`, has it told of others for so long.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn sleep(
        &self,
        process: i64,
        demand: &Demand,
        told_for: Option<Duration>,
    ) -> Result<Option<Duration>, StoreError> {
        let queues: Vec<&str> = demand.queues.iter().map(QueueName::as_str).collect();
        let told_for = told_for.map(to_micros);
        let rows =
            self.query_again(&SLEEP, &[&process, &demand.namespace.as_str(), &queues, &told_for]).await?;
        let row = rows.first().ok_or_else(|| StoreError::unexpected("sleep answered nothing"))?;
        let due_in: Option<i64> = Reader::of(row).get("sleep_v1")?;
        Ok(due_in.map(|micros| Duration::from_micros(u64::try_from(micros).unwrap_or(0))))
    }

    /// Tells processes other than `process` of tasks that are committed, and returns for how many of the queues somebody
    /// waits.
    ///
    /// # Errors
    /// Those of any statement. Those who wait find the tasks by themselves, later.
    pub async fn wake(&self, process: i64, arrivals: &[Arrival]) -> Result<u64, StoreError> {
        let Wake { statement, params } = Wake::of(process, arrivals);
        let params: Vec<_> = params.iter().map(|param| &**param as _).collect();
        told(&self.query(statement, &params).await?)
    }
}

/// A wake that was sent behind an enqueue, by [`Store::enqueue_and_wake`].
pub struct Waking(pub(crate) Behind);

impl Waking {
    /// As [`Store::wake`]. Until then the connection is kept; if this is dropped, the wake may be done or not.
    ///
    /// # Errors
    /// Those of [`Store::wake`].
    pub async fn told(self) -> Result<u64, StoreError> {
        told(&self.0.answer().await?)
    }
}

impl fmt::Debug for Waking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waking").finish_non_exhaustive()
    }
}

/// The statement of a wake, with parameters that outlive the call.
pub(crate) struct Wake {
    pub(crate) statement: &'static Statement,
    pub(crate) params: Vec<Box<dyn ToSql + Sync + Send>>,
}

impl Wake {
    pub(crate) fn of(process: i64, arrivals: &[Arrival]) -> Self {
        if let [(namespace, queue, due_in)] = arrivals {
            let arrival = (namespace.as_str(), queue.as_str(), to_micros(*due_in));
            let notice = serde_json::json!({ "from": process, "in": [arrival] }).to_string();
            // One that is too long to be sent as it is goes the way that notices of many queues go.
            if notice.len() <= LONGEST_NOTICE {
                let (namespace, queue) = (namespace.as_str().to_owned(), queue.as_str().to_owned());
                return Self {
                    statement: &WAKE_ONE,
                    params: vec![Box::new(process), Box::new(namespace), Box::new(queue), Box::new(notice)],
                };
            }
        }
        let namespaces: Vec<String> =
            arrivals.iter().map(|(namespace, ..)| namespace.as_str().to_owned()).collect();
        let queues: Vec<String> = arrivals.iter().map(|(_, queue, _)| queue.as_str().to_owned()).collect();
        let due: Vec<i64> = arrivals.iter().map(|(.., due_in)| to_micros(*due_in)).collect();
        let params: Vec<Box<dyn ToSql + Sync + Send>> =
            vec![Box::new(process), Box::new(namespaces), Box::new(queues), Box::new(due)];
        Self { statement: &WAKE, params }
    }
}

/// For how many queues somebody waits: one answers a row for that, several a number.
fn told(rows: &[Row]) -> Result<u64, StoreError> {
    match rows.first() {
        Some(row) if row.columns().iter().any(|column| column.name() == "wake_v1") => {
            Reader::of(row).count("wake_v1")
        }
        _ => Ok(rows.len() as u64),
    }
}
