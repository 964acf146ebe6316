//! What a node wants done, in causal order; one buffer holds the bytes of all waiting datagrams.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Range;

use crate::node::event::Event;
use crate::wire::address::Address;

/// What a node wants done.
#[derive(Debug, PartialEq, Eq)]
pub enum Output<'a> {
    /// Send these bytes, at most 1232, as one UDP datagram.
    Transmit {
        /// Where to.
        to: SocketAddr,
        /// The payload.
        datagram: &'a [u8],
    },
    /// Tell the owner.
    Event(Event),
}

/// Room for datagrams and outputs that is kept while nothing waits: enough for the answer to any one datagram.
const BYTES_KEPT: usize = 2048;
const OUTPUTS_KEPT: usize = 8;

/// Outputs that wait for [`Node::poll_output`](crate::node::Node::poll_output).
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: VecDeque<Entry>,
    /// The bytes of all waiting datagrams. Emptied when the last one was taken, so in steady state nothing is allocated.
    bytes: Vec<u8>,
    /// Datagrams and bytes sent since the start.
    sent: (u64, u64),
}

#[derive(Debug)]
enum Entry {
    Transmit { to: Address, bytes: Range<usize> },
    Event(Event),
}

impl Outbox {
    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// How many datagrams and bytes were handed out since the start.
    pub(crate) fn sent(&self) -> (u64, u64) {
        self.sent
    }

    /// Queues an event.
    pub(crate) fn event(&mut self, event: Event) {
        self.queue.push_back(Entry::Event(event));
    }

    /// Queues the datagram that `write` appends to the buffer; nothing if it fails.
    pub(crate) fn transmit<T, E>(
        &mut self,
        to: Address,
        write: impl FnOnce(&mut Vec<u8>) -> Result<T, E>,
    ) -> Result<T, E> {
        let start = self.bytes.len();
        let result = write(&mut self.bytes);
        if result.is_ok() {
            self.queue.push_back(Entry::Transmit { to, bytes: start..self.bytes.len() });
        } else {
            self.bytes.truncate(start);
        }
        result
    }

    /// Queues a datagram that is there already.
    pub(crate) fn transmit_bytes(&mut self, to: Address, datagram: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(datagram);
        self.queue.push_back(Entry::Transmit { to, bytes: start..self.bytes.len() });
    }

    /// The next output, or `None` when all were taken.
    pub(crate) fn pop(&mut self) -> Option<Output<'_>> {
        match self.queue.pop_front() {
            None => {
                self.bytes.clear();
                // What a burst to all peers needed is not kept for the quiet hours after it.
                self.bytes.shrink_to(BYTES_KEPT);
                self.queue.shrink_to(OUTPUTS_KEPT);
                None
            }
            Some(Entry::Event(event)) => Some(Output::Event(event)),
            Some(Entry::Transmit { to, bytes }) => {
                let datagram = self.bytes.get(bytes).unwrap_or_default();
                self.sent.0 += 1;
                self.sent.1 += u64::try_from(datagram.len()).unwrap_or(u64::MAX);
                Some(Output::Transmit { to: to.socket_addr(), datagram })
            }
        }
    }
}
