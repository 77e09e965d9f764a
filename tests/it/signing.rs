//! Requests signed with an access key, over HTTP against the real program. The signer here is written from the description of
//! the algorithm alone, and shares nothing with the program's.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use foggara_domain::Timestamp;
use foggara_testkit::{
    api::{Answer, http},
    program::Server,
};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::world::{BINARY, On, World, member_of};

const WRONG: &str = "verify aksk signature fail";

/// An access key as `foggara credential create` prints it.
#[derive(Clone, Debug)]
struct Key {
    access: String,
    secret: String,
    user: String,
    project: String,
}

fn make_key(server: &Server, args: &[&str]) -> Result<Key> {
    let printed = server.must_run(&[&["credential", "create", "--output", "json"], args].concat())?;
    let printed: Value = serde_json::from_str(&printed)?;
    let members: Vec<&str> = printed.as_object().context("an object")?.keys().map(String::as_str).collect();
    assert_eq!(members, ["access", "secret", "user_id", "project_id"]);
    let text = |name: &str| printed[name].as_str().map(str::to_owned).context("a text");
    Ok(Key { access: text("access")?, secret: text("secret")?, user: text("user_id")?, project: text("project_id")? })
}

/// `YYYYMMDDTHHMMSSZ`, so many seconds from now.
pub fn date(seconds: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64);
    let text = Timestamp::from_micros(now + seconds * 1_000_000).sahara();
    text.replace(['-', ':'], "") + "Z"
}

fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// A request that is signed and may be changed before it is sent.
#[derive(Clone, Debug)]
struct Request {
    method: Method,
    /// As it stands in the request line.
    url: String,
    /// Sent, and signed where it stands when it is signed.
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    /// Signs a request as the SDK does: every header that it sets. Path and query are decoded texts.
    fn new(server: &Server, key: &Key, method: Method, path: &str, query: &[(&str, &str)], body: &[u8]) -> Self {
        Self::at(&date(0), server, key, method, path, query, &[], body)
    }

    #[allow(clippy::too_many_arguments, reason = "all that is signed")]
    fn at(
        date: &str,
        server: &Server,
        key: &Key,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        more: &[(&str, &str)],
        body: &[u8],
    ) -> Self {
        let host = server.url.trim_start_matches("http://");
        let mut headers = vec![("Content-Type", "application/json"), ("Host", host), ("X-Sdk-Date", date)];
        headers.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
        headers.extend(more);
        let path: Vec<String> = path.split('/').map(encoded).collect();
        let path = path.join("/");
        let mut pairs = query.to_vec();
        pairs.sort_unstable();
        let pairs: Vec<String> = pairs.iter().map(|(k, v)| format!("{}={}", encoded(k), encoded(v))).collect();
        let query = pairs.join("&");
        let mut signed: Vec<(String, &str)> = headers.iter().map(|(k, v)| (k.to_lowercase(), *v)).collect();
        signed.sort_unstable();
        let canonical_headers: String = signed.iter().map(|(k, v)| format!("{k}:{}\n", v.trim())).collect();
        let names: Vec<&str> = signed.iter().map(|(name, _)| name.as_str()).collect();
        let names = names.join(";");
        let content = signed.iter().find(|(name, _)| name == "x-sdk-content-sha256").map(|(_, value)| *value);
        let payload = content.filter(|_| !body.is_empty()).map_or_else(|| sha256(body), str::to_owned);
        let slash = if path.ends_with('/') { "" } else { "/" };
        let canonical = format!("{method}\n{path}{slash}\n{query}\n{canonical_headers}\n{names}\n{payload}");
        let to_sign = format!("SDK-HMAC-SHA256\n{date}\n{}", sha256(canonical.as_bytes()));
        let mut mac = Hmac::<Sha256>::new_from_slice(key.secret.as_bytes()).expect("a key");
        mac.update(to_sign.as_bytes());
        let signature = hex::encode(mac.finalize().into_bytes());
        let authorization =
            format!("SDK-HMAC-SHA256 Access={}, SignedHeaders={names}, Signature={signature}", key.access);
        let mut headers: Vec<_> = headers.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        headers.push(("Authorization".to_owned(), authorization));
        let url = if query.is_empty() { path } else { format!("{path}?{query}") };
        Self { method, url, headers, body: body.to_vec() }
    }

