//! Where a url that a job supplies may lead. Whoever can run a job could otherwise talk, from inside, to what listens only for
//! this host (loopback) or for its link (among it the metadata services of clouds, which give out keys).
//!
//! The rule is applied to literal addresses of each url and each redirect, and to what names resolve to, at the moment of the
//! connection: a name that answers differently the second time gains nothing. Endpoints of the operator's own settings are
//! exempt. Connections go directly and not through a proxy, which would resolve names by itself.

use std::{
    error::Error,
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use foggara_domain::address::{Special, embedded, special};
use reqwest::{
    ClientBuilder,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::{Attempt, Policy},
};
use url::{Host, Url};

const CONNECT: Duration = Duration::from_secs(10);

/// What is reachable although it is refused by default: `[stores.http] allow`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reach(Arc<Vec<Allowed>>);

#[derive(Clone, Debug, PartialEq)]
struct Allowed {
    who: Who,
    /// Nothing for all ports.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq)]
enum Who {
    Name(String),
    /// An address and how many of its first bits count.
    Net(IpAddr, u8),
}

/// Why a connection is not made.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Forbidden(String);

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Forbidden {}

/// The refusal in an error's causes, if that is what it is about.
pub(crate) fn forbidden<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Forbidden> {
    std::iter::successors(Some(error), |error| (*error).source()).find_map(|error| error.downcast_ref())
}

impl Reach {
    /// From the words of the setting: a host's name, an address, a network in CIDR notation; the first two also with a port.
    /// The error names the word that is none of these.
    pub fn of(words: &[String]) -> Result<Self, String> {
        let allowed = words.iter().map(|word| {
            Allowed::of(word.trim()).ok_or_else(|| {
                format!(
                    "'{word}' is neither a host, host:port nor a network: store.example.org, store.example.org:9000, \
                     127.0.0.1:9000, [::1]:9000, 10.0.0.0/8"
                )
            })
        });
        Ok(Self(Arc::new(allowed.collect::<Result<_, _>>()?)))
    }

    /// Whether a url may be asked, as far as it says so itself: names are looked at again when they are resolved.
    pub(crate) fn check(&self, url: &Url) -> Result<(), Forbidden> {
        let port = url.port_or_known_default().unwrap_or(0);
        match url.host() {
            Some(Host::Ipv4(address)) => self.check_address(IpAddr::V4(address), port),
            Some(Host::Ipv6(address)) => self.check_address(IpAddr::V6(address), port),
            Some(Host::Domain(name)) => self.check_name(name, port),
            None => Err(Forbidden("it names no host".to_owned())),
        }
    }

    fn check_address(&self, address: IpAddr, port: u16) -> Result<(), Forbidden> {
        let listed = |allowed: &Allowed| allowed.holds(address) && allowed.port.is_none_or(|own| own == port);
        match special(address) {
            Some(kind) if !self.0.iter().any(listed) => Err(refused(&address.to_string(), address, kind)),
            _ => Ok(()),
        }
    }

    /// A name that is listed with ports only is not asked at others: what it resolves to is not looked at.
    fn check_name(&self, name: &str, port: u16) -> Result<(), Forbidden> {
        let mut listed = self.0.iter().filter(|allowed| allowed.is_name(name)).peekable();
        if listed.peek().is_none() || listed.any(|allowed| allowed.port.is_none_or(|own| own == port)) {
            return Ok(());
        }
        Err(Forbidden(format!(
            "{name} may not be reached at port {port}: [stores.http] allow names it with another port"
        )))
    }

    /// What is left of the addresses behind a name.
    fn filter(&self, name: &str, addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Forbidden> {
        if self.0.iter().any(|allowed| allowed.is_name(name)) {
            return Ok(addresses);
        }
        let mut left = Vec::new();
        let mut fault = None;
        for address in addresses {
            // The port is not known here, so that an address that is listed with a port counts only where a url names it.
            let listed = |allowed: &Allowed| allowed.port.is_none() && allowed.holds(address.ip());
            match special(address.ip()) {
                Some(kind) if !self.0.iter().any(listed) => fault = Some(refused(name, address.ip(), kind)),
                _ => left.push(address),
            }
        }
        match fault {
            Some(fault) if left.is_empty() => Err(fault),
            _ => Ok(left),
        }
    }

    /// A client whose connections obey the rule. It follows no redirects until a policy is set.
    pub(crate) fn client(&self) -> ClientBuilder {
        free_client().dns_resolver(Arc::new(Filtered(self.clone())))
    }

    /// Follows so many redirects, each of which obeys the rule, and none from https to http. Credentials do not go along to
    /// another host, port or scheme: that is reqwest's own rule for `Authorization`, and no `Referer` is sent.
    pub(crate) fn redirects(&self, most: usize) -> Policy {
        let reach = self.clone();
        Policy::custom(move |attempt: Attempt<'_>| {
            if attempt.previous().len() > most {
                return attempt.error(format!("more than {most} redirects"));
            }
            if let Err(fault) = allowed_step(attempt.previous().last(), attempt.url()) {
                return attempt.error(fault);
            }
            match reach.check(attempt.url()) {
                Ok(()) => attempt.follow(),
                Err(fault) => attempt.error(fault),
            }
        })
    }
}

/// A client for the operator's own endpoints, which may be anywhere. It follows no redirects until a policy is set.
pub(crate) fn free_client() -> ClientBuilder {
    reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .no_proxy()
        .referer(false)
        .redirect(Policy::none())
        .user_agent(concat!("foggara/", env!("CARGO_PKG_VERSION")))
}

/// Whether a redirect keeps to HTTP, and to TLS where there was TLS.
pub(crate) fn allowed_step(from: Option<&Url>, to: &Url) -> Result<(), Forbidden> {
    match (from.map(Url::scheme), to.scheme()) {
        (Some("https"), "http") => Err(Forbidden("it redirects from https to http".to_owned())),
        (_, "http" | "https") => Ok(()),
        (_, other) => Err(Forbidden(format!("it redirects to a {other} url"))),
    }
}

fn refused(name: &str, address: IpAddr, kind: Special) -> Forbidden {
    let shown = address.to_string();
    let what = if name == shown { shown } else { format!("{name} is {shown}, which") };
    Forbidden(format!("{what} is {kind}: jobs may not reach it unless [stores.http] allow names it"))
}

impl Allowed {
    fn of(word: &str) -> Option<Self> {
        if let Some((address, bits)) = word.split_once('/') {
            let (address, bits) = (address.parse::<IpAddr>().ok()?, bits.parse::<u8>().ok()?);
            let most = if address.is_ipv4() { 32 } else { 128 };
            return (bits <= most).then_some(Self { who: Who::Net(address, bits), port: None });
        }
        let whole = |address: IpAddr| Who::Net(address, if address.is_ipv4() { 32 } else { 128 });
        if let Ok(address) = word.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            return Some(Self { who: whole(address), port: None });
        }
        if let Ok(address) = word.parse::<SocketAddr>() {
            return Some(Self { who: whole(address.ip()), port: Some(address.port()) });
        }
        let (name, port) = match word.split_once(':') {
            Some((name, port)) => (name, Some(port.parse::<u16>().ok()?)),
            None => (word, None),
        };
        // As urls have it: lower case, international names in ASCII.
        let Ok(Host::Domain(name)) = Host::parse(name) else { return None };
        Some(Self { who: Who::Name(plain(&name).to_owned()), port })
    }

    fn is_name(&self, name: &str) -> bool {
        matches!(&self.who, Who::Name(own) if own.eq_ignore_ascii_case(plain(name)))
    }

    fn holds(&self, address: IpAddr) -> bool {
        let Who::Net(net, bits) = &self.who else { return false };
        match (net, embedded(address).unwrap_or(address)) {
            (IpAddr::V4(net), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(*bits);
                shift == 32 || net.to_bits() >> shift == address.to_bits() >> shift
            }
            (IpAddr::V6(net), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(*bits);
                shift == 128 || net.to_bits() >> shift == address.to_bits() >> shift
            }
            _ => false,
        }
    }
}

/// Without the dot that ends a name of the root zone.
fn plain(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// The system's resolver, and the rule after it.
#[derive(Debug)]
struct Filtered(Reach);

impl Resolve for Filtered {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let left = reach.filter(name.as_str(), found.collect())?;
            Ok(Box::new(left.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(words: &[&str]) -> Reach {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Reach::of(&words).expect("a rule")
    }

    fn asks(reach: &Reach, url: &str) -> Result<(), String> {
        reach.check(&Url::parse(url).expect("a url")).map_err(|fault| fault.to_string())
    }

    #[test]
    fn what_is_only_for_this_host_or_its_link_is_refused_however_it_is_written() {
        let none = Reach::default();
        for host in [
            "127.0.0.1",
            "127.1.2.3",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "169.254.1.1",
            "100.100.100.200",
            "168.63.129.16",
            "224.0.0.1",
            "255.255.255.255",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:a9fe:a9fe]",
            "[::127.0.0.1]",
            "[64:ff9b::169.254.169.254]",
            "[2002:7f00:1::]",
            "[fe80::1]",
            "[febf::1]",
            "[ff02::1]",
            "[fd00:ec2::254]",
        ] {
            let error = asks(&none, &format!("http://{host}:9000/p")).expect_err(host);
            assert!(error.contains("[stores.http] allow"), "{host}: {error}");
        }
        for host in ["10.0.0.1", "192.168.0.1", "172.16.0.1", "1.1.1.1", "[fd00::1]", "[2001:db8::1]", "store.test"] {
            assert_eq!(asks(&none, &format!("https://{host}/p")), Ok(()), "{host}");
        }
    }

    #[test]
    fn what_is_allowed_is_an_address_a_network_or_a_name_and_maybe_a_port() {
        let some = reach(&["127.0.0.1:9000", "169.254.0.0/16", "[::1]:80", "store.test:9000", "Here.Test"]);
        for url in [
            "http://127.0.0.1:9000",
            "http://[::ffff:127.0.0.1]:9000",
            "http://169.254.169.254",
            "http://[::1]",
            "http://store.test:9000",
            "http://here.test",
            "http://here.test:1",
            "http://other.test",
        ] {
            assert_eq!(asks(&some, url), Ok(()), "{url}");
        }
        for url in ["http://127.0.0.1", "http://127.0.0.2:9000", "http://[::1]:81", "http://store.test"] {
            assert!(asks(&some, url).is_err(), "{url}");
        }
        assert_eq!(asks(&reach(&["0.0.0.0/0"]), "http://127.0.0.1"), Ok(()));
        assert_eq!(asks(&reach(&["::/0"]), "http://[::1]"), Ok(()));
        assert!(asks(&reach(&["::/0"]), "http://127.0.0.1").is_err());
        for word in ["", "http://h", "h:port", "127.0.0.1/33", "::1/129", "a b", "h/8", "127.0.0.1:99999"] {
            let error = Reach::of(&[word.to_owned()]).expect_err(word);
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn what_a_name_resolves_to_is_looked_at() {
        let address = |text: &str| SocketAddr::new(text.parse().expect("an address"), 0);
        let mixed = || vec![address("127.0.0.1"), address("10.0.0.1"), address("::ffff:169.254.169.254")];
        let left = Reach::default().filter("evil.test", mixed()).expect("one is left");
        assert_eq!(left, [address("10.0.0.1")]);
        let error = Reach::default().filter("evil.test", vec![address("::1")]).expect_err("nothing is left");
        assert!(error.to_string().starts_with("evil.test is ::1, which is an address of this host"), "{error}");
        let listed = reach(&["evil.test:80"]).filter("evil.test.", mixed()).expect("the operator named it");
        assert_eq!(listed.len(), 3);
        // An address that is listed for one port does not open the others by a name that resolves to it.
        reach(&["127.0.0.1:9000"]).filter("evil.test", vec![address("127.0.0.1")]).expect_err("a port is needed");
        assert_eq!(
            reach(&["127.0.0.0/8"]).filter("evil.test", vec![address("127.0.0.1")]).map(|left| left.len()),
            Ok(1)
        );
    }

    #[test]
    fn redirects_keep_to_tls() {
        let url = |text: &str| Url::parse(text).expect("a url");
        assert!(allowed_step(Some(&url("https://a")), &url("http://a")).is_err());
        assert!(allowed_step(Some(&url("http://a")), &url("https://a")).is_ok());
        assert!(allowed_step(None, &url("file:///etc/passwd")).is_err());
    }
}
