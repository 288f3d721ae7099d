//! When a cron expression is due.
//!
//! `croner` reads the expression, and finds what matches it on a clock without a zone. Which instants those readings of the
//! clock stand for is decided here, by the rules that [`Manager::register_ticker`](crate::Manager::register_ticker) states.

use std::time::Duration;

use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::{self, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use pgmill_schema::TickPolicy;

/// A tick later than this is dropped, where late ones are.
const LATEST: Duration = Duration::from_secs(60);
const SECOND: SignedDuration = SignedDuration::from_secs(1);
const INSTANT: SignedDuration = SignedDuration::from_micros(1);

/// A cron expression or a time zone that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CronError {
    /// The text is no cron expression.
    #[error(
        "invalid cron expression {given:?}: {reason}; want 5 fields (minute, hour, day of month, month, day of week), or 6 \
         with seconds before them, such as \"30 3 * * MON-FRI\""
    )]
    Expression {
        /// The text as it was given.
        given: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The expression is one of a time that never comes.
    #[error("the cron expression {given:?} is never due: there is no such day")]
    Never {
        /// The text as it was given.
        given: String,
    },
    /// There is no such time zone.
    #[error("unknown time zone {given:?}: want an IANA name such as \"Europe/Berlin\" or \"UTC\"")]
    Zone {
        /// The name as it was given.
        given: String,
    },
}

/// A cron expression in its time zone.
#[derive(Debug)]
pub(crate) struct Cron {
    expression: croner::Cron,
    zone: TimeZone,
    /// The hour is any, or each so many: it goes on through a change of the clock, whatever the clock shows.
    runs_on: bool,
}

impl Cron {
    pub(crate) fn parse(expression: &str, zone: &str) -> Result<Self, CronError> {
        let given = || expression.to_owned();
        // What is read of an empty part never comes, and croner looks for it, minute by minute, until the year 5000.
        let mut parts =
            expression.split_whitespace().flat_map(|field| field.trim_start_matches('+').split(','));
        if parts.any(str::is_empty) {
            let reason = "there is nothing before, between or after commas, or after a +".to_owned();
            return Err(CronError::Expression { given: given(), reason });
        }
        let zone = TimeZone::get(zone.trim()).map_err(|_| CronError::Zone { given: zone.to_owned() })?;
        let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        let parsed = parser
            .parse(expression)
            .map_err(|error| CronError::Expression { given: given(), reason: error.to_string() })?;
        let hour = parsed.as_str().split_whitespace().rev().nth(3).unwrap_or_default();
        let runs_on = hour.starts_with('*');
        let cron = Self { runs_on, expression: parsed, zone };
        // The calendar repeats after 400 years, and croner looks as far as the year 5000.
        let never = cron.match_from(civil::date(4_599, 12, 31).at(0, 0, 0, 0), false).is_none();
        if never { Err(CronError::Never { given: given() }) } else { Ok(cron) }
    }

    /// The name of the time zone, in the spelling of the database of time zones.
    pub(crate) fn zone(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    /// The first time it is due after this one.
    pub(crate) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        if self.runs_on { self.next_running(after) } else { self.next_fixed(after) }
    }

    /// For a fixed time of day: when the clock shows it first, or would have.
    fn next_fixed(&self, after: Timestamp) -> Option<Timestamp> {
        let mut wall = self.zone.to_datetime(after);
        loop {
            wall = self.match_from(wall, false)?;
            // While the clock goes through an hour for the second time, this is in the past.
            let due = self.shown_first(wall)?;
            if due > after {
                return Some(due);
            }
        }
    }

    /// For any hour: whenever the clock shows it. Between two changes the clock is ahead of UTC by the same offset.
    fn next_running(&self, after: Timestamp) -> Option<Timestamp> {
        let (mut from, mut inclusive) = (after, false);
        loop {
            let offset = self.zone.to_offset(from);
            let change = self.zone.following(from).next().map(|change| change.timestamp());
            let wall = self.match_from(offset.to_datetime(from), inclusive)?;
            let due = offset.to_timestamp(wall).ok()?;
            match change {
                Some(change) if due >= change => (from, inclusive) = (change, true),
                _ => return Some(due),
            }
        }
    }

    /// The first reading of the clock that matches.
    fn match_from(&self, wall: DateTime, inclusive: bool) -> Option<DateTime> {
        // Of UTC, since that has no changes that croner would have rules of its own about.
        let wall = wall.to_zoned(TimeZone::UTC).ok()?;
        self.expression.find_next_occurrence(&wall, inclusive).ok().map(|wall| wall.datetime())
    }

    /// When the clock shows this for the first time; if it never does, when it is set forward beyond it.
    fn shown_first(&self, wall: DateTime) -> Option<Timestamp> {
        let shown = self.zone.to_ambiguous_timestamp(wall);
        let skipped = matches!(shown.offset(), AmbiguousOffset::Gap { .. });
        let earlier = shown.earlier().ok()?;
        if !skipped {
            return Some(earlier);
        }
        let mut changes = self.zone.following(earlier).map(|change| change.timestamp());
        changes.find(|change| self.zone.to_datetime(*change) > wall)
    }

    /// The last time it is due up to `now`, at the earliest `from`, which is one.
    fn latest(&self, from: Timestamp, now: Timestamp) -> Timestamp {
        let due = |after| self.next(after).filter(|next| *next <= now);
        let (mut before, mut beyond) = (from, now);
        if due(before).is_none() {
            return from;
        }
        // After `before` there is one, after `beyond` there is none, and in a second there is at most one.
        while beyond.duration_since(before) > SECOND {
            let middle = before + beyond.duration_since(before) / 2;
            *(if due(middle).is_some() { &mut before } else { &mut beyond }) = middle;
        }
        due(before).unwrap_or(from)
    }

    /// What becomes of a tick that was due at `seen`.
    pub(crate) fn decide(
        &self,
        seen: Timestamp,
        now: Timestamp,
        policy: TickPolicy,
        catch_up: u32,
    ) -> Option<Decided> {
        let at = match policy {
            TickPolicy::Coalesce | TickPolicy::Skip => self.latest(seen, now),
            TickPolicy::CatchUp => self.oldest_of(catch_up, seen, now),
        };
        let next = self.next(at)?;
        let late = now.duration_since(at).unsigned_abs();
        let interval = next.duration_since(at).unsigned_abs();
        let fire = policy != TickPolicy::Skip || late <= interval.min(LATEST);
        Some(Decided { at, next, fire })
    }

    /// The oldest of the last `count` times it was due, at the earliest `seen`.
    fn oldest_of(&self, count: u32, seen: Timestamp, now: Timestamp) -> Timestamp {
        let mut due = std::iter::successors(Some(seen), |at| self.next(*at)).take_while(|at| *at <= now);
        if usize::try_from(count).is_ok_and(|count| due.nth(count).is_none()) {
            return seen;
        }
        (1..count).fold(self.latest(seen, now), |at, _| self.latest(seen, at - INSTANT))
    }
}

/// What becomes of a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decided {
    /// The time of the tick.
    pub(crate) at: Timestamp,
    /// When the ticker is due next.
    pub(crate) next: Timestamp,
    /// Whether there is a tick at all.
    pub(crate) fire: bool,
}

#[cfg(test)]
mod tests;
