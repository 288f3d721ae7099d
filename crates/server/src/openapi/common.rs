//! What all operations have in common.

use pgmill_schema::openapi::NamespaceGiven;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, Required, Response, ResponseBuilder};
use utoipa::{Modify, PartialSchema};

use super::{exclusions, links, prose};
use crate::auth::rights;

/// Adds to every operation the namespace, the errors and the token, and cleans the descriptions.
pub(crate) struct Common;

const TOKEN: &str = "token";

impl Modify for Common {
    fn modify(&self, document: &mut OpenApi) {
        for (path, item) in &mut document.paths.paths {
            let is_open = rights().iter().any(|right| right.path() == path && right.role().is_none());
            for operation in operations(item) {
                unended(operation);
                match is_open {
                    true => refusals(operation),
                    false => guarded(operation),
                }
            }
        }
        links::add(document);
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "A token, where the server asks for one. Also taken as the password of HTTP's Basic.",
            ))
            .build();
        let components = document.components.get_or_insert_default();
        components.schemas.values_mut().for_each(prose::clean);
        exclusions::add(&mut components.schemas);
        components.add_security_scheme(TOKEN, SecurityScheme::Http(scheme));
    }
}

/// What comes as a stream has no end, and so no schema.
fn unended(operation: &mut Operation) {
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response
            && let Some(RefOr::T(stream)) = response.content.get_mut("text/event-stream")
        {
            stream.schema = None;
        }
    }
}

/// Of a server that asks for tokens: none of its operations goes without one that could.
pub(super) fn ask_for_tokens(document: &mut OpenApi) {
    for operation in document.paths.paths.values_mut().flat_map(operations) {
        if let Some(security) = &mut operation.security {
            security.retain(|way| *way != SecurityRequirement::default());
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let operations = [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
    operations.into_iter().flatten()
}

/// What all routes have that may need a token.
fn guarded(operation: &mut Operation) {
    let namespace = ParameterBuilder::new()
        .name("namespace")
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(
            "The namespace, where the server serves several. It may also be named by the header `Pgmill-Namespace`.",
        ))
        .schema(Some(NamespaceGiven::schema()));
    operation.parameters.get_or_insert_default().push(namespace.build().into());
    let without = SecurityRequirement::default();
    operation.security = Some(vec![without, SecurityRequirement::new(TOKEN, [] as [&str; 0])]);
    let responses = &mut operation.responses.responses;
    let away = || failure("PostgreSQL is away, or busy: try again later.").into();
    responses.entry("503".to_owned()).or_insert_with(away);
    refusals(operation);
}

fn refusals(operation: &mut Operation) {
    let responses = &mut operation.responses.responses;
    let refused = || failure("The request was refused.").into();
    responses.entry("4XX".to_owned()).or_insert_with(refused);
}

fn failure(what: &str) -> Response {
    let body = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorBody"))).build();
    ResponseBuilder::new().description(what).content("application/json", body).build()
}
