//! How the demo looks: a table that is drawn over and over below the lines that tell what happened.

use std::io::{self, Write};
use std::net::SocketAddr;

/// One node in the table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// Its name.
    pub(super) name: &'static str,
    /// Where it really is.
    pub(super) at: SocketAddr,
    /// Where it thinks that it is.
    pub(super) itself: Option<SocketAddr>,
    /// Where each other node thinks that it is; `None` while it does not answer there.
    pub(super) others: Vec<Option<SocketAddr>>,
}

impl Row {
    /// Whether everybody is right about this node, and it about itself.
    pub(super) fn is_right(&self) -> bool {
        self.itself == Some(self.at) && self.right_others() == self.others.len()
    }

    fn right_others(&self) -> usize {
        self.others.iter().filter(|other| **other == Some(self.at)).count()
    }
}

/// Where the demo is shown.
pub(super) struct Screen<'a> {
    out: &'a mut dyn Write,
    /// Whether the table can be drawn over.
    live: bool,
    color: bool,
    /// The table as it stands on the screen.
    table: String,
}

impl<'a> Screen<'a> {
    pub(super) fn new(out: &'a mut dyn Write, live: bool, color: bool) -> Self {
        Self { out, live, color, table: String::new() }
    }

    /// Shows how things are now; only on a terminal.
    pub(super) fn draw(&mut self, rows: &[Row]) -> io::Result<()> {
        let table = self.render(rows);
        if !self.live || table == self.table {
            return Ok(());
        }
        self.erase()?;
        self.table = table;
        self.out.write_all(self.table.as_bytes())?;
        self.out.flush()
    }

    /// Says what happened, above the table.
    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        let table = self.erase()?;
        writeln!(self.out, "{text}")?;
        self.table = table;
        self.out.write_all(self.table.as_bytes())?;
        self.out.flush()
    }

    /// Says how something ended, below the table, which stays.
    pub(super) fn verdict(&mut self, text: &str, good: bool) -> io::Result<()> {
        if !self.table.is_empty() {
            self.table.clear();
            writeln!(self.out)?;
        }
        let (mark, code) = if good { ("ok  ", GREEN) } else { ("FAIL", RED) };
        let mark = self.paint(mark, code);
        writeln!(self.out, "{mark}  {text}")
    }

    /// The last line.
    pub(super) fn close(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")?;
        self.out.flush()
    }

    /// Takes the table off the screen and returns it.
    fn erase(&mut self) -> io::Result<String> {
        let lines = self.table.lines().count();
        if lines > 0 {
            // Up to the table's first line, and clear from there to the end of the screen.
            write!(self.out, "\x1b[{lines}A\x1b[J")?;
        }
        Ok(std::mem::take(&mut self.table))
    }

    fn render(&self, rows: &[Row]) -> String {
        let mut table = format!("\n{:<8} {:<22} {:<22} {}\n", "NODE", "IS AT", "BELIEVES", "OTHERS AGREE");
        for row in rows {
            let right = if row.itself == Some(row.at) { GREEN } else { YELLOW };
            let itself = row.itself.map_or_else(|| "-".to_owned(), |itself| itself.to_string());
            let itself = self.paint(&format!("{itself:<22}"), right);
            let (count, all) = (row.right_others(), row.others.len());
            let others = self.paint(&format!("{count} of {all}"), if count == all { GREEN } else { YELLOW });
            table.push_str(&format!("{:<8} {:<22} {itself} {others}\n", row.name, row.at.to_string()));
        }
        table
    }

    fn paint(&self, text: &str, code: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

const GREEN: &str = "32";
const YELLOW: &str = "33";
const RED: &str = "31";

#[cfg(test)]
mod tests {
    use super::*;

    fn row(itself: &str, other: &str) -> Row {
        let address = |text: &str| text.parse().ok();
        Row {
            name: "attic",
            at: "127.0.0.2:9".parse().unwrap(),
            itself: address(itself),
            others: vec![address(other), address("127.0.0.2:9")],
        }
    }

    #[test]
    fn right_means_that_everybody_is_right() {
        assert!(row("127.0.0.2:9", "127.0.0.2:9").is_right());
        assert!(!row("127.0.0.3:9", "127.0.0.2:9").is_right());
        assert!(!row("127.0.0.2:9", "127.0.0.3:9").is_right());
        assert!(!row("127.0.0.2:9", "").is_right());
    }

    #[test]
    fn without_a_terminal_there_are_lines_and_no_escape_sequences() {
        let mut out = Vec::new();
        let mut screen = Screen::new(&mut out, false, false);
        screen.draw(&[row("", "")]).unwrap();
        screen.line("something happened").unwrap();
        screen.verdict("it healed", true).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "something happened\nok    it healed\n");
    }

    #[test]
    fn on_a_terminal_the_table_stays_below_the_lines() {
        let mut out = Vec::new();
        let mut screen = Screen::new(&mut out, true, false);
        screen.draw(&[row("", "")]).unwrap();
        screen.line("something happened").unwrap();
        let text = String::from_utf8(out).unwrap();
        let (first, second) = text.split_once("\x1b[3A\x1b[J").unwrap();
        assert!(first.contains("1 of 2"), "{first}");
        assert_eq!(second, format!("something happened\n{first}"));
    }
}
