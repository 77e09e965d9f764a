//! `/v3/auth/tokens` and what a token's bearer is told about itself (iam.md sections 2 and 3).

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use foggara_identity::{
    Identified, Scope,
    catalogue::{Service, catalogue},
};
use serde_json::Value;

use super::{
    asked::{Asked, is_admin},
    body,
    fault::{Fault, SUBJECT_TOKEN},
    request, signed,
};

/// `POST /v3/auth/tokens`: log in, or exchange a token for one of another scope.
pub async fn issue(asked: &Asked) -> Result<Response, Fault> {
    let login = request::login(&asked.body)?;
    let issued = asked.issuer.log_in(&login, asked.address).await?;
    let body = body::token(&issued.identified, wanted_catalogue(asked, &issued.identified));
    Ok(with_token(StatusCode::CREATED, body, issued.token.reveal()))
}

/// `GET` and `HEAD /v3/auth/tokens`: what a token says.
pub async fn show(asked: &Asked) -> Result<Response, Fault> {
    let subject = subject(asked, "identity:validate_token").await?;
    let body = body::token(&subject, wanted_catalogue(asked, &subject));
    Ok(with_token(StatusCode::OK, body, asked.subject_token()?))
}

/// `DELETE /v3/auth/tokens`: the token is refused from now on.
pub async fn revoke(asked: &Asked) -> Result<Response, Fault> {
    let subject = subject(asked, "identity:revoke_token").await?;
    asked.issuer.revoke(&subject).await?;
    Ok((StatusCode::NO_CONTENT, [(header::VARY, "X-Auth-Token")]).into_response())
}

/// `GET /v3/auth/catalog`.
pub async fn show_catalogue(asked: &Asked) -> Result<Response, Fault> {
    let bearer = asked.bearer().await?;
    let services = catalogue_of(asked, &bearer)
        .ok_or(Fault::Refused("A project-scoped or domain-scoped token is required to produce a service catalog."))?;
    let services = services.iter().map(|service| serde_json::json!(service)).collect();
    Ok(answer(body::list("catalog", services, &asked.base, &asked.link())))
}

/// `GET /v3/auth/projects`: where the bearer can go.
pub async fn projects(asked: &Asked) -> Result<Response, Fault> {
    if let Some(signer) = asked.signer().await? {
        return signed::projects(asked, &signer, None).await;
    }
    let bearer = asked.bearer().await?;
    let projects = asked.issuer.projects_of(&bearer.user.id).await?;
    let projects = projects.iter().map(|project| body::project(project, &asked.base)).collect();
    Ok(answer(body::list("projects", projects, &asked.base, &asked.link())))
}

/// `GET /v3/auth/domains`: the domains on which the bearer holds a role.
pub async fn domains(asked: &Asked) -> Result<Response, Fault> {
    if let Some(signer) = asked.signer().await? {
        return signed::domains(asked, &signer).await;
    }
    let bearer = asked.bearer().await?;
    let domains = asked.issuer.domains_of(&bearer.user.id).await?;
    let domains = domains.iter().map(|domain| body::domain(domain, &asked.base)).collect();
    Ok(answer(body::list("domains", domains, &asked.base, &asked.link())))
}

/// The token that is spoken of. It may be the bearer's own or another of the same user; others' are the admin's business.
async fn subject(asked: &Asked, action: &'static str) -> Result<Identified, Fault> {
    let bearer = asked.bearer().await?;
    let subject = asked.issuer.examine(asked.subject_token()?).await?;
    // The text is not repeated: a token that is only expired here may be good elsewhere.
    let subject = subject.ok_or_else(|| Fault::NotFound("Failed to validate token".to_owned()))?;
    if subject.user.id != bearer.user.id && !is_admin(&bearer) {
        return Err(Fault::Forbidden(action));
    }
    Ok(subject)
}

fn wanted_catalogue(asked: &Asked, of: &Identified) -> Option<Vec<Service>> {
    if asked.parameter("nocatalog").is_some() { None } else { catalogue_of(asked, of) }
}

/// The catalogue of a token's scope; none without one.
fn catalogue_of(asked: &Asked, of: &Identified) -> Option<Vec<Service>> {
    let project = match &of.scope {
        Scope::Unscoped => return None,
        Scope::Domain { .. } | Scope::System => None,
        Scope::Project(project) => Some(project.id.as_str()),
    };
    Some(catalogue(&asked.base, asked.issuer.region(), project))
}

/// An answer with status 200.
pub fn answer(body: Value) -> Response {
    ([(header::VARY, "X-Auth-Token")], Json(body)).into_response()
}

fn with_token(status: StatusCode, body: Value, token: &str) -> Response {
    let mut response = (status, answer(body)).into_response();
    if let Ok(mut value) = HeaderValue::from_str(token) {
        value.set_sensitive(true);
        response.headers_mut().insert(SUBJECT_TOKEN, value);
    }
    response
}
