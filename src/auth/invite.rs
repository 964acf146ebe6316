//! Invites: one line of text that lets one node in.

use std::fmt;
use std::str::FromStr;

use ring::digest;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::wire::address::Address;
use crate::wire::id::{InviteId, PublicKey, from_base32, to_base32};
use crate::wire::list::List;

/// The token that `dddns invite` prints. Display prints the secret; Debug hides it. Wiped when dropped.
///
/// Spec: `spec/formats.md` section 7.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    id: InviteId,
    secret: [u8; 32],
    inviter: PublicKey,
    expiry: u64,
    addresses: List<Address, { Self::MAX_ADDRESSES }>,
}

impl Token {
    /// How many addresses a token holds at most; it holds one at least.
    pub const MAX_ADDRESSES: usize = 4;

    /// A token. `id` and `secret` are random; `expiry` is in seconds since 1970 by the inviter's clock.
    ///
    /// # Errors
    ///
    /// [`TokenError::AddressCount`] if there is no address or more than [`Token::MAX_ADDRESSES`].
    pub fn new(
        id: InviteId,
        secret: [u8; 32],
        inviter: PublicKey,
        expiry: u64,
        addresses: &[Address],
    ) -> Result<Self, TokenError> {
        let addresses = List::try_from(addresses).map_err(|_| TokenError::AddressCount)?;
        if addresses.is_empty() {
            return Err(TokenError::AddressCount);
        }
        Ok(Self { id, secret, inviter, expiry, addresses })
    }

    /// Which invite.
    #[must_use]
    pub fn id(&self) -> InviteId {
        self.id
    }

    /// What lets the joiner in.
    #[must_use]
    pub fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    /// The inviter's public key.
    #[must_use]
    pub fn inviter(&self) -> PublicKey {
        self.inviter
    }

    /// Expiry in seconds since 1970 by the inviter's clock.
    #[must_use]
    pub fn expiry(&self) -> u64 {
        self.expiry
    }

    /// Where the inviter can be reached: 1 to 4 addresses.
    #[must_use]
    pub fn addresses(&self) -> &[Address] {
        self.addresses.as_slice()
    }

    /// The pre-shared key of the handshake, and all that the inviter keeps of the secret (AUTH-1).
    #[must_use]
    pub fn psk_hash(&self) -> [u8; 32] {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(b"dddns/1 invite");
        hash.update(&self.secret);
        hash.finish().as_ref().first_chunk().copied().unwrap_or_default()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("id", &self.id)
            .field("inviter", &self.inviter)
            .field("expiry", &self.expiry)
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_LEN));
        bytes.extend(self.id.0);
        bytes.extend(self.secret);
        bytes.extend(self.inviter.0);
        bytes.extend(self.expiry.to_be_bytes());
        bytes.extend(u8::try_from(self.addresses.len()));
        self.addresses.iter().for_each(|address| bytes.extend(address.to_bytes()));
        let checksum = checksum(&bytes);
        bytes.extend(checksum);
        let text = Zeroizing::new(to_base32(&bytes));
        write!(f, "{PREFIX}{VERSION}{}", *text)
    }
}

impl FromStr for Token {
    type Err = TokenError;

    /// Reads a token in capitals or small letters, with white space around it.
    fn from_str(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        let prefix = text.get(..PREFIX.len()).filter(|prefix| prefix.eq_ignore_ascii_case(PREFIX));
        let rest = prefix.and_then(|_| text.get(PREFIX.len()..)).ok_or(TokenError::Prefix)?;
        let body = rest.strip_prefix(VERSION).ok_or(TokenError::Version)?;
        if let Some(wrong) = body.chars().find(|c| !matches!(c, 'a'..='z' | 'A'..='Z' | '2'..='7')) {
            return Err(TokenError::Character(wrong));
        }
        let bytes = Zeroizing::new(from_base32(body).ok_or(TokenError::Length)?);
        let (body, sum) = bytes.split_last_chunk::<CHECKSUM_LEN>().ok_or(TokenError::Length)?;
        if !(1..=Self::MAX_ADDRESSES).any(|n| body.len() == FIXED_LEN + n * Address::LEN) {
            return Err(TokenError::Length);
        }
        if checksum(body) != *sum {
            return Err(TokenError::Checksum);
        }
        parse(body)
    }
}

