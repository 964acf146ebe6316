//! A whole cluster in one deterministic program: real nodes, virtual time, a seeded network.
//!
//! Time jumps exactly to the next moment at which something happens, so an hour takes a moment and a node that asks to
//! be woken at the wrong time is found out. Equal seeds give equal runs, byte for byte.

pub mod adversary;
mod agenda;
pub mod clock;
pub mod dice;
pub mod host;
mod laws;
pub mod loss;
pub mod nat;
pub mod network;
pub mod places;
pub mod scenario;
pub mod standard;
pub mod table;
mod trace;
pub mod view;
pub mod world;
