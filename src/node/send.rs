//! From message to datagram, on the path in use. What goes elsewhere is sent by whoever knows why.

use std::time::Instant;

use crate::node::Node;
use crate::node::links::Slot;
use crate::wire::body::Body;

impl Node {
    /// Sends a message to a peer by the path in use. Nothing is sent to a peer without session or path.
    pub(super) fn send(&mut self, now: Instant, slot: Slot, body: &impl Body) {
        let Some(link) = self.links.get_mut(slot) else { return };
        let (Some(to), Some(session)) = (link.path.current(), &mut link.session) else { return };
        if self.outbox.transmit(to, |bytes| session.encode(now, body, bytes)).is_err() {
            self.rekey(now, slot);
        }
    }
}