impl Zeroize for Token {
    fn zeroize(&mut self) {
        self.secret.zeroize();
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.zeroize();
    }
}

impl ZeroizeOnDrop for Token {}

/// Why a text is not an invite token: says what is wrong and what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It does not begin with `dddns`.
    #[error("not an invite: a token begins with dddns1; copy the whole line that dddns invite printed")]
    Prefix,
    /// It is a token of another version.
    #[error("an invite of another version: this program reads those that begin with dddns1; use the same release")]
    Version,
    /// It holds a character that base32 does not have.
    #[error("the invite holds {0:?}, which no token does: copy the whole line again")]
    Character(char),
    /// A part is missing, or something was added; or the last character has bits set of which no byte is made.
    #[error(
        "the invite does not end as it should: a part is missing or was added, or its last character is wrong; copy the \
         whole line again"
    )]
    Length,
    /// A character is wrong.
    #[error("the invite has a typing error: its checksum differs; copy the whole line again")]
    Checksum,
    /// The number of addresses is not 1 to 4.
    #[error("an invite holds 1 to 4 addresses")]
    AddressCount,
    /// An address in it cannot be one.
    #[error("the invite holds an address that cannot be one: ask for a new invite")]
    Address,
}

const PREFIX: &str = "dddns";
const VERSION: &str = "1";
const CHECKSUM_LEN: usize = 4;
/// Everything before the addresses.
const FIXED_LEN: usize = InviteId::LEN + 32 + PublicKey::LEN + 8 + 1;
const MAX_LEN: usize = FIXED_LEN + Token::MAX_ADDRESSES * Address::LEN + CHECKSUM_LEN;

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_LEN] {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(b"dddns/1 token");
    hash.update(bytes);
    hash.finish().as_ref().first_chunk().copied().unwrap_or_default()
}

