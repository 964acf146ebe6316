//! What keys say about a datagram: who made it, and what is sealed in it.

use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER_PERMISSIVE;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::auth::drbg::Drbg;
use crate::auth::handshake::{Prologue, Received};
use crate::auth::identity::Identity;
use crate::auth::mac::{HasMac1, Mac1Key};
use crate::auth::onlooker::Onlooker;
use crate::auth::session::AuthError;
use crate::daemon::private_file::{self, ReadError};
use crate::wire::datagram::Datagram;
use crate::wire::header::Header;
use crate::wire::id::{ClusterId, Index, NodeId};
use crate::wire::initiation::{Initiation, Mode};

/// The keys in a file: TOML, bytes in hexadecimal. `dddns decode --help` says what they are.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    #[serde(default)]
    session: Vec<SessionEntry>,
    #[serde(default)]
    node: Vec<NodeEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionEntry {
    initiator: u32,
    responder: u32,
    clock_ms: u64,
    prk: Bytes<32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeEntry {
    secret: Bytes<32>,
    cluster: Option<Bytes<16>>,
}

/// What was found out.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// For some fields, by name, what to say of them in place of what can be said without keys.
    pub(super) meanings: Vec<(&'static str, String)>,
    /// The sealed body, opened.
    pub(super) plain: Option<Vec<u8>>,
    /// The result.
    pub(super) proof: Proof,
}

/// Whether a datagram is what it claims to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Proof {
    /// Somebody who has the keys made it.
    Valid,
    /// Nobody who has the keys made it, or it was changed since.
    Wrong,
    /// Somebody who has the keys of the tags made it, and sealed it wrong.
    Unsealed,
    /// These keys cannot tell.
    #[default]
    None,
}

