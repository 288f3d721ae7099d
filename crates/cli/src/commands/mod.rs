//! The commands, one file each. Every one reads its own arguments; those that can end in several ways return the exit
//! code of the program.

mod cancel_task;
mod complete_task;
mod completions;
mod create_queue;
mod create_task;
mod create_ticker;
mod delete_queue;
mod delete_ticker;
mod demo;
mod doctor;
mod events;
mod health;
mod man;
mod migrate;
mod namespaces;
mod next_ticker;
mod pause_queue;
mod postgres;
mod queue;
mod queues;
mod resume_queue;
mod retain_task;
mod retry_task;
mod run;
mod status;
mod task;
mod tasks;
mod ticker;
mod tickers;
mod token;
mod update_queue;
mod update_ticker;
mod work;

use std::process::ExitCode;

use crate::logging::Voice;
use crate::traces::TraceArgs;
use crate::watch::until_interrupted;

/// What the program can do.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Run(Box<run::Args>),
    Work(work::Args),
    Demo(demo::Args),
    Status(status::Args),
    Queues(queues::Args),
    Queue(queue::Args),
    CreateQueue(create_queue::Args),
    UpdateQueue(update_queue::Args),
    DeleteQueue(delete_queue::Args),
    PauseQueue(pause_queue::Args),
    ResumeQueue(resume_queue::Args),
    Tasks(tasks::Args),
    Task(task::Args),
    CreateTask(create_task::Args),
    RetainTask(retain_task::Args),
    CompleteTask(complete_task::Args),
    CancelTask(cancel_task::Args),
    RetryTask(retry_task::Args),
    Tickers(tickers::Args),
    Ticker(ticker::Args),
    CreateTicker(create_ticker::Args),
    UpdateTicker(update_ticker::Args),
    DeleteTicker(delete_ticker::Args),
    NextTicker(next_ticker::Args),
    Namespaces(namespaces::Args),
    Events(events::Args),
    Health(health::Args),
    Doctor(doctor::Args),
    Postgres(postgres::Args),
    Migrate(migrate::Args),
    Token(token::Args),
    Completions(completions::Args),
    Man(man::Args),
}

impl Command {
    /// Whose logs the command writes.
    pub(crate) fn voice(&self) -> Voice {
        match self {
            Self::Run(_) => Voice::Server,
            _ => Voice::Command,
        }
    }

    /// Where its traces go, if it makes any.
    pub(crate) fn traces(&self) -> Option<&TraceArgs> {
        match self {
            Self::Run(args) => Some(&args.traces),
            Self::Work(args) => Some(&args.traces),
            _ => None,
        }
    }

    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Run(args) => run::run(*args).await,
            Self::Work(args) => work::run(args).await,
            Self::Demo(args) => demo::run(args).await,
            Self::Status(args) => done(status::run(args).await),
            Self::Queues(args) => done(queues::run(args).await),
            Self::Queue(args) => done(queue::run(args).await),
            Self::CreateQueue(args) => once(create_queue::run(args)).await,
            Self::UpdateQueue(args) => once(update_queue::run(args)).await,
            Self::DeleteQueue(args) => once(delete_queue::run(args)).await,
            Self::PauseQueue(args) => once(pause_queue::run(args)).await,
            Self::ResumeQueue(args) => once(resume_queue::run(args)).await,
            Self::Tasks(args) => done(tasks::run(args).await),
            Self::Task(args) => once(task::run(args)).await,
            Self::CreateTask(args) => once(create_task::run(args)).await,
            Self::RetainTask(args) => once(retain_task::run(args)).await,
            Self::CompleteTask(args) => once(complete_task::run(args)).await,
            Self::CancelTask(args) => once(cancel_task::run(args)).await,
            Self::RetryTask(args) => once(retry_task::run(args)).await,
            Self::Tickers(args) => done(tickers::run(args).await),
            Self::Ticker(args) => once(ticker::run(args)).await,
            Self::CreateTicker(args) => once(create_ticker::run(args)).await,
            Self::UpdateTicker(args) => once(update_ticker::run(args)).await,
            Self::DeleteTicker(args) => once(delete_ticker::run(args)).await,
            Self::NextTicker(args) => done(next_ticker::run(args).await),
            Self::Namespaces(args) => once(namespaces::run(args)).await,
            Self::Events(args) => done(events::run(args).await),
            Self::Health(args) => until_interrupted(health::run(args)).await,
            Self::Doctor(args) => until_interrupted(doctor::run(args)).await,
            Self::Postgres(args) => postgres::run(args).await,
            Self::Migrate(args) => migrate::run(args).await,
            Self::Token(args) => done(token::run(args).await),
            Self::Completions(args) => done(completions::run(&args)),
            Self::Man(args) => done(man::run(&args)),
        }
    }
}

fn done(result: anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    result.map(|()| ExitCode::SUCCESS)
}

/// For a command that has no end of its own at Ctrl-C.
async fn once(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<ExitCode> {
    done(until_interrupted(command).await)
}
