//! Configured host names: looked up off the loop, again and again while their peer is not up.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc};

use crate::driver::Host;
use crate::driver::clock;
use crate::driver::error::StartError;
use crate::node::status::{PeerState, Status};
use crate::wire::address::Address;
use crate::wire::id::NodeId;

/// How long after an answer a host is looked up again, if its peer is not up then. Jittered by a fifth.
const AGAIN: Duration = Duration::from_secs(60);

/// The same after a look-up that failed: the network may have come up since.
const AFTER_FAILURE: Duration = Duration::from_secs(15);

/// The shortest time from the end of one look-up of a host to the next one, however often its peer is lost.
const SHORTEST: Duration = Duration::from_secs(10);

/// How long a look-up may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many hosts are looked up at a time; the others wait their turn. Each look-up blocks a thread, for half a minute where
/// no name server answers, and a configuration may name thousands of hosts. Where one answers, eight have all of them
/// soon.
const AT_A_TIME: usize = 8;

/// How many addresses of one host are used: as many as a peer may have candidates.
const ADDRESSES_MAX: usize = 8;

/// What a host name was found to stand for.
#[derive(Debug)]
pub(super) struct Answer {
    /// Whose host it is.
    pub(super) peer: NodeId,
    /// What it resolved to; empty if the look-up failed.
    pub(super) addresses: Vec<Address>,
    index: usize,
}

/// Looks configured hosts up.
#[derive(Debug)]
pub(super) struct Resolver {
    hosts: Vec<Watched>,
    system: System,
    answers: mpsc::Receiver<Answer>,
    answer: mpsc::Sender<Answer>,
}

#[derive(Debug)]
struct Watched {
    host: Host,
    /// What it resolved to last; a look-up that fails changes nothing.
    addresses: Vec<Address>,
    /// When to look it up next; `None` while a look-up is under way.
    next: Option<Instant>,
    /// When the last look-up was answered. It began later than it was due where it had to wait its turn.
    last: Option<Instant>,
}

/// The system's resolver, which blocks, and whose turn it is with it.
#[derive(Clone, Debug)]
struct System {
    turns: Arc<Semaphore>,
    resolve: fn(&str) -> io::Result<Vec<SocketAddr>>,
}

impl Resolver {
    /// A resolver for these hosts. The first look-ups are due at once.
    pub(super) fn new(hosts: Vec<Host>, now: Instant) -> Result<Self, StartError> {
        if let Some(wrong) = hosts.iter().find(|host| !is_host(&host.host)) {
            return Err(StartError::Host(wrong.host.clone()));
        }
        let (answer, answers) = mpsc::channel(hosts.len().max(1));
        let hosts = hosts
            .into_iter()
            .map(|host| Watched { host, addresses: Vec::new(), next: Some(now), last: None })
            .collect();
        let system = System {
            turns: Arc::new(Semaphore::new(AT_A_TIME)),
            resolve: |host| host.to_socket_addrs().map(Iterator::collect),
        };
        Ok(Self { hosts, system, answers, answer })
    }

    /// When [`Resolver::look_up`] is to be called next.
    pub(super) fn due(&self) -> Option<Instant> {
        self.hosts.iter().filter_map(|watched| watched.next).min()
    }

    /// Starts the look-ups that are due and whose peer is not up. `status` is called only if one is due.
    pub(super) fn look_up(&mut self, now: Instant, status: impl FnOnce() -> Status) {
        if self.due().is_none_or(|at| at > now) {
            return;
        }
        let status = status();
        let up = |id| status.peers.iter().any(|peer| peer.id == id && peer.state == PeerState::Up);
        for (index, watched) in self.hosts.iter_mut().enumerate() {
            if watched.next.is_none_or(|at| at > now) {
                continue;
            }
            if up(watched.host.peer) {
                watched.next = Some(now + jittered(AGAIN));
                continue;
            }
            watched.next = None;
            let (answer, peer, host) = (self.answer.clone(), watched.host.peer, watched.host.host.clone());
            let system = self.system.clone();
            tokio::spawn(async move {
                let addresses = addresses(&host, &system).await;
                // The driver may have stopped meanwhile: then nobody wants the answer.
                let _ = answer.send(Answer { peer, addresses, index }).await;
            });
        }
    }

