//! The table of `dddns status`: a line about this node, then a row a peer.

use crate::cli::age::{age, measured, rtt};
use crate::cli::style::{Style, Tone};
use crate::daemon::control_message::StatusReply;
use crate::daemon::status_report::{OwnAddressReport, PeerReport};

/// How many characters of an ID tell the nodes of a cluster apart by eye.
const SHORT: usize = 8;

/// The columns, with their least widths. The last one takes what it needs.
const COLUMNS: [(&str, usize); 7] =
    [("NAME", 7), ("STATE", 7), ("ADDRESS", 19), ("SEEN", 5), ("RTT", 6), ("SINCE", 6), ("VIA", 0)];

/// The whole table, each line with its line feed.
pub(super) fn render(status: &StatusReply, style: Style) -> String {
    let mut out = head(status, style);
    let report = &status.report;
    if report.peers.is_empty() {
        out.push_str("no other members yet: dddns invite lets one in\n");
        return out;
    }
    let next = |at: usize| status.hints.next_try_ms.get(at).copied().flatten();
    let rows: Vec<[String; COLUMNS.len()]> =
        report.peers.iter().enumerate().map(|(at, peer)| cells(peer, next(at))).collect();
    let widths: Vec<usize> = COLUMNS
        .iter()
        .enumerate()
        .map(|(column, (_, least))| {
            let of = |row: &[String; COLUMNS.len()]| row.get(column).map_or(0, |cell| cell.chars().count());
            rows.iter().map(of).max().unwrap_or(0).max(*least)
        })
        .collect();
    out.push_str(&line(&COLUMNS.map(|(title, _)| title.to_owned()), &widths, |_, cell| {
        style.paint(Tone::Heading, cell).into_owned()
    }));
    for (row, peer) in rows.iter().zip(&report.peers) {
        out.push_str(&line(row, &widths, |column, cell| {
            if column == 1 { style.paint(tone(&peer.state), cell).into_owned() } else { cell.to_owned() }
        }));
    }
    out
}

