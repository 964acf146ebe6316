//! Every check, with the requirements that it tests; and the requirements that no check can test.
//!
//! `spec/conformance.md` says the same for people; a test compares the two.

/// One thing that is asked of the target.
#[derive(Debug)]
pub(crate) struct Check {
    /// A name that stays.
    pub(crate) name: &'static str,
    /// What it tests: requirement numbers of the specification.
    pub(crate) requirements: &'static [&'static str],
    /// What is claimed of the target.
    pub(crate) claim: &'static str,
}

/// Defines the checks and the table of them all.
macro_rules! checks {
    ($($check:ident = $name:literal [$($requirement:literal),+] $claim:literal;)+) => {
        $(
            #[doc = $claim]
            pub(super) const $check: Check =
                Check { name: $name, requirements: &[$($requirement),+], claim: $claim };
        )+

        /// Every check, in the order in which people read them.
        pub(crate) const CHECKS: &[Check] = &[$($check),+];
    };
}

checks! {
    // Whatever the target sends, at any moment of the run.
    TARGET_FORM = "target-form" ["WIRE-6"] "each of its datagrams has the form of its type";
    TARGET_SIZE = "target-size" ["WIRE-2"] "none of its datagrams is longer than 1232 bytes";
    TARGET_ORDER = "target-byte-order" ["WIRE-1"] "its integers are big-endian";
    TARGET_BODY = "target-body" ["WIRE-7"] "each of its bodies is one that its type has";
    TARGET_SEAL = "target-seal" ["WIRE-12"] "its sealed bodies open";
    TARGET_TAG = "target-tag" ["AUTH-5"] "its tags are right";
    TARGET_STEP = "target-step" ["AUTH-4", "AUTH-7"] "its steps are those of link time, whatever clocks say";
    TARGET_COUNTER = "target-counter" ["AUTH-9"] "it uses no counter twice";
    TARGET_FIRST = "target-first-counter" ["AUTH-15"] "its counters begin with 0 in each session";
    TARGET_MASK = "target-mask" ["WIRE-11"] "no address that it reflects stands in clear";
    TARGET_MAC1 = "target-mac1" ["AUTH-16"] "its mac1 is made with the receiver's public key";
    REFLECTION = "reflection" ["WIRE-14"] "it tells each peer the address to which it sends";
    ALIVE = "alive-after-rubbish" ["WIRE-8"] "it answers right datagrams after wrong ones";

    // Handshakes that the tester begins.
    JOIN = "join-answered" ["WIRE-16", "AUTH-1"] "it answers an initiation with its invite, and the answer decrypts";
    OBSERVED = "join-observed" ["WIRE-16"] "its Response says where the initiation came from";
    SAME_RESPONSE = "same-response" ["MEMB-8"] "the same initiation gets the same bytes again, whatever its mac2";
    CONFIRM = "confirmation" ["STATE-3"] "the first heartbeat confirms the session and is acknowledged";
    RACE = "race-for-an-invite" ["MEMB-7"] "of two joiners with one invite it admits the first to confirm, and not the other";
    USED = "used-invite" ["WIRE-16"] "it refuses an invite that was used, with the verdict 2 and nothing else";
    MAC1 = "wrong-mac1" ["AUTH-11"] "it is silent to an initiation with a wrong mac1";
    NOISE = "wrong-noise" ["STATE-15"] "it is silent to an initiation that does not decrypt";
    HEADER = "changed-header" ["AUTH-12"] "it is silent to an initiation with another index than it was made with";
    FORM_INITIATION = "initiation-form" ["WIRE-5", "WIRE-15"] "it is silent to initiations against the format";
    INVITE = "unknown-invite" ["STATE-15"] "it is silent to an invite that it did not make";
    STRANGER = "stranger" ["AUTH-2"] "it is silent to an initiation whose key is no member's";
    MEMBER = "member-handshake" ["AUTH-14"] "it answers a member that knows the cluster key";
    REPLAYED_INITIATION = "replayed-initiation" ["STATE-3"] "an initiation that nobody confirms changes nothing";
    PREVIOUS = "previous-session" ["STATE-20", "WIRE-13"] "it acknowledges under the session before, after a new one";

    // Handshakes that the target begins.
    ASKS = "asks-for-a-new-member" ["STATE-18"] "it asks its peers where a member is that it cannot reach";
    CALLS = "probes-hearsay" ["ADDR-11", "AUTH-14"] "it sends a right initiation to where a member is said to be";
    SAME_INITIATION = "same-initiation" ["STATE-2"] "initiations of one attempt are the same bytes";
    BAD_RESPONSE = "wrong-responses" ["STATE-2"] "responses that do not decrypt leave its attempt as it was";
    AT_ONCE = "confirms-at-once" ["STATE-3"] "it sends a heartbeat at once when the Response decrypts";
    PROBES = "probe-limit" ["ADDR-11"] "it probes a candidate three times at most, PROBE_INTERVAL apart";

    // Two machines with one identity.
    INCARNATION = "incarnation" ["AUTH-13"] "it says the same incarnation to one peer each time, and another one to another";
    CONTEST = "contest" ["STATE-10"] "it asks the present run of a peer before it takes in another one";
    TURNED_AWAY = "turned-away" ["STATE-11"] "it sends Conflict to the second of two runs, and goes on with the first";
    TAKEN_IN = "taken-in" ["STATE-9"] "it takes in another run of a peer when the present one does not answer";

    // Tags and time.
    ACK = "acknowledgement" ["WIRE-13"] "it acknowledges a heartbeat by its counter plus one";
    WRONG_TAG = "wrong-tag" ["AUTH-5"] "it is silent to a datagram of which one bit was changed";
    DIRECTION = "wrong-direction" ["AUTH-5"] "it is silent to a tag made with the secret of the other direction";
    SPLICED = "wrong-session-or-type" ["AUTH-5"] "it is silent to a datagram moved to another session or type";
    INDEX = "unknown-index" ["STATE-15"] "it is silent to an index that no session has";
    STEP = "wrong-step" ["AUTH-4"] "it is silent to a right tag of a step that is two or more away";
    NEAR = "near-step" ["AUTH-4"] "it accepts the step before its own and the one after it";
    FOLLOWS = "follows-link-time" ["AUTH-6"] "it follows a step that has not begun, by 30 s at most";
    SEAL = "wrong-seal" ["WIRE-12"] "it is silent to a body that does not open under a right tag";
    NO_ACK_OF_ACK = "no-answer-to-an-answer" ["STATE-7"] "it answers no HeartbeatAck";

    // Replays.
    REPLAY = "replay" ["AUTH-8"] "it acknowledges a heartbeat once, however often it comes";
    REORDERED = "reordered" ["AUTH-8"] "it accepts what comes late within the window of 1024";
    OLD = "old-counter" ["AUTH-8"] "it is silent to a counter that is 1024 or more below the highest";
    LAST = "last-counter" ["AUTH-9"] "it is silent to counters of 2^63 and more";
    UNTOUCHED = "window-untouched" ["AUTH-8"] "datagrams with wrong tags do not move its window";

    // Form.
    VERSION = "other-version" ["WIRE-3"] "it is silent to another byte 0 under a right tag";
    TYPE = "unknown-type" ["WIRE-4"] "it is silent to unknown and reserved types under a right tag";
    FLAGS = "flags" ["WIRE-5"] "it is silent to any flag under a right tag";
    TRAILING = "trailing-bytes" ["WIRE-6"] "it is silent to bytes after the last field, inside the tag or behind it";
    SHORT = "cut-short" ["WIRE-6"] "it is silent to a datagram that ends early, and to an empty one";
    OVERSIZE = "oversize" ["WIRE-2"] "it is silent to more than 1232 bytes";
    DISORDER = "not-canonical" ["WIRE-7"] "it is silent to lists that are unordered, empty or too long";
    NO_ADDRESS = "no-address" ["WIRE-10"] "it is silent to an address without port or IP";
    BAD_NAME = "bad-name" ["WIRE-9"] "it takes no record whose name is no DNS label";

    // Paths.
    CHALLENGE_NEW = "challenges-the-new" ["ADDR-12"] "it challenges an address from which the newest datagram came";
    CHALLENGE_OLD = "challenges-the-old" ["ADDR-12"] "it challenges the old address together with the new one";
    CHALLENGE_RANDOM = "challenges-differ" ["AUTH-17"] "it sends the two sides of a trial different bytes";
    BUDGET = "byte-budget" ["ADDR-7"] "it sends no more bytes to an address that has not proved itself than came from it";
    STAYS = "old-path-wins" ["ADDR-12", "ADDR-15"] "it stays with the old address when that answers";
    HELD = "held-address" ["ADDR-13"] "it ignores the new address for a while after a conflict";
    WRONG_ANSWER = "wrong-answer" ["ADDR-8"] "it does not move to an address that answers with other bytes";
    NOT_NEWEST = "only-the-newest-moves" ["ADDR-12"] "it tries no address from which an older datagram came";
    MOVES = "moves" ["ADDR-8", "ADDR-15"] "it moves to an address that answers while the old one is silent";
    ECHO = "echoes-to-the-source" ["ADDR-14"] "it answers a challenge to where that came from";

    // Members.
    PAGES = "pages" ["MEMB-15"] "it gives its whole member list in ordered pages";
    DIGEST = "digest" ["MEMB-5"] "the digest in its heartbeats is that of its list";
    ADMITTED = "admission" ["MEMB-3"] "it admits with its own ID and a number above all earlier ones";
    LESSER = "lesser-record" ["MEMB-2"] "it ignores a record that is less than the one it has";
    SELF = "self-admission" ["MEMB-4"] "it ignores a greater admission of a node by that very node";
    ON = "passes-news-on" ["SCALE-11", "MEMB-14"] "it sends news of members on to its other peers, and not back";
    REMOVED = "removal" ["MEMB-2"] "it answers a removed member no more, whatever older records say";
    TOLD = "removed-is-told" ["MEMB-12"] "it tells a removed member of that, at once and when the member calls again";

    // Losing and finding.
    LOCATED = "located" ["STATE-19", "MEMB-1"] "it says where a member is, and nothing of the asker, itself or strangers";
    RENDEZVOUS = "rendezvous" ["STATE-19"] "it tells the wanted member who looks for it, with a heartbeat";
    SUBSCRIBED = "subscription" ["STATE-19"] "it tells the asker when the wanted member has moved";
    MEETS = "acts-on-rendezvous" ["STATE-19"] "it probes where a member is that looks for it";

    // Life.
    BEATS = "heartbeats" ["STATE-16"] "it sends heartbeats by itself";
    SEEN = "heartbeat-seen" ["WIRE-13"] "its heartbeats name the highest counter that it has accepted";
    EVERYBODY = "tells-everybody" ["ADDR-6"] "it heartbeats all peers when one of them sees it elsewhere";
    RESENDS = "resends" ["STATE-16"] "it repeats an unanswered heartbeat between 0.2 s and 2 s later";
    SUSPECTS = "suspects" ["STATE-17"] "it asks others for a peer that misses heartbeats, and calls it anew";
    PATIENT = "others-unaffected" ["STATE-8"] "a silent peer delays no other";
    REVIVES = "revives" ["STATE-17"] "a datagram of a suspect peer makes it up at once";
    FORGED_LEAVE = "forged-leave" ["AUTH-5"] "a Leave with a wrong tag changes nothing";
    OLD_LEAVE = "old-leave" ["STATE-17"] "a Leave that is older than other datagrams changes nothing";
    LEAVE = "leave" ["STATE-17"] "after a Leave it no longer says that the member is up";

    // Load.
    COOKIE = "cookie-demanded" ["STATE-4"] "under a flood of initiations it answers with a cookie that opens";
    COOKIE_TAKEN = "cookie-accepted" ["AUTH-10"] "it answers an initiation with a mac2 from its cookie";
    COOKIE_BOUND = "cookie-bound" ["AUTH-10"] "its cookie serves at the address that it was sent to, and with a right mac2";
}

