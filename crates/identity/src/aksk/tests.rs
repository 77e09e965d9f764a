//! The published vectors, and what must not be mistaken for another request.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

const VECTORS: &str = include_str!("../../tests/vectors/aksk.json");
const NOW: Timestamp = Timestamp::from_micros(1_795_489_445_000_000);

struct Vector {
    name: String,
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    secret: Secret,
    authorization: String,
    canonical: String,
    string_to_sign: String,
}

fn vectors() -> Vec<Vector> {
    let file: Value = serde_json::from_str(VECTORS).expect("JSON");
    let text = |of: &Value, key: &str| of[key].as_str().unwrap_or_else(|| panic!("{key} in {of}")).to_owned();
    let read = |one: &Value| {
        let url = text(one, "url");
        let (path, query) = url.split_once('?').unwrap_or((&url, ""));
        let headers = one["headers"].as_object().expect("headers").iter();
        Vector {
            name: text(one, "name"),
            method: text(one, "method"),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: headers
                .map(|(name, value)| (name.to_lowercase(), value.as_str().unwrap_or_default().as_bytes().to_vec()))
                .collect(),
            body: text(one, "body").into_bytes(),
            secret: Secret::new(text(one, "sk")),
            authorization: text(one, "authorization"),
            canonical: text(one, "canonical_request"),
            string_to_sign: text(one, "string_to_sign"),
        }
    };
    file["vectors"].as_array().expect("vectors").iter().map(read).collect()
}

impl Vector {
    fn signed(&self) -> Signed<'_> {
        Signed {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect(),
        }
    }

    fn payload(&self) -> Payload {
        let content = self.headers.iter().find(|(name, _)| name == CONTENT);
        let content = content.map(|(_, value)| String::from_utf8_lossy(value).into_owned());
        Payload::of(content.as_deref(), !self.body.is_empty())
    }

    fn check(&self) -> Result<(), Refusal> {
        let authorization = Authorization::read(&self.authorization)?;
        self.signed().check(&authorization, &self.secret, &self.payload(), &self.body)
    }

    /// Signs what stands in it now.
    fn sign(&mut self) {
        let authorization = Authorization::read(&self.authorization).expect("the header");
        let payload = self.payload().word(&self.body).expect("the body");
        let canonical = self.signed().canonical(&authorization, &payload).expect("the headers");
        let date = self.signed().header(DATE).expect("the date");
        let signature = signature(&self.secret, &string_to_sign(&date, &canonical));
        self.authorization = self.authorization.replace(&authorization.signature, &signature);
    }
}

#[test]
fn six_vectors_verify_and_the_seventh_is_refused_by_name() {
    let (mut right, mut refused) = (0, 0);
    for vector in vectors() {
        match Authorization::read(&vector.authorization) {
            Ok(authorization) => {
                let payload = vector.payload().word(&vector.body).expect("the body");
                let canonical = vector.signed().canonical(&authorization, &payload).expect("the headers");
                assert_eq!(canonical, vector.canonical, "{}", vector.name);
                let date = vector.signed().header(DATE).expect("a date");
                assert_eq!(string_to_sign(&date, &canonical), vector.string_to_sign, "{}", vector.name);
                assert_eq!(vector.check(), Ok(()), "{}", vector.name);
                right += 1;
            }
            Err(refusal) => {
                assert_eq!(refusal, Refusal::Algorithm("V11-HMAC-SHA256".to_owned()), "{}", vector.name);
                refused += 1;
            }
        }
        assert!(looks_signed(&vector.authorization));
    }
    assert_eq!((right, refused), (6, 1));
}

