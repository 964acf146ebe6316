//! The configuration file: TOML, every key optional, unknown keys refused, every mistake shown with its place.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use crate::config::{Heartbeat, MaxMembers, Peer};
use crate::daemon::config_mistake::{self, Mistake};
use crate::daemon::duration_text;
use crate::daemon::regular_file::{Refused, RegularFile};
use crate::wire::address::Address;
use crate::wire::id::PublicKey;
use crate::wire::name::Name;

/// Where a node listens unless told otherwise: every address of the machine, both families where the system allows.
pub(crate) const DEFAULT_LISTEN: &str = "[::]:7733";

/// One socket each: more would not be listening, but scanning.
const MAX_LISTEN: usize = 16;

/// Enough for a peer's host names and its addresses in both families.
const MAX_PEER_ADDRESSES: usize = 16;

/// The length of the file, in bytes: 1,023 peers with 16 IP addresses each have room.
const MAX_LEN: u64 = 1 << 20;

/// The buffers of a socket, in bytes: from one datagram up to more than any system grants.
const BUFFER: std::ops::RangeInclusive<i64> = 2_048..=1 << 30;

/// What the file says; what it does not say is `None`.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConfigFile {
    /// The node's name.
    pub(crate) name: Option<Set<Name>>,
    /// Where to listen; at least one address.
    pub(crate) listen: Option<Set<Vec<SocketAddr>>>,
    /// The heartbeat interval.
    pub(crate) heartbeat: Option<Set<Heartbeat>>,
    /// The bound on members.
    pub(crate) max_members: Option<Set<MaxMembers>>,
    /// The receive buffer of each socket, in bytes.
    pub(crate) receive_buffer: Option<Set<usize>>,
    /// The send buffer of each socket, in bytes.
    pub(crate) send_buffer: Option<Set<usize>>,
    /// Peers for setting up.
    pub(crate) peers: Vec<Set<ConfigPeer>>,
}

/// A value and the line that sets it.
#[derive(Clone, Debug)]
pub(crate) struct Set<T> {
    /// The value.
    pub(crate) value: T,
    /// The line, from 1.
    pub(crate) line: usize,
}

/// A peer that the file names.
#[derive(Clone, Debug)]
pub(crate) struct ConfigPeer {
    /// What the core is told.
    pub(crate) peer: Peer,
    /// Host names with ports, to be resolved by the driver.
    pub(crate) hosts: Vec<String>,
}

impl ConfigFile {
    /// Reads a file; `None` if there is none.
    ///
    /// # Errors
    /// It cannot be read, or something in it is wrong.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, ConfigError> {
        let refused = |refused| match refused {
            Refused::NoFile => ConfigError::NoFile { path: path.to_owned() },
            Refused::DeadLink => ConfigError::DeadLink { path: path.to_owned() },
            Refused::TooLong => ConfigError::TooLong { path: path.to_owned() },
            Refused::Io(source) => ConfigError::Read { path: path.to_owned(), source },
        };
        let Some(file) = RegularFile::open(path, MAX_LEN).map_err(refused)? else { return Ok(None) };
        let bytes = file.read().map_err(refused)?;
        let wrong = |mistake: Mistake| ConfigError::Wrong { path: path.to_owned(), mistake };
        text(&bytes).and_then(Self::parse).map(Some).map_err(wrong)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// The first mistake in it.
    pub(crate) fn parse(text: &str) -> Result<Self, Mistake> {
        let file: File = toml::from_str(text).map_err(|error| config_mistake::from_toml(text, &error))?;
        let reader = Reader { text };
        let peers: Vec<_> = file.peer.iter().map(|peer| reader.peer(peer)).collect::<Result<_, _>>()?;
        for (at, peer) in peers.iter().enumerate() {
            let key = peer.value.peer.public_key;
            if peers.iter().take(at).any(|earlier| earlier.value.peer.public_key == key) {
                return Err(Mistake {
                    line: peer.line,
                    column: 1,
                    message: "this peer's public_key stands above".into(),
                });
            }
        }
        let members = reader.set(file.max_members, |number| max_members(*number))?;
        if let Some(set) = members.as_ref().filter(|set| set.value.get() <= peers.len()) {
            let message = format!("there is no room for this node and its {} peers", peers.len());
            return Err(Mistake { line: set.line, column: 1, message });
        }
        Ok(Self {
            name: reader.set(file.name, |text| text.parse::<Name>())?,
            listen: reader.listen(file.listen)?,
            heartbeat: reader.set(file.heartbeat, |text| heartbeat(text))?,
            max_members: members,
            receive_buffer: reader.set(file.receive_buffer, |bytes| buffer(*bytes))?,
            send_buffer: reader.set(file.send_buffer, |bytes| buffer(*bytes))?,
            peers,
        })
    }

