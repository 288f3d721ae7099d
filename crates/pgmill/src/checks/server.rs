//! What to think of a server and its settings.

use std::time::Duration;

use pgmill_schema::seconds;
use pgmill_store::ServerFacts;

use super::report::Check;

/// The oldest and the newest version that pgmill is tested with.
const VERSIONS: (u32, u32) = (13, 18);
/// What share of the connections may be in use, of 100.
const MOST_CONNECTIONS: u64 = 80;
/// How far the clocks may be apart, in seconds.
const MOST_SKEW: f64 = 5.0;
/// How full the queue of notices may be, of 1: to be told, and when it will soon refuse commits.
const NOTICES: (f64, f64) = (0.1, 0.5);
/// How old the oldest row that is not frozen may be, in transactions. At 2^31 the server refuses to write.
const AGES: (u64, u64) = (1_000_000_000, 2_000_000_000);
/// A pool of connections is idle for longer than this, and means to find them again.
const SHORTEST_IDLE: Duration = seconds(60);
/// How long a statement of pgmill may take.
const LONGEST_STATEMENT: Duration = seconds(30);

pub(super) fn all(facts: &ServerFacts, ahead: f64) -> [Check; 9] {
    [
        version(facts),
        writable(facts),
        isolation(facts),
        durability(facts),
        timeouts(facts),
        connections(facts),
        notify_queue(facts),
        wraparound(facts),
        clock(ahead),
    ]
}

pub(super) fn version(facts: &ServerFacts) -> Check {
    let (name, major) = ("version", facts.version / 10_000);
    let (oldest, newest) = VERSIONS;
    let seen = format!("PostgreSQL {}; {oldest} to {newest} are supported", facts.version_name);
    match major {
        major if major < oldest => Check::fail(name, seen, "Upgrade the server."),
        major if major > newest => Check::warn(
            name,
            seen,
            "This version of pgmill was never tried with it: look for a newer pgmill, or try it elsewhere first.",
        ),
        _ => Check::ok(name, seen),
    }
}

pub(super) fn writable(facts: &ServerFacts) -> Check {
    let name = "writable";
    if facts.in_recovery {
        let advice = "Name the primary in the URL; with several hosts in it, add target_session_attrs=read-write, and it is found.";
        return Check::fail(name, "the server is a standby, which cannot be written to", advice);
    }
    if facts.read_only {
        let advice = "pgmill sets its own default, but your transactions cannot create tasks: ALTER ROLE or ALTER DATABASE … SET \
            default_transaction_read_only = off, unless it is meant so.";
        return Check::warn(name, "default_transaction_read_only is on", advice);
    }
    Check::ok(name, "it can be written to")
}

pub(super) fn isolation(facts: &ServerFacts) -> Check {
    let name = "isolation";
    let seen = format!("default_transaction_isolation is {}", facts.isolation);
    if facts.isolation == "read committed" {
        return Check::ok(name, seen);
    }
    let advice = "pgmill sets its own. Your transactions that create tasks run under this one, and may end with 40001 (serialization \
        failure): repeat them then, or set 'read committed' for the role.";
    Check::warn(name, seen, advice)
}

pub(super) fn durability(facts: &ServerFacts) -> Check {
    let name = "durability";
    let unsafe_settings: Vec<&str> = [("fsync", facts.fsync), ("full_page_writes", facts.full_page_writes)]
        .into_iter()
        .filter_map(|(setting, is_on)| (!is_on).then_some(setting))
        .collect();
    if !unsafe_settings.is_empty() {
        let advice = "A crash of the machine may lose what was acknowledged, and damage the database: set them on (ALTER SYSTEM SET … = on; \
            SELECT pg_reload_conf()), unless all of it may be lost.";
        return Check::fail(name, format!("off: {}", unsafe_settings.join(", ")), advice);
    }
    if facts.synchronous_commit == "off" {
        let advice = "A crash of the server may lose the last half second of tasks and results that were acknowledged: set \
            synchronous_commit = on for the role or the database, unless that may be.";
        return Check::warn(name, "synchronous_commit is off", advice);
    }
    Check::ok(name, "what is acknowledged is on the disk")
}

pub(super) fn timeouts(facts: &ServerFacts) -> Check {
    let name = "timeouts";
    let limits = [
        ("idle_session_timeout", facts.idle_session, SHORTEST_IDLE),
        ("idle_in_transaction_session_timeout", facts.idle_in_transaction, seconds(1)),
        ("transaction_timeout", facts.whole_transaction, LONGEST_STATEMENT),
    ];
    let short = limits.into_iter().filter_map(|(setting, limit, least)| {
        limit.filter(|limit| *limit < least).map(|limit| format!("{setting} is {limit:?}"))
    });
    let short: Vec<String> = short.collect();
    if !short.is_empty() {
        let advice = "Connections that wait for tasks are cut, or statements before their time: set 0 for the role that pgmill uses, or \
            more than 60s, 1s and 30s respectively.";
        return Check::warn(name, short.join(", "), advice);
    }
    match facts.idle_in_transaction {
        Some(limit) => Check::ok(name, format!("transactions that do nothing are ended after {limit:?}")),
        None => Check::ok(name, "none that cuts off pgmill, nor one that ends forgotten transactions"),
    }
}

