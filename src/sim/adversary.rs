//! Whoever sits on the network: sees every datagram, drops what it likes and sends what it likes from any address.

use std::time::Duration;

use crate::sim::world::Flight;

/// What an adversary does about a datagram that it sees.
#[derive(Clone, Debug, Default)]
pub struct Interference {
    /// Whether the datagram never arrives.
    pub drop: bool,
    /// What the adversary sends, and when it arrives, counted from now. The network's conditions do not touch it.
    pub sends: Vec<(Duration, Flight)>,
}

/// Called for every datagram that is handed to the network, with the time since the world began.
pub type Adversary = Box<dyn FnMut(Duration, &Flight) -> Interference>;
