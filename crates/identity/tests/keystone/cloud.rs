//! What requests refer to, looked for in the rest of the cloud.

use axum::{Router, http::HeaderMap, routing::get};
use foggara_domain::Secret;
use foggara_identity::{
    Error,
    keystone::{Cloud, Reference},
};
use serde_json::json;

use crate::fake::{Fake, keystone};

#[tokio::test]
async fn only_what_the_catalogue_knows_is_looked_for() {
    let fake = Fake::start().await;
    let seen = |headers: HeaderMap| async move { headers["x-auth-token"].to_str().unwrap_or_default().to_owned() };
    let services = Router::new()
        .route("/nova/flavors/7", get(seen))
        .route("/glance/v2/images/i", get(seen))
        .route("/neutron/v2.0/networks/n", get(async || axum::http::StatusCode::INTERNAL_SERVER_ERROR));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, services).await });
    let service = |kind: &str, url: String| {
        let endpoint = json!({"id": "e", "interface": "public", "region": "one", "region_id": "one", "url": url});
        json!({"id": kind, "name": kind, "type": kind, "endpoints": [endpoint]})
    };
    fake.issue_with("bare", json!({"catalog": []}));
    let catalogue = json!([service("compute", format!("{base}/nova")), service("image", format!("{base}/glance/v2"))]);
    fake.issue_with("whole", json!({"catalog": catalogue}));
    fake.issue_with("away", json!({"catalog": [service("network", "http://127.0.0.1:1".to_owned())]}));
    let keystone = keystone(fake.settings());
    let flavor = Reference::Flavor("7".to_owned());
    let image = Reference::Image("i".to_owned());
    let network = Reference::Network("n".to_owned());
    for reference in [&flavor, &image, &network] {
        assert_eq!(keystone.has(&Secret::new("bare"), reference).await, Ok(None), "{reference:?}");
    }
    for reference in [&flavor, &image] {
        assert_eq!(keystone.has(&Secret::new("whole"), reference).await, Ok(Some(true)), "{reference:?}");
    }
    let network_service = json!([service("network", format!("{base}/neutron"))]);
    fake.issue_with("broken", json!({"catalog": network_service}));
    let broken = keystone.has(&Secret::new("broken"), &network).await;
    assert!(matches!(broken, Err(Error::Unavailable(_))), "{broken:?}");
    let other = Reference::Flavor("8".to_owned());
    assert_eq!(keystone.has(&Secret::new("whole"), &other).await, Ok(Some(false)));
    let away = keystone.has(&Secret::new("away"), &network).await;
    assert!(matches!(away, Err(Error::Unavailable(_))), "{away:?}");
}
