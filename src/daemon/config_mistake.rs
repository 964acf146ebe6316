//! A mistake in the configuration file: where it is, what is wrong, what was probably meant.

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// The line, from 1.
    pub(crate) line: usize,
    /// The column in characters, from 1.
    pub(crate) column: usize,
    /// What is wrong and what would be right.
    pub(crate) message: String,
}

impl Mistake {
    /// A mistake at a byte of the text.
    pub(crate) fn at(text: &str, byte: usize, message: String) -> Self {
        let before = text.get(..byte).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
        Self { line, column, message }
    }
}

/// The mistake that the TOML reader found.
pub(crate) fn from_toml(text: &str, error: &toml::de::Error) -> Mistake {
    let byte = error.span().map_or_else(|| line_of_unplaced(text), |span| span.start);
    let message = error.message().replace('\n', ", ");
    let better = suggest(&message).or_else(|| in_brackets(&message)).or_else(|| too_deep(&message));
    Mistake::at(text, byte, better.unwrap_or(message))
}

/// Where the line begins that holds a mistake of which the TOML reader tells no place, such as a key with too many dots: the
/// first one that has such a mistake by itself, or the last one if it takes several.
fn line_of_unplaced(text: &str) -> usize {
    let unplaced = |line: &str| line.parse::<toml::Table>().is_err_and(|error| error.span().is_none());
    let starts = text.match_indices('\n').map(|(at, _)| at + 1);
    let mut lines = [0].into_iter().chain(starts).zip(text.split('\n'));
    let last = text.rfind('\n').map_or(0, |at| at + 1);
    lines.find(|(_, line)| unplaced(line)).map_or(last, |(start, _)| start)
}

/// A better message for an unknown key: serde's names the key and all known ones, in backquotes.
fn suggest(message: &str) -> Option<String> {
    let names = message.strip_prefix("unknown field ")?;
    let mut quoted = names.split('`').skip(1).step_by(2);
    let unknown = quoted.next()?;
    let known: Vec<&str> = quoted.collect();
    let nearest = known.iter().map(|name| (distance(unknown, name), name)).min()?;
    // A third of the letters wrong is another word.
    let (edits, name) = nearest;
    Some(if edits * 3 <= unknown.chars().count().max(3) {
        format!("unknown key `{unknown}`: did you mean `{name}`?")
    } else {
        format!("unknown key `{unknown}`: known here are {}", known.join(", "))
    })
}

/// A better message for one value, or one table, where a list of them belongs.
fn in_brackets(message: &str) -> Option<String> {
    let found = message.strip_prefix("invalid type: ")?.strip_suffix(", expected a sequence")?;
    Some(match (found, found.strip_prefix("string ")) {
        (_, Some(string)) => format!("a list belongs here: write [{string}], in brackets"),
        ("map", None) => "a list of tables belongs here: write its name in two brackets, as in [[peer]]".to_owned(),
        (other, None) => format!("a list belongs here, in brackets, not {other}"),
    })
}

fn too_deep(message: &str) -> Option<String> {
    (message == "recursion limit").then(|| "keys or values are nested too deep here".to_owned())
}

/// How many letters must be inserted, removed, replaced or swapped with their neighbour to make one word the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, &from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &to) in b.iter().enumerate() {
            let cell = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX - 1);
            let replaced = cell(&last, j) + usize::from(from != to);
            let mut best = replaced.min(cell(&last, j + 1) + 1).min(cell(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(&to) && b.get(j - 1) == Some(&from);
            if swapped {
                best = best.min(cell(&before_last, j - 1) + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_edits() {
        for (a, b, edits) in [
            ("name", "name", 0),
            ("nmae", "name", 1),
            ("nam", "name", 1),
            ("names", "name", 1),
            ("adresses", "addresses", 1),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), edits, "{a} {b}");
            assert_eq!(distance(b, a), edits, "{b} {a}");
        }
    }

    #[test]
    fn places_count_characters() {
        let text = "ä = 1\nöü = 2\n";
        let place = |byte| {
            let Mistake { line, column, .. } = Mistake::at(text, byte, String::new());
            (line, column)
        };
        assert_eq!(place(0), (1, 1));
        assert_eq!(place(text.find('ü').unwrap()), (2, 2));
        assert_eq!(place(text.len()), (3, 1));
        assert_eq!(place(999), (3, 1));
    }
}
