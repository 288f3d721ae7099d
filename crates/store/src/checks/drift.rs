//! How the schema differs from the one that the migrations of this version make.

use std::collections::BTreeMap;

use crate::error::StoreError;
use crate::row::Reader;

/// The objects that the migrations make, as `check_schema` words them: a line for each, what it is called, a tab, and what it is.
const OBJECTS: &str = include_str!("../../schema.objects");

/// A difference between the schema as it is, and as this version makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Drift {
    /// It is not there.
    Missing(String),
    /// It is something else.
    Changed(String),
    /// It is there, and this version does not know it.
    Extra(String),
}

/// What there is, against what there should be.
pub(super) fn from_expected(found: &BTreeMap<String, String>) -> Vec<Drift> {
    drift(objects(OBJECTS), found)
}

/// An object by its kind and name, and what it is.
pub(super) fn object(row: &Reader<'_>) -> Result<(String, String), StoreError> {
    let (kind, name): (&str, &str) = (row.get("kind")?, row.get("name")?);
    Ok((format!("{kind} {name}"), row.get("definition")?))
}

fn objects(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter_map(|line| line.split_once('\t'));
    lines.map(|(name, definition)| (name.to_owned(), definition.to_owned())).collect()
}

fn drift(mut expected: BTreeMap<String, String>, found: &BTreeMap<String, String>) -> Vec<Drift> {
    let (mut changed, mut extra) = (Vec::new(), Vec::new());
    for (name, definition) in found {
        match expected.remove(name) {
            Some(wanted) if wanted == *definition => {}
            Some(_) => changed.push(Drift::Changed(name.clone())),
            None => extra.push(Drift::Extra(name.clone())),
        }
    }
    expected.into_keys().map(Drift::Missing).chain(changed).chain(extra).collect()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::path::Path;

    use pgmill_embedded::Embedded;

    use super::*;
    use crate::statement::CHECK_SCHEMA;
    use crate::{ConnectOptions, Migrator, Store};

    #[tokio::test]
    async fn the_objects_that_are_expected_are_those_that_the_migrations_make() {
        let server = Embedded::builder().ephemeral().setting("fsync", "off").start().unwrap();
        let store = Store::open(&ConnectOptions::parse(&server.url()).unwrap()).unwrap();
        Migrator::new(&store).run().await.unwrap();
        let found: BTreeMap<_, _> = store.check(&CHECK_SCHEMA, object).await.unwrap().into_iter().collect();
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            let mut text = String::new();
            for (name, definition) in &found {
                let _ = writeln!(text, "{name}\t{definition}");
            }
            std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("schema.objects"), text).unwrap();
            return;
        }
        assert_eq!(drift(objects(OBJECTS), &found), [], "UPDATE_SCHEMA=1 writes schema.objects anew");
    }

    #[test]
    fn what_is_missing_changed_or_unknown_is_drift() {
        let expected = || objects("table a\tr\ntable b\tr\nindex c\tx");
        let found = objects("table a\tr\ntable b\tp\nindex d\ty");
        let named = |name: &str| name.to_owned();
        assert_eq!(
            drift(expected(), &found),
            [
                Drift::Missing(named("index c")),
                Drift::Changed(named("table b")),
                Drift::Extra(named("index d"))
            ]
        );
        assert_eq!(drift(expected(), &expected()), []);
    }
}
