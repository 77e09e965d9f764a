//! What happens to every request around its route: request id, log, CORS, panic guard, and for the data API the token, the
//! project and the spelling of the path, all before routing (sahara-v1.1.md sections 1.1 and 1.2).

use std::{any::Any, sync::Arc, time::Instant};

use axum::{
    Json, Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header, uri::PathAndQuery},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
};
use foggara_domain::{Caller, Error, Secret};
use serde_json::json;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    ApiState,
    fault::{Fault, Outcome},
    path,
    route::Surface,
    signing,
};

/// The header with a caller's token.
pub(crate) const TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
/// The request's id as OpenStack's clients read it.
const OPENSTACK_ID: HeaderName = HeaderName::from_static("x-openstack-request-id");
/// The same as Huawei's clients read it.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What the layers found out about a request of the data API.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Who asks.
    pub caller: Caller,
    /// The token that says so: for what a job does in the caller's name later. Empty for a signed request; the embedded
    /// identity, which alone has access keys, gives no trusts.
    pub token: Secret,
    /// The path ended in `.json`.
    pub json: bool,
}

/// The fault in the shape of a surface. `base` is the server's own address.
pub fn answer_fault(fault: &Fault, surface: Surface, base: &str) -> Response {
    if let Fault::Signature(refusal) = fault {
        return signing::answer(refusal, surface == Surface::Sahara, base);
    }
    match surface {
        // A route of Sahara's that was called by MRS's body (spec/README.md conflict 13).
        _ if matches!(fault, Fault::Mrs(_)) => crate::mrs::error::answer(fault, surface, base),
        Surface::Sahara | Surface::Ops => crate::sahara::error::answer(fault, base),
        Surface::MrsV11 | Surface::MrsV2 => crate::mrs::error::answer(fault, surface, base),
        Surface::Own => crate::own::problem::answer(fault, base),
        Surface::Identity => {
            let said = fault.said();
            let title = said.status.canonical_reason().unwrap_or_default();
            let error = json!({"code": said.status.as_u16(), "title": title, "message": said.message});
            (said.status, Json(json!({"error": error}))).into_response()
        }
    }
}

/// The layers around the routes, and the answers where there is none.
pub fn wrap(routes: Router<ApiState>, collections: Vec<&'static str>, state: ApiState) -> Router {
    let enter_state = Entering { state: state.clone(), collections: collections.into() };
    let cors = from_fn_with_state(state.clone(), crate::cors::layer);
    let inner = routes.fallback(no_route).method_not_allowed_fallback(no_method).with_state(state);
    let service = ServiceBuilder::new()
        .layer(from_fn(stamp))
        .layer(from_fn(crate::mrs::error::in_language))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(cors)
        .layer(from_fn_with_state(enter_state, enter))
        .service(inner);
    // The layers stand before the router, since they change the path that is routed by.
    Router::new().fallback_service(service)
}

/// Gives the request an id, a span and a line in the log. Neither holds a header or a query: both may bear secrets.
async fn stamp(request: Request, next: Next) -> Response {
    let id = format!("req-{}", Uuid::new_v4());
    let span = tracing::info_span!("request", %id, method = %request.method(), path = %request.uri().path());
    let begun = Instant::now();
    let mut response = async {
        let response = next.run(request).await;
        let (status, micros) = (response.status().as_u16(), begun.elapsed().as_micros());
        tracing::debug!(status, micros, "answered with {status}");
        response
    }
    .instrument(span)
    .await;
    if let Ok(value) = HeaderValue::try_from(id) {
        response.headers_mut().insert(OPENSTACK_ID, value.clone());
        // The answer to a signed request names its id in the body too.
        response.headers_mut().entry(REQUEST_ID).or_insert(value);
    }
    response
}

/// A panic in a handler is a 500, and the server goes on.
fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    let error = Error::Internal(format!("panic: {}", text.unwrap_or("without a text")));
    answer_fault(&error.into(), Surface::Sahara, "")
}

