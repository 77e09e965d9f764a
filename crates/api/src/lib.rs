//! HTTP: routes, bodies and errors of every surface.
//!
//! [`router`] is all that the program needs. A request passes the layers of [`transport`], is routed by the table of
//! [`route`], checked by [`call`], and answered by a handler that calls one operation of `app`.

pub mod base;
pub mod call;
pub mod fault;
pub mod identity_v3;
mod once;
pub mod own;
pub mod page;
pub mod path;
pub mod route;
pub mod sahara;
pub mod transport;

use std::{sync::Arc, time::Duration};

use axum::{Router, extract::FromRef};
use foggara_app::App;
use foggara_identity::{Authenticator, Issuer};
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
    /// Cancelled when the server stops: streams end then.
    pub stopping: CancellationToken,
}

impl Default for Settings {
    /// The defaults of contract.md section 5.
    fn default() -> Self {
        Self {
            cors_origins: Vec::new(),
            trust_forwarded_proto: false,
            json_body: 1024 * 1024,
            deadline: Duration::from_secs(30),
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
    let mut routes = sahara::v11::routes();
    routes.extend(identity_v3::routes());
    routes
}

/// The service: all routes with all layers.
pub fn router(state: ApiState) -> Router {
    let routes = route_list();
    let collections = route::collections(&routes);
    transport::wrap(route::router_of(routes), collections, state)
}
