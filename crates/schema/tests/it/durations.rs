use std::time::Duration;

use pgmill_schema::{
    DurationError, Ttl, days, duration_nanos, format_duration, from_micros, hours, minutes, parse_duration,
    seconds, to_micros,
};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

#[test]
fn durations_are_read_as_go_reads_them() {
    for (text, nanos) in [
        ("0", 0),
        ("+0", 0),
        ("0s", 0),
        ("1h30m", 5_400_000_000_000),
        ("500ms", 500_000_000),
        ("1.5s", 1_500_000_000),
        ("1.s", 1_000_000_000),
        (".5s", 500_000_000),
        ("+5s", 5_000_000_000),
        ("90s", 90_000_000_000),
        ("2us", 2_000),
        ("2µs", 2_000),
        ("2μs", 2_000),
        ("10ns", 10),
        ("1.9ns", 1),
        ("1m1m", 120_000_000_000),
        ("1h0.1s2ms", 3_600_102_000_000),
        ("0.3333333333333333333h", 1_199_999_999_999),
        ("9223372036854775807ns", i64::MAX as u64),
    ] {
        assert_eq!(parse_duration(text), Ok(Duration::from_nanos(nanos)), "{text}");
    }
}

#[test]
fn what_is_no_duration_is_refused_with_the_text_and_what_is_wanted() {
    for text in
        ["", "5", "1d", "h", ".s", "1.2.3s", "1h30", "1 h", " 1h", "1h ", "1H", "+", "0x1s", "1e3s", "１s"]
    {
        assert_eq!(parse_duration(text), Err(DurationError::Syntax { given: text.to_owned() }), "{text}");
    }
    for text in ["-1s", "-0", "-"] {
        assert_eq!(parse_duration(text), Err(DurationError::Negative { given: text.to_owned() }), "{text}");
    }
    let error = parse_duration("1d").unwrap_err().to_string();
    assert!(error.contains(r#""1d""#) && error.contains("1h30m"), "{error}");
}

#[test]
fn a_duration_of_more_than_292_years_is_refused() {
    for text in ["9223372036854775808ns", "2562048h", "2562047h48m", &format!("{}h", "9".repeat(60))] {
        assert_eq!(parse_duration(text), Err(DurationError::TooLong { given: text.to_owned() }), "{text}");
    }
    assert!(parse_duration("2562047h47m16.854775807s").is_ok());
}

#[test]
fn durations_are_written_as_go_writes_them() {
    for (nanos, text) in [
        (0, "0s"),
        (10, "10ns"),
        (2_000, "2µs"),
        (1_100, "1.1µs"),
        (2_200_000, "2.2ms"),
        (500_000_000, "500ms"),
        (999_999_999, "999.999999ms"),
        (1_500_000_000, "1.5s"),
        (60_500_000_000, "1m0.5s"),
        (5_400_000_000_000, "1h30m0s"),
        (3_600_000_000_001, "1h0m0.000000001s"),
        (i64::MAX as u64, "2562047h47m16.854775807s"),
    ] {
        assert_eq!(format_duration(Duration::from_nanos(nanos)), text);
    }
}

#[test]
fn the_longest_duration_of_all_can_be_written() {
    assert_eq!(format_duration(Duration::MAX), "5124095576030431h0m15.999999999s");
}

#[test]
fn lengths_are_counted_in_their_unit_and_never_overflow() {
    assert_eq!(seconds(90), Duration::from_secs(90));
    assert_eq!(minutes(2), seconds(120));
    assert_eq!(hours(1), minutes(60));
    assert_eq!(days(1), hours(24));
    assert_eq!(days(u64::MAX), seconds(u64::MAX));
}

#[test]
fn microseconds_in_storage_are_whole_and_never_overflow() {
    assert_eq!(to_micros(Duration::from_nanos(1_999)), 1);
    assert_eq!(to_micros(Duration::from_nanos(999)), 0);
    assert_eq!(to_micros(Duration::MAX), i64::MAX);
    assert_eq!(from_micros(1_500_000), Duration::from_millis(1_500));
    assert_eq!(from_micros(-1), Duration::ZERO);
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Holder {
    #[serde(with = "duration_nanos")]
    always: Duration,
    #[serde(default, with = "duration_nanos::option")]
    maybe: Option<Duration>,
}

#[test]
fn json_has_integer_nanoseconds_and_takes_texts_too() {
    let holder = Holder { always: seconds(1), maybe: Some(Duration::from_nanos(5)) };
    assert_eq!(serde_json::to_string(&holder).unwrap(), r#"{"always":1000000000,"maybe":5}"#);
    for text in [r#"{"always":1000000000,"maybe":5}"#, r#"{"always":"1s","maybe":"5ns"}"#] {
        assert_eq!(serde_json::from_str::<Holder>(text).unwrap(), holder, "{text}");
    }
    for text in [r#"{"always":0}"#, r#"{"always":0,"maybe":null}"#] {
        assert_eq!(serde_json::from_str::<Holder>(text).unwrap().maybe, None, "{text}");
    }
    assert_eq!(
        serde_json::to_string(&Holder { maybe: None, ..holder }).unwrap(),
        r#"{"always":1000000000,"maybe":null}"#
    );
}

#[test]
fn json_refuses_what_is_no_duration_and_says_what_is() {
    for value in ["-1", "1.5", "1e9", "9223372036854775808", "true", "[]", "null", r#""1d""#, r#""-1s""#] {
        let error =
            serde_json::from_str::<Holder>(&format!(r#"{{"always":{value}}}"#)).unwrap_err().to_string();
        assert!(error.contains("1h30m") || error.contains("must not be negative"), "{value}: {error}");
    }
    let error = serde_json::from_str::<Holder>(r#"{"always":-1}"#).unwrap_err().to_string();
    assert!(error.contains("from 0 to 9223372036854775807 nanoseconds"), "{error}");
}

#[test]
fn a_duration_that_json_cannot_carry_is_not_written() {
    assert!(serde_json::to_string(&Holder { always: Duration::MAX, maybe: None }).is_err());
}

#[test]
fn a_ttl_is_a_duration_or_never() {
    for (ttl, json) in [(Ttl::Never, r#""never""#), (Ttl::After(seconds(1)), "1000000000")] {
        assert_eq!(serde_json::to_string(&ttl).unwrap(), json);
        assert_eq!(serde_json::from_str::<Ttl>(json).unwrap(), ttl);
    }
    assert_eq!(serde_json::from_str::<Ttl>(r#""1h""#).unwrap(), Ttl::After(hours(1)));
    for bad in ["-1", "1.5", r#""Never""#, "true", "9223372036854775808"] {
        assert!(serde_json::from_str::<Ttl>(bad).is_err(), "{bad}");
    }
    let error = serde_json::from_str::<Ttl>("-1").unwrap_err().to_string();
    assert!(error.contains("never"), "{error}");
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(nanos in prop_oneof![0..=i64::MAX as u64, 0..=5_000_000_000_000_u64, 0..=2_000_u64]) {
        let duration = Duration::from_nanos(nanos);
        prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
    }

    #[test]
    fn reading_never_panics(text in "[+-]?([0-9]{0,25}[.]?[0-9]{0,40}(ns|us|µs|ms|s|m|h|d|)){0,4}|\\PC{0,20}") {
        if let Ok(duration) = parse_duration(&text) {
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }
    }

    #[test]
    fn storage_keeps_whole_microseconds(micros in 0..=i64::MAX) {
        prop_assert_eq!(to_micros(from_micros(micros)), micros);
    }
}
