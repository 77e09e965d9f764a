//! The JSON of tokens, projects, domains, users and roles, as Keystone writes it (iam.md sections 1 to 3).

use foggara_domain::Timestamp;
use foggara_identity::{
    Identified, Named, Scope,
    catalogue::Service,
    issuer::{ApplicationCredential, Domain, Project, Role, User},
};
use serde_json::{Map, Value, json};

/// The document of version 3.
pub fn version(base: &str) -> Value {
    json!({
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": format!("{base}/v3/")}],
        "media-types": [{
            "base": "application/json",
            "type": "application/vnd.openstack.identity-v3+json",
        }],
    })
}

/// `{"token": ..}`. `catalogue` is left out on `?nocatalog` and for tokens without a scope.
pub fn token(identified: &Identified, catalogue: Option<Vec<Service>>) -> Value {
    let mut user = in_domain(&identified.user);
    user["password_expires_at"] = Value::Null;
    let mut token = Map::new();
    token.insert("methods".into(), json!(identified.methods));
    token.insert("user".into(), user);
    token.insert("audit_ids".into(), json!(identified.audit_ids));
    token.insert("expires_at".into(), json!(identified.expires_at.keystone()));
    token.insert("issued_at".into(), json!(identified.issued_at.keystone()));
    match &identified.scope {
        Scope::Unscoped => {}
        Scope::Domain { id, name } => {
            token.insert("domain".into(), json!({"id": id, "name": name}));
        }
        Scope::Project(project) => {
            token.insert("project".into(), in_domain(project));
            token.insert("is_domain".into(), json!(false));
        }
        Scope::System => {
            token.insert("system".into(), json!({"all": true}));
        }
    }
    if let Some(credential) = &identified.credential {
        let shown = json!({"id": credential.id, "name": credential.name, "restricted": credential.restricted});
        token.insert("application_credential".into(), shown);
    }
    if identified.scope != Scope::Unscoped {
        let roles = identified.roles.iter().map(|role| json!({"id": role.id, "name": role.name}));
        token.insert("roles".into(), roles.collect());
        if let Some(catalogue) = catalogue {
            token.insert("catalog".into(), json!(catalogue));
        }
    }
    json!({"token": token})
}

fn in_domain(named: &Named) -> Value {
    json!({
        "id": named.id,
        "name": named.name,
        "domain": {"id": named.domain_id, "name": named.domain_name},
    })
}

/// A list under its key, with its links. `path` begins with `/v3/`.
pub fn list(key: &str, items: Vec<Value>, base: &str, path: &str) -> Value {
    json!({key: items, "links": {"next": null, "self": format!("{base}{path}"), "previous": null}})
}

/// A project.
pub fn project(project: &Project, base: &str) -> Value {
    json!({
        "id": project.id,
        "name": project.name,
        "domain_id": project.domain.id,
        "description": project.description,
        "enabled": true,
        "parent_id": project.domain.id,
        "is_domain": false,
        "tags": [],
        "options": {},
        "links": {"self": format!("{base}/v3/projects/{}", project.id)},
    })
}

/// A domain.
pub fn domain(domain: &Domain, base: &str) -> Value {
    json!({
        "id": domain.id,
        "name": domain.name,
        "description": "",
        "enabled": true,
        "tags": [],
        "options": {},
        "links": {"self": format!("{base}/v3/domains/{}", domain.id)},
    })
}

/// A user, without anything about its password.
pub fn user(user: &User, base: &str) -> Value {
    let mut value = json!({
        "id": user.id,
        "name": user.name,
        "domain_id": user.domain.id,
        "enabled": user.enabled,
        "password_expires_at": null,
        "options": {},
        "links": {"self": format!("{base}/v3/users/{}", user.id)},
    });
    if let Some(project) = &user.default_project {
        value["default_project_id"] = json!(project);
    }
    value
}

/// A role.
pub fn role(role: &Role, base: &str) -> Value {
    json!({
        "id": role.id,
        "name": role.name,
        "domain_id": null,
        "description": null,
        "options": {},
        "links": {"self": format!("{base}/v3/roles/{}", role.id)},
    })
}

/// An application credential, without its secret.
pub fn application(credential: &ApplicationCredential, roles: &[Role], base: &str) -> Value {
    let path = format!("{base}/v3/users/{}/application_credentials/{}", credential.user, credential.id);
    json!({
        "id": credential.id,
        "name": credential.name,
        "description": credential.description,
        "user_id": credential.user,
        "project_id": credential.project,
        "roles": roles.iter().map(|role| json!({"id": role.id, "name": role.name, "domain_id": null})).collect::<Vec<_>>(),
        "unrestricted": credential.unrestricted,
        "expires_at": credential.expires_at.map(Timestamp::keystone),
        "system": null,
        "links": {"self": path},
    })
}

#[cfg(test)]
mod tests {
    use foggara_identity::{Role, catalogue::catalogue};

    use super::*;

    fn named(id: &str) -> Named {
        Named { id: id.into(), name: id.into(), domain_id: "default".into(), domain_name: "Default".into() }
    }

    fn identified(scope: Scope) -> Identified {
        let roles =
            if scope == Scope::Unscoped { vec![] } else { vec![Role { id: "r".into(), name: "member".into() }] };
        Identified {
            user: named("u"),
            scope,
            roles,
            methods: vec!["password".into()],
            audit_ids: vec!["a".into()],
            credential: None,
            issued_at: Timestamp::from_micros(1_700_000_000_000_000),
            expires_at: Timestamp::from_micros(1_700_003_600_000_000),
        }
    }

    fn members(value: &Value) -> Vec<&str> {
        value["token"].as_object().expect("an object").keys().map(String::as_str).collect()
    }

    #[test]
    fn a_project_token_has_all_and_an_unscoped_one_little() {
        let catalogue = || Some(catalogue("http://h", "RegionOne", Some("p")));
        let value = token(&identified(Scope::Project(named("p"))), catalogue());
        assert_eq!(
            members(&value),
            ["methods", "user", "audit_ids", "expires_at", "issued_at", "project", "is_domain", "roles", "catalog"]
        );
        assert_eq!(value["token"]["issued_at"], "2023-11-14T22:13:20.000000Z");
        assert_eq!(value["token"]["user"]["password_expires_at"], Value::Null);
        let value = token(&identified(Scope::Unscoped), catalogue());
        assert_eq!(members(&value), ["methods", "user", "audit_ids", "expires_at", "issued_at"]);
        let value = token(&identified(Scope::System), None);
        assert_eq!(value["token"]["system"], json!({"all": true}));
        let value = token(&identified(Scope::Domain { id: "d".into(), name: "D".into() }), None);
        assert_eq!(members(&value), ["methods", "user", "audit_ids", "expires_at", "issued_at", "domain", "roles"]);
    }
}
