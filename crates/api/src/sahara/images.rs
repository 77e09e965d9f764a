//! `/images`: the registry (sahara-v1.1.md section 9, sahara-v2.md section 3).

use axum::response::Response;
use foggara_app::ops::images::{self, Tagging};
use foggara_domain::image::Image;
use serde_json::{Map, Value, json};

use super::members;
use crate::{call::Call, fault::Outcome, reply};

/// `GET /images?name=&tags=&tags=`
pub async fn list(call: Call) -> Outcome<Response> {
    call.check_params()?;
    let tags: Vec<String> = call.query.all("tags").map(str::to_owned).collect();
    let found = images::list(&call.app, &call.caller, call.query.get("name"), &tags).await?;
    Ok(reply::ok(json!({"images": found.iter().map(show).collect::<Vec<_>>()})))
}

/// `GET /images/{id}`
pub async fn get(call: Call) -> Outcome<Response> {
    let image = images::get(&call.app, &call.caller, call.parameter("id")).await?;
    call.check_params()?;
    Ok(reply::ok(reply::under("image", show(&image))))
}

/// `POST /images/{id}`: register.
pub async fn register(mut call: Call) -> Outcome<Response> {
    let mut body = call.body("image_register")?;
    let username = members::required_text(&mut body, "username");
    let description = members::text(&mut body, "description");
    let image = images::register(&call.app, &call.caller, call.parameter("id"), username, description).await?;
    Ok(reply::accepted(reply::under("image", show(&image))))
}

/// `DELETE /images/{id}`: unregister.
pub async fn unregister(call: Call) -> Outcome<Response> {
    call.check_params()?;
    images::unregister(&call.app, &call.caller, call.parameter("id")).await?;
    Ok(reply::nothing())
}

/// `POST /images/{id}/tag`
pub async fn tag(call: Call) -> Outcome<Response> {
    Ok(reply::accepted(change_tags(call, Tagging::Add).await?))
}

/// `POST /images/{id}/untag`
pub async fn untag(call: Call) -> Outcome<Response> {
    Ok(reply::accepted(change_tags(call, Tagging::Remove).await?))
}

/// `PUT /images/{id}/tags` of v2: answers 200.
pub async fn set_tags(call: Call) -> Outcome<Response> {
    Ok(reply::ok(change_tags(call, Tagging::Set).await?))
}

async fn change_tags(mut call: Call, how: Tagging) -> Outcome<Value> {
    let mut body = call.body("image_tags")?;
    let tags = members::texts(&mut body, "tags");
    let image = images::tag(&call.app, &call.caller, call.parameter("id"), how, tags).await?;
    Ok(reply::under("image", show(&image)))
}

/// `GET /images/{id}/tags` of v2: a bare list, and an empty object where there are none.
pub async fn tags(call: Call) -> Outcome<Response> {
    let image = images::get(&call.app, &call.caller, call.parameter("id")).await?;
    call.check_params()?;
    Ok(reply::ok(if image.tags.is_empty() { json!({}) } else { json!(image.tags) }))
}

/// `DELETE /images/{id}/tags` of v2: all of them.
pub async fn remove_tags(call: Call) -> Outcome<Response> {
    call.check_params()?;
    let id = call.parameter("id");
    images::get(&call.app, &call.caller, id).await?;
    images::tag(&call.app, &call.caller, id, Tagging::Set, Vec::new()).await?;
    Ok(reply::nothing())
}

fn show(image: &Image) -> Value {
    let mut metadata = Map::new();
    metadata.extend(image.username.as_ref().map(|name| ("_sahara_username".to_owned(), json!(name))));
    metadata.extend(image.description.as_ref().map(|text| ("_sahara_description".to_owned(), json!(text))));
    metadata.extend(image.tags.iter().map(|tag| (format!("_sahara_tag_{tag}"), json!("True"))));
    json!({
        "id": image.id,
        "name": image.name,
        "username": image.username.as_deref().unwrap_or_default(),
        "description": image.description.as_deref().unwrap_or_default(),
        "tags": image.tags,
        "status": "ACTIVE",
        "created": image.created_at.sahara(),
        "updated": image.updated_at.unwrap_or(image.created_at).sahara(),
        "minDisk": 0,
        "minRam": 0,
        "progress": 100,
        "metadata": metadata,
        "OS-EXT-IMG-SIZE:size": 0,
    })
}
