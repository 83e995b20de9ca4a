//! A network of real processes, each in a network namespace of its own, over links that are cut, slow and lossy.
//!
//! Needs root, `ip` and `/dev/net/tun`; says in one line what is missing where it cannot run. The link's faults are made
//! by the test (`tests/common/lan.rs`), so that they are the same on every kernel.

mod common;

use alloy_primitives::B256;
use common::{
    Account, Node, eventually, folder,
    lan::{Lan, Link},
    noise,
};
use std::{path::Path, time::Duration};

const CUT: Link = Link { delay: Duration::ZERO, loss_per_mille: 0, bytes_per_second: None, cut: true };
const OPEN: Link = Link { delay: Duration::ZERO, loss_per_mille: 0, bytes_per_second: None, cut: false };

/// `None`: this machine cannot, and it was said why.
fn lan(count: usize) -> Option<Lan> {
    Lan::new(count, 1).inspect_err(|missing| eprintln!("skipped: no links can be made here: {missing}")).ok()
}

/// A node that seals in the first namespace, followers in the others; each dials all before it.
struct Net {
    lan: Lan,
    /// The first one seals.
    nodes: Vec<Node>,
    account: Account,
}

impl Net {
    /// `None`: this machine cannot, and it was said why.
    fn start(folder: &Path, count: usize) -> Option<Self> {
        let lan = lan(count)?;
        let mut nodes: Vec<Node> = Vec::new();
        for (index, namespace) in lan.namespaces.iter().enumerate() {
            let peers: Vec<&str> = nodes.iter().map(|node| node.network.as_str()).collect();
            let (address, peers) =
                (format!("--p2p.addr={}", namespace.address), format!("--p2p.peers={}", peers.join(",")));
            let sealer = nodes.first().map_or("", |sealer| sealer.network.as_str());
            let sealers = format!("--p2p.sealers={}", sealer.rsplit('/').next().unwrap_or_default());
            let common =
                ["--http.port=0", "--metrics=127.0.0.1:0", "--db.min-free=1", "--p2p.port=30310", &address];
            let own: &[&str] = match index {
                0 => &["node", "--dev", "--p2p"],
                _ => &["node", "--http", &sealers, &peers],
            };
            nodes.push(namespace.launch(&folder.join(format!("node-{index}")), &[own, &common].concat()));
        }
        for node in &nodes {
            eventually("connections", || (node.peer_count() + 1 == count as u64).then_some(()));
        }
        let account = Account::open(&nodes[0], 0);
        Some(Self { lan, nodes, account })
    }

    /// Publishes at the node that seals and waits for the receipt there.
    fn publish(&mut self, data: &[u8]) -> B256 {
        self.account.publish(&self.nodes[0], data.to_vec().into())
    }

    /// Waits until a node is where the first one is.
    fn follow(&self, index: usize) {
        self.nodes[index].follow_to(self.nodes[0].block_number());
    }
}

#[test]
fn a_node_that_was_cut_off_catches_up_when_the_link_is_back() {
    let folder = folder();
    let Some(mut net) = Net::start(folder.path(), 3) else { return };
    let first = net.publish(&noise(1, 200_000));
    net.follow(2);
    net.nodes[2].assert_blob(first, &noise(1, 200_000));

    net.lan.set_all(2, CUT);
    let before = net.nodes[2].block_number();
    let blobs: Vec<(B256, Vec<u8>)> = (2..8)
        .map(|seed| {
            let data = noise(seed, 300_000);
            (net.publish(&data), data)
        })
        .collect();
    net.follow(1);
    assert_eq!(net.nodes[2].block_number(), before, "nothing reached it");
    // Silence alone tells both sides that the other is gone.
    for (node, left) in [(2, 0), (0, 1), (1, 1)] {
        eventually("the loss of the peers", || (net.nodes[node].peer_count() == left).then_some(()));
    }

    net.lan.set_all(2, OPEN);
    net.follow(2);
    for (hash, data) in &blobs {
        net.nodes[2].assert_blob(*hash, data);
    }
    let last = net.publish(&noise(9, 300_000));
    net.follow(2);
    net.nodes[2].assert_blob(last, &noise(9, 300_000));
}

#[test]
fn neighbours_find_each_other_by_multicast_dns() {
    let folder = folder();
    let Some(lan) = lan(2) else { return };
    let launch = |index: usize, own: &[&str]| {
        let namespace = &lan.namespaces[index];
        let address = format!("--p2p.addr={}", namespace.address);
        let common = ["--http.port=0", "--metrics=127.0.0.1:0", "--db.min-free=1", "--p2p.mdns", &address];
        namespace.launch(&folder.path().join(format!("node-{index}")), &[own, &common].concat())
    };
    let sealer = launch(0, &["node", "--dev", "--p2p"]);
    let sealers = format!("--p2p.sealers={}", sealer.peer_id());
    // It is told whom to believe, and not where that is.
    let follower = launch(1, &["node", "--http", &sealers]);
    let hash = Account::open(&sealer, 0).publish(&sealer, noise(1, 50_000).into());
    follower.follow_to(1);
    follower.assert_blob(hash, &noise(1, 50_000));
}

#[test]
fn a_short_cut_is_made_up_for() {
    let folder = folder();
    let Some(mut net) = Net::start(folder.path(), 2) else { return };
    for seed in 1..6 {
        // The block is sealed and announced while nothing gets through.
        net.lan.set_all(1, CUT);
        let data = noise(seed, 150_000);
        let hash = net.publish(&data);
        net.lan.set_all(1, OPEN);
        net.follow(1);
        net.nodes[1].assert_blob(hash, &data);
    }
}

#[test]
fn blocks_find_their_way_round_a_cut_link() {
    let folder = folder();
    let Some(mut net) = Net::start(folder.path(), 3) else { return };
    net.lan.set(0, 2, CUT);
    for seed in 1..5 {
        let data = noise(seed, 400_000);
        let hash = net.publish(&data);
        net.follow(2);
        net.nodes[2].assert_blob(hash, &data);
    }
}

#[test]
fn a_slow_and_lossy_link_holds_only_its_own_node_up() {
    let folder = folder();
    let Some(mut net) = Net::start(folder.path(), 3) else { return };
    let link = Link {
        delay: Duration::from_millis(30),
        loss_per_mille: 5,
        bytes_per_second: Some(1_000_000),
        cut: false,
    };
    net.lan.set_all(2, link);
    let mut blobs = Vec::new();
    for seed in 1..9 {
        let data = noise(seed, 400_000);
        blobs.push((net.publish(&data), data));
        net.follow(1);
    }
    net.follow(2);
    for (hash, data) in &blobs {
        net.nodes[1].assert_blob(*hash, data);
        net.nodes[2].assert_blob(*hash, data);
    }
    assert_eq!(net.nodes[2].peer_count(), 2, "slow is no offence");
}