    /// With another value of a header, after it was signed.
    fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self
    }

    fn authorization(&self) -> &str {
        self.headers.iter().find(|(name, _)| name == "Authorization").map_or("", |(_, value)| value)
    }

    /// With a piece of `Authorization` replaced.
    fn reworded(self, from: &str, to: &str) -> Self {
        let changed = self.authorization().replace(from, to);
        assert_ne!(changed, self.authorization(), "{from}");
        self.with("Authorization", &changed)
    }

    async fn send(&self, server: &Server) -> Result<Answer> {
        let mut request = http().request(self.method.clone(), format!("{}{}", server.url, self.url));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let answer = request.body(self.body.clone()).send().await?;
        Ok(Answer { status: answer.status(), headers: answer.headers().clone(), bytes: answer.bytes().await?.to_vec() })
    }
}

/// Checks that an answer is the gateway's, with the reason.
fn refused(answer: &Answer, reason: &str) {
    let body = answer.json();
    assert_eq!(answer.status.as_u16(), 401, "{reason}: {}", answer.text());
    let text = format!("Incorrect IAM authentication information: {reason}");
    assert!(body["error_msg"].as_str().is_some_and(|said| said.starts_with(&text)), "{reason}: {body}");
    assert_eq!(body["error_code"], "APIGW.0301", "{body}");
    let id = body["request_id"].as_str().unwrap_or_default();
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{body}");
    assert_eq!(answer.headers["x-request-id"], id);
    assert!(answer.headers.contains_key("www-authenticate"));
}

