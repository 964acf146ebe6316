//! Initiations that must not be answered, and handshakes whose other end keeps its place.

use crate::auth::identity::Identity;
use crate::auth::mac::{HasMac1, Mac1Key};
use crate::conformance::bait::Baits;
use crate::conformance::checks::{self, Check};
use crate::conformance::network::Place;
use crate::conformance::peer::Who;
use crate::conformance::stage::Stage;
use crate::wire::id::Index;
use crate::wire::initiation::Initiation;

/// Runs the checks.
pub(super) fn run(stage: &mut Stage) {
    keep_sessions(stage);
    silent(stage);
}

fn silent(stage: &mut Stage) {
    let identity = stage.first.identity.clone();
    let mut baits = Baits::new(stage);
    for at in [Initiation::BEFORE_MAC1, Initiation::BEFORE_MAC2 - 1, 100] {
        throw(
            stage,
            &mut baits,
            &identity,
            &checks::MAC1,
            format!("a changed byte {at} and the old mac1"),
            |_, datagram| {
                flip(datagram, at);
            },
        );
    }
    for at in [16, 60, 100, 175] {
        let what = format!("a changed byte {at} under a right mac1");
        throw(stage, &mut baits, &identity, &checks::NOISE, what, |stage, datagram| {
            flip(datagram, at);
            sign(stage, datagram);
        });
    }
    throw(
        stage,
        &mut baits,
        &identity,
        &checks::HEADER,
        "a sender index changed under a right mac1",
        |stage, datagram| {
            flip(datagram, 4);
            sign(stage, datagram);
        },
    );
    for (at, value, what) in [(3, 1, "a zero field of 1"), (2, 2, "mode 2"), (8, 1, "an invite in mode 0")] {
        throw(stage, &mut baits, &identity, &checks::FORM_INITIATION, what, |stage, datagram| {
            if let Some(byte) = datagram.get_mut(at) {
                *byte = value;
            }
            sign(stage, datagram);
        });
    }
    throw(stage, &mut baits, &identity, &checks::INVITE, "an invite that was never made", |stage, datagram| {
        for (byte, value) in datagram.iter_mut().zip([0xD1, 1, 1]) {
            *byte = value;
        }
        flip(datagram, 8);
        sign(stage, datagram);
    });
    let stranger = Identity::from_secret(stage.drbg.array());
    throw(
        stage,
        &mut baits,
        &stranger,
        &checks::STRANGER,
        "a right initiation of a key that is no member's",
        |_, _| (),
    );
    baits.reap(stage);
}

/// Throws a changed initiation; an answer to it would name its index, or the one that it was changed to.
fn throw(
    stage: &mut Stage,
    baits: &mut Baits,
    identity: &Identity,
    check: &'static Check,
    what: impl Into<String>,
    change: impl FnOnce(&Stage, &mut [u8; Initiation::LEN]),
) {
    let run = stage.first.incarnation;
    let Some(initiator) = stage.begin(identity, run) else { return };
    let (mut datagram, index) = (*initiator.datagram(), initiator.sender());
    change(stage, &mut datagram);
    let changed = datagram.get(4..8).and_then(<[u8]>::first_chunk).map(|index| Index(u32::from_be_bytes(*index)));
    baits.throw(stage, check, what, (Place::Stranger, &datagram), move |seen| {
        seen.answers().is_some_and(|answered| answered == index || Some(answered) == changed)
    });
}

fn flip(datagram: &mut [u8; Initiation::LEN], at: usize) {
    if let Some(byte) = datagram.get_mut(at) {
        *byte ^= 0x10;
    }
}

/// Gives the bytes the mac1 that they should have, whatever else they are.
pub(super) fn sign(stage: &Stage, datagram: &mut [u8; Initiation::LEN]) {
    let mac1 = Mac1Key::of(&stage.target).mac1(&Unsigned(datagram));
    let (_, rest) = datagram.split_at_mut(Initiation::BEFORE_MAC1);
    rest.iter_mut().zip(mac1).for_each(|(byte, value)| *byte = value);
}

/// Bytes as long as an initiation, which may be none.
struct Unsigned<'d>(&'d [u8; Initiation::LEN]);

impl HasMac1 for Unsigned<'_> {
    fn mac1(&self) -> &[u8; 16] {
        &[0; 16]
    }

    fn with_covered<T>(&self, function: impl FnOnce(&[u8]) -> T) -> T {
        function(self.0.split_at(Initiation::BEFORE_MAC1).0)
    }
}

/// New handshakes do not disturb the session in use before they are confirmed, and leave it readable afterwards.
fn keep_sessions(stage: &mut Stage) {
    let (identity, run) = (stage.third.identity.clone(), stage.third.incarnation);
    let mut unconfirmed = 0;
    for _ in 0..2 {
        if let Some(initiator) = stage.begin(&identity, run) {
            let datagram = *initiator.datagram();
            unconfirmed += usize::from(stage.initiate(Place::Third, &datagram, initiator.sender()).is_some());
        }
    }
    let works = stage.exchange(Who::Third).is_some();
    if unconfirmed > 0 {
        stage.report.judge(&checks::REPLAYED_INITIATION, works, "the session in use to go on", || {
            "no acknowledgement under it".to_owned()
        });
    }
    let Some(last) = stage.third.sessions.len().checked_sub(1) else {
        stage.report.skip(&checks::PREVIOUS, "the third peer had no session before");
        return;
    };
    if stage.handshake(Who::Third).is_err() || stage.exchange(Who::Third).is_none() {
        stage.report.skip(&checks::PREVIOUS, "a second session did not come about");
        return;
    }
    // The session before is the last but one.
    stage.third.sessions.swap(last, last + 1);
    let acked = stage.exchange(Who::Third).is_some();
    stage.third.sessions.swap(last, last + 1);
    stage.report.judge(&checks::PREVIOUS, acked, "an acknowledgement under the session before", || "none".to_owned());
}
