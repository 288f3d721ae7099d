//! What holds of whatever comes in, for the targets of `fuzz/` and for the tests: nothing panics, and what is taken is written
//! as it is read.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use pgmill_schema::{Json, Namespace, QueueName};
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql, ToSql, Type};

pub use crate::connect::fuzzing::connections;
use crate::copy::Target;
use crate::enqueue::NewTask;
use crate::listener::{self, EVENTS};
use crate::rows::RowWriter;
use crate::stamp::Stamp;
use crate::watcher::{News, pack};
use crate::{Notice, Told};

/// Rows of a COPY: a number that decides what is given, one for times, and a payload with a trace context behind a NUL. Every
/// field comes out of the bytes as it went in.
///
/// # Panics
/// If something does not hold.
pub fn rows(input: &[u8]) {
    let Some((&[given, a, b, c, d, e, f, g, h], text)) = input.split_first_chunk() else { return };
    let micros = i64::from_be_bytes([a, b, c, d, e, f, g, h]);
    stamp(micros);
    let Ok(text) = std::str::from_utf8(text) else { return };
    let (payload, traceparent) = text.split_once('\0').unwrap_or((text, ""));
    let Ok(payload) = Json::from_stored(payload) else { return };
    let flag = |bit: u8| given & (1 << bit) != 0;
    let time = Timestamp::from_microsecond(micros).ok();
    let target = Target {
        queue_id: i32::from(given),
        ttl: flag(0).then_some(micros.saturating_abs()),
        retries: i32::MAX,
        now: time.filter(|_| flag(1)).unwrap_or(Timestamp::UNIX_EPOCH),
    };
    let task = NewTask {
        id: micros,
        namespace: Namespace::system(),
        queue: QueueName::new("q").expect("a name"),
        payload: payload.clone(),
        delayed_at: time.filter(|_| flag(2)),
        delay: flag(3).then_some(micros.saturating_abs()),
        priority: i16::from(given),
        key: None,
        traceparent: flag(4).then(|| traceparent.to_owned()),
    };
    let mut writer = RowWriter::new(target, 64);
    let Ok((run_at, dies_at)) = writer.write(&task) else { return };
    assert!(run_at >= target.now, "no task is due before it is there");
    assert!(dies_at.is_none_or(|dies_at| dies_at >= run_at), "no task dies before it is due");
    let bytes = writer.end();
    let fields = fields(&bytes);
    let at = |time: Timestamp| Some(Stamp::from(time).to_bytes().to_vec());
    let expected = [
        Some(micros.to_be_bytes().to_vec()),
        at(run_at),
        at(target.now),
        dies_at.and_then(at),
        Some(target.queue_id.to_be_bytes().to_vec()),
        Some(i32::MAX.to_be_bytes().to_vec()),
        Some(task.priority.to_be_bytes().to_vec()),
        Some(payload.as_str().as_bytes().to_vec()),
        task.traceparent.map(String::into_bytes),
    ];
    assert_eq!(fields, expected);
}

/// The fields of the one row in a binary COPY.
fn fields(bytes: &[u8]) -> Vec<Option<Vec<u8>>> {
    let (_, mut rest) = bytes.split_at(19);
    let count = i16::from_be_bytes(take(&mut rest));
    let fields = (0..count).map(|_| {
        let length = usize::try_from(i32::from_be_bytes(take(&mut rest))).ok()?;
        let (field, tail) = rest.split_at(length);
        rest = tail;
        Some(field.to_vec())
    });
    let fields = fields.collect();
    assert_eq!(rest, (-1_i16).to_be_bytes(), "the end of the rows");
    fields
}

fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let (head, tail) = rest.split_first_chunk().expect("a whole number");
    *rest = tail;
    *head
}

/// A time is read from eight bytes as it is written to them, and all others are none.
fn stamp(micros: i64) {
    let raw = micros.to_be_bytes();
    let Ok(stamp) = Stamp::from_sql(&Type::TIMESTAMPTZ, &raw) else { return };
    assert_eq!(stamp.to_bytes(), raw);
    let mut out = BytesMut::new();
    assert!(stamp.to_sql(&Type::TIMESTAMPTZ, &mut out).is_ok() && out[..] == raw);
    let _ = stamp.time().checked_add(SignedDuration::from_micros(micros));
}

/// Notices: whoever may connect to the database may send them. Of tasks that are due, and of changes; the latter are packed as
/// they were read.
///
/// # Panics
/// If something does not hold.
pub fn notices(input: &[u8]) {
    let Ok(payload) = std::str::from_utf8(input) else { return };
    let _ = listener::read("", payload);
    let Some(Notice::Events(told)) = listener::read(EVENTS, payload) else { return };
    let Told { from: Some(from), namespace, events, lost } = told else { return };
    let news = News { namespace, lost, events: events.iter().cloned().map(Arc::new).collect() };
    let notices = pack(from, &news).expect("what was read can be written");
    let mut again = Vec::new();
    let mut missing = 0;
    // No worker of ours has a name with a control character, which takes six bytes.
    let usual = !payload.contains("\\u00");
    for notice in &notices {
        assert!(!usual || notice.len() < 8_000 || events.len() == 1, "PostgreSQL takes it");
        let Some(Notice::Events(told)) = listener::read(EVENTS, notice) else { panic!("{notice}") };
        missing += told.lost;
        again.extend(told.events);
    }
    assert_eq!((again, missing), (events, lost));
}

#[cfg(test)]
#[path = "../../../fuzz/kept.rs"]
mod kept;

#[test]
fn connections_hold() {
    kept::hold("connections", connections);
}

#[test]
fn rows_hold() {
    kept::hold("rows", rows);
}

#[test]
fn notices_hold() {
    kept::hold("notices", notices);
}
