//! A small cluster under a list of operations: the driving contract and the protocol's promises hold after every step.

#![no_main]

use std::net::SocketAddr;
use std::time::Duration;

use dddns::wire::address::Address;
use dddns::wire::datagram::MAX_DATAGRAM;
use dddns::wire::id::PublicKey;
use dddns_fuzz::cluster::{ADDRESSES, MEMBERS, NODES, PUPPET_PLACE, World, attacker, identity, place};
use dddns_fuzz::fate::Fate;
use dddns_fuzz::puppet::{Answer, Words};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: Input| {
    let mut world = World::new();
    if input.formed {
        world.pass(Duration::from_secs(5));
        assert!(world.is_formed(), "an undisturbed cluster forms");
    }
    for operation in input.operations.into_iter().take(64) {
        apply(&mut world, operation);
        world.check_announced();
    }
});

/// What happens, and whether the nodes have met before it does.
#[derive(Arbitrary, Debug)]
struct Input {
    formed: bool,
    operations: Vec<Operation>,
}

/// What can happen.
#[derive(Arbitrary, Debug)]
enum Operation {
    /// Time passes, in milliseconds.
    Pass(u16),
    /// What becomes of the next datagram that has no fate yet.
    Next(Fate),
    /// A node gets an address that nobody has now.
    Move { node: u8, address: u8 },
    /// Two nodes swap addresses.
    Swap { one: u8, other: u8 },
    /// A node starts anew, with or without its state, believing that it is this many seconds after 1970.
    Restart { node: u8, forgetful: bool, unix: u32 },
    /// Somebody sends what passed by before, from where it came or from elsewhere.
    Replay { which: u8, to: u8, from: Option<u8> },
    /// Somebody sends anything.
    Garbage { to: u8, bytes: Vec<u8> },
    /// A node stops in order.
    Stop { node: u8 },
    /// A node removes another one.
    Forget { node: u8, other: u8 },
    /// A node leaves the cluster.
    Leave { node: u8 },
    /// All machines sleep for some seconds; their clocks go on.
    Sleep(u32),
    /// A node is told a time before the one that it was told last, by some milliseconds.
    Early { node: u8, milliseconds: u16 },
    /// A node makes an invite, valid for some seconds.
    Invite { node: u8, ttl: u32 },
    /// A node tries to join with the last invite.
    Join { node: u8 },
    /// A node is told where another one might be.
    Candidate { node: u8, other: u8, address: u8 },
    /// The puppet calls a node, or calls on.
    Call { to: u8, run: Option<u8> },
    /// The puppet answers the last call of a node.
    Answer { to: u8, answer: Answer },
    /// The puppet says something to a node, from its own place or from elsewhere.
    Say { to: u8, words: Words, from: Option<u8> },
}

fn apply(world: &mut World, operation: Operation) {
    match operation {
        Operation::Pass(milliseconds) => world.pass(Duration::from_millis(milliseconds.into())),
        Operation::Sleep(seconds) => world.jump(Duration::from_secs(seconds.into())),
        Operation::Next(fate) => world.fates.push_back(fate),
        Operation::Move { node, address } => {
            let address = place(address % ADDRESSES);
            if world.nodes.iter().all(|other| other.address != address) {
                world.inhabitant(node).settle(address);
            }
        }
        Operation::Swap { one, other } => {
            let (first, second) = (world.inhabitant(one).address, world.inhabitant(other).address);
            world.inhabitant(one).settle(second);
            world.inhabitant(other).settle(first);
        }
        Operation::Restart { node, forgetful, unix } => {
            world.restart(node, forgetful, Duration::from_secs(unix.into()));
        }
        Operation::Replay { which, to, from } => world.replay(which, to, from.map(somewhere)),
        Operation::Garbage { to, mut bytes } => {
            bytes.truncate(2 * MAX_DATAGRAM);
            world.send(to, attacker(), bytes, true);
        }
        Operation::Stop { node } => world.command(node, |node, now| node.shutdown(now)),
        Operation::Early { node, milliseconds } => {
            let revision = world.inhabitant(node).node.revision();
            let early = Duration::from_millis(milliseconds.into());
            world.command(node, |node, now| node.handle_timeout(now.checked_sub(early).unwrap_or(now)));
            assert_eq!(world.inhabitant(node).node.revision(), revision, "an early call did something");
        }
        Operation::Forget { node, other } => {
            let other = identity(usize::from(other) % (NODES + 1)).node_id();
            // Whether a command is refused is the node's affair.
            let _ = world.command(node, |node, now| node.forget(now, other));
        }
        Operation::Leave { node } => drop(world.command(node, |node, now| node.leave(now))),
        Operation::Invite { node, ttl } => invite(world, node, Duration::from_secs(ttl.into())),
        Operation::Join { node } => {
            let Some(token) = world.token.clone() else { return };
            let _ = world.command(node, |node, now| node.join(now, &token));
        }
        Operation::Candidate { node, other, address } => {
            let other = identity(usize::from(other) % MEMBERS).node_id();
            let address = Address::try_from(somewhere(address)).expect("all places are addresses");
            let _ = world.command(node, |node, now| node.add_candidates(now, other, &[address]));
        }
        Operation::Call { to, run } => {
            let (number, key) = called(to);
            let datagram = match run {
                Some(run) => world.puppet.call(number, &key, run),
                None => world.puppet.call_again(number),
            };
            send(world, to, place(PUPPET_PLACE), datagram);
        }
        Operation::Answer { to, answer } => {
            let (number, key) = called(to);
            let datagram = world.puppet.answer(number, &key, &answer);
            send(world, to, place(PUPPET_PLACE), datagram);
        }
        Operation::Say { to, words, from } => {
            let (number, now) = (usize::from(to) % NODES, world.now);
            let datagram = world.puppet.say(number, now, &words);
            send(world, to, from.map_or(place(PUPPET_PLACE), somewhere), datagram);
        }
    }
}

fn invite(world: &mut World, node: u8, ttl: Duration) {
    let at = Address::try_from(world.inhabitant(node).address).expect("it has a port");
    if let Ok(token) = world.command(node, |node, now| node.create_invite(now, ttl, &[at])) {
        world.token = Some(token);
    }
}

/// The number and the key of a node that the puppet calls.
fn called(to: u8) -> (usize, PublicKey) {
    let number = usize::from(to) % NODES;
    (number, identity(number).public_key())
}

fn send(world: &mut World, to: u8, from: SocketAddr, datagram: Option<Vec<u8>>) {
    if let Some(datagram) = datagram {
        world.send(to, from, datagram, false);
    }
}

/// Any place, that of somebody who is no member too.
fn somewhere(number: u8) -> SocketAddr {
    match number {
        0xFF => attacker(),
        number => place(number % (ADDRESSES + 1)),
    }
}