#[tokio::test]
async fn signed_calls_do_what_calls_with_a_token_do() -> Result<()> {
    for on in [On::Sqlite, On::Postgres] {
        let world = World::start(on, "").await?;
        let server = &world.server;
        let key = make_key(server, &[])?;
        assert_eq!(key.project, world.api.project);
        let of = |path: &str| format!("/v1.1/{}{path}", key.project);
        let body = json!({"name": "signed", "type": "hdfs", "url": "/p", "description": "Größe 作业"}).to_string();
        let made = Request::new(server, &key, Method::POST, &of("/data-sources"), &[], body.as_bytes());
        let made = made.send(server).await?.expect(202)?["data_source"].take();
        assert_eq!(made["tenant_id"], key.project.as_str());
        let path = of(&format!("/data-sources/{}", made["id"].as_str().context("an id")?));
        // Every spelling of a path is signed as it is sent, and each call may come again in its window.
        for path in [
            path.clone(),
            format!("{path}.json"),
            path.replace(&format!("/{}", key.project), ""),
            path.replace(&key.project, "demo"),
        ] {
            let request = Request::new(server, &key, Method::GET, &path, &[], b"");
            for _ in 0..2 {
                let seen = request.send(server).await?.expect(200).with_context(|| path.clone())?;
                assert_eq!(seen["data_source"]["description"], "Größe 作业");
            }
        }
        let query = [("limit", "5"), ("name", "sig ned+/~&=作业"), ("name", "a"), ("description", "")];
        let request = Request::new(server, &key, Method::GET, &of("/data-sources"), &query, b"");
        request.send(server).await?.expect(200).with_context(|| request.url.clone())?;
        let own = Request::new(server, &key, Method::GET, "/api/v1/executions/no", &[], b"");
        assert_eq!(own.send(server).await?.status.as_u16(), 404, "known, and it is not there");
        for seconds in [-890, 890] {
            let request = Request::at(&date(seconds), server, &key, Method::GET, &of("/jobs"), &[], &[], b"");
            assert_eq!(request.send(server).await?.status.as_u16(), 200);
        }
        let project = [("X-Project-Id", key.project.as_str()), ("X-Security-Token", "none"), ("User-Agent", "it/1")];
        let request = Request::at(&date(0), server, &key, Method::GET, &of("/jobs"), &[], &project, b"");
        assert_eq!(request.send(server).await?.status.as_u16(), 200);
        let gone = Request::new(server, &key, Method::DELETE, &path, &[], b"");
        assert_eq!(gone.send(server).await?.status.as_u16(), 204);
        assert_eq!(world.api.get("/data-sources").await?["data_sources"], json!([]));
        assert!(!server.log().contains(&key.secret));
        if on == On::Sqlite {
            for name in ["foggara.db", "foggara.db-wal"] {
                let file = std::fs::read(server.dir.join(name)).unwrap_or_default();
                assert!(!file.windows(key.secret.len()).any(|piece| piece == key.secret.as_bytes()), "{name}");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_policy_counts_for_signers_too() -> Result<()> {
    let world = World::plain().await?;
    member_of(&world.server, "other", "reader").await?;
    let key = make_key(&world.server, &["--user", "user-of-other"])?;
    let path = format!("/v1.1/{}/data-sources", key.project);
    let read = Request::new(&world.server, &key, Method::GET, &path, &[], b"");
    assert_eq!(read.send(&world.server).await?.status.as_u16(), 200);
    let body = br#"{"name": "n", "type": "hdfs", "url": "/p"}"#;
    let answer = Request::new(&world.server, &key, Method::POST, &path, &[], body).send(&world.server).await?;
    assert_eq!((answer.status.as_u16(), answer.json()["error_code"].as_u64()), (403, Some(403)));
    Ok(())
}

#[tokio::test]
async fn every_refusal_has_its_reason() -> Result<()> {
    let world = World::plain().await?;
    let server = &world.server;
    let other = member_of(server, "other", "member").await?;
    let path = format!("/v1.1/{}/data-sources", world.api.project);
    let body = br#"{"name": "n", "type": "hdfs", "url": "/p"}"#;
    // Wrong signatures are counted, so each has a key of its own.
    let post = || -> Result<(Key, Request)> {
        let key = make_key(server, &[])?;
        let request = Request::new(server, &key, Method::POST, &path, &[("a", "1"), ("b", "2")], body);
        Ok((key, request))
    };
    let mut wrong: Vec<(Request, &str)> = Vec::new();
    for change in [
        |request: &mut Request| request.body = br#"{"name": "m", "type": "hdfs", "url": "/p"}"#.to_vec(),
        |request: &mut Request| request.body.push(b' '),
        |request: &mut Request| request.body.clear(),
        |request: &mut Request| request.url = request.url.replace("a=1", "a=2"),
        |request: &mut Request| request.url += "&c=3",
        |request: &mut Request| request.url = request.url.replace("data-sources", "job-binaries"),
        |request: &mut Request| request.method = Method::PUT,
        |request: &mut Request| *request = request.clone().with("Content-Type", "application/json; charset=utf-8"),
        |request: &mut Request| *request = request.clone().with("X-Sdk-Date", &date(-30)),
        |request: &mut Request| *request = request.clone().with("Host", "other.example.org"),
        |request: &mut Request| *request = request.clone().with("X-Sdk-Content-Sha256", "UNSIGNED-PAYLOAD"),
    ] {
        let (_, mut request) = post()?;
        change(&mut request);
        wrong.push((request, WRONG));
    }
    let (key, request) = post()?;
    let forged = Key { secret: "another".to_owned(), ..key.clone() };
    wrong.push((Request::new(server, &forged, Method::POST, &path, &[], body), WRONG));
    wrong.push((request.clone().with("X-Sdk-Content-Sha256", &sha256(b"other")), WRONG));
    wrong.push((request.clone().reworded("SDK-HMAC-SHA256", "V11-HMAC-SHA256"), "the algorithm 'V11-HMAC-SHA256'"));
    wrong.push((request.clone().reworded("SDK-HMAC-SHA256", "SDK-HMAC-SM3"), "the algorithm 'SDK-HMAC-SM3'"));
    wrong.push((request.clone().reworded("Signature=", "Sign="), "the Authorization header is malformed"));
    wrong.push((request.clone().reworded("Access=", ""), "the Authorization header is malformed"));
    wrong.push((request.clone().reworded("host;", ""), "the header 'host' is not among the signed"));
    wrong.push((request.clone().reworded(";x-sdk-date", ""), "the header 'x-sdk-date' is not among the signed"));
    wrong.push((request.clone().without("X-Sdk-Date"), "the signed header 'x-sdk-date' did not come"));
    wrong.push((request.clone().without("Content-Type"), "the signed header 'content-type' did not come"));
    wrong.push((request.clone().with("X-Sdk-Date", "yesterday"), "signature expired: x-sdk-date yesterday"));
    let unknown = Key { access: "NOSUCHKEY".to_owned(), ..key.clone() };
    let unknown = Request::new(server, &unknown, Method::POST, &path, &[], body);
    wrong.push((unknown, "Get secretKey failed,ak:NOSUCHKEY,err:ak not exist"));
    for seconds in [-905, 905, -86400] {
        let stale = Request::at(&date(seconds), server, &key, Method::POST, &path, &[], &[], body);
        wrong.push((stale, "signature expired"));
    }
    let project = [("X-Project-Id", other.project.as_str())];
    let two = Request::at(&date(0), server, &key, Method::POST, &path, &[], &project, body);
    wrong.push((two, "X-Project-Id names another project than the path"));
    let nothing = [("X-Project-Id", "5a3314075bfa49b9ae360f4ecd333695")];
    let nothing = Request::at(&date(0), server, &key, Method::POST, "/v1.1/data-sources", &[], &nothing, body);
    wrong.push((nothing, "the user of the access key may not use the project"));
    let foreign = format!("/v1.1/{}/data-sources", world.api.project);
    let of_other = make_key(server, &["--user", "user-of-other"])?;
    let foreign = Request::new(server, &of_other, Method::POST, &foreign, &[], body);
    wrong.push((foreign, "the user of the access key may not use the project"));
    let unsigned = Request::new(server, &of_other, Method::POST, "/v1.1/data-sources", &[], body);
    let unsigned = unsigned.with("X-Project-Id", &world.api.project);
    wrong.push((unsigned, "the header 'x-project-id' is not among the signed"));
    for (request, reason) in &wrong {
        let answer = request.send(server).await?;
        refused(&answer, reason);
        // On Sahara's routes its members are there too.
        let body = answer.json();
        assert_eq!((&body["error_message"], &body["error_name"]), (&body["error_msg"], &json!("UNAUTHORIZED")));
        assert_eq!(body["error"]["code"], 401);
    }
    // The other surfaces have the gateway's members alone.
    for path in ["/api/v1/executions/no", "/v3/projects", "/v3/auth/projects", "/v3/auth/domains"] {
        let forged = Key { secret: "another".to_owned(), ..make_key(server, &[])? };
        let answer = Request::new(server, &forged, Method::GET, path, &[], b"").send(server).await?;
        refused(&answer, WRONG);
        assert_eq!(answer.json().as_object().map(serde_json::Map::len), Some(3), "{path}");
    }
    assert_eq!(world.api.get("/data-sources").await?["data_sources"], json!([]), "nothing was done");
    assert_eq!(other.get("/data-sources").await?["data_sources"], json!([]));
    assert_eq!(request.send(server).await?.status.as_u16(), 202, "the one that all were made of is good");
    Ok(())
}

#[tokio::test]
async fn five_wrong_signatures_lock_a_key() -> Result<()> {
    let world = World::plain().await?;
    let server = &world.server;
    let (key, other) = (make_key(server, &[])?, make_key(server, &[])?);
    let forged = Key { secret: other.secret.clone(), ..key.clone() };
    let get = |key: &Key| Request::new(server, key, Method::GET, "/v1.1/jobs", &[], b"");
    for _ in 0..4 {
        refused(&get(&forged).send(server).await?, WRONG);
    }
    assert_eq!(get(&key).send(server).await?.status.as_u16(), 200, "a right one ends the row");
    for _ in 0..5 {
        refused(&get(&forged).send(server).await?, WRONG);
    }
    for signer in [&key, &forged] {
        refused(&get(signer).send(server).await?, "AK access failed to reach the limit,forbidden");
    }
    assert_eq!(get(&other).send(server).await?.status.as_u16(), 200, "another key is not affected");
    Ok(())
}

#[tokio::test]
async fn of_token_and_signature_the_token_counts() -> Result<()> {
    let world = World::plain().await?;
    let server = &world.server;
    let key = make_key(server, &[])?;
    let good = Request::new(server, &key, Method::GET, "/v1.1/jobs", &[], b"");
    let forged = good.clone().reworded("Signature=", "Signature=0");
    assert_eq!(forged.clone().with("X-Auth-Token", &world.api.token).send(server).await?.status.as_u16(), 200);
    let answer = good.clone().with("X-Auth-Token", "gAAAAABnonsense").send(server).await?;
    assert_eq!((answer.status.as_u16(), answer.json()["error_code"].as_u64()), (401, Some(401)));
    assert_eq!(good.clone().with("X-Auth-Token", "").send(server).await?.status.as_u16(), 200);
    let token = good.clone().with("X-Auth-Token", &world.api.token).with("Authorization", "");
    assert_eq!(token.send(server).await?.status.as_u16(), 200, "Huawei's SDK empties the one when it sends the other");
    for (scheme, code) in [("", 401), ("Basic dTpw", 401), ("Bearer t", 401)] {
        let answer = good.clone().with("Authorization", scheme).send(server).await?;
        assert_eq!((answer.status.as_u16(), answer.json()["error_code"].as_u64()), (401, Some(code)), "{scheme}");
    }
    Ok(())
}

#[tokio::test]
async fn uploads_are_signed_by_hash_or_not_at_all() -> Result<()> {
    let world = World::start(On::Sqlite, "[limits]\njson_body = 65536\n").await?;
    let server = &world.server;
    let key = make_key(server, &[])?;
    let large = vec![b'x'; 200_000];
    let put = |name: &str, more: &[(&str, &str)], body: &[u8]| {
        let path = format!("/v1.1/{}/job-binary-internals/{name}", key.project);
        Request::at(&date(0), server, &key, Method::PUT, &path, &[], more, body)
    };
    let unsigned = [("Content-Type", "application/octet-stream"), ("X-Sdk-Content-Sha256", "UNSIGNED-PAYLOAD")];
    let stored = put("large", &unsigned, &large).send(server).await?.expect(202)?;
    assert_eq!(stored["job_binary_internal"]["datasize"], 200_000);
    let small = &large[..60_000];
    put("hashed", &[], small).send(server).await?.expect(202)?;
    put("named", &[("X-Sdk-Content-Sha256", &sha256(small))], small).send(server).await?.expect(202)?;
    let mut tampered = put("tampered", &[("X-Sdk-Content-Sha256", &sha256(small))], small);
    tampered.body[5] = b'y';
    refused(&tampered.send(server).await?, "verify aksk signature fail: the body");
    for more in [vec![], vec![("X-Sdk-Content-Sha256", sha256(&large))]] {
        let more: Vec<(&str, &str)> = more.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = put("too-large", &more, &large).send(server).await?;
        assert_eq!(answer.status.as_u16(), 413, "{}", answer.text());
        let text = answer.json()["error_message"].as_str().unwrap_or_default().to_owned();
        assert!(text.contains("UNSIGNED-PAYLOAD") && text.contains("65536"), "{text}");
    }
    let names = world.api.get("/job-binary-internals").await?["binaries"].take();
    let mut names: Vec<&str> = names.as_array().into_iter().flatten().filter_map(|one| one["name"].as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["hashed", "large", "named"]);
    Ok(())
}

#[tokio::test]
async fn a_region_is_enough_to_find_project_and_domain() -> Result<()> {
    let world = World::plain().await?;
    let server = &world.server;
    member_of(server, "other", "member").await?;
    let key = make_key(server, &["--user", "user-of-other"])?;
    let own = std::slice::from_ref(&key.project);
    let look = async |key: &Key, path: &str, query: &[(&str, &str)]| {
        Request::new(server, key, Method::GET, path, query, b"").send(server).await?.expect(200)
    };
    let ids = |answer: &Value, of: &str| -> Vec<String> {
        let all = answer[of].as_array().into_iter().flatten();
        all.filter_map(|one| one["id"].as_str().map(str::to_owned)).collect()
    };
    let by_name = async |key: &Key, name: &str| -> Result<Vec<String>> {
        Ok(ids(&look(key, "/v3/projects", &[("name", name)]).await?, "projects"))
    };
    assert_eq!(by_name(&key, "other").await?, own);
    assert_eq!(by_name(&key, "RegionOne").await?, own, "there is no project of that name");
    assert!(by_name(&key, "demo").await?.is_empty(), "not the user's");
    assert!(by_name(&key, "elsewhere").await?.is_empty());
    for path in ["/v3/projects", "/v3/auth/projects"] {
        assert_eq!(ids(&look(&key, path, &[]).await?, "projects"), own, "{path}");
    }
    assert_eq!(ids(&look(&key, "/v3/auth/domains", &[]).await?, "domains"), ["default"]);
    // A project that is called like the region, once the user may use it.
    server.must_run(&["project", "add", "RegionOne"])?;
    assert_eq!(by_name(&key, "RegionOne").await?, own);
    server.must_run(&["project", "grant", "user-of-other", "RegionOne", "member"])?;
    let found = by_name(&key, "RegionOne").await?;
    assert_eq!(found.len(), 1);
    assert_ne!(found[0], key.project);
    let project = [("X-Project-Id", found[0].as_str())];
    let path = format!("/v1.1/{}/data-sources", found[0]);
    let body = br#"{"name": "n", "type": "hdfs", "url": "/p"}"#;
    let made = Request::at(&date(0), server, &key, Method::POST, &path, &[], &project, body);
    assert_eq!(made.send(server).await?.expect(202)?["data_source"]["tenant_id"], found[0].as_str());
    // Nothing else of the identity's takes a signature.
    for path in ["/v3/users", "/v3/domains", "/v3/auth/catalog", "/v3/projects/x"] {
        let answer = Request::new(server, &key, Method::GET, path, &[], b"").send(server).await?;
        assert_eq!((answer.status.as_u16(), answer.json()["error"]["code"].as_u64()), (401, Some(401)), "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn the_command_makes_lists_and_deletes() -> Result<()> {
    let mut world = World::plain().await?;
    member_of(&world.server, "other", "member").await?;
    let server = &mut world.server;
    let key = make_key(server, &["--user", "user-of-other", "--project", "other", "--description", "of a test"])?;
    let jobs = |server: &Server, key: &Key| Request::new(server, key, Method::GET, "/v1.1/jobs", &[], b"");
    assert_eq!(jobs(server, &key).send(server).await?.status.as_u16(), 200);
    let listed: Value = serde_json::from_str(&server.must_run(&["credential", "list", "--output", "json"])?)?;
    let row = &listed[0];
    assert_eq!(
        (&row["access"], &row["user"], &row["user_id"], &row["project"], &row["project_id"], &row["description"]),
        (
            &json!(key.access),
            &json!("user-of-other"),
            &json!(key.user),
            &json!("other"),
            &json!(key.project),
            &json!("of a test")
        )
    );
    for form in ["table", "json", "yaml"] {
        let printed = server.must_run(&["credential", "list", "--output", form])?;
        assert!(printed.contains(&key.access) && !printed.contains(&key.secret), "{form}");
    }
    assert_eq!(server.must_run(&["credential", "list", "-q"])?, key.access);
    let table = server.must_run(&["credential", "create"])?;
    assert!(["access", "secret", "user_id", "project_id"].iter().all(|name| table.contains(name)), "{table}");
    for (args, reason) in [
        (vec!["create", "-q"], "--quiet would hide the secret"),
        (vec!["create", "--user", "nobody"], "There is no user 'nobody'"),
        (vec!["create", "--user", "user-of-other", "--project", "demo"], "holds no role on project"),
        (vec!["delete", "NOSUCHKEY"], "There is no access key 'NOSUCHKEY'"),
    ] {
        let output = server.run(&[&["credential"], args.as_slice()].concat())?;
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains(reason), "{args:?}: {text}");
    }
    // On the database itself while no server runs; the key is as good afterwards.
    server.stop()?;
    let second = make_key(server, &["--user", "user-of-other"])?;
    server.start()?;
    for key in [&key, &second] {
        assert_eq!(jobs(server, key).send(server).await?.status.as_u16(), 200);
    }
    server.must_run(&["credential", "delete", &key.access])?;
    let gone = |key: &Key| format!("Get secretKey failed,ak:{},err:ak not exist", key.access);
    refused(&jobs(server, &key).send(server).await?, &gone(&key));
    assert_eq!(jobs(server, &second).send(server).await?.status.as_u16(), 200);
    // New secret keys open what older ones sealed.
    server.must_run(&["keys", "rotate"])?;
    server.stop()?;
    server.start()?;
    assert_eq!(jobs(server, &second).send(server).await?.status.as_u16(), 200);
    server.must_run(&["user", "remove", "user-of-other"])?;
    refused(&jobs(server, &second).send(server).await?, &gone(&second));
    Ok(())
}

#[tokio::test]
async fn an_outside_keystone_has_no_access_keys() -> Result<()> {
    let (dir, beside) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let password = beside.path().join("password");
    std::fs::write(&password, "unused")?;
    // Nobody listens there: what is refused here is refused without asking.
    let settings = format!(
        "[keystone]\nauth_url = \"http://127.0.0.1:9/v3\"\nusername = \"u\"\npassword_file = \"{}\"\n",
        password.display()
    );
    std::fs::write(dir.path().join("foggara.toml"), settings)?;
    let mut server = Server::new(BINARY, dir.path());
    server.start()?;
    let key = Key { access: "AK".into(), secret: "SK".into(), user: "u".into(), project: "p".into() };
    for path in ["/v1.1/jobs", "/api/v1/executions/no"] {
        let answer = Request::new(&server, &key, Method::GET, path, &[], b"").send(&server).await?;
        refused(&answer, "this server takes its users from an outside Keystone and has no access keys");
    }
    Ok(())
}
