//! Routes as the contract has them: a method that a path does not have gets 405, HEAD and OPTIONS too.

use axum::Router;
use axum::handler::Handler;
use axum::http::header::ALLOW;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter};

use crate::api::App;
use crate::auth::{self, Gate};
use crate::error::ApiError;

/// The methods of one path.
pub(crate) struct Resource {
    /// The path below the prefix.
    route: String,
    path: String,
    methods: MethodRouter<App>,
    names: Vec<Method>,
}

/// A group of resources.
pub(crate) struct Routes(Vec<Resource>);

/// The methods of this path, which is relative to the prefix. So far none.
pub(crate) fn at(path: &str) -> Resource {
    Resource {
        route: path.to_owned(),
        path: path.to_owned(),
        methods: MethodRouter::new(),
        names: Vec::new(),
    }
}

impl Resource {
    pub(crate) fn get<H: Handler<T, App>, T: 'static>(self, handler: H) -> Self {
        self.on(MethodFilter::GET, Method::GET, handler)
    }

    pub(crate) fn post<H: Handler<T, App>, T: 'static>(self, handler: H) -> Self {
        self.on(MethodFilter::POST, Method::POST, handler)
    }

    pub(crate) fn put<H: Handler<T, App>, T: 'static>(self, handler: H) -> Self {
        self.on(MethodFilter::PUT, Method::PUT, handler)
    }

    pub(crate) fn patch<H: Handler<T, App>, T: 'static>(self, handler: H) -> Self {
        self.on(MethodFilter::PATCH, Method::PATCH, handler)
    }

    pub(crate) fn delete<H: Handler<T, App>, T: 'static>(self, handler: H) -> Self {
        self.on(MethodFilter::DELETE, Method::DELETE, handler)
    }

    fn on<H: Handler<T, App>, T: 'static>(self, filter: MethodFilter, name: Method, handler: H) -> Self {
        let mut names = self.names;
        names.push(name);
        Self { methods: self.methods.on(filter, handler), names, ..self }
    }

    /// Refuses all other methods. HEAD is one of them, which axum would answer as GET. The guard stands before all of them.
    fn into_methods(self, app: &App) -> MethodRouter<App> {
        let allow = self.names.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        let refuse = async move |method: Method| refused(&method, &allow);
        let gate = Gate { app: app.clone(), route: self.route.into() };
        self.methods
            .on(MethodFilter::HEAD, refuse.clone())
            .fallback(refuse)
            .layer(axum::middleware::from_fn_with_state(gate, auth::guard))
    }
}

impl Routes {
    pub(crate) fn new(resources: impl IntoIterator<Item = Resource>) -> Self {
        Self(resources.into_iter().collect())
    }

    pub(crate) fn and(mut self, more: Self) -> Self {
        self.0.extend(more.0);
        self
    }

    /// Every path with each of its methods.
    #[cfg(test)]
    pub(crate) fn methods(&self) -> impl Iterator<Item = (&str, &Method)> {
        self.0.iter().flat_map(|resource| resource.names.iter().map(|name| (resource.path.as_str(), name)))
    }

    /// The same under a prefix.
    pub(crate) fn under(mut self, prefix: &str) -> Self {
        for resource in &mut self.0 {
            resource.path.insert_str(0, prefix);
        }
        self
    }

    /// Path and method of every route.
    #[cfg(test)]
    pub(crate) fn names(&self) -> impl Iterator<Item = (String, String)> {
        let of = |resource: &'_ Resource| {
            let path = resource.route.clone();
            resource.names.iter().map(move |name| (path.clone(), name.to_string())).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(of)
    }

    pub(crate) fn into_router(self, app: &App) -> Router<App> {
        self.0.into_iter().fold(Router::new(), |router, resource| {
            let path = resource.path.clone();
            router.route(&path, resource.into_methods(app))
        })
    }
}

fn refused(method: &Method, allow: &str) -> Response {
    let error =
        ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "").with_detail(method.as_str());
    let mut response = error.into_response();
    if let Ok(allow) = HeaderValue::from_str(allow) {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}
