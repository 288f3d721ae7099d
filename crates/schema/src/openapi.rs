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

described!(
    Any,
    schema(ObjectBuilder::new().schema_type(SchemaType::AnyValue).description(Some("Any JSON value.")))
);
described!(Time, schema(time()));
described!(Nanos, schema(nanos()));

/// Declares what stands for a duration as it may be given, within bounds in nanoseconds.
macro_rules! given {
    ($($(#[$doc:meta])* $name:ident = $least:expr, $most:expr;)+) => {
        $(
            $(#[$doc])*
            #[derive(Debug)]
            pub struct $name;

            described!($name, duration_given($least, $most));
        )+
    };
}

const MICROSECOND: i64 = 1_000;
const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;
const YEAR: i64 = 365 * DAY;

given! {
    /// From 0 to a year.
    RetryDelayGiven = 0, YEAR;
    /// From a microsecond to 100 years.
    MaxRetryDelayGiven = MICROSECOND, 100 * YEAR;
    /// From 0 to ten years.
    RetentionGiven = 0, 10 * YEAR;
    /// From a second to 30 days.
    LeaseGiven = SECOND, 30 * DAY;
    /// From a millisecond to 100 years.
    IntervalGiven = 1_000 * MICROSECOND, 100 * YEAR;
    /// From 0 to 100 years.
    DelayGiven = 0, 100 * YEAR;
    /// From a second to ten years.
    LifeGiven = SECOND, 10 * YEAR;
}

/// A duration as the parameter of a query.
#[derive(Debug)]
pub struct DurationInQuery;

/// The ttl of a queue as it may be given.
#[derive(Debug)]
pub struct TtlGiven;

/// The name of a queue, a ticker or a token as it may be given.
#[derive(Debug)]
pub struct NameGiven;

/// The same where none need be given.
#[derive(Debug)]
pub struct NameOrNothing;

/// The name of a namespace as it may be given.
#[derive(Debug)]
pub struct NamespaceGiven;

/// An idempotency key.
#[derive(Debug)]
pub struct KeyGiven;

/// A W3C trace context.
#[derive(Debug)]
pub struct TraceParent;

/// A cron expression.
#[derive(Debug)]
pub struct CronGiven;

/// A time zone.
#[derive(Debug)]
pub struct ZoneGiven;

described!(DurationInQuery, schema(duration_in_query()));
described!(TtlGiven, schema_of_ttl());
described!(NameGiven, schema(string().pattern(Some(NAME_GIVEN))));
described!(NameOrNothing, schema(string().pattern(Some(format!("^$|{NAME_GIVEN}")))));
described!(NamespaceGiven, schema(string().pattern(Some(NAMESPACE_GIVEN))));
described!(KeyGiven, key());
described!(TraceParent, schema(string().pattern(Some(TRACE_PARENT)).examples([TRACE_PARENT_EXAMPLE])));
described!(CronGiven, schema(formatted("cron").max_length(Some(255)).examples(["*/5 * * * *"])));
described!(ZoneGiven, schema(formatted("time-zone").max_length(Some(64)).examples(["Europe/Berlin"])));

/// The names of queues, tickers and tokens in answers.
const NAME: &str = "^[a-z][a-z0-9_-]{0,63}$";
/// The names of namespaces in answers.
const NAMESPACE: &str = "^[A-Za-z][A-Za-z0-9_-]{0,49}$";
/// No control characters, and not white space alone.
const LABEL: &str = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$";
/// White space around a name is removed, and upper case becomes lower case.
const NAME_GIVEN: &str = r"^[ \t\r\n]*[A-Za-z][A-Za-z0-9_-]{0,63}[ \t\r\n]*$";
const NAMESPACE_GIVEN: &str = r"^[ \t\r\n]*[A-Za-z][A-Za-z0-9_-]{0,49}[ \t\r\n]*$";
/// The syntax of Go.
const DURATION: &str = r"^\+?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$";
const TRACE_PARENT: &str = "^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$";
const TRACE_PARENT_EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// The name of a queue, a ticker or a token.
pub(crate) fn name() -> RefOr<Schema> {
    schema(string().pattern(Some(NAME)))
}

/// The name of a namespace.
pub(crate) fn namespace() -> RefOr<Schema> {
    schema(string().pattern(Some(NAMESPACE)))
}

/// The label of a worker.
pub(crate) fn worker() -> RefOr<Schema> {
    schema(limited().pattern(Some(LABEL)))
}

/// An idempotency key.
pub(crate) fn key() -> RefOr<Schema> {
    schema(limited())
}

/// A string.
pub(crate) fn text() -> RefOr<Schema> {
    schema(string())
}

/// One of these words.
pub(crate) fn one_of(words: &[&'static str]) -> RefOr<Schema> {
    schema(string().enum_values(Some(words.iter().copied())))
}

/// A number of nanoseconds within bounds, or a text that stands for one.
fn duration_given(least: i64, most: i64) -> RefOr<Schema> {
    RefOr::T(Schema::AnyOf(AnyOfBuilder::new().item(nanos_within(least, most)).item(duration_text()).build()))
}

fn schema_of_ttl() -> RefOr<Schema> {
    let never = string().enum_values(Some(["never"]));
    let duration = AnyOfBuilder::new().item(nanos_within(MICROSECOND, 100 * YEAR)).item(duration_text());
    RefOr::T(Schema::AnyOf(duration.item(never).build()))
}

fn duration_text() -> ObjectBuilder {
    let what = "A duration in the syntax of Go, such as 1h30m or 500ms, within the same bounds.";
    formatted("go-duration").pattern(Some(DURATION)).description(Some(what)).examples(["1h30m"])
}

fn duration_in_query() -> ObjectBuilder {
    formatted("go-duration").pattern(Some(format!("^[0-9]+$|{DURATION}"))).examples(["30s"])
}

fn string() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn limited() -> ObjectBuilder {
    string().min_length(Some(1)).max_length(Some(255))
}

fn formatted(format: &str) -> ObjectBuilder {
    string().format(Some(SchemaFormat::Custom(format.to_owned())))
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

fn nanos_within(least: i64, most: i64) -> ObjectBuilder {
    nanos().minimum(Some(least)).maximum(Some(most))
}

fn schema(object: ObjectBuilder) -> RefOr<Schema> {
    Object::from(object).into()
}
