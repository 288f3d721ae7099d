use pgmill_schema::{Claim, ClaimError, Json, Outcome, OutcomeError, days, minutes, seconds};
use proptest::prelude::*;

#[test]
fn outcomes_carry_what_is_reported() {
    let sent = Json::from_text(r#""sent""#).unwrap();
    assert_eq!(Outcome::done("sent"), Ok(Outcome::Done(sent.clone())));
    assert_eq!(Outcome::done_empty().result().unwrap().as_str(), "null");
    assert_eq!(Outcome::retry("sent"), Ok(Outcome::Retry { result: sent.clone(), after: None }));
    assert_eq!(
        Outcome::retry_in(minutes(1), "sent"),
        Ok(Outcome::Retry { result: sent.clone(), after: Some(minutes(1)) })
    );
    assert_eq!(Outcome::failed("sent"), Ok(Outcome::Failed(sent.clone())));
    assert_eq!(Outcome::cancelled("sent"), Ok(Outcome::Cancelled(sent)));
    assert_eq!(Outcome::GiveBack.result(), None);
    assert_eq!(Outcome::Snooze(seconds(1)).result(), None);
}

#[test]
fn a_result_may_be_as_long_as_the_limit() {
    let outcome = Outcome::done("12345678").unwrap();
    assert_eq!(outcome.validate(10), Ok(()));
    assert_eq!(outcome.validate(9), Err(OutcomeError::ResultTooLarge { bytes: 10, limit: 9 }));
    assert_eq!(Outcome::GiveBack.validate(0), Ok(()));
}

#[test]
fn a_pause_may_be_100_years() {
    let century = days(36_500);
    assert_eq!(Outcome::Snooze(century).validate(100), Ok(()));
    let value = century + seconds(1);
    let too_long = Err(OutcomeError::PauseTooLong { value });
    assert_eq!(Outcome::Snooze(value).validate(100), too_long);
    assert_eq!(Outcome::retry_in(value, "x").unwrap().validate(100), too_long);
    assert_eq!(
        OutcomeError::PauseTooLong { value }.to_string(),
        "a task can be put off by at most 876000h (100 years), not 876000h0m1s"
    );
}

#[test]
fn a_token_is_24_hexadecimal_digits() {
    assert_eq!(Claim::new(9, 3, 0xab).token(), "0000000300000000000000ab");
    for bad in [
        "",
        "0000000300000000000000a",
        "0000000300000000000000ab0",
        "0000000300000000000000AB",
        "+000000300000000000000ab",
        "00000003000000000000 0ab",
        "ääääääääääää",
    ] {
        assert_eq!(Claim::from_token(9, bad), Err(ClaimError::Token), "{bad}");
    }
}

#[test]
fn a_claim_is_on_a_task_that_can_exist() {
    let token = Claim::new(1, 1, 1).token();
    for id in [0, 1 << 63, u64::MAX] {
        assert_eq!(Claim::from_token(id, &token), Err(ClaimError::Id { id }));
    }
    assert_eq!(Claim::from_token(i64::MAX as u64, &token), Ok(Claim::new(i64::MAX, 1, 1)));
}

proptest! {
    #[test]
    fn a_token_gives_its_claim_back(id in 1..=i64::MAX, attempt: i32, holder: i64) {
        let claim = Claim::new(id, attempt, holder);
        prop_assert_eq!(Claim::from_token(id.cast_unsigned(), &claim.token()), Ok(claim));
        prop_assert_eq!((claim.id(), claim.attempt(), claim.holder()), (id, attempt, holder));
    }

    #[test]
    fn a_text_is_a_token_exactly_if_it_is_what_its_claim_writes(
        text in prop_oneof!["[0-9a-f]{23,25}", "[0-9a-fA-F+ -]{24}", "\\PC{0,30}"],
    ) {
        match Claim::from_token(1, &text) {
            Ok(claim) => prop_assert_eq!(claim.token(), text),
            Err(error) => {
                prop_assert_eq!(error, ClaimError::Token);
                let digits = text.bytes().filter(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')).count();
                prop_assert!(text.len() != 24 || digits != 24);
            }
        }
    }

    #[test]
    fn claims_that_differ_have_tokens_that_differ(one: (i32, i64), other: (i32, i64)) {
        let token = |(attempt, holder)| Claim::new(1, attempt, holder).token();
        prop_assert_eq!(one == other, token(one) == token(other));
    }
}
