//! A small peer with one deliberate fault: built from messages and sessions alone, it does just enough to be tested.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dddns::auth::drbg::Drbg;
use dddns::auth::handshake::{Initiator, Prologue, Purpose, Received};
use dddns::auth::identity::Identity;
use dddns::auth::incarnation::Incarnations;
use dddns::auth::invite::Token;
use dddns::auth::mac::Mac1Key;
use dddns::auth::session::{AuthError, Session};
use dddns::config::{Cluster, ClusterKey};
use dddns::driver::clock;
use dddns::wire::address::Address;
use dddns::wire::body::Body;
use dddns::wire::datagram::Datagram;
use dddns::wire::header::{Header, MAGIC_VERSION, TAG_LEN};
use dddns::wire::heartbeat::{Heartbeat, HeartbeatAck};
use dddns::wire::id::{ClusterId, Digest, Index, InviteId, NodeId, PublicKey};
use dddns::wire::initiation::{Initiation, Mode};
use dddns::wire::kind::Kind;
use dddns::wire::list::List;
use dddns::wire::locate::Locate;
use dddns::wire::members::Members;
use dddns::wire::message::Message;
use dddns::wire::name::Name;
use dddns::wire::path::PathResponse;
use dddns::wire::record::{MemberRecord, MemberState};
use dddns::wire::response::{Response, ResponsePayload, Verdict};

use crate::fault::{Fault, UnmaskedAck};
use crate::trial::Trial;

/// How often every peer gets a heartbeat.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// A peer that runs until this is dropped.
pub(crate) struct Running {
    pub(crate) token: String,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Starts a peer with this fault.
pub(crate) fn start(fault: Option<Fault>) -> Running {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut drbg = Drbg::new([fault.map_or(0, |fault| fault as u8 + 1); 32]);
    let identity = Identity::from_secret(drbg.array());
    let own = Address::try_from(socket.local_addr().unwrap()).unwrap();
    let token = Token::new(InviteId(drbg.array()), drbg.array(), identity.public_key(), u64::MAX, &[own]).unwrap();
    let cluster = Cluster { id: ClusterId(drbg.array()), key: ClusterKey(drbg.array()) };
    let stop = Arc::new(AtomicBool::new(false));
    let (text, stopped) = (token.to_string(), stop.clone());
    let mut peer = Imperfect {
        fault,
        own,
        members: BTreeMap::new(),
        links: BTreeMap::new(),
        pending: Vec::new(),
        attempts: Vec::new(),
        invited: false,
        incarnations: Incarnations::new(&drbg.array()),
        socket,
        drbg,
        identity,
        token,
        cluster,
    };
    peer.admit(peer.identity.public_key(), "imperfect".parse().unwrap());
    let thread = std::thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            peer.turn();
        }
    });
    Running { token: text, stop, thread: Some(thread) }
}

/// What the peer knows of another one.
pub(crate) struct Link {
    pub(crate) sessions: Vec<Session>,
    pub(crate) at: SocketAddr,
    pub(crate) trial: Option<Trial>,
    beat: Instant,
}

/// A handshake that was answered.
struct Pending {
    session: Session,
    key: PublicKey,
    at: SocketAddr,
    initiation: Initiation,
    response: [u8; Response::LEN],
    name: Option<Name>,
}

/// A handshake that was begun.
struct Attempt {
    initiator: Initiator,
    key: PublicKey,
    to: SocketAddr,
    left: u8,
    due: Instant,
}

/// The peer.
pub(crate) struct Imperfect {
    pub(crate) fault: Option<Fault>,
    own: Address,
    identity: Identity,
    token: Token,
    cluster: Cluster,
    socket: UdpSocket,
    pub(crate) drbg: Drbg,
    members: BTreeMap<NodeId, MemberRecord>,
    pub(crate) links: BTreeMap<NodeId, Link>,
    pending: Vec<Pending>,
    attempts: Vec<Attempt>,
    incarnations: Incarnations,
    /// Whether the invite was used.
    invited: bool,
}

