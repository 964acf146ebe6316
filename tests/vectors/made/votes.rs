//! Where a node is, by the word of others; and what kind of address that is.

use serde_json::{Value, json};

pub(super) fn scopes() -> Vec<Value> {
    let cases = [
        ("127.0.0.1", "loopback"),
        ("127.255.255.255", "loopback"),
        ("126.255.255.255", "global"),
        ("128.0.0.0", "global"),
        ("169.254.0.1", "link-local"),
        ("169.253.255.255", "global"),
        ("169.255.0.0", "global"),
        ("10.0.0.0", "private"),
        ("10.255.255.255", "private"),
        ("9.255.255.255", "global"),
        ("11.0.0.0", "global"),
        ("172.16.0.0", "private"),
        ("172.31.255.255", "private"),
        ("172.15.255.255", "global"),
        ("172.32.0.0", "global"),
        ("192.168.0.0", "private"),
        ("192.168.255.255", "private"),
        ("192.167.255.255", "global"),
        ("192.169.0.0", "global"),
        ("100.64.0.0", "cgnat"),
        ("100.127.255.255", "cgnat"),
        ("100.63.255.255", "global"),
        ("100.128.0.0", "global"),
        ("203.0.113.7", "global"),
        ("::1", "loopback"),
        ("::2", "global"),
        ("fe80::1", "link-local"),
        ("febf:ffff::1", "link-local"),
        ("fec0::1", "global"),
        ("fe7f::1", "global"),
        ("fc00::", "private"),
        ("fdff:ffff::1", "private"),
        ("fbff::1", "global"),
        ("fe00::1", "global"),
        ("2001:db8::7", "global"),
    ];
    cases.into_iter().map(|(ip, scope)| json!({"name": ip, "ip": ip, "scope": scope})).collect()
}

const ME: &str = "192.0.2.1:7733";
const NOT_ME: &str = "192.0.2.66:7733";

/// An election, and what comes of it.
#[derive(Clone)]
struct Election {
    name: &'static str,
    realm: (&'static str, &'static str),
    observations: Vec<(String, String, u64)>,
    last: Option<&'static str>,
    address: Option<&'static str>,
    confidence: &'static str,
    /// Groups that agree, and groups.
    groups: (usize, usize),
    nat: &'static str,
}

pub(super) fn vectors() -> Vec<Value> {
    let elections = [few(), many(), ports(), groups(), realms()].concat();
    elections.into_iter().map(Election::vector).collect()
}

impl Election {
    fn vector(self) -> Value {
        let seen = |(observer, reflection, at_ms): (String, String, u64)| {
            let at_ms = at_ms.to_string();
            json!({"observer": observer, "reflection": reflection, "at_ms": at_ms})
        };
        json!({
            "name": self.name,
            "scope": self.realm.0,
            "family": self.realm.1,
            "observations": self.observations.into_iter().map(seen).collect::<Vec<_>>(),
            "last": self.last,
            "address": self.address,
            "confidence": self.confidence,
            "agreeing": self.groups.0,
            "groups": self.groups.1,
            "nat": self.nat,
        })
    }

    /// In the realm of public IPv4 addresses.
    fn new(name: &'static str, seen: &[(&str, &str, u64)], last: Option<&'static str>) -> Self {
        Self {
            name,
            realm: ("global", "IPv4"),
            observations: seen.iter().map(|&(by, at, ms)| (by.to_owned(), at.to_owned(), ms)).collect(),
            last,
            address: None,
            confidence: "",
            groups: (0, 0),
            nat: "unknown",
        }
    }

    fn within(mut self, scope: &'static str, family: &'static str) -> Self {
        self.realm = (scope, family);
        self
    }

    fn gives(mut self, address: Option<&'static str>, confidence: &'static str, groups: (usize, usize)) -> Self {
        (self.address, self.confidence, self.groups) = (address, confidence, groups);
        self
    }

    fn nat(mut self, nat: &'static str) -> Self {
        self.nat = nat;
        self
    }
}

fn few() -> Vec<Election> {
    let (a, b) = (("198.51.100.1:1", ME, 0), ("198.51.100.2:1", ME, 0));
    let against = ("198.51.100.2:1", NOT_ME, 0);
    vec![
        Election::new("nobody says anything, nothing is known", &[], None).gives(None, "stale", (0, 0)),
        Election::new("nobody says anything, the last address stays", &[], Some(ME)).gives(Some(ME), "stale", (0, 0)),
        Election::new("one group", &[a], None).gives(Some(ME), "single-observer", (1, 1)),
        Election::new("one group against the last address", &[a], Some(NOT_ME)).gives(
            Some(ME),
            "single-observer",
            (1, 1),
        ),
        Election::new("two groups agree", &[a, b], None).gives(Some(ME), "agreed", (2, 2)).nat("endpoint-independent"),
        Election::new("two groups differ, nothing is known", &[a, against], None).gives(None, "disputed", (0, 2)),
        Election::new("two groups differ, the last address stays", &[a, against], Some(ME)).gives(
            Some(ME),
            "disputed",
            (1, 2),
        ),
        Election::new("two groups differ, the last address is neither", &[a, against], Some("192.0.2.99:1")).gives(
            Some("192.0.2.99:1"),
            "disputed",
            (0, 2),
        ),
    ]
}

