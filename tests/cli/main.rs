//! The program as people and scripts meet it: every command's good and bad ways, with exit codes and messages.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a helper of tests stops where the unexpected is")]

mod cluster;
mod config;
mod control;
mod decode;
mod decode_keys;
mod files;
mod init;
mod join;
mod log;
mod machine;
mod membership;
mod usage;
