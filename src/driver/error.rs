//! Why a driver does not start, or stops by itself.

use std::io;
use std::net::SocketAddr;

use crate::driver::clock::NoEntropy;
use crate::driver::sockets::SOCKETS_MAX;

/// Why a driver did not start. Nothing was sent, no socket stays open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The settings name no address to listen on.
    #[error("no address to listen on: give at least one, for example [::]:7733")]
    NoListen,
    /// The settings name too many addresses.
    #[error("too many addresses to listen on: give at most {SOCKETS_MAX}")]
    TooManyListen,
    /// A port that must be known to peers cannot be left to the system.
    #[error("cannot listen on {0}: port 0 leaves the choice to the system; choose a port from 1 to 65535")]
    NoPort(SocketAddr),
    /// The system refused the address.
    #[error("cannot listen on {address}: {source}; {}", remedy(.source))]
    Bind {
        /// The address as it was given.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A configured host is neither an address nor a host name with a port.
    #[error("{0:?} is no host: expected a host name or IP address and a port, as in attic.example.net:7733")]
    Host(String),
    /// There is nothing to make keys from.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
}

/// Why a running driver stopped without having been told to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The runtime cannot watch the socket.
    #[error("the runtime cannot watch the socket on {address}: {source}; raise the limit of open files")]
    Watch {
        /// The address as it was given.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The node was told to stop, has told its peers, and could not store what it learned last.
    #[error(transparent)]
    NotStored(#[from] NotStored),
}

/// What was done is not [stored](crate::driver::Store), so a restart would undo it: what the store said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what was done last is not stored, so a restart of the node would undo it: {0}")]
pub struct NotStored(pub String);

/// What a person can do about a socket that could not be opened.
fn remedy(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::AddrInUse {
        "another program, perhaps another dddns, holds this port: stop it, or listen on another port"
    } else if error.kind() == io::ErrorKind::PermissionDenied {
        "listen on a port above 1023, or give the program the privilege to use this one"
    } else {
        "check the address to listen on"
    }
}
