use std::collections::BTreeMap;

use pgmill_schema::{Json, JsonError};
use proptest::prelude::*;
use serde_json::Value;

#[test]
fn the_text_is_kept_to_the_digit() {
    for text in ["12345678901234567890", "1.50", "-0", "1E+2", r#"{"b":1,"a":2,"a":3}"#, r#""\u00e9\/""#] {
        let json = Json::from_text(text).unwrap();
        assert_eq!(json.as_str(), text);
        assert_eq!(json.len(), text.len());
        assert_eq!(serde_json::to_string(&json).unwrap(), text);
        assert_eq!(serde_json::from_str::<Json>(text).unwrap(), json);
    }
}

#[test]
fn white_space_around_the_value_is_removed() {
    assert_eq!(Json::from_text(" \n[1, 2]\t").unwrap().as_str(), "[1, 2]");
}

#[test]
fn only_exactly_one_json_value_is_taken() {
    for text in [
        "",
        " ",
        "1 2",
        "{",
        "[1,]",
        "nul",
        "01",
        "1.",
        "'a'",
        "\"a\nb\"",
        r#""\x""#,
        "NaN",
        "{}x",
        "\u{feff}1",
    ] {
        assert!(matches!(Json::from_text(text), Err(JsonError::Syntax(_))), "{text:?}");
    }
}

#[test]
fn an_escaped_nul_is_refused_wherever_it_is() {
    for text in [r#""\u0000""#, r#"{"a\u0000":1}"#, r#"[[["x\\\u0000y"]]]"#, r#""\"\u0000""#, r#""\u00000""#]
    {
        assert_eq!(Json::from_text(text), Err(JsonError::Nul), "{text}");
    }
}

#[test]
fn what_only_looks_like_an_escaped_nul_is_fine() {
    for text in [r#""\\u0000""#, r#""\\\\u0000""#, r#""u0000""#, r#""\u0001""#, r#""\\\u0001""#] {
        assert_eq!(Json::from_text(text).unwrap().as_str(), text);
    }
}

#[test]
fn half_a_surrogate_pair_is_refused() {
    for text in [
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\uDBFFx""#,
        r#""\ud800\ud800""#,
        r#""\ud800\n""#,
        r#""\ud800\\udc00""#,
        r#""\ud83d\ude00\ude00""#,
        r#"{"\udfff":1}"#,
    ] {
        assert_eq!(Json::from_text(text), Err(JsonError::Surrogate), "{text}");
    }
}

#[test]
fn whole_surrogate_pairs_and_escaped_backslashes_are_fine() {
    for text in [r#""\ud83d\ude00""#, r#""\uD800\uDC00\uDBFF\uDFFF""#, r#""\\ud800""#, r#""\ue000\ud7ff""#] {
        assert_eq!(Json::from_text(text).unwrap().as_str(), text);
    }
}

#[test]
fn values_nest_up_to_512_levels() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(Json::from_text(nested(512)).is_ok());
    assert_eq!(Json::from_text(nested(513)), Err(JsonError::Depth));
    assert!(JsonError::Depth.to_string().contains("512"));
    // Brackets in strings and values side by side do not count.
    assert!(Json::from_text(format!("[{:?},{}]", "[".repeat(1_000), ["{\"a\":[]}"; 600].join(","))).is_ok());
    // A text that would exhaust a recursive parser is refused all the same.
    assert_eq!(Json::from_text(nested(1_000_000)), Err(JsonError::Depth));
}

#[test]
fn numbers_beyond_what_can_be_stored_are_refused() {
    let digits = |count: usize| "9".repeat(count);
    for text in
        ["1e400", "-1.5E-400", "[1e0000000000400]", &digits(130_000), &format!("0.{}", digits(15_000))]
    {
        assert!(Json::from_text(text).is_ok(), "{text:.20}");
    }
    for text in [
        "1e401",
        "[1e-401]",
        "0e99999999999999999999999",
        "1e99999",
        &digits(130_001),
        &format!("0.{}", digits(15_001)),
    ] {
        assert_eq!(Json::from_text(text), Err(JsonError::Number), "{text:.20}");
    }
    assert!(Json::from_text(r#"{"1e999":"1e999"}"#).is_ok());
}

#[test]
fn rust_values_are_encoded_and_decoded() {
    let json = Json::encode(&BTreeMap::from([("to", vec![1, 2])])).unwrap();
    assert_eq!(json.as_str(), r#"{"to":[1,2]}"#);
    assert_eq!(json.decode::<BTreeMap<String, Vec<u8>>>().unwrap()["to"], [1, 2]);
    assert!(matches!(json.decode::<Vec<u8>>(), Err(JsonError::Decode(_))));
    assert_eq!(Json::encode("a\0"), Err(JsonError::Nul));
    assert!(matches!(Json::encode(&BTreeMap::from([((1, 2), 3)])), Err(JsonError::Encode(_))));
}

#[test]
fn json_within_json_stays_as_it_is() {
    let inner = Json::from_text("1.50").unwrap();
    assert_eq!(Json::encode(&[&inner, &Json::null()]).unwrap().as_str(), "[1.50,null]");
    assert!(Json::null().is_null() && !inner.is_null());
}

#[test]
fn reading_from_json_checks_as_well() {
    let error = serde_json::from_str::<Vec<Json>>(r#"["\u0000"]"#).unwrap_err().to_string();
    assert!(error.contains("\\u0000"), "{error}");
}

#[test]
fn debug_output_is_cut_at_200_characters() {
    let json = Json::from_text(format!("\"{}\"", "ä".repeat(300))).unwrap();
    let text = format!("{json:?}");
    assert_eq!(text, format!("Json(\"{}…)", "ä".repeat(199)));
    assert_eq!(format!("{:?}", Json::null()), "Json(null)");
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[^\0]{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map("[^\0]{0,10}", inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn every_value_survives(value in value()) {
        let text = value.to_string();
        let json = Json::encode(&value).unwrap();
        prop_assert_eq!(json.as_str(), &text);
        prop_assert_eq!(Json::from_text(&text), Ok(json.clone()));
        prop_assert_eq!(json.decode::<Value>().unwrap().to_string(), text);
    }

    #[test]
    fn a_string_of_escapes_is_taken_exactly_if_it_decodes_and_has_no_nul(
        parts in prop::collection::vec(prop::sample::select(vec![
            r"\\", r"\u0000", r"\ud800", r"\udbff", r"\udc00", r"\udfff", r"\u0041", r"\n", r#"\""#, "u", "0000", "ä",
        ]), 0..8)
    ) {
        let text = format!("\"{}\"", parts.concat());
        // serde_json decodes strings by its own code, and refuses half a surrogate pair.
        let storable = serde_json::from_str::<String>(&text).is_ok_and(|text| !text.contains('\0'));
        prop_assert_eq!(Json::from_text(&text).is_ok(), storable, "{}", text);
    }

    #[test]
    fn arbitrary_text_never_panics(text in "[\\[\\]{}\",:0-9eE.+\\\\u\\-a-d ]{0,40}|\\PC{0,40}") {
        prop_assert!(Json::from_text(&text).is_err() || serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok());
    }
}
