//! The routes of the embedded identity (iam.md sections 1 to 3). With an outside Keystone they are not there (404).

mod applications;
mod asked;
mod body;
mod directory;
mod fault;
mod request;
mod signed;
mod tokens;

use axum::{
    extract::{Request, State},
    response::Response,
};

use asked::Asked;
pub use asked::At;
pub(crate) use body::version as version_entry;
use fault::Fault;
pub use fault::error_answer;

use crate::route::{Answer, Route, Surface};

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
    /// `POST /v3/users/{id}/application_credentials`
    make_application_credential = applications::create;
    /// `GET /v3/users/{id}/application_credentials`
    list_application_credentials = applications::list;
    /// `GET /v3/users/{id}/application_credentials/{credential}`
    show_application_credential = applications::show;
    /// `DELETE /v3/users/{id}/application_credentials/{credential}`
    end_application_credential = applications::delete;
}

/// The routes for the table. GET stands for HEAD too; who may ask is decided by each handler, since these routes make and
/// examine the tokens that the others ask for.
pub fn routes() -> Vec<Route> {
    use Answer::{Json, Nothing};

    macro_rules! route {
        ($method:ident $path:literal, $handler:ident, $summary:literal, $answer:expr) => {
            Route::plain(
                Surface::Identity,
                concat!(stringify!($method), " ", $path),
                (concat!("identity_", stringify!($handler)), $summary),
                $answer,
                $handler,
            )
        };
    }

    vec![
        route!(GET "/v3", version, "The identity API's version", Json(200, "version")),
        Route { operation: "identity_version_slash", ..route!(GET "/v3/", version, "The same", Json(200, "version")) },
        route!(POST "/v3/auth/tokens", issue_token, "Log in, or exchange a token for another scope", Json(201, "token"))
            .asks(&["nocatalog"]),
        route!(GET "/v3/auth/tokens", show_token, "What the token in X-Subject-Token says", Json(200, "token"))
            .asks(&["nocatalog"]),
        route!(DELETE "/v3/auth/tokens", revoke_token, "Revoke the token in X-Subject-Token", Nothing),
        route!(GET "/v3/auth/catalog", show_catalogue, "The caller's service catalogue", Json(200, "catalog")),
        route!(GET "/v3/auth/projects", list_own_projects, "Projects the caller has a role on", Json(200, "projects")),
        route!(GET "/v3/auth/domains", list_own_domains, "Domains the caller has a role on", Json(200, "domains")),
        route!(GET "/v3/projects", list_projects, "Projects that the caller sees", Json(200, "projects"))
            .asks(&["name", "domain_id", "parent_id", "enabled", "is_domain"]),
        route!(GET "/v3/projects/{id}", show_project, "A project", Json(200, "project")),
        route!(GET "/v3/domains", list_domains, "Domains that the caller sees", Json(200, "domains"))
            .asks(&["name", "enabled"]),
        route!(GET "/v3/domains/{id}", show_domain, "A domain", Json(200, "domain")),
        route!(GET "/v3/users", list_users, "Users that the caller sees", Json(200, "users"))
            .asks(&["name", "domain_id", "enabled"]),
        route!(GET "/v3/users/{id}", show_user, "A user", Json(200, "user")),
        route!(GET "/v3/users/{id}/projects", list_projects_of_user, "Projects a user has a role on", Json(200, "projects")),
        route!(POST "/v3/users/{id}/application_credentials", make_application_credential,
            "Make an application credential; the answer has its secret, once", Json(201, "application_credential")),
        route!(GET "/v3/users/{id}/application_credentials", list_application_credentials,
            "The user's application credentials", Json(200, "application_credentials")).asks(&["name"]),
        route!(GET "/v3/users/{id}/application_credentials/{credential}", show_application_credential,
            "An application credential", Json(200, "application_credential")),
        route!(DELETE "/v3/users/{id}/application_credentials/{credential}", end_application_credential,
            "End an application credential with its tokens", Nothing),
        route!(GET "/v3/roles", list_roles, "All roles, for admins", Json(200, "roles")).asks(&["name"]),
    ]
}