/// Why most of scale.md is not tested.
const MESH: &str = "a cluster as small as that of a run is a full mesh";

/// The requirements that cannot be seen from outside, or not within the time of a run, and why.
pub(crate) const UNTESTABLE: &[(&str, &str)] = &[
    ("RULE-1", "what a node asks its own machine does not show on the wire"),
    ("RULE-2", "what else a node depends on does not show on the wire"),
    ("RULE-3", "the operating system of a node does not show on the wire"),
    ("AUTH-3", "it takes a Noise library that sends invalid keys"),
    ("STATE-1", "it sums up the checks before it, each of which is tested"),
    ("STATE-5", "two handshakes that cross cannot be brought about for sure"),
    ("STATE-13", "it takes peers at addresses of several networks"),
    ("STATE-14", "it takes a target that was just started and knows addresses"),
    ("STATE-12", "what a node tells its owner does not show on the wire"),
    ("STATE-21", "it takes a target that starts and stops during the run"),
    ("STATE-6", "an interval that an exchange did not restart cannot be told from one that is jittered"),
    ("ADDR-1", "the vote on its own address is the target's own business"),
    ("ADDR-2", "the vote on its own address is the target's own business"),
    ("ADDR-3", "the vote on its own address is the target's own business"),
    ("ADDR-4", "the vote on its own address is the target's own business"),
    ("ADDR-5", "the vote on its own address is the target's own business"),
    ("ADDR-9", "it forbids datagrams to addresses at which the tester cannot listen"),
    ("ADDR-10", "it takes peers in several scopes"),
    ("SCALE-1", MESH),
    ("SCALE-2", MESH),
    ("SCALE-3", MESH),
    ("SCALE-4", MESH),
    ("SCALE-5", MESH),
    ("SCALE-6", MESH),
    ("SCALE-7", MESH),
    ("SCALE-8", MESH),
    ("SCALE-9", MESH),
    ("SCALE-10", "it takes a member list of many pages"),
    ("SCALE-12", MESH),
    ("SCALE-13", MESH),
    ("MEMB-6", "what a node shows to people does not show on the wire"),
    ("MEMB-10", "it takes as many members as the target may have"),
    ("MEMB-11", "it takes as many removed nodes as the target remembers"),
    ("MEMB-13", "a run would have to watch for more than ten minutes"),
    ("MEMB-16", "a target outside a cluster, or removed from it, says nothing"),
    ("MEMB-17", "a target that leaves ends the run"),
    ("MEMB-9", "a run would have to wait for an invite to expire"),
];

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = include_str!("../../spec/conformance.md");

    /// The cells of the rows of all tables under a heading.
    fn rows(heading: &str) -> Vec<Vec<&'static str>> {
        let (_, section) = DOCUMENT.split_once(heading).unwrap();
        let section = section.split("\n## ").next().unwrap();
        let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
        rows.map(|row| row.split(" | ").collect())
            .filter(|row: &Vec<_>| row[0] != "check" && row[0] != "requirement")
            .collect()
    }

    #[test]
    fn the_document_lists_every_check() {
        let listed: Vec<String> = rows("## 2.").iter().map(|row| row.join(" | ")).collect();
        let made = CHECKS.iter().map(|c| format!("`{}` | {} | {}", c.name, c.requirements.join(", "), c.claim));
        assert_eq!(listed, made.collect::<Vec<_>>());
    }

    #[test]
    fn the_document_lists_what_is_not_tested() {
        let listed: Vec<(&str, &str)> = rows("## 3.").iter().map(|row| (row[0], row[1])).collect();
        assert_eq!(listed, UNTESTABLE);
    }

    #[test]
    fn a_name_is_given_once() {
        let mut names: Vec<_> = CHECKS.iter().map(|check| check.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CHECKS.len());
    }
}