    /// Where to listen: what the file says, or [`DEFAULT_LISTEN`].
    pub(crate) fn listen(&self) -> Vec<SocketAddr> {
        let default = || vec![DEFAULT_LISTEN.parse().expect("the default is an address and a port")];
        self.listen.as_ref().map_or_else(default, |set| set.value.clone())
    }
}

/// Why there is no configuration to start from.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A directory, a device, a pipe.
    #[error("{} is not a regular file: move it away, or name another configuration with --config", path.display())]
    NoFile { path: PathBuf },
    /// A symbolic link, and nothing where it leads to.
    #[error(
        "{} is a link to nothing: mount what it leads to, remove the link, or name another configuration with --config",
        path.display()
    )]
    DeadLink { path: PathBuf },
    /// Longer than any configuration.
    #[error(
        "{} is longer than {} MiB, so it is no configuration of dddns: move it away, or name another with --config",
        path.display(), MAX_LEN >> 20
    )]
    TooLong { path: PathBuf },
    /// Something in it is wrong.
    #[error("{}:{}:{}: {}", path.display(), mistake.line, mistake.column, mistake.message)]
    Wrong { path: PathBuf, mistake: Mistake },
}

/// Reads an address to listen at.
///
/// # Errors
/// Not an IP address with a port, one that no machine has, or the port is 0.
pub(crate) fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| {
        format!("{text:?} is no address to listen at: expected an IP address and a port, such as \"{DEFAULT_LISTEN}\"")
    })?;
    if address.port() == 0 {
        return Err("port 0 would be another port at every start: choose one, such as 7733".to_owned());
    }
    // The unspecified address stands for all that the machine has, and is no `Address`.
    if Address::try_from(address).is_ok_and(|address| !address.is_unicast()) {
        return Err(format!("{text:?} is no address of a machine: listen at one that this machine has"));
    }
    Ok(address)
}

