//! dddns inside a program of one's own: two nodes, driven by tokio, and what their handles tell.
//!
//! `cargo run --example embed`

use std::error::Error;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use dddns::auth::identity::Identity;
use dddns::config::{Cluster, ClusterKey, Config};
use dddns::driver::event_stream::Events;
use dddns::driver::handle::Handle;
use dddns::driver::{Driver, Settings, clock};
use dddns::node::event::Event;
use dddns::node::saved::Saved;
use dddns::wire::address::Address;
use dddns::wire::id::ClusterId;

/// How long an invite is good for.
const INVITE: Duration = Duration::from_secs(3600);

/// In what time the two must have met.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    tokio::time::timeout(PATIENCE, meet()).await.map_err(|_| format!("the nodes did not meet within {PATIENCE:?}"))?
}

async fn meet() -> Result<(), Box<dyn Error>> {
    // The first node of a new cluster, and one that is to join it.
    let cluster = Cluster { id: ClusterId(clock::random()?), key: ClusterKey(clock::random()?) };
    let garage_at = place(1)?;
    let (garage, mut garage_events) = start("garage", Some(cluster), garage_at)?;
    let (attic, mut attic_events) = start("attic", None, place(2)?)?;

    // One line of text lets it in.
    let invite = garage.create_invite(INVITE, &[Address::try_from(garage_at)?]).await?;
    attic.join(invite).await?;

    // Follow what happens until each has heard where it is.
    follow("garage", &mut garage_events).await?;
    follow("attic", &mut attic_events).await?;

    let mut out = io::stdout().lock();
    for own in garage.own_addresses().await? {
        writeln!(out, "garage is at {} ({})", own.address, own.confidence.as_str())?;
    }
    for peer in garage.peers().await? {
        writeln!(out, "garage has the peer {}, which is {}", peer.display_name(), peer.state.as_str())?;
    }
    if let Some(address) = garage.resolve("attic").await? {
        writeln!(out, "attic is at {address}")?;
    }

    attic.shutdown().await?;
    garage.shutdown().await?;
    Ok(())
}

/// Starts a node. It runs until its handle shuts it down.
fn start(name: &str, cluster: Option<Cluster>, at: SocketAddr) -> Result<(Handle, Events), Box<dyn Error>> {
    let mut config = Config::new(name.parse()?);
    config.cluster = cluster;
    let identity = Identity::from_secret(clock::random()?);
    let (driver, handle) = Driver::new(config, identity, Saved::default(), Settings::new(vec![at]))?;
    let events = driver.events();
    tokio::spawn(driver.run());
    Ok((handle, events))
}

/// Prints a node's events until it has learned its own address.
async fn follow(name: &str, events: &mut Events) -> Result<(), Box<dyn Error>> {
    while let Some(event) = events.next().await {
        writeln!(io::stdout().lock(), "{name}: {event:?}")?;
        if matches!(event, Event::OwnAddress { .. }) {
            return Ok(());
        }
    }
    Err(format!("{name} stopped early").into())
}

/// A port on the loopback interface that differs between processes.
fn place(offset: u32) -> Result<SocketAddr, Box<dyn Error>> {
    let port = u16::try_from(32_000 + (std::process::id() * 7 + offset) % 700)?;
    Ok(SocketAddr::from(([127, 0, 0, 1], port)))
}