#[derive(Clone)]
struct Entering {
    state: ApiState,
    collections: Arc<[&'static str]>,
}

/// Who asks, for which project, and for which route.
async fn enter(State(entering): State<Entering>, mut request: Request, next: Next) -> Response {
    let settings = &entering.state.settings;
    let base = settings.identity_of(request.headers());
    let options = request.method() == Method::OPTIONS;
    let path = request.uri().path();
    if path.len() > 1 && path.bytes().all(|byte| byte == b'/') {
        // Any run of slashes is the root (sahara-v1.1.md section 1.2).
        let _ = set_path(&mut request, "/");
    }
    let surface = Surface::of(request.uri().path());
    if surface.asks_for_a_project() {
        let admitted = tokio::time::timeout(settings.deadline, admit(&entering, surface, &mut request)).await;
        let seconds = settings.deadline.as_secs();
        if let Err(fault) = admitted.unwrap_or(Err(Fault::TooSlow { seconds, outcome_unknown: false })) {
            crate::drain::rest(request.body_mut()).await;
            return answer_fault(&fault, surface, &base);
        }
    }
    let response = next.run(request).await;
    if options && response.status() == StatusCode::METHOD_NOT_ALLOWED {
        return allowed_methods(&response);
    }
    response
}

async fn admit(entering: &Entering, surface: Surface, request: &mut Request) -> Outcome<()> {
    let (caller, token) = if signing::of(request.headers()).is_some() {
        // What is signed is the path as it was sent.
        let spelling = path::read(request.method(), request.uri().path(), &entering.collections);
        let project = spelling.and_then(|spelling| spelling.project);
        (signing::caller(&entering.state, request, project.as_deref()).await?, Secret::new(""))
    } else {
        let token = request.headers().get(TOKEN).and_then(|value| value.to_str().ok()).filter(|text| !text.is_empty());
        let token = Secret::new(token.ok_or(Fault::Unauthorized)?);
        (entering.state.authenticator.caller(token.reveal()).await?, token)
    };
    tracing::debug!(user = %caller.user, project = %caller.project, "admitted");
    let mut json = false;
    if surface.names_projects() {
        let spelling = path::read(request.method(), request.uri().path(), &entering.collections);
        let spelling = spelling.ok_or(Fault::ShortPath)?;
        if spelling.project.is_some_and(|project| project != caller.project.as_str()) {
            return Err(Fault::WrongProject);
        }
        json = spelling.json;
        set_path(request, &spelling.route)?;
    }
    request.extensions_mut().insert(Entry { caller, token, json });
    Ok(())
}

fn set_path(request: &mut Request, path: &str) -> Outcome<()> {
    let text = match request.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(text).map_err(|_| Fault::NoRoute)?);
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| Fault::NoRoute)?;
    Ok(())
}

/// OPTIONS answers 200 with `Allow` and an empty body (sahara-v1.1.md section 1.1).
fn allowed_methods(refused: &Response) -> Response {
    let allow = refused.headers().get(header::ALLOW).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut methods: Vec<&str> = allow.split(',').map(str::trim).filter(|method| !method.is_empty()).collect();
    methods.push("OPTIONS");
    let mut response = Response::new(Body::empty());
    if let Ok(value) = HeaderValue::try_from(methods.join(", ")) {
        response.headers_mut().insert(header::ALLOW, value);
    }
    response
}

async fn no_route(State(state): State<ApiState>, request: Request) -> Response {
    refuse(&state, &request, &Fault::NoRoute)
}

async fn no_method(State(state): State<ApiState>, request: Request) -> Response {
    refuse(&state, &request, &Fault::NoMethod)
}

fn refuse(state: &ApiState, request: &Request, fault: &Fault) -> Response {
    let base = state.settings.identity_of(request.headers());
    answer_fault(fault, Surface::of(request.uri().path()), &base)
}
