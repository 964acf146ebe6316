//! Bytes to messages and back: everything in `spec/formats.md`, and nothing that needs a key.

pub mod address;
pub mod body;
pub mod conflict;
pub mod cookie_reply;
pub mod datagram;
pub mod error;
pub mod header;
pub mod heartbeat;
pub mod id;
pub mod initiation;
pub mod kind;
pub mod leave;
pub mod list;
pub mod locate;
pub mod located;
pub mod members;
pub mod members_request;
pub mod message;
pub mod name;
pub mod path;
pub mod record;
pub mod rendezvous;
pub mod response;

mod mask;
mod raw;
