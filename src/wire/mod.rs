//! Bytes to messages and back: everything in `spec/formats.md`, and nothing that needs a key.

pub mod address;
pub mod id;
pub mod name;
pub mod record;
