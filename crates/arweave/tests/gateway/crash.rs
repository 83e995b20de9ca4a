//! SIGKILL at any moment: what was acknowledged is there, what was not is either there whole or not at all.
//!
//! The gateway runs in a process of its own: this test binary again, with [`serve`] as its only test.

use crate::support::{FUNDS, Web, bundler, chunk, config, data, item, tag, wallet};
use bytes::Bytes;
use std::{
    env,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tokio::time::timeout;
use weft_arweave::{
    Address, Anchor, ChunkTree, Gateway, GatewayConfig, Id, TransactionDraft, Winston, gateway::Mining,
};

const FOLDER: &str = "WEFT_TEST_GATEWAY_FOLDER";
const ROUNDS: usize = 12;
/// More than any step takes.
const DEADLINE: Duration = Duration::from_secs(60);

/// The other process; without its variable it has nothing to do.
#[tokio::test]
async fn serve() {
    let Ok(folder) = env::var(FOLDER) else { return };
    let config = GatewayConfig {
        bundler: Some(bundler()),
        mining: Mining::Interval { every: Duration::from_millis(3), rest_after_confirmations: 10 },
        ..GatewayConfig::new(folder)
    };
    let gateway = Gateway::start(config).await.unwrap();
    println!("\nlistens {}", gateway.url());
    std::future::pending::<()>().await;
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(folder: &Path) -> (Killed, Web) {
    let mut child = Command::new(env::current_exe().expect("this binary"))
        .args(["crash::serve", "--exact", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .expect("runs");
    let output = BufReader::new(child.stdout.take().expect("its output"));
    let killed = Killed(child);
    let url = output
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("listens ").map(str::to_owned))
        .expect("it listens");
    (killed, Web::new(url))
}

/// What was acknowledged.
#[derive(Default)]
struct Acknowledged {
    transactions: Vec<Id>,
    whole: Vec<(Id, Bytes)>,
    minted: u128,
}

/// Sends until the gateway does not answer; says what it acknowledged.
async fn load(web: &Web, round: usize, done: &mut Acknowledged) -> Option<()> {
    let send = |method, path: String, body: Vec<u8>| {
        let request = web.request(method, &path, body);
        async move { web.send(request).await.filter(|answer| answer.status.is_success()) }
    };
    let wallet = wallet();
    for turn in 0.. {
        let seed = (round * 50 + turn) as u8;
        let bytes = data(600_000 + turn, seed);
        let tree = ChunkTree::of(&bytes);
        let anchor = send(hyper::Method::GET, "/tx_anchor".into(), Vec::new()).await?;
        let draft = TransactionDraft {
            last_tx: anchor.text().parse::<Anchor>().expect("an anchor"),
            reward: Winston(10_000_000_000),
            tags: vec![tag("Round", &round.to_string())],
            ..TransactionDraft::publishing(&tree)
        };
        let transaction = draft.sign(&wallet).expect("signed");
        send(hyper::Method::POST, "/tx".into(), serde_json::to_vec(&transaction).expect("JSON")).await?;
        done.transactions.push(transaction.id);
        let chunks = (0..tree.chunks().len())
            .map(|at| send(hyper::Method::POST, "/chunk".into(), chunk(&tree, &bytes, at)));
        let posted = futures::future::join_all(chunks).await;
        posted.into_iter().collect::<Option<Vec<_>>>()?;
        done.whole.push((transaction.id, bytes));
        let uploaded = item(vec![tag("Round", &round.to_string())], data(5_000 + turn, seed ^ 0x55));
        send(hyper::Method::POST, "/v1/tx".into(), uploaded.bytes().to_vec()).await?;
        done.whole.push((uploaded.id(), uploaded.data()));
        let address = Address([77; 32]);
        send(hyper::Method::GET, format!("/mint/{address}/1"), Vec::new()).await?;
        done.minted += 1;
    }
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_kill() {
    let folder = tempfile::tempdir().unwrap();
    let place = config(&folder).folder;
    let mut done = Acknowledged::default();
    for round in 0..ROUNDS {
        let (killed, web) = start(&place);
        web.get(&format!("/mint/{}/{}", wallet().address(), FUNDS)).await;
        let sending = load(&web, round, &mut done);
        // Another moment in each round, counted in what the client sees rather than in time alone.
        let moment = Duration::from_millis(40 + 37 * (round as u64 % 7));
        let _ = timeout(moment, sending).await;
        drop(killed);
    }
    assert!(done.whole.len() > ROUNDS, "too little was sent: {}", done.whole.len());

    let gateway = timeout(DEADLINE, Gateway::start(config(&folder))).await.unwrap().unwrap();
    gateway.mine(1).await.unwrap();
    let web = Web::new(gateway.url());
    for id in &done.transactions {
        assert_eq!(web.get(&format!("/tx/{id}/status")).await.status, 200, "{id}");
    }
    for (id, bytes) in &done.whole {
        let answer = web.get(&format!("/{id}")).await;
        assert_eq!(answer.status, 200, "{id}");
        assert!(answer.body == bytes, "{id}: other bytes");
    }
    // Every account adds up, and nothing was paid twice.
    let spending = gateway.spending(&wallet().address()).unwrap();
    assert_eq!(spending.accepted, spending.mined);
    assert!(spending.mined as usize >= done.transactions.len());
    assert!(spending.mined as usize <= done.transactions.len() + ROUNDS);
    let minted = gateway.balance(&Address([77; 32])).unwrap().0;
    assert!((done.minted..=done.minted + ROUNDS as u128).contains(&minted), "{minted} of {}", done.minted);
    let found = web.query(r#"{ transactions(first: 100, tags: [{name: "Round", values: ["0"]}]) { edges { node { id block { height } } } } }"#).await;
    for edge in found["transactions"]["edges"].as_array().unwrap() {
        assert!(edge["node"]["block"]["height"].is_number(), "{edge}");
    }
    gateway.stop().await;
}
