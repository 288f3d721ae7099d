//! Holds a property of `fuzzing` on what is kept of the corpus of its target, and on what a few changes make of that. The
//! tests of each crate include this file, so that whatever a target has found is looked at again by `make test`.

use std::fs;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};

/// How many changed inputs are tried, unless there is time for more.
const CASES: u32 = 256;
const MANY_CASES: u32 = 20_000;
/// No input is longer.
const LONGEST: usize = 64 << 10;

/// What is done to an input.
#[derive(Debug, Clone)]
enum Change {
    /// These bytes are put in.
    Insert(Index, Vec<u8>),
    /// So many bytes are taken out.
    Remove(Index, usize),
    /// So many bytes come so many times more.
    Repeat(Index, usize, usize),
    /// From here on it goes on as another input does from there.
    Cross(Index, Index, Index),
}

fn change() -> impl Strategy<Value = Change> {
    let special = select(vec![
        "\0",
        "\n",
        "\r\n",
        "%",
        "%00",
        "\"",
        "\\",
        "\\u0000",
        "\\ud800",
        "'",
        "[",
        "{",
        ":",
        ";",
        ",",
        "-",
        "9",
        "1e999",
        "\u{feff}",
        "\u{1f4a5}",
        "é",
    ]);
    let bytes = prop_oneof![special.prop_map(|text| text.as_bytes().to_vec()), vec(any::<u8>(), 0..9)];
    prop_oneof![
        (any::<Index>(), bytes).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (any::<Index>(), 1..9_usize).prop_map(|(at, count)| Change::Remove(at, count)),
        (any::<Index>(), 1..9_usize, 1..999_usize)
            .prop_map(|(at, count, times)| Change::Repeat(at, count, times)),
        (any::<Index>(), any::<Index>(), any::<Index>())
            .prop_map(|(at, other, there)| Change::Cross(at, other, there)),
    ]
}

fn changed(mut input: Vec<u8>, change: &Change, kept: &[Vec<u8>]) -> Vec<u8> {
    let place = |at: &Index, of: &[u8]| at.index(of.len() + 1);
    match change {
        Change::Insert(at, bytes) => {
            let at = place(at, &input);
            input.splice(at..at, bytes.iter().copied());
        }
        Change::Remove(at, count) => {
            let at = place(at, &input);
            input.drain(at..input.len().min(at + count));
        }
        Change::Repeat(at, count, times) => {
            let at = place(at, &input);
            let again = input[at..input.len().min(at + count)].repeat(*times);
            input.splice(at..at, again);
        }
        Change::Cross(at, other, there) => {
            let other = &kept[other.index(kept.len())];
            input.truncate(place(at, &input));
            input.extend_from_slice(&other[place(there, other)..]);
        }
    }
    input.truncate(LONGEST);
    input
}

fn kept(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Holds the property of a target on its corpus, and on changed inputs of it.
///
/// # Panics
/// If it does not hold, with the input.
pub(crate) fn hold(target: &str, property: fn(&[u8])) {
    let kept = kept(target);
    assert!(!kept.is_empty(), "nothing is kept of {target}");
    for input in &kept {
        property(input);
    }
    let cases = if std::env::var_os("PGMILL_LONG_TESTS").is_some() { MANY_CASES } else { CASES };
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let inputs = (any::<Index>(), vec(change(), 1..6)).prop_map({
        let kept = kept.clone();
        move |(first, changes)| {
            let input = kept[first.index(kept.len())].clone();
            changes.iter().fold(input, |input, change| changed(input, change, &kept))
        }
    });
    let held = runner.run(&inputs, |input| {
        property(&input);
        Ok(())
    });
    held.unwrap_or_else(|error| panic!("{target}: {error}"));
}
