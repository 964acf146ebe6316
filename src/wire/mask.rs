//! The address mask: NATs that rewrite addresses in payloads must not recognise ours.

use crate::wire::address::RawAddress;
use crate::wire::header::Header;

/// Masks an address that travels in clear under `header`, or takes the mask off. Spec: `spec/formats.md` section 2.1.
#[inline]
pub(super) fn apply(header: &Header, address: RawAddress) -> RawAddress {
    const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

    let [a, b, c, d, e, f, g, h, low @ ..] = header.to_bytes();
    let x = u64::from_be_bytes([a, b, c, d, e, f, g, h]) ^ u64::from_be_bytes(low);
    let first = mix(x.wrapping_add(GAMMA));
    let second = mix(x.wrapping_add(GAMMA.wrapping_mul(2)));
    let third = mix(x.wrapping_add(GAMMA.wrapping_mul(3)));

    let ip = (u128::from(first) << 64) | u128::from(second) | u128::from_be_bytes([1; 16]);
    let [high, next, ..] = third.to_be_bytes();
    let port = u16::from_be_bytes([high, next]) | 0x0101;
    RawAddress { ip: address.ip ^ ip, port: address.port ^ port }
}

/// The output function of SplitMix64.
#[inline]
fn mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::id::Index;
    use crate::wire::kind::Kind;

    fn header(counter: u64) -> Header {
        Header { kind: Kind::HEARTBEAT, step: 1, receiver: Index(2), counter }
    }

    #[test]
    fn is_the_published_splitmix64() {
        // The first outputs for the seed 1234567, as in the generator's public test vectors.
        const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;
        let outputs: Vec<u64> = (1..=3).map(|i| mix(1_234_567_u64.wrapping_add(GAMMA.wrapping_mul(i)))).collect();
        assert_eq!(outputs, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn changes_every_byte_and_undoes_itself() {
        let plain = RawAddress { ip: 0x2001_0db8 << 96 | 1, port: 4711 };
        for counter in 0..200 {
            let masked = apply(&header(counter), plain);
            let same = masked.ip.to_be_bytes().iter().zip(plain.ip.to_be_bytes()).filter(|(m, p)| *m == p).count();
            assert_eq!(same, 0);
            assert!(masked.port.to_be_bytes().iter().zip(plain.port.to_be_bytes()).all(|(m, p)| *m != p));
            assert!(apply(&header(counter), masked) == plain);
        }
    }
}
