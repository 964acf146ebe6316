//! What happens on a link's path, and where the peer is then taken to be: `spec/addresses.md` section 3, by hand.

use serde_json::{Value, json};

const OLD: &str = "192.0.2.1:7733";
const NEW: &str = "198.51.100.1:7733";
const OTHER: &str = "[2001:db8::7]:7733";

/// A history of one path, event by event.
struct History {
    name: &'static str,
    rtt_ms: Option<u64>,
    events: Vec<Value>,
}

/// What the node does, and when.
type Effect = (u64, Value);

/// The 8 bytes for the new address of the n-th trial.
fn to_new(trial: u8) -> String {
    format!("{:02x}", 0xA0 + trial).repeat(8)
}

/// The 8 bytes for the old address of the n-th trial.
fn to_old(trial: u8) -> String {
    format!("{:02x}", 0xB0 + trial).repeat(8)
}

fn challenge(at_ms: u64, to: &str, bytes: &str) -> Effect {
    (at_ms, json!({"effect": "challenge", "to": to, "challenge": bytes}))
}

fn published(at_ms: u64, address: &str) -> Effect {
    (at_ms, json!({"effect": "published", "address": address}))
}

fn conflict(at_ms: u64) -> Effect {
    (at_ms, json!({"effect": "conflict"}))
}

fn forgotten(at_ms: u64) -> Effect {
    (at_ms, json!({"effect": "forgotten"}))
}

/// Both challenges of the n-th trial.
fn both(at_ms: u64, new: &str, old: &str, trial: u8) -> [Effect; 2] {
    [challenge(at_ms, new, &to_new(trial)), challenge(at_ms, old, &to_old(trial))]
}

/// The further challenges of an old address, a third of a window apart.
fn more(first: u64, second: u64, old: &str, trial: u8) -> Vec<Effect> {
    vec![challenge(first, old, &to_old(trial)), challenge(second, old, &to_old(trial))]
}

impl History {
    /// A path of which nothing is known.
    fn empty(name: &'static str, rtt_ms: Option<u64>) -> Self {
        Self { name, rtt_ms, events: Vec::new() }
    }

    /// A path on which the peer has proved to be at `OLD`.
    fn new(name: &'static str) -> Self {
        Self::with_rtt(name, Some(100))
    }

    fn with_rtt(name: &'static str, rtt_ms: Option<u64>) -> Self {
        Self::empty(name, rtt_ms).event(
            0,
            json!({"event": "proved", "address": OLD}),
            vec![published(0, OLD)],
            (OLD, OLD),
        )
    }

    /// Something happens; what the node does until the next event, and the addresses that are then current and published.
    fn event(mut self, at_ms: u64, event: Value, effects: Vec<Effect>, then: (&str, &str)) -> Self {
        let some = |address: &str| (!address.is_empty()).then(|| address.to_owned());
        let mut entry = event;
        entry["at_ms"] = at_ms.to_string().into();
        entry["effects"] = effects
            .into_iter()
            .map(|(at_ms, mut effect)| {
                effect["at_ms"] = at_ms.to_string().into();
                effect
            })
            .collect();
        entry["current"] = some(then.0).into();
        entry["published"] = some(then.1).into();
        self.events.push(entry);
        self
    }

    fn datagram(self, at_ms: u64, from: &str, bytes: u32, effects: Vec<Effect>, then: (&str, &str)) -> Self {
        self.event(at_ms, json!({"event": "datagram", "from": from, "bytes": bytes}), effects, then)
    }

    fn answer(self, at_ms: u64, challenge: &str, effects: Vec<Effect>, then: (&str, &str)) -> Self {
        self.event(at_ms, json!({"event": "answer", "challenge": challenge}), effects, then)
    }

    fn proved(self, at_ms: u64, address: &str, effects: Vec<Effect>, then: (&str, &str)) -> Self {
        self.event(at_ms, json!({"event": "proved", "address": address}), effects, then)
    }

    fn wait(self, at_ms: u64, effects: Vec<Effect>, then: (&str, &str)) -> Self {
        self.event(at_ms, json!({"event": "wait"}), effects, then)
    }

    /// A datagram of 66 bytes comes from `NEW` at 1000 ms: the first trial begins.
    fn moving(name: &'static str) -> Self {
        Self::new(name).datagram(1000, NEW, 66, both(1000, NEW, OLD, 1).to_vec(), (OLD, OLD))
    }

