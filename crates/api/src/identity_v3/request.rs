//! Reads the body of `POST /v3/auth/tokens` (iam.md section 2).

use foggara_domain::Secret;
use foggara_identity::issuer::{ApplicationRef, DomainRef, Login, Method, ProjectRef, UserRef, WantedScope};
use serde_json::{Map, Value};

use super::fault::Fault;

type Object = Map<String, Value>;

/// A request for a token out of its body.
///
/// # Errors
/// 400 for what is not the shape of the wire, 401 for methods and scopes that this server does not have.
pub fn login(body: &[u8]) -> Result<Login, Fault> {
    let body: Value = serde_json::from_slice(body).map_err(|_| expecting("valid JSON", "the request body"))?;
    let body = body.as_object().ok_or_else(|| expecting("a JSON object", "the request body"))?;
    let auth = object(body, "auth", "the request body")?;
    let identity = object(auth, "identity", "auth")?;
    let words = identity.get("methods").ok_or_else(|| expecting("methods", "identity"))?;
    let words = words.as_array().filter(|words| !words.is_empty());
    let words = words.ok_or_else(|| wrong("identity/methods", "a list with at least one method"))?;
    let mut methods = Vec::new();
    for word in words {
        let word = word.as_str().ok_or_else(|| wrong("identity/methods", "a list of strings"))?;
        let next = match word {
            "password" => password(object(identity, "password", "identity")?)?,
            "token" => Method::Token(Secret::new(string(object(identity, "token", "identity")?, "id", "token")?)),
            "application_credential" => application(object(identity, "application_credential", "identity")?)?,
            _ => return Err(Fault::NoSuchMethod),
        };
        // Each method has one object, so a word that stands twice says nothing more.
        if !methods.contains(&next) {
            methods.push(next);
        }
    }
    Ok(Login { methods, scope: scope(auth.get("scope"))? })
}

fn application(method: &Object) -> Result<Method, Fault> {
    let named = match optional(method, "id", "application_credential")? {
        Some(id) => ApplicationRef::Id(id),
        None => {
            let name = string(method, "name", "application_credential")?;
            ApplicationRef::Name(name, user(object(method, "user", "application_credential")?)?)
        }
    };
    Ok(Method::Application(named, Secret::new(string(method, "secret", "application_credential")?)))
}

fn user(user: &Object) -> Result<UserRef, Fault> {
    if let Some(id) = optional(user, "id", "user")? {
        return Ok(UserRef::Id(id));
    }
    let name = string(user, "name", "user")?;
    Ok(UserRef::Name(name, domain(user, "user")?.ok_or_else(|| expecting("domain", "user"))?))
}

fn password(method: &Object) -> Result<Method, Fault> {
    let named = object(method, "user", "password")?;
    Ok(Method::Password(user(named)?, Secret::new(string(named, "password", "user")?)))
}

fn scope(wanted: Option<&Value>) -> Result<WantedScope, Fault> {
    let wanted = match wanted {
        None | Some(Value::Null) => return Ok(WantedScope::Default),
        Some(Value::String(word)) if word == "unscoped" => return Ok(WantedScope::Unscoped),
        Some(Value::Object(wanted)) => wanted,
        Some(_) => return Err(wrong("scope", "an object or the string 'unscoped'")),
    };
    let targets = ["project", "domain", "unscoped", "system", "OS-TRUST:trust"];
    let mut named = targets.into_iter().filter(|target| wanted.contains_key(*target));
    let (Some(target), None) = (named.next(), named.next()) else {
        return Err(expecting("exactly one of project, domain, unscoped or system", "scope"));
    };
    match target {
        "project" => {
            let project = object(wanted, "project", "scope")?;
            Ok(WantedScope::Project(match optional(project, "id", "project")? {
                Some(id) => ProjectRef::Id(id),
                None => ProjectRef::Name(string(project, "name", "project")?, domain(project, "project")?),
            }))
        }
        "domain" => {
            let named = object(wanted, "domain", "scope")?;
            domain_ref(named, "domain")?.map(WantedScope::Domain).ok_or_else(|| expecting("id or name", "domain"))
        }
        "unscoped" => Ok(WantedScope::Unscoped),
        "system" => match object(wanted, "system", "scope")?.get("all") {
            Some(Value::Bool(true)) => Ok(WantedScope::System),
            _ => Err(wrong("scope/system/all", "true")),
        },
        // Trusts come with an outside Keystone; here none exists, so none can be used.
        _ => Err(Fault::Unauthorized),
    }
}

