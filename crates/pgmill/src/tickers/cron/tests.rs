//! When expressions are due, above all where clocks change.
//!
//! The changes of 2026: Berlin goes from 02:00 to 03:00 on March 29 at 01:00 UTC, and from 03:00 to 02:00 on October 25 at
//! 01:00 UTC. New York from 02:00 to 03:00 on March 8 at 07:00 UTC, and from 02:00 to 01:00 on November 1 at 06:00 UTC.
//! Lord Howe from 02:00 to 01:30 on April 5 at 15:00 UTC of the day before, and from 02:00 to 02:30 on October 4 at 15:30 UTC of
//! the day before.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pgmill_schema::TickPolicy;

use super::{Cron, CronError, Decided, INSTANT};

const BERLIN: &str = "Europe/Berlin";
const NEW_YORK: &str = "America/New_York";
const LORD_HOWE: &str = "Australia/Lord_Howe";

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The next times after this one, as `MM-DDTHH:MM` in UTC.
fn next(expression: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
    let cron = Cron::parse(expression, zone).unwrap();
    let times = std::iter::successors(Some(time(from)), |at| cron.next(*at)).skip(1).take(count);
    times.map(|at| at.strftime("%m-%dT%H:%M").to_string()).collect()
}

#[test]
fn expressions_of_five_and_six_fields_names_and_extensions_are_understood() {
    let from = "2026-01-01T00:00:00Z";
    // A Thursday.
    let cases = [
        ("30 3 * * *", "01-01T03:30"),
        ("30 30 3 * * *", "01-01T03:30"),
        ("0 0 * * MON-FRI", "01-02T00:00"),
        ("0 0 * * 7", "01-04T00:00"),
        ("0 0 1 feb *", "02-01T00:00"),
        ("0 0 L * *", "01-31T00:00"),
        ("0 0 * * FRI#2", "01-09T00:00"),
        ("0 0 * * 5L", "01-30T00:00"),
        ("0 0 31W 1 *", "01-30T00:00"),
        ("*/7 * * * *", "01-01T00:07"),
        ("@daily", "01-02T00:00"),
        ("@hourly", "01-01T01:00"),
    ];
    for (expression, expected) in cases {
        assert_eq!(next(expression, "UTC", from, 1), [expected], "{expression}");
    }
    let seconds = Cron::parse("5 * * * * *", "UTC").unwrap();
    assert_eq!(seconds.next(time(from)), Some(time("2026-01-01T00:00:05Z")));
    assert_eq!(seconds.next(time("2026-01-01T00:00:04.9Z")), Some(time("2026-01-01T00:00:05Z")));
    assert_eq!(seconds.next(time("2026-01-01T00:00:05Z")), Some(time("2026-01-01T00:01:05Z")));
}

#[test]
fn what_is_no_expression_or_never_due_is_refused() {
    for wrong in
        ["", "* * * *", "* * * * * * *", "60 * * * *", "0 24 * * *", "0 0 0 * *", "a b c d e", "@never"]
    {
        assert!(matches!(Cron::parse(wrong, "UTC"), Err(CronError::Expression { .. })), "{wrong:?}");
    }
    for empty in ["0 0 15W * +", ", 3 * * *", "59 , 3 * * *", "1,,2 * * * *", "1, * * * *"] {
        assert!(matches!(Cron::parse(empty, "UTC"), Err(CronError::Expression { .. })), "{empty:?}");
    }
    for never in ["0 0 30 2 *", "0 0 31 4,6 *", "* * 31 feb *", "0 0 15W * +SUN"] {
        assert!(matches!(Cron::parse(never, "UTC"), Err(CronError::Never { .. })), "{never:?}");
    }
    for zone in ["", "Europe/Atlantis", "CEST+1", "+02:00"] {
        assert!(matches!(Cron::parse("@daily", zone), Err(CronError::Zone { .. })), "{zone:?}");
    }
    assert_eq!(Cron::parse("@daily", " europe/berlin ").unwrap().zone(), BERLIN);
}

#[test]
fn a_fixed_time_that_is_skipped_is_due_once_at_the_first_moment_after_the_gap() {
    let berlin = next("30 2 * * *", BERLIN, "2026-03-27T12:00:00Z", 3);
    assert_eq!(berlin, ["03-28T01:30", "03-29T01:00", "03-30T00:30"]);
    let new_york = next("30 2 * * *", NEW_YORK, "2026-03-06T12:00:00Z", 3);
    assert_eq!(new_york, ["03-07T07:30", "03-08T07:00", "03-09T06:30"]);
    let lord_howe = next("15 2 * * *", LORD_HOWE, "2026-10-01T20:00:00Z", 3);
    assert_eq!(lord_howe, ["10-02T15:45", "10-03T15:30", "10-04T15:15"]);
    // Several of them are one, and one that coincides with the end of the gap is no other.
    let several = next("*/15 2,3 * * *", BERLIN, "2026-03-29T00:00:00Z", 3);
    assert_eq!(several, ["03-29T01:00", "03-29T01:15", "03-29T01:30"]);
    assert_eq!(next("0 3 * * *", BERLIN, "2026-03-29T00:00:00Z", 2), ["03-29T01:00", "03-30T01:00"]);
    // A day that an island skipped.
    let apia = next("0 9 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", 2);
    assert_eq!(apia, ["12-30T10:00", "12-29T19:00"]);
}

