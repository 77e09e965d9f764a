//! The routes of the embedded identity (iam.md sections 1 to 3). With an outside Keystone they are not there (404).

mod asked;
mod body;
mod directory;
mod fault;
mod request;
mod tokens;

use axum::{
    extract::{Request, State},
    response::Response,
};

use asked::Asked;
pub use asked::At;
use fault::Fault;

/// `GET /v3` and `/v3/`: what is here, for everybody.
async fn show_version(asked: &Asked) -> Result<Response, Fault> {
    Ok(tokens::answer(serde_json::json!({"version": body::version(&asked.base)})))
}

macro_rules! handlers {
    ($($(#[$doc:meta])* $name:ident = $act:path;)*) => { $(
        $(#[$doc])*
        pub async fn $name(State(at): State<At>, request: Request) -> Response {
            match Asked::new(&at, request).await {
                Ok(asked) => $act(&asked).await.unwrap_or_else(|fault| fault.answer(&asked.base)),
                Err((fault, base)) => fault.answer(&base),
            }
        }
    )* };
}

handlers! {
    /// `GET /v3`
    version = show_version;
    /// `POST /v3/auth/tokens`
    issue_token = tokens::issue;
    /// `GET /v3/auth/tokens`
    show_token = tokens::show;
    /// `DELETE /v3/auth/tokens`
    revoke_token = tokens::revoke;
    /// `GET /v3/auth/catalog`
    show_catalogue = tokens::show_catalogue;
    /// `GET /v3/auth/projects`
    list_own_projects = tokens::projects;
    /// `GET /v3/auth/domains`
    list_own_domains = tokens::domains;
    /// `GET /v3/projects`
    list_projects = directory::projects;
    /// `GET /v3/projects/{id}`
    show_project = directory::project;
    /// `GET /v3/domains`
    list_domains = directory::domains;
    /// `GET /v3/domains/{id}`
    show_domain = directory::domain;
    /// `GET /v3/users`
    list_users = directory::users;
    /// `GET /v3/users/{id}`
    show_user = directory::user;
    /// `GET /v3/users/{id}/projects`
    list_projects_of_user = directory::projects_of_user;
    /// `GET /v3/roles`
    list_roles = directory::roles;
}
