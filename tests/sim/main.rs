//! Clusters in virtual time: what the protocol promises, on a network that keeps or breaks its own promises.

mod cluster;
mod handshakes;
mod healing;
mod hostile;
mod insider;
mod joining;
mod knowledge;
mod liveness;
mod sessions;
