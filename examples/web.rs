//! A web application with axum, and its workers in the same process: one token ends both gracefully.
//!
//! ```text
//! cargo run --example web
//! curl -d '"ann@example.com"' -H 'content-type: application/json' localhost:3000/emails
//! curl localhost:3000/emails/1
//! ```
//!
//! `ADDRESS` is where it listens; default 127.0.0.1:3000.

use std::error::Error;
use std::future::IntoFuture;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use pgmill::{Context, LookupError, Manager, QueueMeta, Task, TaskError, TaskMeta, WorkerPool};
use pgmill_examples::{Database, Stop};
use tokio::net::TcpListener;

/// What a request is answered with if it fails.
type Failure = (StatusCode, String);

/// `POST /emails`: the answer comes when the task is on disk, not when the email is sent.
async fn create(
    State(manager): State<Manager>,
    Json(to): Json<String>,
) -> Result<(StatusCode, Json<Task>), Failure> {
    let meta = TaskMeta::json(&to).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
    let created = manager.create_task("emails", meta).await;
    let task = created.map_err(|error| (StatusCode::SERVICE_UNAVAILABLE, error.to_string()))?;
    Ok((StatusCode::ACCEPTED, Json(task)))
}

/// `GET /emails/{id}`: how far it is.
async fn look_up(State(manager): State<Manager>, Path(id): Path<u64>) -> Result<Json<Task>, Failure> {
    manager.get_task(id).await.map(Json).map_err(|error| match error {
        LookupError::NotFound { .. } => (StatusCode::NOT_FOUND, error.to_string()),
        error => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    })
}

/// The work, which takes too long for a request.
async fn send(_: Context, to: String) -> Result<String, TaskError> {
    println!("sending to {to}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    println!("sent to {to}");
    Ok("sent".to_owned())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let database = Database::open().await?;
    let manager = Manager::connect(database.url()).namespace("examples").await?;
    let Stop { gently: shutdown, now } = Stop::at_signals()?;
    let pool = WorkerPool::builder(&manager)
        .workers(16)
        .shutdown_grace(Duration::from_secs(20))
        .now(now.clone())
        .build()?;
    pool.register_queue(QueueMeta::new("emails"), send).await?;

    let app = Router::new().route("/emails", post(create)).route("/emails/{id}", get(look_up));
    let address = std::env::var("ADDRESS").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);

    let server = async {
        // Takes no more connections then, and answers the requests it has.
        let until = shutdown.clone().cancelled_owned();
        let served = axum::serve(listener, app.with_state(manager.clone()))
            .with_graceful_shutdown(until)
            .into_future();
        // At the second signal it waits for them no more.
        let served = now.run_until_cancelled(served).await.unwrap_or(Ok(()));
        // If it ends for another reason, the workers end too; and the other way round.
        shutdown.cancel();
        served
    };
    let workers = async {
        // Takes no more tasks then, and lets those that run come to their end; what does not in time is given back.
        let report = pool.run(shutdown.clone()).await;
        shutdown.cancel();
        report
    };
    let (served, report) = tokio::join!(server, workers);
    served?;
    println!("{} done", report?.done);

    // Last, when nobody uses it any more: what is under way to the database arrives there.
    manager.close().await;
    Ok(())
}
