//! The work of the demo: read a file, and tell its SHA-256 and size.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use pgmill::{Context, Json, JsonError, Outcome};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::tally::Tally;

/// The payload of a task.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) path: String,
}

/// The result of a task.
#[derive(Debug, Serialize)]
struct Hashed {
    sha256: String,
    size: u64,
}

/// Hashes files, a few at a time.
#[derive(Debug)]
pub(super) struct Hashing {
    readers: Semaphore,
    fail_rate: f64,
    tally: Arc<Tally>,
}

impl Hashing {
    pub(super) fn new(readers: usize, fail_rate: f64, tally: Arc<Tally>) -> Self {
        Self { readers: Semaphore::new(readers), fail_rate, tally }
    }

    /// Hashes the file of a task.
    pub(super) async fn run(&self, context: Context) -> Outcome {
        // The semaphore is never closed.
        match context.cancellation().run_until_cancelled(self.readers.acquire()).await {
            Some(_reader) => self.outcome(&context).await.unwrap_or_else(|error| {
                Outcome::failed(&error.to_string()).unwrap_or_else(|_| Outcome::Failed(Json::null()))
            }),
            None => Outcome::GiveBack,
        }
    }

    async fn outcome(&self, context: &Context) -> Result<Outcome, JsonError> {
        let job: Job = context.task().payload.as_ref().unwrap_or(&Json::null()).decode()?;
        if chance(context.id(), context.attempt()) < self.fail_rate {
            return Outcome::retry(&format!("attempt {} failed on purpose", context.attempt()));
        }
        let (path, stop) = (PathBuf::from(job.path), context.cancellation().clone());
        match tokio::task::spawn_blocking(move || hash(path, &stop)).await {
            Ok(Err(_)) if context.is_cancelled() => Ok(Outcome::GiveBack),
            Ok(Ok(hashed)) => {
                self.tally.read(hashed.size);
                Outcome::done(&hashed)
            }
            // A file that is gone stays gone.
            Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => Outcome::failed(&error.to_string()),
            Ok(Err(error)) => Outcome::retry(&error.to_string()),
            Err(error) => Outcome::retry(&error.to_string()),
        }
    }
}

/// Stops between two reads when it is asked to, for nothing else can stop a thread.
fn hash(path: PathBuf, stop: &CancellationToken) -> io::Result<Hashed> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut size = 0;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        if stop.is_cancelled() {
            return Err(io::Error::other("stopped"));
        }
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                hasher.update(&buffer[..count]);
                size += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let sha256 = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Hashed { sha256, size })
}

/// A number from 0 up to 1 that looks random, and is always the same for an attempt (`SplitMix64`).
fn chance(id: u64, attempt: u32) -> f64 {
    let mut bits = id.wrapping_add(u64::from(attempt).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}
