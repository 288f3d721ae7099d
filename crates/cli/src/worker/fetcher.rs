//! One loop retains for all slots, as many tasks as there are free ones.

use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use pgmill::{Retain, RetainError, Task};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};

use crate::worker::attempt::Place;
use crate::worker::outage::Outage;
use crate::worker::pace::Pace;
use crate::worker::waiting::Paused;
use crate::worker::{Handler, Worker};

/// How long to wait for the answer of a retain that is under way when the worker is asked to stop.
const LAST_ANSWER: Duration = Duration::from_secs(5);

impl<H: Handler> Worker<H> {
    /// Retains and starts tasks until the worker is asked to stop, or until none waits if that was chosen.
    pub(super) async fn fetch(self: &Arc<Self>) -> anyhow::Result<()> {
        let stop = self.shutdown.stop.clone();
        let queues: Vec<&str> = self.options.queues.iter().map(String::as_str).collect();
        let mut idle = Pace::new(Duration::from_millis(100), Duration::from_secs(1));
        let mut outage = Outage::new("tasks cannot be retained");
        let mut arrivals = self.manager.arrivals(&queues)?;
        let mut paused = Paused::default();
        while let Some(places) = stop.run_until_cancelled(self.free_places()).await {
            let asked = Instant::now();
            let retain = Retain::new().count(places.len()).lease(self.leases.length());
            let mut retained = Box::pin(self.manager.next_tasks(&self.options.name, &queues, retain));
            let tasks = tokio::select! {
                biased;
                tasks = &mut retained => tasks,
                // The tasks of an answer that is dropped would have to wait for the end of their leases.
                () = stop.cancelled() => match timeout(LAST_ANSWER, retained).await {
                    Ok(tasks) => tasks,
                    Err(_) => return Ok(()),
                },
            };
            let pause = match tasks {
                Ok(tasks) if tasks.is_empty() => {
                    outage.over();
                    drop(places);
                    let until_empty = self.options.until_empty;
                    let look = if until_empty { self.leases.is_empty() } else { paused.is_due() };
                    if look {
                        match self.have_nothing_to_give(&mut paused).await {
                            Ok(true) if until_empty => return Ok(()),
                            Ok(_) => {}
                            Err(error) => {
                                stop.run_until_cancelled(sleep(outage.failed(&error))).await;
                                continue;
                            }
                        }
                    }
                    stop.run_until_cancelled(timeout(idle.pause(), arrivals.wait())).await;
                    continue;
                }
                Ok(tasks) => {
                    outage.over();
                    idle.reset();
                    self.start(tasks, places, asked);
                    continue;
                }
                Err(RetainError::Closed) => {
                    bail!("the connection to the database was closed by this program")
                }
                Err(error) => outage.failed(&error),
            };
            drop(places);
            stop.run_until_cancelled(sleep(pause)).await;
        }
        Ok(())
    }

    fn start(self: &Arc<Self>, tasks: Vec<Task>, places: Vec<Place>, asked: Instant) {
        let stopping = self.shutdown.stop.is_cancelled();
        for (task, place) in tasks.into_iter().zip(places) {
            let worker = Arc::clone(self);
            self.attempts.spawn(async move {
                if stopping {
                    worker.give_back(task).await;
                } else {
                    worker.attempt(task, place, asked).await;
                }
            });
        }
    }

    /// Waits until a task can be started, and reserves a place for each that can.
    async fn free_places(&self) -> Vec<Place> {
        // The semaphores are never closed, so there is always an answer.
        let (slots, room) = (all_free(&self.slots).await, all_free(&self.room).await);
        slots.into_iter().zip(room).map(|(slot, room)| Place { slot, room }).collect()
    }
}

/// Waits for one permit, and takes all others that are free with it. Nobody else takes permits.
async fn all_free(semaphore: &Arc<Semaphore>) -> Vec<OwnedSemaphorePermit> {
    let mut permits = Vec::new();
    if let Ok(first) = Arc::clone(semaphore).acquire_owned().await {
        permits.push(first);
    }
    while let Ok(more) = Arc::clone(semaphore).try_acquire_owned() {
        permits.push(more);
    }
    permits
}
