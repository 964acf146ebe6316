//! What the library says to each vector, read from the file.

mod bytes;
mod conversations;
mod coverage;
mod decisions;
mod handshakes;
mod onlooking;
mod sessions;
