//! Objects of OpenStack Swift and of what speaks its protocol (Ceph's RadosGW): `swift` urls, with or without `.sahara` behind
//! the container.
//!
//! opendal, which does the work for S3, is not used here: its Swift service takes one ready-made token for the life of an
//! operator, so that nothing could be renewed in the middle of a reading or a writing; it knows neither Keystone nor the log-in
//! of a Swift alone; it writes SLO manifests without the hashes of their segments, and does not remove segments of what is
//! replaced or fails. The requests are few and plain, so they are made with reqwest, like those of our Keystone client.
//!
//! Who a request acts as is said in [`who`]. Nothing is taken from the server's own environment (`OS_*` variables).

mod client;
mod list;
mod read;
mod session;
mod settings;
mod slo;
mod target;
mod who;
mod write;

use std::{fs, sync::Arc, time::Duration};

use async_trait::async_trait;
use foggara_identity::keystone::Keystone;
use reqwest::{Certificate, Client, Method, redirect::Policy};
pub use settings::SwiftSettings;
use url::Url;

use self::{client::Dialog, session::Sessions, target::Target, who::Who};
use crate::{Access, Content, Listing, Store, StoreError};

const CONNECT: Duration = Duration::from_secs(10);

/// The store.
pub struct SwiftStore {
    settings: SwiftSettings,
    http: Client,
    sessions: Arc<Sessions>,
}

impl SwiftStore {
    /// With the operator's settings and connections of its own. With a Keystone, callers' tokens and trusts count. A rustls
    /// provider must be installed in the process.
    pub fn new(settings: SwiftSettings, keystone: Option<Arc<Keystone>>) -> Result<Self, StoreError> {
        // A redirect would take the token along to wherever it points.
        let mut builder = Client::builder()
            .connect_timeout(CONNECT)
            .redirect(Policy::none())
            .user_agent(concat!("foggara/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = &settings.ca_file {
            let unusable = |why: String| StoreError::Local(format!("[stores.swift] ca_file {}: {why}", path.display()));
            let pem = fs::read(path).map_err(|error| unusable(error.to_string()))?;
            let trusted = Certificate::from_pem_bundle(&pem).map_err(|error| unusable(error.to_string()))?;
            builder = builder.tls_certs_merge(trusted);
        }
        let http =
            builder.build().map_err(|error| StoreError::Local(format!("cannot make an HTTP client: {error}")))?;
        let sessions = Arc::new(Sessions::new(http.clone(), settings.clone(), keystone));
        Ok(Self { settings, http, sessions })
    }

    fn dialog(&self, url: &Url, access: &Access<'_>) -> Result<Dialog, StoreError> {
        let target = Target::of(url)?;
        let who = Who::of(access, &self.settings, &target.name(), self.sessions.has_service())?;
        Ok(Dialog { http: self.http.clone(), sessions: Arc::clone(&self.sessions), who, target })
    }

    fn of_object(&self, url: &Url, access: &Access<'_>) -> Result<Dialog, StoreError> {
        let dialog = self.dialog(url, access)?;
        dialog.target.need_object()?;
        Ok(dialog)
    }
}

#[async_trait]
impl Store for SwiftStore {
    fn schemes(&self) -> &'static [&'static str] {
        &["swift"]
    }

    async fn open(&self, url: &Url, access: &Access<'_>) -> Result<Content, StoreError> {
        read::open(self.of_object(url, access)?).await
    }

    async fn list(&self, url: &Url, access: &Access<'_>) -> Result<Listing, StoreError> {
        list::list(&self.dialog(url, access)?).await
    }

    async fn put(&self, url: &Url, content: Content, access: &Access<'_>) -> Result<u64, StoreError> {
        write::put(&self.of_object(url, access)?, content, self.settings.segment).await
    }

    async fn delete(&self, url: &Url, access: &Access<'_>) -> Result<(), StoreError> {
        let dialog = self.of_object(url, access)?;
        let segments = slo::segments(&dialog).await?;
        let answer = dialog.ask(dialog.about(Method::DELETE)).await?;
        slo::check_removed(&dialog, &answer)?;
        slo::remove(&dialog, &segments).await
    }
}
