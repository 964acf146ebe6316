//! Counters and steps: each counter is used once and accepted once, and nobody's link time is pushed far.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::sim::laws::{Arrival, Sent, Verdict, hold};
use crate::sim::world::HostId;
use crate::wire::datagram::Datagram;
use crate::wire::id::Index;

/// The step of RFC 6238.
const STEP: Duration = Duration::from_secs(30);
/// The low 8 bits of the step in which 64 bits of milliseconds end: a clock that is set there stands still.
const LAST: u8 = (u64::MAX / 30_000).to_le_bytes()[0];

/// What hosts have sent and accepted under their sessions.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    /// By sender and the index that it addresses.
    sending: BTreeMap<(HostId, Index), Sending>,
    /// The counters accepted, by receiver and its own index: ranges without gaps, in order.
    accepted: BTreeMap<(HostId, Index), Vec<(u64, u64)>>,
}

#[derive(Debug)]
struct Sending {
    /// The sender's own index of the session, once it is known.
    own: Option<Index>,
    /// When the first datagram was sent by the sender's clock, and its step.
    first: (Duration, u8),
    counter: u64,
}

impl Sessions {
    /// A node starts anew: it has no session.
    pub(crate) fn forget(&mut self, host: HostId) {
        self.sending.retain(|(owner, _), _| *owner != host);
        self.accepted.retain(|(owner, _), _| *owner != host);
    }

    /// AUTH-9: no counter is used twice. P8: link time goes on with the monotonic clock, whatever the wall clock shows or
    /// is set to. P10: it is followed by one step at most, whoever says what.
    pub(crate) fn sent(&mut self, sent: &Sent<'_>) -> Verdict {
        let Ok(Datagram::Tagged(header)) = Datagram::parse(sent.datagram) else { return Ok(()) };
        // Peers that drew the same index by chance cannot be told apart.
        if sent.sessions.len() > 1 {
            return Ok(());
        }
        let own = sent.sessions.first().copied();
        let known = self.sending.get_mut(&(sent.origin.host, header.receiver));
        let Some(known) = known.filter(|known| own.is_none() || known.own.is_none() || own == known.own) else {
            let fresh = Sending { own, first: (sent.local, header.step), counter: header.counter };
            self.sending.insert((sent.origin.host, header.receiver), fresh);
            return Ok(());
        };
        known.own = own.or(known.own);
        let before = std::mem::replace(&mut known.counter, header.counter);
        hold("AUTH-9", header.counter > before, || format!("counter {} after {before}", header.counter))?;
        let (began, step) = known.first;
        let passed = sent.local.saturating_sub(began).as_secs() / STEP.as_secs();
        // One step more where the first one began late in its step, and one for what AUTH-6 allows.
        let ahead = header.step.wrapping_sub(step).wrapping_sub(passed.to_le_bytes()[0]);
        let what = || format!("step {} in place of {step} + {passed}", header.step);
        hold("P8", ahead < 128 || header.step == LAST, what)?;
        hold("P10", ahead <= 2 || header.step == LAST, what)
    }

    /// P7: each counter of a session is accepted once.
    pub(crate) fn accepted(&mut self, arrival: &Arrival, index: Index, counter: u64) -> Verdict {
        let ranges = self.accepted.entry((arrival.host, index)).or_default();
        let place = ranges.partition_point(|&(_, last)| last < counter);
        let new = ranges.get(place).is_none_or(|&(first, _)| counter < first);
        hold("P7", new, || format!("accepted counter {counter} of session {index:?} again"))?;
        ranges.insert(place, (counter, counter));
        if let Some(&[(_, end), (begin, last)]) = ranges.get(place..place + 2) {
            if end + 1 == begin {
                ranges.splice(place..place + 2, [(counter, last)]);
            }
        }
        if let Some(&[(first, end), (begin, last)]) = place.checked_sub(1).and_then(|at| ranges.get(at..at + 2)) {
            if end + 1 == begin {
                ranges.splice(place - 1..=place, [(first, last)]);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::laws::Origin;
    use crate::wire::address::Address;
    use crate::wire::header::Header;
    use crate::wire::id::NodeId;
    use crate::wire::kind::Kind;

    /// What the law says of a host's datagrams, each given as: own indices of its sessions, seconds, step, counter.
    fn sender() -> impl FnMut(&[Index], u64, u8, u64) -> Result<(), &'static str> {
        let mut sessions = Sessions::default();
        move |own, seconds, step, counter| {
            let header = Header { kind: Kind::PATH_CHALLENGE, step, receiver: Index(1), counter };
            let datagram = [header.to_bytes().as_slice(), &[0; 24]].concat();
            let to = Address::new([192, 0, 2, 1].into(), 7733).unwrap();
            let origin = Origin { host: 0, run: 1, id: NodeId([1; 16]), to };
            let local = Duration::from_secs(seconds);
            let verdict = sessions.sent(&Sent { origin, datagram: &datagram, sessions: own, local, watched: false });
            verdict.map_err(|broken| broken.law)
        }
    }

    #[test]
    fn a_step_that_does_not_go_with_the_monotonic_clock_breaks_the_law() {
        let mut sender = sender();
        let mut sends = |seconds, step, counter| sender(&[Index(7)], seconds, step, counter);
        assert_eq!(sends(0, 100, 0), Ok(()));
        assert_eq!(sends(60, 102, 1), Ok(()));
        assert_eq!(sends(60, 104, 2), Ok(()), "it followed, and began late in its step");
        assert_eq!(sends(60, 105, 3), Err("P10"), "as after a clock was set forward");
        assert_eq!(sends(90, 102, 4), Err("P8"), "as after a clock was set back");
        assert_eq!(sends(90, 103, 4), Err("AUTH-9"));
    }

    #[test]
    fn peers_with_one_index_have_counters_of_their_own() {
        let mut sends = sender();
        assert_eq!([sends(&[Index(7)], 0, 100, 0), sends(&[Index(7)], 0, 100, 1)], [Ok(()); 2]);
        assert_eq!(sends(&[Index(7), Index(8)], 0, 100, 0), Ok(()), "one of two");
        assert_eq!(sends(&[Index(7)], 0, 100, 1), Err("AUTH-9"));
        assert_eq!(sends(&[], 0, 100, 0), Err("AUTH-9"), "as with the last datagram of a session");
        assert_eq!([sends(&[Index(8)], 0, 100, 0), sends(&[Index(8)], 0, 100, 0)], [Ok(()), Err("AUTH-9")]);
    }
}
