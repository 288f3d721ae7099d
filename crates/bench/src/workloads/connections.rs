//! Many connections to one server that wait: half of them long polls for tasks, the rest streams of events and of ticks.
//!
//! ```text
//!   probe ──▶ open all ──▶ settle ──▶ watch idle ──▶ probe again ──▶ a change for all who watch ──▶ a task for each who waits
//! ```

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use pgmill::Status;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::args::Workload;
use crate::bench::Bench;
use crate::figure::{Bar, Figure, Limit};
use crate::http::{Answer, Http};
use crate::measure::{Caller, Calls, Latencies, Until, closed_loop};
use crate::served::Served;

/// Nobody waits for its tasks.
const PROBED: &str = "probed";
/// The streams of events are of its tasks.
const WATCHED: &str = "watched";
/// The long polls are for so many queues, each for one of them.
const AWAITED: u32 = 8;
/// What part of the streams is of ticks.
const TICKS: u32 = 50;
/// How many clients ask while the connections wait.
const PROBES: usize = 8;
/// How many connections are opened at a time.
const OPENING: usize = 128;
/// How long until nothing is left of the opening, and the database has been told of its statements.
const SETTLED: Duration = Duration::from_secs(12);
/// The longest look at the idle server: no long poll ends within it.
const WATCH: Duration = Duration::from_secs(20);
/// After how long something that was to come is taken for lost.
const LOST: Duration = Duration::from_secs(60);
/// The files that are not connections.
const OWN: u64 = 100;
const BAR: Bar = Bar::Ratio(0.8);

/// What the connections hear.
enum Heard {
    /// A long poll waits, or a stream has begun.
    Open,
    /// A long poll was answered with this task.
    Task(u64, Instant),
    /// A stream told of a change.
    Change(Instant),
    Failed(anyhow::Error),
}

/// The connections, as those who listen.
struct Crowd {
    heard: UnboundedReceiver<Heard>,
    waiting: u32,
    watching: u32,
    ticking: u32,
    _tasks: JoinSet<()>,
}

pub(super) async fn round(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    raise_limit(bench.plan.connections)?;
    // Whatever is asked of the database is asked by the server.
    let figures = bench.unmaintained(async {
        let server = Served::start(bench).await?;
        let figures = measure(bench, &server).await?;
        server.stop().await?;
        anyhow::Ok(figures)
    });
    let figures = figures.await??;
    bench.clean().await?;
    Ok(figures)
}

async fn measure(bench: &Bench, server: &Served) -> anyhow::Result<Vec<Figure>> {
    for queue in [PROBED, WATCHED].map(str::to_owned).into_iter().chain((0..AWAITED).map(awaited)) {
        bench.queue(&queue).await?;
    }
    let alone = probe(bench, server).await?;
    let before = server.usage();
    let mut crowd = Crowd::open(server.address, bench.plan.connections).await?;
    sleep(SETTLED).await;
    let after = server.usage();
    let mut idle = idle(bench, server, &crowd).await?;
    if let (Some(before), Some(after)) = (before, after) {
        let grown = after.memory.saturating_sub(before.memory);
        idle.bytes_per_connection = Some(grown as f64 / f64::from(crowd.all()));
    }
    let beside = probe(bench, server).await?;
    let created: u64 = [&alone, &beside].into_iter().map(|probes| probes[0].n).sum();
    let told = tell_all(server, &mut crowd).await?;
    let dealt = deal_out(bench, server, &mut crowd).await?;
    bench.verify(PROBED, Status::New, created).await?;
    let mut figures = vec![idle];
    for ((route, alone), beside) in ["POST /task", "GET /queue/{name}"].iter().zip(alone).zip(beside) {
        let config = format!("{route}, {PROBES} clients, beside {} connections", crowd.all());
        figures.push(probed(&config, &beside, &alone));
    }
    figures.extend([told, dealt]);
    Ok(figures)
}

/// What the server takes while all wait.
async fn idle(bench: &Bench, server: &Served, crowd: &Crowd) -> anyhow::Result<Figure> {
    let watch = bench.plan.watch.min(WATCH);
    let (statements, before) = (bench.transactions().await?, server.usage());
    sleep(watch).await;
    let after = server.usage();
    // The look before is one of them.
    let n = u64::try_from(bench.transactions().await? - statements - 1).unwrap_or_default();
    let Crowd { waiting, watching, ticking, .. } = crowd;
    let config =
        format!("statements while {waiting} long polls, {watching} event and {ticking} tick streams wait");
    Ok(Figure {
        seconds: Some(watch.as_secs_f64()),
        per_second: Some(n as f64 / watch.as_secs_f64()),
        server_cpu_percent: before.zip(after).map(|(before, after)| after.cpu_percent_since(&before, watch)),
        ..Figure::new(Workload::Connections, config, n)
    })
}

