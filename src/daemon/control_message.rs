//! What travels over the control socket: one JSON object a line, schema `dddns.control/1`, in both directions.

use serde::{Deserialize, Serialize};

use crate::daemon::event_report::EventReport;
use crate::daemon::status_report::{StatusReport, TableHints};

/// The name of the format and its version.
pub(crate) const SCHEMA: &str = "dddns.control/1";

/// The longest line, in bytes, the line feed included. A reply of a full cluster is longer than any request, but only
/// requests come from outside the node, so only they are bounded.
pub(crate) const REQUEST_MAX: usize = 64 << 10;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// What the node knows now.
    Status,
    /// Every event from now on; each is a reply of its own.
    Events,
    /// A new invite.
    Invite {
        /// How long it is valid, in milliseconds.
        ttl_ms: u64,
        /// Where a joiner may find the node: IP addresses, or IP addresses with ports.
        addresses: Vec<String>,
    },
    /// A search for a member that is not up. Answered when it is, or after a second at the latest.
    Find {
        /// Its whole node ID.
        id: String,
    },
    /// The removal of a member.
    Forget {
        /// Its whole node ID.
        id: String,
    },
    /// The node's own way out of its cluster. It stops after the answer.
    Leave,
}

/// A request as it is written: which keys belong to which command is checked after the command is known.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestLine {
    schema: String,
    command: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ttl_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    addresses: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
}

/// What the schema of a line is, whatever else is in it.
#[derive(Deserialize)]
struct Probe {
    schema: String,
}

/// A reply as it is written.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ReplyLine {
    /// [`SCHEMA`].
    pub(crate) schema: String,
    /// The answer.
    pub(crate) reply: Reply,
}

/// What a node answers.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reply {
    /// To [`Request::Status`].
    Status(Box<StatusReply>),
    /// To [`Request::Invite`].
    Invite(InviteReply),
    /// To [`Request::Find`]: what was found is in the status.
    Sought,
    /// To [`Request::Forget`]: done.
    Forgotten,
    /// To [`Request::Leave`]: done.
    Left(LeftReply),
    /// To [`Request::Events`], at once: every event after this line is told.
    Following,
    /// To [`Request::Events`], again and again.
    Event(Box<EventReport>),
    /// To [`Request::Events`]: this many events were not told, because the client was too slow.
    Missed(u64),
    /// The request was not carried out.
    Error(ErrorReply),
}

/// What a node knows.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StatusReply {
    /// What `--json` prints.
    pub(crate) report: StatusReport,
    /// What the table says beyond it.
    pub(crate) hints: TableHints,
}

/// A new invite.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InviteReply {
    /// The token: whoever has it can join.
    pub(crate) token: String,
    /// When it expires: RFC 3339 by the node's clock.
    pub(crate) expires: String,
    /// Where the token says the node can be reached.
    pub(crate) addresses: Vec<String>,
}

impl std::fmt::Debug for InviteReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InviteReply").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// How the node left its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LeftReply {
    /// How many members have confirmed it.
    pub(crate) confirmed: usize,
    /// How many other members there were.
    pub(crate) others: usize,
}

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ErrorReply {
    /// For programs.
    pub(crate) kind: ErrorKind,
    /// For people: what is wrong and what to do.
    pub(crate) message: String,
}

/// The kinds of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ErrorKind {
    /// Not a request, or one with wrong values.
    BadRequest,
    /// A request of another version.
    Schema,
    /// A command that this version does not know.
    UnknownCommand,
    /// A line over [`REQUEST_MAX`].
    TooLong,
    /// Too many clients.
    Busy,
    /// The node refused the command.
    Refused,
    /// There is no such member.
    UnknownPeer,
    /// The node did it and could not store it.
    NotStored,
    /// The node is stopping.
    Stopping,
}

impl ErrorReply {
    /// An error of a kind, in words.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

impl Request {
    /// The line to send, with its line feed.
    pub(crate) fn to_line(&self) -> String {
        let bare = |command: &str| RequestLine {
            schema: SCHEMA.to_owned(),
            command: command.to_owned(),
            ttl_ms: None,
            addresses: None,
            id: None,
        };
        line(&match self {
            Self::Status => bare("status"),
            Self::Events => bare("events"),
            Self::Invite { ttl_ms, addresses } => {
                RequestLine { ttl_ms: Some(*ttl_ms), addresses: Some(addresses.clone()), ..bare("invite") }
            }
            Self::Find { id } => RequestLine { id: Some(id.clone()), ..bare("find") },
            Self::Forget { id } => RequestLine { id: Some(id.clone()), ..bare("forget") },
            Self::Leave => bare("leave"),
        })
    }

