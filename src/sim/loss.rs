//! Which datagrams are lost: each by itself, or in bursts.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::sim::dice::Dice;

/// Loss in bursts, after Gilbert and Elliott: each direction between two places is good or bad, may change with every
/// datagram, and loses so many of a thousand in either state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bursts {
    /// In how many of a thousand cases a good direction becomes bad.
    pub begin_per_mille: u16,
    /// In how many of a thousand cases a bad one becomes good: 100 makes bursts of ten datagrams on average.
    pub end_per_mille: u16,
    /// How many of a thousand a good direction loses.
    pub good_loss_per_mille: u16,
    /// How many of a thousand a bad direction loses.
    pub bad_loss_per_mille: u16,
}

/// Which directions are bad now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Weather {
    bad: BTreeMap<(IpAddr, IpAddr), bool>,
}

impl Weather {
    /// Whether the next datagram in this direction is lost.
    pub(crate) fn loses(&mut self, bursts: Bursts, dice: &mut Dice, from: IpAddr, to: IpAddr) -> bool {
        let bad = self.bad.entry((from, to)).or_default();
        let changes = dice.chance(if *bad { bursts.end_per_mille } else { bursts.begin_per_mille });
        *bad ^= changes;
        dice.chance(if *bad { bursts.bad_loss_per_mille } else { bursts.good_loss_per_mille })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_come_in_bursts_of_the_length_and_number_that_are_asked_for() {
        let bursts =
            Bursts { begin_per_mille: 10, end_per_mille: 100, good_loss_per_mille: 0, bad_loss_per_mille: 1000 };
        let (mut weather, mut dice) = (Weather::default(), Dice::new(1));
        let [a, b] = [1, 2].map(|n| IpAddr::from([192, 0, 2, n]));
        let lost: Vec<bool> = (0..100_000).map(|_| weather.loses(bursts, &mut dice, a, b)).collect();
        let losses = lost.iter().filter(|&&lost| lost).count();
        let begun = lost.windows(2).filter(|pair| !pair[0] && pair[1]).count();
        // Bad for 10 of 110 datagrams on average, in bursts of ten.
        assert!((8_000..10_500).contains(&losses), "{losses}");
        assert!((9.0..11.0).contains(&(losses as f64 / begun as f64)), "{losses} in {begun} bursts");
        assert!(!weather.bad.contains_key(&(b, a)), "each direction for itself");
    }
}
