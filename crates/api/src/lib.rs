//! HTTP: routes, bodies and errors of every surface.
//!
//! [`router`] is all that the program needs. A request passes the layers of [`transport`], is routed by the table of
//! [`route`], checked by [`call`], and answered by a handler that calls one operation of `app`.

pub mod base;
pub mod call;
mod cors;
mod drain;
pub mod fault;
pub mod identity_v3;
pub mod mrs;
mod once;
pub mod openapi;
mod ops_api;
pub mod own;
pub mod page;
pub mod path;
mod reply;
pub mod route;
#[cfg(test)]
mod routes_page;
pub mod sahara;
pub mod signing;
pub mod transport;

use std::{sync::Arc, time::Duration};

use axum::{Router, extract::FromRef};
use foggara_app::App;
use foggara_identity::{Authenticator, Issuer, policy::Policy};
use tokio_util::sync::CancellationToken;

pub use route::{Route, Surface};

/// Settings of the HTTP surface; `[server]` and `[limits]` of the program's configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Origins that browsers may call from; `*` for all, none for none.
    pub cors_origins: Vec<String>,
    /// Whether `X-Forwarded-Proto` is believed: only behind a proxy that sets it.
    pub trust_forwarded_proto: bool,
    /// Largest JSON body in bytes.
    pub json_body: usize,
    /// How long a request may take; uploads, downloads and followed logs are exempt.
    pub deadline: Duration,
    /// Where callers get tokens, when that is not here: named in a 401.
    pub identity_url: Option<String>,
    /// Cancelled when the server stops: streams end then.
    pub stopping: CancellationToken,
}

impl Settings {
    /// The address of the identity service, for the challenge of a 401: an outside one, or ours as the caller wrote it.
    fn identity_of(&self, headers: &axum::http::HeaderMap) -> String {
        self.identity_url.clone().unwrap_or_else(|| base::of(headers, self.trust_forwarded_proto))
    }
}

impl Default for Settings {
    /// The defaults of contract.md section 5.
    fn default() -> Self {
        Self {
            cors_origins: Vec::new(),
            trust_forwarded_proto: false,
            json_body: 1024 * 1024,
            deadline: Duration::from_secs(30),
            identity_url: None,
            stopping: CancellationToken::new(),
        }
    }
}

/// What the handlers need. Cheap to clone.
#[derive(Clone)]
pub struct ApiState {
    /// The application.
    pub app: App,
    /// Tells who bears a token.
    pub authenticator: Arc<dyn Authenticator>,
    /// The embedded identity; none with an outside Keystone.
    pub issuer: Option<Arc<Issuer>>,
    /// Who may do what.
    pub policy: Arc<Policy>,
    /// Settings.
    pub settings: Arc<Settings>,
}

impl FromRef<ApiState> for identity_v3::At {
    fn from_ref(state: &ApiState) -> Self {
        Self { issuer: state.issuer.clone(), trust_forwarded_proto: state.settings.trust_forwarded_proto }
    }
}

/// Every route of the program, in the order of the document.
pub fn route_list() -> Vec<Route> {
    let mut routes = sahara::v1::routes();
    routes.extend(sahara::v2::routes());
    routes.extend(mrs::routes());
    routes.extend(own::routes());
    routes.extend(identity_v3::routes());
    routes.extend(ops_api::routes());
    routes
}

/// The service: all routes with all layers.
pub fn router(state: ApiState) -> Router {
    let routes = route_list();
    let collections = route::collections(&routes);
    transport::wrap(route::router_of(routes), collections, state)
}

/// The service of a server that works and does not answer for the data: health and the document only.
pub fn worker_router(state: ApiState) -> Router {
    let routes: Vec<Route> = ops_api::routes().into_iter().filter(|route| route.path != "/").collect();
    let collections = route::collections(&routes);
    transport::wrap(route::router_of(routes), collections, state)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use foggara_identity::policy;

    use super::*;

    #[test]
    fn the_router_builds_without_overlap() {
        let routes = route_list();
        let lines: BTreeSet<_> = routes.iter().map(|route| (route.path, route.method.as_str())).collect();
        assert_eq!(lines.len(), routes.len());
        // Panics when two routes want the same path and method, or two names for one segment.
        let _ = route::router_of(routes);
    }

    #[test]
    fn every_rule_of_the_table_exists_and_every_data_route_has_one() {
        for route in route_list() {
            assert_eq!(route.rule.is_some(), route.surface.asks_for_a_project(), "{} {}", route.method, route.path);
            if let Some(rule) = route.rule {
                assert!(policy::access(rule).is_some(), "{rule}");
            }
            if let Some(schema) = route.request {
                assert!(sahara::schemas::all_by_name().contains_key(schema), "{schema}");
            }
        }
    }

    #[test]
    fn what_stands_before_a_collection_is_a_tenant() {
        let names = route::collections(&route_list());
        for name in ["clusters", "data-sources", "job-binaries", "job-binary-internals", "job-executions", "job-types"]
        {
            assert!(names.contains(&name), "{name}");
        }
    }
}
