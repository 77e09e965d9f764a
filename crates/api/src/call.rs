//! A call of the data API: what a handler sees, and the checks before it, in the original's order (sahara-v1.1.md section
//! 1.5): token and project (see [`crate::transport`]), body, policy, then the handler with existence, schema and rules.

use std::time::Duration;

use axum::{
    extract::{FromRequestParts, RawPathParams, Request, State},
    http::{HeaderMap, HeaderName, Method, header, request::Parts},
    response::Response,
};
use foggara_app::App;
use foggara_domain::{Caller, Code, Error, Secret, page::ListQuery};
use futures::StreamExt;
use serde_json::{Map, Value};

use crate::{
    ApiState,
    drain::Shared,
    fault::{Fault, Outcome},
    page::Query,
    route::{Answer, Params, Surface},
    sahara::{microversion, view::View},
    transport::{Entry, answer_fault},
};

/// What a route does with the body of a POST, PUT or PATCH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Reads it whole as JSON, up to the limit.
    Json,
    /// Leaves it to the handler as bytes of any type, without a deadline.
    Raw,
}

/// A call whose caller is known and allowed.
pub struct Call {
    /// The application.
    pub app: App,
    /// The settings and the rest of the surface's state.
    pub state: ApiState,
    /// Who asks.
    pub caller: Caller,
    /// The caller's token.
    pub token: Secret,
    /// The path without project and suffix.
    pub path: String,
    /// HTTP method; HEAD arrives at the handlers of GET.
    pub method: Method,
    /// The query's parameters.
    pub query: Query,
    /// The headers.
    pub headers: HeaderMap,
    /// The JSON body; an empty object without one.
    pub json: Value,
    /// The body of a route that reads raw bytes.
    pub raw: Shared,
    /// Which version of Sahara's API the path speaks.
    pub view: View,
    /// The query parameters that the route takes, where it takes no others.
    params: Option<Params>,
    parameters: Vec<(String, String)>,
}

impl Call {
    /// A parameter of the path, decoded.
    pub fn parameter(&self, name: &str) -> &str {
        self.parameters.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// The id in the path.
    pub fn id<T: From<String>>(&self) -> T {
        T::from(self.parameter("id").to_owned())
    }

    /// Takes the body out and checks it against a schema, and then the query's parameters. The members have the names of v1.1.
    pub fn body(&mut self, schema: &str) -> Outcome<Map<String, Value>> {
        let members = crate::sahara::body::check(schema, self.view, self.json.take())?;
        self.check_params()?;
        Ok(self.view.body(members))
    }

    /// Refuses query parameters that the route does not take, as v2 does (sahara-v2.md section 1). The original looks only after
    /// the object of the path was found and the body was checked.
    pub fn check_params(&self) -> Outcome<()> {
        self.params.map_or(Ok(()), |params| params.check(&self.query))
    }

    /// The question to a list, with filters named as in v1.1.
    pub fn list(&self) -> Outcome<ListQuery> {
        let mut list = self.query.list()?;
        self.check_params()?;
        for (name, _) in &mut list.filters {
            *name = self.view.known_as(name).to_owned();
        }
        Ok(list)
    }

    /// Whether the caller only wants to know what a GET would answer: nothing may be done.
    pub fn is_head(&self) -> bool {
        self.method == Method::HEAD
    }

    /// `Idempotency-Key` or `X-Client-Token`.
    pub fn idempotency_key(&self) -> Option<String> {
        idempotency_key(&self.headers)
    }
}

/// The client's key for a write that it may repeat.
pub fn idempotency_key(headers: &HeaderMap) -> Option<String> {
    const KEYS: [HeaderName; 2] =
        [HeaderName::from_static("idempotency-key"), HeaderName::from_static("x-client-token")];
    let texts = KEYS.into_iter().filter_map(|name| headers.get(name)?.to_str().ok());
    texts.map(str::trim).find(|text| !text.is_empty()).map(str::to_owned)
}

/// What is checked before a handler of the data API sees a call.
#[derive(Clone, Copy, Debug)]
pub struct Checks {
    /// Whose errors.
    pub surface: Surface,
    /// What becomes of the body.
    pub reads: Reads,
    /// Rule of the policy.
    pub rule: &'static str,
    /// What it answers.
    pub answer: Answer,
    /// Query parameters, where no others are taken.
    pub params: Option<Params>,
}

/// The axum handler around a handler of the data API.
pub fn endpoint<F, Fut>(
    checks: Checks,
    handler: F,
) -> impl Fn(State<ApiState>, Request) -> std::pin::Pin<Box<dyn Future<Output = Response> + Send>>
+ Clone
+ Send
+ Sync
+ 'static
where
    F: Fn(Call) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Outcome<Response>> + Send + 'static,
{
    move |State(state): State<ApiState>, request: Request| {
        let handler = handler.clone();
        Box::pin(async move {
            let base = state.settings.identity_of(request.headers());
            let limit = (checks.reads == Reads::Json).then_some(state.settings.deadline);
            let outcome_unknown = !request.method().is_safe();
            let versioned = checks.surface == Surface::Sahara && View::of(request.uri().path()) == View::V2;
            let version = versioned.then(|| microversion::asked(request.headers()));
            let (parts, body) = request.into_parts();
            let body = Shared::new(body);
            let given = body.clone();
            if let Some(mut refusal) = version.as_ref().and_then(microversion::Asked::refusal) {
                body.rest().await;
                version.iter().for_each(|version| version.mark(&mut refusal));
                return refusal;
            }
            let work = async move {
                let call = open(&state, parts, given, checks).await?;
                crate::once::answered(call, handler).await
            };
            let outcome = match limit {
                None => work.await,
                Some(limit) => within(limit, outcome_unknown, work).await,
            };
            let mut response = match outcome {
                Ok(response) => response,
                Err(fault) => {
                    body.rest().await;
                    answer_fault(&fault, checks.surface, &base)
                }
            };
            version.iter().for_each(|version| version.mark(&mut response));
            response
        })
    }
}

/// The work, or a fault when it takes too long. A log that is followed is not part of the work: its answer begins at once.
async fn within(
    limit: Duration,
    outcome_unknown: bool,
    work: impl Future<Output = Outcome<Response>>,
) -> Outcome<Response> {
    match tokio::time::timeout(limit, work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Fault::TooSlow { seconds: limit.as_secs(), outcome_unknown }),
    }
}

