//! What is asked of each datagram that the target sends, at any moment of a run.

use std::time::Instant;

use crate::conformance::checks;
use crate::conformance::forge::{Flaw, header_of};
use crate::conformance::network::Arrived;
use crate::conformance::peer::Who;
use crate::conformance::stage::{Stage, What, name};
use crate::wire::datagram::{Datagram, MAX_DATAGRAM};
use crate::wire::header::Header;
use crate::wire::message::Message;

impl Stage {
    /// Reads a datagram of the target, and reports what is wrong with it.
    pub(super) fn judge(&mut self, now: Instant, arrived: &Arrived) -> What {
        let bytes = &arrived.bytes;
        let long = || format!("{} bytes", bytes.len());
        self.report.judge(&checks::TARGET_SIZE, bytes.len() <= MAX_DATAGRAM, "at most 1232 bytes", long);
        match Datagram::parse(bytes) {
            Ok(Datagram::Tagged(_)) => self.read_tagged(now, arrived),
            Ok(Datagram::Initiation(initiation)) => {
                let to = Who::ALL.into_iter().find(|who| self.peer(*who).mac1.verify_mac1(&initiation));
                self.report.judge(&checks::TARGET_MAC1, to.is_some(), "a mac1 made with the receiver's key", || {
                    format!("an Initiation at {} with another one", name(arrived.place))
                });
                to.map_or(What::Flawed, |who| What::Initiation(who, Box::new(initiation)))
            }
            Ok(Datagram::Response(response)) => What::Response(Box::new(response)),
            Ok(Datagram::CookieReply(reply)) => What::Cookie(reply),
            Err(error) => {
                let seen = format!("{error}: {}", excerpt(bytes));
                self.report.fail(&checks::TARGET_FORM, "a datagram of this protocol", seen);
                What::Flawed
            }
        }
    }

    fn read_tagged(&mut self, now: Instant, arrived: &Arrived) -> What {
        let Some(header) = header_of(&arrived.bytes) else { return What::Flawed };
        let owner = Who::ALL.into_iter().find(|who| self.peer(*who).session_by(header.receiver).is_some());
        let Some(who) = owner else {
            // Left over from a handshake that the tester has forgotten, or for a racing joiner.
            return What::Flawed;
        };
        let Some(session) = self.peer(who).session_by(header.receiver) else { return What::Flawed };
        let opened = session.open(now, &header, &arrived.bytes);
        self.report.pass(&checks::TARGET_FORM);
        match opened {
            Ok(message) => {
                for check in [
                    &checks::TARGET_TAG,
                    &checks::TARGET_STEP,
                    &checks::TARGET_SEAL,
                    &checks::TARGET_BODY,
                    &checks::TARGET_COUNTER,
                ] {
                    self.report.pass(check);
                }
                self.check_numbers(&message);
                self.check_reflection(arrived, &message);
                What::Tagged(who, header, Box::new(message))
            }
            Err(flaw) => {
                self.note(&header, flaw);
                What::Flawed
            }
        }
    }

    fn note(&mut self, header: &Header, flaw: Flaw) {
        let kind = header.kind;
        match flaw {
            Flaw::Step(seen) => self.report.fail(&checks::TARGET_STEP, "the step of link time", seen),
            Flaw::Tag => self.report.fail(&checks::TARGET_TAG, "the right tag", format!("a {kind} with another one")),
            Flaw::Seal => {
                self.report.fail(&checks::TARGET_SEAL, "a body that opens", format!("a {kind} that does not"))
            }
            Flaw::Body(seen) => self.report.fail(&checks::TARGET_BODY, "a body of its type", seen),
            Flaw::Counter(seen) => self.report.fail(&checks::TARGET_COUNTER, "each counter once", seen),
        }
    }

    /// Counters are small in a run, so a great number that is small when read backwards is one written backwards.
    fn check_numbers(&mut self, message: &Message) {
        let number = if let Message::Heartbeat(heartbeat) = message {
            heartbeat.seen
        } else if let Message::HeartbeatAck(ack) = message {
            ack.acked
        } else {
            return;
        };
        let backwards = number > 1 << 48 && number.swap_bytes() < 1 << 48;
        self.report.judge(&checks::TARGET_ORDER, !backwards, "big-endian integers", || {
            format!("{number:#018x} where {:#x} is meant", number.swap_bytes())
        });
    }

    fn check_reflection(&mut self, arrived: &Arrived, message: &Message) {
        let said = if let Message::Heartbeat(heartbeat) = message {
            heartbeat.reflection
        } else if let Message::HeartbeatAck(ack) = message {
            Some(ack.reflection)
        } else {
            return;
        };
        let Some(said) = said else { return };
        let field = arrived.bytes.get(32..50);
        if self.network.address(arrived.place).is_some_and(|own| field == Some(own.to_bytes().as_slice())) {
            self.report.fail(&checks::TARGET_MASK, "a masked address", "the address in clear");
            return;
        }
        let right = self.is_right_reflection(arrived.place, said);
        let own = self.address(arrived.place).map_or_else(String::new, |own| own.to_string());
        self.report.judge(&checks::REFLECTION, right, &format!("the address {own}"), || said.to_string());
        if right {
            self.report.pass(&checks::TARGET_MASK);
        }
    }
}

/// The beginning of a datagram, in hexadecimal.
fn excerpt(bytes: &[u8]) -> String {
    let shown: String = bytes.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{shown}… ({} bytes)", bytes.len())
}