/// The text of a file.
fn text(bytes: &[u8]) -> Result<&str, Mistake> {
    std::str::from_utf8(bytes).map_err(|error| {
        let (before, _) = bytes.split_at_checked(error.valid_up_to()).unwrap_or_default();
        let before = std::str::from_utf8(before).unwrap_or_default();
        Mistake::at(before, before.len(), "this is no text in UTF-8: save the file as such".to_owned())
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: Option<Spanned<String>>,
    listen: Option<Spanned<Vec<Spanned<String>>>>,
    heartbeat: Option<Spanned<String>>,
    max_members: Option<Spanned<i64>>,
    receive_buffer: Option<Spanned<i64>>,
    send_buffer: Option<Spanned<i64>>,
    #[serde(default)]
    peer: Vec<Spanned<PeerTable>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PeerTable {
    name: Spanned<String>,
    public_key: Spanned<String>,
    #[serde(default)]
    addresses: Vec<Spanned<String>>,
}

/// Turns what stands in the text into values that hold, or says where one does not.
struct Reader<'t> {
    text: &'t str,
}

impl Reader<'_> {
    fn set<T, U, E: ToString>(
        &self,
        raw: Option<Spanned<T>>,
        parse: impl Fn(&T) -> Result<U, E>,
    ) -> Result<Option<Set<U>>, Mistake> {
        let Some(raw) = raw else { return Ok(None) };
        let value = self.value(&raw, parse)?;
        Ok(Some(Set { value, line: self.line(raw.span()) }))
    }

    fn value<T, U, E: ToString>(&self, raw: &Spanned<T>, parse: impl Fn(&T) -> Result<U, E>) -> Result<U, Mistake> {
        parse(raw.get_ref()).map_err(|error| Mistake::at(self.text, raw.span().start, error.to_string()))
    }

    fn line(&self, span: Range<usize>) -> usize {
        Mistake::at(self.text, span.start, String::new()).line
    }

    fn listen(&self, raw: Option<Spanned<Vec<Spanned<String>>>>) -> Result<Option<Set<Vec<SocketAddr>>>, Mistake> {
        let Some(raw) = raw else { return Ok(None) };
        let count = raw.get_ref().len();
        if count == 0 || count > MAX_LISTEN {
            let message = format!("listen takes 1 to {MAX_LISTEN} addresses; leave it out for \"{DEFAULT_LISTEN}\"");
            return Err(Mistake::at(self.text, raw.span().start, message));
        }
        let line = self.line(raw.span());
        let value =
            raw.get_ref().iter().map(|one| self.value(one, |text| parse_listen(text))).collect::<Result<_, _>>()?;
        Ok(Some(Set { value, line }))
    }

    fn peer(&self, raw: &Spanned<PeerTable>) -> Result<Set<ConfigPeer>, Mistake> {
        let table = raw.get_ref();
        let name = self.value(&table.name, |text| text.parse::<Name>())?;
        let public_key = self.value(&table.public_key, |text| {
            text.parse::<PublicKey>()
                .map_err(|_| "a public key is 52 characters: dddns status --json shows a node's own")
        })?;
        if let Some(extra) = table.addresses.get(MAX_PEER_ADDRESSES) {
            let message = format!("a peer takes at most {MAX_PEER_ADDRESSES} addresses");
            return Err(Mistake::at(self.text, extra.span().start, message));
        }
        let (mut addresses, mut hosts) = (Vec::new(), Vec::new());
        for raw in &table.addresses {
            match self.value(raw, |text| place(text))? {
                Place::Address(address) => addresses.push(address),
                Place::Host(host) => hosts.push(host),
            }
        }
        let value = ConfigPeer { peer: Peer { name, public_key, addresses }, hosts };
        Ok(Set { value, line: self.line(raw.span()) })
    }
}

fn heartbeat(text: &str) -> Result<Heartbeat, String> {
    let interval = duration_text::parse(text).map_err(|error| error.to_string())?;
    Heartbeat::new(interval).ok_or_else(|| "heartbeat must be from 1s to 60s".to_owned())
}

fn max_members(number: i64) -> Result<MaxMembers, String> {
    let members = u16::try_from(number).ok().and_then(MaxMembers::new);
    members.ok_or_else(|| format!("max_members must be from 2 to {}", MaxMembers::MAX))
}

fn buffer(bytes: i64) -> Result<usize, String> {
    let size = Some(bytes).filter(|bytes| BUFFER.contains(bytes)).and_then(|bytes| usize::try_from(bytes).ok());
    size.ok_or_else(|| format!("a buffer must be from {} to {} bytes", BUFFER.start(), BUFFER.end()))
}

enum Place {
    Address(Address),
    Host(String),
}

/// An address as it is, or a host name with its port.
fn place(text: &str) -> Result<Place, String> {
    let no_port =
        || format!("{text:?} needs a host and a port, such as \"192.0.2.7:7733\" or \"attic.example.net:7733\"");
    if let Ok(address) = text.parse::<SocketAddr>() {
        let address = Address::try_from(address).map_err(|error| error.to_string())?;
        let refused = || format!("{text:?} is no address of a machine");
        return address.is_unicast().then_some(Place::Address(address)).ok_or_else(refused);
    }
    let (host, port) = text.rsplit_once(':').ok_or_else(no_port)?;
    let port: u16 = port.parse().map_err(|_| no_port())?;
    // A final dot says that the name is complete.
    let mut labels = host.strip_suffix('.').unwrap_or(host).split('.');
    // A last label of digits only would be a mistyped IPv4 address; no name in the DNS has one.
    let numeric = labels.clone().next_back().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    let label = |label: &str| label.replace('_', "-").parse::<Name>().is_ok();
    if port == 0 || numeric || host.len() > 253 || !labels.all(label) {
        return Err(no_port());
    }
    Ok(Place::Host(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "aeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaq";

    fn mistake(text: &str) -> String {
        let Mistake { line, column, message } = ConfigFile::parse(text).unwrap_err();
        format!("{line}:{column}: {message}")
    }

    #[test]
    fn every_key_is_optional_and_every_key_is_read() {
        let empty = ConfigFile::parse("").unwrap();
        assert_eq!(empty.listen(), ["[::]:7733".parse().unwrap()]);
        assert!(empty.name.is_none() && empty.peers.is_empty());

        let text = format!(
            "name = \"Garage\"\nlisten = [\"0.0.0.0:7733\", \"[2001:db8::1]:1\"]\nheartbeat = \"60s\"\nmax_members = 2\n\
             receive_buffer = 65536\nsend_buffer = 2048\n[[peer]]\nname = \"attic\"\npublic_key = \"{KEY}\"\n\
             addresses = [\"198.51.100.23:7733\", \"attic.example.net.:7733\", \"my_host:1\"]\n"
        );
        let file = ConfigFile::parse(&text).unwrap();
        let name = file.name.as_ref().unwrap();
        assert_eq!((name.value.as_str(), name.line), ("garage", 1));
        assert_eq!(file.listen().len(), 2);
        assert_eq!(file.heartbeat.unwrap().value.get().as_secs(), 60);
        assert_eq!(file.max_members.unwrap().value.get(), 2);
        assert_eq!(file.receive_buffer.unwrap().value, 65_536);
        assert_eq!(file.send_buffer.unwrap().value, 2_048);
        let peer = &file.peers[0].value;
        assert_eq!(peer.peer.addresses.len(), 1);
        assert_eq!(peer.hosts, ["attic.example.net.:7733", "my_host:1"]);
    }

    #[test]
    fn mistakes_are_shown_at_their_place() {
        insta::assert_snapshot!(mistake("nmae = \"x\""), @"1:1: unknown key `nmae`: did you mean `name`?");
        insta::assert_snapshot!(mistake("# é\n  heartbeat = 10"), @"2:15: invalid type: integer `10`, expected a string");
        insta::assert_snapshot!(mistake("name = \"a_b\""), @"1:8: a name is 1 to 63 letters, digits and hyphens, with no hyphen at either end");
        insta::assert_snapshot!(mistake("name = \"é\" hartbeat = 1"), @"1:12: unexpected key or value, expected newline, `#`");
        insta::assert_snapshot!(mistake("listen = [\"[::]:1\",\n  \"here\"]"), @r#"2:3: "here" is no address to listen at: expected an IP address and a port, such as "[::]:7733""#);
        insta::assert_snapshot!(mistake("listen = [\"[::]:0\"]"), @"1:11: port 0 would be another port at every start: choose one, such as 7733");
        insta::assert_snapshot!(mistake("listen = [\"224.0.0.1:7733\"]"), @r#"1:11: "224.0.0.1:7733" is no address of a machine: listen at one that this machine has"#);
        insta::assert_snapshot!(mistake("listen = []"), @r#"1:10: listen takes 1 to 16 addresses; leave it out for "[::]:7733""#);
        insta::assert_snapshot!(mistake("listen = \"[::]:7733\""), @r#"1:10: a list belongs here: write ["[::]:7733"], in brackets"#);
        insta::assert_snapshot!(mistake("listen = 7733"), @"1:10: a list belongs here, in brackets, not integer `7733`");
        insta::assert_snapshot!(mistake("[peer]\nname = \"attic\""), @"1:1: a list of tables belongs here: write its name in two brackets, as in [[peer]]");
        insta::assert_snapshot!(mistake("heartbeat = \"90s\""), @"1:13: heartbeat must be from 1s to 60s");
        insta::assert_snapshot!(mistake("heartbeat = \"10\""), @"1:13: a duration is a whole number and a unit (ms, s, m, h or d), such as 10s or 24h");
        insta::assert_snapshot!(mistake("max_members = 1"), @"1:15: max_members must be from 2 to 1024");
        insta::assert_snapshot!(mistake("send_buffer = -1"), @"1:15: a buffer must be from 2048 to 1073741824 bytes");
        insta::assert_snapshot!(mistake("name = \"a\"\nname = \"b\""), @"2:1: duplicate key");
        let nested = format!("name = \"a\"\n{}b = 1\nheartbeat = \"9s\"", "a.".repeat(100));
        insta::assert_snapshot!(mistake(&nested), @"2:1: keys or values are nested too deep here");
        let above = format!("{}b = 1\nlisten = [{}]\n", "a.".repeat(100), "\n".repeat(9));
        insta::assert_snapshot!(mistake(&above), @"1:1: keys or values are nested too deep here");
        insta::assert_snapshot!(mistake("[[hook]]\nrun = []"), @"1:3: unknown key `hook`: known here are name, listen, heartbeat, max_members, receive_buffer, send_buffer, peer");
    }

    #[test]
    fn mistakes_about_peers_are_shown_at_their_place() {
        let peer = |rest: &str| format!("[[peer]]\nname = \"attic\"\n{rest}");
        let crowd = format!("max_members = 2\n{}", peer(&format!("public_key = \"{KEY}\"\n")));
        ConfigFile::parse(&crowd).unwrap();
        let other = KEY.replace("aeaq", "aeba");
        let crowd = format!("{crowd}[[peer]]\nname = \"cabin\"\npublic_key = \"{other}\"\n");
        insta::assert_snapshot!(mistake(&crowd), @"1:1: there is no room for this node and its 2 peers");
        insta::assert_snapshot!(mistake(&peer("")), @"1:1: missing field `public_key`");
        insta::assert_snapshot!(mistake(&peer("public_key = \"short\"")), @"3:14: a public key is 52 characters: dddns status --json shows a node's own");
        insta::assert_snapshot!(mistake(&peer(&format!("public_key = \"{KEY}\"\nadresses = []"))), @"4:1: unknown key `adresses`: did you mean `addresses`?");
        for address in [
            "192.0.2.7",
            "192.0.2.300:1",
            "192.0.2.7.:1",
            "host..:1",
            ".:1",
            "host",
            "host:",
            "host:0",
            "host:70000",
            ":1",
            "a b:1",
            "[::1:7733",
            "224.0.0.1:1",
            "255.255.255.255:1",
            "[ff02::1]:1",
            "0.0.0.1:1",
        ] {
            let text = peer(&format!("public_key = \"{KEY}\"\naddresses = [\"{address}\"]"));
            assert!(mistake(&text).starts_with("4:14: "), "{address}: {}", mistake(&text));
        }
        let twice =
            format!("{}\n{}", peer(&format!("public_key = \"{KEY}\"")), peer(&format!("public_key = \"{KEY}\"")));
        insta::assert_snapshot!(mistake(&twice), @"4:1: this peer's public_key stands above");
    }
}