    /// Waits for the next answer.
    pub(super) async fn answer(&mut self) -> Answer {
        match self.answers.recv().await {
            Some(answer) => answer,
            // This resolver holds a sender: the channel does not close.
            None => std::future::pending().await,
        }
    }

    /// Plans the next look-up of the host that was answered. Gives what all hosts of its peer stand for, the newest
    /// answer first; nothing after a look-up that failed.
    pub(super) fn answered(&mut self, now: Instant, answer: &Answer) -> Vec<Address> {
        let Some(watched) = self.hosts.get_mut(answer.index) else { return Vec::new() };
        watched.last = Some(now);
        watched.next = Some(now + jittered(if answer.addresses.is_empty() { AFTER_FAILURE } else { AGAIN }));
        if answer.addresses.is_empty() {
            return Vec::new();
        }
        watched.addresses.clone_from(&answer.addresses);
        let mut all = answer.addresses.clone();
        for address in
            self.hosts.iter().filter(|other| other.host.peer == answer.peer).flat_map(|other| &other.addresses)
        {
            if !all.contains(address) {
                all.push(*address);
            }
        }
        all
    }

    /// A peer was lost: its hosts are looked up soon.
    pub(super) fn hurry(&mut self, now: Instant, peer: NodeId) {
        for watched in self.hosts.iter_mut().filter(|watched| watched.host.peer == peer) {
            let soon = watched.last.map_or(now, |last| now.max(last + SHORTEST));
            watched.next = watched.next.map(|next| next.min(soon));
        }
    }
}

/// Nobody waits for the look-ups any more: those that wait their turn do not begin.
impl Drop for Resolver {
    fn drop(&mut self) {
        self.system.turns.close();
    }
}

/// Whether this is a host name or an IP address, with a port.
fn is_host(text: &str) -> bool {
    if let Ok(literal) = text.parse::<SocketAddr>() {
        return Address::try_from(literal).is_ok();
    }
    text.rsplit_once(':').is_some_and(|(name, port)| {
        let label = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        !name.is_empty() && name.bytes().all(label) && port.parse::<u16>().is_ok_and(|port| port != 0)
    })
}

/// The addresses of a host; none if it cannot be resolved now.
async fn addresses(host: &str, system: &System) -> Vec<Address> {
    if let Ok(literal) = host.parse::<SocketAddr>() {
        return Address::try_from(literal).into_iter().collect();
    }
    // Closed once nobody wants the answer.
    let Ok(turn) = Arc::clone(&system.turns).acquire_owned().await else { return Vec::new() };
    let (resolve, asked) = (system.resolve, host.to_owned());
    let thread = tokio::task::spawn_blocking(move || {
        let found = resolve(&asked);
        // Not before: one that nobody waits for any more keeps its thread until the system gives it up.
        drop(turn);
        found
    });
    let answer = match tokio::time::timeout(PATIENCE, thread).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(broken)) => Err(broken.into()),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    };
    match answer {
        Ok(found) => found.into_iter().filter_map(|found| Address::try_from(found).ok()).take(ADDRESSES_MAX).collect(),
        Err(error) => {
            tracing::debug!(host, %error, "cannot resolve this host now");
            Vec::new()
        }
    }
}

