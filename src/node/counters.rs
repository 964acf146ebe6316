//! What a node counts, for people who ask why.

use std::collections::BTreeMap;

use crate::node::discard::Discard;

/// Counts since the start, by stable names.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Datagrams received.
    pub(crate) received: u64,
    /// Handshakes completed.
    pub(crate) handshakes: u64,
    /// Times a new address of a peer was not believed because the old one still answered.
    pub(crate) path_conflicts: u64,
    /// Times a second machine with a peer's identity was turned away.
    pub(crate) conflicts: u64,
    /// Probes sent to candidate addresses.
    pub(crate) probes: u64,
    /// Probes put off because the budget was spent.
    pub(crate) probes_deferred: u64,
    /// Changes of known member records that were ignored because there were too many.
    pub(crate) news_ignored: u64,
    /// Cookie replies sent under load.
    pub(crate) cookies: u64,
    /// Datagrams that told a peer where members are, without having been asked.
    pub(crate) gossip: u64,
    /// Heartbeats that had to be sent again.
    pub(crate) resends: u64,
    /// Discarded datagrams by reason: the reasons are few and fixed, so this is bounded.
    discards: BTreeMap<&'static str, u64>,
}

impl Counters {
    /// Counts a discarded datagram.
    pub(crate) fn discard(&mut self, reason: Discard) {
        *self.discards.entry(reason.as_str()).or_default() += 1;
    }

    /// All counts by name.
    pub(crate) fn list(&self, sent: (u64, u64)) -> Vec<(&'static str, u64)> {
        let mut list = vec![
            ("datagrams-received", self.received),
            ("datagrams-sent", sent.0),
            ("bytes-sent", sent.1),
            ("handshakes", self.handshakes),
            ("path-conflicts", self.path_conflicts),
            ("conflicts", self.conflicts),
            ("probes", self.probes),
            ("probes-deferred", self.probes_deferred),
            ("news-ignored", self.news_ignored),
            ("cookies", self.cookies),
            ("gossip", self.gossip),
            ("resends", self.resends),
        ];
        list.extend(self.discards.iter().map(|(&name, &count)| (name, count)));
        list
    }
}