/// Margins of three halves.
fn many() -> Vec<Election> {
    let cases = [
        ("2 groups against 1", 2, 1, true),
        ("3 groups against 2", 3, 2, false),
        ("4 groups against 2", 4, 2, true),
        ("4 groups against 3", 4, 3, false),
        ("5 groups against 3", 5, 3, true),
        ("6 groups against 4", 6, 4, false),
        ("7 groups against 4", 7, 4, true),
    ];
    let mut elections = Vec::new();
    for (name, best, runner_up, clear) in cases {
        let mut election = Election::new(name, &[], Some("192.0.2.99:1"));
        for n in 0..best + runner_up {
            let reflection = if n < best { ME } else { NOT_ME };
            election.observations.push((format!("198.51.100.{n}:1"), reflection.to_owned(), 0));
        }
        elections.push(if clear {
            election.gives(Some(ME), "agreed", (best, best + runner_up)).nat("endpoint-independent")
        } else {
            election.gives(Some("192.0.2.99:1"), "disputed", (0, best + runner_up))
        });
    }
    let three = [("198.51.100.1:1", ME, 0), ("198.51.100.2:1", NOT_ME, 0), ("198.51.100.3:1", "192.0.2.67:7733", 0)];
    elections.push(Election::new("1 group each for three addresses", &three, Some(ME)).gives(
        Some(ME),
        "disputed",
        (1, 3),
    ));
    elections
}

fn ports() -> Vec<Election> {
    let (low, high) = ("192.0.2.1:100", "192.0.2.1:200");
    let split = [("198.51.100.1:1", high, 0), ("198.51.100.2:1", low, 0)];
    let dependent = |name, seen: &[_], last, address| {
        Election::new(name, seen, last)
            .gives(Some(address), "agreed", (seen.len(), seen.len()))
            .nat("endpoint-dependent")
    };
    let three = [split[0], split[1], ("198.51.100.3:1", high, 0)];
    vec![
        dependent("two ports, the lowest is taken", &split, None, low),
        dependent("two ports, the last one stays", &split, Some(high), high),
        dependent("two ports, the last one is neither", &split, Some("192.0.2.1:300"), low),
        dependent("two ports, the last one was of another IP address", &split, Some("192.0.2.2:200"), low),
        dependent("two ports, one with most votes", &three, Some(low), high),
    ]
}

fn groups() -> Vec<Election> {
    let v6 = |name, seen: &[_]| Election::new(name, seen, None).within("global", "IPv6");
    let site = "[2001:db8::7]:7733";
    vec![
        Election::new(
            "one IPv4 address with two ports is one group",
            &[("198.51.100.1:1", ME, 0), ("198.51.100.1:2", ME, 0)],
            None,
        )
        .gives(Some(ME), "single-observer", (1, 1)),
        Election::new(
            "the newest word of a group counts",
            &[("198.51.100.1:1", ME, 5), ("198.51.100.1:2", NOT_ME, 4)],
            None,
        )
        .gives(Some(ME), "single-observer", (1, 1)),
        Election::new(
            "of equally new words the greatest counts",
            &[("198.51.100.1:2", NOT_ME, 4), ("198.51.100.1:1", ME, 4)],
            None,
        )
        .gives(Some(NOT_ME), "single-observer", (1, 1)),
        v6("56 equal bits are one group", &[("[2001:db8:1:100::1]:1", site, 0), ("[2001:db8:1:1ff::1]:1", site, 0)])
            .gives(Some(site), "single-observer", (1, 1)),
        v6("bit 56 differs: two groups", &[("[2001:db8:1:100::1]:1", site, 0), ("[2001:db8:1:200::1]:1", site, 0)])
            .gives(Some(site), "agreed", (2, 2))
            .nat("endpoint-independent"),
    ]
}

fn realms() -> Vec<Election> {
    let inside = ("192.168.1.9:1", "192.168.1.2:7733", 0);
    let outside = ("198.51.100.1:1", ME, 0);
    let wrong = ("192.168.1.9:1", NOT_ME, 0);
    let reverse = ("198.51.100.2:1", "192.168.1.2:7733", 0);
    let shared = ("100.64.0.9:1", "100.64.0.2:7733", 0);
    let six = ("[2001:db8:9::1]:1", "[2001:db8::7]:7733", 0);
    let all = [inside, outside, wrong, reverse, shared, six];
    vec![
        Election::new("public addresses, by those who have one", &all, None).gives(Some(ME), "single-observer", (1, 1)),
        Election::new("private addresses, by those who have one", &all, None).within("private", "IPv4").gives(
            Some("192.168.1.2:7733"),
            "single-observer",
            (1, 1),
        ),
        Election::new("a carrier's addresses, by those who have one", &all, None).within("cgnat", "IPv4").gives(
            Some("100.64.0.2:7733"),
            "single-observer",
            (1, 1),
        ),
        Election::new("public IPv6 addresses, by those who have one", &all, None).within("global", "IPv6").gives(
            Some("[2001:db8::7]:7733"),
            "single-observer",
            (1, 1),
        ),
        Election::new("nobody of the realm", &all, None).within("private", "IPv6").gives(None, "stale", (0, 0)),
    ]
}
