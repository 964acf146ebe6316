//! Clusters in virtual time: what the protocol promises, on a network that keeps or breaks its own promises.

mod cluster;
mod healing;
mod hostile;
mod joining;
mod liveness;
mod sessions;
