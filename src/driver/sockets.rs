//! The node's sockets, one for each address to listen on: which one a datagram leaves by, and how a dead one returns.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::Poll;
use std::time::Instant;

use crate::driver::error::{RunError, StartError};
use crate::driver::routes::{Route, Routes, canonical};
use crate::driver::slot::{Received, Slot};
use crate::driver::socket::Buffers;

/// How many addresses a node listens on at most: each one is a file descriptor that every wait looks at.
pub(super) const SOCKETS_MAX: usize = 16;

/// All sockets of a node.
#[derive(Debug)]
pub(super) struct Sockets {
    slots: Vec<Slot>,
    buffers: Buffers,
    routes: Routes,
    /// The socket that is asked first for a datagram: the one after that which gave the last, so that none starves.
    turn: usize,
    counters: Counters,
}

/// What the sockets count; the core counts what goes through.
#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    send_failed: u64,
    receive_failed: u64,
    reopened: u64,
}

impl Sockets {
    /// Opens the sockets. An address that the machine does not have yet is no error: it is tried again.
    pub(super) fn open(listen: &[SocketAddr], buffers: Buffers, now: Instant) -> Result<Self, StartError> {
        if listen.is_empty() {
            return Err(StartError::NoListen);
        }
        if listen.len() > SOCKETS_MAX {
            return Err(StartError::TooManyListen);
        }
        let mut slots = Vec::with_capacity(listen.len());
        for (address, v6_only) in plan(listen) {
            if address.port() == 0 {
                return Err(StartError::NoPort(address));
            }
            let mut slot = Slot::new(address, v6_only);
            match slot.open(buffers) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => slot.closed(now, &error),
                Err(source) => return Err(StartError::Bind { address, source }),
            }
            slots.push(slot);
        }
        Ok(Self { slots, buffers, routes: Routes::default(), turn: 0, counters: Counters::default() })
    }

    /// Has the runtime watch the sockets. Only inside a runtime.
    pub(super) fn watch(&mut self) -> Result<(), RunError> {
        for slot in &mut self.slots {
            let address = slot.listen;
            slot.watch().map_err(|source| RunError::Watch { address, source })?;
        }
        Ok(())
    }

    /// Moves to other addresses. If one of them cannot be had, everything stays as it was.
    pub(super) fn rebind(&mut self, listen: &[SocketAddr]) -> io::Result<()> {
        if listen.is_empty() || listen.len() > SOCKETS_MAX || listen.iter().any(|address| address.port() == 0) {
            let reason = format!("1 to {SOCKETS_MAX} addresses to listen on are needed, each with a port");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        }
        let mut fresh = Vec::with_capacity(listen.len());
        for (address, v6_only) in plan(listen) {
            let kept = self.slots.iter().position(|old| old.serves(address, v6_only));
            let mut slot = Slot::new(address, v6_only);
            if kept.is_none() {
                slot.open(self.buffers)
                    .and_then(|()| slot.watch())
                    .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))?;
            }
            fresh.push((slot, kept));
        }
        for (slot, kept) in &mut fresh {
            if let Some(old) = kept.and_then(|index| self.slots.get_mut(index)) {
                std::mem::swap(slot, old);
            }
        }
        self.slots = fresh.into_iter().map(|(slot, _)| slot).collect();
        self.routes.clear();
        Ok(())
    }

    /// Waits until a socket has something to read, and tells which.
    pub(super) async fn readable(&mut self) -> usize {
        poll_fn(|cx| {
            let count = self.slots.len();
            for index in (0..count).map(|n| (self.turn + n) % count) {
                if self.slots.get(index).is_some_and(|slot| slot.is_readable(cx)) {
                    self.turn = index + 1;
                    return Poll::Ready(index);
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Takes the next datagram from a socket: its source and length. `None`: nothing more to read there now.
    pub(super) fn receive(&mut self, index: usize, buffer: &mut [u8], now: Instant) -> Option<(SocketAddr, usize)> {
        match self.slots.get_mut(index)?.receive(buffer, now) {
            Received::Datagram { from, length } => {
                let (from, scope) = canonical(from);
                self.routes.arrived(from, Route { socket: index, scope });
                Some((from, length))
            }
            // An error stays readable, or what lies behind it does: the next turn of the loop goes on.
            Received::Error => {
                self.counters.receive_failed += 1;
                None
            }
            Received::Nothing => None,
        }
    }

    /// The datagram that [`Sockets::receive`] gave last was accepted.
    pub(super) fn accepted(&mut self) {
        self.routes.accepted();
    }

    /// The datagram that [`Sockets::receive`] gave last has been handled, and answered if it was.
    pub(super) fn handled(&mut self) {
        self.routes.handled();
    }

    /// Sends a datagram, by the socket on which the peer was last heard, else by the first that can. What cannot be
    /// sent is lost, as datagrams are.
    pub(super) fn send(&mut self, to: SocketAddr, datagram: &[u8], now: Instant) {
        let route = self.routes.to(to);
        let scope = route.map_or(0, |route| route.scope);
        let preferred = route.map(|route| route.socket);
        let others = (0..self.slots.len()).filter(|index| Some(*index) != preferred);
        for index in preferred.into_iter().chain(others) {
            let Some(slot) = self.slots.get_mut(index) else { continue };
            if slot.send(to, scope, datagram, now) {
                return;
            }
        }
        self.counters.send_failed += 1;
        tracing::trace!(%to, "no socket could send");
    }

    /// When a closed socket is to be opened again.
    pub(super) fn due(&self) -> Option<Instant> {
        self.slots.iter().filter_map(|slot| slot.reopen_at()).min()
    }

    /// Opens closed sockets whose time has come.
    pub(super) fn reopen(&mut self, now: Instant) {
        for slot in &mut self.slots {
            if slot.reopen_at().is_none_or(|at| at > now) {
                continue;
            }
            match slot.open(self.buffers).and_then(|()| slot.watch()) {
                Ok(()) => {
                    self.counters.reopened += 1;
                    tracing::info!(listen = %slot.listen, "listening");
                }
                Err(error) => slot.closed(now, &error),
            }
        }
    }

    /// What was counted since the start.
    pub(super) fn counters(&self) -> [(&'static str, u64); 3] {
        let Counters { send_failed, receive_failed, reopened } = self.counters;
        [("socket-send-failed", send_failed), ("socket-receive-failed", receive_failed), ("socket-reopened", reopened)]
    }

    /// The addresses that are being listened on, for the log.
    pub(super) fn listening(&self) -> impl Iterator<Item = SocketAddr> {
        self.slots.iter().filter(|slot| slot.reopen_at().is_none()).map(|slot| slot.listen)
    }
}

/// The addresses to open, in one spelling and once each; `[::]` leaves IPv4 to an IPv4 address that is listed with the
/// same port.
fn plan(listen: &[SocketAddr]) -> Vec<(SocketAddr, bool)> {
    let mut addresses: Vec<SocketAddr> = Vec::with_capacity(listen.len());
    for address in listen.iter().map(|&address| unmapped(address)) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    let v4_ports: Vec<u16> = addresses.iter().filter(|address| address.is_ipv4()).map(SocketAddr::port).collect();
    let v6_only = |address: &SocketAddr| match address.ip() {
        IpAddr::V4(_) => false,
        IpAddr::V6(_) => v4_ports.contains(&address.port()),
    };
    addresses.into_iter().map(|address| (address, v6_only(&address))).collect()
}

/// An IPv4-mapped address to listen on means the IPv4 address. The interface of a link-local one is kept.
fn unmapped(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(v4) => SocketAddr::from((v4, address.port())),
        IpAddr::V6(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::driver::clock;

    /// An address that no other process, and no other test, listens on.
    fn place(n: u8) -> SocketAddr {
        let [_, _, high, low] = std::process::id().to_be_bytes();
        let ip = if cfg!(target_os = "linux") { [127, 192 | (high & 31), low, n] } else { [127, 0, 0, 1] };
        SocketAddr::from((ip, 22_000 + u16::from(n) + 16 * u16::from(low)))
    }

    fn in_runtime(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let patience = Duration::from_secs(30);
        runtime.block_on(async { tokio::time::timeout(patience, test).await.unwrap() });
    }

    fn open(listen: &[SocketAddr]) -> Sockets {
        let mut sockets = Sockets::open(listen, Buffers::default(), clock::now()).unwrap();
        sockets.watch().unwrap();
        sockets
    }

    async fn next(sockets: &mut Sockets) -> (SocketAddr, Vec<u8>) {
        let mut buffer = [0; 64];
        loop {
            let index = sockets.readable().await;
            if let Some((from, length)) = sockets.receive(index, &mut buffer, clock::now()) {
                return (from, buffer[..length].to_vec());
            }
        }
    }

    #[test]
    fn a_reply_leaves_by_the_socket_that_was_reached() {
        in_runtime(async {
            let (first, second, peer) = (place(1), place(2), place(3));
            let (mut node, mut other) = (open(&[first, second]), open(&[peer]));
            for at in [second, first, second] {
                other.send(at, b"ping", clock::now());
                assert_eq!(next(&mut node).await, (peer, b"ping".to_vec()));
                node.accepted();
                node.handled();
                node.send(peer, b"pong", clock::now());
                assert_eq!(next(&mut other).await, (at, b"pong".to_vec()));
            }
        });
    }

    #[test]
    fn a_socket_for_everything_speaks_ipv4_in_its_own_spelling() {
        in_runtime(async {
            let peer = place(4);
            let port = peer.port() + 5000;
            let mut node = open(&[SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, port))]);
            let mut other = open(&[peer]);
            node.send(peer, b"first", clock::now());
            let (from, _) = next(&mut other).await;
            assert_eq!(from, SocketAddr::from(([127, 0, 0, 1], port)));
            other.send(from, b"second", clock::now());
            assert_eq!(next(&mut node).await, (peer, b"second".to_vec()));
        });
    }

    #[test]
    fn moving_keeps_what_stays_and_gives_up_nothing_when_it_fails() {
        in_runtime(async {
            let (first, second, taken) = (place(6), place(7), place(8));
            let (mut node, mut other) = (open(&[first]), open(&[taken]));
            let refused = node.rebind(&[second, taken]).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
            node.send(taken, b"still here", clock::now());
            assert_eq!(next(&mut other).await.0, first);

            // The refused attempt must not hold on to the other address, nor must the socket that stays be opened twice.
            node.rebind(&[second, first]).unwrap();
            other.send(first, b"kept", clock::now());
            other.send(second, b"new", clock::now());
            let mut heard = [next(&mut node).await.1, next(&mut node).await.1];
            heard.sort();
            assert_eq!(heard, [b"kept".to_vec(), b"new".to_vec()]);
        });
    }

    #[test]
    fn a_socket_on_loopback_is_not_asked_to_reach_the_world() {
        in_runtime(async {
            let mut node = open(&[place(9)]);
            for _ in 0..100 {
                node.send("192.0.2.1:7733".parse().unwrap(), b"lost", clock::now());
            }
            assert!(node.counters().contains(&("socket-send-failed", 100)));
            assert_eq!(node.due(), None, "the socket is not to blame");
        });
    }

    #[test]
    fn ipv4_beside_ipv6_on_one_port_is_one_socket_each() {
        let (v4, v6) = ("0.0.0.0:7733".parse().unwrap(), "[::]:7733".parse().unwrap());
        assert_eq!(plan(&[v6]), [(v6, false)]);
        assert_eq!(plan(&[v6, v4, v6]), [(v6, true), (v4, false)]);
        let mapped = "[::ffff:192.0.2.1]:7733".parse().unwrap();
        assert_eq!(plan(&[mapped]), [("192.0.2.1:7733".parse().unwrap(), false)]);
    }
}
