//! `dddns decode`: explains a datagram byte by byte, and says whether a node would read it.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::path::PathBuf;

use crate::cli::args::Global;
use crate::cli::datagram_fields::{self, Field};
use crate::cli::datagram_keys::{Findings, Keys, Proof};
use crate::cli::failure::{Exit, Failure};
use crate::cli::sealed_fields;
use crate::cli::style::{Style, Tone};
use crate::wire::datagram::Datagram;
use crate::wire::error::DecodeError;
use crate::wire::header::{Header, TAG_LEN};
use crate::wire::kind::Kind;
use crate::wire::message::Message;

/// More text than the longest UDP payload takes in any notation.
const HEX_MAX: u64 = 1 << 20;

/// How many bytes stand on a line.
const BYTES_A_LINE: usize = 16;

/// What a file of keys is.
const KEYS_HELP: &str = "\
Check and open the datagram with the keys in this file

The file is TOML, open to nobody else (mode 0600), with any number of these; bytes in hexadecimal:

  [[session]]
  initiator = 0x0a0b0c0d    # the index by which the initiator of the handshake is addressed
  responder = 0x1a1b1c1d    # the index by which the responder is addressed
  clock_ms = 1793000012345  # the responder's clock, from its Response
  prk = \"...\"               # 32 bytes: what HKDF-Extract gave, spec/cryptography.md section 3.1

  [[node]]
  secret = \"...\"            # 32 bytes: a node's secret key
  cluster = \"...\"           # 16 bytes: the ID of its cluster, for handshakes between members

A running dddns gives away no keys of its sessions. Whoever writes another implementation has those of its own end.";

/// The arguments of `dddns decode`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The UDP payload in hexadecimal, or `-` to read it from standard input; spaces, line breaks, colons and 0x are
    /// passed over
    #[arg(value_name = "HEX", required = true, num_args = 1..)]
    hex: Vec<String>,

    /// Check and open the datagram with the keys in this file
    #[arg(long, value_name = "FILE", long_help = KEYS_HELP)]
    keys: Option<PathBuf>,
}

/// Prints every field and the verdict; with keys also who made the datagram, and what is sealed in it.
pub(super) fn run(args: &Args, global: &Global) -> Result<Exit, Failure> {
    let text = match args.hex.as_slice() {
        [one] if one == "-" => from_stdin()?,
        words => words.join(" "),
    };
    let datagram = parse_hex(&text).map_err(|message| Failure::new(Exit::Usage, message))?;
    let findings = args.keys.as_deref().map(Keys::read).transpose()?.map(|keys| keys.examine(&datagram));
    let (text, good) = explain(&datagram, findings.as_ref(), global.stdout_style());
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(if good { Exit::Done } else { Exit::Failed })
}

/// What to print, and whether the datagram is as it should be.
fn explain(datagram: &[u8], findings: Option<&Findings>, style: Style) -> (String, bool) {
    let plain = findings.and_then(|findings| findings.plain.as_deref());
    let mut fields = datagram_fields::fields(datagram);
    for (name, meaning) in findings.iter().flat_map(|findings| &findings.meanings) {
        fields.iter_mut().filter(|field| field.name == *name).for_each(|field| field.meaning.clone_from(meaning));
    }
    let verdict = judge(datagram, plain);
    let mut text = table(&fields, style);
    if let (Some(plain), Some(kind)) = (plain, datagram.get(1)) {
        text.push_str("the sealed body, opened:\n");
        text.push_str(&table(&sealed_fields::fields(Kind(*kind), plain), style));
    }
    let length = datagram.len();
    let line = match verdict {
        Ok(kind) => style.paint(Tone::Good, &format!("well-formed: {kind}, {length} bytes")).into_owned(),
        Err(error) => style.paint(Tone::Bad, &format!("malformed: {error}, {length} bytes")).into_owned(),
    };
    let _ = writeln!(text, "{line}");
    let proof = findings.map(|findings| findings.proof);
    match proof {
        Some(Proof::Valid) => {
            let _ = writeln!(text, "{}", style.paint(Tone::Good, "authentic: whoever made it has the keys"));
        }
        Some(Proof::Wrong) => {
            let _ = writeln!(text, "{}", style.paint(Tone::Bad, "not authentic: it was not made with these keys"));
        }
        Some(Proof::Unsealed) => {
            let line = "authentic, but useless: its tag was made with these keys, and the sealed body does not open";
            let _ = writeln!(text, "{}", style.paint(Tone::Bad, line));
        }
        Some(Proof::None) => {
            let _ = writeln!(text, "{}", style.paint(Tone::Doubtful, "not proven: these keys cannot tell who made it"));
        }
        None => {}
    }
    (text, verdict.is_ok() && !matches!(proof, Some(Proof::Wrong | Proof::Unsealed)))
}

