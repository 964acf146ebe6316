//! A network in a box: a switch in a namespace of its own and one namespace a host, joined by veth pairs.
//!
//! Addresses are those set aside for documentation. Each host reaches all of them on the link, so that a node can move
//! from one net to another, and nothing else: no namespace has a route outside.

use std::io::Write;
use std::net::IpAddr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// On-link in every host.
const NETS: [&str; 4] = ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"];

/// Numbers the labs of this process, so that their namespaces never share a name.
static LABS: AtomicU32 = AtomicU32::new(0);

/// A switch with the hosts that were plugged into it. Dropping it removes all of them.
pub(crate) struct Lab {
    prefix: String,
    hosts: u32,
}

/// A namespace with one network interface, `eth0`.
#[derive(Clone)]
pub(crate) struct Host {
    namespace: String,
    switch: String,
    port: String,
}

/// Which of the two separate halves of the switch a host is plugged into.
#[derive(Clone, Copy)]
pub(crate) enum Side {
    /// Where hosts are at first.
    Mainland,
    /// Cut off from the mainland.
    Island,
}

impl Lab {
    /// A lab without hosts, or `None`, said on standard error, where namespaces cannot be made.
    pub(crate) fn new(scenario: &str) -> Option<Self> {
        if let Err(reason) = possible() {
            super::skip(scenario, &reason);
            return None;
        }
        let number = LABS.fetch_add(1, Ordering::Relaxed);
        let lab = Self { prefix: format!("dddns-{}-{number}", std::process::id()), hosts: 0 };
        let switch = lab.switch();
        ip(&["netns", "add", &switch]);
        batch(
            &switch,
            "link add br0 type bridge mcast_snooping 0
             link add br1 type bridge mcast_snooping 0
             link set br0 up
             link set br1 up",
        );
        Some(lab)
    }

    /// The namespace of the switch: what passes any of its ports can be captured there.
    pub(crate) fn switch(&self) -> String {
        format!("{}-switch", self.prefix)
    }

    /// A new host without an address.
    pub(crate) fn host(&mut self) -> Host {
        self.hosts += 1;
        let port = format!("p{}", self.hosts);
        let host =
            Host { namespace: format!("{}-{}", self.prefix, self.hosts), switch: self.switch(), port: port.clone() };
        ip(&["netns", "add", &host.namespace]);
        // Addresses work at once: no wait for duplicates, no router; a taken-over address is made known at once.
        host.sysctl("ipv6/conf/default/accept_dad", "0");
        host.sysctl("ipv6/conf/default/router_solicitations", "0");
        host.sysctl("ipv4/conf/default/arp_notify", "1");
        let namespace = &host.namespace;
        batch(
            &self.switch(),
            &format!(
                "link add {port} type veth peer name eth0 netns {namespace}
                 link set {port} master br0 up"
            ),
        );
        batch(namespace, "link set lo up\nlink set eth0 up");
        host
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let hosts = (1..=self.hosts).map(|number| format!("{}-{number}", self.prefix));
        for namespace in hosts.chain([self.switch()]) {
            // Best effort: a panic here would hide the one that is being reported.
            let _ = Command::new("ip").args(["netns", "del", &namespace]).stderr(Stdio::null()).status();
        }
    }
}

impl Host {
    /// A command that runs on this host.
    pub(crate) fn command(&self, program: &str) -> Command {
        command_in(&self.namespace, program)
    }

    /// The switch's interface that the host is plugged into.
    pub(crate) fn port(&self) -> &str {
        &self.port
    }

    /// Replaces all global addresses by these, in one go.
    pub(crate) fn set_addresses(&self, addresses: &[&str]) {
        let mut lines = String::from("addr flush dev eth0 scope global\n");
        for address in addresses {
            lines += &match address.parse().expect("scenarios name addresses") {
                IpAddr::V4(v4) => format!("addr add {v4}/32 dev eth0\n"),
                IpAddr::V6(v6) => format!("addr add {v6}/128 dev eth0 nodad\n"),
            };
        }
        batch(&self.namespace, &lines);
        self.set_routes(addresses);
    }

    /// Takes the interface down, with all its routes.
    pub(crate) fn unplug(&self) {
        batch(&self.namespace, "link set eth0 down");
    }

    /// Brings the interface up again with these addresses.
    pub(crate) fn plug(&self, addresses: &[&str]) {
        batch(&self.namespace, "link set eth0 up");
        self.set_addresses(addresses);
    }

    /// Plugs the host into the other half of the switch. The host itself notices nothing.
    pub(crate) fn move_to(&self, side: Side) {
        let bridge = match side {
            Side::Mainland => "br0",
            Side::Island => "br1",
        };
        batch(&self.switch, &format!("link set {} master {bridge}", self.port));
    }

    /// Takes IPv6 away from the host, as a kernel without it would.
    pub(crate) fn disable_ipv6(&self) {
        self.sysctl("ipv6/conf/all/disable_ipv6", "1");
    }

    fn set_routes(&self, addresses: &[&str]) {
        let has = |colon: bool| addresses.iter().any(|address| address.contains(':') == colon);
        let routes: String = NETS
            .iter()
            .filter(|net| has(net.contains(':')))
            .map(|net| format!("route replace {net} dev eth0\n"))
            .collect();
        batch(&self.namespace, &routes);
    }

    fn sysctl(&self, key: &str, value: &str) {
        let done = self.command("sh").args(["-c", &format!("echo {value} > /proc/sys/net/{key}")]).status();
        assert!(done.is_ok_and(|status| status.success()), "cannot set net/{key} in {}", self.namespace);
    }
}

/// A command that runs in a namespace. `ip` replaces itself by the program, so the child's ID is the program's.
pub(crate) fn command_in(namespace: &str, program: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace, program]);
    command
}

/// Why namespaces cannot be made here, if so.
fn possible() -> Result<(), String> {
    let probe = format!("dddns-{}-probe-{}", std::process::id(), LABS.fetch_add(1, Ordering::Relaxed));
    let made = Command::new("ip").args(["netns", "add", &probe]).output();
    let made = made.map_err(|error| format!("needs the program ip (Debian package iproute2): {error}"))?;
    if !made.status.success() {
        return Err(format!("needs root, to make namespaces: {}", String::from_utf8_lossy(&made.stderr).trim()));
    }
    ip(&["netns", "del", &probe]);
    Ok(())
}

/// Runs `ip` and expects it to succeed.
fn ip(args: &[&str]) {
    let output = Command::new("ip").args(args).output().expect("ip runs");
    assert!(output.status.success(), "ip {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
}

/// Runs lines of `ip` commands in a namespace and expects all of them to succeed.
fn batch(namespace: &str, lines: &str) {
    let mut child = Command::new("ip")
        .args(["-n", namespace, "-batch", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ip runs");
    let mut input = child.stdin.take().expect("standard input is piped");
    input.write_all(lines.as_bytes()).expect("ip reads its input");
    drop(input);
    let output = child.wait_with_output().expect("ip ends");
    assert!(output.status.success(), "ip in {namespace}: {lines}\n{}", String::from_utf8_lossy(&output.stderr));
}
