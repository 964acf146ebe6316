//! Form: datagrams with a right tag that are against the format all the same.

use crate::conformance::bait::Baits;
use crate::conformance::checks::{self, Check};
use crate::conformance::forge::Plan;
use crate::conformance::peer::Who;
use crate::conformance::stage::{Seen, Stage};
use crate::driver::clock;
use crate::wire::address::Address;
use crate::wire::id::NodeId;
use crate::wire::kind::Kind;
use crate::wire::message::Message;
use crate::wire::record::{MemberRecord, MemberState};

/// Runs the checks.
pub(super) fn run(stage: &mut Stage) {
    let mut baits = Baits::new(stage);
    heads(stage, &mut baits);
    lengths(stage, &mut baits);
    lists(stage, &mut baits);
    no_address(stage, &mut baits);
    let bad = bad_name(stage);
    baits.reap(stage);
    if let Some(bad) = bad {
        let records = stage.records(Who::First);
        let taken = records.iter().any(|record| record.public_key.0 == bad);
        if records.is_empty() {
            stage.report.skip(&checks::BAD_NAME, "the target gives no member list");
        } else {
            stage.report.judge(&checks::BAD_NAME, !taken, "no record with that key in the list", || "one".to_owned());
        }
    }
}

fn heads(stage: &mut Stage, baits: &mut Baits) {
    for magic in [0xD0, 0xD2, 0xDF, 0x51] {
        let other = |plan: &mut Plan| plan.magic = magic;
        let what = format!("byte 0 of {magic:#04x}");
        stage.throw_heartbeat(baits, &checks::VERSION, what, other, |_, _, datagram| datagram);
    }
    for kind in [Kind(0x00), Kind(0x0F), Kind(0x1F), Kind(0x7F), Kind::DATA, Kind(0xE0), Kind(0xFF)] {
        let other = |plan: &mut Plan| plan.kind = kind;
        let what = format!("the type {:#04x}", kind.0);
        stage.throw_heartbeat(baits, &checks::TYPE, what, other, |_, _, datagram| datagram);
    }
    for bit in 0..8 {
        let flagged = |plan: &mut Plan| plan.flags = 1 << bit;
        let what = format!("the flag {:#04x}", 1_u8 << bit);
        stage.throw_heartbeat(baits, &checks::FLAGS, what, flagged, |_, _, datagram| datagram);
    }
}

fn lengths(stage: &mut Stage, baits: &mut Baits) {
    for extra in [1_usize, 16] {
        let what = format!("{extra} bytes behind the tag");
        stage.throw_heartbeat(
            baits,
            &checks::TRAILING,
            what,
            |_| (),
            |_, _, mut datagram| {
                datagram.resize(datagram.len() + extra, 0);
                datagram
            },
        );
        let what = format!("{extra} bytes after the body, under the tag");
        stage.throw_heartbeat(
            baits,
            &checks::TRAILING,
            what,
            |_| (),
            |session, plan, mut datagram| {
                datagram.truncate(datagram.len().saturating_sub(16));
                datagram.resize(datagram.len() + extra, 0);
                session.tagged(plan, datagram)
            },
        );
    }
    for whole in [1_233_usize, 1_400] {
        let what = format!("{whole} bytes under a right tag");
        stage.throw_heartbeat(
            baits,
            &checks::OVERSIZE,
            what,
            |_| (),
            |session, plan, mut datagram| {
                datagram.resize(whole.saturating_sub(16), 0);
                session.tagged(plan, datagram)
            },
        );
    }
    for kept in [0_usize, 1, 2, 15, 16, 31, 65] {
        let what = format!("the first {kept} bytes of a heartbeat");
        stage.throw_heartbeat(
            baits,
            &checks::SHORT,
            what,
            |_| (),
            |_, _, mut datagram| {
                datagram.truncate(kept);
                datagram
            },
        );
    }
    let what = "a heartbeat without its last body byte, under a right tag";
    stage.throw_heartbeat(
        baits,
        &checks::SHORT,
        what,
        |_| (),
        |session, plan, mut datagram| {
            datagram.truncate(49);
            session.tagged(plan, datagram)
        },
    );
}

/// Lists that are unordered, empty, too long, or of another length than they say.
fn lists(stage: &mut Stage, baits: &mut Baits) {
    let mut ids = [stage.second.id(), stage.ghost.id()];
    ids.sort_unstable();
    let [lower, higher] = ids;
    let list = |count: u8, ids: &[NodeId]| {
        let mut body = vec![count];
        ids.iter().for_each(|id| body.extend(id.0));
        body
    };
    for (body, what) in [
        (list(2, &[higher, lower]), "a Locate in descending order"),
        (list(2, &[lower, lower]), "a Locate that names one member twice"),
        (list(0, &[]), "a Locate for nobody"),
        (list(9, &[lower; 9]), "a Locate for nine"),
        (list(2, &[lower]), "a Locate that says 2 and names 1"),
        (list(1, &[lower, higher]), "a Locate that says 1 and names 2"),
    ] {
        raw(stage, baits, (Kind::LOCATE, body), (&checks::DISORDER, what), |seen| {
            matches!(seen.message(Who::Third), Some(Message::Located(_)))
        });
    }
}

/// A heartbeat whose reflection has an IP address and port 0, or a port and no IP address.
fn no_address(stage: &mut Stage, baits: &mut Baits) {
    let Some(own) = Address::try_from(stage.at).ok() else { return };
    for (keep, what) in [(0..16, "a heartbeat that reflects port 0"), (16..18, "a heartbeat that reflects no IP")] {
        let zeroed: Vec<usize> = (0..18).filter(|at| !keep.contains(at)).collect();
        let bytes = own.to_bytes();
        // Masking is XOR: what the tester masks and the target unmasks differs from the address in these places only.
        stage.throw_heartbeat(
            baits,
            &checks::NO_ADDRESS,
            what,
            |_| (),
            move |session, plan, mut datagram| {
                datagram.truncate(datagram.len().saturating_sub(16));
                for &at in &zeroed {
                    if let (Some(masked), Some(plain)) = (datagram.get_mut(32 + at), bytes.get(at)) {
                        *masked ^= plain;
                    }
                }
                session.tagged(plan, datagram)
            },
        );
    }
}

/// A removed member whose name is none: it may not be taken into the list. Its key.
fn bad_name(stage: &mut Stage) -> Option<[u8; 32]> {
    let key: [u8; 32] = stage.drbg.array();
    let ghost = stage.record(Who::Ghost, 1, MemberState::Removed)?;
    let record = MemberRecord { public_key: crate::wire::id::PublicKey(key), ..ghost };
    let mut body = [[0, 1].as_slice(), &record.to_bytes()].concat();
    // The first letter of the name.
    if let Some(letter) = body.get_mut(2 + 58) {
        *letter = b'_';
    }
    let place = stage.third.place;
    let session = stage.third.session()?;
    let plan = session.plan(clock::now());
    let datagram = session.make_raw(Plan { kind: Kind::MEMBERS, ..plan }, body);
    stage.send(place, &datagram);
    Some(key)
}

/// Throws a body of the third peer.
fn raw(
    stage: &mut Stage,
    baits: &mut Baits,
    (kind, body): (Kind, Vec<u8>),
    (check, what): (&'static Check, &str),
    tells: impl Fn(&Seen) -> bool + 'static,
) {
    let place = stage.third.place;
    let Some(session) = stage.third.session() else { return };
    let plan = session.plan(clock::now());
    let datagram = session.make_raw(Plan { kind, ..plan }, body);
    baits.throw(stage, check, what, (place, &datagram), tells);
}
