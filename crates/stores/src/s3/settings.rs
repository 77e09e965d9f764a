//! What the operator says about S3, `[stores.s3]`.

use std::collections::BTreeMap;

use foggara_domain::Secret;

/// The operator's settings: for urls that come without credentials of their own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct S3Settings {
    /// `https://host[:port]`; without it AWS.
    pub endpoint: Option<String>,
    /// Region that requests are signed for; without it read off the endpoint, else `us-east-1`.
    pub region: Option<String>,
    /// Access key.
    pub access_key: Option<String>,
    /// Its secret.
    pub secret_key: Option<Secret>,
    /// Bucket in the path (true) or in the host's name (false); without it by the endpoint.
    pub path_style: Option<bool>,
    /// Send requests without a signature when there are no keys at all.
    pub allow_anonymous: bool,
}

impl S3Settings {
    /// For a process of ours that copies: words and values, the secret among them. They belong into a file of mode 0600.
    pub fn to_words(&self) -> BTreeMap<String, String> {
        let words = [
            ("endpoint", self.endpoint.clone()),
            ("region", self.region.clone()),
            ("access_key", self.access_key.clone()),
            ("secret_key", self.secret_key.as_ref().map(|secret| secret.reveal().to_owned())),
            ("path_style", self.path_style.map(|flag| flag.to_string())),
            ("allow_anonymous", Some(self.allow_anonymous.to_string())),
        ];
        words.into_iter().filter_map(|(word, value)| Some((word.to_owned(), value?))).collect()
    }

    /// The other way round; words that are not known are passed over.
    pub fn of_words(words: &BTreeMap<String, String>) -> Self {
        let word = |word: &str| words.get(word).cloned();
        Self {
            endpoint: word("endpoint"),
            region: word("region"),
            access_key: word("access_key"),
            secret_key: word("secret_key").map(Secret::new),
            path_style: word("path_style").map(|flag| flag == "true"),
            allow_anonymous: word("allow_anonymous").as_deref() == Some("true"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_carry_all_settings_and_debug_hides_the_secret() {
        let settings = S3Settings {
            endpoint: Some("https://s3.test".to_owned()),
            region: Some("r".to_owned()),
            access_key: Some("a".to_owned()),
            secret_key: Some(Secret::new("very-secret")),
            path_style: Some(false),
            allow_anonymous: true,
        };
        assert_eq!(S3Settings::of_words(&settings.to_words()), settings);
        assert_eq!(S3Settings::of_words(&S3Settings::default().to_words()), S3Settings::default());
        assert!(!format!("{settings:?}").contains("very-secret"));
    }
}
