//! What to think of the schema, of who may use it, and of those who keep it in order.

use std::time::Duration;

use pgmill_schema::minutes;
use pgmill_store::{DayHorizon, Drift, JobState, Lack, MigrationState, OddMigration};

use super::report::{Check, span};

/// For how many days from today on there should be a place for history. Maintenance makes seven beyond today.
const FEWEST_DAYS: u32 = 3;
/// A job is late after so many intervals, and no earlier than that.
const LATE: (u32, Duration) = (10, minutes(5));

const MIGRATE: &str =
    "Run `pgmill migrate`, or start one process of the new version: it is safe while others work.";

pub(super) fn privileges(lacks: &[Lack]) -> Check {
    let name = "privileges";
    let details = lacks.iter().map(|lack| lack.privilege.clone());
    let essential = lacks.iter().filter(|lack| lack.essential).count();
    if essential > 0 {
        let seen = format!("the role lacks {essential} that tasks need");
        let advice = "Grant them to the role (the details list them), or make it the owner of the schema: ALTER SCHEMA pgmill OWNER TO …, and its \
            tables.";
        return Check::fail(name, seen, advice).details(details);
    }
    if !lacks.is_empty() {
        let seen = format!("the role lacks {} that maintenance and management need", lacks.len());
        let advice = "Tasks can be worked on, but what the details name cannot be done, such as days of history made and dropped: let another process \
            maintain, whose role owns the tables, or make this role their owner.";
        return Check::warn(name, seen, advice).details(details);
    }
    Check::ok(name, "the role may do all that pgmill does")
}

/// Whether a newer version has been at it.
pub(super) fn are_newer(odd: &[OddMigration]) -> bool {
    odd.iter().any(|migration| migration.state == MigrationState::Newer)
}

pub(super) fn missing(missing: &[&str]) -> Check {
    let seen = format!("{} missing", missing.len());
    Check::fail("migrations", seen, MIGRATE).details(missing.iter().map(|name| (*name).to_owned()))
}

/// Of a database that this program cannot work with, and says why.
pub(super) fn refused(why: String) -> Check {
    Check::fail("migrations", why, "Do as it says: no process of this version can work with the database.")
}

/// Of a database that lacks none.
pub(super) fn migrations(odd: &[OddMigration]) -> Check {
    let name = "migrations";
    let of = |state| odd.iter().filter(move |migration| migration.state == state);
    let details = |state| of(state).map(|migration| migration.name.clone()).collect::<Vec<_>>();
    let changed = details(MigrationState::Changed);
    if !changed.is_empty() {
        let seen = format!("{} applied with another text than this program has", changed.len());
        let advice = "Either a build of pgmill before this one migrated the database, with migrations that were edited since, or somebody \
            changed the record. If schema is well, nothing else is different; if not, it says what to do.";
        return Check::warn(name, seen, advice).details(changed);
    }
    let newer = details(MigrationState::Newer);
    if !newer.is_empty() {
        let seen = format!("{} applied by a newer version, with which this one can work", newer.len());
        return Check::warn(name, seen, "Update this program when it suits.").details(newer);
    }
    Check::ok(name, "all applied, as this program has them")
}

/// Of a database with the migrations of this version and no others.
pub(super) fn drift(drift: &[Drift]) -> Check {
    let name = "schema";
    if drift.is_empty() {
        return Check::ok(name, "as the migrations made it");
    }
    let (mut missing, mut changed, mut extra) = (0, 0, 0);
    let mut is_fatal = false;
    let details: Vec<String> = drift
        .iter()
        .map(|difference| match difference {
            Drift::Missing(what) => {
                (missing, is_fatal) = (missing + 1, true);
                format!("missing: {what}")
            }
            Drift::Changed(what) => {
                // What is said of a table as a whole is how it is stored.
                (changed, is_fatal) = (changed + 1, is_fatal || !what.starts_with("table "));
                format!("changed: {what}")
            }
            Drift::Extra(what) => {
                extra += 1;
                format!("unknown: {what}")
            }
            other => format!("{other:?}"),
        })
        .collect();
    let seen = format!("{missing} missing, {changed} changed, {extra} unknown");
    if is_fatal {
        let advice = "Either a build of pgmill before this one made it so, whose migrations were edited since (then migrations warns, too), or \
            somebody changed the schema by hand. Make what the details name as crates/store/schema.sql of this version has it: a function \
            with CREATE OR REPLACE FUNCTION, or dropped before if what it answers is different; an index with CREATE INDEX CONCURRENTLY. \
            Where no task has to be kept, DROP SCHEMA pgmill CASCADE and `pgmill migrate` do it, too. Or restore it from a backup.";
        return Check::fail(name, seen, advice).details(details);
    }
    let advice = "Somebody changed the schema by hand, or a build of pgmill before this one left it behind. An index on pgmill.task makes \
        every retain dearer, and other storage settings let it bloat: undo them, unless they are meant so.";
    Check::warn(name, seen, advice).details(details)
}

pub(super) fn partitions(horizons: &[DayHorizon]) -> Check {
    let name = "partitions";
    let days = horizons.iter().map(|horizon| horizon.days).min().unwrap_or(0);
    let details = horizons.iter().map(|horizon| format!("{}: {} days", horizon.table, horizon.days));
    let advice = "Maintenance makes them, seven days ahead: see maintenance for whether anybody runs it, and privileges for whether it may. By \
        hand: SELECT pgmill.ensure_partitions_v1(7).";
    match days {
        0 => Check::fail(name, "there is no place for what ends today", advice).details(details),
        days if days < FEWEST_DAYS => {
            let seen = format!("history has a place for {days} days, today among them");
            Check::warn(name, seen, advice).details(details)
        }
        days => Check::ok(name, format!("history has a place for {days} days, today among them")),
    }
}

pub(super) fn maintenance(jobs: &[JobState]) -> Check {
    let name = "maintenance";
    let advice = "Nobody maintains the database: history is not removed, what expired does not end, and tickers make no tasks. Let one process \
        at least call Manager::run, as `pgmill run` and `pgmill work` do; if one does, its log tells what is wrong.";
    if jobs.is_empty() {
        return Check::warn(name, "there are no jobs", advice);
    }
    let (intervals, least) = LATE;
    let late = jobs.iter().filter(|job| job.overdue > least.max(job.every * intervals));
    let late: Vec<String> = late.map(|job| format!("{}: due for {}", job.name, span(job.overdue))).collect();
    if late.is_empty() {
        return Check::ok(name, format!("{} jobs, none of them late", jobs.len()));
    }
    Check::warn(name, format!("{} of {} jobs are late", late.len(), jobs.len()), advice).details(late)
}
