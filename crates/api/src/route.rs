//! The one table of routes. From it come the router, the OpenAPI document, the list of the rights test and the 405 answers
//! (docs/decisions/0001-route-table.md).

use axum::{
    Router,
    handler::Handler,
    http::Method,
    response::Response,
    routing::{MethodFilter, MethodRouter},
};

use crate::{
    ApiState,
    call::{Call, Checks, Reads, endpoint},
    fault::{Fault, Outcome},
    page::Query,
};

/// Which API a route belongs to: decides how the caller is known and what errors look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Surface {
    /// Sahara v1.0, v1.1 and v2.
    Sahara,
    /// What MRS has beside Sahara's routes in V1.1.
    MrsV11,
    /// The same in V2.
    MrsV2,
    /// The embedded identity below `/v3`.
    Identity,
    /// Our own API below `/api/v1`.
    Own,
    /// Health, documents, versions: open to everybody.
    Ops,
}

impl Surface {
    /// The surface that a path belongs to, whether a route exists there or not.
    pub fn of(path: &str) -> Self {
        let below =
            |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if let Some(surface) = crate::mrs::surface_of(path) {
            surface
        } else if crate::path::is_sahara(path) {
            Self::Sahara
        } else if below("/v3") {
            Self::Identity
        } else if below("/api/v1") {
            Self::Own
        } else {
            Self::Ops
        }
    }

    /// Whether a request must bear a token for a project before it is routed at all.
    pub fn asks_for_a_project(self) -> bool {
        self.names_projects() || self == Self::Own
    }

    /// Whether its paths may name the project before the rule, and end in `.json`.
    pub fn names_projects(self) -> bool {
        matches!(self, Self::Sahara | Self::MrsV11 | Self::MrsV2)
    }

    /// The word in the OpenAPI document.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sahara => "sahara",
            Self::MrsV11 => "mrs-v1.1",
            Self::MrsV2 => "mrs-v2",
            Self::Identity => "identity",
            Self::Own => "foggara",
            Self::Ops => "operations",
        }
    }
}

/// What a route answers when all is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A JSON object; the text names what it holds.
    Json(u16, &'static str),
    /// Bytes.
    Bytes,
    /// Bytes, or server-sent events with `follow`.
    Log,
    /// Plain text.
    Text,
    /// Nothing (204).
    Nothing,
}

impl Answer {
    /// HTTP status.
    pub fn status(self) -> u16 {
        match self {
            Self::Json(status, _) => status,
            Self::Bytes | Self::Log | Self::Text => 200,
            Self::Nothing => 204,
        }
    }

    /// Whether the answer exists only as JSON, so that an `Accept` without it cannot be served.
    pub fn is_json(self) -> bool {
        matches!(self, Self::Json(..))
    }
}

/// One route.
#[derive(Clone)]
pub struct Route {
    /// HTTP method; GET stands for HEAD too.
    pub method: Method,
    /// Path with `{parameters}`, without project and suffix.
    pub path: &'static str,
    /// What answers.
    pub handler: MethodRouter<ApiState>,
    /// Rule of `identity::policy` that the caller must fulfil; nothing for open routes and those that check by themselves.
    pub rule: Option<&'static str>,
    /// Which API it belongs to.
    pub surface: Surface,
    /// Unique name in the OpenAPI document.
    pub operation: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// Name of the schema of its body (`sahara/schema`), or nothing.
    pub request: Option<&'static str>,
    /// Query parameters that it knows; lists also take their columns as filters.
    pub query: &'static [&'static str],
    /// What it answers.
    pub answer: Answer,
    /// A request body of raw bytes.
    pub upload: bool,
}

/// The query parameters that a route of v2 takes; all others are refused (sahara-v2.md section 1).
#[derive(Clone, Copy, Debug)]
pub struct Params {
    /// What the original calls the route's function: it stands in the refusal.
    pub handler: &'static str,
    /// The parameters beside those of lists, which every route takes.
    pub names: &'static [&'static str],
    /// More of them that the refusal does not name, because the original forgot them.
    pub unsaid: &'static [&'static str],
}

