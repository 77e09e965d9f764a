//! What an address of a network is beside a plain one: what listens there is for this host or its link only, and among it are the
//! metadata services of clouds, which give out keys. Who names addresses to the server must not reach them by it.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// What an address is, if it is no plain one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    /// It is this host's own.
    Loopback,
    /// It names no host; systems take it for this one.
    Unspecified,
    /// It holds on one link, as most metadata services of clouds do.
    LinkLocal,
    /// It names many hosts.
    Multicast,
    /// The metadata service of a cloud, in a network that is otherwise nothing special.
    Metadata,
}

impl fmt::Display for Special {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "an address of this host (loopback)",
            Self::Unspecified => "an unspecified address",
            Self::LinkLocal => "a link-local address, as metadata services of clouds have",
            Self::Multicast => "a multicast or broadcast address",
            Self::Metadata => "the metadata service of a cloud",
        })
    }
}

/// The IPv4 address that an IPv6 address means: mapped, compatible, by NAT64 or by 6to4.
pub fn embedded(address: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(address) = address else { return None };
    let of = |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low)));
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(of(high, low)),
        [0x2002, high, low, ..] => Some(of(high, low)),
        _ => None,
    }
}

/// What an address is, however it is written; nothing for a plain one.
pub fn special(address: IpAddr) -> Option<Special> {
    const EC2: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    /// Alibaba Cloud's and Azure's.
    const METADATA: [Ipv4Addr; 2] = [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16)];
    match embedded(address).unwrap_or(address) {
        IpAddr::V4(address) => match address.octets() {
            [127, ..] => Some(Special::Loopback),
            [0, ..] => Some(Special::Unspecified),
            [169, 254, ..] => Some(Special::LinkLocal),
            [224..=239, ..] | [255, 255, 255, 255] => Some(Special::Multicast),
            _ if METADATA.contains(&address) => Some(Special::Metadata),
            _ => None,
        },
        IpAddr::V6(address) if address.is_loopback() => Some(Special::Loopback),
        IpAddr::V6(address) if address.is_unspecified() => Some(Special::Unspecified),
        IpAddr::V6(address) if address.is_unicast_link_local() => Some(Special::LinkLocal),
        IpAddr::V6(address) if address.is_multicast() => Some(Special::Multicast),
        IpAddr::V6(EC2) => Some(Special::Metadata),
        IpAddr::V6(_) => None,
    }
}
