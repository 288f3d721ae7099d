//! Rows of tasks as a binary COPY takes them.

use bytes::{Bytes, BytesMut};
use jiff::{SignedDuration, Timestamp};

use crate::copy::Target;
use crate::enqueue::NewTask;
use crate::error::StoreError;
use crate::stamp::Stamp;

/// What a binary COPY begins with: its signature, no flags, and no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// The end of the rows.
const END: &[u8] = &(-1_i16).to_be_bytes();
/// The columns of `copy_tasks.sql`.
const COLUMNS: &[u8] = &9_i16.to_be_bytes();
const NULL: &[u8] = &(-1_i32).to_be_bytes();

/// Writes rows one after the other into one buffer. What is the same in each, which is most of a task that is due now, is put
/// together once.
#[derive(Debug)]
pub(crate) struct RowWriter {
    target: Target,
    /// When tasks die that are due now.
    dies_at: Option<Timestamp>,
    /// From `run_at` to `retries`, of a task that is due now.
    due_now: BytesMut,
    out: BytesMut,
    chunk: usize,
}

impl RowWriter {
    /// Rows of tasks of this queue, in chunks of so many bytes.
    pub(crate) fn new(target: Target, chunk: usize) -> Self {
        let mut out = BytesMut::with_capacity(chunk + chunk / 8);
        out.extend_from_slice(HEADER);
        // A time to live beyond all time is told when a task needs it.
        let dies_at = target.dies_at(target.now).unwrap_or_default();
        let mut due_now = BytesMut::new();
        target.write_times(&mut due_now, target.now, dies_at);
        Self { target, dies_at, due_now, out, chunk }
    }

    /// Writes a row, and tells when its task is due and when it dies.
    pub(crate) fn write(&mut self, task: &NewTask) -> Result<(Timestamp, Option<Timestamp>), StoreError> {
        self.out.extend_from_slice(COLUMNS);
        put(&mut self.out, &task.id.to_be_bytes());
        let times = if task.delayed_at.is_none() && task.delay.is_none() && self.is_mortal() {
            self.out.extend_from_slice(&self.due_now);
            (self.target.now, self.dies_at)
        } else {
            let run_at = self.target.run_at(task)?;
            let dies_at = self.target.dies_at(run_at)?;
            self.target.write_times(&mut self.out, run_at, dies_at);
            (run_at, dies_at)
        };
        put(&mut self.out, &task.priority.to_be_bytes());
        put(&mut self.out, task.payload.as_str().as_bytes());
        match &task.traceparent {
            Some(traceparent) => put(&mut self.out, traceparent.as_bytes()),
            None => self.out.extend_from_slice(NULL),
        }
        Ok(times)
    }

    /// Whether there is as much as is to be sent at a time.
    pub(crate) fn is_full(&self) -> bool {
        self.out.len() >= self.chunk
    }

    /// What was written since the last time.
    pub(crate) fn take(&mut self) -> Bytes {
        let taken = self.out.split().freeze();
        self.out.reserve(self.chunk + self.chunk / 8);
        taken
    }

    /// The rest, and the end of the rows.
    pub(crate) fn end(mut self) -> Bytes {
        self.out.extend_from_slice(END);
        self.out.freeze()
    }

    /// Whether the time at which tasks die is known.
    fn is_mortal(&self) -> bool {
        self.dies_at.is_some() == self.target.ttl.is_some()
    }
}

impl Target {
    /// When a task is due.
    fn run_at(&self, task: &NewTask) -> Result<Timestamp, StoreError> {
        match (task.delayed_at, task.delay) {
            (Some(at), _) => Ok(at.max(self.now)),
            (None, Some(micros)) => after(self.now, micros),
            (None, None) => Ok(self.now),
        }
    }

    /// When a task dies that is due then.
    fn dies_at(&self, run_at: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        self.ttl.map(|ttl| after(run_at, ttl)).transpose()
    }

    fn write_times(&self, out: &mut BytesMut, run_at: Timestamp, dies_at: Option<Timestamp>) {
        put(out, &Stamp::from(run_at).to_bytes());
        put(out, &Stamp::from(self.now).to_bytes());
        match dies_at {
            Some(dies_at) => put(out, &Stamp::from(dies_at).to_bytes()),
            None => out.extend_from_slice(NULL),
        }
        put(out, &self.queue_id.to_be_bytes());
        put(out, &self.retries.to_be_bytes());
    }
}

fn after(from: Timestamp, micros: i64) -> Result<Timestamp, StoreError> {
    from.checked_add(SignedDuration::from_micros(micros))
        .map_err(|_| StoreError::unexpected("a time beyond the year 9999"))
}

/// A field: its length, and its bytes. None is longer than a payload may be.
fn put(out: &mut BytesMut, field: &[u8]) {
    out.extend_from_slice(&i32::try_from(field.len()).unwrap_or(i32::MAX).to_be_bytes());
    out.extend_from_slice(field);
}