#[test]
fn a_fixed_time_that_occurs_twice_is_due_the_first_time() {
    let berlin = next("30 2 * * *", BERLIN, "2026-10-24T12:00:00Z", 2);
    assert_eq!(berlin, ["10-25T00:30", "10-26T01:30"]);
    let new_york = next("30 1 * * *", NEW_YORK, "2026-10-31T12:00:00Z", 2);
    assert_eq!(new_york, ["11-01T05:30", "11-02T06:30"]);
    let lord_howe = next("45 1 * * *", LORD_HOWE, "2026-04-03T16:00:00Z", 2);
    assert_eq!(lord_howe, ["04-04T14:45", "04-05T15:15"]);
    // Asked during the second pass.
    assert_eq!(next("30,45 2 * * *", BERLIN, "2026-10-25T01:35:00Z", 1), ["10-26T01:30"]);
    assert_eq!(next("*/30 2,3 * * *", BERLIN, "2026-10-25T00:45:00Z", 1), ["10-25T02:00"]);
}

#[test]
fn any_hour_goes_on_through_both_changes() {
    let quarters = |zone, from: &str, hours: i64| {
        let start = time(from);
        let cron = Cron::parse("*/15 * * * *", zone).unwrap();
        let mut at = start;
        for turn in 1..=hours * 4 {
            at = cron.next(at).unwrap();
            assert_eq!(at, start + SignedDuration::from_mins(15 * turn), "{zone}");
        }
    };
    for (zone, from) in [
        (BERLIN, "2026-03-28T22:00:00Z"),
        (BERLIN, "2026-10-24T22:00:00Z"),
        (NEW_YORK, "2026-03-08T05:00:00Z"),
        (NEW_YORK, "2026-11-01T04:00:00Z"),
        (LORD_HOWE, "2026-10-03T13:00:00Z"),
        (LORD_HOWE, "2026-04-04T13:00:00Z"),
    ] {
        quarters(zone, from, 6);
    }
    let berlin = next("30 * * * *", BERLIN, "2026-10-24T23:00:00Z", 4);
    assert_eq!(berlin, ["10-24T23:30", "10-25T00:30", "10-25T01:30", "10-25T02:30"]);
    // Each second hour as the clock shows it: two o'clock is skipped in spring, and comes twice in autumn.
    let spring = next("0 */2 * * *", BERLIN, "2026-03-28T22:30:00Z", 3);
    assert_eq!(spring, ["03-28T23:00", "03-29T02:00", "03-29T04:00"]);
    let autumn = next("0 */2 * * *", BERLIN, "2026-10-24T21:30:00Z", 4);
    assert_eq!(autumn, ["10-24T22:00", "10-25T00:00", "10-25T01:00", "10-25T03:00"]);
    // Where the clock is set by half an hour, a full hour is passed by, and comes again.
    let lord_howe = next("0 * * * *", LORD_HOWE, "2026-10-03T14:45:00Z", 2);
    assert_eq!(lord_howe, ["10-03T16:00", "10-03T17:00"]);
}

#[test]
fn over_a_year_and_more_times_increase_and_each_is_found_from_any_moment_before_it() {
    let expressions =
        ["*/20 * * * *", "30 2 * * *", "0 */5 * * *", "15,45 1-3 * * *", "0 0 * * SUN#2", "0 12 29 2 *"];
    for zone in [BERLIN, NEW_YORK, LORD_HOWE, "Asia/Kathmandu", "UTC"] {
        for expression in expressions {
            let cron = Cron::parse(expression, zone).unwrap();
            let end = time("2027-03-01T00:00:00Z");
            let mut at = time("2025-12-31T00:00:00Z");
            for turn in 0.. {
                let next = cron.next(at).unwrap();
                assert!(next > at, "{expression} in {zone} after {at}");
                if turn % 10 == 0 {
                    for part in [1, 2, 3] {
                        let between = at + next.duration_since(at) * part / 4;
                        assert_eq!(cron.next(between), Some(next), "{expression} in {zone} after {between}");
                    }
                    assert_eq!(cron.latest(at, next), next);
                    assert_eq!(cron.latest(at, next - INSTANT), at);
                }
                at = next;
                if at > end {
                    break;
                }
            }
        }
    }
}

#[test]
fn missed_ticks_are_treated_as_the_policy_says() {
    let cron = Cron::parse("0 * * * *", BERLIN).unwrap();
    let hour = |hour: u8| time(&format!("2026-01-01T{hour:02}:00:00Z"));
    let decide = |policy, catch_up, late: u64| {
        let now = hour(8) + Duration::from_secs(late);
        cron.decide(hour(3), now, policy, catch_up).unwrap()
    };
    let fired = |at, next| Decided { at: hour(at), next: hour(next), fire: true };
    assert_eq!(decide(TickPolicy::Coalesce, 100, 1_800), fired(8, 9));
    assert_eq!(decide(TickPolicy::Skip, 100, 60), fired(8, 9));
    assert_eq!(decide(TickPolicy::Skip, 100, 61), Decided { fire: false, ..fired(8, 9) });
    assert_eq!(decide(TickPolicy::CatchUp, 100, 0), fired(3, 4));
    assert_eq!(decide(TickPolicy::CatchUp, 6, 0), fired(3, 4));
    assert_eq!(decide(TickPolicy::CatchUp, 5, 0), fired(4, 5));
    assert_eq!(decide(TickPolicy::CatchUp, 2, 0), fired(7, 8));
    assert_eq!(decide(TickPolicy::CatchUp, 1, 0), fired(8, 9));
    let years = cron.decide(hour(3), time("2036-01-01T08:30:00Z"), TickPolicy::Coalesce, 1).unwrap();
    assert_eq!(years.at, time("2036-01-01T08:00:00Z"));
    let each_second = Cron::parse("* * * * * *", "UTC").unwrap();
    let years = each_second.decide(hour(3), time("2036-01-01T08:30:00Z"), TickPolicy::CatchUp, 3).unwrap();
    assert_eq!(years.at, time("2036-01-01T08:29:58Z"));
}
