//! Rendezvous: "this member looks for you, from these addresses".

use serde::{Deserialize, Serialize};

use crate::wire::address::{Address, RawAddress};
use crate::wire::body::{Body, Lengths};
use crate::wire::error::DecodeError;
use crate::wire::header::Header;
use crate::wire::id::NodeId;
use crate::wire::kind::Kind;
use crate::wire::list::List;
use crate::wire::raw::{self, Bytes, Raw};

/// Tells a member who looks for it, so that both probe at once. Spec: `spec/formats.md` section 5.6.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 16 | `seeker` |
/// | 16 | 1 | n |
/// | 17 + 18i | 18 | `addresses[i]` |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rendezvous {
    /// The member that looks for the receiver.
    pub seeker: NodeId,
    /// Where that member can be reached: at least one address.
    pub addresses: List<Address, { Self::MAX }>,
}

impl Rendezvous {
    /// How many addresses one datagram holds at most.
    pub const MAX: usize = 4;
}

impl Body for Rendezvous {
    const KIND: Kind = Kind::RENDEZVOUS;
    const LENGTHS: Lengths = Lengths::list(RawRendezvous::LEN, Address::LEN, 1, Self::MAX);

    fn decode(_header: &Header, body: &[u8]) -> Result<Self, DecodeError> {
        let (head, list) = body.split_at_checked(RawRendezvous::LEN).ok_or(DecodeError::Length)?;
        let head: RawRendezvous = raw::read(head)?;
        let mut addresses = List::new();
        for entry in Self::LENGTHS.entries(head.count, list)? {
            let address = raw::read::<RawAddress>(entry)?.required()?;
            addresses.push(address).map_err(|_| DecodeError::Count)?;
        }
        Ok(Self { seeker: NodeId(head.seeker.0), addresses })
    }

    fn encode(&self, _header: &Header, out: &mut [u8]) -> usize {
        let head = RawRendezvous { seeker: Bytes(self.seeker.0), count: self.addresses.count() };
        let head = raw::write(&head, out);
        let list = out.get_mut(head..).unwrap_or_default();
        head + raw::write_all(self.addresses.iter().map(|&address| RawAddress::from(address)), list)
    }
}

#[derive(Serialize, Deserialize)]
struct RawRendezvous {
    seeker: Bytes<{ NodeId::LEN }>,
    count: u8,
}

impl Raw for RawRendezvous {
    const LEN: usize = NodeId::LEN + 1;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::id::Index;
    use crate::wire::list::Slot;

    const HEADER: Header = Header { kind: Kind::RENDEZVOUS, step: 0, receiver: Index(1), counter: 0 };

    #[test]
    fn needs_one_to_four_addresses() {
        for count in 0..=5_u8 {
            let mut body = vec![9; 16];
            body.push(count);
            (0..count).for_each(|_| body.extend(Address::FILL.to_bytes()));
            let decoded = Rendezvous::decode(&HEADER, &body);
            if (1..=4).contains(&count) {
                assert_eq!(decoded.unwrap().addresses.len(), usize::from(count));
            } else {
                assert_eq!(decoded, Err(DecodeError::Count));
            }
        }
        let mut nowhere = vec![9; 16];
        nowhere.extend([1]);
        nowhere.extend([0; 18]);
        assert_eq!(Rendezvous::decode(&HEADER, &nowhere), Err(DecodeError::NoAddress));
    }
}
