//! What all operations have in common.

use utoipa::Modify;

use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, ObjectBuilder, OpenApi, Ref, Required, Response, ResponseBuilder, Type,
};

use super::prose;

/// Adds to every operation the namespace, the errors and the token, and cleans the descriptions.
pub(crate) struct Common;

const TOKEN: &str = "token";

impl Modify for Common {
    fn modify(&self, document: &mut OpenApi) {
        for item in document.paths.paths.values_mut() {
            let operations =
                [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
            operations.into_iter().flatten().for_each(add);
        }
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "A token, where the server asks for one. Also taken as the password of HTTP's Basic.",
            ))
            .build();
        let components = document.components.get_or_insert_default();
        components.schemas.values_mut().for_each(prose::clean);
        components.add_security_scheme(TOKEN, SecurityScheme::Http(scheme));
    }
}

fn add(operation: &mut Operation) {
    let name = ObjectBuilder::new().schema_type(Type::String);
    let namespace = ParameterBuilder::new()
        .name("namespace")
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some("The namespace, where the server serves several."))
        .schema(Some(name));
    operation.parameters.get_or_insert_default().push(namespace.build().into());
    operation.security =
        Some(vec![SecurityRequirement::default(), SecurityRequirement::new(TOKEN, [] as [&str; 0])]);
    let responses = &mut operation.responses.responses;
    for (status, what) in
        [("4XX", "The request was refused."), ("503", "PostgreSQL is away, or busy: try again later.")]
    {
        responses.entry(status.to_owned()).or_insert_with(|| failure(what).into());
    }
}

fn failure(what: &str) -> Response {
    let body = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorBody"))).build();
    ResponseBuilder::new().description(what).content("application/json", body).build()
}
