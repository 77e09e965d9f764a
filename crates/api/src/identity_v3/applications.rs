//! `/v3/users/{id}/application_credentials`: a user's own, and nobody else's.

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use foggara_domain::{Secret, Timestamp};
use foggara_identity::{
    Identified,
    issuer::{ApplicationCredential, NewApplicationCredential},
};
use serde_json::{Value, json};

use super::{asked::Asked, body, fault::Fault, tokens::answer};

/// The bearer, who must be the user of the path.
async fn owner(asked: &Asked, action: &'static str) -> Result<Identified, Fault> {
    let bearer = asked.bearer().await?;
    if asked.segment(1) == bearer.user.id { Ok(bearer) } else { Err(Fault::Forbidden(action)) }
}

async fn shown(asked: &Asked, credential: &ApplicationCredential) -> Result<Value, Fault> {
    let roles = asked.issuer.named_roles(&credential.roles).await?;
    Ok(body::application(credential, &roles, &asked.base))
}

/// `POST`: the answer has the secret, once.
pub async fn create(asked: &Asked) -> Result<Response, Fault> {
    let bearer = owner(asked, "identity:create_application_credential").await?;
    let (credential, secret) = asked.issuer.make_application(&bearer, read(&asked.body)?).await?;
    let mut shown = shown(asked, &credential).await?;
    shown["secret"] = json!(secret.reveal());
    Ok((StatusCode::CREATED, answer(json!({"application_credential": shown}))).into_response())
}

/// `GET` of all, with the filter `name`.
pub async fn list(asked: &Asked) -> Result<Response, Fault> {
    let bearer = owner(asked, "identity:list_application_credentials").await?;
    let mut items = Vec::new();
    for credential in asked.issuer.applications_of(&bearer.user.id).await? {
        if asked.parameter("name").is_none_or(|name| name == credential.name) {
            items.push(shown(asked, &credential).await?);
        }
    }
    Ok(answer(body::list("application_credentials", items, &asked.base, &asked.link())))
}

/// `GET` of one.
pub async fn show(asked: &Asked) -> Result<Response, Fault> {
    let bearer = owner(asked, "identity:get_application_credential").await?;
    let id = asked.segment(3);
    let all = asked.issuer.applications_of(&bearer.user.id).await?;
    let found = all.iter().find(|credential| credential.id == id).ok_or_else(|| unknown(&id))?;
    Ok(answer(json!({"application_credential": shown(asked, found).await?})))
}

/// `DELETE`: its tokens are refused from now on.
pub async fn delete(asked: &Asked) -> Result<Response, Fault> {
    let bearer = owner(asked, "identity:delete_application_credential").await?;
    let id = asked.segment(3);
    if !asked.issuer.end_application(&bearer.user.id, &id).await? {
        return Err(unknown(&id));
    }
    Ok((StatusCode::NO_CONTENT, [(header::VARY, "X-Auth-Token")]).into_response())
}

fn unknown(id: &str) -> Fault {
    Fault::NotFound(format!("Could not find Application Credential: {id}."))
}

fn read(bytes: &[u8]) -> Result<NewApplicationCredential, Fault> {
    let wrong = |what: &str| Fault::BadRequest(format!("Invalid input for field 'application_credential/{what}'"));
    let body: Value = serde_json::from_slice(bytes).map_err(|_| wrong(": the body is not JSON"))?;
    let given =
        body.get("application_credential").and_then(Value::as_object).ok_or_else(|| wrong(": it is missing"))?;
    let text = |key: &str| match given.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(wrong(&format!("{key}: it must be a string"))),
    };
    let name = text("name")?.filter(|name| !name.trim().is_empty() && name.len() <= 255);
    let role = |role: &Value| {
        let named = role.get("id").or_else(|| role.get("name")).and_then(Value::as_str);
        named.map(str::to_owned).ok_or_else(|| wrong("roles: each has an id or a name"))
    };
    let roles = match given.get("roles") {
        None | Some(Value::Null) => None,
        Some(Value::Array(roles)) if roles.is_empty() => None,
        Some(Value::Array(roles)) => Some(roles.iter().map(role).collect::<Result<_, _>>()?),
        Some(_) => return Err(wrong("roles: it must be a list")),
    };
    let time = |text: String| Timestamp::parse(&text).ok_or_else(|| wrong("expires_at: it must be a time"));
    Ok(NewApplicationCredential {
        name: name.ok_or_else(|| wrong("name: it must have 1 to 255 characters"))?,
        description: text("description")?,
        secret: text("secret")?.map(Secret::new),
        roles,
        unrestricted: given.get("unrestricted").and_then(Value::as_bool).unwrap_or(false),
        expires_at: text("expires_at")?.map(time).transpose()?,
    })
}