    fn vector(self) -> Value {
        json!({"name": self.name, "rtt_ms": self.rtt_ms, "events": self.events})
    }
}

pub(super) fn vectors() -> Vec<Value> {
    let histories = [moves(), silences(), conflicts(), others(), proofs(), windows()];
    histories.into_iter().flatten().map(History::vector).collect()
}

fn moves() -> Vec<History> {
    let first = vec![challenge(0, NEW, &to_new(1))];
    let mut passed = more(1100, 1200, OLD, 1);
    passed.push(published(1300, NEW));
    let mut back = more(2100, 2200, NEW, 2);
    back.push(published(2300, OLD));
    vec![
        History::empty("the first address is published as soon as it answers", Some(100))
            .datagram(0, NEW, 66, first, ("", ""))
            .answer(50, &to_new(1), vec![published(50, NEW)], (NEW, NEW)),
        History::new("a datagram from the current address").datagram(1000, OLD, 66, Vec::new(), (OLD, OLD)),
        History::moving("the new address answers, the old one is silent").answer(
            1050,
            &to_new(1),
            passed.clone(),
            (NEW, NEW),
        ),
        History::moving("there and back again")
            .answer(1050, &to_new(1), passed, (NEW, NEW))
            .datagram(2000, OLD, 66, both(2000, OLD, NEW, 2).to_vec(), (NEW, NEW))
            .answer(2050, &to_new(2), back, (OLD, OLD)),
        History::moving("an answer after the window publishes at once")
            .wait(1010, more(1100, 1200, OLD, 1), (OLD, OLD))
            .answer(3000, &to_new(1), vec![published(3000, NEW)], (NEW, NEW)),
        History::moving("while the old address has its chance, the new one is current and not published")
            .answer(1050, &to_new(1), more(1100, 1200, OLD, 1), (NEW, OLD))
            .wait(1299, vec![published(1300, NEW)], (NEW, NEW)),
    ]
}

fn silences() -> Vec<History> {
    let [new, old] = both(1000, NEW, OLD, 1);
    let mut forgets = more(1100, 1200, OLD, 1);
    forgets.push(forgotten(4000));
    let mut unpaid = vec![old.clone()];
    unpaid.extend(forgets.clone());
    let mut exact = vec![new, old.clone()];
    exact.extend(forgets.clone());
    let rich: Vec<Effect> =
        [1000, 1100, 1200].iter().flat_map(|&at| both(at, NEW, OLD, 1)).chain([forgotten(4000)]).collect();
    let mut late = vec![challenge(1050, NEW, &to_new(1))];
    late.extend(forgets.clone());
    vec![
        History::moving("the new address never answers").wait(1010, forgets.clone(), (OLD, OLD)),
        History::moving("other bytes are no answer").answer(1050, &"ff".repeat(8), forgets.clone(), (OLD, OLD)),
        History::moving("an answer after the trial was forgotten").wait(1010, forgets, (OLD, OLD)).answer(
            4500,
            &to_new(1),
            Vec::new(),
            (OLD, OLD),
        ),
        History::new("40 bytes pay for one challenge").datagram(1000, NEW, 40, exact, (OLD, OLD)),
        History::new("39 bytes pay for none").datagram(1000, NEW, 39, unpaid, (OLD, OLD)),
        History::new("120 bytes pay for three challenges").datagram(1000, NEW, 120, rich, (OLD, OLD)),
        History::new("a first challenge goes out when it is paid")
            .datagram(1000, NEW, 32, vec![old], (OLD, OLD))
            .datagram(1050, NEW, 32, late, (OLD, OLD)),
    ]
}

