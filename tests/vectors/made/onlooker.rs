//! Somebody who knows every secret of a conversation, and so can say what its datagrams hold.

use dddns::auth::invite::Token;
use dddns::wire::initiation::Initiation;
use dddns::wire::kind::Kind;
use serde_json::{Value, json};

use crate::fixed::{CLUSTER_ID, CLUSTER_KEY};
use crate::net::Setup;
use crate::noise::{Direction, Handshake, Keys, public_key, sha256};
use crate::text::{hex, unhex};

/// Handshakes as they go on.
pub(super) struct Onlooker<'a> {
    machines: Vec<&'a Setup>,
    token: Option<Token>,
    met: Vec<Met>,
}

struct Met {
    initiator: String,
    responder: String,
    mode: u8,
    secrets: Handshake,
    initiation: Vec<u8>,
    payload_1: Vec<u8>,
    answer: Option<Answer>,
}

struct Answer {
    index: [u8; 4],
    payload_2: Vec<u8>,
    keys: Keys,
}

impl<'a> Onlooker<'a> {
    pub(super) fn new(machines: Vec<&'a Setup>) -> Self {
        Self { machines, token: None, met: Vec::new() }
    }

    /// Looks at the next event, and writes down the plain body of a datagram that has one.
    pub(super) fn look(&mut self, event: &mut Value) {
        match event["event"].as_str() {
            Some("invite") => self.token = event["text"].as_str().and_then(|text| text.parse().ok()),
            Some("datagram") => {
                let datagram = unhex(event["datagram"].as_str().expect("text"));
                let by = event["by"].as_str().expect("text").to_owned();
                let body = match Kind(datagram[1]) {
                    Kind::INITIATION => {
                        self.initiation(&by, &datagram);
                        None
                    }
                    Kind::RESPONSE => {
                        self.response(&by, &datagram);
                        None
                    }
                    Kind::COOKIE_REPLY => None,
                    kind => Some(self.body(kind, &datagram)),
                };
                event["body"] = body.map(hex).into();
            }
            _ => {}
        }
    }

    pub(super) fn handshakes(&self) -> Vec<Value> {
        self.met.iter().map(Met::vector).collect()
    }

    fn machine(&self, label: &str) -> Option<&'a Setup> {
        self.machines.iter().copied().find(|setup| setup.label == label)
    }

    /// A new handshake, unless it is one that goes on.
    fn initiation(&mut self, by: &str, datagram: &[u8]) {
        let known = |met: &Met| met.initiation[..Initiation::BEFORE_MAC1] == datagram[..Initiation::BEFORE_MAC1];
        let Some(setup) = self.machine(by).filter(|_| !self.met.iter().any(known)) else { return };
        let initiator_ephemeral = setup.ephemeral(&datagram[16..48]).expect("the machine drew the key");
        let header = &datagram[..Initiation::BEFORE_NOISE];
        let (prologue, psk) = match (datagram[2], &self.token) {
            (1, Some(token)) => {
                let prologue = [b"dddns/1 join".as_slice(), &token.id().0, header].concat();
                (prologue, sha256(&[b"dddns/1 invite", token.secret()]))
            }
            _ => ([b"dddns/1 member".as_slice(), &CLUSTER_ID, header].concat(), CLUSTER_KEY),
        };
        for responder in &self.machines {
            let secrets = Handshake {
                initiator: setup.secret,
                responder: responder.secret,
                initiator_ephemeral,
                // Of a handshake that nobody answers there is none.
                responder_ephemeral: [0; 32],
                prologue: prologue.clone(),
                psk,
            };
            if let Some(payload_1) = secrets.open_message_1(&datagram[16..Initiation::BEFORE_MAC1]) {
                self.met.push(Met {
                    initiator: by.to_owned(),
                    responder: responder.label.clone(),
                    mode: datagram[2],
                    secrets,
                    initiation: datagram.to_vec(),
                    payload_1,
                    answer: None,
                });
                return;
            }
        }
        panic!("{by} calls nobody that there is");
    }

    fn response(&mut self, by: &str, datagram: &[u8]) {
        let setup = self.machine(by).expect("a machine answers");
        let called = |met: &&mut Met| met.initiation[4..8] == datagram[4..8];
        let met = self.met.iter_mut().find(called).expect("somebody called");
        if met.answer.is_some() {
            return;
        }
        by.clone_into(&mut met.responder);
        met.secrets.responder_ephemeral = setup.ephemeral(&datagram[8..40]).expect("the machine drew the key");
        let payload_2 = met.secrets.open_message_2(&met.payload_1, &datagram[8..143]).expect("it decrypts");
        let finished = met.secrets.run(&met.payload_1, &payload_2);
        let keys = Keys::derive(&finished.hash, &finished.k1, &finished.k2);
        met.answer = Some(Answer { index: payload_2[..4].try_into().expect("4 bytes"), payload_2, keys });
    }

    /// The plain body of a tagged datagram.
    fn body(&self, kind: Kind, datagram: &[u8]) -> Vec<u8> {
        let (covered, _) = datagram.split_at(datagram.len() - 16);
        let (header, body) = covered.split_at(16);
        if !kind.is_sealed() {
            return body.to_vec();
        }
        let header = header.try_into().expect("16 bytes");
        let keys = self.keys(&datagram[4..8]).expect("a session has the index");
        keys.open(header, body).expect("it opens")
    }

    /// The keys of whoever sends to this index.
    fn keys(&self, index: &[u8]) -> Option<&Direction> {
        self.met.iter().find_map(|met| {
            let answer = met.answer.as_ref()?;
            if met.initiation[4..8] == *index {
                Some(&answer.keys.responder)
            } else if answer.index == *index {
                Some(&answer.keys.initiator)
            } else {
                None
            }
        })
    }
}

impl Met {
    fn vector(&self) -> Value {
        let answer = self.answer.as_ref();
        debug_assert_eq!(public_key(&self.secrets.initiator_ephemeral), self.initiation[16..48]);
        json!({
            "initiator": self.initiator,
            "responder": self.responder,
            "mode": self.mode,
            "initiator_ephemeral": hex(self.secrets.initiator_ephemeral),
            "initiator_index": hex(&self.initiation[4..8]),
            "payload_1": hex(&self.payload_1),
            "responder_ephemeral": answer.map(|_| hex(self.secrets.responder_ephemeral)),
            "responder_index": answer.map(|answer| hex(answer.index)),
            "payload_2": answer.map(|answer| hex(&answer.payload_2)),
            "session": answer.map(|answer| json!({
                "prk": hex(answer.keys.prk),
                "totp_initiator": hex(answer.keys.initiator.totp),
                "totp_responder": hex(answer.keys.responder.totp),
                "seal_initiator": hex(answer.keys.initiator.seal),
                "seal_responder": hex(answer.keys.responder.seal),
            })),
        })
    }
}
