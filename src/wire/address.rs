//! A socket address as it stands on the wire: 16 bytes of IPv6 (IPv4 mapped) and a port.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::wire::error::DecodeError;
use crate::wire::list::Slot;
use crate::wire::raw::{self, Raw};

/// An IP address and a UDP port, neither of them zero. Spec: `spec/formats.md` section 2, WIRE-10.
///
/// Two spellings of one address are one value: an IPv4-mapped IPv6 address is the IPv4 address, and the scope ID and
/// flow label that an operating system may attach to an IPv6 address are dropped.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    ip: [u8; 16],
    port: u16,
}

impl Address {
    /// Size on the wire, in bytes.
    pub const LEN: usize = 18;

    /// The address in its one spelling, or `None` if it is unspecified or its port is 0.
    #[must_use]
    #[inline]
    pub fn new(ip: IpAddr, port: u16) -> Option<Self> {
        let ip = match ip {
            IpAddr::V4(v4) => MAPPED | u128::from(v4.to_bits()),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        Self::from_bits(ip, port)
    }

    /// The IP address; IPv4 where it is one.
    #[must_use]
    #[inline]
    pub fn ip(&self) -> IpAddr {
        match self.ip {
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, a, b, c, d] => Ipv4Addr::new(a, b, c, d).into(),
            ipv6 => Ipv6Addr::from(ipv6).into(),
        }
    }

    /// The UDP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether one machine may have it: it is not multicast, broadcast or in 0.0.0.0/8.
    #[must_use]
    pub fn is_unicast(&self) -> bool {
        match self.ip() {
            IpAddr::V4(ip) => !ip.is_multicast() && !ip.is_broadcast() && ip.octets()[0] != 0,
            IpAddr::V6(ip) => !ip.is_multicast(),
        }
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

    /// Reads the 18 bytes of the wire.
    ///
    /// # Errors
    ///
    /// Another length, "none", or what is neither an address nor "none".
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        raw::read::<RawAddress>(bytes)?.required()
    }

    #[inline]
    fn from_bits(ip: u128, port: u16) -> Option<Self> {
        let usable = ip != 0 && ip != MAPPED && port != 0;
        usable.then_some(Self { ip: ip.to_be_bytes(), port })
    }
}

impl TryFrom<SocketAddr> for Address {
    type Error = NotAnAddress;

    #[inline]
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

/// `::ffff:0.0.0.0`: what an IPv4 address is added to.
const MAPPED: u128 = 0xFFFF << 32;

/// An unspecified IP address or port 0: nobody can be reached there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an address needs an IP address and a port that are not zero")]
pub struct NotAnAddress;

/// The 18 bytes of an address field before anything is known about them: an address, or none.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RawAddress {
    pub(super) ip: u128,
    pub(super) port: u16,
}

impl RawAddress {
    const NONE: Self = Self { ip: 0, port: 0 };

    /// The address, where there may be none.
    #[inline]
    pub(super) fn optional(self) -> Result<Option<Address>, DecodeError> {
        if self == Self::NONE {
            return Ok(None);
        }
        Address::from_bits(self.ip, self.port).map(Some).ok_or(DecodeError::Address)
    }

    /// The address, where there must be one.
    #[inline]
    pub(super) fn required(self) -> Result<Address, DecodeError> {
        self.optional()?.ok_or(DecodeError::NoAddress)
    }
}

impl From<Address> for RawAddress {
    #[inline]
    fn from(address: Address) -> Self {
        Self { ip: u128::from_be_bytes(address.ip), port: address.port }
    }
}

impl From<Option<Address>> for RawAddress {
    #[inline]
    fn from(address: Option<Address>) -> Self {
        address.map_or(Self::NONE, Self::from)
    }
}

impl Raw for RawAddress {
    const LEN: usize = Address::LEN;
}

impl Slot for Address {
    const FILL: Self = Self { ip: Ipv6Addr::LOCALHOST.octets(), port: 1 };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<Address> {
        text.parse::<SocketAddr>().unwrap().try_into().ok()
    }

    #[test]
    fn two_spellings_are_one_address() {
        let v4 = address("192.0.2.7:53").unwrap();
        assert_eq!(address("[::ffff:192.0.2.7]:53"), Some(v4));
        assert_eq!(v4.to_string(), "192.0.2.7:53");
        assert_eq!(v4.to_bytes(), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 7, 0, 53]);
    }

    #[test]
    fn nowhere_is_not_an_address() {
        for text in ["0.0.0.0:53", "[::]:53", "[::ffff:0.0.0.0]:53", "192.0.2.7:0", "0.0.0.0:0"] {
            assert_eq!(address(text), None, "{text}");
        }
    }

    #[test]
    fn none_is_eighteen_zero_bytes_and_nothing_else() {
        assert_eq!(RawAddress { ip: 0, port: 0 }.optional(), Ok(None));
        assert_eq!(RawAddress { ip: 0, port: 0 }.required(), Err(DecodeError::NoAddress));
        assert_eq!(RawAddress { ip: 0, port: 9 }.optional(), Err(DecodeError::Address));
        assert_eq!(RawAddress { ip: 1, port: 0 }.optional(), Err(DecodeError::Address));
        assert_eq!(RawAddress { ip: 0xffff_0000_0000, port: 9 }.required(), Err(DecodeError::Address));
    }
}
