//! dddns keeps nodes on floating addresses together, with no server between them.

pub mod auth;
pub mod config;
pub mod node;
pub mod wire;

#[cfg(feature = "sim")]
pub mod sim;

#[cfg(feature = "driver")]
pub mod driver;

#[cfg(feature = "daemon")]
pub mod cli;
#[cfg(feature = "conformance")]
mod conformance;
#[cfg(feature = "daemon")]
mod daemon;
