//! By which socket, and over which interface, a peer was last heard: replies leave the same way.

use std::collections::BTreeMap;
use std::net::{SocketAddr, SocketAddrV6};

/// How many sources a generation holds. Two generations are kept, so the last 2,048 sources are always known: twice
/// the members that a cluster may have.
const GENERATION: usize = 2048;

/// The way to a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// Which socket.
    pub(super) socket: usize,
    /// The interface of a link-local source, else 0. The core's addresses have no room for it.
    pub(super) scope: u32,
}

/// A bounded memory of routes: when a generation is full it becomes the previous one, and the one before is forgotten.
#[derive(Debug, Default)]
pub(super) struct Routes {
    /// The source of the datagram that is being handled, accepted or not: even a stranger is answered by the socket
    /// that it reached. Only then: whoever forges a source must not choose the socket by which a peer is called later.
    latest: Option<(SocketAddr, Route)>,
    current: BTreeMap<SocketAddr, Route>,
    previous: BTreeMap<SocketAddr, Route>,
}

impl Routes {
    /// A datagram arrived.
    pub(super) fn arrived(&mut self, from: SocketAddr, route: Route) {
        self.latest = Some((from, route));
    }

    /// The datagram that arrived last was accepted: its route is worth keeping.
    pub(super) fn accepted(&mut self) {
        let Some((from, route)) = self.latest else { return };
        if self.current.len() >= GENERATION && !self.current.contains_key(&from) {
            self.previous = std::mem::take(&mut self.current);
        }
        self.current.insert(from, route);
    }

    /// The datagram that arrived last has been handled, and answered if it was.
    pub(super) fn handled(&mut self) {
        self.latest = None;
    }

    /// How to reach an address.
    pub(super) fn to(&self, to: SocketAddr) -> Option<Route> {
        match self.latest {
            Some((from, route)) if from == to => Some(route),
            Some(_) | None => self.current.get(&to).or_else(|| self.previous.get(&to)).copied(),
        }
    }

    /// Forgets everything: the sockets are others now.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// A source in its one spelling, and its interface: IPv4-mapped becomes IPv4, scope and flow label are taken off.
pub(super) fn canonical(from: SocketAddr) -> (SocketAddr, u32) {
    match from {
        SocketAddr::V4(_) => (from, 0),
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => (SocketAddr::from((v4, v6.port())), 0),
            None => (SocketAddrV6::new(*v6.ip(), v6.port(), 0, 0).into(), v6.scope_id()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(n: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], n))
    }

    #[test]
    fn one_spelling_per_source() {
        let mapped = "[::ffff:192.0.2.1]:9".parse().unwrap();
        assert_eq!(canonical(mapped), (source(9), 0));
        let link_local = SocketAddrV6::new("fe80::1".parse().unwrap(), 9, 5, 3).into();
        assert_eq!(canonical(link_local), ("[fe80::1]:9".parse().unwrap(), 3));
    }

    #[test]
    fn strangers_are_answered_but_not_remembered() {
        let mut routes = Routes::default();
        let route = Route { socket: 1, scope: 0 };
        routes.arrived(source(1), route);
        assert_eq!(routes.to(source(1)), Some(route));
        routes.handled();
        assert_eq!(routes.to(source(1)), None);
    }

    #[test]
    fn a_forged_source_does_not_move_a_peer_to_another_socket() {
        let mut routes = Routes::default();
        let route = Route { socket: 0, scope: 0 };
        routes.arrived(source(1), route);
        routes.accepted();
        routes.handled();
        routes.arrived(source(1), Route { socket: 1, scope: 0 });
        routes.handled();
        assert_eq!(routes.to(source(1)), Some(route));
    }

    #[test]
    fn memory_is_bounded_and_keeps_the_recent() {
        let mut routes = Routes::default();
        for n in 0..u16::MAX {
            routes.arrived(source(n), Route { socket: usize::from(n), scope: 0 });
            routes.accepted();
            assert!(routes.current.len() + routes.previous.len() <= 2 * GENERATION);
        }
        let recent = u16::MAX - 2000;
        assert_eq!(routes.to(source(recent)), Some(Route { socket: usize::from(recent), scope: 0 }));
        assert_eq!(routes.to(source(1)), None);
    }
}
