//! A handshake, and the session that it gives: whatever arrives at either side at any moment, behind mac1 and Noise too,
//! since the fuzzer has the keys.

#![no_main]

mod called;
mod calling;
mod talking;

use dddns::auth::identity::Identity;
use dddns::auth::invite::Token;
use dddns::config::{Cluster, ClusterKey};
use dddns::wire::address::Address;
use dddns::wire::id::{ClusterId, InviteId, to_base32};
use dddns_fuzz::forge::Terms;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: Input| match input {
    Input::Called(input) => called::play(&input),
    Input::Calling(input) => calling::play(&input),
    Input::Talking(input) => talking::play(&input),
});

/// No secret is shown, whoever prints what holds it.
fn discreet(shown: &str, secrets: &[&[u8]]) {
    for secret in secrets {
        let digits = secret.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let list = format!("{secret:?}");
        let list = list.trim_matches(['[', ']']);
        assert!(!shown.contains(&digits) && !shown.contains(list) && !shown.contains(&to_base32(secret)), "{shown}");
    }
}

/// Which part the program plays.
#[derive(Arbitrary, Debug)]
enum Input {
    /// It responds to an initiation that somebody else made.
    Called(called::Input),
    /// It initiates, and somebody else answers.
    Calling(calling::Input),
    /// It does both, and goes on to talk.
    Talking(talking::Input),
}

/// What both ends know before.
struct Setting {
    initiator: Identity,
    responder: Identity,
    cluster: Cluster,
    token: Token,
    /// What the Noise prologue begins with.
    label: Vec<u8>,
    psk: [u8; 32],
}

impl Setting {
    fn new(join: bool) -> Self {
        let (initiator, responder) = (Identity::from_secret([1; 32]), Identity::from_secret([2; 32]));
        let cluster = Cluster { id: ClusterId([3; 16]), key: ClusterKey([4; 32]) };
        let invite = InviteId([5; 8]);
        let token = Token::new(invite, [6; 32], responder.public_key(), 0, &[address(1)]).expect("it has an address");
        let label = if join {
            [b"dddns/1 join".as_slice(), &invite.0].concat()
        } else {
            [b"dddns/1 member".as_slice(), &cluster.id.0].concat()
        };
        let psk = if join { token.psk_hash() } else { cluster.key.0 };
        Self { initiator, responder, cluster, token, label, psk }
    }

    fn terms(&self) -> Terms<'_> {
        Terms { label: &self.label, psk: &self.psk }
    }
}

fn address(n: u8) -> Address {
    Address::new([192, 0, 2, n].into(), 7733).expect("it has a port")
}

/// One bit of a datagram, wrong; where it ends early, its end missing.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Damage {
    byte: u16,
    bit: u8,
    cut: bool,
}

impl Damage {
    /// What arrives; different from what was sent.
    fn of(self, datagram: &[u8]) -> Vec<u8> {
        let at = usize::from(self.byte) % datagram.len();
        let mut damaged = datagram.to_vec();
        if self.cut {
            damaged.truncate(at);
        } else if let Some(byte) = damaged.get_mut(at) {
            *byte ^= 1 << (self.bit % 8);
        }
        damaged
    }
}
