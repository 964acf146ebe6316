//! Clusters of hundreds of nodes in virtual time: what they cost, how they heal, and that everybody can be found.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "clippy allows them in test functions and not in what test functions share"
)]

mod cluster;
mod healing;
mod links;
mod lists;
mod measured;