impl Params {
    /// Refuses the first parameter that is not taken.
    pub fn check(&self, query: &Query) -> Outcome<()> {
        let known = |name: &&str| LIST.contains(name) || self.names.contains(name) || self.unsaid.contains(name);
        if query.names().all(|name| known(&name)) {
            return Ok(());
        }
        let names: Vec<String> = self.names.iter().map(|name| format!("'{name}'")).collect();
        let names = names.join(", ");
        let text =
            format!("The only valid params for {} are [{names}] and ['marker', 'limit', 'sort_by']", self.handler);
        Err(Fault::refused(foggara_domain::Code::InvalidParamsOnRequest, text))
    }
}

/// Query parameters of every list.
pub const LIST: &[&str] = &["limit", "marker", "sort_by"];

impl Route {
    /// A route whose handler is a plain axum handler that knows its callers by itself. `line` is the method and the path,
    /// `name` the operation and a line for people.
    pub fn plain<H, T>(
        surface: Surface,
        line: &'static str,
        name: (&'static str, &'static str),
        answer: Answer,
        handler: H,
    ) -> Self
    where
        H: Handler<T, ApiState>,
        T: 'static,
    {
        let (method, path) = line.split_once(' ').unwrap_or(("GET", line));
        let method = Method::from_bytes(method.as_bytes()).expect("a row of the route table begins with a method");
        // One that axum does not know is a defect that is seen at the first start.
        let filter = MethodFilter::try_from(method.clone()).expect("axum routes every method of the route table");
        Self {
            method,
            path,
            handler: MethodRouter::new().on(filter, handler),
            rule: None,
            surface,
            operation: name.0,
            summary: name.1,
            request: None,
            query: &[],
            answer,
            upload: false,
        }
    }

    /// A route of the data API: the caller is known and allowed by `rule`, and the JSON body is read, before the handler
    /// sees the call.
    pub fn data<F, Fut>(
        surface: Surface,
        line: &'static str,
        rule: &'static str,
        name: (&'static str, &'static str),
        answer: Answer,
        handler: F,
    ) -> Self
    where
        F: Fn(Call) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Outcome<Response>> + Send + 'static,
    {
        Self::checked(Checks { surface, reads: Reads::Json, rule, answer, params: None }, line, name, handler)
    }

    /// As [`Route::data`], with every check named.
    pub fn checked<F, Fut>(checks: Checks, line: &'static str, name: (&'static str, &'static str), handler: F) -> Self
    where
        F: Fn(Call) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Outcome<Response>> + Send + 'static,
    {
        let handler = endpoint(checks, handler);
        let query = checks.params.map_or(&[][..], |params| params.names);
        Self { rule: Some(checks.rule), query, ..Self::plain(checks.surface, line, name, checks.answer, handler) }
    }

    /// As [`Route::data`], but the body is raw bytes of any type and has no deadline.
    pub fn upload<F, Fut>(
        line: &'static str,
        rule: &'static str,
        name: (&'static str, &'static str),
        answer: Answer,
        handler: F,
    ) -> Self
    where
        F: Fn(Call) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Outcome<Response>> + Send + 'static,
    {
        let checks = Checks { surface: Surface::Sahara, reads: Reads::Raw, rule, answer, params: None };
        Self { upload: true, ..Self::checked(checks, line, name, handler) }
    }

    /// With the schema of its body.
    #[must_use]
    pub fn takes(mut self, schema: &'static str) -> Self {
        self.request = Some(schema);
        self
    }

    /// With the query parameters that it knows.
    #[must_use]
    pub fn asks(mut self, query: &'static [&'static str]) -> Self {
        self.query = query;
        self
    }
}

/// The router of a table.
pub fn router_of(routes: Vec<Route>) -> Router<ApiState> {
    routes.into_iter().fold(Router::new(), |router, route| router.route(route.path, route.handler))
}

/// First segments of the rules of Sahara's and MRS's surfaces; what stands before one of them is a tenant.
pub fn collections(routes: &[Route]) -> Vec<&'static str> {
    let named = routes.iter().filter(|route| route.surface.names_projects());
    let mut names: Vec<_> = named.filter_map(|route| route.path.split('/').nth(2)).collect();
    names.sort_unstable();
    names.dedup();
    names
}
