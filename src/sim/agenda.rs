//! Whose deadline comes next, over all hosts: finding it costs O(log n), and nobody else is looked at.

use std::collections::BTreeSet;
use std::time::Duration;

/// The next deadline of every host that has one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Agenda {
    /// Earliest first; hosts with one deadline in the order of their numbers.
    order: BTreeSet<(Duration, usize)>,
    /// Each host's entry in it.
    deadlines: Vec<Option<Duration>>,
}

impl Agenda {
    /// Sets, moves or (with `None`) removes the deadline of a host.
    pub(crate) fn set(&mut self, host: usize, at: Option<Duration>) {
        if self.deadlines.len() <= host {
            self.deadlines.resize(host + 1, None);
        }
        let Some(deadline) = self.deadlines.get_mut(host).filter(|known| **known != at) else { return };
        if let Some(before) = std::mem::replace(deadline, at) {
            self.order.remove(&(before, host));
        }
        if let Some(at) = at {
            self.order.insert((at, host));
        }
    }

    /// The earliest deadline and whose it is.
    pub(crate) fn first(&self) -> Option<(Duration, usize)> {
        self.order.first().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_deadline_is_first_and_each_host_has_one() {
        let second = Duration::from_secs;
        let mut agenda = Agenda::default();
        assert_eq!(agenda.first(), None);
        agenda.set(3, Some(second(5)));
        agenda.set(1, Some(second(7)));
        agenda.set(3, Some(second(9)));
        assert_eq!(agenda.first(), Some((second(7), 1)));
        agenda.set(0, Some(second(7)));
        assert_eq!(agenda.first(), Some((second(7), 0)), "in the order of their numbers");
        agenda.set(0, None);
        agenda.set(1, None);
        assert_eq!(agenda.first(), Some((second(9), 3)));
        agenda.set(3, None);
        assert_eq!(agenda.first(), None);
    }
}
