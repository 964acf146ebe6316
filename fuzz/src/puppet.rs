//! A member whose keys the fuzzer has: it calls, answers and says whatever the fuzzer likes, correctly signed.

use std::time::Instant;

use dddns::auth::drbg::Drbg;
use dddns::auth::handshake::{Initiator, Purpose};
use dddns::auth::identity::Identity;
use dddns::auth::session::Session;
use dddns::config::Cluster;
use dddns::wire::datagram::Datagram;
use dddns::wire::id::{Incarnation, Index, NodeId, PublicKey};
use dddns::wire::kind::Kind;
use dddns::wire::response::Verdict;
use libfuzzer_sys::arbitrary::{self, Arbitrary};

use crate::forge::{self, Terms};
use crate::messages::AnyMessage;
use crate::raw_body;

/// The member, and how far it is with each node.
pub struct Puppet {
    identity: Identity,
    cluster: Cluster,
    drbg: Drbg,
    /// The next session index.
    index: u32,
    lines: Vec<Line>,
}

/// What the puppet has with one node.
#[derive(Default)]
struct Line {
    calling: Option<Initiator>,
    /// The last initiation that the node sent.
    called: Option<[u8; 216]>,
    session: Option<Session>,
}

/// What the puppet says by a session.
#[derive(Arbitrary, Debug)]
pub enum Words {
    /// A message.
    Message(Box<AnyMessage>),
    /// A body that may be none.
    Raw(u8, Vec<u8>),
}

/// What it answers to an initiation, under encryption: nearly what it should.
#[derive(Arbitrary, Debug)]
pub struct Answer {
    accepts: bool,
    verdict: u8,
    observed: [u8; 18],
    clock_ms: u64,
    run: u8,
    surplus: Option<(u8, u8)>,
}

impl Puppet {
    /// A member of `cluster` that knows so many nodes.
    #[must_use]
    pub fn new(identity: Identity, cluster: Cluster, nodes: usize) -> Self {
        let lines = std::iter::repeat_with(Line::default).take(nodes).collect();
        Self { identity, cluster, drbg: Drbg::new([0xAA; 32]), index: 0, lines }
    }

    /// Its node ID.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.identity.node_id()
    }

    /// An initiation to a node.
    pub fn call(&mut self, number: usize, to: &PublicKey, run: u8) -> Option<Vec<u8>> {
        let sender = self.fresh_index();
        let purpose = Purpose::Member(&self.cluster);
        let incarnation = Incarnation([run; 8]);
        let initiator = Initiator::start(&self.identity, to, purpose, incarnation, sender, &mut self.drbg).ok()?;
        let datagram = initiator.datagram().to_vec();
        self.lines.get_mut(number)?.calling = Some(initiator);
        Some(datagram)
    }

    /// Takes what a node sent to the puppet.
    pub fn hear(&mut self, number: usize, now: Instant, datagram: &[u8]) {
        let Some(line) = self.lines.get_mut(number) else { return };
        match Datagram::parse(datagram) {
            Ok(Datagram::Initiation(initiation)) => line.called = Some(initiation.to_bytes()),
            Ok(Datagram::Response(response)) => {
                let Some(calling) = &mut line.calling else { return };
                let Ok((keys, payload)) = calling.finish(&response) else { return };
                if payload.verdict == Verdict::Accepted {
                    let local = calling.sender();
                    line.session = Some(Session::new(keys, local, payload.sender, payload.clock_ms, now));
                }
                line.calling = None;
            }
            Ok(Datagram::CookieReply(reply)) => {
                let Some(calling) = &mut line.calling else { return };
                if let Some(cookie) = calling.open_cookie(&reply) {
                    calling.set_cookie(cookie);
                }
            }
            Ok(Datagram::Tagged(_)) | Err(_) => {}
        }
    }

    /// The datagram of the call under way, once more: with a cookie, if there is one.
    #[must_use]
    pub fn call_again(&self, number: usize) -> Option<Vec<u8>> {
        Some(self.lines.get(number)?.calling.as_ref()?.datagram().to_vec())
    }

    /// An answer to the last initiation of a node.
    pub fn answer(&mut self, number: usize, to: &PublicKey, answer: &Answer) -> Option<Vec<u8>> {
        let called = self.lines.get(number)?.called?;
        let label = [b"dddns/1 member".as_slice(), &self.cluster.id.0].concat();
        let sender = if answer.accepts { self.fresh_index() } else { Index::NONE };
        let ephemeral = self.drbg.array();
        let payload = answer.to_bytes(sender);
        let terms = Terms { label: &label, psk: &self.cluster.key.0 };
        let (datagram, _) = forge::response(&self.identity, to, terms, &ephemeral, &called, &payload)?;
        Some(datagram)
    }

    /// What the puppet says to a node, tagged and sealed as it should be.
    pub fn say(&mut self, number: usize, now: Instant, words: &Words) -> Option<Vec<u8>> {
        let session = self.lines.get_mut(number)?.session.as_mut()?;
        let mut datagram = Vec::new();
        match words {
            Words::Message(message) => raw_body::encode_message(session, now, &message.0, &mut datagram),
            Words::Raw(kind, body) => raw_body::encode(session, now, Kind(*kind), body, &mut datagram),
        }
        .ok()?;
        Some(datagram)
    }

    fn fresh_index(&mut self) -> Index {
        self.index += 1;
        Index(self.index)
    }
}

impl Answer {
    fn to_bytes(&self, sender: Index) -> [u8; 87] {
        let mut bytes = [0; 87];
        let (head, rest) = bytes.split_at_mut(4);
        head.copy_from_slice(&sender.0.to_be_bytes());
        let verdict = if self.accepts { 0 } else { self.verdict };
        rest[0] = verdict;
        rest[1..19].copy_from_slice(&self.observed);
        rest[19..27].copy_from_slice(&self.clock_ms.to_be_bytes());
        rest[27..35].fill(self.run);
        if let Some((at, value)) = self.surplus {
            rest[35 + usize::from(at) % 48] = value;
        }
        bytes
    }
}