#[derive(Clone, Copy)]
enum Probe {
    Create,
    Look,
}

struct Prober {
    http: Http,
    probe: Probe,
    body: Arc<str>,
}

impl Caller for Prober {
    async fn call(&mut self) -> anyhow::Result<()> {
        match self.probe {
            Probe::Create => self.http.ask_for(201, "POST", "/api/task", &self.body).await?,
            Probe::Look => self.http.ask_for(200, "GET", &format!("/api/queue/{PROBED}"), "").await?,
        };
        Ok(())
    }
}

/// How fast other routes are: `POST /task` and `GET /queue/{name}`.
async fn probe(bench: &Bench, server: &Served) -> anyhow::Result<Vec<Calls>> {
    let body: Arc<str> =
        format!(r#"{{"queue":"{PROBED}","payload":{}}}"#, bench.plan.payload(0).as_str()).into();
    let until = Until { calls: bench.plan.tasks.into(), window: bench.plan.window };
    let mut calls = Vec::new();
    for probe in [Probe::Create, Probe::Look] {
        let mut probers = Vec::with_capacity(PROBES);
        for _ in 0..PROBES {
            let http = Http::connect(server.address).await?;
            probers.push(Prober { http, probe, body: Arc::clone(&body) });
        }
        calls.push(closed_loop(probers, until).await?);
    }
    Ok(calls)
}

fn probed(config: &str, beside: &Calls, alone: &Calls) -> Figure {
    let percentile = |calls: &Calls, percent| calls.latencies.percentile(percent);
    let name = format!(
        "before, p50 {:.2} ms, p99 {:.2} ms",
        percentile(alone, 50).unwrap_or_default(),
        percentile(alone, 99).unwrap_or_default()
    );
    let figure = Figure {
        seconds: Some(beside.took.as_secs_f64()),
        per_second: Some(beside.per_second()),
        p50_ms: percentile(beside, 50),
        p99_ms: percentile(beside, 99),
        ..Figure::new(Workload::Connections, config, beside.n)
    };
    figure.against(Limit { name, per_second: alone.per_second() }).with_bar(BAR)
}

/// A task that all who watch are told of.
async fn tell_all(server: &Served, crowd: &mut Crowd) -> anyhow::Result<Figure> {
    let mut http = Http::connect(server.address).await?;
    let created = Instant::now();
    http.ask_for(201, "POST", "/api/task", &format!(r#"{{"queue":"{WATCHED}","payload":null}}"#)).await?;
    let mut latencies = Vec::new();
    while latencies.len() < crowd.watching as usize {
        match crowd.next().await? {
            Heard::Change(at) => latencies.push(at.saturating_duration_since(created)),
            _ => bail!("wrong count: a long poll was answered without a task for it"),
        }
    }
    let config = format!("one change told to {} streams", crowd.watching);
    Ok(spread(config, &Latencies::new(latencies), created.elapsed()))
}

/// A task for each long poll, by one request for each queue. Each must get one, and none two of them the same.
async fn deal_out(bench: &Bench, server: &Served, crowd: &mut Crowd) -> anyhow::Result<Figure> {
    let shares: Vec<u32> =
        (0..AWAITED).map(|queue| (queue..crowd.waiting).step_by(AWAITED as usize).count() as u32).collect();
    let mut http = Http::connect(server.address).await?;
    let begun = Instant::now();
    for (queue, share) in (0..AWAITED).zip(&shares) {
        let one = format!(r#"{{"queue":"{}","payload":{}}}"#, awaited(queue), bench.plan.payload(0).as_str());
        let tasks = vec![one; *share as usize];
        // So many fit into one request.
        for some in tasks.chunks(1_000) {
            http.ask_for(201, "POST", "/api/task", &format!("[{}]", some.join(","))).await?;
        }
    }
    let (mut ids, mut latencies) = (HashSet::new(), Vec::new());
    while latencies.len() < crowd.waiting as usize {
        match crowd.next().await? {
            Heard::Task(id, at) => {
                ensure!(ids.insert(id), "wrong count: task {id} was retained twice");
                latencies.push(at.saturating_duration_since(begun));
            }
            _ => bail!("a change was told that was none of theirs"),
        }
    }
    let took = begun.elapsed();
    for (queue, share) in (0..AWAITED).zip(shares) {
        bench.verify(&awaited(queue), Status::Retained, share.into()).await?;
    }
    let config = format!("{} tasks dealt out to as many long polls", crowd.waiting);
    Ok(spread(config, &Latencies::new(latencies), took))
}

fn spread(config: String, latencies: &Latencies, took: Duration) -> Figure {
    let n = latencies.count();
    Figure {
        seconds: Some(took.as_secs_f64()),
        per_second: Some(n as f64 / took.as_secs_f64().max(1e-9)),
        p50_ms: latencies.percentile(50),
        p99_ms: latencies.percentile(99),
        ..Figure::new(Workload::Connections, config, n)
    }
}

impl Crowd {
    /// Opens all of them, so many at a time.
    async fn open(server: SocketAddr, connections: u32) -> anyhow::Result<Self> {
        let (tell, heard) = mpsc::unbounded_channel();
        let opening = Arc::new(Semaphore::new(OPENING));
        let waiting = connections / 2;
        let ticking = (connections - waiting) / TICKS;
        let watching = connections - waiting - ticking;
        let mut tasks = JoinSet::new();
        let targets = (0..waiting)
            .map(|number| (true, format!("/api/task/{}?worker=bench&wait=60s", awaited(number % AWAITED))))
            .chain((0..watching).map(|_| (false, format!("/api/event?queue={WATCHED}"))))
            .chain((0..ticking).map(|_| (false, "/api/ticker".to_owned())));
        for (is_poll, target) in targets {
            let (tell, opening) = (tell.clone(), Arc::clone(&opening));
            tasks.spawn(async move {
                let heard = match is_poll {
                    true => poll(server, &target, &opening, &tell).await,
                    false => watch(server, &target, &opening, &tell).await,
                };
                if let Err(error) = heard {
                    // The round may be over.
                    let _ = tell.send(Heard::Failed(error.context(target)));
                }
            });
        }
        let mut crowd = Self { heard, waiting, watching, ticking, _tasks: tasks };
        for _ in 0..connections {
            ensure!(matches!(crowd.next().await?, Heard::Open), "wrong count: there was something to hear");
        }
        Ok(crowd)
    }

    fn all(&self) -> u32 {
        self.waiting + self.watching + self.ticking
    }

    async fn next(&mut self) -> anyhow::Result<Heard> {
        let heard = timeout(LOST, self.heard.recv()).await.context("wrong count: something is lost")?;
        match heard.context("all connections have ended")? {
            Heard::Failed(error) => Err(error),
            heard => Ok(heard),
        }
    }
}

#[derive(Deserialize)]
struct Identified {
    id: u64,
}

/// Waits for a task, again and again until there is one.
async fn poll(
    server: SocketAddr,
    target: &str,
    opening: &Semaphore,
    tell: &UnboundedSender<Heard>,
) -> anyhow::Result<()> {
    let mut http = {
        let _permit = opening.acquire().await?;
        Http::connect(server).await?
    };
    tell.send(Heard::Open)?;
    loop {
        let Answer { status, body } = http.ask("PUT", target, "").await?;
        match status {
            201 => {
                let at = Instant::now();
                tell.send(Heard::Task(serde_json::from_slice::<Identified>(body)?.id, at))?;
                return Ok(());
            }
            404 => {}
            _ => bail!("answered {status}, {}", String::from_utf8_lossy(body)),
        }
    }
}

async fn watch(
    server: SocketAddr,
    target: &str,
    opening: &Semaphore,
    tell: &UnboundedSender<Heard>,
) -> anyhow::Result<()> {
    let mut http = {
        let _permit = opening.acquire().await?;
        let mut http = Http::connect(server).await?;
        http.open(target).await?;
        http
    };
    tell.send(Heard::Open)?;
    loop {
        match http.event().await?.as_str() {
            "ping" => {}
            "task" => tell.send(Heard::Change(Instant::now()))?,
            name => bail!("told of {name}"),
        }
    }
}

fn awaited(number: u32) -> String {
    format!("awaited-{number}")
}

/// Lets this process open so many files. The server does so by itself.
fn raise_limit(connections: u32) -> anyhow::Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let wanted = u64::from(connections) + OWN;
    ensure!(
        most >= wanted,
        "{connections} connections need a limit of {wanted} open files (ulimit -n), not {most}"
    );
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    Ok(())
}
