//! Flavors, images, networks and key pairs that a request names. They are looked for where the caller's catalogue has the service
//! that knows them, and otherwise kept as they are given.

use foggara_domain::{Code, Error, Result, Secret, node_group::NodeGroup};
use foggara_identity::keystone::Reference;
use serde_json::{Map, Value};

use super::shape::GivenGroup;
use crate::App;

/// Collects what is referred to, each once.
#[derive(Default)]
pub(super) struct References(std::collections::BTreeSet<Reference>);

impl References {
    /// What members of a request name.
    pub fn of(mut self, members: &Map<String, Value>) -> Self {
        let text = |value: &Value| match value {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let found = |key: &str| members.get(key).and_then(text);
        self.0.extend(found("flavor_id").map(Reference::Flavor));
        self.0.extend(found("image_id").map(Reference::Image));
        self.0.extend(found("default_image_id").map(Reference::Image));
        self.0.extend(found("neutron_management_network").map(Reference::Network));
        self.0.extend(found("floating_ip_pool").map(Reference::Network));
        self
    }

    /// What node groups of a request name.
    pub fn of_groups(self, groups: &[GivenGroup]) -> Self {
        groups.iter().fold(self, |references, group| references.of(&group.settings))
    }

    /// What whole node groups name.
    pub fn of_whole(mut self, groups: &[NodeGroup]) -> Self {
        for group in groups {
            self.0.extend(group.settings.flavor_id.clone().map(Reference::Flavor));
            self.0.extend(group.settings.image_id.clone().map(Reference::Image));
        }
        self
    }

    /// A key pair.
    pub fn keypair(mut self, name: Option<&String>) -> Self {
        self.0.extend(name.cloned().map(Reference::KeyPair));
        self
    }

    /// Refuses what is not there, in the words of the original.
    pub async fn check(self, app: &App, token: &Secret) -> Result<()> {
        let Some(cloud) = app.cloud() else { return Ok(()) };
        for reference in self.0 {
            let found = cloud.has(token, &reference).await.map_err(|error| Error::unavailable(error.to_string()))?;
            if found != Some(false) {
                continue;
            }
            let (code, text) = match reference {
                Reference::Flavor(id) => (Code::NotFound, format!("Requested flavor '{id}' not found")),
                Reference::KeyPair(name) => (Code::NotFound, format!("Requested keypair '{name}' not found")),
                Reference::Network(id) => (Code::NotFound, format!("Network {id} not found")),
                Reference::Image(id) => (Code::InvalidReference, format!("Requested image '{id}' is not registered")),
            };
            return Err(Error::refused(code, text));
        }
        Ok(())
    }
}
