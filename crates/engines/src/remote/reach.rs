//! Where an address of a cluster may lead. Whoever can make a cluster says where its services are, and a master says where its workers
//! are: neither may have this server ask what listens for its link only, or the metadata service of a cloud (docs/decisions/0016). Literal
//! addresses are looked at in the settings, and what names resolve to at the moment of the connection, so that a name that answers
//! differently the second time gains nothing. Redirects are not followed, and no proxy resolves names.

use std::{
    error::Error,
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use foggara_domain::address::{Special, special};
use reqwest::{
    Client, ClientBuilder,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::Policy,
};
use tokio::net::{TcpStream, lookup_host};
use url::{Host, Url};

/// Why a connection is not made.
#[derive(Debug)]
struct Forbidden(String);

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Forbidden {}

/// Loopback is allowed: a cluster on the server's own host is the most common one.
fn refused(address: IpAddr) -> Option<Special> {
    special(address).filter(|kind| *kind != Special::Loopback)
}

fn words(name: &str, address: IpAddr, kind: Special) -> String {
    let shown = address.to_string();
    let what = if name == shown { shown } else { format!("{name} is {shown}, which") };
    format!("{what} is {kind}: no service of a cluster may be there (docs/decisions/0016-addresses-of-clusters.md)")
}

/// Whether a url may be asked, as far as it says so itself: names are looked at when they are resolved. The error is for the user.
pub(crate) fn check(url: &Url) -> Result<(), String> {
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
        _ => return Ok(()),
    };
    refused(address).map_or(Ok(()), |kind| Err(words(&address.to_string(), address, kind)))
}

/// What is left of the addresses behind a name.
fn filter(name: &str, addresses: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, Forbidden> {
    let mut left = Vec::new();
    let mut fault = None;
    for address in addresses {
        match refused(address.ip()) {
            Some(kind) => fault = Some(Forbidden(words(name, address.ip(), kind))),
            None => left.push(address),
        }
    }
    match fault {
        Some(fault) if left.is_empty() => Err(fault),
        _ => Ok(left),
    }
}

/// The beginning of a client whose connections by names obey the rule. Urls are checked by [`check`] before they are asked.
pub(crate) fn client() -> ClientBuilder {
    Client::builder().redirect(Policy::none()).no_proxy().dns_resolver(Arc::new(Filtered))
}

/// What is left of the addresses behind a name, for clients that connect by themselves. The error says why nothing is.
pub(crate) fn of_rule(name: &str, addresses: impl Iterator<Item = SocketAddr>) -> io::Result<Vec<SocketAddr>> {
    filter(name, addresses).map_err(io::Error::other)
}

/// A connection to `host:port` that obeys the rule.
pub(crate) async fn connect(place: &str) -> io::Result<TcpStream> {
    let name = place.rsplit_once(':').map_or(place, |(name, _)| name);
    let left = of_rule(name, lookup_host(place).await?)?;
    TcpStream::connect(left.as_slice()).await
}

/// The system's resolver, and the rule after it.
#[derive(Debug)]
struct Filtered;

impl Resolve for Filtered {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = lookup_host((name.as_str(), 0)).await?;
            Ok(Box::new(filter(name.as_str(), found)?.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literal_addresses_are_refused_however_they_are_written() {
        let asks = |host: &str| check(&Url::parse(&format!("http://{host}:8081/")).expect("a url"));
        for host in [
            "169.254.169.254",
            "2852039166",
            "0.0.0.0",
            "100.100.100.200",
            "168.63.129.16",
            "224.0.0.1",
            "[::]",
            "[::ffff:169.254.169.254]",
            "[fe80::1]",
            "[ff02::1]",
            "[fd00:ec2::254]",
        ] {
            let why = asks(host).expect_err(host);
            assert!(why.contains("no service of a cluster may be there"), "{why}");
        }
        for host in ["127.0.0.1", "[::1]", "10.0.0.1", "192.168.1.1", "[fd00::1]", "flink.test"] {
            assert_eq!(asks(host), Ok(()), "{host}");
        }
    }

    #[test]
    fn what_a_name_resolves_to_is_looked_at() {
        let address = |text: &str| SocketAddr::new(text.parse().expect("an address"), 0);
        let mixed = [address("169.254.169.254"), address("10.0.0.1"), address("127.0.0.1")];
        let left = filter("flink.test", mixed.into_iter()).expect("two are left");
        assert_eq!(left, [address("10.0.0.1"), address("127.0.0.1")]);
        let why = filter("evil.test", [address("169.254.169.254")].into_iter()).expect_err("nothing is left");
        assert!(why.to_string().starts_with("evil.test is 169.254.169.254, which is a link-local address"), "{why}");
    }

    #[tokio::test]
    async fn the_hook_is_asked_and_connections_obey() {
        let name: Name = "localhost".parse().expect("a name");
        let found: Vec<_> = Filtered.resolve(name).await.expect("it is known").collect();
        assert!(!found.is_empty() && found.iter().all(|address| address.ip().is_loopback()), "{found:?}");
        let why = connect("169.254.169.254:80").await.expect_err("it is refused");
        assert!(why.to_string().contains("no service of a cluster may be there"), "{why}");
    }
}
