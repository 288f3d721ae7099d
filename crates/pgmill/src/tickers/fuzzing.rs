//! What holds of any cron expression, for the target of `fuzz/` and for the tests.

use jiff::Timestamp;

use super::cron::Cron;

/// A cron expression, and below it, after a line feed, a time zone; and a number of seconds behind a further one. What is taken
/// is due again and again, later each time, and in its zone.
///
/// # Panics
/// If something does not hold.
pub fn crons(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let mut lines = text.split('\n');
    let (expression, zone) = (lines.next().unwrap_or_default(), lines.next().unwrap_or("UTC"));
    let cron = match Cron::parse(expression, zone) {
        Ok(cron) => cron,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert!(Cron::parse(expression, cron.zone()).is_ok(), "the zone is one by the name it has");
    let seconds = lines.next().and_then(|seconds| seconds.parse().ok()).unwrap_or(1_700_000_000);
    let mut after = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
    for _ in 0..3 {
        let Some(due) = cron.next(after) else { return };
        assert!(due > after, "{expression:?} is due at {due} after {after}");
        after = due;
    }
}

#[cfg(test)]
#[path = "../../../../fuzz/kept.rs"]
mod kept;

#[test]
fn crons_hold() {
    kept::hold("crons", crons);
}