/// Reads the bytes before the checksum.
fn parse(body: &[u8]) -> Result<Token, TokenError> {
    let (id, body) = body.split_first_chunk().ok_or(TokenError::Length)?;
    let (secret, body) = body.split_first_chunk().ok_or(TokenError::Length)?;
    let (inviter, body) = body.split_first_chunk().ok_or(TokenError::Length)?;
    let (expiry, body) = body.split_first_chunk().ok_or(TokenError::Length)?;
    let (count, list) = body.split_first().ok_or(TokenError::Length)?;
    if list.len() != usize::from(*count) * Address::LEN {
        return Err(TokenError::AddressCount);
    }
    let mut addresses = List::<Address, { Token::MAX_ADDRESSES }>::new();
    for bytes in list.chunks_exact(Address::LEN) {
        let address = Address::from_bytes(bytes).map_err(|_| TokenError::Address)?;
        addresses.push(address).map_err(|_| TokenError::AddressCount)?;
    }
    Token::new(InviteId(*id), *secret, PublicKey(*inviter), u64::from_be_bytes(*expiry), addresses.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> Address {
        Address::new([192, 0, 2, 1].into(), port).unwrap()
    }

    fn token(addresses: u16) -> Token {
        let addresses: Vec<_> = (1..=addresses).map(address).collect();
        Token::new(InviteId([1; 8]), [0xAB; 32], PublicKey([3; 32]), 1 << 33, &addresses).unwrap()
    }

    /// A token of these bytes, with the right checksum.
    fn text(bytes: &[u8]) -> String {
        let mut bytes = bytes.to_vec();
        bytes.extend(checksum(&bytes));
        format!("dddns1{}", to_base32(&bytes))
    }

    #[test]
    fn is_read_as_it_is_printed() {
        for addresses in 1..=4 {
            let token = token(addresses);
            let line = token.to_string();
            assert_eq!(line.parse(), Ok(token.clone()));
            assert_eq!(line.to_ascii_uppercase().parse(), Ok(token.clone()));
            assert_eq!(format!(" \t{line}\r\n").parse(), Ok(token));
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let line = token(2).to_string();
        let parse = |text: &str| text.parse::<Token>().map(drop);
        assert_eq!(parse(""), Err(TokenError::Prefix));
        assert_eq!(parse("ddd"), Err(TokenError::Prefix));
        assert_eq!(parse("ädäd"), Err(TokenError::Prefix));
        assert_eq!(parse(&line[6..]), Err(TokenError::Prefix));
        assert_eq!(parse(&line.replace("dddns1", "dddns2")), Err(TokenError::Version));
        assert_eq!(parse("dddns"), Err(TokenError::Version));
        assert_eq!(parse(&line.replacen('a', "8", 1)), Err(TokenError::Character('8')));
        assert_eq!(parse(&format!("{} {}", &line[..20], &line[20..])), Err(TokenError::Character(' ')));
        assert_eq!(parse("dddns1"), Err(TokenError::Length));
        assert_eq!(parse(&format!("{line}{line}")), Err(TokenError::Character('1')));
        for missing in 1..line.len() - 6 {
            // With 29 characters fewer it is as long as a token with one address fewer.
            let error = if missing == 29 { TokenError::Checksum } else { TokenError::Length };
            assert_eq!(parse(&line[..line.len() - missing]), Err(error), "{missing} missing");
        }
    }

    #[test]
    fn one_wrong_character_is_found() {
        let line = token(1).to_string();
        for i in 6..line.len() - 1 {
            let mut typo = line.clone().into_bytes();
            typo[i] = if typo[i] == b'q' { b'b' } else { b'q' };
            let typo = String::from_utf8(typo).unwrap();
            assert_eq!(typo.parse::<Token>(), Err(TokenError::Checksum), "at {i}");
        }
    }

    #[test]
    fn its_contents_are_judged_after_its_checksum() {
        let mut bytes = from_base32(&token(2).to_string()[6..]).unwrap();
        bytes.truncate(bytes.len() - 4);
        assert_eq!(text(&bytes).parse(), Ok(token(2)));
        for count in [0, 1, 3, 5, 255] {
            let mut other = bytes.clone();
            other[80] = count;
            assert_eq!(text(&other).parse::<Token>(), Err(TokenError::AddressCount), "{count}");
        }
        let mut nowhere = bytes.clone();
        nowhere[81..99].fill(0);
        assert_eq!(text(&nowhere).parse::<Token>(), Err(TokenError::Address));
        assert_eq!(Token::new(InviteId([0; 8]), [0; 32], PublicKey([0; 32]), 0, &[]), Err(TokenError::AddressCount));
        let five: Vec<_> = (1..=5).map(address).collect();
        assert_eq!(Token::new(InviteId([0; 8]), [0; 32], PublicKey([0; 32]), 0, &five), Err(TokenError::AddressCount));
    }

    #[test]
    fn unused_bits_are_zero() {
        // 103 bytes are 824 bits: 165 characters hold 825, so the last one has a bit to spare.
        let line = token(1).to_string();
        let last = line.chars().last().unwrap();
        let next = char::from_u32(u32::from(last) + 1).unwrap();
        let spare = format!("{}{next}", &line[..line.len() - 1]);
        let error = spare.parse::<Token>().unwrap_err();
        assert_eq!(error, TokenError::Length);
        assert!(error.to_string().contains("its last character is wrong"), "its length is right: {error}");
    }

    #[test]
    fn keeps_its_secret_from_debug() {
        let shown = format!("{:?}", token(1));
        assert!(!shown.contains("171") && !shown.contains("abab"));
        assert!(shown.contains("192.0.2.1:1"));
    }
}
