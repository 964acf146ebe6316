//! The specification and the code point at each other, and no pointer dangles.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The prefixes of requirement numbers.
const FAMILIES: [&str; 7] = ["RULE-", "WIRE-", "AUTH-", "STATE-", "ADDR-", "MEMB-", "SCALE-"];

/// Where people write of the specification.
const FOLDERS: [&str; 6] = ["src", "tests", "benches", "examples", "fuzz", "spec"];

/// What is made by tools in those folders.
const MADE: [&str; 6] = ["target", "corpus", "seeds", "artifacts", "coverage", "__pycache__"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file with this ending below a folder, in a fixed order.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("a folder can be listed").path();
            if path.is_dir() {
                let made = path.file_name().is_some_and(|name| MADE.iter().any(|made| name == *made));
                folders.extend((!made).then_some(path));
            } else if path.extension().is_some_and(|found| found == ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file in which people may write of the specification: code, documents, and the lists of faults.
fn everything() -> Vec<PathBuf> {
    let endings = ["rs", "md", "py", "lua", "toml"];
    let mut found: Vec<_> =
        FOLDERS.iter().flat_map(|folder| endings.iter().flat_map(|ending| files(folder, ending))).collect();
    // What this file says of citations is none.
    found.retain(|file| !file.ends_with("tests/spec.rs"));
    found.extend(["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"].map(|name| root().join(name)));
    found
}

/// A text without line breaks and without the signs that begin a line of a comment, so that no citation is in two parts.
fn flat(text: &str) -> String {
    let bare = |line: &'_ str| line.trim_start().trim_start_matches(['/', '!', '#']).trim().to_owned();
    text.lines().map(bare).collect::<Vec<_>>().join(" ")
}

/// The requirement numbers in a text: `WIRE-3` and the like.
fn requirements(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for family in FAMILIES {
        for (at, _) in text.match_indices(family) {
            let digits: String = text[at + family.len()..].chars().take_while(char::is_ascii_digit).collect();
            let begins = !text[..at].ends_with(|before: char| before.is_ascii_alphanumeric());
            if begins && !digits.is_empty() {
                found.insert(format!("{family}{digits}"));
            }
        }
    }
    found
}

/// The numbers that a document defines. The README shows what a number looks like.
fn defined(file: &Path) -> Vec<String> {
    let text = read(file);
    let numbers = text.split("**[").skip(1).filter_map(|rest| rest.split("]**").next());
    numbers.filter(|number| !file.ends_with("README.md") || number.starts_with("RULE-")).map(str::to_owned).collect()
}

fn is_timer(name: &str) -> bool {
    name.len() > 3 && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

/// The names of timers and bounds that code cites as "Spec: `NAME`".
fn cited_names(text: &str) -> impl Iterator<Item = &str> {
    text.split("Spec: `").skip(1).filter_map(|rest| rest.split('`').next()).filter(|name| is_timer(name))
}

/// A section's number at the beginning of a text.
fn section(text: &str) -> Option<String> {
    let number: String = text.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    Some(number.trim_end_matches('.').to_owned()).filter(|number| !number.is_empty())
}

/// The documents of the specification that a text cites, with the section where it names one.
fn cited_documents(text: &str) -> BTreeSet<(String, Option<String>)> {
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices(".md") {
        let (before, after) = (&text[..at], &text[at + 3..]);
        let start = before.rfind(|c: char| !c.is_ascii_lowercase() && c != '-').map_or(0, |end| end + 1);
        let name = &before[start..];
        // Documents elsewhere have their names in capitals.
        if name.is_empty() {
            continue;
        }
        let number = after.trim_start_matches(['`', ')']).strip_prefix(" section ").and_then(section);
        found.insert((name.to_owned(), number));
    }
    found
}

/// The sections that a document of the specification cites without a document's name: its own, or "section 6 of
/// \[state-machine.md\]".
fn cited_sections(text: &str, own: &str) -> BTreeSet<(String, Option<String>)> {
    let mut found = BTreeSet::new();
    for (at, what) in text.match_indices("section ") {
        let before = text[..at].trim_end().trim_end_matches([')', '`']);
        let elsewhere = before.ends_with(".md") || before.rsplit(' ').nth(1) == Some("RFC");
        let Some(number) = section(&text[at + what.len()..]).filter(|_| !elsewhere) else { continue };
        let after = text[at + what.len()..].trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let name = after.strip_prefix(" of [").and_then(|rest| rest.split(".md]").next()).unwrap_or(own);
        found.insert((name.to_owned(), Some(number)));
    }
    found
}

#[test]
fn every_requirement_is_defined_once() {
    let mut seen = BTreeSet::new();
    for number in files("spec", "md").iter().flat_map(|file| defined(file)) {
        assert!(seen.insert(number.clone()), "{number} is defined twice");
    }
    assert!(seen.len() > 30, "only {} requirements were found", seen.len());
}

#[test]
fn every_requirement_that_is_cited_is_defined() {
    let known: BTreeSet<_> = files("spec", "md").iter().flat_map(|file| defined(file)).collect();
    for file in everything() {
        for requirement in requirements(&read(&file)) {
            let file = file.display();
            assert!(
                known.contains(&requirement),
                "{file} cites {requirement}, which the specification does not define"
            );
        }
    }
}

/// What is not numbered is cited by nobody, and tested by nobody.
#[test]
fn every_must_has_a_number() {
    for file in files("spec", "md") {
        let text = read(&file);
        let mut item = String::new();
        for line in text.lines().chain([""]) {
            let begins = line.trim().is_empty() || line.starts_with("- ") || line.starts_with('|');
            if begins {
                // The conventions say what the word means.
                let told = !item.contains("MUST") || item.starts_with("- **[") || item.starts_with("The words MUST");
                assert!(told, "{}: there is a MUST without a number in: {item}", file.display());
                item.clear();
            }
            if !line.trim().is_empty() {
                item.push_str(line);
                item.push('\n');
            }
        }
    }
}

#[test]
fn every_timer_that_is_cited_is_listed() {
    let timers = read(&root().join("spec/timers.md"));
    let listed = |name: &str| timers.contains(&format!("\n| `{name}` |"));
    let mut cited = 0;
    for file in everything().into_iter().filter(|file| file.extension().is_some_and(|ending| ending == "rs")) {
        for name in cited_names(&flat(&read(&file))) {
            cited += 1;
            assert!(listed(name), "{} cites {name}: not in timers.md", file.display());
        }
    }
    assert!(cited > 20, "only {cited} citations were found");
    for file in files("spec", "md") {
        for name in read(&file).split('`').filter(|name| is_timer(name)) {
            assert!(listed(name), "{} speaks of {name}: not in timers.md", file.display());
        }
    }
}

#[test]
fn every_section_that_is_cited_exists() {
    let mut with_number = 0;
    for file in everything() {
        let text = flat(&read(&file));
        let mut cited = cited_documents(&text);
        if file.parent() == Some(&root().join("spec")) && file.extension().is_some_and(|ending| ending == "md") {
            cited.extend(cited_sections(&text, &file.file_stem().unwrap().to_string_lossy()));
        }
        for (name, section) in cited {
            let document = root().join(format!("spec/{name}.md"));
            assert!(document.exists(), "{} cites {name}.md: not in spec/", file.display());
            let Some(section) = section else { continue };
            with_number += 1;
            let has = |line: &str| {
                let title = line.trim_start_matches('#').trim_start();
                line.starts_with('#') && title.split(' ').next().map(|n| n.trim_end_matches('.')) == Some(&section)
            };
            let exists = read(&document).lines().any(has);
            assert!(exists, "{} cites section {section} of {name}.md, which does not exist", file.display());
        }
    }
    assert!(with_number > 100, "only {with_number} citations were found");
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    for file in everything().into_iter().filter(|file| file.extension().is_some_and(|ending| ending == "md")) {
        let text = read(&file);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap();
            if path.is_empty() || path.contains("://") {
                continue;
            }
            let there = file.parent().unwrap().join(path).exists();
            assert!(there, "{}: the link to {link} leads nowhere", file.display());
        }
    }
}

/// Requirements of this text itself, of which nothing can be run.
const OF_THE_TEXT: [&str; 1] = ["RULE-3"];

#[test]
fn every_requirement_is_tested() {
    let conformance = read(&root().join("spec/conformance.md"));
    let (checks, _) = conformance.split_once("## 3. What no check tests").expect("a section on what is not checked");
    let mut tested = requirements(checks);
    for file in files("tests", "rs").into_iter().filter(|file| !file.ends_with("spec.rs")) {
        tested.extend(requirements(&read(&file)));
    }
    for file in files("src", "rs") {
        let text = read(&file);
        let tests =
            if file.ends_with("tests.rs") { &text } else { text.split_once("mod tests {").map_or("", |(_, t)| t) };
        tested.extend(requirements(tests));
    }
    for file in files("spec", "md") {
        for number in defined(&file) {
            let exempt = OF_THE_TEXT.contains(&number.as_str());
            let file = file.display();
            assert!(tested.contains(&number) || exempt, "{file} defines {number}, and no test says that it tests it");
        }
    }
}

#[test]
fn every_requirement_is_checked_from_outside_or_said_not_to_be() {
    let listed = requirements(&read(&root().join("spec/conformance.md")));
    for file in files("spec", "md") {
        for number in defined(&file) {
            let file = file.display();
            assert!(
                listed.contains(&number),
                "{file} defines {number}: say in spec/conformance.md which check tests it"
            );
        }
    }
}
