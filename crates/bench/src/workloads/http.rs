//! Callers that ask the server, each on a connection of its own that it keeps, and as many that ask the library in this
//! process for the same. Both in turn, on the same database: whatever slows down the machine slows down both.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use pgmill::{Manager, Outcome, Status, TaskMeta};
use serde::Deserialize;

use super::backlog;
use crate::args::{Plan, Workload};
use crate::bench::Bench;
use crate::figure::{Figure, Limit};
use crate::http::{Answer, Http};
use crate::measure::{Caller, Calls, Until, closed_loop, per_second};
use crate::served::Served;

const CALLERS: usize = 64;
/// How often each side has its turn, and what part of the window a turn is.
const TURNS: u32 = 3;
const TURN: u32 = 2;
/// The calls that open connections and fill caches, before the clock starts, and what part of the tasks they may be.
const WARM_UP: u64 = 256;
const WARM_UP_PART: u64 = 4;
/// After how long a task that waits is taken for lost.
const LOST: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy)]
enum Operation {
    Create,
    Retain,
    Release,
}

impl Operation {
    fn route(self) -> &'static str {
        match self {
            Self::Create => "POST /task",
            Self::Retain => "PUT /task/{queue}",
            Self::Release => "PATCH /task/{id}",
        }
    }

    fn method(self) -> &'static str {
        match self {
            Self::Create => "create_task",
            Self::Retain => "next_task",
            Self::Release => "release_task",
        }
    }
}

/// One of the two ways to the same.
#[derive(Clone)]
struct Side {
    queue: &'static str,
    manager: Manager,
    plan: Plan,
    /// The server, for the side that asks it.
    server: Option<std::net::SocketAddr>,
    /// What is retained and not yet released.
    held: Arc<Mutex<Vec<u64>>>,
}

struct Asker {
    side: Side,
    operation: Operation,
    http: Option<Http>,
    asked: usize,
}

/// What is read of a task.
#[derive(Deserialize)]
struct Identified {
    id: u64,
}

impl Side {
    fn held(&self) -> std::sync::MutexGuard<'_, Vec<u64>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_library(&self) -> bool {
        self.server.is_none()
    }

    async fn turn(&self, operation: Operation, until: Until) -> anyhow::Result<Calls> {
        let mut askers = Vec::with_capacity(CALLERS);
        for asked in 0..CALLERS {
            let http = match self.server {
                Some(address) => Some(Http::connect(address).await?),
                None => None,
            };
            askers.push(Asker { side: self.clone(), operation, http, asked });
        }
        closed_loop(askers, until).await
    }
}

impl Caller for Asker {
    async fn call(&mut self) -> anyhow::Result<()> {
        self.asked += 1;
        match self.operation {
            Operation::Create => self.create().await,
            Operation::Retain => self.retain().await,
            Operation::Release => self.release().await,
        }
    }
}

