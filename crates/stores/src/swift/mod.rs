//! Objects of OpenStack Swift and of what speaks its protocol (Ceph's RadosGW): `swift` urls, with or without `.sahara` behind
//! the container.
//!
//! opendal, which does the work for S3, is not used here: its Swift service takes one ready-made token for the life of an
//! operator, so that nothing could be renewed in the middle of a reading or a writing; it knows neither Keystone nor the log-in
//! of a Swift alone; it writes SLO manifests without the hashes of their segments, and does not remove segments of what is
//! replaced or fails. The requests are few and plain, so they are made with reqwest, like those of our Keystone client.
//!
//! Who a request acts as is said in [`who`]. Nothing is taken from the server's own environment (`OS_*` variables).

mod blocks;
mod client;
mod list;
mod read;
mod session;
mod settings;
mod slo;
mod target;
mod ticket;
mod who;
mod write;

use std::{fs, sync::Arc};

use async_trait::async_trait;
use foggara_identity::keystone::Keystone;
use reqwest::{Certificate, Client, ClientBuilder, Method};
pub use settings::SwiftSettings;
pub use ticket::Ticket;
use url::Url;

use self::{client::Dialog, session::Sessions, target::Target, who::Who};
use crate::{Access, Blocks, Content, Listing, Reach, Store, StoreError, Version, Writing, reach::free_client};

/// The store.
pub struct SwiftStore {
    settings: SwiftSettings,
    connections: Connections,
    sessions: Arc<Sessions>,
}

/// Connections to what the operator names, and to what jobs name: a log-in, and the Swift that its catalogue tells.
#[derive(Clone)]
struct Connections {
    free: Client,
    bound: Client,
    reach: Reach,
}

impl Connections {
    fn client(&self, is_operators: bool) -> &Client {
        if is_operators { &self.free } else { &self.bound }
    }

    /// Whether a url that a job or its log-in names may be asked.
    fn check(&self, url: &str, is_operators: bool, name: &str) -> Result<(), StoreError> {
        let Some(url) = Url::parse(url).ok().filter(|_| !is_operators) else { return Ok(()) };
        let fault =
            |fault| StoreError::Denied(format!("{name}: {} is not asked: {fault}", url.origin().ascii_serialization()));
        self.reach.check(&url).map_err(fault)
    }
}

impl SwiftStore {
    /// With the operator's settings and connections of its own; where jobs name the log-in themselves, they obey the rule. With a Keystone, callers' tokens and trusts count. A rustls
    /// provider must be installed in the process.
    pub fn new(settings: SwiftSettings, keystone: Option<Arc<Keystone>>, reach: Reach) -> Result<Self, StoreError> {
        let trusted = match &settings.ca_file {
            None => Vec::new(),
            Some(path) => {
                let unusable =
                    |why: String| StoreError::Local(format!("[stores.swift] ca_file {}: {why}", path.display()));
                let pem = fs::read(path).map_err(|error| unusable(error.to_string()))?;
                Certificate::from_pem_bundle(&pem).map_err(|error| unusable(error.to_string()))?
            }
        };
        // A redirect would take the token along to wherever it points: these clients follow none.
        let client = |builder: ClientBuilder| {
            let client = builder.tls_certs_merge(trusted.clone()).build();
            client.map_err(|error| StoreError::Local(format!("cannot make an HTTP client: {error}")))
        };
        let connections = Connections { free: client(free_client())?, bound: client(reach.client())?, reach };
        let sessions = Arc::new(Sessions::new(connections.clone(), settings.clone(), keystone));
        Ok(Self { settings, connections, sessions })
    }

    fn dialog(&self, url: &Url, access: &Access<'_>) -> Result<Dialog, StoreError> {
        let target = Target::of(url)?;
        let who = Who::of(access, &self.settings, &target.name(), self.sessions.has_service())?;
        let http = self.connections.client(who.is_operators()).clone();
        Ok(Dialog { http, sessions: Arc::clone(&self.sessions), who, target })
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

    async fn version(&self, url: &Url, access: &Access<'_>) -> Result<Option<Version>, StoreError> {
        read::version(&self.of_object(url, access)?).await
    }

    async fn open_part(
        &self,
        url: &Url,
        version: &Version,
        place: (u64, u64),
        access: &Access<'_>,
    ) -> Result<Content, StoreError> {
        read::open_part(self.of_object(url, access)?, version, place).await
    }

    async fn write_blocks(
        &self,
        url: &Url,
        blocks: &Blocks,
        access: &Access<'_>,
    ) -> Result<Option<Box<dyn Writing>>, StoreError> {
        Ok(Some(Box::new(blocks::begin(&self.of_object(url, access)?, blocks.clone()).await?)))
    }

    async fn ticket(&self, access: &Access<'_>) -> Result<Option<Ticket>, StoreError> {
        let who = Who::of(access, &self.settings, "swift", self.sessions.has_service())?;
        let session = self.sessions.get(&who, None, "swift").await?;
        Ok(Some(Ticket { token: session.token, storage: session.storage }))
    }

    async fn remove_part(&self, url: &Url, access: &Access<'_>) -> Result<(), StoreError> {
        blocks::remove_part(&self.of_object(url, access)?).await
    }
}