/// The two vectors of the specification, whose canonical forms are given by hash only.
#[test]
fn the_vectors_of_the_specification() {
    let secret = Secret::new("SKexample0123456789abcdefghijklmnopqrstuv");
    let signed = Signed {
        method: "GET",
        path: "/v1.1/0123456789abcdef0123456789abcdef/job-exes",
        query: "cluster_id=c%201&page_size=10&state=-1",
        headers: vec![
            ("content-type", b"application/json"),
            ("host", b"mrs.example.com"),
            ("user-agent", b"huaweicloud-usdk-python/3.0"),
            ("x-project-id", b"0123456789abcdef0123456789abcdef"),
            ("x-sdk-date", b"20240102T030405Z"),
        ],
    };
    let authorization = Authorization::read(
        "SDK-HMAC-SHA256 Access=AKEXAMPLE0000000, SignedHeaders=content-type;host;user-agent;x-project-id;x-sdk-date, \
         Signature=363daa7abc33ac81fafb1879c8fe9b36798a9196386bbc0558250d5cc38985c6",
    )
    .expect("a header");
    let canonical = signed.canonical(&authorization, EMPTY).expect("the headers");
    assert_eq!(hex_digest(canonical.as_bytes()), "df7ba698b1b40596babb3739c2816ce26e2094d125696c761967d912b1c35ff8");
    assert_eq!(signed.check(&authorization, &secret, &Payload::Empty, b""), Ok(()));
    let posted = Signed {
        method: "POST",
        path: "/v2/p/clusters/c/job-executions",
        query: "",
        headers: vec![
            ("content-type", b"application/json"),
            ("host", b"mrs.example.com"),
            ("x-sdk-date", b"20240102T030405Z"),
        ],
    };
    let authorization = Authorization::read(
        "SDK-HMAC-SHA256 Access=AKEXAMPLE0000000, SignedHeaders=content-type;host;x-sdk-date, \
         Signature=321aeaf829ad06ad1e26d2068110903cff2ffbb7ea18a9e7021378152f77bc2a",
    )
    .expect("a header");
    assert_eq!(posted.check(&authorization, &secret, &Payload::OfBody, br#"{"job_name":"a"}"#), Ok(()));
}

#[test]
fn every_signed_part_counts() {
    for index in 0..6 {
        let fresh = || vectors().swap_remove(index);
        let wrong = |change: &dyn Fn(&mut Vector)| {
            let mut vector = fresh();
            change(&mut vector);
            vector.check()
        };
        assert_eq!(wrong(&|v| v.method = "PUT".to_owned()), Err(Refusal::Wrong));
        assert_eq!(wrong(&|v| v.path.push('0')), Err(Refusal::Wrong));
        assert_eq!(wrong(&|v| v.query.push_str("&more=1")), Err(Refusal::Wrong));
        assert_eq!(wrong(&|v| v.body.push(b' ')), Err(Refusal::Wrong));
        assert_eq!(wrong(&|v| v.secret = Secret::new("another")), Err(Refusal::Wrong));
        for header in 0..fresh().headers.len() {
            assert_eq!(wrong(&|v| v.headers[header].1.push(b'x')), Err(Refusal::Wrong));
            let name = fresh().headers[header].0.clone();
            let missing = Refusal::Header { name: name.clone(), problem: "did not come" };
            assert_eq!(wrong(&|v| drop(v.headers.remove(header))), Err(missing));
            let twice = Refusal::Header { name, problem: "came more than once" };
            assert_eq!(wrong(&|v| v.headers.push(v.headers[header].clone())), Err(twice));
        }
        // A header that is not signed may come or not.
        assert_eq!(wrong(&|v| v.headers.push(("accept".to_owned(), b"*/*".to_vec()))), Ok(()));
    }
}

#[test]
fn the_body_is_signed_by_hash_by_name_or_not_at_all() {
    let mut vector = vectors().swap_remove(2);
    let hash = hex_digest(&vector.body);
    for word in [hash.clone(), hash.to_uppercase()] {
        vector.headers.push((CONTENT.to_owned(), word.into_bytes()));
        vector.sign();
        assert_eq!(vector.check(), Ok(()));
        vector.body.push(b'x');
        assert_eq!(vector.check(), Err(Refusal::WrongBody));
        vector.body.pop();
        vector.headers.pop();
    }
    vector.headers.push((CONTENT.to_owned(), UNSIGNED.as_bytes().to_vec()));
    assert_eq!(vector.check(), Err(Refusal::Wrong), "signed with a hash, sent as unsigned");
    vector.sign();
    assert!(!vector.payload().needs_body());
    vector.body.push(b'x');
    assert_eq!(vector.check(), Ok(()));
    vector.body.clear();
    assert_eq!(vector.payload(), Payload::Empty, "without a body the header counts for nothing");
    assert_eq!(vector.check(), Err(Refusal::Wrong));
}

#[test]
fn headers_that_are_none() {
    let good = &vectors().swap_remove(0).authorization;
    for (from, to) in [
        ("Access=AKEXAMPLE0000000001, ", ""),
        ("Access=AKEXAMPLE0000000001", "Access="),
        ("Access=AKEXAMPLE0000000001", "Access=a b"),
        ("Access=AKEXAMPLE0000000001", "Access=\u{e9}"),
        ("Access=AKEXAMPLE0000000001", "Access=A, Access=A"),
        ("Access=", "Credential="),
        ("SignedHeaders=", "Other="),
        ("content-type;host", "content-type;;host"),
        ("content-type;host", "Content-Type;host"),
        (", Signature=", ", "),
        ("Signature=4f", "Signature=4F"),
        ("Signature=4f", "Signature=4"),
        ("Signature=4f", "Signature=4g"),
    ] {
        let wrong = good.replace(from, to);
        assert!(wrong != *good || !good.contains(from), "{from}");
        if wrong != *good {
            assert!(matches!(Authorization::read(&wrong), Err(Refusal::Malformed(_))), "{wrong}");
        }
    }
    for (value, signed) in [
        ("", false),
        ("  ", false),
        ("Basic dTpw", false),
        ("Bearer Signature=", false),
        ("SDK-HMAC-SHA256", true),
        ("SDK-HMAC-SM3 Access=a", true),
        ("AWS4-HMAC-SHA256 Credential=a, Signature=b", true),
    ] {
        assert_eq!(looks_signed(value), signed, "{value}");
    }
}

#[test]
fn the_time_has_a_window() {
    let vector = vectors().swap_remove(0);
    let authorization = Authorization::read(&vector.authorization).expect("a header");
    let mut signed = vector.signed();
    let mut at = |text: &str| {
        for (name, value) in &mut signed.headers {
            if *name == DATE {
                *value = Box::leak(text.to_owned().into_boxed_str()).as_bytes();
            }
        }
        signed.time(&authorization, NOW)
    };
    let now = basic(NOW);
    assert_eq!(moment(&now), Some(NOW));
    let shifted = |seconds: i64| basic(Timestamp::from_micros(NOW.as_micros() + seconds * 1_000_000));
    for seconds in [0, 1, -1, 900, -900] {
        assert_eq!(at(&shifted(seconds)), Ok(shifted(seconds)));
    }
    for seconds in [901, -901, 86400, -86400 * 365] {
        let given = shifted(seconds);
        assert_eq!(at(&given), Err(Refusal::Stale { given, now: now.clone() }));
    }
    for wrong in ["", "now", "2026-11-24T03:04:05Z", "20261324T030405Z", "20261124T030405", "20261124T030405+00"] {
        assert!(matches!(at(wrong), Err(Refusal::Stale { .. })), "{wrong}");
    }
    for name in ["host", DATE] {
        let unsigned = Authorization {
            signed_headers: authorization.signed().filter(|signed| *signed != name).collect::<Vec<_>>().join(";"),
            ..authorization.clone()
        };
        assert_eq!(vector.signed().time(&unsigned, NOW), Err(Refusal::NotSigned(name)));
    }
}

/// Encodes every byte, or only what has to be.
fn written(text: &str, all: bool, slashes: bool) -> String {
    let bytes = text.bytes().map(|byte| match byte {
        b'/' if !slashes => "/".to_owned(),
        byte if !all && (byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte)) => char::from(byte).to_string(),
        byte => format!("%{byte:02x}"),
    });
    bytes.collect()
}

proptest! {
    #[test]
    fn the_spelling_of_a_path_does_not_matter(text in "(/[a-zA-Z0-9 %+~&=é作]{0,6}){1,5}", all: bool) {
        let (one, other) = (canonical::path(&written(&text, all, false)), canonical::path(&written(&text, !all, false)));
        prop_assert_eq!(&one, &other);
        prop_assert!(one.ends_with('/'));
        // The form is its own form.
        prop_assert_eq!(canonical::path(&one), one);
    }

    #[test]
    fn order_and_spelling_of_a_query_do_not_matter(
        pairs in prop::collection::vec(("[a-c%&= é]{1,3}", "[a-c%&= +é]{0,3}"), 0..6),
        turn in 0usize..6,
        all: bool,
    ) {
        let write = |pairs: &[(String, String)], all| {
            let pairs = pairs.iter().map(|(k, v)| format!("{}={}", written(k, all, true), written(v, all, true)));
            pairs.collect::<Vec<_>>().join("&")
        };
        let mut turned = pairs.clone();
        if !turned.is_empty() {
            let turn = turn % turned.len();
            turned.rotate_left(turn);
        }
        let one = canonical::query(&write(&pairs, all));
        prop_assert_eq!(&one, &canonical::query(&write(&turned, !all)));
        prop_assert_eq!(canonical::query(&one), one.clone());
        // Nothing of it is lost: other pairs are another form.
        let mut more = pairs.clone();
        more.push(("d".to_owned(), String::new()));
        prop_assert_ne!(one, canonical::query(&write(&more, all)));
    }

    #[test]
    fn what_is_signed_verifies_and_nothing_else_does(
        body in prop::collection::vec(any::<u8>(), 0..64),
        secret in "[ -~]{1,100}",
        flip in 0usize..64,
    ) {
        let mut vector = vectors().swap_remove(2);
        vector.body = body;
        vector.secret = Secret::new(secret);
        vector.sign();
        prop_assert_eq!(vector.check(), Ok(()));
        let authorization = Authorization::read(&vector.authorization).expect("the header");
        let mut digits = authorization.signature.clone().into_bytes();
        digits[flip] = if digits[flip] == b'0' { b'1' } else { b'0' };
        let other = String::from_utf8(digits).expect("digits");
        let tampered = vector.authorization.replace(&authorization.signature, &other);
        let authorization = Authorization::read(&tampered).expect("the header");
        let checked = vector.signed().check(&authorization, &vector.secret, &vector.payload(), &vector.body);
        prop_assert_eq!(checked, Err(Refusal::Wrong));
    }

    #[test]
    fn nothing_that_is_sent_makes_it_panic(
        authorization in "(SDK-HMAC-SHA256 )?[ -~é]{0,80}", path in "[ -~é]{0,20}", query in "[ -~é]{0,20}",
    ) {
        let _ = (Authorization::read(&authorization), canonical::path(&path), canonical::query(&query), moment(&query));
    }
}

#[test]
fn odd_queries() {
    for (sent, wanted) in [
        ("", ""),
        ("&&", ""),
        ("k", "k="),
        ("k=", "k="),
        ("b=2&a=2&a=1", "a=1&a=2&b=2"),
        ("q=a+b", "q=a%20b"),
        ("q=a%2Bb", "q=a%2Bb"),
        ("q=a=b", "q=a%3Db"),
        ("q=%zz", "q=%25zz"),
        ("b=%ff&B=~", "B=~&b=%FF"),
    ] {
        assert_eq!(canonical::query(sent), wanted, "{sent}");
    }
    for (sent, wanted) in [("", "/"), ("/", "/"), ("/a", "/a/"), ("/a/", "/a/"), ("/a%2fb", "/a/b/"), ("/%7e", "/~/")] {
        assert_eq!(canonical::path(sent), wanted, "{sent}");
    }
}