fn conflicts() -> Vec<History> {
    let there = (OLD, OLD);
    vec![
        History::moving("the old address answers").answer(1050, &to_old(1), vec![conflict(1050)], there),
        History::moving("the old address answers after the new one")
            .answer(1050, &to_new(1), Vec::new(), (NEW, OLD))
            .answer(1080, &to_old(1), vec![conflict(1080)], there),
        History::moving("a newer datagram comes from the old address").datagram(
            1050,
            OLD,
            66,
            vec![conflict(1050)],
            there,
        ),
        History::moving("after a conflict the new address is held for 10 s")
            .answer(1050, &to_old(1), vec![conflict(1050)], there)
            .datagram(2000, NEW, 66, Vec::new(), there)
            .answer(2010, &to_new(1), Vec::new(), there)
            .datagram(11_049, NEW, 66, Vec::new(), there)
            .datagram(11_050, NEW, 66, both(11_050, NEW, OLD, 2).to_vec(), there)
            .answer(11_060, &to_old(2), vec![conflict(11_060)], there),
        History::moving("after a conflict another address is tried")
            .answer(1050, &to_old(1), vec![conflict(1050)], there)
            .datagram(2000, OTHER, 66, both(2000, OTHER, OLD, 2).to_vec(), there)
            .answer(2050, &to_old(2), vec![conflict(2050)], there),
    ]
}

/// A third address.
fn others() -> Vec<History> {
    let mut second = more(1150, 1250, OLD, 2);
    second.push(published(1350, OTHER));
    let mut first = more(1100, 1200, OLD, 1);
    first.push(published(1300, NEW));
    let mut forgets = more(1150, 1250, OLD, 2);
    forgets.push(forgotten(4050));
    vec![
        History::moving("another new address takes the place of one that has not answered")
            .datagram(1050, OTHER, 66, both(1050, OTHER, OLD, 2).to_vec(), (OLD, OLD))
            .answer(1100, &to_new(2), second, (OTHER, OTHER)),
        History::moving("what was asked in a trial that was replaced answers nothing")
            .datagram(1050, OTHER, 66, both(1050, OTHER, OLD, 2).to_vec(), (OLD, OLD))
            .answer(1060, &to_new(1), Vec::new(), (OLD, OLD))
            .answer(1070, &to_old(1), forgets, (OLD, OLD)),
        History::moving("no other trial begins before one that was answered is decided")
            .answer(1050, &to_new(1), Vec::new(), (NEW, OLD))
            .datagram(1060, OTHER, 66, first, (NEW, NEW)),
    ]
}

/// Addresses that a handshake or a probe has proved.
fn proofs() -> Vec<History> {
    let asked = |at, trial| challenge(at, OLD, &to_old(trial));
    let mut passed = vec![asked(1000, 1)];
    passed.extend(more(1100, 1200, OLD, 1));
    passed.push(published(1300, NEW));
    let mut again = vec![asked(1050, 2)];
    again.extend(more(1150, 1250, OLD, 2));
    again.push(published(1350, NEW));
    vec![
        History::new("the current address is proved again").proved(1000, OLD, Vec::new(), (OLD, OLD)),
        History::new("another address is proved, the old one is silent").proved(1000, NEW, passed, (NEW, NEW)),
        History::new("another address is proved, the old one answers")
            .proved(1000, NEW, vec![asked(1000, 1)], (NEW, OLD))
            .answer(1050, &to_old(1), vec![conflict(1050)], (OLD, OLD)),
        History::moving("the address on trial is proved").proved(1050, NEW, again, (NEW, NEW)),
        History::moving("the old address is proved during a trial, which ends without a conflict")
            .proved(1050, OLD, Vec::new(), (OLD, OLD))
            .datagram(1100, NEW, 66, both(1100, NEW, OLD, 2).to_vec(), (OLD, OLD))
            .answer(1110, &to_old(2), vec![conflict(1110)], (OLD, OLD)),
    ]
}

/// `PATH_WINDOW` by the round-trip time. Times are rounded down to milliseconds.
fn windows() -> Vec<History> {
    let case =
        |name, rtt_ms, first, second, end| {
            let mut passed = more(first, second, OLD, 1);
            passed.push(published(end, NEW));
            History::with_rtt(name, rtt_ms)
                .datagram(1000, NEW, 66, both(1000, NEW, OLD, 1).to_vec(), (OLD, OLD))
                .answer(1010, &to_new(1), passed, (NEW, NEW))
        };
    vec![
        case("a window of 200 ms at least", Some(10), 1066, 1133, 1200),
        case("a window of three round trips", Some(300), 1300, 1600, 1900),
        case("a window of 1 s at most", Some(2000), 1333, 1666, 2000),
        case("a window of 1 s while the round-trip time is unknown", None, 1333, 1666, 2000),
    ]
}
