//! Clusters in virtual time: what the protocol promises, on a network that keeps or breaks its own promises.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "clippy allows them in test functions and not in what test functions share"
)]

mod clones;
mod cluster;
mod handshakes;
mod healing;
mod hostile;
mod insider;
mod join_chaos;
mod joining;
mod knowledge;
mod liveness;
mod membership;
mod nats;
mod power_cut;
mod promises;
mod recovery;
mod sessions;
mod standard;
mod transcript;
