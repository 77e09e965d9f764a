//! The embedded identity over HTTP: log in, examine, rescope, revoke, limits.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{World, member_of};

fn login(user: &str, password: &str) -> Vec<u8> {
    let user = json!({"name": user, "domain": {"id": "default"}, "password": password});
    json!({"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}}).to_string().into_bytes()
}

#[tokio::test]
async fn a_token_is_examined_exchanged_and_revoked() -> Result<()> {
    let world = World::plain().await?;
    let subject = [("X-Subject-Token", world.api.token.as_str())];
    let seen = world.api.raw(Method::GET, "/v3/auth/tokens", &subject, None).await?.expect(200)?;
    assert_eq!(seen["token"]["project"]["name"], "demo");
    let types: Vec<&str> = seen["token"]["catalog"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|service| service["type"].as_str())
        .collect();
    for wanted in ["identity", "data-processing", "data_processing", "mapreduce", "mrs"] {
        assert!(types.contains(&wanted), "{types:?}");
    }
    let body = json!({"auth": {"identity": {"methods": ["token"], "token": {"id": world.api.token}},
        "scope": {"project": {"id": world.api.project}}}});
    let answer = world.api.raw(Method::POST, "/v3/auth/tokens", &[], Some(body.to_string().into_bytes())).await?;
    let exchanged = answer.headers.get("x-subject-token").context("no token")?.to_str()?.to_owned();
    let other = answer.expect(201)?;
    assert_eq!(other["token"]["expires_at"], seen["token"]["expires_at"], "the old end is kept");
    let gone = [("X-Subject-Token", exchanged.as_str())];
    world.api.raw(Method::DELETE, "/v3/auth/tokens", &gone, None).await?.expect(204)?;
    let path = format!("/v1.1/{}/jobs", world.api.project);
    let answer = world.api.raw(Method::GET, &path, &[("X-Auth-Token", exchanged.as_str())], None).await?;
    assert_eq!(answer.status.as_u16(), 401);
    assert_eq!(world.api.raw(Method::GET, &path, &[], None).await?.status.as_u16(), 200);
    Ok(())
}

#[tokio::test]
async fn wrong_passwords_are_counted_per_user() -> Result<()> {
    let world = World::plain().await?;
    member_of(&world.server, "other", "member").await?;
    let mut last = Value::Null;
    for number in 0..6 {
        let answer = world.api.raw(Method::POST, "/v3/auth/tokens", &[], Some(login("user-of-other", "wrong"))).await?;
        let wanted = if number < 5 { 401 } else { 429 };
        assert_eq!(answer.status.as_u16(), wanted, "try {number}: {}", answer.text());
        if wanted == 429 {
            assert!(answer.headers.contains_key("retry-after"));
        }
        last = answer.json();
    }
    assert_eq!(last["error"]["code"], 429);
    // Another user is not affected.
    let answer =
        world.api.raw(Method::POST, "/v3/auth/tokens", &[], Some(login("admin", &world.server.password()?))).await?;
    assert_eq!(answer.status.as_u16(), 201);
    Ok(())
}

#[tokio::test]
async fn a_removed_user_is_out() -> Result<()> {
    let world = World::plain().await?;
    let other = member_of(&world.server, "other", "member").await?;
    other.get("/jobs").await?;
    world.server.must_run(&["user", "remove", "user-of-other"])?;
    assert_eq!(other.call(Method::GET, "/jobs", None).await?.status.as_u16(), 401);
    Ok(())
}

#[tokio::test]
async fn the_token_of_no_project_opens_nothing() -> Result<()> {
    let world = World::plain().await?;
    let mut body: Value = serde_json::from_slice(&login("admin", &world.server.password()?))?;
    body["auth"]["scope"] = json!("unscoped");
    let answer = world.api.raw(Method::POST, "/v3/auth/tokens", &[], Some(body.to_string().into_bytes())).await?;
    let token = answer.headers.get("x-subject-token").context("no token")?.to_str()?.to_owned();
    let answer = world.api.raw(Method::GET, "/v1.1/jobs", &[("X-Auth-Token", &token)], None).await?;
    assert_eq!(answer.status.as_u16(), 503, "{}", answer.text());
    Ok(())
}