/// What a node would say of its form: the type, or the first rule that it breaks. Of a sealed body only once it is
/// opened.
fn judge(datagram: &[u8], opened: Option<&[u8]>) -> Result<Kind, DecodeError> {
    let header = match Datagram::parse(datagram)? {
        Datagram::Initiation(_) => return Ok(Kind::INITIATION),
        Datagram::Response(_) => return Ok(Kind::RESPONSE),
        Datagram::CookieReply(_) => return Ok(Kind::COOKIE_REPLY),
        Datagram::Tagged(header) => header,
    };
    let in_clear = || datagram.get(Header::LEN..datagram.len().saturating_sub(TAG_LEN));
    if let Some(body) = if header.kind.is_sealed() { opened } else { in_clear() } {
        Message::decode(&header, body)?;
    }
    Ok(header.kind)
}

fn table(fields: &[Field<'_>], style: Style) -> String {
    let mut text = String::new();
    let head = format!("offset  {:<47}  {:<14}  meaning", "bytes", "field");
    let _ = writeln!(text, "{}", style.paint(Tone::Heading, &head));
    let mut offset = 0;
    for field in fields {
        let mut lines = field.bytes.chunks(BYTES_A_LINE);
        let first = lines.next().unwrap_or_default();
        let line = format!("{offset:>6}  {:<47}  {:<14}  {}", hex(first), field.name, field.meaning);
        let _ = writeln!(text, "{}", line.trim_end());
        offset += first.len();
        for line in lines {
            let _ = writeln!(text, "{offset:>6}  {}", hex(line));
            offset += line.len();
        }
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

fn from_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(HEX_MAX).read_to_string(&mut text);
    read.map_err(|error| Failure::new(Exit::Usage, format!("cannot read hexadecimal from standard input: {error}")))?;
    Ok(text)
}

/// Reads hexadecimal in the notations that tools print it in.
fn parse_hex(text: &str) -> Result<Vec<u8>, String> {
    let mut digits = Vec::new();
    for word in text.split(|c: char| c.is_whitespace() || c == ':' || c == ',') {
        let word = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")).unwrap_or(word);
        for c in word.chars() {
            let digit = c.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            digits.push(digit.ok_or_else(|| format!("{c:?} is no hexadecimal digit: give a UDP payload as hex"))?);
        }
    }
    if digits.is_empty() {
        return Err("there are no bytes: give a UDP payload as hex".to_owned());
    }
    let byte = |pair: &[u8]| match pair {
        [high, low] => Ok(high << 4 | low),
        _ => Err("an odd number of hexadecimal digits: one is missing".to_owned()),
    };
    digits.chunks(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::address::Address;
    use crate::wire::body::Body;
    use crate::wire::heartbeat::Heartbeat;
    use crate::wire::id::{Digest, Index};
    use crate::wire::path::PathChallenge;

    fn tagged(body: &impl Body, kind: Kind) -> Vec<u8> {
        let header = Header { kind, step: 7, receiver: Index(0x0102_0304), counter: 9 };
        let mut plain = [0; 1232];
        let length = body.encode(&header, &mut plain);
        [&header.to_bytes(), &plain[..length], &[0xAA; 16]].concat()
    }

    fn explain(datagram: &[u8]) -> String {
        super::explain(datagram, None, Style::new(false)).0
    }

    #[test]
    fn a_heartbeat_is_explained_with_its_address_unmasked() {
        let reflection = Address::new([192, 0, 2, 7].into(), 7733);
        let heartbeat = Heartbeat { seen: 5, digest: Digest([1; 8]), reflection };
        insta::assert_snapshot!(explain(&tagged(&heartbeat, Kind::HEARTBEAT)), @r"
        offset  bytes                                            field           meaning
             0  d1                                               magic, version  dddns, version 1
             1  10                                               type            Heartbeat
             2  07                                               step            7: the sender's T modulo 256
             3  00                                               flags
             4  01 02 03 04                                      receiver index  names the session
             8  00 00 00 00 00 00 00 09                          counter         9
            16  00 00 00 00 00 00 00 05                          seen            counter 4
            24  01 01 01 01 01 01 01 01                          digest          of the sender's member list
            32  b1 b9 a3 cf 09 21 f1 39 53 b9 8a 72 ad 11 4d ac  reflection      192.0.2.7:7733 (masked)
            48  cd f4
            50  aa aa aa aa aa aa aa aa aa aa aa aa aa aa aa aa  tag             HMAC-SHA-256 under V(T), not checked
        well-formed: Heartbeat, 66 bytes
        ");
    }

    #[test]
    fn what_can_be_read_of_a_malformed_datagram_is_read() {
        let mut challenge = tagged(&PathChallenge([3; 8]), Kind::PATH_CHALLENGE);
        challenge.truncate(35);
        challenge[3] = 1;
        insta::assert_snapshot!(explain(&challenge), @r"
        offset  bytes                                            field           meaning
             0  d1                                               magic, version  dddns, version 1
             1  12                                               type            PathChallenge
             2  07                                               step            7: the sender's T modulo 256
             3  01                                               flags           must be zero
             4  01 02 03 04                                      receiver index  names the session
             8  00 00 00 00 00 00 00 09                          counter         9
            16  03 03 03                                         challenge       cut off: 3 of 8 bytes
            19  03 03 03 03 03 aa aa aa aa aa aa aa aa aa aa aa  tag             HMAC-SHA-256 under V(T), not checked
        malformed: bad-length, 35 bytes
        ");
        insta::assert_snapshot!(explain(&[0xD1, 0x77, 1, 2]), @r"
        offset  bytes                                            field           meaning
             0  d1                                               magic, version  dddns, version 1
             1  77                                               type            0x77: unknown
             2  01 02                                            ?               not part of the message
        malformed: unknown-type, 4 bytes
        ");
        insta::assert_snapshot!(explain(b"GET /"), @r"
        offset  bytes                                            field           meaning
             0  47                                               magic, version  not dddns
             1  45 54 20 2f                                      ?               not part of the message
        malformed: bad-magic, 5 bytes
        ");
    }

    #[test]
    fn handshakes_are_explained_field_by_field() {
        let mut initiation = vec![0; 216];
        initiation[..8].copy_from_slice(&[0xD1, 1, 0, 0, 0, 0, 0, 5]);
        insta::assert_snapshot!(explain(&initiation), @r"
        offset  bytes                                            field           meaning
             0  d1                                               magic, version  dddns, version 1
             1  01                                               type            Initiation
             2  00                                               mode            0: between members
             3  00                                               zero
             4  00 00 00 05                                      sender index    names the session
             8  00 00 00 00 00 00 00 00                          invite ID       none
            16  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  e               the initiator's ephemeral public key
            32  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
            48  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  encrypted s     the initiator's public key, for the responder only
            64  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
            80  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
            96  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  payload         encrypted: the run of the initiator, and the name that a joiner wants
           112  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
           128  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
           144  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
           160  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
           176  00 00 00 00 00 00 00 00
           184  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  mac1            shows that the sender knows the responder's public key
           200  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  mac2            no cookie
        well-formed: Initiation, 216 bytes
        ");
    }

    #[test]
    fn every_byte_is_explained_once_whatever_it_is() {
        for kind in 0..=u8::MAX {
            for length in [0, 1, 2, 3, 15, 16, 17, 31, 32, 33, 40, 56, 66, 159, 216, 300, 1300] {
                let mut datagram = vec![0; length];
                datagram.iter_mut().zip([0xD1, kind]).for_each(|(byte, value)| *byte = value);
                let fields = datagram_fields::fields(&datagram);
                let explained: Vec<u8> = fields.iter().flat_map(|field| field.bytes.iter().copied()).collect();
                assert_eq!(explained, datagram, "type {kind}, {length} bytes");
            }
        }
    }

    #[test]
    fn hexadecimal_is_read_in_every_notation() {
        for text in ["d1100203", "D1 10\n02 03", "0xd1 0x10 0x02 0x03", "d1:10:02:03", "0xd1100203", " d1,10,02,03\n"] {
            assert_eq!(parse_hex(text), Ok(vec![0xD1, 0x10, 2, 3]), "{text}");
        }
        for text in ["", " ", "0x", "d", "d1 1", "dg", "d1-10", "é"] {
            assert!(parse_hex(text).is_err(), "{text}");
        }
    }
}
