//! Color, where it is wanted.

use std::borrow::Cow;

/// Whether to use color.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    color: bool,
}

/// What a color means, so that it means the same everywhere.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tone {
    /// As it should be.
    Good,
    /// Not yet bad.
    Doubtful,
    /// Somebody should look.
    Bad,
    /// Of less interest.
    Quiet,
    /// A heading.
    Heading,
}

impl Style {
    pub(super) fn new(color: bool) -> Self {
        Self { color }
    }

    /// Whether there is color.
    pub(super) fn colored(self) -> bool {
        self.color
    }

    /// The text in its color.
    pub(super) fn paint(self, tone: Tone, text: &str) -> Cow<'_, str> {
        if !self.color || text.is_empty() {
            return Cow::Borrowed(text);
        }
        let code = match tone {
            Tone::Good => "32",
            Tone::Doubtful => "33",
            Tone::Bad => "31",
            Tone::Quiet => "2",
            Tone::Heading => "1",
        };
        Cow::Owned(format!("\x1b[{code}m{text}\x1b[0m"))
    }
}
