//! `state.json`: what a node wants back after a restart.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::daemon::private_file::{self, ReadError, WriteError};
use crate::node::saved::{Saved, SavedAddress, SavedInvite};
use crate::wire::address::Address;
use crate::wire::id::{InviteId, NodeId, PublicKey, from_base32, to_base32};
use crate::wire::name::Name;
use crate::wire::record::{MemberRecord, MemberState};

/// The name of the format and its version. Another version is never read as this one, and never overwritten.
const SCHEMA: &str = "dddns.state/1";

/// What is in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// What the core saves.
    pub(crate) saved: Saved,
    /// With which invite the node came into its cluster; `None` if it made it, or was set up by hand.
    pub(crate) joined_with: Option<InviteId>,
}

impl State {
    /// Whether another member has told this node that it is one: nobody else gives its member record a number. Until then
    /// the cluster may not know the node.
    pub(crate) fn is_admitted(&self, own: &PublicKey) -> bool {
        self.saved.members.iter().any(|record| record.public_key == *own && record.admission > 0)
    }

    /// The member whose name the node would have, too: it was admitted before, so the others show the node as the name,
    /// `-` and its short ID. Spec: MEMB-6.
    pub(crate) fn namesake(&self, own: &PublicKey, name: Name) -> Option<NodeId> {
        let rank = |record: &MemberRecord| (record.admission, record.id());
        let own = self.saved.members.iter().find(|record| record.public_key == *own)?;
        let before = |other: &&MemberRecord| other.state == MemberState::Member && rank(other) < rank(own);
        self.saved.members.iter().filter(before).find(|other| other.name == name).map(MemberRecord::id)
    }

    /// Who removed this node from its cluster: the name, if it is known, of a member or of the node itself.
    pub(crate) fn removed_by(&self, own: &PublicKey) -> Option<Remover> {
        let removed = |record: &&MemberRecord| record.state == MemberState::Removed;
        let record = self.saved.members.iter().filter(removed).find(|record| record.public_key == *own)?;
        if record.admitted_by == record.id() {
            return Some(Remover::Itself);
        }
        let by = self.saved.members.iter().find(|other| other.id() == record.admitted_by);
        Some(Remover::Member(by.map_or_else(|| record.admitted_by.to_string(), |by| by.name.to_string())))
    }

    /// Whether the node joined by invite and is not known to be admitted: the same token may be used again.
    pub(crate) fn join_is_open(&self, own: &PublicKey) -> bool {
        self.joined_with.is_some() && !self.is_admitted(own)
    }
}

/// Who removed a node from its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Remover {
    /// The node itself: it left.
    Itself,
    /// A member: its name, or its ID where that is not known.
    Member(String),
}

/// Reads the file; `None` if there is none.
///
/// # Errors
/// It cannot be read, is torn, or another program or version wrote it.
pub(crate) fn read(path: &Path) -> Result<Option<State>, StateFileError> {
    let refused = |kind| StateFileError::Content { path: path.to_owned(), kind };
    match private_file::read(path) {
        Ok(Some(text)) => parse(&text).map(Some).map_err(refused),
        Ok(None) => Ok(None),
        Err(ReadError::NoText { .. }) => Err(refused(Refused::Damaged("it is no text".to_owned()))),
        Err(error) => Err(error.into()),
    }
}

/// Writes the file.
///
/// # Errors
/// It cannot be written; the old one is still there.
pub(crate) fn write(path: &Path, state: &State) -> Result<(), WriteError> {
    private_file::replace(path, print(state).as_bytes())
}

/// Why there is no state to start from.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateFileError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It is not what it should be.
    #[error("{} {kind}: {}", path.display(), remedy(path, kind))]
    Content { path: PathBuf, kind: Refused },
}

/// What a person can do about a file that is of no use. Without its members a node knows nobody and is let in again, as the
/// node that it was.
fn remedy(path: &Path, kind: &Refused) -> String {
    match kind {
        Refused::Newer(_) => "run that version".to_owned(),
        Refused::Damaged(_) | Refused::Foreign => format!(
            "restore it from a copy, or run  mv {0} {0}.old  and then  dddns join TOKEN  with a new invite",
            path.display()
        ),
    }
}

/// What is wrong with a state file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// It ends early or holds nonsense.
    #[error("is damaged ({0})")]
    Damaged(String),
    /// Another program's file.
    #[error("is not a state file of dddns")]
    Foreign,
    /// A later version's file.
    #[error("was written by a newer dddns ({0})")]
    Newer(String),
}