async fn open(state: &ApiState, mut parts: Parts, body: Shared, checks: Checks) -> Outcome<Call> {
    let Checks { reads, rule, answer, params, .. } = checks;
    let entry = parts
        .extensions
        .remove::<Entry>()
        .ok_or_else(|| Fault::Domain(Error::Internal(format!("a call of {rule} came without its caller"))))?;
    if answer.is_json() && !entry.json && !accepts_json(&parts.headers) {
        return Err(Fault::NotAcceptable);
    }
    let raw_parameters = RawPathParams::from_request_parts(&mut parts, &()).await.map_err(|_| Fault::NoRoute)?;
    let parameters: Vec<_> = raw_parameters.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    if let Some((_, value)) = parameters.iter().find(|(_, value)| value.contains('\0')) {
        return Err(Error::no_such_id(value.escape_default()).into());
    }
    // A delete of v2 may say how (sahara-v2.md section 4).
    let says_how = parts.method == Method::DELETE && View::of(parts.uri.path()) == View::V2;
    let writes = says_how || [Method::POST, Method::PUT, Method::PATCH].contains(&parts.method);
    let json = match reads {
        Reads::Json if writes => read_json(&parts.headers, &body, state.settings.json_body).await?,
        // Some clients send a body with GET or DELETE; nobody reads it.
        Reads::Json | Reads::Raw => Value::Null,
    };
    state.policy.allowed(rule, &entry.caller)?;
    let query = Query::read(parts.uri.query().unwrap_or_default())?;
    Ok(Call {
        app: state.app.clone(),
        state: state.clone(),
        caller: entry.caller,
        token: entry.token,
        path: parts.uri.path().to_owned(),
        method: parts.method,
        query,
        headers: parts.headers,
        json,
        raw: body,
        view: View::of(parts.uri.path()),
        params,
        parameters,
    })
}

