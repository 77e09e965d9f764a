//! What a request refers to in the rest of the cloud: flavors, images, networks, key pairs. They are looked for only where the
//! token's catalogue knows the service, with the caller's own token, so that nobody learns of what is not theirs.

use async_trait::async_trait;
use foggara_domain::Secret;
use reqwest::StatusCode;

use super::{AWAY, Keystone};
use crate::Error;

/// Something in the rest of the cloud.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reference {
    /// A flavor of the compute service, by id.
    Flavor(String),
    /// A key pair of the compute service, by name.
    KeyPair(String),
    /// An image of the image service, by id.
    Image(String),
    /// A network of the network service, by id.
    Network(String),
}

impl Reference {
    /// Types of the service that knows it, and where it is there.
    fn place(&self) -> (&'static [&'static str], String) {
        match self {
            Self::Flavor(id) => (&["compute"], format!("/flavors/{}", segment(id))),
            Self::KeyPair(name) => (&["compute"], format!("/os-keypairs/{}", segment(name))),
            Self::Image(id) => (&["image"], format!("/v2/images/{}", segment(id))),
            Self::Network(id) => (&["network"], format!("/v2.0/networks/{}", segment(id))),
        }
    }
}

/// A text as one segment of a path.
fn segment(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// Looks for what a request refers to.
#[async_trait]
pub trait Cloud: Send + Sync {
    /// Whether it is there; nothing when the token's catalogue has no service that knows.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the service does not answer as it should.
    async fn has(&self, token: &Secret, reference: &Reference) -> Result<Option<bool>, Error>;
}

#[async_trait]
impl Cloud for Keystone {
    async fn has(&self, token: &Secret, reference: &Reference) -> Result<Option<bool>, Error> {
        let (services, path) = reference.place();
        let Some(base) = self.endpoint(token.reveal(), services, "public", None).await? else { return Ok(None) };
        let mut base = base.trim_end_matches('/').to_owned();
        // Catalogues have the address of the image and the network service with and without its version.
        for version in ["/v2", "/v2.0"] {
            if path.starts_with(&format!("{version}/"))
                && let Some(bare) = base.strip_suffix(version)
            {
                base = bare.to_owned();
            }
        }
        let answer = self.client.in_time(self.client.look_at(&format!("{base}{path}"), token)).await;
        let away = |why: String| {
            tracing::warn!(service = services[0], "what a request refers to cannot be looked for: {why}");
            Error::Unavailable(format!("The {} service cannot answer at the moment.", services[0]))
        };
        match answer {
            Ok(answer) if answer.status.is_success() => Ok(Some(true)),
            Ok(answer) if answer.status == StatusCode::NOT_FOUND || answer.status == StatusCode::BAD_REQUEST => {
                Ok(Some(false))
            }
            Ok(answer) if answer.status == StatusCode::UNAUTHORIZED => Err(Error::Unavailable(AWAY.to_owned())),
            Ok(answer) => Err(away(format!("it answered {}", answer.status))),
            Err(failure) => Err(away(failure.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_segment() {
        assert_eq!(Reference::Flavor("a/../b".into()).place().1, "/flavors/a%2F..%2Fb");
        assert_eq!(Reference::KeyPair("my key".into()).place().1, "/os-keypairs/my%20key");
    }
}
