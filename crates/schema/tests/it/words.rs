use std::time::Duration;

use pgmill_schema::{AttemptOutcome, Backoff, Status, days, seconds};
use proptest::prelude::*;

#[test]
fn statuses_have_the_words_of_the_contract_and_lasting_codes() {
    let words = ["new", "retry", "retained", "released", "failed", "expired", "cancelled"];
    for (code, (status, word)) in Status::ALL.into_iter().zip(words).enumerate() {
        assert_eq!(status.as_str(), word);
        assert_eq!(status.to_string(), word);
        assert_eq!(word.parse(), Ok(status));
        assert_eq!(usize::try_from(status.code()), Ok(code));
        assert_eq!(Status::from_code(status.code()), Some(status));
        assert_eq!(serde_json::to_string(&status).unwrap(), format!("{word:?}"));
        assert_eq!(serde_json::from_str::<Status>(&format!("{word:?}")).unwrap(), status);
    }
    assert_eq!(Status::from_code(7), None);
    assert_eq!(Status::from_code(-1), None);
}

#[test]
fn an_unknown_status_is_refused_with_a_list_of_those_there_are() {
    for text in ["", "unknown", "New", " new", "done"] {
        let error = text.parse::<Status>().unwrap_err();
        assert_eq!(error.given(), text);
        assert_eq!(
            error.to_string(),
            format!(
                "Invalid status: {text:?} (allowed: new, retry, retained, released, failed, expired, cancelled)"
            )
        );
    }
}

#[test]
fn a_status_is_live_or_finished() {
    let live: Vec<_> = Status::ALL.into_iter().filter(|status| status.is_live()).collect();
    assert_eq!(live, [Status::New, Status::Retry, Status::Retained]);
    assert!(Status::ALL.into_iter().all(|status| status.is_live() != status.is_finished()));
}

#[test]
fn attempt_outcomes_have_lasting_words_and_codes() {
    let words = ["retry", "failed", "lapsed", "given_back", "snoozed", "cancelled", "expired"];
    for (code, (outcome, word)) in AttemptOutcome::ALL.into_iter().zip(words).enumerate() {
        assert_eq!(outcome.as_str(), word);
        assert_eq!(usize::try_from(outcome.code()), Ok(code));
        assert_eq!(AttemptOutcome::from_code(outcome.code()), Some(outcome));
        assert_eq!(serde_json::to_string(&outcome).unwrap(), format!("{word:?}"));
    }
}

#[test]
fn backoffs_have_lasting_words_and_codes_and_exponential_is_the_default() {
    let words = ["exponential", "polynomial", "linear", "constant"];
    for (code, (backoff, word)) in Backoff::ALL.into_iter().zip(words).enumerate() {
        assert_eq!(word.parse(), Ok(backoff));
        assert_eq!(usize::try_from(backoff.code()), Ok(code));
        assert_eq!(Backoff::from_code(backoff.code()), Some(backoff));
        assert_eq!(serde_json::from_str::<Backoff>(&format!("{word:?}")).unwrap(), backoff);
    }
    assert_eq!(Backoff::default(), Backoff::Exponential);
    assert!("quadratic".parse::<Backoff>().is_err());
}

#[test]
fn the_pause_grows_with_each_failed_attempt() {
    for (backoff, expected) in [
        (Backoff::Exponential, [10, 20, 40, 80, 160]),
        (Backoff::Polynomial, [10, 40, 90, 160, 250]),
        (Backoff::Linear, [10, 20, 30, 40, 50]),
        (Backoff::Constant, [10, 10, 10, 10, 10]),
    ] {
        let delays: Vec<_> = (1..=5).map(|k| backoff.delay(seconds(10), k, days(1)).as_secs()).collect();
        assert_eq!(delays, expected, "{backoff}");
        assert_eq!(backoff.delay(seconds(10), 0, days(1)), seconds(10), "{backoff}");
    }
}

proptest! {
    #[test]
    fn a_pause_never_exceeds_its_cap_nor_shrinks(
        backoff in prop::sample::select(&Backoff::ALL[..]),
        delay in 0..=u64::MAX,
        attempt in 1..=u32::MAX - 1,
        cap in 0..=u64::MAX,
    ) {
        let (delay, cap) = (Duration::from_nanos(delay), Duration::from_nanos(cap));
        let pause = backoff.delay(delay, attempt, cap);
        prop_assert!(pause <= cap);
        prop_assert!(pause <= backoff.delay(delay, attempt + 1, cap));
        prop_assert!(pause >= delay.min(cap));
    }

    #[test]
    fn the_longest_durations_do_not_overflow(
        backoff in prop::sample::select(&Backoff::ALL[..]),
        attempt in 0..=u32::MAX,
    ) {
        prop_assert_eq!(backoff.delay(Duration::MAX, attempt, Duration::MAX), Duration::MAX);
        prop_assert_eq!(backoff.delay(Duration::ZERO, attempt, Duration::MAX), Duration::ZERO);
    }
}
