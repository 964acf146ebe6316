//! Invites: one line of text that lets one node in.
use crate::wire::address::Address;
use crate::wire::id::{InviteId, PublicKey};
use std::fmt;
use std::str::FromStr;

/// The token that `dddns invite` prints. Spec: `spec/formats.md` section 7. Display prints the secret; Debug hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// fields private except through accessors below
    _p: (),
}

impl Token {
    /// Which invite.
    pub fn id(&self) -> InviteId {
        todo!()
    }
    /// The inviter's public key.
    pub fn inviter(&self) -> PublicKey {
        todo!()
    }
    /// Expiry in seconds since 1970 by the inviter's clock.
    pub fn expiry(&self) -> u64 {
        todo!()
    }
    /// 1 to 4 addresses.
    pub fn addresses(&self) -> &[Address] {
        todo!()
    }
}
impl fmt::Debug for Token {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}
impl fmt::Display for Token {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}
impl FromStr for Token {
    type Err = TokenError;
    fn from_str(_s: &str) -> Result<Self, TokenError> {
        todo!()
    }
}

/// Why a text is not an invite token: says what is wrong and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It does not begin with `dddns1`.
    #[error("not an invite: a token begins with dddns1")]
    Prefix,
}
