//! One binary COPY into the table of tasks, of rows that are ready before the clock starts. It neither locks a queue nor counts.

use std::pin::pin;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::ensure;
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::SinkExt;
use tokio_postgres::CopyInSink;

use crate::args::Plan;
use crate::bench::Bench;
use crate::figure::Limit;
use crate::measure::per_second;

const COPY: &str = include_str!("../../sql/copy_limit.sql");
const QUEUE_ID: &str = include_str!("../../sql/queue_id.sql");
const IDS: &str = include_str!("../../sql/ids.sql");
const QUEUE: &str = "copied";
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const COLUMNS: i16 = 8;
/// How much is sent at a time.
const CHUNK: usize = 64 << 10;
/// In microseconds since 1970. PostgreSQL counts from here.
const YEAR_2000: i64 = 946_684_800_000_000;
const HOUR: i64 = 3_600_000_000;

/// The rows a second of one COPY of `rows` rows.
pub(crate) async fn copy(bench: &Bench, rows: u32) -> anyhow::Result<Limit> {
    let client = bench.connect().await?;
    bench.queue(QUEUE).await?;
    let queue_id =
        client.query_one(QUEUE_ID, &[&bench.manager.namespace().as_str(), &QUEUE]).await?.try_get(0)?;
    let ids: Vec<i64> = client.query_one(IDS, &[&i32::try_from(rows)?]).await?.try_get(0)?;
    let chunks = encode(&bench.plan, queue_id, &ids)?;
    bench.checkpoint().await;
    let started = Instant::now();
    let sink: CopyInSink<Bytes> = client.copy_in(COPY).await?;
    let mut sink = pin!(sink);
    for chunk in chunks {
        sink.feed(chunk).await?;
    }
    let copied = sink.finish().await?;
    let took = started.elapsed();
    ensure!(copied == u64::from(rows), "wrong count: COPY wrote {copied} rows, not {rows}");
    Ok(Limit { name: "binary COPY".to_owned(), per_second: per_second(copied, took) })
}

fn encode(plan: &Plan, queue_id: i32, ids: &[i64]) -> anyhow::Result<Vec<Bytes>> {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros())? - YEAR_2000;
    let mut chunks = Vec::new();
    let mut buffer = BytesMut::from(SIGNATURE);
    for (row, id) in ids.iter().enumerate() {
        buffer.put_i16(COLUMNS);
        put(&mut buffer, &id.to_be_bytes())?;
        // run_at, created_at, dies_at
        put(&mut buffer, &now.to_be_bytes())?;
        put(&mut buffer, &now.to_be_bytes())?;
        put(&mut buffer, &(now + HOUR).to_be_bytes())?;
        // queue_id, retries, priority
        put(&mut buffer, &queue_id.to_be_bytes())?;
        put(&mut buffer, &3_i32.to_be_bytes())?;
        put(&mut buffer, &5_i16.to_be_bytes())?;
        put(&mut buffer, plan.payload(row).as_str().as_bytes())?;
        if buffer.len() >= CHUNK {
            chunks.push(buffer.split().freeze());
        }
    }
    // The end of the data.
    buffer.put_i16(-1);
    chunks.push(buffer.freeze());
    Ok(chunks)
}

fn put(buffer: &mut BytesMut, field: &[u8]) -> anyhow::Result<()> {
    buffer.put_i32(i32::try_from(field.len())?);
    buffer.put_slice(field);
    Ok(())
}
