//! Retaining tasks for many callers at once.

use jiff::Timestamp;
use pgmill_schema::{Namespace, QueueName, Status, Task, WorkerName};
use tokio_postgres::types::ToSql;

use crate::error::StoreError;
use crate::row::{QueueNames, Reader, corrupt, remaining};
use crate::stamp::Stamp;
use crate::statement::{RETAIN, RETAIN_ONE, WANTED_QUEUES};
use crate::store::Store;

/// The bit of a holder that tells that a task was retained fenced.
const FENCED: i64 = 1;

/// Queues that callers wait for a task of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Demand {
    /// Where the queues are.
    pub namespace: Namespace,
    /// The queues; none for every queue of the namespace.
    pub queues: Vec<QueueName>,
}

/// Who waits for tasks.
#[derive(Debug, Clone)]
pub struct Caller {
    /// For which of the demands, counted from 0.
    pub demand: usize,
    /// For how many tasks.
    pub want: i32,
    /// The name the tasks are retained under.
    pub worker: WorkerName,
    /// For how many microseconds; `None` for the queue's lease.
    pub lease: Option<i64>,
    /// Whether the tasks may be released only by who knows their holder: not through [`Fence::Open`](crate::Fence::Open).
    pub fenced: bool,
}

/// Where to start looking in a queue: nothing due before it was left by this process.
#[derive(Debug, Clone, Copy)]
pub struct Floor {
    /// The queue's id.
    pub queue_id: i32,
    /// The priority it holds for.
    pub priority: i16,
    /// The place: when the first task there was due,
    pub at: Timestamp,
    /// and, of several due at that time, its id.
    pub id: i64,
}

/// A task that was retained.
#[derive(Debug, Clone)]
pub struct Retained {
    /// For which of the callers, counted from 0.
    pub caller: usize,
    /// The id of its queue.
    pub queue_id: i32,
    /// Where it stood in its queue.
    pub run_at: Timestamp,
    /// The task.
    pub task: Task,
}

impl Store {
    /// Retains tasks under `holder`, an even number that was never used before, and deals them out; those of fenced callers
    /// under the odd number after it. `lost` are the `holder`s of calls of this process whose answer was lost: what they
    /// retained is taken from them.
    ///
    /// Within a demand, tasks come by priority, time and id, and go to the callers in their order. An answer with fewer
    /// tasks than wanted does not prove that there are no more.
    ///
    /// # Errors
    /// Those of any statement. After [`StoreError::Lost`] tasks may be retained that nobody knows of, until their lease
    /// lapses or a later call names this holder as lost.
    pub async fn retain(
        &self,
        demands: &[Demand],
        callers: &[Caller],
        floors: &[Floor],
        holder: i64,
        lost: &[i64],
    ) -> Result<Vec<Retained>, StoreError> {
        let wants: Vec<i32> = callers.iter().map(|caller| caller.want).collect();
        let workers: Vec<&str> = callers.iter().map(|caller| caller.worker.as_str()).collect();
        let leases: Vec<Option<i64>> = callers.iter().map(|caller| caller.lease).collect();
        let fenced: Vec<bool> = callers.iter().map(|caller| caller.fenced).collect();
        let lost: Vec<i64> = lost.iter().flat_map(|&lost| [lost, lost | FENCED]).collect();
        let mut floors: Vec<&Floor> = floors.iter().collect();
        floors.sort_unstable_by_key(|floor| (floor.queue_id, floor.priority));
        let floor_queues: Vec<i32> = floors.iter().map(|floor| floor.queue_id).collect();
        let floor_priorities: Vec<i16> = floors.iter().map(|floor| floor.priority).collect();
        let floor_times: Vec<Stamp> = floors.iter().map(|floor| floor.at.into()).collect();
        let floor_ids: Vec<i64> = floors.iter().map(|floor| floor.id).collect();
        // The parameters that both statements have.
        let callers_are: [&(dyn ToSql + Sync); 4] = [&wants, &workers, &leases, &fenced];
        let floors_are: [&(dyn ToSql + Sync); 6] =
            [&floor_queues, &floor_priorities, &floor_times, &floor_ids, &holder, &lost];
        let rows = if let [Demand { namespace, queues }] = demands
            && let [queue] = queues.as_slice()
        {
            let place: [&(dyn ToSql + Sync); 2] = [&namespace.as_str(), &queue.as_str()];
            self.query(&RETAIN_ONE, &[&place[..], &callers_are, &floors_are].concat()).await?
        } else {
            let wanted = Wanted::of(demands, callers);
            self.query(&RETAIN, &[&wanted.params()[..], &callers_are, &floors_are].concat()).await?
        };
        let mut queues = QueueNames::default();
        rows.iter().map(|row| read(&Reader::of(row), &mut queues, demands, callers, holder)).collect()
    }

