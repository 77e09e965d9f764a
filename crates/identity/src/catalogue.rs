//! The services that a token's bearer is told of (iam.md section 4).
//!
//! Ids are derived from what they name, so that every server and every start gives the same.

use serde::Serialize;
use sha2::{Digest, Sha256};

/// A service of the catalogue, in Keystone's shape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Service {
    /// Where it is reached.
    pub endpoints: Vec<Endpoint>,
    /// Stable id, 32 hexadecimal digits.
    pub id: String,
    /// What clients look for.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Name.
    pub name: &'static str,
}

/// One address of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Endpoint {
    /// Stable id, 32 hexadecimal digits.
    pub id: String,
    /// `public`, `internal` or `admin`.
    pub interface: &'static str,
    /// The region's id (Keystone 3 keeps both words).
    pub region_id: String,
    /// The region.
    pub region: String,
    /// The address.
    pub url: String,
}

/// Type, name, and whether the address bears a project.
const SERVICES: [(&str, &str, bool); 5] = [
    ("identity", "keystone", false),
    ("data-processing", "sahara", true),
    ("data_processing", "sahara", true),
    ("mapreduce", "mrs", true),
    ("mrs", "mrs", true),
];
const INTERFACES: [&str; 3] = ["public", "internal", "admin"];

/// The catalogue of a token. `base` is scheme and host without a slash at the end. A token without a project sees only
/// the services whose address needs none.
pub fn catalogue(base: &str, region: &str, project: Option<&str>) -> Vec<Service> {
    let service = |&(kind, name, of_project): &(&'static str, &'static str, bool)| {
        let url = match (of_project, project) {
            (false, _) => format!("{base}/v3"),
            (true, Some(project)) => format!("{base}/v1.1/{project}"),
            (true, None) => return None,
        };
        let endpoint = |&interface: &&'static str| Endpoint {
            id: stable_id(&[kind, interface, region]),
            interface,
            region_id: region.to_owned(),
            region: region.to_owned(),
            url: url.clone(),
        };
        Some(Service { endpoints: INTERFACES.iter().map(endpoint).collect(), id: stable_id(&[kind]), kind, name })
    };
    SERVICES.iter().filter_map(service).collect()
}

/// 32 hexadecimal digits that depend on nothing but the words.
fn stable_id(words: &[&str]) -> String {
    let digest = Sha256::digest(words.join("\n").as_bytes());
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_has_three_interfaces_and_ids_of_its_own() {
        let entries = catalogue("http://127.0.0.1:8386", "RegionOne", Some("p1"));
        let kinds: Vec<_> = entries.iter().map(|service| service.kind).collect();
        assert_eq!(kinds, ["identity", "data-processing", "data_processing", "mapreduce", "mrs"]);
        let mut ids: Vec<&str> = entries.iter().map(|service| service.id.as_str()).collect();
        for service in &entries {
            let interfaces: Vec<_> = service.endpoints.iter().map(|endpoint| endpoint.interface).collect();
            assert_eq!(interfaces, ["public", "internal", "admin"]);
            ids.extend(service.endpoints.iter().map(|endpoint| endpoint.id.as_str()));
            let url =
                if service.kind == "identity" { "http://127.0.0.1:8386/v3" } else { "http://127.0.0.1:8386/v1.1/p1" };
            assert!(service.endpoints.iter().all(|endpoint| endpoint.url == url), "{service:?}");
        }
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all);
        assert!(ids.iter().all(|id| id.len() == 32));
        assert_eq!(entries, catalogue("http://127.0.0.1:8386", "RegionOne", Some("p1")));
    }

    #[test]
    fn without_a_project_only_identity_is_there() {
        let kinds: Vec<_> = catalogue("http://h", "RegionOne", None).iter().map(|service| service.kind).collect();
        assert_eq!(kinds, ["identity"]);
    }
}
