//! A socket address as it stands on the wire: 16 bytes of IPv6 (IPv4 mapped) and a port.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};

/// An IP address and a UDP port, neither of them zero. Spec: `spec/formats.md` section 2, WIRE-10.
///
/// Two spellings of one address are one value: an IPv4-mapped IPv6 address is the IPv4 address, and the scope ID and
/// flow label that an operating system may attach to an IPv6 address are dropped.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    ip: [u8; 16],
    port: u16,
}

/// The 18 bytes of an address field before anything is known about them: an address, or none.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RawAddress {
    ip: [u8; 16],
    port: u16,
}

impl Address {
    /// Size on the wire, in bytes.
    pub const LEN: usize = 18;

    /// The address in its one spelling, or `None` if it is unspecified or its port is 0.
    #[must_use]
    pub fn new(ip: IpAddr, port: u16) -> Option<Self> {
        let ip = match ip {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        let unspecified = ip.to_canonical().is_unspecified();
        (!unspecified && port != 0).then_some(Self { ip: ip.octets(), port })
    }

    /// The IP address; IPv4 where it is one.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        Ipv6Addr::from(self.ip).to_canonical()
    }

    /// The UDP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address as the standard library has it.
    #[must_use]
    pub fn socket_addr(&self) -> SocketAddr {
        SocketAddr::new(self.ip(), self.port)
    }

    /// The 18 bytes of the wire.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let (ip, port) = bytes.split_at_mut(16);
        ip.copy_from_slice(&self.ip);
        port.copy_from_slice(&self.port.to_be_bytes());
        bytes
    }
}

impl TryFrom<SocketAddr> for Address {
    type Error = NotAnAddress;

    fn try_from(addr: SocketAddr) -> Result<Self, NotAnAddress> {
        Self::new(addr.ip(), addr.port()).ok_or(NotAnAddress)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket_addr().fmt(f)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket_addr().fmt(f)
    }
}

/// An unspecified IP address or port 0: nobody can be reached there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an address needs an IP address and a port that are not zero")]
pub struct NotAnAddress;
