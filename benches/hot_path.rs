//! How long the core takes to receive a heartbeat and to answer it.

#![expect(clippy::disallowed_methods, reason = "virtual time has to begin somewhere")]

#[path = "../tests/hot_path/pair.rs"]
mod pair;

use std::time::{Duration, Instant};

use divan::Bencher;

use pair::{Recording, receive};

fn main() {
    divan::main();
}

/// One heartbeat received, verified and reflected, its acknowledgement made and tagged.
#[divan::bench(sample_count = 200, sample_size = 1)]
fn heartbeat(bencher: Bencher<'_, '_>) {
    let recording = Recording::new(Instant::now(), 2, 0, Duration::from_secs(120), 256);
    let (mut node, _) = recording.node();
    let mut heartbeats = recording.heartbeats();
    bencher
        .with_inputs(|| heartbeats.next().expect("as many heartbeats as samples"))
        .bench_local_values(|(now, mut datagram)| receive(&mut node, now, &mut datagram));
}
