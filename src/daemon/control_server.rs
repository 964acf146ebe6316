//! The node's end of the control socket: answers whoever may open it, and lets nobody hold the node up.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use interprocess::local_socket::tokio::{Listener, prelude::*};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{Notify, Semaphore};
use tokio::time::timeout;

use crate::auth::invite::Token;
use crate::daemon::control_message::{
    ErrorKind, ErrorReply, InviteReply, LeftReply, REQUEST_MAX, Reply, Request, StatusReply,
};
use crate::daemon::event_report::EventReport;
use crate::daemon::rfc3339;
use crate::daemon::status_report::{StatusReport, TableHints};
use crate::driver::clock;
use crate::driver::error::NotStored;
use crate::driver::event_stream::Events;
use crate::driver::handle::{Farewell, Handle, RequestError, Stopped};
use crate::node::error::CommandError;
use crate::wire::address::Address;
use crate::wire::id::NodeId;

/// How many clients are served at a time. A person has a few; each costs a buffer.
const CLIENTS_MAX: usize = 32;

/// How long a client may take to send a request, or to take a reply. Its place is then given to others. One that follows
/// events keeps its place: a person may look at a page of them for as long as he likes.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a client that is turned away may take to hear so.
const FAREWELL: Duration = Duration::from_millis(100);

/// How long the server rests when the system cannot give it a connection, for want of file descriptors.
const REST: Duration = Duration::from_millis(200);

/// What the answers are made from.
#[derive(Clone, Debug)]
pub(crate) struct ControlServer {
    /// The node.
    pub(crate) node: Handle,
    /// Where it was told to listen, the first one first.
    pub(crate) listen: Vec<SocketAddr>,
    /// Is notified once a client has been told that the node has left its cluster.
    pub(crate) left: Arc<Notify>,
}

impl ControlServer {
    /// Serves clients until the future is dropped.
    pub(crate) async fn run(self, listener: Listener) {
        let places = Arc::new(Semaphore::new(CLIENTS_MAX));
        loop {
            let mut stream = match listener.accept().await {
                Ok(stream) => stream,
                Err(error) => {
                    tracing::debug!(%error, "no connection from the control socket");
                    tokio::time::sleep(REST).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                let busy = format!("{CLIENTS_MAX} clients are being served: close one of them");
                let reply = error(ErrorKind::Busy, busy).into_line();
                let _ = timeout(FAREWELL, stream.write_all(reply.as_bytes())).await;
                continue;
            };
            let server = self.clone();
            tokio::spawn(async move {
                if let Err(error) = server.serve(stream).await {
                    tracing::debug!(%error, "a client of the control socket was dropped");
                }
                drop(place);
            });
        }
    }

    /// Answers one client, request by request, until it closes or breaks the rules.
    async fn serve(&self, stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        loop {
            line.clear();
            let bound = u64::try_from(REQUEST_MAX).unwrap_or(u64::MAX);
            let length = timeout(PATIENCE, (&mut stream).take(bound).read_until(b'\n', &mut line)).await??;
            if length == 0 {
                return Ok(());
            }
            if length == REQUEST_MAX && line.last() != Some(&b'\n') {
                let reply = error(ErrorKind::TooLong, format!("a request has at most {REQUEST_MAX} bytes"));
                return send(&mut stream, reply).await;
            }
            let reply = match Request::parse(&line) {
                Ok(Request::Events) => return self.follow(stream).await,
                Ok(Request::Status) => self.status().await,
                Ok(Request::Invite { ttl_ms, addresses }) => self.invite(ttl_ms, &addresses).await,
                Ok(Request::Find { id }) => self.find(&id).await,
                Ok(Request::Forget { id }) => self.forget(&id).await,
                Ok(Request::Leave) => {
                    let reply = self.leave().await;
                    let left = matches!(reply, Reply::Left(_));
                    let told = send(&mut stream, reply).await;
                    if left {
                        self.left.notify_one();
                    }
                    told?;
                    continue;
                }
                Err(refused) => Reply::Error(refused),
            };
            send(&mut stream, reply).await?;
        }
    }

    async fn status(&self) -> Reply {
        match self.node.status().await {
            Ok(status) => Reply::Status(Box::new(StatusReply {
                report: StatusReport::new(&status, &self.listen),
                hints: TableHints::new(&status),
            })),
            Err(Stopped) => stopping(),
        }
    }

    async fn invite(&self, ttl_ms: u64, addresses: &[String]) -> Reply {
        let port = self.listen.first().map_or(0, SocketAddr::port);
        let mut parsed = Vec::new();
        for text in addresses {
            match reachable(text, port) {
                Ok(address) if parsed.contains(&address) => {}
                Ok(address) => parsed.push(address),
                Err(message) => return error(ErrorKind::BadRequest, message),
            }
        }
        match self.node.create_invite(Duration::from_millis(ttl_ms), &parsed).await {
            Ok(token) => Reply::Invite(invite_reply(&token)),
            // Nobody has the token, so there is nothing that a restart would undo.
            Err(RequestError::NotStored(NotStored(why))) => {
                error(ErrorKind::NotStored, format!("no invite was made, as none can be stored: {why}"))
            }
            Err(failed) => refusal(failed),
        }
    }

    async fn find(&self, id: &str) -> Reply {
        match node_id(id) {
            Ok(id) => self.node.find(id).await.map_or_else(refusal, |()| Reply::Sought),
            Err(bad) => bad,
        }
    }

    async fn forget(&self, id: &str) -> Reply {
        match node_id(id) {
            Ok(id) => self.node.forget(id).await.map_or_else(refusal, |()| Reply::Forgotten),
            Err(bad) => bad,
        }
    }

    async fn leave(&self) -> Reply {
        match self.node.leave().await {
            Ok(Farewell { confirmed, others }) => Reply::Left(LeftReply { confirmed, others }),
            Err(failed) => refusal(failed),
        }
    }

    /// Tells every event until the client closes. One that does not keep up misses events, and is told how many.
    async fn follow(&self, mut stream: BufReader<impl AsyncRead + AsyncWrite + Unpin>) -> io::Result<()> {
        let Ok(mut events) = self.node.events().await else { return send(&mut stream, stopping()).await };
        send(&mut stream, Reply::Following).await?;
        let mut byte = [0; 1];
        loop {
            tokio::select! {
                // Whatever a follower sends, it has nothing more to ask for on this connection.
                _ = stream.read(&mut byte) => return Ok(()),
                event = events.next() => {
                    let Some(event) = event else { return Ok(()) };
                    let told = EventReport::new(&event, clock::unix()).map(|report| Reply::Event(Box::new(report)));
                    for reply in missed(&mut events).into_iter().chain(told) {
                        stream.write_all(reply.into_line().as_bytes()).await?;
                    }
                }
            }
        }
    }
}

/// Reads an address for an invite: an IP address with a port, or alone with the node's own port.
///
/// # Errors
/// What to tell whoever wrote it.
pub(crate) fn reachable(text: &str, port: u16) -> Result<Address, String> {
    let with_port = text.parse::<SocketAddr>().or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, port)));
    let address = with_port.map_err(|_| format!("{text:?} is neither an IP address nor one with a port"))?;
    let address = Address::try_from(address).map_err(|error| format!("{text:?}: {error}"))?;
    address.is_unicast().then_some(address).ok_or_else(|| format!("{text:?} is no address of a machine"))
}