impl Keys {
    /// Reads the file.
    ///
    /// # Errors
    /// It is not there, others may read it, or something in it is wrong. The text never holds what the file says.
    pub(super) fn read(path: &Path) -> Result<Self, KeysError> {
        let text = private_file::read(path)?.ok_or_else(|| KeysError::Missing { path: path.to_owned() })?;
        toml::from_str(&text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = 1 + before.matches('\n').count();
            KeysError::Content { path: path.to_owned(), line, message: discreet(error.message()).to_owned() }
        })
    }

    /// Checks and opens a datagram.
    pub(super) fn examine(&self, datagram: &[u8]) -> Findings {
        match Datagram::parse(datagram) {
            Ok(Datagram::Tagged(header)) => self.examine_tagged(&header, datagram),
            Ok(Datagram::Initiation(initiation)) => self.examine_initiation(&initiation),
            Ok(Datagram::Response(response)) => {
                // Its payload opens with a key that the initiator made for one handshake, and with nothing that is kept.
                Findings { meanings: vec![self.owner(&response).1], ..Findings::default() }
            }
            // A cookie is sealed with what stands in clear, and proves nothing.
            Ok(Datagram::CookieReply(_)) | Err(_) => Findings::default(),
        }
    }

    fn examine_tagged(&self, header: &Header, datagram: &[u8]) -> Findings {
        let mut wrong = None;
        for entry in self.session.iter().filter(|entry| entry.onlooker().knows(header.receiver)) {
            let mut copy = datagram.to_vec();
            match entry.onlooker().open(header, &mut copy) {
                Ok(opened) => {
                    let sender = if opened.from_initiator { "initiator" } else { "responder" };
                    let tag = format!("valid: made by the {sender} in step {}", opened.step);
                    let plain = header.kind.is_sealed().then(|| opened.body.to_vec());
                    let mut meanings = vec![("tag", tag)];
                    if plain.is_some() {
                        meanings.push(("sealed body", "opened below".to_owned()));
                        meanings.push(("seal tag", "valid".to_owned()));
                    }
                    return Findings { meanings, plain, proof: Proof::Valid };
                }
                // The right keys were found, whatever others say.
                Err(error @ AuthError::Seal) => {
                    let meanings = vec![("tag", "valid".to_owned()), ("seal tag", format!("WRONG: {error}"))];
                    return Findings { meanings, plain: None, proof: Proof::Unsealed };
                }
                Err(error) => wrong = Some(error),
            }
        }
        let Some(error) = wrong else { return Findings::default() };
        Findings { meanings: vec![("tag", format!("WRONG: {error}"))], plain: None, proof: Proof::Wrong }
    }

    fn examine_initiation(&self, initiation: &Initiation) -> Findings {
        let (node, mac1) = self.owner(initiation);
        let cluster = node.and_then(|node| node.cluster.as_ref()).map(|cluster| ClusterId(cluster.0));
        let prologue = match (initiation.mode, &cluster) {
            (Mode::Join, _) => Some(Prologue::Join(initiation.invite)),
            (Mode::Member, Some(cluster)) => Some(Prologue::Member(cluster)),
            (Mode::Member, None) => None,
        };
        let (Some(node), Some(prologue)) = (node, prologue) else {
            return Findings { meanings: vec![mac1], ..Findings::default() };
        };
        // The generator is for the answer, and none is given.
        match Received::read(&node.identity(), prologue, initiation, &mut Drbg::new([0; 32])) {
            Ok(received) => {
                let initiator = received.initiator();
                let name = received.name().map_or_else(|| "no name".to_owned(), |name| format!("the name {name}"));
                let meanings = vec![
                    mac1,
                    ("encrypted s", format!("opens: node {}, public key {initiator}", NodeId::from(&initiator))),
                    ("payload", format!("opens: {name}")),
                ];
                Findings { meanings, plain: None, proof: Proof::Valid }
            }
            Err(error) => {
                let meanings = vec![mac1, ("encrypted s", format!("WRONG: {error}"))];
                Findings { meanings, plain: None, proof: Proof::Wrong }
            }
        }
    }

    /// The node for which mac1 was made, and what to say of mac1.
    fn owner(&self, message: &impl HasMac1) -> (Option<&NodeEntry>, (&'static str, String)) {
        let mut nodes = self.node.iter().map(|node| (node, node.identity()));
        match nodes.find(|(_, identity)| Mac1Key::of(&identity.public_key()).verify_mac1(message)) {
            Some((node, identity)) => (Some(node), ("mac1", format!("valid: for node {}", identity.node_id()))),
            None => (None, ("mac1", "for no node in the file of keys".to_owned())),
        }
    }
}

impl SessionEntry {
    fn onlooker(&self) -> Onlooker {
        Onlooker::new(&self.prk.0, Index(self.initiator), Index(self.responder), self.clock_ms)
    }
}

impl NodeEntry {
    fn identity(&self) -> Identity {
        Identity::from_secret(self.secret.0)
    }
}

/// `N` bytes that may be secret: wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
struct Bytes<const N: usize>([u8; N]);

impl<'de, const N: usize> Deserialize<'de> for Bytes<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).map(Zeroizing::new);
        let bytes = bytes.ok().and_then(|bytes| bytes.as_slice().try_into().ok()).map(Self);
        bytes.ok_or_else(|| D::Error::custom(format!("expected {N} bytes in hexadecimal")))
    }
}

/// Why there are no keys. The text holds nothing of what the file says: it may be a secret.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeysError {
    /// There is no such file.
    #[error("there is no file {}", path.display())]
    Missing { path: PathBuf },
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It is not what it should be.
    #[error("{}:{line}: {message}: dddns decode --help says what belongs there", path.display())]
    Content { path: PathBuf, line: usize, message: String },
}

/// What the parser says, without what it quotes of the file.
fn discreet(message: &str) -> &str {
    if message.starts_with("unknown field") {
        "a key that does not belong there"
    } else if message.starts_with("missing field") || !message.contains(['"', '`']) {
        message
    } else {
        "not the kind of value that belongs there"
    }
}