impl Imperfect {
    pub(crate) fn is(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// One turn of its loop.
    fn turn(&mut self) {
        let mut buffer = [0; 2048];
        if let Ok((length, from)) = self.socket.recv_from(&mut buffer) {
            self.receive(from, &mut buffer[..length]);
        }
        let now = clock::now();
        for id in self.links.keys().copied().collect::<Vec<_>>() {
            self.step_trial(now, id);
            let link = self.links.get_mut(&id).unwrap();
            if now >= link.beat {
                link.beat = now + HEARTBEAT;
                let to = link.at;
                self.send_heartbeat(id, to);
            }
        }
        for attempt in self.attempts.iter_mut().filter(|attempt| now >= attempt.due && attempt.left > 0) {
            attempt.left -= 1;
            attempt.due = now + Duration::from_millis(500);
            self.socket.send_to(attempt.initiator.datagram(), attempt.to).unwrap();
        }
    }

    fn receive(&mut self, from: SocketAddr, datagram: &mut [u8]) {
        match self.parse(datagram) {
            Some(Datagram::Initiation(initiation)) => self.receive_initiation(from, &initiation),
            Some(Datagram::Response(response)) => self.receive_response(from, &response),
            Some(Datagram::Tagged(header)) => self.receive_tagged(from, &header, datagram),
            Some(Datagram::CookieReply(_)) | None => {}
        }
    }

    /// Judges the form, less strictly where the fault is there.
    fn parse(&self, datagram: &[u8]) -> Option<Datagram> {
        let mut seen = datagram.to_vec();
        let tagged = seen.get(1).is_some_and(|kind| Message::lengths(Kind(*kind)).is_some());
        if self.is(Fault::AnyVersion) && seen.first().is_some_and(|magic| magic & 0xF0 == 0xD0) {
            seen[0] = MAGIC_VERSION;
        }
        if self.is(Fault::AnyFlags) && tagged && seen.len() > 3 {
            seen[3] = 0;
        }
        if self.is(Fault::TrailingBytes) && tagged && Kind(seen[1]) == Kind::HEARTBEAT && seen.len() > 66 {
            seen.truncate(66);
        }
        Datagram::parse(&seen).ok()
    }

    fn receive_initiation(&mut self, from: SocketAddr, initiation: &Initiation) {
        let right = Mac1Key::of(&self.identity.public_key()).verify_mac1(initiation);
        if !right && !self.is(Fault::AnyMac1) {
            return;
        }
        let same = |pending: &&Pending| {
            pending.at == from && Initiation { mac2: initiation.mac2, ..pending.initiation } == *initiation
        };
        if let Some(pending) = self.pending.iter().find(same).filter(|_| !self.is(Fault::NewResponse)) {
            self.socket.send_to(&pending.response, from).unwrap();
            return;
        }
        let prologue = match initiation.mode {
            Mode::Member => Prologue::Member(&self.cluster.id),
            Mode::Join if initiation.invite == self.token.id() => Prologue::Join(initiation.invite),
            Mode::Join => return,
        };
        let Ok(received) = Received::read(&self.identity, prologue, initiation, &mut self.drbg) else { return };
        let (key, name) = (received.initiator(), received.name());
        let known = self.is_member(&key);
        if initiation.mode == Mode::Member && !known && !self.is(Fault::AnyMember) {
            return;
        }
        let used = initiation.mode == Mode::Join && self.invited && !known && !self.is(Fault::InviteForAll);
        let sender = if used { Index::NONE } else { Index(u32::from_be_bytes(self.drbg.array()) | 1) };
        let joins = initiation.mode == Mode::Join && !used;
        let clock_ms = u64::try_from(clock::unix().as_millis()).unwrap();
        let payload = ResponsePayload {
            sender,
            verdict: if used { Verdict::Used } else { Verdict::Accepted },
            observed: self.reflection(from),
            clock_ms,
            incarnation: self.incarnations.toward(NodeId::from(&key)),
            cluster_id: if joins { self.cluster.id } else { ClusterId([0; 16]) },
            cluster_key: if joins { self.cluster.key.0 } else { [0; 32] },
        };
        let psk = if initiation.mode == Mode::Join { self.token.psk_hash() } else { self.cluster.key.0 };
        let (response, keys) = received.respond(&psk, &payload).unwrap();
        self.socket.send_to(&response, from).unwrap();
        if !used {
            let session = Session::new(keys, sender, initiation.sender, clock_ms, clock::now());
            self.pending.push(Pending { session, key, at: from, initiation: *initiation, response, name });
        }
    }

    fn receive_response(&mut self, from: SocketAddr, response: &Response) {
        let right = Mac1Key::of(&self.identity.public_key()).verify_mac1(response);
        if !right && !self.is(Fault::AnyResponse) {
            return;
        }
        let Some(place) = self.attempts.iter().position(|one| one.initiator.sender() == response.receiver) else {
            return;
        };
        let Ok((keys, payload)) = self.attempts[place].initiator.finish(response) else { return };
        let attempt = self.attempts.remove(place);
        // Link time is the responder's clock, whatever one's own says.
        let wall = u64::try_from(clock::unix().as_millis()).unwrap();
        let clock_ms = if self.is(Fault::WallClock) { wall } else { payload.clock_ms };
        let session = Session::new(keys, response.receiver, payload.sender, clock_ms, clock::now());
        let id = NodeId::from(&attempt.key);
        self.install(id, session, from);
        self.send_heartbeat(id, from);
    }

    fn receive_tagged(&mut self, from: SocketAddr, header: &Header, datagram: &mut [u8]) {
        let now = clock::now();
        let id = self.links.iter().find_map(|(id, link)| {
            link.sessions.iter().any(|session| session.local_index() == header.receiver).then_some(*id)
        });
        let pending = self.pending.iter().position(|pending| pending.session.local_index() == header.receiver);
        let session = match (id, pending) {
            (Some(id), _) => self.links.get_mut(&id).unwrap().sessions.iter_mut(),
            (None, Some(place)) => std::slice::from_mut(&mut self.pending[place].session).iter_mut(),
            (None, None) => return,
        }
        .find(|session| session.local_index() == header.receiver)
        .unwrap();
        let mut copy = datagram.to_vec();
        let whole = copy.len();
        let mut open = |end: usize| {
            session.open(now, header, &mut copy[..end]).map(|opened| (opened.body.to_vec(), opened.newest))
        };
        let careless = self.fault == Some(Fault::TrailingBytes) && header.kind == Kind::HEARTBEAT;
        // With something behind it the tag stands where it should; with something before it, at the end.
        let opened = if careless { open(66).or_else(|_| open(whole)) } else { open(whole) };
        let forgiven = |error: AuthError| match error {
            AuthError::Step => self.fault == Some(Fault::AnyStep),
            AuthError::Tag => self.fault == Some(Fault::AnyTag),
            AuthError::Replay => self.fault == Some(Fault::NoWindow),
            AuthError::Seal => false,
        };
        let (body, newest) = match opened {
            Ok(opened) => opened,
            Err(error) if forgiven(error) && !header.kind.is_sealed() => {
                (datagram[Header::LEN..datagram.len() - TAG_LEN].to_vec(), false)
            }
            Err(_) => return,
        };
        let body = if careless { &body[..34] } else { &body[..] };
        let Ok(message) = Message::decode(header, body) else { return };
        let Some(id) = id.or_else(|| self.confirm(pending.unwrap())) else { return };
        if newest {
            self.observe(now, id, from);
        }
        self.dispatch(id, from, header, &message);
    }

    /// The first datagram of a new session.
    fn confirm(&mut self, place: usize) -> Option<NodeId> {
        let pending = self.pending.remove(place);
        let id = NodeId::from(&pending.key);
        if let Some(name) = pending.name.filter(|_| !self.is_member(&pending.key)) {
            if self.invited && !self.is(Fault::InviteForAll) {
                return None;
            }
            self.invited = true;
            self.admit(pending.key, name);
        }
        self.install(id, pending.session, pending.at);
        Some(id)
    }

    fn install(&mut self, id: NodeId, session: Session, at: SocketAddr) {
        let beat = clock::now() + HEARTBEAT;
        let link = self.links.entry(id).or_insert_with(|| Link { sessions: Vec::new(), at, trial: None, beat });
        link.sessions.push(session);
    }

    fn dispatch(&mut self, id: NodeId, from: SocketAddr, header: &Header, message: &Message) {
        let acks_acks = self.is(Fault::AcksAcks);
        let link = self.links.get_mut(&id).unwrap();
        match message {
            Message::Heartbeat(_) => match &mut link.trial {
                Some(trial) if trial.new == from && !trial.held => trial.owed = Some(*header),
                Some(_) | None => {
                    let to = link.at;
                    self.send_ack(id, header, to);
                }
            },
            Message::HeartbeatAck(_) if acks_acks => self.send_ack(id, header, from),
            Message::PathChallenge(challenge) => {
                let to = if self.fault == Some(Fault::EchoElsewhere) { link.at } else { from };
                self.send(id, header.receiver, &PathResponse(challenge.0), to);
            }
            Message::PathResponse(response) => self.answered(clock::now(), id, response.0),
            Message::MembersRequest(request) => {
                let all: Vec<MemberRecord> = self.members.range(request.after..).map(|(_, record)| *record).collect();
                let mut after = all.into_iter().filter(|record| record.id() > request.after);
                let records: Vec<MemberRecord> = after.by_ref().take(Members::MAX).collect();
                let more = after.next().is_some();
                let to = link.at;
                let page = Members { more, records: List::try_from(records.as_slice()).unwrap() };
                self.send(id, header.receiver, &page, to);
            }
            Message::Members(page) => self.receive_members(id, page),
            Message::Located(located) => {
                for entry in located.entries.iter().copied().collect::<Vec<_>>() {
                    self.call(entry.id, entry.address.socket_addr());
                }
            }
            Message::HeartbeatAck(_)
            | Message::Leave(_)
            | Message::Locate(_)
            | Message::Rendezvous(_)
            | Message::Conflict(_) => {}
        }
    }

    fn receive_members(&mut self, from: NodeId, page: &Members) {
        for record in page.records.iter().copied() {
            let id = record.id();
            if self.members.get(&id).is_none_or(|known| known.admission < record.admission) {
                self.members.insert(id, record);
                if record.state == MemberState::Member {
                    let to = self.links[&from].at;
                    let index = self.links[&from].sessions[0].local_index();
                    self.send(from, index, &Locate::of(&[id]).unwrap(), to);
                }
            }
        }
    }

    /// Begins a handshake with a member that is somewhere.
    fn call(&mut self, id: NodeId, to: SocketAddr) {
        let Some(key) = self.members.get(&id).map(|record| record.public_key) else { return };
        if self.links.contains_key(&id) || self.attempts.iter().any(|attempt| attempt.key == key) {
            return;
        }
        let index = Index(u32::from_be_bytes(self.drbg.array()) | 1);
        let purpose = Purpose::Member(&self.cluster);
        let run = self.incarnations.toward(id);
        let initiator = Initiator::start(&self.identity, &key, purpose, run, index, &mut self.drbg).unwrap();
        self.attempts.push(Attempt { initiator, key, to, left: 3, due: clock::now() });
    }

    fn is_member(&self, key: &PublicKey) -> bool {
        self.members.get(&NodeId::from(key)).is_some_and(|record| record.state == MemberState::Member)
    }

    fn admit(&mut self, public_key: PublicKey, name: Name) {
        let admission = u32::try_from(self.members.len()).unwrap();
        let admitted_by = self.identity.node_id();
        let state = MemberState::Member;
        let record = MemberRecord { public_key, admitted_by, admission, state, revision: 1, name };
        self.members.insert(record.id(), record);
    }

    /// What it says of an address.
    fn reflection(&self, at: SocketAddr) -> Address {
        if self.is(Fault::OwnAddress) { self.own } else { Address::try_from(at).unwrap() }
    }

    fn send_heartbeat(&mut self, id: NodeId, to: SocketAddr) {
        let reflection = Some(self.reflection(to));
        let link = self.links.get_mut(&id).unwrap();
        let session = link.sessions.last_mut().unwrap();
        let seen = session.highest_received().map_or(0, |counter| counter + 1);
        let index = session.local_index();
        let heartbeat = Heartbeat { seen, digest: Digest::default(), reflection };
        self.send(id, index, &heartbeat, to);
    }

    pub(crate) fn send_ack(&mut self, id: NodeId, of: &Header, to: SocketAddr) {
        let acked = of.counter.wrapping_add(1);
        let acked = if self.is(Fault::LittleEndian) { acked.swap_bytes() } else { acked };
        let acked = if self.is(Fault::WrongCounter) { acked + 1 } else { acked };
        let (digest, reflection) = (Digest::default(), self.reflection(to));
        if self.is(Fault::Unmasked) {
            self.send(id, of.receiver, &UnmaskedAck { acked, reflection }, to);
        } else {
            let ack = HeartbeatAck { acked, digest, reflection };
            self.send(id, of.receiver, &ack, to);
        }
    }

    pub(crate) fn send(&mut self, id: NodeId, index: Index, body: &impl Body, to: SocketAddr) {
        let sessions = &mut self.links.get_mut(&id).unwrap().sessions;
        let session = sessions.iter_mut().find(|session| session.local_index() == index).unwrap();
        let mut datagram = Vec::new();
        session.encode(clock::now(), body, &mut datagram).unwrap();
        self.socket.send_to(&datagram, to).unwrap();
    }
}
