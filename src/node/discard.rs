//! Why datagrams are discarded, and how often each reason occurred.

use crate::auth::session::AuthError;
use crate::wire::error::DecodeError;

/// Why a datagram was discarded. Nothing changed but a counter, and nothing was sent. Spec: WIRE-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Discard {
    /// It is not a well-formed datagram of this version.
    #[error("malformed: {0}")]
    Malformed(DecodeError),
    /// Its source address cannot be answered.
    #[error("the source address is unspecified or its port is 0")]
    Source,
    /// No session, and no handshake under way, has its receiver index.
    #[error("no session has this index")]
    UnknownIndex,
    /// The session's keys or its counters do not accept it.
    #[error("not authentic: {0}")]
    Auth(AuthError),
    /// Its mac1 is not made with this node's public key.
    #[error("mac1 differs")]
    Mac1,
    /// Under load, and its mac2 is missing or wrong. A cookie was sent.
    #[error("under load: a cookie is demanded")]
    CookieDemanded,
    /// Under load, and too many handshakes with valid cookies came before it.
    #[error("under load: too many handshakes")]
    Overload,
    /// The Noise message does not decrypt.
    #[error("the handshake does not decrypt")]
    Handshake,
    /// The handshake's static key is not a member's.
    #[error("not a member")]
    NotAMember,
    /// No invite has this ID, or nobody can be let in now: see [`Node::set_durable`](crate::node::Node::set_durable).
    #[error("no such invite")]
    UnknownInvite,
    /// This node belongs to no cluster, or has stopped, so it talks to nobody.
    #[error("this node belongs to no cluster or has stopped")]
    NoCluster,
}

impl Discard {
    /// A stable name in kebab case, under which `status` counts.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed(error) => error.as_str(),
            Self::Source => "source",
            Self::UnknownIndex => "unknown-index",
            Self::Auth(error) => error.as_str(),
            Self::Mac1 => "mac1",
            Self::CookieDemanded => "cookie-demanded",
            Self::Overload => "overload",
            Self::Handshake => "handshake",
            Self::NotAMember => "not-a-member",
            Self::UnknownInvite => "unknown-invite",
            Self::NoCluster => "no-cluster",
        }
    }
}

impl From<DecodeError> for Discard {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

impl From<AuthError> for Discard {
    fn from(error: AuthError) -> Self {
        Self::Auth(error)
    }
}
