//! The look-ups of an SDK that knows a region and an access key, and asks for the ids of its project and its domain
//! (iam.md section 3, decision 11). They are signed, since the SDK has no token.

use axum::response::Response;
use foggara_identity::{Identified, Scope};

use super::{asked::Asked, body, fault::Fault, tokens::answer};

/// The projects that the signer may use. With a name exactly one is answered, since the SDK takes nothing else: the project
/// of that name, and when there is none and the name is our region's, the key's own, as there is one for each region at Huawei.
pub async fn projects(asked: &Asked, signer: &Identified, name: Option<&str>) -> Result<Response, Fault> {
    let mut projects = asked.issuer.projects_of(&signer.user.id).await?;
    if let Some(name) = name {
        let own = match &signer.scope {
            Scope::Project(project) => project.id.as_str(),
            _ => "",
        };
        // A name is unique in its domain only; the user's comes first.
        let found = projects.iter().filter(|project| project.name == name);
        let found = found.min_by_key(|project| project.domain.id != signer.user.domain_id);
        let region = || projects.iter().find(|project| name == asked.issuer.region() && project.id.as_str() == own);
        projects = found.or_else(region).cloned().into_iter().collect();
    }
    let projects = projects.iter().map(|project| body::project(project, &asked.base)).collect();
    Ok(answer(body::list("projects", projects, &asked.base, &asked.link())))
}

/// The domains that the signer belongs to; its own is the first, which is the one that the SDK takes.
pub async fn domains(asked: &Asked, signer: &Identified) -> Result<Response, Fault> {
    let held = asked.issuer.domains_of(&signer.user.id).await?;
    let mut domains = asked.issuer.domains().await?;
    domains.retain(|domain| domain.id == signer.user.domain_id || held.contains(domain));
    domains.sort_by_key(|domain| domain.id != signer.user.domain_id);
    let domains = domains.iter().map(|domain| body::domain(domain, &asked.base)).collect();
    Ok(answer(body::list("domains", domains, &asked.base, &asked.link())))
}
