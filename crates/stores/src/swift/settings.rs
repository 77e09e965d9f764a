//! What the operator says about Swift, `[stores.swift]`.

use std::{collections::BTreeMap, path::PathBuf};

/// More bytes than these go up as segments: 1 GiB, well below the 5 GiB that a Swift takes as one object.
const SEGMENT: u64 = 1 << 30;

/// The operator's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct SwiftSettings {
    /// Keystone v3 (`https://host:5000/v3`), or the log-in of a Swift alone (`https://host:8080/auth/v1.0`).
    pub auth_url: Option<String>,
    /// Where Swift is, when that is not to be taken from the log-in: with the account, or up to `/v1` without it.
    pub endpoint: Option<String>,
    /// Region whose Swift is taken from the catalogue; without it the first.
    pub region: Option<String>,
    /// Domain of users whose credentials name none.
    pub user_domain: String,
    /// Domain of projects that are given by name without one.
    pub project_domain: String,
    /// Certificates (PEM) that are trusted beside those of the system.
    pub ca_file: Option<PathBuf>,
    /// Whether the Keystone of `auth_url` knows the projects of this server: then credentials without a project are for that of
    /// the record they came with.
    pub knows_projects: bool,
    /// Larger content goes up in segments of so many bytes and a manifest.
    pub segment: u64,
}

impl Default for SwiftSettings {
    fn default() -> Self {
        Self {
            auth_url: None,
            endpoint: None,
            region: None,
            user_domain: "Default".to_owned(),
            project_domain: "Default".to_owned(),
            ca_file: None,
            knows_projects: false,
            segment: SEGMENT,
        }
    }
}

impl SwiftSettings {
    /// For a process of ours that copies: words and values. There is no secret among them.
    pub fn to_words(&self) -> BTreeMap<String, String> {
        let words = [
            ("auth_url", self.auth_url.clone()),
            ("endpoint", self.endpoint.clone()),
            ("region", self.region.clone()),
            ("user_domain", Some(self.user_domain.clone())),
            ("project_domain", Some(self.project_domain.clone())),
            ("ca_file", self.ca_file.as_ref().map(|path| path.display().to_string())),
            ("knows_projects", Some(self.knows_projects.to_string())),
            ("segment", Some(self.segment.to_string())),
        ];
        words.into_iter().filter_map(|(word, value)| Some((word.to_owned(), value?))).collect()
    }

    /// The other way round; words that are not known are passed over.
    pub fn of_words(words: &BTreeMap<String, String>) -> Self {
        let word = |word: &str| words.get(word).cloned();
        let defaults = Self::default();
        Self {
            auth_url: word("auth_url"),
            endpoint: word("endpoint"),
            region: word("region"),
            user_domain: word("user_domain").unwrap_or(defaults.user_domain),
            project_domain: word("project_domain").unwrap_or(defaults.project_domain),
            ca_file: word("ca_file").map(PathBuf::from),
            knows_projects: word("knows_projects").as_deref() == Some("true"),
            segment: word("segment").and_then(|text| text.parse().ok()).unwrap_or(defaults.segment),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_carry_all_settings() {
        let settings = SwiftSettings {
            auth_url: Some("https://keystone.test/v3".to_owned()),
            endpoint: Some("https://swift.test/v1".to_owned()),
            region: Some("r".to_owned()),
            user_domain: "u".to_owned(),
            project_domain: "p".to_owned(),
            ca_file: Some(PathBuf::from("/ca")),
            knows_projects: true,
            segment: 7,
        };
        assert_eq!(SwiftSettings::of_words(&settings.to_words()), settings);
        assert_eq!(SwiftSettings::of_words(&SwiftSettings::default().to_words()), SwiftSettings::default());
    }
}
