//! What people and programs hand to a node as text, read and written anew.
//!
//! Whether a text is taken, and as what, can so be tried without a node: by tests, by fuzzers, by tools that check files.

use crate::cli::config;
use crate::daemon::config_file::ConfigFile;
use crate::daemon::control_message::Request;
use crate::daemon::state_file;
use crate::node::saved::Saved;

/// A mistake in a configuration, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misplaced {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong and what would be right.
    pub message: String,
}

/// Reads a configuration and gives every setting as `dddns config show` does, itself a configuration.
///
/// # Errors
///
/// The first mistake.
pub fn configuration(text: &str) -> Result<String, Misplaced> {
    match ConfigFile::parse(text) {
        Ok(file) => Ok(config::show(&file, "dddns.toml")),
        Err(mistake) => Err(Misplaced { line: mistake.line, column: mistake.column, message: mistake.message }),
    }
}

/// Reads the text of a state file and gives what a node starts from, and the text that would be stored for it.
///
/// # Errors
///
/// What is wrong with it: damaged, of another program, or of a later version.
pub fn state_file(text: &str) -> Result<(Saved, String), String> {
    let state = state_file::parse(text).map_err(|refused| refused.to_string())?;
    let written = state_file::print(&state);
    Ok((state.saved, written))
}

/// Reads a line that came over the control socket and gives the request as the program writes it, line feed included.
///
/// # Errors
///
/// What the node answers.
pub fn control_request(line: &[u8]) -> Result<String, String> {
    Request::parse(line).map(|request| request.to_line()).map_err(|refused| refused.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_as_the_same() {
        let shown = configuration("name = \"Garage\"\nheartbeat = \"1500ms\"").unwrap();
        assert!(shown.contains("name = \"garage\"  # dddns.toml:1"), "{shown}");
        let mistake = configuration("\nnmae = 1").unwrap_err();
        assert_eq!((mistake.line, mistake.column), (2, 1));

        let text = r#"{"schema":"dddns.state/1","members":[],"addresses":[],"own":["192.0.2.7:7733"],"invites":[],"joined_with":null}"#;
        let (saved, written) = state_file(text).unwrap();
        assert_eq!(saved.own.len(), 1);
        assert_eq!(state_file(&written), Ok((saved, written.clone())));
        assert!(state_file(&text[..text.len() - 1]).unwrap_err().contains("damaged"));

        let line = "{\"schema\":\"dddns.control/1\",\"command\":\"leave\"}\n";
        assert_eq!(control_request(format!("  {line}").as_bytes()).as_deref(), Ok(line));
        assert!(control_request(b"leave").unwrap_err().contains("not a request"));
    }
}
