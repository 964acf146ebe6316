//! The node's sockets, one for each address to listen on: which one a datagram leaves by, and how a dead one returns.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::driver::error::{RunError, StartError};
use crate::driver::routes::{Route, Routes, canonical};
use crate::driver::socket::{self, Buffers, Stack};

/// How many addresses a node listens on at most: each one is a file descriptor that every wait looks at.
pub(super) const SOCKETS_MAX: usize = 16;

/// After so many errors in a row that do not pass by themselves a socket is taken for dead and opened anew.
const DEAD_AFTER: u32 = 8;

/// After so many receive errors of any kind with neither a datagram nor an empty queue between them a socket is taken
/// for dead: an error that is never taken back would keep the loop busy. Far more than the reports that one batch of
/// datagrams to dead peers can cause.
const STUCK_AFTER: u32 = 4096;

/// The first wait before a socket is opened again; it doubles up to [`REOPEN_MAX`].
const REOPEN_MIN: Duration = Duration::from_secs(1);

/// The longest wait before a socket is opened again: how long a late network may go unnoticed.
const REOPEN_MAX: Duration = Duration::from_secs(15);

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

/// What the sockets count.
#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    sent: u64,
    send_failed: u64,
    received: u64,
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
                let Some(State::Open(socket)) = self.slots.get(index).map(|slot| &slot.state) else { continue };
                if socket.poll_recv_ready(cx).is_ready() {
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
        let slot = self.slots.get_mut(index)?;
        let State::Open(socket) = &slot.state else { return None };
        match socket.try_recv_from(buffer) {
            Ok((length, from)) => {
                slot.works();
                self.counters.received += 1;
                let (from, scope) = canonical(from);
                self.routes.arrived(from, Route { socket: index, scope });
                Some((from, length))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                slot.unread = 0;
                None
            }
            Err(error) => {
                // What an earlier datagram met on its way, or this one's size. The next wake-up goes on reading.
                self.counters.receive_failed += 1;
                tracing::trace!(listen = %slot.listen, %error, "cannot receive");
                slot.unread += 1;
                if slot.unread >= STUCK_AFTER {
                    slot.closed(now, &error)
                } else {
                    slot.failed(now, &error)
                }
                None
            }
        }
    }

    /// The datagram that [`Sockets::receive`] gave last was accepted.
    pub(super) fn accepted(&mut self) {
        self.routes.accepted();
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
                self.counters.sent += 1;
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
    pub(super) fn counters(&self) -> [(&'static str, u64); 5] {
        let Counters { sent, send_failed, received, receive_failed, reopened } = self.counters;
        [
            ("socket-sent", sent),
            ("socket-send-failed", send_failed),
            ("socket-received", received),
            ("socket-receive-failed", receive_failed),
            ("socket-reopened", reopened),
        ]
    }

    /// The addresses that are being listened on, for the log.
    pub(super) fn listening(&self) -> impl Iterator<Item = SocketAddr> {
        self.slots.iter().filter(|slot| slot.reopen_at().is_none()).map(|slot| slot.listen)
    }
}

/// One address to listen on, and its socket while there is one.
struct Slot {
    listen: SocketAddr,
    /// Whether `[::]` leaves IPv4 to another socket.
    v6_only: bool,
    stack: Stack,
    state: State,
    /// Errors in a row that do not pass by themselves.
    failures: u32,
    /// Receive errors since the last datagram or empty queue.
    unread: u32,
    /// The wait before the next attempt to open it.
    wait: Duration,
}

enum State {
    /// Bound, not yet watched by a runtime.
    Bound(std::net::UdpSocket),
    Open(tokio::net::UdpSocket),
    Closed {
        reopen_at: Option<Instant>,
    },
}

// The standard library's sockets print their address by asking the system for it, which a node never does.
impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slot").field("listen", &self.listen).field("stack", &self.stack).finish_non_exhaustive()
    }
}

impl Slot {
    fn new(listen: SocketAddr, v6_only: bool) -> Self {
        let state = State::Closed { reopen_at: None };
        Self { listen, v6_only, stack: Stack::V4, state, failures: 0, unread: 0, wait: REOPEN_MIN }
    }

    fn open(&mut self, buffers: Buffers) -> io::Result<()> {
        let (socket, stack) = socket::open(self.listen, self.v6_only, buffers)?;
        self.stack = stack;
        self.state = State::Bound(socket);
        (self.failures, self.unread) = (0, 0);
        Ok(())
    }

    fn watch(&mut self) -> io::Result<()> {
        match std::mem::replace(&mut self.state, State::Closed { reopen_at: None }) {
            State::Bound(socket) => self.state = State::Open(tokio::net::UdpSocket::from_std(socket)?),
            other @ (State::Open(_) | State::Closed { .. }) => self.state = other,
        }
        Ok(())
    }

    /// Whether this slot is what a new list of addresses asks for, and has a socket.
    fn serves(&self, listen: SocketAddr, v6_only: bool) -> bool {
        self.listen == listen && self.v6_only == v6_only && !matches!(self.state, State::Closed { .. })
    }

    fn reopen_at(&self) -> Option<Instant> {
        match self.state {
            State::Closed { reopen_at } => reopen_at,
            State::Bound(_) | State::Open(_) => None,
        }
    }

    /// Sends; false if this socket cannot.
    fn send(&mut self, to: SocketAddr, scope: u32, datagram: &[u8], now: Instant) -> bool {
        let State::Open(socket) = &self.state else { return false };
        if self.listen.ip().is_loopback() && !to.ip().is_loopback() {
            return false;
        }
        let Some(destination) = self.stack.destination(to, scope) else { return false };
        match socket::send(socket, destination, datagram) {
            Ok(()) => {
                self.works();
                true
            }
            Err(error) => {
                tracing::trace!(listen = %self.listen, %to, %error, "cannot send");
                self.failed(now, &error);
                false
            }
        }
    }

    /// Something went through.
    fn works(&mut self) {
        (self.failures, self.unread) = (0, 0);
        self.wait = REOPEN_MIN;
    }

    /// Counts an error, and gives the socket up when it is dead.
    fn failed(&mut self, now: Instant, error: &io::Error) {
        if socket::passes(error) {
            return;
        }
        self.failures += 1;
        if self.failures >= DEAD_AFTER {
            self.closed(now, error);
        }
    }

    /// There is no socket: says so once, and plans the next attempt.
    fn closed(&mut self, now: Instant, error: &io::Error) {
        if self.wait == REOPEN_MIN {
            tracing::warn!(listen = %self.listen, %error, "cannot listen there now; trying again until it works");
        } else {
            tracing::debug!(listen = %self.listen, %error, "still cannot listen there");
        }
        self.state = State::Closed { reopen_at: Some(now + self.wait) };
        self.wait = (self.wait * 2).min(REOPEN_MAX);
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