pub(super) fn connections(facts: &ServerFacts) -> Check {
    let name = "connections";
    let seen = format!("{} of {} are in use", facts.connections, facts.connections_allowed);
    if facts.connections * 100 < facts.connections_allowed * MOST_CONNECTIONS {
        return Check::ok(name, seen);
    }
    let advice = "New connections will be refused: look who has them (pg_stat_activity by application_name), make pools smaller \
        (pool_max_conns), put a pooler in between, or raise max_connections.";
    Check::warn(name, seen, advice)
}

pub(super) fn notify_queue(facts: &ServerFacts) -> Check {
    let name = "notify_queue";
    let seen = format!("{:.0} % of the queue of notices are in use", facts.notify_queue * 100.0);
    let advice = "A session that listens and sits in a transaction keeps notices from being removed, and when the queue is full, commits \
        that notify fail: the log of the server names its pid; end it with pg_terminate_backend.";
    match facts.notify_queue {
        share if share >= NOTICES.1 => Check::fail(name, seen, advice),
        share if share >= NOTICES.0 => Check::warn(name, seen, advice),
        _ => Check::ok(name, seen),
    }
}

pub(super) fn wraparound(facts: &ServerFacts) -> Check {
    let name = "wraparound";
    let age = facts.frozen_age.max(facts.multixact_age);
    let seen =
        format!("the oldest row that is not frozen is {age} transactions old; at 2147483647 writing ends");
    let advice = "Old rows are not frozen in time: see xmin and autovacuum, mend what they tell, and then run VACUUM (FREEZE) on the oldest tables \
        (pg_class by age(relfrozenxid)).";
    match age {
        age if age >= AGES.1 => Check::fail(name, seen, advice),
        age if age >= AGES.0 => Check::warn(name, seen, advice),
        _ => Check::ok(name, seen),
    }
}

/// `ahead`: by how many seconds the clock of the database is ahead of this host's.
pub(super) fn clock(ahead: f64) -> Check {
    let name = "clock";
    let seen =
        format!("the database's is {:.3} s {}", ahead.abs(), if ahead < 0.0 { "behind" } else { "ahead" });
    if ahead.abs() < MOST_SKEW {
        return Check::ok(name, seen);
    }
    let advice = "pgmill goes by the database's clock alone; but a delayed_at that a host computes means another moment there, and its logs and \
        traces do not fit. Let both hosts keep time (chrony, ntpd).";
    Check::warn(name, seen, advice)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::checks::Verdict::{Fail, Ok, Warn};

    /// A server that is well.
    fn well() -> ServerFacts {
        ServerFacts {
            version: 150_004,
            version_name: "15.4".to_owned(),
            in_recovery: false,
            clock: Timestamp::UNIX_EPOCH,
            notify_queue: 0.0,
            frozen_age: 1_000,
            multixact_age: 1_000,
            connections: 10,
            connections_allowed: 97,
            sees_all: true,
            isolation: "read committed".to_owned(),
            read_only: false,
            synchronous_commit: "on".to_owned(),
            fsync: true,
            full_page_writes: true,
            autovacuum: true,
            track_counts: true,
            idle_session: None,
            idle_in_transaction: None,
            whole_transaction: None,
        }
    }

    #[test]
    fn of_a_server_that_is_well_nothing_is_said() {
        let verdicts = all(&well(), 0.1).map(|check| (check.name, check.verdict));
        assert!(verdicts.iter().all(|(_, verdict)| *verdict == Ok), "{verdicts:?}");
    }

    #[test]
    fn versions_that_are_too_old_are_refused_and_those_that_nobody_tried_are_told() {
        for (number, verdict) in [(120_022, Fail), (130_000, Ok), (180_004, Ok), (190_000, Warn)] {
            assert_eq!(version(&ServerFacts { version: number, ..well() }).verdict, verdict, "{number}");
        }
    }

    #[test]
    fn a_standby_is_of_no_use() {
        assert_eq!(writable(&ServerFacts { in_recovery: true, ..well() }).verdict, Fail);
    }

    #[test]
    fn connections_notices_and_ages_are_told_before_they_run_out() {
        for (in_use, verdict) in [(77, Ok), (78, Warn), (97, Warn)] {
            assert_eq!(
                connections(&ServerFacts { connections: in_use, ..well() }).verdict,
                verdict,
                "{in_use}"
            );
        }
        for (share, verdict) in [(0.09, Ok), (0.1, Warn), (0.5, Fail)] {
            assert_eq!(
                notify_queue(&ServerFacts { notify_queue: share, ..well() }).verdict,
                verdict,
                "{share}"
            );
        }
        for (age, verdict) in [(999_999_999, Ok), (1_000_000_000, Warn), (2_100_000_000, Fail)] {
            for facts in
                [ServerFacts { frozen_age: age, ..well() }, ServerFacts { multixact_age: age, ..well() }]
            {
                assert_eq!(wraparound(&facts).verdict, verdict, "{age}");
            }
        }
    }

    #[test]
    fn clocks_that_are_apart_are_told_and_in_which_way() {
        assert_eq!((clock(4.9).verdict, clock(-5.5).verdict, clock(60.0).verdict), (Ok, Warn, Warn));
        assert!(clock(-5.5).seen.contains("5.500 s behind"), "{:?}", clock(-5.5));
        assert!(clock(60.0).seen.contains("60.000 s ahead"), "{:?}", clock(60.0));
    }
}