/// The JSON body (sahara-v1.1.md section 1.3): none means an empty object, no content type means JSON.
async fn read_json(headers: &HeaderMap, body: &Shared, limit: usize) -> Outcome<Value> {
    let too_large = Fault::TooLarge { what: "limits.json_body", limit: limit as u64 };
    let mut bytes = Vec::new();
    let mut pieces = body.stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| Fault::BrokenBody)?;
        if bytes.len() + piece.len() > limit {
            return Err(too_large);
        }
        bytes.extend_from_slice(&piece);
    }
    if bytes.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    let kind = headers.get(header::CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let kind = kind.as_deref().and_then(|kind| kind.split(';').next()).map(str::trim).filter(|kind| !kind.is_empty());
    if let Some(kind) = kind
        && !kind.eq_ignore_ascii_case("application/json")
    {
        return Err(Fault::refused(Code::InvalidData, format!("Content type '{kind}' isn't supported")));
    }
    serde_json::from_slice(&bytes)
        .map_err(|_| Fault::refused(Code::MalformedRequestBody, "Malformed message body: cannot understand JSON"))
}

/// Whether `Accept` lets JSON through. A range with quality 0 excludes it.
fn accepts_json(headers: &HeaderMap) -> bool {
    let mut asked = false;
    // The most exact range that fits decides.
    let mut best: Option<(u8, bool)> = None;
    for value in headers.get_all(header::ACCEPT) {
        for range in value.to_str().unwrap_or("*/*").split(',') {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            if kind.is_empty() {
                continue;
            }
            asked = true;
            let exactness = match kind.as_str() {
                "application/json" => 3,
                "application/*" => 2,
                "*/*" | "*" => 1,
                _ => continue,
            };
            let refused = parts.any(|part| {
                let quality = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="));
                quality.is_some_and(|quality| quality.trim().parse::<f32>().is_ok_and(|quality| quality <= 0.0))
            });
            if best.is_none_or(|(other, _)| exactness > other) {
                best = Some((exactness, !refused));
            }
        }
    }
    best.map_or(!asked, |(_, wanted)| wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(text: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, text.parse().expect("a header value"));
        accepts_json(&headers)
    }

    #[test]
    fn accept_headers() {
        assert!(accepts_json(&HeaderMap::new()));
        for yes in ["*/*", "application/*", "application/json", "text/html, */*;q=0.1", "application/json; q=0.5", ""] {
            assert!(accept(yes), "{yes}");
        }
        for no in ["text/html", "application/xml, text/plain", "*/*, application/json;q=0"] {
            assert!(!accept(no), "{no}");
        }
    }

    async fn json(kind: Option<&str>, body: &'static str) -> Outcome<Value> {
        let mut headers = HeaderMap::new();
        if let Some(kind) = kind {
            headers.insert(header::CONTENT_TYPE, kind.parse().expect("a header value"));
        }
        read_json(&headers, &Shared::new(axum::body::Body::from(body)), 10).await
    }

    #[tokio::test]
    async fn bodies() {
        assert_eq!(json(Some("text/plain"), "").await, Ok(Value::Object(Map::new())));
        assert_eq!(json(None, "[]").await, Ok(Value::Array(vec![])));
        assert_eq!(json(Some("Application/JSON; charset=utf-8"), "5").await, Ok(Value::from(5)));
        let wrong = json(Some("text/plain; x=y"), "{}").await.expect_err("not JSON").said();
        assert_eq!((wrong.name, wrong.message.as_str()), ("INVALID_DATA", "Content type 'text/plain' isn't supported"));
        for malformed in ["{nope", "{}{}", "{\"a\":1,}", "NaN"] {
            assert_eq!(json(None, malformed).await.expect_err(malformed).said().name, "MALFORMED_REQUEST_BODY");
        }
        let large = json(None, "[1,2,3,4,5,6]").await.expect_err("too large").said();
        assert_eq!(large.status.as_u16(), 413);
        assert!(large.message.contains("limits.json_body = 10 bytes"), "{}", large.message);
    }

    #[test]
    fn either_header_is_a_key() {
        let mut headers = HeaderMap::new();
        assert_eq!(idempotency_key(&headers), None);
        headers.insert("x-client-token", " a ".parse().expect("a header value"));
        assert_eq!(idempotency_key(&headers).as_deref(), Some("a"));
        headers.insert("idempotency-key", "b".parse().expect("a header value"));
        assert_eq!(idempotency_key(&headers).as_deref(), Some("b"));
    }
}
