//! A stream of a node's events, for as many listeners as there are.

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::node::event::Event;

/// How many events wait for a listener that does not keep up before it misses the oldest.
pub(super) const EVENTS_MAX: usize = 256;

/// A stream of events, from the moment it was asked for.
#[derive(Debug)]
pub struct Events {
    receiver: broadcast::Receiver<Event>,
    missed: u64,
}

impl Events {
    pub(super) fn new(receiver: broadcast::Receiver<Event>) -> Self {
        Self { receiver, missed: 0 }
    }

    /// Waits for the next event; `None` once the driver has stopped and every event has been taken. Dropping the
    /// future loses nothing.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.receiver.recv().await {
                Ok(event) => return Some(event),
                Err(RecvError::Lagged(missed)) => self.missed += missed,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// How many events this listener missed since it last asked, because it was slower than the 256 that wait for it.
    /// Whoever must know everything then asks [`Handle::status`](crate::driver::handle::Handle::status).
    pub fn missed(&mut self) -> u64 {
        std::mem::take(&mut self.missed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_listener_is_told_how_many_events_it_missed() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (sender, receiver) = broadcast::channel(2);
        let mut events = Events::new(receiver);
        for _ in 0..4 {
            sender.send(Event::Orphan).unwrap();
        }
        sender.send(Event::Recovered).unwrap();
        assert_eq!(runtime.block_on(events.next()), Some(Event::Orphan));
        assert_eq!((events.missed(), events.missed()), (3, 0));
        assert_eq!(runtime.block_on(events.next()), Some(Event::Recovered));
        drop(sender);
        assert_eq!(runtime.block_on(events.next()), None);
    }
}
