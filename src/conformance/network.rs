//! The tester's sockets: several places on one machine, from which its peers speak and to which they move.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::Poll;
use std::time::Instant;

use tokio::io::ReadBuf;
use tokio::net::UdpSocket;
use tokio::runtime::Runtime;

use crate::wire::address::Address;

/// A socket of the tester.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// Where the first peer is.
    First,
    /// Where the first peer pretends to move to.
    FirstElsewhere,
    /// Where the first peer really moves to.
    FirstMoved,
    /// Where the second peer is.
    Second,
    /// Where the second peer moves to.
    SecondMoved,
    /// Where the third peer is.
    Third,
    /// Where the ghost is said to be, which never answers.
    Ghost,
    /// Where the ghost is said to be later.
    GhostElsewhere,
    /// Where somebody is who is nobody's peer.
    Stranger,
}

impl Place {
    const ALL: [Self; 9] = [
        Self::First,
        Self::FirstElsewhere,
        Self::FirstMoved,
        Self::Second,
        Self::SecondMoved,
        Self::Third,
        Self::Ghost,
        Self::GhostElsewhere,
        Self::Stranger,
    ];
}

/// More than any UDP payload has.
const BUFFER: usize = 65_536;

/// The sockets, and what waits for them.
pub(super) struct Network {
    runtime: Runtime,
    sockets: BTreeMap<Place, UdpSocket>,
    buffer: Vec<u8>,
}

/// What arrived.
#[derive(Clone, Debug)]
pub(super) struct Arrived {
    pub(super) place: Place,
    pub(super) from: SocketAddr,
    pub(super) bytes: Vec<u8>,
}

impl Network {
    /// Opens a socket for every place, on these IP addresses in turn, on ports that the system chooses.
    pub(super) fn open(on: &[IpAddr]) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let guard = runtime.enter();
        let mut sockets = BTreeMap::new();
        for (place, ip) in Place::ALL.into_iter().zip(on.iter().cycle()) {
            let socket = std::net::UdpSocket::bind(SocketAddr::new(*ip, 0))?;
            socket.set_nonblocking(true)?;
            sockets.insert(place, UdpSocket::from_std(socket)?);
        }
        drop(guard);
        Ok(Self { runtime, sockets, buffer: vec![0; BUFFER] })
    }

    /// The address of a place, where its socket is bound to one; `None` on a socket that is bound to all of them.
    pub(super) fn address(&self, place: Place) -> Option<Address> {
        Address::try_from(self.sockets.get(&place)?.local_addr().ok()?).ok()
    }

    /// Sends a datagram. What cannot be sent is lost, as on any network.
    pub(super) fn send(&self, from: Place, to: SocketAddr, datagram: &[u8]) {
        if let Some(socket) = self.sockets.get(&from) {
            let _ = self.runtime.block_on(socket.send_to(datagram, to));
        }
    }

    /// The next datagram at any place; `None` if there is none until then.
    pub(super) fn receive(&mut self, until: Instant) -> Option<Arrived> {
        let Self { runtime, sockets, buffer } = self;
        let next = poll_fn(|context| {
            for (&place, socket) in sockets.iter() {
                let mut read = ReadBuf::new(buffer);
                match socket.poll_recv_from(context, &mut read) {
                    Poll::Ready(Ok(from)) => return Poll::Ready(Some((place, from, read.filled().to_vec()))),
                    // What some systems report about a datagram that was sent says nothing about those that come.
                    Poll::Ready(Err(_)) => context.waker().wake_by_ref(),
                    Poll::Pending => {}
                }
            }
            Poll::Pending
        });
        let timed = async { tokio::time::timeout_at(until.into(), next).await.ok().flatten() };
        let (place, from, bytes) = runtime.block_on(timed)?;
        Some(Arrived { place, from: canonical(from), bytes })
    }
}

/// IPv4 addresses that an IPv6 socket reports are IPv4 addresses.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