/// A duration, a fifth more or less, so that nodes do not ask their name server all at once.
fn jittered(duration: Duration) -> Duration {
    let [byte] = clock::random().unwrap_or([128]);
    duration.mul_f64(0.8 + 0.4 * f64::from(byte) / 255.0)
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};

    use super::*;
    use crate::node::status::Nat;
    use crate::wire::id::PublicKey;

    /// A system that gives no answer until it is let go.
    struct Held {
        seen: Mutex<Seen>,
        changed: Condvar,
    }

    struct Seen {
        begun: usize,
        ended: usize,
        /// How many were under way at a time, at most.
        most: usize,
        let_go: bool,
    }

    impl Held {
        const fn new() -> Self {
            Self { seen: Mutex::new(Seen { begun: 0, ended: 0, most: 0, let_go: false }), changed: Condvar::new() }
        }

        fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
            let mut seen = self.seen.lock().unwrap();
            seen.begun += 1;
            seen.most = seen.most.max(seen.begun - seen.ended);
            self.changed.wait_while(seen, |seen| !seen.let_go).unwrap().ended += 1;
            Ok(vec![([192, 0, 2, 7], 1).into()])
        }

        fn let_go(&self) {
            self.seen.lock().unwrap().let_go = true;
            self.changed.notify_all();
        }

        fn begun(&self) -> usize {
            self.seen.lock().unwrap().begun
        }

        fn most(&self) -> usize {
            self.seen.lock().unwrap().most
        }
    }

    /// Lets the system go, also where a test fails: its runtime would wait for the threads.
    struct LetGo(&'static Held);

    impl Drop for LetGo {
        fn drop(&mut self) {
            self.0.let_go();
        }
    }

    /// Lets the tasks run until something is so. No clock of theirs is needed, which may be a stopped one.
    async fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
        let deadline = clock::now() + Duration::from_secs(60);
        while !holds() {
            assert!(clock::now() < deadline, "waited in vain for {what}");
            tokio::task::yield_now().await;
        }
    }

    fn nobody_up() -> Status {
        Status {
            id: NodeId([1; 16]),
            name: "garage".parse().unwrap(),
            name_taken: false,
            public_key: PublicKey([1; 32]),
            addresses: Vec::new(),
            nat: Nat::Unknown,
            orphan: true,
            cluster: None,
            peers: Vec::new(),
            counters: Vec::new(),
        }
    }

    /// A resolver that has begun to look up many more hosts than it may at a time, and then a literal.
    fn busy(resolve: fn(&str) -> io::Result<Vec<SocketAddr>>) -> Resolver {
        let names = (0..3 * AT_A_TIME).map(|nth| format!("host-{nth}.example.net:1"));
        let hosts = names.chain(["192.0.2.1:7733".to_owned()]);
        let hosts = hosts.map(|host| Host { peer: NodeId([7; 16]), host }).collect();
        let now = clock::now();
        let mut resolver = Resolver::new(hosts, now).unwrap();
        resolver.system.resolve = resolve;
        resolver.look_up(now, nobody_up);
        resolver
    }

    #[tokio::test(flavor = "current_thread")]
    async fn hosts_are_looked_up_a_few_at_a_time_and_each_has_its_turn() {
        static HELD: Held = Held::new();
        let held = LetGo(&HELD);
        let mut resolver = busy(|_| HELD.resolve());
        let answer = resolver.answer().await;
        assert_eq!(answer.index, 3 * AT_A_TIME, "a literal waits for nobody");
        wait_for("the first ones", || HELD.begun() >= AT_A_TIME).await;
        // Time for one too many to show.
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(held);
        let mut answered = Vec::new();
        for _ in 0..3 * AT_A_TIME {
            let answer = resolver.answer().await;
            assert_eq!(answer.addresses.len(), 1);
            answered.push(answer.index);
        }
        answered.sort_unstable();
        assert_eq!(answered, Vec::from_iter(0..3 * AT_A_TIME));
        assert_eq!(HELD.most(), AT_A_TIME);
    }

    #[tokio::test(flavor = "current_thread", start_paused = true)]
    async fn a_look_up_that_is_given_up_keeps_its_turn_until_its_thread_ends() {
        static HELD: Held = Held::new();
        let held = LetGo(&HELD);
        let turns = Arc::new(Semaphore::new(1));
        let system = System { turns: Arc::clone(&turns), resolve: |_| HELD.resolve() };
        let asked = tokio::spawn(async move { addresses("attic.example.net:7733", &system).await });
        wait_for("the look-up", || HELD.begun() == 1).await;
        tokio::time::advance(PATIENCE + Duration::from_secs(1)).await;
        assert_eq!(asked.await.unwrap(), []);
        assert_eq!(turns.available_permits(), 0);
        drop(held);
        wait_for("the end of the thread", || turns.available_permits() == 1).await;
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_waits_for_its_turn_ends_with_the_resolver() {
        static HELD: Held = Held::new();
        let held = LetGo(&HELD);
        let resolver = busy(|_| HELD.resolve());
        wait_for("the first ones", || HELD.begun() == AT_A_TIME).await;
        drop(resolver);
        drop(held);
        let tasks = tokio::runtime::Handle::current().metrics();
        wait_for("the end of all", || tasks.num_alive_tasks() == 0).await;
        assert_eq!(HELD.begun(), AT_A_TIME);
    }

    #[test]
    fn a_host_needs_a_name_and_a_port() {
        for good in ["attic.example.net:7733", "attic:1", "192.0.2.1:7733", "[2001:db8::1]:7733", "_x.example:65535"] {
            assert!(is_host(good), "{good}");
        }
        for bad in ["", "attic", "attic:", "attic:0", "attic:65536", ":7733", "a b:1", "0.0.0.0:7733", "2001:db8::1:1"]
        {
            assert!(!is_host(bad), "{bad}");
        }
    }

    #[test]
    fn a_literal_is_never_looked_up() {
        let system = System { turns: Arc::new(Semaphore::new(0)), resolve: |_| panic!("looked up") };
        let mut future = std::pin::pin!(addresses("192.0.2.1:7733", &system));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        // Ready at the first poll and outside a runtime: no look-up can have happened.
        let std::task::Poll::Ready(found) = future.as_mut().poll(&mut context) else { panic!("waits") };
        assert_eq!(found, [Address::try_from("192.0.2.1:7733".parse::<SocketAddr>().unwrap()).unwrap()]);
    }

    #[test]
    fn jitter_is_a_fifth_at_most() {
        for _ in 0..100 {
            let jittered = jittered(AGAIN);
            assert!(jittered >= AGAIN * 4 / 5 && jittered <= AGAIN * 6 / 5 + Duration::from_nanos(10), "{jittered:?}");
        }
    }

    #[test]
    fn one_host_of_a_peer_does_not_displace_another() {
        let now = clock::now();
        let [attic, cellar] = [NodeId([7; 16]), NodeId([8; 16])];
        let host = |peer, host: &str| Host { peer, host: host.to_owned() };
        let hosts =
            vec![host(attic, "a.example.net:1"), host(cellar, "b.example.net:1"), host(attic, "c.example.net:1")];
        let mut resolver = Resolver::new(hosts, now).unwrap();
        let at = |n: u8| Address::new([192, 0, 2, n].into(), 1).unwrap();
        let mut answer = |index, peer, addresses: &[Address]| {
            resolver.answered(now, &Answer { peer, addresses: addresses.to_vec(), index })
        };
        assert_eq!(answer(0, attic, &[at(1), at(2)]), [at(1), at(2)]);
        assert_eq!(answer(1, cellar, &[at(9)]), [at(9)]);
        assert_eq!(answer(2, attic, &[at(3), at(2)]), [at(3), at(2), at(1)]);
        assert_eq!(answer(2, attic, &[]), [], "a look-up that failed says nothing");
        assert_eq!(answer(0, attic, &[at(4)]), [at(4), at(3), at(2)], "what a host stood for before is forgotten");
    }

    #[test]
    fn a_lost_peer_is_looked_up_soon_but_not_at_once_again() {
        let now = clock::now();
        let peer = NodeId([7; 16]);
        let host = Host { peer, host: "attic.example.net:7733".to_owned() };
        let mut resolver = Resolver::new(vec![host], now).unwrap();
        let empty = Answer { peer, addresses: Vec::new(), index: 0 };
        assert_eq!(resolver.answered(now, &empty), []);
        assert!(resolver.due().unwrap() >= now + AFTER_FAILURE * 4 / 5);
        resolver.hurry(now, NodeId([8; 16]));
        assert!(resolver.due().unwrap() >= now + AFTER_FAILURE * 4 / 5);
        resolver.hurry(now, peer);
        assert_eq!(resolver.due(), Some(now + SHORTEST));
    }
}
