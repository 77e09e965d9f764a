//! What the operator says about HDFS, `[stores.hdfs]`.

use std::collections::BTreeMap;

use url::Url;

/// Before the names of namenodes among the words.
const AT: &str = "webhdfs.";

/// The operator's settings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HdfsSettings {
    /// Who asks when a job does not say so itself.
    user: Option<String>,
    /// Host, `host:port` or name service as it stands in urls, and where its namenodes answer HTTP.
    webhdfs: BTreeMap<String, Vec<Url>>,
}

impl HdfsSettings {
    /// From a user's name, and from names with one url or several with commas between. The error says which is malformed.
    pub fn of(user: Option<String>, webhdfs: &BTreeMap<String, String>) -> Result<Self, String> {
        let mut all = BTreeMap::new();
        for (name, urls) in webhdfs {
            let urls = urls.split(',').map(|text| address(text.trim()));
            let urls = urls.collect::<Option<Vec<Url>>>().ok_or_else(|| {
                format!("'{name}' has to name http://host:port or https://host:port, several with commas between")
            })?;
            all.insert(name.to_ascii_lowercase(), urls);
        }
        Ok(Self { user, webhdfs: all })
    }

    /// For a process of ours that copies: words and values.
    pub fn to_words(&self) -> BTreeMap<String, String> {
        let urls = |urls: &[Url]| urls.iter().map(Url::as_str).collect::<Vec<_>>().join(",");
        let mut words: BTreeMap<String, String> =
            self.webhdfs.iter().map(|(name, all)| (format!("{AT}{name}"), urls(all))).collect();
        words.extend(self.user.clone().map(|user| ("user".to_owned(), user)));
        words
    }

    /// The other way round; words that are not known are passed over.
    pub fn of_words(words: &BTreeMap<String, String>) -> Result<Self, String> {
        let named = words.iter().filter_map(|(word, urls)| Some((word.strip_prefix(AT)?.to_owned(), urls.clone())));
        Self::of(words.get("user").cloned(), &named.collect())
    }

    pub(super) fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Each name with its urls, of which there is one at least.
    pub(super) fn named(&self) -> impl Iterator<Item = (&String, &Vec<Url>)> {
        self.webhdfs.iter()
    }
}

/// An address without credentials and query; a gateway's may have a path.
fn address(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let is_bare =
        url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    (matches!(url.scheme(), "http" | "https") && is_bare && url.host_str().is_some()).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_carry_all_settings_and_what_is_malformed_is_named() {
        let map = |name: &str, urls: &str| BTreeMap::from([(name.to_owned(), urls.to_owned())]);
        let of = |urls: &str| HdfsSettings::of(Some("me".to_owned()), &map("NN:8020", urls));
        let settings = of("http://a:9870, https://b:9871/gateway").expect("settings");
        assert_eq!(HdfsSettings::of_words(&settings.to_words()), Ok(settings.clone()));
        assert_eq!(
            settings.named().map(|(name, urls)| (name.as_str(), urls.len())).collect::<Vec<_>>(),
            [("nn:8020", 2)]
        );
        assert_eq!(HdfsSettings::of_words(&BTreeMap::new()), Ok(HdfsSettings::default()));
        for urls in ["", "a:9870", "http://a,", "hdfs://a", "http://me:word@a", "http://a?x"] {
            let error = of(urls).expect_err(urls);
            assert!(error.contains("'NN:8020'") && !error.contains("word"), "{error}");
        }
    }
}