#[derive(Deserialize)]
struct Probe {
    schema: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: String,
    members: Vec<Member>,
    addresses: Vec<Seen>,
    own: Vec<String>,
    invites: Vec<Invite>,
    joined_with: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Member {
    public_key: String,
    admitted_by: String,
    admission: u32,
    state: StateWord,
    revision: u32,
    name: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum StateWord {
    Member,
    Removed,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    id: String,
    address: String,
    seen: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Invite {
    id: String,
    hash: String,
    expiry: u64,
    used: bool,
}

/// The text of a file.
pub(crate) fn print(state: &State) -> String {
    let file = File {
        schema: SCHEMA.to_owned(),
        members: state.saved.members.iter().map(print_member).collect(),
        addresses: state.saved.addresses.iter().map(print_seen).collect(),
        own: state.saved.own.iter().map(Address::to_string).collect(),
        invites: state.saved.invites.iter().map(print_invite).collect(),
        joined_with: state.joined_with.map(|invite| invite.to_string()),
    };
    let mut text = serde_json::to_string_pretty(&file).expect("strings and numbers are always JSON");
    text.push('\n');
    text
}

fn print_member(record: &MemberRecord) -> Member {
    Member {
        public_key: record.public_key.to_string(),
        admitted_by: record.admitted_by.to_string(),
        admission: record.admission,
        state: match record.state {
            MemberState::Member => StateWord::Member,
            MemberState::Removed => StateWord::Removed,
        },
        revision: record.revision,
        name: record.name.to_string(),
    }
}

fn print_seen(seen: &SavedAddress) -> Seen {
    Seen { id: seen.id.to_string(), address: seen.address.to_string(), seen: seen.seen }
}

fn print_invite(invite: &SavedInvite) -> Invite {
    Invite { id: invite.id.to_string(), hash: to_base32(&invite.hash), expiry: invite.expiry, used: invite.used }
}

/// Reads the text of a file.
///
/// # Errors
/// It is torn, or another program or version wrote it.
pub(crate) fn parse(text: &str) -> Result<State, Refused> {
    let damaged = |error: serde_json::Error| Refused::Damaged(error.to_string());
    let probe: Probe = serde_json::from_str(text).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => Refused::Foreign,
        serde_json::error::Category::Io | serde_json::error::Category::Syntax | serde_json::error::Category::Eof => {
            damaged(error)
        }
    })?;
    if probe.schema != SCHEMA {
        return Err(if probe.schema.starts_with("dddns.state/") {
            Refused::Newer(probe.schema)
        } else {
            Refused::Foreign
        });
    }
    let file: File = serde_json::from_str(text).map_err(damaged)?;
    let saved = Saved {
        members: all(&file.members, "members", parse_member)?,
        addresses: all(&file.addresses, "addresses", parse_seen)?,
        own: all(&file.own, "own", |text| parse_address(text))?,
        invites: all(&file.invites, "invites", parse_invite)?,
    };
    let refused = |_| Refused::Damaged("joined_with is not valid".to_owned());
    let joined_with = file.joined_with.map(|invite| invite.parse().map_err(refused)).transpose()?;
    Ok(State { saved, joined_with })
}

/// Every entry of a list, or which entry of which list is not valid.
fn all<T, U>(entries: &[T], list: &str, parse: impl Fn(&T) -> Option<U>) -> Result<Vec<U>, Refused> {
    let entry =
        |(at, entry)| parse(entry).ok_or_else(|| Refused::Damaged(format!("entry {at} of {list} is not valid")));
    entries.iter().enumerate().map(entry).collect()
}

fn parse_member(member: &Member) -> Option<MemberRecord> {
    Some(MemberRecord {
        public_key: member.public_key.parse().ok()?,
        admitted_by: member.admitted_by.parse().ok()?,
        admission: member.admission,
        state: match member.state {
            StateWord::Member => MemberState::Member,
            StateWord::Removed => MemberState::Removed,
        },
        revision: member.revision,
        name: member.name.parse().ok()?,
    })
}

fn parse_seen(seen: &Seen) -> Option<SavedAddress> {
    Some(SavedAddress { id: seen.id.parse().ok()?, address: parse_address(&seen.address)?, seen: seen.seen })
}

fn parse_address(text: &str) -> Option<Address> {
    Address::try_from(text.parse::<std::net::SocketAddr>().ok()?).ok()
}

fn parse_invite(invite: &Invite) -> Option<SavedInvite> {
    Some(SavedInvite {
        id: invite.id.parse().ok()?,
        hash: from_base32(&invite.hash)?.try_into().ok()?,
        expiry: invite.expiry,
        used: invite.used,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::id::NodeId;

    fn state() -> State {
        let address = parse_address("[2001:db8::7]:7733").unwrap();
        let record = |byte, state| MemberRecord {
            public_key: PublicKey([byte; 32]),
            admitted_by: NodeId([byte + 1; 16]),
            admission: u32::MAX,
            state,
            revision: 3,
            name: "attic".parse().unwrap(),
        };
        State {
            saved: Saved {
                members: vec![record(1, MemberState::Member), record(2, MemberState::Removed)],
                addresses: vec![SavedAddress { id: NodeId([5; 16]), address, seen: u64::MAX }],
                own: vec![address, parse_address("192.0.2.7:7733").unwrap()],
                invites: vec![SavedInvite { id: InviteId([1; 8]), hash: [2; 32], expiry: 9, used: true }],
            },
            joined_with: Some(InviteId([8; 8])),
        }
    }

    #[test]
    fn a_state_is_read_back_as_it_was_written() {
        for state in [State::default(), state()] {
            assert_eq!(parse(&print(&state)), Ok(state));
        }
    }

    #[test]
    fn a_join_is_open_until_another_member_tells_the_node_of_its_admission() {
        let state = state();
        let [member, removed] = state.saved.members.as_slice() else { panic!("the state has two records") };
        assert!(!state.join_is_open(&member.public_key));
        assert!(!state.join_is_open(&removed.public_key));
        assert!(state.join_is_open(&PublicKey([7; 32])));

        let mut alone = state.clone();
        alone.saved.members[0].admission = 0;
        assert!(alone.join_is_open(&member.public_key), "its own word does not count");
        alone.joined_with = None;
        assert!(!alone.join_is_open(&member.public_key), "it did not join by invite");
    }

    #[test]
    fn a_removed_node_knows_by_whom() {
        let mut state = state();
        let [member, removed] = state.saved.members.as_slice() else { panic!("the state has two records") };
        let (member, removed) = (*member, *removed);
        assert_eq!(state.removed_by(&member.public_key), None);
        let by = |state: &State| state.removed_by(&removed.public_key);
        assert_eq!(by(&state), Some(Remover::Member(removed.admitted_by.to_string())));
        state.saved.members[1].admitted_by = member.id();
        assert_eq!(by(&state), Some(Remover::Member("attic".to_owned())));
        state.saved.members[1].admitted_by = removed.id();
        assert_eq!(by(&state), Some(Remover::Itself));
    }

    #[test]
    fn every_torn_file_is_refused() {
        let text = print(&state());
        let whole = text.trim_end().len();
        for end in 0..whole {
            assert!(matches!(parse(&text[..end]), Err(Refused::Damaged(_))), "cut at {end}");
        }
    }

    #[test]
    fn files_of_others_and_of_later_versions_are_told_apart() {
        for text in ["{}", "[]", "7", r#"{"schema": 1}"#, r#"{"schema": "tailscale/1"}"#] {
            assert_eq!(parse(text), Err(Refused::Foreign), "{text}");
        }
        assert_eq!(parse(r#"{"schema": "dddns.state/2"}"#), Err(Refused::Newer("dddns.state/2".to_owned())));
    }

    #[test]
    fn a_wrong_entry_is_named() {
        let text = print(&state()).replace("192.0.2.7:7733", "0.0.0.0:7733");
        assert_eq!(parse(&text), Err(Refused::Damaged("entry 1 of own is not valid".to_owned())));
        let text = print(&state()).replace("\"joined_with\"", "\"join\"");
        assert!(matches!(parse(&text), Err(Refused::Damaged(_))));
    }

    #[test]
    fn the_refusal_names_the_file_and_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        private_file::replace(&path, b"{\"schema\": \"dddns.state/1\", \"mem").unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("is damaged") && error.contains(&format!("mv {}", path.display())), "{error}");
        private_file::replace(&path, b"{\"schema\": \"dddns.state/1\", \"mem\xff").unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("is damaged") && error.contains(&format!("mv {}", path.display())), "{error}");
        private_file::replace(&path, print(&state()).as_bytes()).unwrap();
        assert_eq!(read(&path).unwrap(), Some(state()));
    }
}
