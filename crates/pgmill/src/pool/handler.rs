//! Handlers of all types as one type.

use std::any::Any;
use std::future::ready;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use pgmill_schema::{Json, JsonError, Outcome};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::context::Context;
use super::task_error::{TaskError, message_json};

/// What a handler says when it has come to its end.
#[derive(Debug)]
pub(super) enum Said {
    Outcome(Outcome),
    Error(TaskError),
}

pub(super) type Running = Pin<Box<dyn Future<Output = Said> + Send>>;
pub(super) type Handler<S> = Arc<dyn Fn(Context<S>) -> Running + Send + Sync>;

/// One that takes a payload of its own type, and returns a result of its own type.
pub(super) fn typed<S, T, R, F, Fut>(handler: F) -> Handler<S>
where
    S: 'static,
    T: DeserializeOwned,
    R: Serialize,
    F: Fn(Context<S>, T) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, TaskError>> + Send + 'static,
{
    Arc::new(move |context| {
        let payload = match &context.task().payload {
            Some(payload) => payload.decode(),
            None => Json::null().decode(),
        };
        match payload {
            Ok(payload) => {
                let running = handler(context, payload);
                Box::pin(async move {
                    match running.await {
                        Ok(result) => Said::Outcome(done(&result)),
                        Err(error) => Said::Error(error),
                    }
                })
            }
            Err(error) => Box::pin(ready(Said::Error(undecoded(&error)))),
        }
    })
}

/// One that takes the task as it is, and returns the outcome as it is.
pub(super) fn raw<S, F, Fut>(handler: F) -> Handler<S>
where
    F: Fn(Context<S>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Outcome> + Send + 'static,
{
    Arc::new(move |context| {
        let running = handler(context);
        Box::pin(async move { Said::Outcome(running.await) })
    })
}

fn undecoded(error: &JsonError) -> TaskError {
    TaskError::retry(format!("the payload is not what the handler takes: {error}"))
}

fn done<R: Serialize>(result: &R) -> Outcome {
    Outcome::done(result).unwrap_or_else(|error| unstorable(&error))
}

/// The outcome of an attempt that did its work, but whose result cannot be stored. To do the work again would not help.
pub(super) fn unstorable(error: &dyn std::error::Error) -> Outcome {
    Outcome::Failed(message_json(&format!("the result cannot be stored: {error}")))
}

/// Runs a handler to its end. A panic, wherever in it, is an error of the attempt.
pub(super) async fn run<S>(handler: &Handler<S>, context: Context<S>) -> Said {
    catch(|| handler(context)).await.unwrap_or_else(|panic| Said::Error(TaskError::retry(panic)))
}

/// Runs a future to its end, and tells of a panic: when it is made, when it runs, or when it is dropped.
pub(super) async fn catch<T>(
    make: impl FnOnce() -> Pin<Box<dyn Future<Output = T> + Send>>,
) -> Result<T, String> {
    let caught = |panic: Box<dyn Any + Send>| panicked(panic.as_ref());
    let mut running = catch_unwind(AssertUnwindSafe(make)).map_err(caught)?;
    let poll = std::future::poll_fn(|context| {
        match catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(context))) {
            Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(panic) => Poll::Ready(Err(caught(panic))),
        }
    });
    let ended = poll.await;
    catch_unwind(AssertUnwindSafe(|| drop(running))).map_err(caught)?;
    ended
}

fn panicked(panic: &(dyn Any + Send)) -> String {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message");
    format!("the handler panicked: {message}")
}