impl Asker {
    async fn create(&mut self) -> anyhow::Result<()> {
        let Side { queue, manager, plan, .. } = &self.side;
        let payload = plan.payload(self.asked);
        match &mut self.http {
            Some(http) => {
                let body = format!(r#"{{"queue":"{queue}","payload":{}}}"#, payload.as_str());
                http.ask_for(201, "POST", "/api/task", &body).await?;
            }
            None => drop(manager.create_task(queue, TaskMeta::raw(payload.clone())).await?),
        }
        Ok(())
    }

    async fn retain(&mut self) -> anyhow::Result<()> {
        let started = Instant::now();
        let id = loop {
            if let Some(id) = self.look().await? {
                break id;
            }
            ensure!(
                started.elapsed() < LOST,
                "wrong count: the tasks of {} cannot be retained",
                self.side.queue
            );
        };
        self.side.held().push(id);
        Ok(())
    }

    async fn look(&mut self) -> anyhow::Result<Option<u64>> {
        let Side { queue, manager, .. } = &self.side;
        let Some(http) = &mut self.http else {
            return Ok(manager.next_task("bench", &[*queue]).await?.map(|task| task.id));
        };
        let Answer { status, body } = http.ask("PUT", &format!("/api/task/{queue}?worker=bench"), "").await?;
        match status {
            201 => Ok(Some(serde_json::from_slice::<Identified>(body)?.id)),
            404 => Ok(None),
            _ => bail!("a retain was answered {status}, {}", String::from_utf8_lossy(body)),
        }
    }

    async fn release(&mut self) -> anyhow::Result<()> {
        let id = self.side.held().pop().context("wrong count: too few tasks were retained")?;
        match &mut self.http {
            Some(http) => drop(http.ask_for(201, "PATCH", &format!("/api/task/{id}"), "{}").await?),
            None => drop(self.side.manager.release_task(id, Outcome::done_empty()).await?),
        }
        Ok(())
    }
}

pub(super) async fn round(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let server = Served::start(bench).await?;
    let figures = measure(bench, &server).await?;
    server.stop().await?;
    Ok(figures)
}

async fn measure(bench: &Bench, server: &Served) -> anyhow::Result<Vec<Figure>> {
    let side = |queue, server| Side {
        queue,
        manager: bench.manager.clone(),
        plan: bench.plan.clone(),
        server,
        held: Arc::default(),
    };
    let sides = [side("library", None), side("http", Some(server.address))];
    for side in &sides {
        bench.queue(side.queue).await?;
    }
    let (create, created) = compare(bench, server, &sides, Operation::Create).await?;
    for (side, created) in sides.iter().zip(created) {
        bench.verify(side.queue, Status::New, created).await?;
    }
    bench.clean().await?;
    for side in &sides {
        backlog(bench, side.queue).await?;
    }
    let tasks = u64::from(bench.plan.tasks);
    let (retain, retained) = compare(bench, server, &sides, Operation::Retain).await?;
    for (side, n) in sides.iter().zip(retained) {
        bench.verify_all(side.queue, &[(Status::Retained, n), (Status::New, tasks - n)]).await?;
    }
    let (release, released) = compare(bench, server, &sides, Operation::Release).await?;
    for ((side, n), held) in sides.iter().zip(released).zip(retained) {
        let counts = [(Status::Released, n), (Status::Retained, held - n), (Status::New, tasks - held)];
        bench.verify_all(side.queue, &counts).await?;
    }
    bench.clean().await?;
    Ok(vec![create, retain, release])
}

/// Lets the sides have their turns, and returns how many calls each made.
async fn compare(
    bench: &Bench,
    server: &Served,
    sides: &[Side; 2],
    operation: Operation,
) -> anyhow::Result<(Figure, [u64; 2])> {
    let window = bench.plan.window / TURN;
    let mut made = [0; 2];
    let mut calls = [Vec::new(), Vec::new()];
    let (mut cpu, mut busy) = (0.0, Duration::ZERO);
    for turn in 0..=TURNS {
        for (number, side) in sides.iter().enumerate() {
            let left = match operation {
                Operation::Release => side.held().len() as u64,
                Operation::Create | Operation::Retain => u64::from(bench.plan.tasks) - made[number],
            };
            let share = match turn {
                0 => WARM_UP.min(left / WARM_UP_PART),
                turn => left / u64::from(TURNS + 1 - turn),
            };
            let before = server.usage();
            let done = side.turn(operation, Until { calls: share, window }).await?;
            made[number] += done.n;
            if turn == 0 {
                continue;
            }
            if let (Some(before), Some(after), false) = (before, server.usage(), side.is_library()) {
                cpu += after.cpu.saturating_sub(before.cpu).as_secs_f64();
                busy += done.took;
            }
            calls[number].push(done);
        }
    }
    let [library, http] = calls.map(Calls::together);
    let limit = Limit { name: name(operation, &library), per_second: library.per_second() };
    let figure = Figure {
        seconds: Some(http.took.as_secs_f64()),
        per_second: Some(per_second(http.n, http.took)),
        server_cpu_percent: (busy > Duration::ZERO).then(|| 100.0 * cpu / busy.as_secs_f64()),
        ..Figure::new(Workload::Http, format!("{}, {CALLERS} connections", operation.route()), http.n)
    };
    Ok((figure.timing(&http.latencies).against(limit), made))
}

fn name(operation: Operation, library: &Calls) -> String {
    format!(
        "{}, {CALLERS} callers, p50 {:.2} ms, p99 {:.2} ms",
        operation.method(),
        library.latencies.percentile(50).unwrap_or_default(),
        library.latencies.percentile(99).unwrap_or_default()
    )
}
