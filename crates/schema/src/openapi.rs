//! How the types look in OpenAPI, where that cannot be derived: what stands in for a type in the description of a field.

use utoipa::openapi::schema::{AnyOfBuilder, Object, SchemaType, Type};
use utoipa::openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat};

/// Gives a type its schema, under its own name.
macro_rules! described {
    ($name:ident, $schema:expr) => {
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                $schema
            }
        }

        impl utoipa::ToSchema for $name {}
    };
}

pub(crate) use described;

/// Any JSON value, `null` too.
#[derive(Debug)]
pub struct Any;

/// A time.
#[derive(Debug)]
pub struct Time;

/// A duration as it is answered.
#[derive(Debug)]
pub struct Nanos;

/// A duration as it may be given.
#[derive(Debug)]
pub struct DurationGiven;

described!(
    Any,
    schema(ObjectBuilder::new().schema_type(SchemaType::AnyValue).description(Some("Any JSON value.")))
);
described!(Time, schema(time()));
described!(Nanos, schema(nanos()));
described!(DurationGiven, duration_given());

/// A string.
pub(crate) fn text() -> RefOr<Schema> {
    schema(string())
}

/// One of these words.
pub(crate) fn one_of(words: &[&'static str]) -> RefOr<Schema> {
    schema(string().enum_values(Some(words.iter().copied())))
}

/// A number of nanoseconds, or a text.
pub(crate) fn duration_given() -> RefOr<Schema> {
    let text = string()
        .description(Some("A duration in the syntax of Go, such as 1h30m or 500ms."))
        .examples(["1h30m"]);
    RefOr::T(Schema::AnyOf(AnyOfBuilder::new().item(nanos()).item(text).build()))
}

fn string() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn time() -> ObjectBuilder {
    string().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
}

fn nanos() -> ObjectBuilder {
    let number = ObjectBuilder::new().schema_type(Type::Integer);
    number
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(0))
        .description(Some("A duration in nanoseconds."))
}

fn schema(object: ObjectBuilder) -> RefOr<Schema> {
    Object::from(object).into()
}
