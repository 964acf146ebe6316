//! What the fuzz targets share: messages of every kind, and peers whose keys the fuzzer has.

pub mod cluster;
pub mod fate;
pub mod forge;
pub mod input;
pub mod judge;
pub mod messages;
pub mod puppet;
pub mod raw_body;
