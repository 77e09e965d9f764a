//! The services of a cloud, as a token's answer lists them.

use serde::Deserialize;

/// The services that a token can be used with; empty for a token without a scope.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Catalogue(pub Vec<Service>);

/// A service.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Service {
    /// `compute`, `network`, `image`, `object-store` ...
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Where it is reached.
    #[serde(default)]
    pub endpoints: Vec<Endpoint>,
}

/// An address of a service.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Endpoint {
    /// `public`, `internal` or `admin`.
    #[serde(default)]
    pub interface: String,
    /// The region, in the word that came with version 3.
    #[serde(default)]
    pub region_id: Option<String>,
    /// The region, in the older word.
    #[serde(default)]
    pub region: Option<String>,
    /// The address; an operator may have left it out.
    #[serde(default)]
    pub url: Option<String>,
}

impl Catalogue {
    /// The address of the first of `service_types` that has one for `interface` in `region`, or in any region when none is
    /// asked for. Older clouds write `publicURL` for `public`; both are understood, in the question and in the catalogue.
    pub fn endpoint(&self, service_types: &[&str], interface: &str, region: Option<&str>) -> Option<&str> {
        let interface = short(interface);
        service_types.iter().find_map(|wanted| {
            let endpoints = self.0.iter().filter(|service| service.kind == *wanted).flat_map(|s| &s.endpoints);
            endpoints
                .filter(|endpoint| short(&endpoint.interface) == interface && endpoint.is_in(region))
                .find_map(|endpoint| endpoint.url.as_deref().filter(|url| !url.is_empty()))
        })
    }
}

impl Endpoint {
    fn is_in(&self, wanted: Option<&str>) -> bool {
        let Some(wanted) = wanted else { return true };
        [&self.region_id, &self.region].into_iter().any(|region| region.as_deref() == Some(wanted))
    }
}

fn short(interface: &str) -> &str {
    interface.strip_suffix("URL").unwrap_or(interface)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue() -> Catalogue {
        serde_json::from_str(
            r#"[
              {"type": "volumev3", "id": "1", "name": "cinder", "endpoints": []},
              {"type": "object-store", "endpoints": [
                {"interface": "internal", "region": "one", "region_id": "one", "url": "http://swift.inside/v1"},
                {"interface": "public", "region": "one", "region_id": "one", "url": null},
                {"interface": "public", "region": "two", "region_id": "two", "url": "http://swift.two/v1"}]},
              {"type": "compute", "endpoints": [{"interface": "public", "region": "one", "url": "http://nova/v2.1"}]}]"#,
        )
        .expect("a catalogue")
    }

    #[test]
    fn type_interface_and_region_count() {
        let all = catalogue();
        assert_eq!(all.endpoint(&["object-store"], "internal", Some("one")), Some("http://swift.inside/v1"));
        assert_eq!(all.endpoint(&["object-store"], "public", Some("one")), None);
        assert_eq!(all.endpoint(&["object-store"], "public", None), Some("http://swift.two/v1"));
        assert_eq!(all.endpoint(&["object-store"], "publicURL", Some("two")), Some("http://swift.two/v1"));
        assert_eq!(all.endpoint(&["image"], "public", None), None);
    }

    #[test]
    fn the_first_type_that_is_there_is_taken() {
        let all = catalogue();
        assert_eq!(
            all.endpoint(&["compute_legacy", "volumev3", "compute"], "public", Some("one")),
            Some("http://nova/v2.1")
        );
    }
}
