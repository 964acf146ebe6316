//! One address to listen on: its socket while there is one, and the way back while there is none.

use std::io;
use std::net::SocketAddr;
use std::task::Context;
use std::time::{Duration, Instant};

use crate::driver::socket::{self, Buffers, Stack};

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

/// One address to listen on, and its socket while there is one.
pub(super) struct Slot {
    /// Where, as the settings say it.
    pub(super) listen: SocketAddr,
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

/// What reading from a slot gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// A datagram, in the first bytes of the buffer. The source is as the system spells it.
    Datagram { from: SocketAddr, length: usize },
    /// Nothing to read now.
    Nothing,
    /// What an earlier datagram met on its way, or one that is too long for the buffer.
    Error,
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
    /// A slot without a socket.
    pub(super) fn new(listen: SocketAddr, v6_only: bool) -> Self {
        let state = State::Closed { reopen_at: None };
        Self { listen, v6_only, stack: Stack::V4, state, failures: 0, unread: 0, wait: REOPEN_MIN }
    }

    /// Opens the socket.
    pub(super) fn open(&mut self, buffers: Buffers) -> io::Result<()> {
        let (socket, stack) = socket::open(self.listen, self.v6_only, buffers)?;
        self.stack = stack;
        self.state = State::Bound(socket);
        (self.failures, self.unread) = (0, 0);
        Ok(())
    }

    /// Has the runtime watch the socket. Only inside a runtime.
    pub(super) fn watch(&mut self) -> io::Result<()> {
        match std::mem::replace(&mut self.state, State::Closed { reopen_at: None }) {
            State::Bound(socket) => self.state = State::Open(tokio::net::UdpSocket::from_std(socket)?),
            other @ (State::Open(_) | State::Closed { .. }) => self.state = other,
        }
        Ok(())
    }

    /// Whether this slot is what a new list of addresses asks for, and has a socket.
    pub(super) fn serves(&self, listen: SocketAddr, v6_only: bool) -> bool {
        self.listen == listen && self.v6_only == v6_only && !matches!(self.state, State::Closed { .. })
    }

    /// When to open it again; `None` if it is open.
    pub(super) fn reopen_at(&self) -> Option<Instant> {
        match self.state {
            State::Closed { reopen_at } => reopen_at,
            State::Bound(_) | State::Open(_) => None,
        }
    }

    /// Whether there is something to read; has the task woken when there is.
    pub(super) fn is_readable(&self, cx: &mut Context<'_>) -> bool {
        match &self.state {
            State::Open(socket) => socket.poll_recv_ready(cx).is_ready(),
            State::Bound(_) | State::Closed { .. } => false,
        }
    }

    /// Takes the next datagram.
    pub(super) fn receive(&mut self, buffer: &mut [u8], now: Instant) -> Received {
        let State::Open(socket) = &self.state else { return Received::Nothing };
        match socket.try_recv_from(buffer) {
            Ok((length, from)) => {
                self.works();
                Received::Datagram { from, length }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.unread = 0;
                Received::Nothing
            }
            Err(error) => {
                tracing::trace!(listen = %self.listen, %error, "cannot receive");
                self.unread += 1;
                if self.unread >= STUCK_AFTER {
                    self.closed(now, &error)
                } else {
                    self.failed(now, &error)
                }
                Received::Error
            }
        }
    }

    /// Sends; false if this socket cannot.
    pub(super) fn send(&mut self, to: SocketAddr, scope: u32, datagram: &[u8], now: Instant) -> bool {
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
    pub(super) fn closed(&mut self, now: Instant, error: &io::Error) {
        if self.wait == REOPEN_MIN {
            tracing::warn!(listen = %self.listen, %error, "cannot listen there now; trying again until it works");
        } else {
            tracing::debug!(listen = %self.listen, %error, "still cannot listen there");
        }
        self.state = State::Closed { reopen_at: Some(now + self.wait) };
        self.wait = (self.wait * 2).min(REOPEN_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::clock;

    fn slot() -> Slot {
        // Reserved for documentation: no machine has it.
        Slot::new("192.0.2.77:7733".parse().unwrap(), false)
    }

    #[test]
    fn an_address_that_is_not_there_is_tried_again_less_and_less_often() {
        let mut slot = slot();
        let mut now = clock::now();
        let mut waits = Vec::new();
        for _ in 0..6 {
            let error = slot.open(Buffers::default()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
            slot.closed(now, &error);
            let at = slot.reopen_at().unwrap();
            waits.push((at - now).as_secs());
            now = at;
        }
        assert_eq!(waits, [1, 2, 4, 8, 15, 15]);
    }

    #[test]
    fn what_the_network_says_never_closes_a_socket_and_what_it_does_not_does() {
        let mut slot = slot();
        let now = clock::now();
        for _ in 0..1000 {
            slot.failed(now, &io::ErrorKind::NetworkUnreachable.into());
        }
        assert_eq!(slot.reopen_at(), None);
        for _ in 1..DEAD_AFTER {
            slot.failed(now, &io::ErrorKind::NotConnected.into());
        }
        assert_eq!(slot.reopen_at(), None);
        slot.failed(now, &io::ErrorKind::NotConnected.into());
        assert_eq!(slot.reopen_at(), Some(now + REOPEN_MIN));
    }

    #[test]
    fn a_datagram_that_goes_through_ends_the_count() {
        let mut slot = slot();
        let now = clock::now();
        for _ in 0..1000 {
            slot.failed(now, &io::ErrorKind::NotConnected.into());
            slot.works();
        }
        assert_eq!(slot.reopen_at(), None);
    }
}
