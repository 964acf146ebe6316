//! The specification and the code point at each other, and no pointer dangles.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The prefixes of requirement numbers.
const FAMILIES: [&str; 7] = ["RULE-", "WIRE-", "AUTH-", "STATE-", "ADDR-", "MEMB-", "SCALE-"];

/// Every file with this ending below a folder, in a fixed order.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("a folder can be listed").path();
            if path.is_dir() {
                folders.push(path);
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

/// The names of timers and bounds that code cites as "Spec: `NAME`".
fn cited_names(text: &str) -> BTreeSet<String> {
    let names = text.split("Spec: `").skip(1).filter_map(|rest| rest.split('`').next());
    names.filter(|name| name.chars().all(|c| c.is_ascii_uppercase() || c == '_')).map(str::to_owned).collect()
}

/// The documents, with the sections in them, that code cites as "`spec/NAME.md` section N".
fn cited_sections(text: &str) -> BTreeSet<(String, Option<String>)> {
    let mut found = BTreeSet::new();
    for rest in text.split("spec/").skip(1) {
        let Some((name, after)) = rest.split_once(".md") else { continue };
        if !name.chars().all(|c| c.is_ascii_lowercase() || c == '-') {
            continue;
        }
        let number = after.trim_start_matches('`').strip_prefix(" section ");
        let number = number.map(|n| n.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect::<String>());
        found.insert((name.to_owned(), number.map(|n| n.trim_end_matches('.').to_owned())));
    }
    found
}

#[test]
fn every_requirement_is_defined_once() {
    let mut defined = BTreeSet::new();
    for file in files("spec", "md") {
        let text = read(&file);
        for definition in text.split("**[").skip(1).filter_map(|rest| rest.split("]**").next()) {
            // The README shows what a number looks like.
            if !file.ends_with("README.md") || definition.starts_with("RULE-") {
                assert!(defined.insert(definition.to_owned()), "{definition} is defined twice");
            }
        }
    }
    assert!(defined.len() > 30, "only {} requirements were found", defined.len());
}

#[test]
fn every_requirement_that_is_cited_is_defined() {
    let spec: String = files("spec", "md").iter().map(|file| read(file)).collect();
    for file in
        ["src", "tests", "spec"].into_iter().flat_map(|folder| [files(folder, "rs"), files(folder, "md")].concat())
    {
        for requirement in requirements(&read(&file)) {
            let dangles = !spec.contains(&format!("**[{requirement}]**"));
            assert!(!dangles, "{} cites {requirement}, which the specification does not define", file.display());
        }
    }
}

#[test]
fn every_timer_that_is_cited_is_listed() {
    let timers = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("spec/timers.md"));
    let mut cited = 0;
    for file in files("src", "rs") {
        for name in cited_names(&read(&file)) {
            cited += 1;
            assert!(timers.contains(&format!("| `{name}` |")), "{} cites {name}: not in timers.md", file.display());
        }
    }
    assert!(cited > 20, "only {cited} citations were found");
}

#[test]
fn every_section_that_is_cited_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in files("src", "rs") {
        for (name, section) in cited_sections(&read(&file)) {
            let document = root.join(format!("spec/{name}.md"));
            assert!(document.exists(), "{} cites spec/{name}.md, which does not exist", file.display());
            let Some(section) = section.filter(|section| !section.is_empty()) else { continue };
            let heading = |line: &str| {
                let title = line.trim_start_matches('#').trim_start();
                line.starts_with('#')
                    && title.split([' ', '.']).next() == section.split('.').next()
                    && title.starts_with(&section)
            };
            let exists = read(&document).lines().any(heading);
            assert!(exists, "{} cites section {section} of spec/{name}.md, which does not exist", file.display());
        }
    }
}

/// Requirements of this text itself, of which nothing can be run.
const OF_THE_TEXT: [&str; 1] = ["RULE-3"];

#[test]
fn every_requirement_is_tested() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let conformance = read(&root.join("spec/conformance.md"));
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
    for file in files("spec", "md").into_iter().filter(|file| !file.ends_with("README.md")) {
        for number in read(&file).split("**[").skip(1).filter_map(|rest| rest.split("]**").next()) {
            let file = file.display();
            assert!(tested.contains(number), "{file} defines {number}, and no test says that it tests it");
        }
    }
    for number in requirements(&read(&root.join("spec/README.md"))).into_iter().filter(|n| n.starts_with("RULE-")) {
        assert!(
            tested.contains(&number) || OF_THE_TEXT.contains(&number.as_str()),
            "no test says that it tests {number}"
        );
    }
}

#[test]
fn every_requirement_is_checked_from_outside_or_said_not_to_be() {
    let listed = requirements(&read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("spec/conformance.md")));
    for file in files("spec", "md").into_iter().filter(|file| !file.ends_with("README.md")) {
        let text = read(&file);
        for number in text.split("**[").skip(1).filter_map(|rest| rest.split("]**").next()) {
            let file = file.display();
            assert!(
                listed.contains(number),
                "{file} defines {number}: say in spec/conformance.md which check tests it"
            );
        }
    }
}
