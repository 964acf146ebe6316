//! A capture file, written here: the classic pcap format, whose packets begin with their IP header (`LINKTYPE_RAW`).

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use dddns::sim::world::Flight;

const LINKTYPE_RAW: u32 = 101;
const UDP: u8 = 17;
const OUR_PORT: u16 = 7733;

/// A file that goes when this is dropped.
pub(crate) struct Capture {
    file: tempfile::NamedTempFile,
}

impl AsRef<Path> for Capture {
    fn as_ref(&self) -> &Path {
        self.file.path()
    }
}

impl Capture {
    /// Datagrams as nodes sent them.
    pub(crate) fn of(flights: &[Flight]) -> Self {
        Self::write(flights.iter().map(|flight| packet(flight, flight.from.port(), flight.to.port())), usize::MAX)
    }

    /// The same with other ports: what left one goes from the lower address to the higher.
    pub(crate) fn between_ports(flights: &[Flight], from: u16, to: u16) -> Self {
        let ports = |flight: &Flight| if flight.from < flight.to { (from, to) } else { (to, from) };
        Self::write(flights.iter().map(|flight| packet(flight, ports(flight).0, ports(flight).1)), usize::MAX)
    }

    /// The same by a capture that keeps only so many bytes of each payload.
    pub(crate) fn cut_to(flights: &[Flight], payload: usize) -> Self {
        Self::write(flights.iter().map(|flight| packet(flight, OUR_PORT, OUR_PORT)), payload)
    }

    /// Datagrams between two hosts on dddns's port.
    pub(crate) fn on_our_port(datagrams: &[Vec<u8>]) -> Self {
        Self::write(datagrams.iter().map(|datagram| packet(&flight(datagram), OUR_PORT, OUR_PORT)), usize::MAX)
    }

    /// Datagrams between two hosts, each in a conversation of its own.
    pub(crate) fn to_changing_ports(datagrams: &[Vec<u8>]) -> Self {
        let ports = 20_000..60_000;
        Self::write(datagrams.iter().zip(ports).map(|(datagram, to)| packet(&flight(datagram), 60_001, to)), usize::MAX)
    }

    fn write(packets: impl Iterator<Item = Packet>, payload: usize) -> Self {
        let mut bytes = Vec::new();
        // Magic number, version 2.4, time zone and accuracy, longest packet, link type.
        for word in [0xA1B2_C3D4, 0x0002_0004, 0, 0, 65_535, LINKTYPE_RAW] {
            bytes.extend(u32::to_be_bytes(word));
        }
        for (second, packet) in (1_767_225_600_u32..).zip(packets) {
            let captured = packet.bytes.len().min(packet.headers.saturating_add(payload));
            for word in [second, 0, length(captured), length(packet.bytes.len())] {
                bytes.extend(word.to_be_bytes());
            }
            bytes.extend(&packet.bytes[..captured]);
        }
        let file = tempfile::Builder::new().suffix(".pcap").tempfile().expect("a temporary file");
        fs::write(file.path(), bytes).expect("the capture can be written");
        Self { file }
    }
}

struct Packet {
    bytes: Vec<u8>,
    /// How many of them come before the payload.
    headers: usize,
}

fn flight(datagram: &[u8]) -> Flight {
    let at = |last| dddns::wire::address::Address::new([192, 0, 2, last].into(), OUR_PORT).expect("an address");
    Flight { from: at(1), to: at(2), datagram: datagram.to_vec() }
}

/// The headers are right as far as anybody looks: checksums are left out.
fn packet(flight: &Flight, from: u16, to: u16) -> Packet {
    let udp_length = 8 + u16::try_from(flight.datagram.len()).expect("a datagram");
    let mut bytes = match (flight.from.ip(), flight.to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let [high, low] = (20 + udp_length).to_be_bytes();
            [&[0x45, 0, high, low, 0, 0, 0, 0, 64, UDP, 0, 0], &from.octets()[..], &to.octets()].concat()
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let [high, low] = udp_length.to_be_bytes();
            [&[0x60, 0, 0, 0, high, low, UDP, 64], &from.octets()[..], &to.octets()].concat()
        }
        other => panic!("nothing goes from one family to the other: {other:?}"),
    };
    for field in [from, to, udp_length, 0] {
        bytes.extend(field.to_be_bytes());
    }
    let headers = bytes.len();
    bytes.extend(&flight.datagram);
    Packet { bytes, headers }
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("a packet")
}
