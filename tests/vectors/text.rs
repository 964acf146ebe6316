//! How values stand in the files: bytes as hexadecimal digits, 64-bit numbers as decimal digits, one order of keys.

use std::fmt::Write as _;
use std::net::SocketAddr;

use data_encoding::HEXLOWER;
use dddns::wire::address::Address;
use serde_json::Value;

pub(crate) fn hex(bytes: impl AsRef<[u8]>) -> String {
    HEXLOWER.encode(bytes.as_ref())
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    HEXLOWER.decode(text.as_bytes()).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

pub(crate) fn address(text: &str) -> Address {
    let address: SocketAddr = text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"));
    address.try_into().unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

/// One vector of a file, to be read.
#[derive(Clone, Copy)]
pub(crate) struct Vector<'a>(pub(crate) &'a Value);

impl<'a> Vector<'a> {
    pub(crate) fn name(self) -> &'a str {
        self.text("name")
    }

    /// A part that must be there.
    #[track_caller]
    pub(crate) fn get(self, key: &str) -> Self {
        Self(self.0.get(key).unwrap_or_else(|| panic!("there is no {key} in {}", self.0)))
    }

    /// A part that may be missing, or null.
    pub(crate) fn maybe(self, key: &str) -> Option<Self> {
        self.0.get(key).filter(|value| !value.is_null()).map(Self)
    }

    #[track_caller]
    pub(crate) fn text(self, key: &str) -> &'a str {
        self.get(key).as_text()
    }

    #[track_caller]
    pub(crate) fn as_text(self) -> &'a str {
        self.0.as_str().unwrap_or_else(|| panic!("{} is no text", self.0))
    }

    #[track_caller]
    pub(crate) fn bytes(self, key: &str) -> Vec<u8> {
        unhex(self.text(key))
    }

    #[track_caller]
    pub(crate) fn array<const N: usize>(self, key: &str) -> [u8; N] {
        let bytes = self.bytes(key);
        bytes.try_into().unwrap_or_else(|bytes: Vec<u8>| panic!("{key} has {} bytes, not {N}", bytes.len()))
    }

    /// A number of 64 bits, which stands as text.
    #[track_caller]
    pub(crate) fn u64(self, key: &str) -> u64 {
        self.text(key).parse().unwrap_or_else(|error| panic!("{key}: {error}"))
    }

    /// A number of at most 32 bits, which stands as a number.
    #[track_caller]
    pub(crate) fn u32(self, key: &str) -> u32 {
        let number = self.get(key).0.as_u64().and_then(|number| u32::try_from(number).ok());
        number.unwrap_or_else(|| panic!("{key} of {} is no number of 32 bits", self.0))
    }

    #[track_caller]
    pub(crate) fn address(self, key: &str) -> Address {
        address(self.text(key))
    }

    #[track_caller]
    pub(crate) fn list(self, key: &str) -> impl Iterator<Item = Vector<'a>> {
        let list = self.get(key).0.as_array().unwrap_or_else(|| panic!("{key} of {} is no list", self.0));
        list.iter().map(Vector)
    }
}

/// JSON with a line for each value, and in each object `name` first and the others by alphabet: so that one set of values is
/// one text, whatever features serde_json was built with.
pub(crate) fn print(value: &Value) -> String {
    let mut text = String::new();
    write(value, 0, &mut text);
    text.push('\n');
    text
}

fn write(value: &Value, depth: usize, text: &mut String) {
    match value {
        Value::Object(object) if !object.is_empty() => {
            let mut keys: Vec<&String> = object.keys().collect();
            keys.sort_by_key(|key| (rank(key), key.as_str()));
            text.push('{');
            for (n, key) in keys.iter().enumerate() {
                line(n, depth + 1, text);
                let _ = write!(text, "{}: ", Value::from(key.as_str()));
                write(&object[*key], depth + 1, text);
            }
            end('}', depth, text);
        }
        Value::Array(list) if !list.is_empty() => {
            text.push('[');
            for (n, value) in list.iter().enumerate() {
                line(n, depth + 1, text);
                write(value, depth + 1, text);
            }
            end(']', depth, text);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            let _ = write!(text, "{value}");
        }
    }
}

/// What a reader wants to see first, and what last.
fn rank(key: &str) -> u8 {
    match key {
        "format" => 0,
        "file" => 1,
        "name" => 2,
        "about" => 3,
        "at_ms" => 4,
        "verdict" => 7,
        "vectors" => 8,
        _ => 5,
    }
}

fn line(n: usize, depth: usize, text: &mut String) {
    text.push_str(if n == 0 { "\n" } else { ",\n" });
    text.push_str(&" ".repeat(depth));
}

fn end(bracket: char, depth: usize, text: &mut String) {
    text.push('\n');
    text.push_str(&" ".repeat(depth));
    text.push(bracket);
}
