//! One binary COPY of rows that are ready before the clock starts.

use std::pin::pin;
use std::time::Instant;

use anyhow::ensure;
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::SinkExt;
use tokio_postgres::CopyInSink;

use crate::args::Plan;
use crate::bench::Bench;
use crate::figure::Limit;
use crate::measure::per_second;

const COPY: &str = include_str!("../../sql/copy_limit.sql");
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const COLUMNS: i16 = 8;
/// How much is sent at a time.
const CHUNK: usize = 64 << 10;
const HOUR: i64 = 3_600_000_000;

/// The rows a second of one COPY of `rows` rows.
pub(crate) async fn copy(bench: &Bench, rows: u32) -> anyhow::Result<Limit> {
    let client = bench.connect().await?;
    let chunks = encode(&bench.plan, rows)?;
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

fn encode(plan: &Plan, rows: u32) -> anyhow::Result<Vec<Bytes>> {
    let mut chunks = Vec::new();
    let mut buffer = BytesMut::from(SIGNATURE);
    for id in 1..=rows {
        buffer.put_i16(COLUMNS);
        put(&mut buffer, &i64::from(id).to_be_bytes())?;
        // run_at, created_at, dies_at: microseconds since the year 2000.
        put(&mut buffer, &0_i64.to_be_bytes())?;
        put(&mut buffer, &0_i64.to_be_bytes())?;
        put(&mut buffer, &HOUR.to_be_bytes())?;
        // queue_id, retries, priority
        put(&mut buffer, &1_i32.to_be_bytes())?;
        put(&mut buffer, &3_i32.to_be_bytes())?;
        put(&mut buffer, &5_i16.to_be_bytes())?;
        put(&mut buffer, plan.payload(id as usize).as_str().as_bytes())?;
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
