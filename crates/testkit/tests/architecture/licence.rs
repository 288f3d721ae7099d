//! Licence expressions (SPDX, and the older `MIT/Apache-2.0`).
//!
//! ```text
//! any   = all { ("OR" | "/") all }
//! all   = one { "AND" one }
//! one   = "(" any ")" | name [ "WITH" name ]
//! ```

use std::iter::Peekable;

pub(crate) const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Whether the expression can be satisfied with allowed licences alone. One that cannot be read cannot.
pub(crate) fn is_allowed(expression: &str) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    any(&mut words) == Some(true) && words.next().is_none()
}

fn any<'a>(words: &mut Peekable<impl Iterator<Item = &'a str>>) -> Option<bool> {
    let mut allowed = all(words)?;
    while words.next_if_eq(&"OR").is_some() {
        allowed |= all(words)?;
    }
    Some(allowed)
}

fn all<'a>(words: &mut Peekable<impl Iterator<Item = &'a str>>) -> Option<bool> {
    let mut allowed = one(words)?;
    while words.next_if_eq(&"AND").is_some() {
        allowed &= one(words)?;
    }
    Some(allowed)
}

fn one<'a>(words: &mut Peekable<impl Iterator<Item = &'a str>>) -> Option<bool> {
    match words.next()? {
        "(" => {
            let allowed = any(words)?;
            words.next_if_eq(&")")?;
            Some(allowed)
        }
        "OR" | "AND" | "WITH" | ")" => None,
        name => match words.next_if_eq(&"WITH") {
            Some(_) => Some(ALLOWED.contains(&format!("{name} WITH {}", words.next()?).as_str())),
            None => Some(ALLOWED.contains(&name)),
        },
    }
}

#[test]
fn an_alternative_is_enough_and_a_conjunction_needs_all() {
    for expression in
        ["MIT", "MIT OR GPL-3.0-only", "GPL-3.0-only/MIT", "(MIT OR GPL-2.0-only) AND Unicode-3.0"]
    {
        assert!(is_allowed(expression), "{expression}");
    }
    for expression in
        ["GPL-3.0-only", "MIT AND GPL-3.0-only", "(MIT OR ISC) AND OpenSSL", "MPL-2.0", "OpenSSL OR SSLeay"]
    {
        assert!(!is_allowed(expression), "{expression}");
    }
}

#[test]
fn and_binds_tighter_than_or() {
    assert!(is_allowed("MIT OR MIT AND GPL-3.0-only"));
    assert!(!is_allowed("(MIT OR MIT) AND GPL-3.0-only"));
}

#[test]
fn an_exception_is_part_of_the_licence() {
    assert!(is_allowed("Apache-2.0 WITH LLVM-exception"));
    assert!(!is_allowed("GPL-2.0-only WITH Classpath-exception-2.0"));
}

#[test]
fn what_cannot_be_read_is_not_allowed() {
    for expression in ["", "MIT OR", "(MIT", "MIT)", "MIT ISC", "AND", "MIT WITH", "mit"] {
        assert!(!is_allowed(expression), "{expression:?}");
    }
}
