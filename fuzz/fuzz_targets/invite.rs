//! Invite tokens: what is read prints as it was written, and one wrong character is refused.

#![no_main]

use std::net::{IpAddr, Ipv6Addr};

use dddns::auth::invite::Token;
use dddns::wire::address::Address;
use dddns::wire::id::{InviteId, PublicKey, to_base32};
use dddns_fuzz::input::Input;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: Input<'_, Parts>| {
    match input {
        Input::Text(text) => read(text),
        Input::Parts(parts) => made(&parts),
    }
});

#[derive(Arbitrary, Debug)]
struct Parts {
    id: [u8; 8],
    secret: [u8; 32],
    inviter: [u8; 32],
    expiry: u64,
    addresses: Vec<([u8; 16], u16)>,
    typo: (u16, char),
}

/// Any text.
fn read(text: &str) {
    if let Ok(token) = text.parse::<Token>() {
        assert_eq!(token.to_string(), text.trim().to_ascii_lowercase());
    }
}

/// A token with a valid checksum, which no text that was guessed has.
fn made(parts: &Parts) {
    let addresses: Vec<_> =
        parts.addresses.iter().filter_map(|(ip, port)| Address::new(IpAddr::V6(Ipv6Addr::from(*ip)), *port)).collect();
    let made = Token::new(InviteId(parts.id), parts.secret, PublicKey(parts.inviter), parts.expiry, &addresses);
    let Ok(token) = made else {
        assert!(addresses.is_empty() || addresses.len() > 4, "a token was refused that has all it needs");
        return;
    };
    let text = token.to_string();
    assert!(text.is_ascii() && !text.contains(char::is_whitespace));
    let again: Token = text.parse().expect("a token that was printed can be read");
    assert_eq!(again, token);
    assert_eq!((again.id(), again.inviter(), again.expiry()), (token.id(), token.inviter(), parts.expiry));
    assert_eq!((again.addresses(), again.secret()), (addresses.as_slice(), &parts.secret));
    assert_eq!(text.to_ascii_uppercase().replacen("DDDNS1", "dddns1", 1).parse(), Ok(token));
    // The inviter's key is shown: a secret that happens to equal it tells nothing about the secret.
    let shown = format!("{again:?}").contains(&to_base32(&parts.secret));
    assert!(!shown || parts.secret == parts.inviter, "Debug shows the secret");

    let (position, letter) = parts.typo;
    let mut letters: Vec<char> = text.chars().collect();
    let position = usize::from(position) % letters.len();
    let Some(place) = letters.get_mut(position) else { return };
    if !place.eq_ignore_ascii_case(&letter) && !letter.is_whitespace() {
        *place = letter;
        let typo: String = letters.into_iter().collect();
        assert!(typo.parse::<Token>().is_err(), "a wrong character was not noticed: {typo}");
    }
}
