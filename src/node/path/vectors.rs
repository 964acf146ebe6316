//! The histories of `spec/vectors/paths.json`: the same decisions, in the same order, at the same times.

use serde_json::Value;

use super::*;

const VECTORS: &str = include_str!("../../../spec/vectors/paths.json");

/// The size of a challenge.
const BYTES: usize = 40;

/// A path and what it did since the last event.
struct Run {
    start: Instant,
    path: Path,
    rtt: Option<Duration>,
    /// Trials begun.
    trials: u8,
    /// When the path wants to be asked again.
    due: Option<Instant>,
    effects: Vec<String>,
}

impl Run {
    fn trial_start(&self) -> TrialStart {
        let number = self.trials + 1;
        TrialStart { new_challenge: [0xA0 + number; 8], old_challenge: [0xB0 + number; 8], rtt: self.rtt }
    }

    fn note(&mut self, now: Instant, what: &str) {
        self.effects.push(format!("{} {what}", (now - self.start).as_millis()));
    }

    /// What [`Node`](crate::node::Node) does for a trial: asks the path until there is nothing to do before a later moment.
    fn step(&mut self, now: Instant) {
        match self.path.step(now, BYTES) {
            Step::Challenge { new, old, next } => {
                for (to, challenge) in [new, old].into_iter().flatten() {
                    self.note(now, &format!("challenge {to} {}", hex(challenge)));
                }
                self.due = Some(next);
            }
            Step::Publish => {
                self.path.publish();
                let address = self.path.published().unwrap();
                self.note(now, &format!("published {address}"));
                self.due = None;
            }
            Step::Forget => {
                self.note(now, "forgotten");
                self.due = None;
            }
            Step::Idle => self.due = None,
        }
    }

    fn wait(&mut self, end: Instant) {
        while let Some(due) = self.due.filter(|due| *due < end) {
            self.step(due);
        }
    }

    fn conflict(&mut self, now: Instant) {
        self.note(now, "conflict");
        self.due = None;
    }

    fn event(&mut self, now: Instant, event: &Value) {
        let start = self.trial_start();
        match event["event"].as_str().unwrap() {
            "datagram" => {
                let bytes = usize::try_from(event["bytes"].as_u64().unwrap()).unwrap();
                match self.path.observe(now, address(&event["from"]).unwrap(), bytes, start) {
                    Observed::Nothing => {}
                    Observed::Trial => self.trials += 1,
                    Observed::Conflict { .. } => self.conflict(now),
                }
                self.step(now);
            }
            "answer" => match self.path.answer(now, unhex(&event["challenge"])) {
                Verdict::Validated { .. } => self.step(now),
                Verdict::Conflict { .. } => self.conflict(now),
                Verdict::Unsolicited => {}
            },
            "proved" => {
                let before = self.path.published();
                if !self.path.validated(now, address(&event["address"]).unwrap(), start) {
                    self.trials += 1;
                    self.step(now);
                    return;
                }
                self.due = None;
                if self.path.published() != before {
                    let published = self.path.published().unwrap();
                    self.note(now, &format!("published {published}"));
                }
            }
            "wait" => {}
            other => panic!("there is no event {other}"),
        }
    }
}

fn hex(challenge: Challenge) -> String {
    challenge.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &Value) -> Challenge {
    u64::from_str_radix(text.as_str().unwrap(), 16).unwrap().to_be_bytes()
}

fn address(text: &Value) -> Option<Address> {
    text.as_str().map(|text| text.parse::<std::net::SocketAddr>().unwrap().try_into().unwrap())
}

fn number(text: &Value) -> u64 {
    text.as_str().unwrap().parse().unwrap()
}

fn expected(effect: &Value) -> String {
    let text = |key: &str| effect[key].as_str().unwrap();
    let what = match text("effect") {
        "challenge" => format!("challenge {} {}", text("to"), text("challenge")),
        "published" => format!("published {}", text("address")),
        other => other.to_owned(),
    };
    format!("{} {what}", text("at_ms"))
}

#[test]
#[expect(clippy::disallowed_methods, reason = "an Instant can only be had from the clock")]
fn paths() {
    let file: Value = serde_json::from_str(VECTORS).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    assert!(!vectors.is_empty());
    for vector in vectors {
        let name = &vector["name"];
        let (start, rtt) = (Instant::now(), vector["rtt_ms"].as_u64().map(Duration::from_millis));
        let mut run = Run { start, path: Path::default(), rtt, trials: 0, due: None, effects: Vec::new() };
        let events = vector["events"].as_array().unwrap();
        for (n, event) in events.iter().enumerate() {
            let now = start + Duration::from_millis(number(&event["at_ms"]));
            let end = events
                .get(n + 1)
                .map_or(now + TRIAL + HOLD, |next| start + Duration::from_millis(number(&next["at_ms"])));
            run.event(now, event);
            run.wait(end);
            let effects: Vec<String> = event["effects"].as_array().unwrap().iter().map(expected).collect();
            assert_eq!(std::mem::take(&mut run.effects), effects, "{name}, event {n}");
            assert_eq!(run.path.current(), address(&event["current"]), "{name}, event {n}: current");
            assert_eq!(run.path.published(), address(&event["published"]), "{name}, event {n}: published");
        }
    }
}