/// The member `domain` of a user or project.
fn domain(of: &Object, target: &str) -> Result<Option<DomainRef>, Fault> {
    match of.get("domain") {
        None | Some(Value::Null) => Ok(None),
        Some(_) => domain_ref(object(of, "domain", target)?, "domain"),
    }
}

fn domain_ref(named: &Object, target: &str) -> Result<Option<DomainRef>, Fault> {
    if let Some(id) = optional(named, "id", target)? {
        return Ok(Some(DomainRef::Id(id)));
    }
    Ok(optional(named, "name", target)?.map(DomainRef::Name))
}

fn object<'a>(of: &'a Object, member: &str, target: &str) -> Result<&'a Object, Fault> {
    let found = of.get(member).ok_or_else(|| expecting(member, target))?;
    found.as_object().ok_or_else(|| wrong(&format!("{target}/{member}"), "an object"))
}

fn string(of: &Object, member: &str, target: &str) -> Result<String, Fault> {
    optional(of, member, target)?.ok_or_else(|| expecting(member, target))
}

fn optional(of: &Object, member: &str, target: &str) -> Result<Option<String>, Fault> {
    match of.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        // What was sent is not repeated: it may be a password of a wrong type.
        Some(_) => Err(wrong(&format!("{target}/{member}"), "a string")),
    }
}

const MALFORMED: &str = "The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.";

fn expecting(attribute: &str, target: &str) -> Fault {
    Fault::BadRequest(format!("Expecting to find {attribute} in {target}. {MALFORMED}"))
}

