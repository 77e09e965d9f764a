//! Rights: every route of the document, without a token, with a bad one, and with another project's. A route that is in the
//! document is in this test, so none can be forgotten.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::Value;

use crate::world::{World, member_of};

/// Routes that are open on purpose: versions, health, documents, and the log-in itself.
const OPEN: [&str; 9] =
    ["/", "/healthcheck", "/healthz", "/readyz", "/openapi.json", "/v3", "/v3/", "/docs", "/metrics"];

async fn routes(world: &World) -> Result<Vec<(Method, String)>> {
    let document = world.api.raw(Method::GET, "/openapi.json", &[], None).await?.expect(200)?;
    let paths = document["paths"].as_object().context("no paths")?;
    let mut routes = Vec::new();
    for (path, methods) in paths {
        for method in methods.as_object().context("no methods")?.keys() {
            if let Ok(method) = Method::from_bytes(method.to_uppercase().as_bytes())
                && [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(&method)
            {
                routes.push((method, path.clone()));
            }
        }
    }
    Ok(routes)
}

/// Headers of a signed request whose key does not exist.
fn signed_by_nobody(date: &str) -> [(&'static str, &str); 3] {
    const SIGNATURE: &str = "SDK-HMAC-SHA256 Access=NOBODY, SignedHeaders=host;x-sdk-date, \
                             Signature=0000000000000000000000000000000000000000000000000000000000000000";
    [("X-Auth-Token", ""), ("Authorization", SIGNATURE), ("X-Sdk-Date", date)]
}

fn filled(path: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for letter in path.chars() {
        match letter {
            '{' => {
                inside = true;
                out.push_str("00000000-0000-4000-8000-000000000404");
            }
            '}' => inside = false,
            _ if inside => {}
            other => out.push(other),
        }
    }
    out
}

#[tokio::test]
async fn every_route_asks_for_a_good_token() -> Result<()> {
    let world = World::plain().await?;
    let routes = routes(&world).await?;
    assert!(routes.len() > 50, "the document has {} routes", routes.len());
    let (mut closed, mut open, mut of_mrs) = (0, 0, 0);
    let date = crate::signing::date(0);
    for (method, path) in &routes {
        let is_login = path == "/v3/auth/tokens" && *method == Method::POST;
        if OPEN.contains(&path.as_str()) || is_login {
            open += 1;
            continue;
        }
        for token in ["", "gAAAAABnonsense"] {
            let answer = world.api.raw(method.clone(), &filled(path), &[("X-Auth-Token", token)], None).await?;
            assert_eq!(answer.status.as_u16(), 401, "{method} {path} with the token '{token}': {}", answer.text());
            assert!(answer.json().is_object(), "{method} {path}: {}", answer.text());
            assert!(answer.headers.contains_key("www-authenticate"), "{method} {path}");
            if answer.json()["error_code"].is_string() {
                assert_eq!(answer.json()["error_code"], "12000001", "{method} {path}: {}", answer.text());
                of_mrs += 1;
            } else if path.starts_with("/v1.") {
                assert_eq!(answer.json()["error_code"], 401, "{method} {path}: {}", answer.text());
            }
        }
        // A signature of nobody opens nothing either. Of the identity's routes only the look-ups know signatures.
        let headers = signed_by_nobody(&date);
        let answer = world.api.raw(method.clone(), &filled(path), &headers, None).await?;
        assert_eq!(answer.status.as_u16(), 401, "{method} {path}, signed by nobody: {}", answer.text());
        if !path.starts_with("/v3") {
            assert_eq!(answer.json()["error_code"], "APIGW.0301", "{method} {path}: {}", answer.text());
            assert!(answer.text().contains("ak:NOBODY,err:ak not exist"), "{method} {path}: {}", answer.text());
        }
        closed += 1;
    }
    assert_eq!(of_mrs, 2 * 21, "routes of MRS, with two tokens each");
    assert!(closed > 40 && open >= 6, "{closed} closed and {open} open routes");
    Ok(())
}

#[tokio::test]
async fn another_project_in_the_path_is_refused_on_every_route() -> Result<()> {
    let world = World::plain().await?;
    let other = member_of(&world.server, "other", "member").await?;
    let mut asked = 0;
    for (method, path) in routes(&world).await? {
        let Some(rest) = path.strip_prefix("/v1.1") else { continue };
        let path = format!("/v1.1/{}{}", world.api.project, filled(rest));
        let answer = other.raw(method.clone(), &path, &[("Content-Type", "application/json")], None).await?;
        assert_eq!(answer.status.as_u16(), 401, "{method} {path}: {}", answer.text());
        asked += 1;
    }
    assert!(asked > 25, "{asked}");
    Ok(())
}

#[tokio::test]
async fn what_belongs_to_another_project_is_not_there() -> Result<()> {
    let world = World::plain().await?;
    let other = member_of(&world.server, "other", "member").await?;
    let template = world.shell("mine", "sleep 60").await?;
    let id = world.execute(&template, Value::Object(serde_json::Map::new())).await?;
    world.wait(&id, &["RUNNING"]).await?;
    for path in [format!("/jobs/{template}"), format!("/job-executions/{id}"), format!("/job-executions/{id}/cancel")] {
        assert_eq!(other.call(Method::GET, &path, None).await?.status.as_u16(), 404, "{path}");
    }
    for path in [format!("/jobs/{template}"), format!("/job-executions/{id}")] {
        assert_eq!(other.call(Method::DELETE, &path, None).await?.status.as_u16(), 404, "{path}");
    }
    let log = other.raw(Method::GET, &format!("/api/v1/executions/{id}/logs/stdout"), &[], None).await?;
    assert_eq!(log.status.as_u16(), 404);
    // A public and protected one is seen, and nothing of it can be changed.
    let body = serde_json::json!({"is_public": true, "is_protected": true});
    world.api.call(Method::PATCH, &format!("/job-executions/{id}"), Some(body)).await?.expect(202)?;
    assert_eq!(other.execution(&id).await?["id"], id.as_str());
    let path = format!("/job-executions/{id}");
    for (session, word) in [(&other, "tenant"), (&world.api, "protected")] {
        let answer = session.call(Method::DELETE, &path, None).await?;
        assert_eq!((answer.status.as_u16(), answer.json()["error_name"].as_str()), (400, Some("DELETION_FAILED")));
        assert!(answer.text().contains(word), "{}", answer.text());
    }
    let row = world.api.execution(&id).await?;
    assert_eq!(row["info"]["status"], "RUNNING", "nothing was changed");
    let body = serde_json::json!({"is_protected": false});
    world.api.call(Method::PATCH, &path, Some(body)).await?.expect(202)?;
    world.api.delete(&path).await?;
    world.wait_gone(&id).await
}

#[tokio::test]
async fn a_reader_reads_and_does_nothing() -> Result<()> {
    let world = World::plain().await?;
    let reader = member_of(&world.server, "read", "reader").await?;
    for path in ["/jobs", "/job-executions", "/data-sources", "/job-binaries", "/job-types", "/clusters"] {
        reader.get(path).await?;
    }
    let body = serde_json::json!({"name": "n", "type": "hdfs", "url": "/p"});
    let answer = reader.call(Method::POST, "/data-sources", Some(body)).await?;
    assert_eq!((answer.status.as_u16(), answer.json()["error_name"].as_str()), (403, Some("FORBIDDEN")));
    let id = "00000000-0000-4000-8000-000000000404";
    for path in ["cancel", "refresh-status"] {
        let answer = reader.call(Method::GET, &format!("/job-executions/{id}/{path}"), None).await?;
        assert_eq!(answer.status.as_u16(), 403, "{path}");
    }
    Ok(())
}
