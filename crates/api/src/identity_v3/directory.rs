//! Projects, domains, users and roles, for reading: what `openstack project list` and its like ask for.
//!
//! A bearer sees what is its own; one with the role `admin` sees all. What it may not see does not exist for it (404).

use axum::response::Response;
use foggara_identity::{
    Identified,
    issuer::{Domain, Project, User},
};
use serde_json::json;

use super::{
    asked::{Asked, is_admin},
    body,
    fault::Fault,
    signed,
    tokens::answer,
};

/// `GET /v3/projects`, with the filters `name`, `domain_id`, `enabled` and `is_domain`.
pub async fn projects(asked: &Asked) -> Result<Response, Fault> {
    if let Some(signer) = asked.signer().await? {
        return signed::projects(asked, &signer, asked.parameter("name").as_deref()).await;
    }
    let bearer = asked.bearer().await?;
    let mut projects = visible_projects(asked, &bearer).await?;
    projects.retain(|project| {
        is(asked, "name", &project.name)
            && is(asked, "domain_id", &project.domain.id)
            && is(asked, "parent_id", &project.domain.id)
            && truth(asked, "enabled", true)
            && truth(asked, "is_domain", false)
    });
    let projects = projects.iter().map(|project| body::project(project, &asked.base)).collect();
    Ok(answer(body::list("projects", projects, &asked.base, &asked.link())))
}

/// `GET /v3/projects/{id}`.
pub async fn project(asked: &Asked) -> Result<Response, Fault> {
    let bearer = asked.bearer().await?;
    let id = asked.segment(1);
    let projects = visible_projects(asked, &bearer).await?;
    let found = projects.iter().find(|project| project.id.as_str() == id);
    let found = found.ok_or_else(|| Fault::NotFound(format!("Could not find project: {id}.")))?;
    Ok(answer(json!({"project": body::project(found, &asked.base)})))
}

/// `GET /v3/users/{id}/projects`: where a user holds a role.
pub async fn projects_of_user(asked: &Asked) -> Result<Response, Fault> {
    let bearer = asked.bearer().await?;
    let id = asked.segment(1);
    if id != bearer.user.id && !is_admin(&bearer) {
        return Err(Fault::Forbidden("identity:list_user_projects"));
    }
    let projects = asked.issuer.projects_of(&id).await?;
    let projects = projects.iter().map(|project| body::project(project, &asked.base)).collect();
    Ok(answer(body::list("projects", projects, &asked.base, &asked.link())))
}

/// `GET /v3/domains`, with the filters `name` and `enabled`.
pub async fn domains(asked: &Asked) -> Result<Response, Fault> {
    let bearer = asked.bearer().await?;
    let mut domains = visible_domains(asked, &bearer).await?;
    domains.retain(|domain| is(asked, "name", &domain.name) && truth(asked, "enabled", true));
    let domains = domains.iter().map(|domain| body::domain(domain, &asked.base)).collect();
    Ok(answer(body::list("domains", domains, &asked.base, &asked.link())))
}

/// `GET /v3/domains/{id}`.
pub async fn domain(asked: &Asked) -> Result<Response, Fault> {
    let bearer = asked.bearer().await?;
    let id = asked.segment(1);
    let domains = visible_domains(asked, &bearer).await?;
    let found = domains.iter().find(|domain| domain.id == id);
    let found = found.ok_or_else(|| Fault::NotFound(format!("Could not find domain: {id}.")))?;
    Ok(answer(json!({"domain": body::domain(found, &asked.base)})))
}

/// `GET /v3/users`, with the filters `name`, `domain_id` and `enabled`.
pub async fn users(asked: &Asked) -> Result<Response, Fault> {
    let bearer = asked.bearer().await?;
    let mut users = visible_users(asked, &bearer).await?;
    users.retain(|user| {
        is(asked, "name", &user.name)
            && is(asked, "domain_id", &user.domain.id)
            && truth(asked, "enabled", user.enabled)
    });
    let users = users.iter().map(|user| body::user(user, &asked.base)).collect();
    Ok(answer(body::list("users", users, &asked.base, &asked.link())))
}

/// `GET /v3/users/{id}`.
pub async fn user(asked: &Asked) -> Result<Response, Fault> {
    let bearer = asked.bearer().await?;
    let id = asked.segment(1);
    let users = visible_users(asked, &bearer).await?;
    let found = users.iter().find(|user| user.id.as_str() == id);
    let found = found.ok_or_else(|| Fault::NotFound(format!("Could not find user: {id}.")))?;
    Ok(answer(json!({"user": body::user(found, &asked.base)})))
}

/// `GET /v3/roles`, with the filter `name`; for admins.
pub async fn roles(asked: &Asked) -> Result<Response, Fault> {
    if !is_admin(&asked.bearer().await?) {
        return Err(Fault::Forbidden("identity:list_roles"));
    }
    let mut roles = asked.issuer.roles().await?;
    roles.retain(|role| is(asked, "name", &role.name));
    let roles = roles.iter().map(|role| body::role(role, &asked.base)).collect();
    Ok(answer(body::list("roles", roles, &asked.base, &asked.link())))
}

async fn visible_projects(asked: &Asked, bearer: &Identified) -> Result<Vec<Project>, Fault> {
    Ok(if is_admin(bearer) {
        asked.issuer.projects().await?
    } else {
        asked.issuer.projects_of(&bearer.user.id).await?
    })
}

/// Of domains the bearer sees those on which it holds a role, and its own, by whose name clients look things up.
async fn visible_domains(asked: &Asked, bearer: &Identified) -> Result<Vec<Domain>, Fault> {
    let mut domains = asked.issuer.domains().await?;
    if !is_admin(bearer) {
        let held = asked.issuer.domains_of(&bearer.user.id).await?;
        domains.retain(|domain| domain.id == bearer.user.domain_id || held.contains(domain));
    }
    Ok(domains)
}

async fn visible_users(asked: &Asked, bearer: &Identified) -> Result<Vec<User>, Fault> {
    let mut users = asked.issuer.users().await?;
    if !is_admin(bearer) {
        users.retain(|user| user.id.as_str() == bearer.user.id);
    }
    Ok(users)
}

/// Whether a filter is absent or names the value.
fn is(asked: &Asked, name: &str, value: &str) -> bool {
    asked.parameter(name).is_none_or(|wanted| wanted == value)
}

/// The same for a boolean. As in Keystone, a filter without a value means true.
fn truth(asked: &Asked, name: &str, value: bool) -> bool {
    let falsehood = |word: &str| ["0", "false", "no", "off", "f", "n"].contains(&word.to_ascii_lowercase().as_str());
    asked.parameter(name).is_none_or(|wanted| falsehood(&wanted) != value)
}
