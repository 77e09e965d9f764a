//! The JSON of Keystone: what is sent to log in, and what a token's answer says.

use foggara_domain::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Catalogue, Settings, Validated};
use crate::{Identified, Named, Role, Scope};

/// What our own token is to be for.
#[derive(Clone, Copy)]
pub(super) enum Target<'a> {
    /// The service project.
    Service,
    /// What a trust delegates to us.
    Trust(&'a str),
}

/// The body of the service user's log-in. It bears the password.
pub(super) fn login(settings: &Settings, target: Target<'_>) -> Value {
    let scope = match target {
        Target::Service => json!({"project": {"name": settings.project, "domain": {"name": settings.project_domain}}}),
        Target::Trust(id) => json!({"OS-TRUST:trust": {"id": id}}),
    };
    let user = json!({
        "name": settings.username,
        "domain": {"name": settings.user_domain},
        "password": settings.password.reveal(),
    });
    json!({"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}})
}

/// What Keystone says of a token; nothing when this is no such answer.
pub(super) fn validated(body: &[u8]) -> Option<Validated> {
    let Answer { token } = serde_json::from_slice(body).ok()?;
    let scope = match (token.project, token.domain) {
        (Some(project), _) => Scope::Project(project.named()?),
        (None, Some(domain)) => Scope::Domain { id: filled(domain.id)?, name: domain.name },
        // A token for the whole system gives no right on any project or domain: here it only says who the user is.
        (None, None) => Scope::Unscoped,
    };
    let mut roles: Vec<Role> = match scope {
        Scope::Unscoped => Vec::new(),
        _ => token.roles.unwrap_or_default().into_iter().map(|role| Role { id: role.id, name: role.name }).collect(),
    };
    // Keystone lists them in no order, not even in the same twice.
    roles.sort_by(|one, other| one.name.cmp(&other.name));
    let expires_at = Timestamp::parse(&token.expires_at)?;
    let identified = Identified {
        user: token.user.named()?,
        scope,
        roles,
        methods: token.methods.unwrap_or_default(),
        audit_ids: token.audit_ids.unwrap_or_default(),
        credential: None,
        issued_at: Timestamp::parse(&token.issued_at)?,
        expires_at,
    };
    Some(Validated { identified, catalogue: token.catalog.unwrap_or_default() })
}

/// Whether the body is an error of Keystone with this code: a proxy or a wrong address answers 404 as well, but not so.
pub(super) fn is_error(body: &[u8], code: u16) -> bool {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    body.pointer("/error/code").and_then(Value::as_u64) == Some(u64::from(code))
}

/// The body that creates a trust.
pub(super) fn trust(trustor: &str, trustee: &str, project: &str, roles: &[String]) -> Value {
    let roles: Vec<Value> = roles.iter().map(|name| json!({"name": name})).collect();
    json!({"trust": {
        "trustor_user_id": trustor,
        "trustee_user_id": trustee,
        "project_id": project,
        "impersonation": true,
        "roles": roles,
    }})
}

/// The id in the answer to it.
pub(super) fn trust_id(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    body.pointer("/trust/id").and_then(Value::as_str).filter(|id| !id.is_empty()).map(str::to_owned)
}

#[derive(Deserialize)]
struct Answer {
    token: Token,
}

#[derive(Deserialize)]
struct Token {
    user: Owned,
    project: Option<Owned>,
    domain: Option<Plain>,
    roles: Option<Vec<Plain>>,
    methods: Option<Vec<String>>,
    audit_ids: Option<Vec<String>>,
    issued_at: String,
    expires_at: String,
    catalog: Option<Catalogue>,
}

#[derive(Deserialize)]
struct Owned {
    id: String,
    name: String,
    domain: Plain,
}

#[derive(Deserialize)]
struct Plain {
    id: String,
    #[serde(default)]
    name: String,
}

impl Owned {
    fn named(self) -> Option<Named> {
        let Plain { id: domain_id, name: domain_name } = self.domain;
        Some(Named { id: filled(self.id)?, name: self.name, domain_id, domain_name })
    }
}

/// An empty id would make everybody the same.
fn filled(id: String) -> Option<String> {
    Some(id).filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(changes: Value) -> Vec<u8> {
        let mut token = json!({
            "methods": ["password"], "audit_ids": ["a"],
            "user": {"id": "u1", "name": "ada", "domain": {"id": "default", "name": "Default"}},
            "issued_at": "2024-01-02T03:04:05.000000Z", "expires_at": "2024-01-02T04:04:05.000000Z",
        });
        if let (Some(token), Value::Object(changes)) = (token.as_object_mut(), changes) {
            token.extend(changes);
        }
        json!({"token": token}).to_string().into_bytes()
    }

    #[test]
    fn scopes() {
        let project = json!({"id": "p1", "name": "demo", "domain": {"id": "default", "name": "Default"}});
        let roles = json!([{"id": "r1", "name": "member"}]);
        let seen = validated(&body(json!({"project": project, "roles": roles}))).expect("a token").identified;
        assert!(matches!(&seen.scope, Scope::Project(project) if project.id == "p1" && project.name == "demo"));
        assert!(seen.has_role("member"));
        let seen = validated(&body(json!({"domain": {"id": "d1", "name": "D"}, "roles": roles}))).expect("a token");
        assert_eq!(seen.identified.scope, Scope::Domain { id: "d1".to_owned(), name: "D".to_owned() });
        let seen = validated(&body(json!({"roles": null, "catalog": null}))).expect("a token");
        assert_eq!(seen.identified.scope, Scope::Unscoped);
    }

    #[test]
    fn a_token_for_the_system_gives_no_role() {
        let roles = json!([{"id": "r1", "name": "admin"}]);
        let seen = validated(&body(json!({"system": {"all": true}, "roles": roles}))).expect("a token");
        assert_eq!(seen.identified.scope, Scope::Unscoped);
        assert!(seen.identified.roles.is_empty());
    }

    #[test]
    fn what_is_no_answer_is_none() {
        for bad in [
            json!({"user": null}),
            json!({"user": {"id": "", "name": "x", "domain": {"id": "d", "name": "D"}}}),
            json!({"project": {"id": "", "name": "x", "domain": {"id": "d", "name": "D"}}}),
            json!({"expires_at": "tomorrow"}),
            json!({"project": "p1"}),
        ] {
            assert_eq!(validated(&body(bad.clone())), None, "{bad}");
        }
        for bad in ["", "{}", "[]", "null", "<html>", "{\"token\": {}}"] {
            assert_eq!(validated(bad.as_bytes()), None, "{bad}");
        }
    }
}
