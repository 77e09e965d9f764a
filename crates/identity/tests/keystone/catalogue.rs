//! Endpoints from a token's catalogue.

use foggara_identity::Error;
use serde_json::json;

use crate::fake::{Fake, keystone};

#[tokio::test]
async fn endpoints_come_from_the_token_without_another_question() {
    let fake = Fake::start().await;
    let endpoint = |region: &str, interface: &str, url: &str| json!({"id": "e", "interface": interface, "region": region, "region_id": region, "url": url});
    fake.issue_with(
        "good",
        json!({"catalog": [
            {"id": "1", "name": "nova", "type": "compute", "endpoints": [
                endpoint("north", "public", "http://nova.north/v2.1"),
                endpoint("south", "public", "http://nova.south/v2.1"),
                endpoint("south", "internal", "http://nova.inside/v2.1")]},
            {"id": "2", "name": "swift", "type": "object-store", "endpoints": [
                endpoint("south", "public", "http://swift.south/v1/AUTH_project-demo")]}]}),
    );
    fake.issue_with("unscoped", json!({"project": null, "roles": null, "catalog": null}));
    let mut settings = fake.settings();
    settings.region = Some("south".to_owned());
    let keystone = keystone(settings);
    for (types, interface, region, url) in [
        (&["compute"][..], "public", None, Some("http://nova.south/v2.1")),
        (&["compute"], "public", Some("north"), Some("http://nova.north/v2.1")),
        (&["compute"], "internal", None, Some("http://nova.inside/v2.1")),
        (&["compute"], "admin", None, None),
        (&["compute"], "public", Some("west"), None),
        (&["image", "object-store"], "public", None, Some("http://swift.south/v1/AUTH_project-demo")),
        (&["network"], "public", None, None),
    ] {
        let found = keystone.endpoint("good", types, interface, region).await.expect("an answer");
        assert_eq!(found.as_deref(), url, "{types:?} {interface} {region:?}");
    }
    assert_eq!(fake.place().examinations, 1);
    assert_eq!(keystone.endpoint("unscoped", &["compute"], "public", None).await, Ok(None));
    assert_eq!(keystone.endpoint("wrong", &["compute"], "public", None).await, Err(Error::Unauthorized));
}