fn wrong(path: &str, kind: &str) -> Fault {
    Fault::BadRequest(format!("Invalid input for field '{path}': it must be {kind}."))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: &Value) -> Result<Login, Fault> {
        login(body.to_string().as_bytes())
    }

    fn with_scope(scope: Value) -> Result<WantedScope, Fault> {
        let user = json!({"id": "u", "password": "p"});
        let identity = json!({"methods": ["password"], "password": {"user": user}});
        read(&json!({"auth": {"identity": identity, "scope": scope}})).map(|login| login.scope)
    }

    fn user(user: &Value) -> Result<Vec<Method>, Fault> {
        let identity = json!({"methods": ["password"], "password": {"user": user}});
        read(&json!({"auth": {"identity": identity}})).map(|login| login.methods)
    }

    #[test]
    fn users_by_id_and_by_name() {
        let secret = || Secret::new("p");
        assert_eq!(
            user(&json!({"id": "u", "password": "p"})),
            Ok(vec![Method::Password(UserRef::Id("u".into()), secret())])
        );
        let named = |domain| UserRef::Name("n".into(), domain);
        assert_eq!(
            user(&json!({"name": "n", "domain": {"id": "default"}, "password": "p"})),
            Ok(vec![Method::Password(named(DomainRef::Id("default".into())), secret())])
        );
        assert_eq!(
            user(&json!({"name": "n", "domain": {"name": "Default"}, "password": "p"})),
            Ok(vec![Method::Password(named(DomainRef::Name("Default".into())), secret())])
        );
        let Err(Fault::BadRequest(message)) = user(&json!({"name": "n", "password": "p"})) else { panic!("accepted") };
        assert!(message.starts_with("Expecting to find domain in user. The server could not comply"), "{message}");
    }

    #[test]
    fn every_scope_of_the_wire() {
        assert_eq!(with_scope(Value::Null), Ok(WantedScope::Default));
        assert_eq!(with_scope(json!("unscoped")), Ok(WantedScope::Unscoped));
        assert_eq!(with_scope(json!({"unscoped": {}})), Ok(WantedScope::Unscoped));
        let project = |named| Ok(WantedScope::Project(named));
        assert_eq!(with_scope(json!({"project": {"id": "p"}})), project(ProjectRef::Id("p".into())));
        assert_eq!(
            with_scope(json!({"project": {"name": "p", "domain": {"name": "Default"}}})),
            project(ProjectRef::Name("p".into(), Some(DomainRef::Name("Default".into()))))
        );
        assert_eq!(with_scope(json!({"project": {"name": "p"}})), project(ProjectRef::Name("p".into(), None)));
        assert_eq!(with_scope(json!({"domain": {"id": "d"}})), Ok(WantedScope::Domain(DomainRef::Id("d".into()))));
        assert_eq!(with_scope(json!({"system": {"all": true}})), Ok(WantedScope::System));
        assert!(matches!(with_scope(json!({"system": {"all": false}})), Err(Fault::BadRequest(_))));
        for two in [json!({"project": {"id": "p"}, "domain": {"id": "d"}}), json!({}), json!(7), json!("scoped")] {
            assert!(matches!(with_scope(two.clone()), Err(Fault::BadRequest(_))), "{two}");
        }
    }

    #[test]
    fn a_body_of_another_shape_is_a_bad_request() {
        for body in [
            json!(null),
            json!([]),
            json!({}),
            json!({"auth": null}),
            json!({"auth": {"identity": {}}}),
            json!({"auth": {"identity": {"methods": []}}}),
            json!({"auth": {"identity": {"methods": "password"}}}),
            json!({"auth": {"identity": {"methods": [1]}}}),
            json!({"auth": {"identity": {"methods": ["password"]}}}),
            json!({"auth": {"identity": {"methods": ["password"], "password": {"user": {"id": "u"}}}}}),
            json!({"auth": {"identity": {"methods": ["password"], "password": {"user": {"id": 1, "password": "p"}}}}}),
            json!({"auth": {"identity": {"methods": ["token"], "token": {}}}}),
        ] {
            assert!(matches!(read(&body), Err(Fault::BadRequest(_))), "{body}");
        }
        assert!(matches!(login(b"{"), Err(Fault::BadRequest(_))));
        assert!(matches!(login(b"\xff"), Err(Fault::BadRequest(_))));
    }

    #[test]
    fn methods_that_are_not_here_are_refused_by_name() {
        let identity = json!({"methods": ["totp"], "totp": {}});
        assert_eq!(read(&json!({"auth": {"identity": identity}})), Err(Fault::NoSuchMethod));
    }

    #[test]
    fn application_credentials_by_id_and_by_name() {
        let asked = |credential: Value| {
            let identity = json!({"methods": ["application_credential"], "application_credential": credential});
            read(&json!({"auth": {"identity": identity}})).map(|login| login.methods)
        };
        let method = |named| Ok(vec![Method::Application(named, Secret::new("s"))]);
        assert_eq!(asked(json!({"id": "i", "secret": "s"})), method(ApplicationRef::Id("i".into())));
        let by_name = json!({"name": "n", "user": {"id": "u"}, "secret": "s"});
        assert_eq!(asked(by_name), method(ApplicationRef::Name("n".into(), UserRef::Id("u".into()))));
        assert!(matches!(asked(json!({"name": "n", "secret": "s"})), Err(Fault::BadRequest(_))));
        assert!(matches!(asked(json!({"id": "i"})), Err(Fault::BadRequest(_))));
    }

    #[test]
    fn a_wrong_password_type_is_not_repeated() {
        let Err(Fault::BadRequest(message)) = user(&json!({"id": "u", "password": ["hunter2"]})) else {
            panic!("accepted")
        };
        assert!(!message.contains("hunter2"));
    }
}
