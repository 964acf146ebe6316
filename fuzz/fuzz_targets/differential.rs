//! Any bytes: two decoders that were written apart, this one and the Python peer's, give the same verdict by name. Neither
//! has keys: what stands in the place of a sealed body is taken for the plain one.
//!
//! Skipped, and said to be, unless `DDDNS_PYTHON` names an interpreter that has what `tests/peer/peer/requirements.txt`
//! asks for. Some thousand inputs a second: for long runs.

#![no_main]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{LazyLock, Mutex};

use dddns::wire::datagram::{Datagram, SEAL_LEN};
use dddns::wire::header::{Header, TAG_LEN};
use dddns::wire::kind::Kind;
use dddns::wire::message::Message;
use libfuzzer_sys::{Corpus, fuzz_target};

/// The other decoder; `None` if there is none.
static PEER: LazyLock<Option<Mutex<Peer>>> = LazyLock::new(Peer::start);

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Some(peer) = &*PEER else { return Corpus::Reject };
    let theirs = peer.lock().expect("nobody panics with it").verdict(bytes);
    assert_eq!(verdict(bytes), theirs, "this decoder says the one, the peer's says the other");
    Corpus::Keep
});

/// The name of the type, or of the first check that fails.
fn verdict(bytes: &[u8]) -> String {
    let kind = match Datagram::parse(bytes) {
        Ok(Datagram::Initiation(_)) => Ok(Kind::INITIATION),
        Ok(Datagram::Response(_)) => Ok(Kind::RESPONSE),
        Ok(Datagram::CookieReply(_)) => Ok(Kind::COOKIE_REPLY),
        Ok(Datagram::Tagged(header)) => {
            let seal = if header.kind.is_sealed() { SEAL_LEN } else { 0 };
            let body = bytes.get(Header::LEN..bytes.len() - TAG_LEN - seal).expect("the form was judged");
            Message::decode(&header, body).map(|message| message.kind())
        }
        Err(error) => Err(error),
    };
    kind.map_or_else(|error| error.to_string(), |kind| kind.to_string())
}

/// A process that reads datagrams, each after its length in 4 bytes, and answers each with a line.
struct Peer {
    process: Child,
    datagrams: ChildStdin,
    verdicts: BufReader<ChildStdout>,
}

impl Peer {
    fn start() -> Option<Mutex<Self>> {
        let Some(python) = std::env::var_os("DDDNS_PYTHON") else {
            eprintln!("differential: skipped: DDDNS_PYTHON names no Python");
            return None;
        };
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/peer");
        if !folder.join("peer/__main__.py").exists() {
            eprintln!("differential: skipped: there is no peer in {}", folder.display());
            return None;
        }
        let mut command = Command::new(python);
        command.args(["-m", "peer", "decode"]).current_dir(folder);
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("DDDNS_PYTHON can be started");
        let datagrams = process.stdin.take().expect("a pipe");
        let verdicts = BufReader::new(process.stdout.take().expect("a pipe"));
        Some(Mutex::new(Self { process, datagrams, verdicts }))
    }

    fn verdict(&mut self, bytes: &[u8]) -> String {
        let length = u32::try_from(bytes.len()).expect("libFuzzer's inputs are shorter").to_be_bytes();
        self.datagrams.write_all(&[length.as_slice(), bytes].concat()).expect("the peer reads");
        self.datagrams.flush().expect("the peer reads");
        let mut line = String::new();
        let read = self.verdicts.read_line(&mut line).expect("the peer answers in ASCII");
        assert!(read > 0, "the peer ended: {:?}", self.process.try_wait());
        line.trim_end().to_owned()
    }
}