    /// Reads a line.
    ///
    /// # Errors
    /// What to tell the client.
    pub(crate) fn parse(line: &[u8]) -> Result<Self, ErrorReply> {
        let bad = |error: serde_json::Error| {
            // The parser quotes keys as they are.
            let said = error.to_string().replace(char::is_control, " ");
            ErrorReply::new(ErrorKind::BadRequest, format!("not a request: {said}"))
        };
        let probe: Probe = serde_json::from_slice(line).map_err(bad)?;
        if probe.schema != SCHEMA {
            let message = format!("this node speaks {SCHEMA}: use the dddns that runs it");
            return Err(ErrorReply::new(ErrorKind::Schema, message));
        }
        let request: RequestLine = serde_json::from_slice(line).map_err(bad)?;
        let bad = |message: &str| Err(ErrorReply::new(ErrorKind::BadRequest, message));
        match (request.command.as_str(), request.ttl_ms, request.addresses, request.id) {
            ("status", None, None, None) => Ok(Self::Status),
            ("events", None, None, None) => Ok(Self::Events),
            ("leave", None, None, None) => Ok(Self::Leave),
            ("invite", Some(ttl_ms), addresses, None) => {
                Ok(Self::Invite { ttl_ms, addresses: addresses.unwrap_or_default() })
            }
            ("find", None, None, Some(id)) => Ok(Self::Find { id }),
            ("forget", None, None, Some(id)) => Ok(Self::Forget { id }),
            ("status" | "events" | "leave", _, _, _) => bad("this command takes nothing else"),
            ("invite", _, _, _) => bad("invite needs ttl_ms, and takes addresses besides"),
            ("find" | "forget", _, _, _) => bad("this command needs id, and nothing else"),
            (_, _, _, _) => {
                let message = "known commands are status, events, invite, find, forget and leave";
                Err(ErrorReply::new(ErrorKind::UnknownCommand, message))
            }
        }
    }
}

impl Reply {
    /// The line to send, with its line feed.
    pub(crate) fn into_line(self) -> String {
        line(&ReplyLine { schema: SCHEMA.to_owned(), reply: self })
    }
}

fn line(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string(value).expect("strings, numbers and lists are always JSON");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_back_as_they_were_written() {
        let invite = Request::Invite { ttl_ms: 1_000, addresses: vec!["192.0.2.7".to_owned()] };
        let id = || "a4dqobyha4dqobyha4dqobyha4".to_owned();
        let (find, forget) = (Request::Find { id: id() }, Request::Forget { id: id() });
        for request in [Request::Status, Request::Events, invite, find, forget, Request::Leave] {
            let line = request.to_line();
            assert!(line.ends_with('\n') && line.starts_with("{\"schema\":\"dddns.control/1\""), "{line}");
            assert_eq!(Request::parse(line.as_bytes()), Ok(request));
        }
    }

    #[test]
    fn bad_requests_are_told_apart() {
        let of = |rest: &str| format!("{{\"schema\":\"{SCHEMA}\"{rest}}}");
        for (line, kind) in [
            ("garbage".to_owned(), ErrorKind::BadRequest),
            (String::new(), ErrorKind::BadRequest),
            ("[]".to_owned(), ErrorKind::BadRequest),
            ("{\"schema\":\"dddns.control/2\",\"anything\":1}".to_owned(), ErrorKind::Schema),
            (of(""), ErrorKind::BadRequest),
            (of(",\"command\":\"reboot\""), ErrorKind::UnknownCommand),
            (of(",\"command\":\"status\",\"ttl_ms\":1"), ErrorKind::BadRequest),
            (of(",\"command\":\"status\",\"extra\":1"), ErrorKind::BadRequest),
            (of(",\"command\":\"invite\""), ErrorKind::BadRequest),
            (of(",\"command\":\"invite\",\"ttl_ms\":-1"), ErrorKind::BadRequest),
            (of(",\"command\":\"forget\""), ErrorKind::BadRequest),
            (of(",\"command\":\"find\""), ErrorKind::BadRequest),
            (of(",\"command\":\"leave\",\"id\":\"x\""), ErrorKind::BadRequest),
        ] {
            assert_eq!(Request::parse(line.as_bytes()).map_err(|error| error.kind), Err(kind), "{line}");
        }
        assert_eq!(Request::parse(&[0xFF, 0xFE]).map_err(|error| error.kind), Err(ErrorKind::BadRequest));
        let odd = Request::parse(of(",\"co\\nd\":1,\"command\":\"status\"").as_bytes()).unwrap_err();
        assert!(!odd.message.contains('\n') && odd.message.contains("co d"), "one line: {odd:?}");
    }

    #[test]
    fn debug_output_hides_the_token() {
        let reply = InviteReply { token: "dddns1secret".into(), expires: String::new(), addresses: Vec::new() };
        assert!(!format!("{:?}", Reply::Invite(reply)).contains("dddns1"));
    }
}
