//! The documentation of the code as readers of the interface need it: without examples in Rust, and links into it.

use utoipa::openapi::schema::{AllOf, AnyOf, Array, ArrayItems, Object, OneOf};
use utoipa::openapi::{RefOr, Schema};

/// Cleans the descriptions of a schema and of everything in it.
pub(crate) fn clean(schema: &mut RefOr<Schema>) {
    match schema {
        RefOr::Ref(it) => it.description = plain(&it.description),
        RefOr::T(Schema::Object(it)) => object(it),
        RefOr::T(Schema::Array(it)) => array(it),
        RefOr::T(Schema::OneOf(OneOf { items, description, .. }))
        | RefOr::T(Schema::AllOf(AllOf { items, description, .. }))
        | RefOr::T(Schema::AnyOf(AnyOf { items, description, .. })) => {
            *description = description.as_deref().map(plain);
            items.iter_mut().for_each(clean);
        }
        RefOr::T(_) => {}
    }
}

fn object(object: &mut Object) {
    object.description = object.description.as_deref().map(plain);
    object.properties.values_mut().for_each(clean);
}

fn array(array: &mut Array) {
    array.description = array.description.as_deref().map(plain);
    if let ArrayItems::RefOrSchema(items) = &mut array.items {
        clean(items);
    }
}

/// A text without its examples, and with the names of links in place of the links.
fn plain(text: &str) -> String {
    let text = text.split("\n\n```").next().unwrap_or_default();
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, link)) = rest.split_once("[`") {
        let Some((name, after)) = link.split_once("`]") else { break };
        let after = after
            .strip_prefix('(')
            .and_then(|target| target.split_once(')'))
            .map_or(after, |(_, after)| after);
        out.extend([before, "`", name.rsplit("::").next().unwrap_or(name), "`"]);
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn links_become_names_and_examples_go() {
        let text = "Excludes [`cron`](Self::cron), of [`TickPolicy::CatchUp`].\nMore.\n\n```\ncode\n```";
        assert_eq!(plain(text), "Excludes `cron`, of `CatchUp`.\nMore.");
    }
}
