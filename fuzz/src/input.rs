//! What a target for text gets.

use libfuzzer_sys::arbitrary::{self, Arbitrary};

/// Text as it comes, or something to write down that has the right form: few texts that come by chance have one.
#[derive(Arbitrary, Debug)]
pub enum Input<'a, P> {
    /// Any text.
    Text(&'a str),
    /// What the target makes a text of.
    Parts(P),
}
