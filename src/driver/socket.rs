//! One UDP socket: how it is opened, and which of its errors pass.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV6, UdpSocket};

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

/// Sizes of the kernel's buffers, in bytes; `None` leaves them to the system.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Buffers {
    pub(super) receive: Option<usize>,
    pub(super) send: Option<usize>,
}

/// Which destinations a socket reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stack {
    /// IPv4.
    V4,
    /// IPv6, and nothing else.
    V6,
    /// Both: IPv4 addresses are written as IPv4-mapped IPv6 addresses.
    Dual,
}

impl Stack {
    /// The destination as the system call wants it; `None` if this socket cannot reach it. `scope` is the interface of
    /// a link-local destination.
    pub(super) fn destination(self, to: SocketAddr, scope: u32) -> Option<SocketAddr> {
        match (self, to) {
            (Self::V4, SocketAddr::V4(_)) => Some(to),
            (Self::V6 | Self::Dual, SocketAddr::V6(v6)) => {
                Some(SocketAddrV6::new(*v6.ip(), v6.port(), 0, scope).into())
            }
            (Self::Dual, SocketAddr::V4(v4)) => {
                Some(SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0).into())
            }
            (Self::V4, SocketAddr::V6(_)) | (Self::V6, SocketAddr::V4(_)) => None,
        }
    }
}

/// Opens a socket. `[::]` takes IPv4 too unless `v6_only`, and becomes `0.0.0.0` where there is no IPv6.
///
/// `SO_REUSEADDR` stays unset: with it another process could bind the same port and take the datagrams.
pub(super) fn open(listen: SocketAddr, v6_only: bool, buffers: Buffers) -> io::Result<(UdpSocket, Stack)> {
    match listen {
        SocketAddr::V4(_) => Ok((bind(listen, None, buffers)?, Stack::V4)),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() && !v6_only => match bind(listen, Some(false), buffers) {
            Ok(socket) => Ok((socket, Stack::Dual)),
            Err(error) if matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied) => {
                Err(error)
            }
            Err(error) => {
                tracing::debug!(%listen, %error, "no IPv6 on this system: IPv4 only");
                let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, v6.port()));
                Ok((bind(v4, None, buffers)?, Stack::V4))
            }
        },
        SocketAddr::V6(_) => Ok((bind(listen, Some(true), buffers)?, Stack::V6)),
    }
}

/// Sends without asking the runtime first whether the socket is writable: a full buffer drops the datagram, as a full
/// queue on the way would.
pub(super) fn send(socket: &tokio::net::UdpSocket, to: SocketAddr, datagram: &[u8]) -> io::Result<()> {
    SockRef::from(socket).send_to(datagram, &SockAddr::from(to)).map(|_| ())
}

/// Whether an error says something about the network, a peer or a moment, and nothing about the socket.
pub(super) fn passes(error: &io::Error) -> bool {
    let kind = matches!(
        error.kind(),
        io::ErrorKind::AddrNotAvailable
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::Interrupted
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::OutOfMemory
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::TimedOut
            | io::ErrorKind::WouldBlock
    );
    kind || error.raw_os_error().is_some_and(|code| PASSING.contains(&code))
}

/// Errors that pass and have no [`io::ErrorKind`]: EMSGSIZE, ENOBUFS, EHOSTDOWN.
#[cfg(any(target_os = "linux", target_os = "android"))]
const PASSING: [i32; 3] = [90, 105, 112];
/// Errors that pass and have no [`io::ErrorKind`]: WSAEMSGSIZE, WSAENETRESET, WSAENOBUFS, WSAEHOSTDOWN.
#[cfg(windows)]
const PASSING: [i32; 4] = [10040, 10052, 10055, 10064];
/// Errors that pass and have no [`io::ErrorKind`]: EMSGSIZE, ENOBUFS, EHOSTDOWN, as macOS and the BSDs number them.
#[cfg(not(any(target_os = "linux", target_os = "android", windows)))]
const PASSING: [i32; 3] = [40, 55, 64];

fn bind(listen: SocketAddr, v6_only: Option<bool>, buffers: Buffers) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(listen), Type::DGRAM, Some(Protocol::UDP))?;
    if let Some(v6_only) = v6_only {
        socket.set_only_v6(v6_only)?;
    }
    if let Some(size) = buffers.receive {
        if let Err(error) = socket.set_recv_buffer_size(size) {
            tracing::warn!(%listen, size, %error, "the system refuses this receive buffer; its default is used");
        }
    }
    if let Some(size) = buffers.send {
        if let Err(error) = socket.set_send_buffer_size(size) {
            tracing::warn!(%listen, size, %error, "the system refuses this send buffer; its default is used");
        }
    }
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(listen))?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dual_stack_socket_reaches_ipv4_by_the_mapped_form() {
        let v4: SocketAddr = "192.0.2.1:7733".parse().unwrap();
        assert_eq!(Stack::Dual.destination(v4, 0), Some("[::ffff:192.0.2.1]:7733".parse().unwrap()));
        assert_eq!(Stack::V4.destination(v4, 0), Some(v4));
        assert_eq!(Stack::V6.destination(v4, 0), None);
    }

    #[test]
    fn a_link_local_destination_gets_its_interface() {
        let to: SocketAddr = "[fe80::1]:7733".parse().unwrap();
        let Some(SocketAddr::V6(with_scope)) = Stack::V6.destination(to, 3) else { panic!("reachable") };
        assert_eq!(with_scope.scope_id(), 3);
        assert_eq!(Stack::V4.destination(to, 3), None);
    }

    #[test]
    fn a_port_in_use_is_an_error_and_not_shared() {
        let listen = SocketAddr::from(([127, 0, 0, 1], 47_000 + u16::try_from(std::process::id() % 10_000).unwrap()));
        let (_first, stack) = open(listen, false, Buffers::default()).unwrap();
        assert_eq!(stack, Stack::V4);
        let second = open(listen, false, Buffers::default()).unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn what_the_network_says_passes_and_a_closed_descriptor_does_not() {
        for kind in [io::ErrorKind::ConnectionRefused, io::ErrorKind::NetworkUnreachable, io::ErrorKind::NetworkDown] {
            assert!(passes(&kind.into()), "{kind}");
        }
        assert!(passes(&io::Error::from_raw_os_error(PASSING[0])));
        assert!(!passes(&io::ErrorKind::NotConnected.into()));
        assert!(!passes(&io::ErrorKind::InvalidInput.into()));
    }
}
