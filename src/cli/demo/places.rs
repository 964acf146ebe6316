//! Where the demo's nodes live: loopback addresses that nobody else uses.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

/// Ports are taken from here up: above the well-known ones, below those that systems give to outgoing connections.
const FIRST_PORT: u16 = 20_000;

/// How many ports there are.
const PORTS: u32 = 10_000;

/// Gives out places, each one once.
#[derive(Debug)]
pub(super) struct Places {
    /// Whether the system has all of 127.0.0.0/8 and keeps the addresses apart, as Linux and Windows do, or has
    /// 127.0.0.1 only, as macOS.
    addresses: bool,
    /// Differs between processes, so that two demos do not meet.
    base: u32,
    given: u32,
}

impl Places {
    pub(super) fn new() -> Self {
        Self { addresses: are_many().unwrap_or(false), base: std::process::id(), given: 0 }
    }

    /// A place where no node has been: another address where there are many, else another port.
    pub(super) fn fresh(&mut self) -> SocketAddr {
        self.given += 1;
        let [_, _, high, low] = self.base.to_be_bytes();
        let (ip, port) = if self.addresses {
            let [.., host] = self.given.to_be_bytes();
            (Ipv4Addr::new(127, 64 | (high & 63), low, host), self.base)
        } else {
            (Ipv4Addr::LOCALHOST, self.base.wrapping_mul(97).wrapping_add(self.given))
        };
        let port = FIRST_PORT + u16::try_from(port % PORTS).unwrap_or_default();
        SocketAddr::new(IpAddr::V4(ip), port)
    }
}

/// Whether one port can be taken at two loopback addresses.
fn are_many() -> io::Result<bool> {
    // Port 0: any free one will do.
    let first = UdpSocket::bind((Ipv4Addr::new(127, 77, 0, 1), 0))?;
    Ok(UdpSocket::bind((Ipv4Addr::new(127, 77, 0, 2), first.local_addr()?.port())).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_place_is_given_twice() {
        for addresses in [true, false] {
            let mut places = Places { addresses, base: 4242, given: 0 };
            let mut given: Vec<_> = (0..100).map(|_| places.fresh()).collect();
            assert!(given.iter().all(|place| place.ip().is_loopback() && place.port() >= FIRST_PORT));
            given.sort();
            given.dedup();
            assert_eq!(given.len(), 100);
        }
    }
}
