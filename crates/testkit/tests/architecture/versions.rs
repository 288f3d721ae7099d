//! What is said in several places: the oldest Rust, and what may be built in.

use crate::sources::Source;

/// Where the oldest Rust that builds pgmill is told: what stands before it, and what after it.
const TOLD: &[(&str, &str, &str)] = &[
    ("Cargo.toml", "rust-version = \"", "\""),
    ("bench/peers/Cargo.toml", "rust-version = \"", "\""),
    ("fuzz/Cargo.toml", "rust-version = \"", "\""),
    ("README.md", "a machine with Rust (", " or newer)"),
    ("SECURITY.md", "The oldest Rust that builds it is ", ", "),
];

/// Places that tell no oldest Rust, or another one than the first.
pub(crate) fn differing_rust(sources: &[Source]) -> Vec<String> {
    let told = |(path, before, after): &(&str, &str, &str)| {
        let text = sources.iter().find(|source| source.path() == *path)?.text();
        let (_, rest) = text.split_once(before)?;
        Some(rest.split_once(after)?.0.to_owned())
    };
    let first = told(&TOLD[0]);
    let differing = TOLD.iter().filter(|place| told(place).is_none() || told(place) != first);
    differing.map(|place| format!("{}: {:?}, and not {first:?}", place.0, told(place))).collect()
}

/// What stands in quotes in the list that begins in a line of this text, up to the line of its end.
pub(crate) fn listed<'a>(text: &'a str, begin: &str) -> Vec<&'a str> {
    let list =
        text.split_once(begin).and_then(|(_, rest)| rest.split_once("\n]")).map_or("", |(list, _)| list);
    list.lines().filter_map(|line| line.split('"').nth(1)).collect()
}

#[test]
fn a_place_that_tells_another_version_or_none_is_found() {
    let sources = [
        Source::new("Cargo.toml", "rust-version = \"1.95\"\n"),
        Source::new("bench/peers/Cargo.toml", "rust-version = \"1.95\"\n"),
        Source::new("fuzz/Cargo.toml", "rust-version = \"1.94\"\n"),
        Source::new("README.md", "On a machine with Rust (1.95 or newer), "),
        Source::new("SECURITY.md", "nothing"),
    ];
    let places: Vec<String> = differing_rust(&sources);
    assert_eq!(places.len(), 2, "{places:?}");
    assert!(places[0].starts_with("fuzz/Cargo.toml") && places[1].starts_with("SECURITY.md"), "{places:?}");
}

#[test]
fn a_list_is_read_up_to_its_end() {
    let text = "allow = [\n    \"MIT\", # why\n    { crate = \"x\", reason = \"y\" },\n]\nother = [\n    \"z\",\n]\n";
    assert_eq!(listed(text, "allow = ["), ["MIT", "x"]);
    assert_eq!(listed(text, "missing = ["), Vec::<&str>::new());
}
