//! `tshark` with the dissector: what it shows of every datagram in a capture.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// A field of the dissector.
pub(crate) struct Field {
    /// Its name in display filters.
    pub(crate) name: &'static str,
    form: Form,
}

/// How a field is printed.
enum Form {
    Number,
    Bytes,
    Ip,
}

/// Every field but [`MALFORMED`] and [`SURPLUS`].
pub(crate) const FIELDS: &[Field] = &[
    number("dddns.magic"),
    number("dddns.version"),
    number("dddns.type"),
    bytes("dddns.zero"),
    number("dddns.mode"),
    number("dddns.sender"),
    bytes("dddns.invite"),
    bytes("dddns.noise.e"),
    bytes("dddns.noise.s"),
    bytes("dddns.noise.payload"),
    bytes("dddns.mac1"),
    bytes("dddns.mac2"),
    bytes("dddns.cookie.random"),
    bytes("dddns.cookie.sealed"),
    number("dddns.step"),
    number("dddns.flags"),
    number("dddns.receiver"),
    number("dddns.counter"),
    bytes("dddns.tag"),
    number("dddns.seen"),
    number("dddns.acked"),
    bytes("dddns.digest"),
    bytes("dddns.reflection"),
    ip("dddns.reflection.ipv4"),
    ip("dddns.reflection.ipv6"),
    number("dddns.reflection.port"),
    bytes("dddns.challenge"),
    bytes("dddns.response"),
    bytes("dddns.sealed"),
    bytes("dddns.seal"),
];

/// Names the rule that a datagram breaks.
pub(crate) const MALFORMED: &str = "dddns.malformed";

/// Bytes that make no field.
pub(crate) const SURPLUS: &str = "dddns.surplus";

/// What is shown of one datagram.
#[derive(Debug)]
pub(crate) struct Shown {
    /// The UDP payload, as far as it was captured.
    pub(crate) payload: Vec<u8>,
    /// Numbers in decimal, bytes in hexadecimal, IP addresses as Rust prints them.
    pub(crate) fields: BTreeMap<&'static str, String>,
    /// The rule that it breaks, by name.
    pub(crate) malformed: Option<String>,
    /// The expert information about it.
    pub(crate) expert: Option<String>,
    /// Bytes that make no field, in hexadecimal.
    pub(crate) surplus: Option<String>,
}

/// Whether there is a `tshark`; says so where not, and fails where everything must run.
pub(crate) fn is_there(test: &str) -> bool {
    if Command::new("tshark").arg("--version").output().is_ok() {
        return true;
    }
    assert!(std::env::var_os("DDDNS_REQUIRE_TOOLS").is_none(), "{test}: tshark is not installed");
    // Not `eprintln!`: the test harness would swallow it.
    let _ = writeln!(io::stderr(), "skipped: {test}: tshark (Debian package tshark) is not installed");
    false
}

/// Everything that is shown of the UDP datagrams in a capture file.
pub(crate) fn dissect(capture: impl AsRef<Path>) -> Vec<Shown> {
    let mut args = vec!["-n", "-T", "json", "-r"];
    args.push(capture.as_ref().to_str().expect("the path is UTF-8"));
    let names = ["udp.payload", "_ws.expert.message", MALFORMED, SURPLUS];
    for name in FIELDS.iter().map(|field| field.name).chain(names) {
        args.extend(["-e", name]);
    }
    let frames: Value = serde_json::from_str(&run(&args)).expect("tshark prints JSON");
    let layers = frames.as_array().expect("a list of frames").iter().map(|frame| &frame["_source"]["layers"]);
    layers.filter(|layers| layers["udp.payload"].is_array()).map(shown).collect()
}

fn shown(layers: &Value) -> Shown {
    let text = |name: &str| {
        let values = layers[name].as_array()?;
        assert_eq!(values.len(), 1, "{name} stands there more than once: {values:?}");
        Some(values[0].as_str().expect("fields are texts"))
    };
    let payload = text("udp.payload").expect("frames without payload were left out");
    let surplus = layers[SURPLUS].as_array().map(|all| all.iter().filter_map(Value::as_str).map(hex).collect());
    Shown {
        payload: data_encoding::HEXLOWER.decode(hex(payload).as_bytes()).expect("hexadecimal"),
        fields: FIELDS.iter().filter_map(|field| Some((field.name, field.form.read(text(field.name)?)))).collect(),
        malformed: text(MALFORMED).map(str::to_owned),
        expert: text("_ws.expert.message").map(str::to_owned),
        surplus,
    }
}

/// Runs `tshark` with the dissector and nothing of what the user has set up.
pub(crate) fn run(args: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("spec/dddns.lua");
    let home = tempfile::tempdir().expect("a temporary directory");
    let output = Command::new("tshark")
        .args(args)
        .arg("-X")
        .arg(format!("lua_script:{}", script.display()))
        .env("HOME", home.path())
        .env("XDG_CONFIG_HOME", home.path())
        .env("TZ", "UTC")
        .output()
        .expect("tshark runs");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !complaints.to_lowercase().contains("lua"), "{}: {complaints}", output.status);
    String::from_utf8(output.stdout).expect("tshark prints UTF-8")
}

impl Form {
    fn read(&self, text: &str) -> String {
        match self {
            Self::Number => {
                let number = text.strip_prefix("0x").map_or_else(|| text.parse(), |hex| u64::from_str_radix(hex, 16));
                number.unwrap_or_else(|_| panic!("{text} is no number")).to_string()
            }
            Self::Bytes => hex(text),
            Self::Ip => text.parse::<IpAddr>().unwrap_or_else(|_| panic!("{text} is no IP address")).to_string(),
        }
    }
}

/// Some versions put colons between bytes.
fn hex(text: &str) -> String {
    text.replace(':', "")
}

const fn number(name: &'static str) -> Field {
    Field { name, form: Form::Number }
}

const fn bytes(name: &'static str) -> Field {
    Field { name, form: Form::Bytes }
}

const fn ip(name: &'static str) -> Field {
    Field { name, form: Form::Ip }
}