/// One row: every cell but the last padded to its column's width, then painted.
fn line(cells: &[String], widths: &[usize], paint: impl Fn(usize, &str) -> String) -> String {
    let mut text = String::new();
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        text.push_str(&paint(column, cell));
        if column + 1 < cells.len() {
            text.push_str(&" ".repeat(width.saturating_sub(cell.chars().count()) + 2));
        }
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// The line about this node, and one more for each further address.
fn head(status: &StatusReply, style: Style) -> String {
    let report = &status.report;
    let cluster = report.cluster.id.as_deref().map_or("-", short);
    let me = format!("{} ({})", report.node.name, short(&report.node.id));
    let mut head = format!(
        "cluster {cluster}   {} members, {} up   me {}",
        report.cluster.members,
        report.cluster.up,
        style.paint(Tone::Heading, &me)
    );
    if report.cluster.members == 1 {
        head = head.replacen("1 members", "1 member", 1);
    }
    let votes = |at: usize, own: &OwnAddressReport| {
        let groups = status.hints.groups.get(at).copied().unwrap_or(own.observers);
        format!("{}  {}", own.addr, opinion(own, groups))
    };
    let mut addresses = report.node.addresses.iter().enumerate().map(|(at, own)| votes(at, own));
    match addresses.next() {
        Some(first) => head.push_str(&format!("  {first}\n")),
        None => head.push_str("  no address yet: no peer has told it\n"),
    }
    for (at, further) in addresses.enumerate() {
        let scope = report.node.addresses.get(at + 1).map_or("", |own| own.scope.as_str());
        head.push_str(&format!("also {further} ({scope})\n"));
    }
    if status.hints.orphan && !report.peers.is_empty() {
        let text = "orphan: no peer answers; trying every address that was ever known";
        head.push_str(&style.paint(Tone::Bad, text));
        head.push('\n');
    }
    head
}

/// How sure the node is of its address: how many observers agree, since when.
fn opinion(own: &OwnAddressReport, groups: usize) -> String {
    let age = own.age_ms.map_or_else(|| "before the start".to_owned(), |ms| format!("{} ago", age(ms)));
    match own.confidence.as_str() {
        "stale" => format!("stale, last confirmed {age}"),
        "disputed" => format!("disputed, {} of {groups} observers, {age}", own.observers),
        "single-observer" => format!("1 observer only, {age}"),
        _ => format!("{} of {groups} observers, {age}", own.observers),
    }
}

fn cells(peer: &PeerReport, next_try_ms: Option<u64>) -> [String; COLUMNS.len()] {
    let dash = || "-".to_owned();
    let answers = peer.via.as_deref() == Some("direct");
    [
        peer.name.clone(),
        peer.state.clone(),
        peer.addr.clone().unwrap_or_else(dash),
        peer.last_seen_ms.map_or_else(dash, age),
        peer.rtt_ms.filter(|_| answers).map_or_else(dash, rtt),
        if answers { age(peer.since_ms) } else { dash() },
        match peer.via.as_deref() {
            Some("direct") => path(peer),
            Some(_) => "no link".to_owned(),
            None => search(peer, next_try_ms),
        },
    ]
}

/// How a peer that answers is reached, and from where it came.
fn path(peer: &PeerReport) -> String {
    let mut text = peer.via.clone().unwrap_or_default();
    match peer.scope.as_deref() {
        Some("private" | "link-local") => text.push_str(" (lan)"),
        Some("loopback") => text.push_str(" (this machine)"),
        Some(_) | None => {}
    }
    if let Some(previous) = &peer.previous_addr {
        text.push_str(&format!("   was {previous}"));
        if let Some(ms) = peer.healed_ms {
            text.push_str(&format!(", healed in {}", measured(ms)));
        }
    }
    text
}

/// How a peer that does not answer is being looked for.
fn search(peer: &PeerReport, next_try_ms: Option<u64>) -> String {
    let candidates = match peer.candidates {
        // Between two rounds nothing is tried, and there is its last address for the next one.
        0 if peer.addr.is_some() => None,
        0 => Some("no address to try".to_owned()),
        1 => Some("1 candidate".to_owned()),
        many => Some(format!("{many} candidates")),
    };
    let next_try = next_try_ms.map(|ms| format!("next try in {}", age(ms)));
    let parts: Vec<String> = candidates.into_iter().chain(next_try).collect();
    if parts.is_empty() { "waiting".to_owned() } else { parts.join(", ") }
}

fn tone(state: &str) -> Tone {
    match state {
        "up" => Tone::Good,
        "suspect" => Tone::Doubtful,
        "lost" | "conflict" => Tone::Bad,
        _ => Tone::Quiet,
    }
}

fn short(id: &str) -> &str {
    id.get(..SHORT).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::status_report::{StatusReport, TableHints, tests};
    use crate::node::status::Status;

    fn reply(status: &Status) -> StatusReply {
        StatusReply { report: StatusReport::new(status, &[]), hints: TableHints::new(status) }
    }

    #[test]
    fn the_table_reads_as_the_design_shows_it() {
        insta::assert_snapshot!(render(&reply(&tests::status()), Style::new(false)), @r"
        cluster aucqkbif   5 members, 4 up   me garage (beeqscij)  203.0.113.7:7733  3 of 3 observers, 4 s ago
        NAME     STATE    ADDRESS              SEEN   RTT     SINCE   VIA
        attic    up       198.51.100.23:7733   3 s    14 ms   2 d     direct
        berlin   up       192.0.2.99:50211     1 s    31 ms   6 s     direct   was 192.0.2.14:7733, healed in 1.8 s
        cabin    up       10.0.0.9:7733        3 s    0.7 ms  9 h     direct (lan)
        vps      lost     203.0.113.200:7733   3 h    -       -       4 candidates, next try in 40 s
        ");
    }

    #[test]
    fn an_orphan_says_so() {
        insta::assert_snapshot!(render(&reply(&tests::fresh()), Style::new(false)), @r"
        cluster aucqkbif   2 members, 1 up   me garage (beeqscij)  no address yet: no peer has told it
        orphan: no peer answers; trying every address that was ever known
        NAME     STATE    ADDRESS              SEEN   RTT     SINCE   VIA
        attic    unknown  -                    -      -       -       no address to try
        ");
    }

    #[test]
    fn a_node_alone_says_what_to_do() {
        let alone = Status { peers: Vec::new(), ..tests::fresh() };
        insta::assert_snapshot!(render(&reply(&alone), Style::new(false)), @r"
        cluster aucqkbif   1 member, 1 up   me garage (beeqscij)  no address yet: no peer has told it
        no other members yet: dddns invite lets one in
        ");
    }

    #[test]
    fn color_changes_no_column() {
        let plain = render(&reply(&tests::status()), Style::new(false));
        let colored = render(&reply(&tests::status()), Style::new(true));
        assert!(colored.contains("\x1b[32mup\x1b[0m"));
        let mut stripped = colored;
        for code in ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m"] {
            stripped = stripped.replace(code, "");
        }
        assert_eq!(stripped, plain);
    }
}