    /// The ids of the queues that are wanted, and the time by the database's clock, which a [`Floor`] is made of.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn wanted_queues(
        &self,
        demand: &Demand,
    ) -> Result<Vec<(i32, QueueName, Timestamp)>, StoreError> {
        let queues: Vec<&str> = demand.queues.iter().map(QueueName::as_str).collect();
        let rows = self.query_again(&WANTED_QUEUES, &[&demand.namespace.as_str(), &queues]).await?;
        let read = |row: Reader<'_>| Ok((row.get("id")?, row.queue_name()?, row.get("now")?));
        rows.iter().map(Reader::of).map(read).collect()
    }
}

/// The demands, and whom each is for, as parameters.
struct Wanted<'a> {
    namespaces: Vec<&'a str>,
    any: Vec<bool>,
    member_demands: Vec<i32>,
    member_queues: Vec<&'a str>,
    caller_demands: Vec<i32>,
}

impl<'a> Wanted<'a> {
    fn of(demands: &'a [Demand], callers: &[Caller]) -> Self {
        let number = |index: usize| i32::try_from(index + 1).unwrap_or(i32::MAX);
        let members = demands.iter().enumerate();
        let (member_demands, member_queues) = members
            .flat_map(|(index, demand)| {
                demand.queues.iter().map(move |queue| (number(index), queue.as_str()))
            })
            .unzip();
        Self {
            namespaces: demands.iter().map(|demand| demand.namespace.as_str()).collect(),
            any: demands.iter().map(|demand| demand.queues.is_empty()).collect(),
            member_demands,
            member_queues,
            caller_demands: callers.iter().map(|caller| number(caller.demand)).collect(),
        }
    }

    fn params(&self) -> [&(dyn ToSql + Sync); 5] {
        [&self.namespaces, &self.any, &self.member_demands, &self.member_queues, &self.caller_demands]
    }
}

fn read(
    row: &Reader<'_>,
    queues: &mut QueueNames,
    demands: &[Demand],
    callers: &[Caller],
    holder: i64,
) -> Result<Retained, StoreError> {
    let caller = row.unsigned("caller")? as usize - 1;
    let by = callers
        .get(caller)
        .ok_or_else(|| StoreError::unexpected("retain answered a task for a caller that did not ask"))?;
    // In the order of the columns.
    let (id, queue_id, queue) = (row.id()?, row.get("queue_id")?, queues.of(row.get("queue")?)?);
    let (priority, created_at, run_at) = (row.priority()?, row.time("created_at")?, row.time("run_at")?);
    let (dies_at, started_at) = (row.optional_time("dies_at")?, row.optional_time("started_at")?);
    let lease_until = row.optional_time("lease_until")?;
    let (attempt, spared, retries): (i32, _, _) =
        (row.get("attempt")?, row.get("spared")?, row.get("retries")?);
    let task = Task {
        payload: row.json("payload")?,
        key: row.get("key")?,
        traceparent: row.get("traceparent")?,
        id,
        delayed_at: (run_at != created_at).then_some(run_at),
        worker: Some(by.worker.as_str().to_owned()),
        namespace: demands[by.demand].namespace.clone(),
        queue,
        result: None,
        created_at,
        started_at,
        finished_at: None,
        dies_at,
        retries: remaining(Status::Retained, retries, attempt, spared),
        status: Some(Status::Retained),
        priority,
        attempt: u32::try_from(attempt).map_err(|_| corrupt("attempt", attempt))?,
        lease_until,
        holder: Some(if by.fenced { holder | FENCED } else { holder }),
        attempts: Vec::new(),
    };
    Ok(Retained { caller, queue_id, run_at, task })
}