fn node_id(text: &str) -> Result<NodeId, Reply> {
    text.parse().map_err(|_| error(ErrorKind::BadRequest, format!("{text:?} is no node ID")))
}

fn invite_reply(token: &Token) -> InviteReply {
    InviteReply {
        token: token.to_string(),
        expires: rfc3339::format(Duration::from_secs(token.expiry())),
        addresses: token.addresses().iter().map(Address::to_string).collect(),
    }
}

fn missed(events: &mut Events) -> Option<Reply> {
    let missed = events.missed();
    (missed > 0).then_some(Reply::Missed(missed))
}

fn refusal(failed: RequestError) -> Reply {
    match failed {
        RequestError::Refused(refused @ CommandError::UnknownPeer) => {
            error(ErrorKind::UnknownPeer, refused.to_string())
        }
        RequestError::Refused(refused) => error(ErrorKind::Refused, refused.to_string()),
        RequestError::NotStored(what) => error(ErrorKind::NotStored, format!("{what}; the node keeps trying")),
        RequestError::Stopped(Stopped) => stopping(),
    }
}

fn stopping() -> Reply {
    error(ErrorKind::Stopping, "the node is stopping")
}

fn error(kind: ErrorKind, message: impl Into<String>) -> Reply {
    Reply::Error(ErrorReply::new(kind, message))
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), reply: Reply) -> io::Result<()> {
    timeout(PATIENCE, stream.write_all(reply.into_line().as_bytes())).await?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_port_gets_the_nodes() {
        for (text, address) in [
            ("192.0.2.7", "192.0.2.7:7733"),
            ("192.0.2.7:9", "192.0.2.7:9"),
            ("2001:db8::1", "[2001:db8::1]:7733"),
            ("[2001:db8::1]:9", "[2001:db8::1]:9"),
        ] {
            assert_eq!(reachable(text, 7733).unwrap().to_string(), address);
        }
        for text in ["", "host", "192.0.2", "0.0.0.0", "192.0.2.7:0", "[2001:db8::1]", "255.255.255.255", "224.0.0.1:1"]
        {
            assert!(reachable(text, 7733).is_err(), "{text}");
        }
    }
}
