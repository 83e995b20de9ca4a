//! Which transactions are taken, which are refused and how, and what becomes of them.

use crate::support::{FUNDS, Net, data};
use bytes::Bytes;
use serde_json::{Value, json};
use weft_arweave::{
    Address, Anchor, ChunkTree, Id, Transaction, TransactionDraft, Winston,
    gateway::{Command, Spending},
};

const REFUSED: &str = "Transaction verification failed.";

#[tokio::test]
async fn a_transaction_waits_is_mined_and_gains_confirmations() {
    let net = Net::start().await;
    let target = Address([9; 32]);
    let price: u128 = net.web.get(&format!("/price/0/{target}")).await.text().parse().unwrap();
    let draft = TransactionDraft {
        last_tx: net.anchor().await,
        target: Some(target),
        quantity: Winston(5),
        reward: Winston(price),
        ..TransactionDraft::default()
    };
    let transaction = draft.sign(&net.wallet).unwrap();
    let id = transaction.id;
    net.web.get(&format!("/tx/{id}")).await.is(404, "Not Found.");
    net.post(&transaction).await.is(200, "OK");
    for path in ["", "/status", "/reward", "/offset"] {
        net.web.get(&format!("/tx/{id}{path}")).await.is(202, "Pending");
    }
    assert_eq!(net.web.get("/tx/pending").await.json(), json!([id]));
    assert_eq!(net.web.get(&format!("/unconfirmed_tx/{id}")).await.json()["id"], json!(id));
    // Nothing moves before it is mined.
    assert_eq!(net.gateway.balance(&net.address()).unwrap(), FUNDS);

    let height = net.mine().await;
    let status = net.web.get(&format!("/tx/{id}/status")).await.json();
    assert_eq!((&status["block_height"], &status["number_of_confirmations"]), (&json!(height), &json!(1)));
    net.gateway.mine(2).await.unwrap();
    let status = net.web.get(&format!("/tx/{id}/status")).await.json();
    assert_eq!(status["number_of_confirmations"], json!(3));
    let block = net.web.get(&format!("/block/height/{height}")).await.json();
    assert_eq!(block["txs"], json!([id]));
    assert_eq!(block["indep_hash"], status["block_indep_hash"]);
    let hash = block["indep_hash"].as_str().unwrap();
    assert_eq!(net.web.get(&format!("/block/hash/{hash}")).await.json(), block);

    let served: Transaction = serde_json::from_slice(&net.web.get(&format!("/tx/{id}")).await.body).unwrap();
    served.verify().unwrap();
    assert_eq!(served, transaction);
    net.web.get(&format!("/tx/{id}/quantity")).await.is(200, "5");
    net.web.get(&format!("/tx/{id}/nonsense")).await.is(404, "Not Found.");
    net.web.get(&format!("/wallet/{target}/balance")).await.is(200, "5");
    net.web
        .get(&format!("/wallet/{}/balance", net.address()))
        .await
        .is(200, &(FUNDS.0 - 5 - price).to_string());
    net.web.get(&format!("/wallet/{}/last_tx", net.address())).await.is(200, &id.to_string());
    let paid = Winston(price + 5);
    let expected = Spending {
        accepted: 1,
        accepted_winston: paid,
        mined: 1,
        mined_winston: paid,
        ..Spending::default()
    };
    assert_eq!(net.gateway.spending(&net.address()).unwrap(), expected);
    net.gateway.stop().await;
}

#[tokio::test]
async fn what_breaks_a_rule_is_refused_as_nodes_do_and_costs_nothing() {
    let net = Net::start().await;
    let tree = ChunkTree::of(b"x");
    let good = net.draft(&tree, Vec::new()).await;
    let sign = |change: &dyn Fn(&mut TransactionDraft)| {
        let mut draft = good.clone();
        change(&mut draft);
        draft.sign(&net.wallet).unwrap()
    };
    let price = good.reward.0;
    let cases: Vec<(&str, Transaction, &str)> = vec![
        ("too cheap", sign(&|draft| draft.reward = Winston(price - 1)), REFUSED),
        (
            "more than there is",
            sign(&|draft| {
                draft.target = Some(Address([9; 32]));
                draft.reward = Winston(price * 100);
                draft.quantity = FUNDS;
            }),
            REFUSED,
        ),
        (
            "more than any number",
            sign(&|draft| {
                draft.target = Some(Address([9; 32]));
                draft.reward = Winston(u128::MAX);
                draft.quantity = Winston(u128::MAX);
            }),
            REFUSED,
        ),
        ("to itself", sign(&|draft| draft.target = Some(net.address())), REFUSED),
        ("too large", sign(&|draft| draft.data = Some((u64::MAX / 2, tree.root()))), REFUSED),
        (
            "no such block",
            sign(&|draft| draft.last_tx = Anchor::new(vec![3; 48]).unwrap()),
            "Invalid anchor (last_tx).",
        ),
        (
            "no such transaction",
            sign(&|draft| draft.last_tx = Anchor::new(vec![3; 32]).unwrap()),
            "Invalid anchor (last_tx).",
        ),
    ];
    for (what, transaction, text) in cases {
        let answer = net.post(&transaction).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (400, text), "{what}");
    }
    let transaction = good.sign(&net.wallet).unwrap();
    let json: Value = serde_json::to_value(&transaction).unwrap();
    let altered: [(&str, Value); 5] = [
        ("reward", json!((price + 1).to_string())),
        ("id", json!(Id([1; 32]))),
        ("data_size", json!("2")),
        ("tags", json!([{ "name": "YQ", "value": "YQ" }])),
        ("format", json!(1)),
    ];
    for (field, value) in altered {
        let mut json = json.clone();
        json[field] = value;
        net.web.post("/tx", json.to_string()).await.is(400, REFUSED);
    }
    let mut other_data = json.clone();
    other_data["data"] = json!("eQ");
    net.web.post("/tx", other_data.to_string()).await.is(400, REFUSED);
    for text in ["", "{}", "[]", "null", "{\"format\": 2", "\u{0}"] {
        net.web.post("/tx", text.to_owned()).await.is(400, "Invalid JSON.");
    }
    assert_eq!(net.gateway.pending().unwrap(), []);
    assert_eq!(net.gateway.spending(&net.address()).unwrap(), Spending::default());

    net.post(&transaction).await.is(200, "OK");
    net.post(&transaction).await.is(208, "Transaction already processed.");
    net.mine().await;
    net.post(&transaction).await.is(208, "Transaction already processed.");
    assert_eq!(net.gateway.spending(&net.address()).unwrap().accepted, 1);
    net.gateway.stop().await;
}

#[tokio::test]
async fn what_waits_counts_against_the_balance() {
    let net = Net::start().await;
    let half = Winston(FUNDS.0 / 2 + 1);
    let sign = |reward| TransactionDraft { reward, ..TransactionDraft::default() };
    let first = sign(half).sign(&net.wallet).unwrap();
    net.post(&first).await.is(200, "OK");
    net.post(&sign(half).sign(&net.wallet).unwrap()).await.is(400, REFUSED);
    // An anchor may not be a transaction that waits.
    let anchor = Anchor::new(first.id.0.to_vec()).unwrap();
    let next = TransactionDraft { last_tx: anchor, ..sign(Winston(1_000_000)) }.sign(&net.wallet).unwrap();
    net.post(&next).await.is(400, "Invalid anchor (last_tx from mempool).");
    net.mine().await;
    net.post(&next).await.is(200, "OK");
    // The empty anchor is for wallets that never sent anything.
    net.post(&sign(Winston(1_000_000)).sign(&net.wallet).unwrap()).await.is(400, "Invalid anchor (last_tx).");
    net.gateway.stop().await;
}

#[tokio::test]
async fn a_transaction_whose_anchor_grew_too_old_is_dropped_and_may_come_again() {
    let net = Net::start().await;
    let id = net.publish(data(10, 1), Vec::new()).await;
    net.gateway.command(Command::Hold(id)).await.unwrap();
    net.gateway.mine(50).await.unwrap();
    net.web.get(&format!("/tx/{id}")).await.is(202, "Pending");
    net.gateway.command(Command::Release).await.unwrap();
    net.mine().await;
    net.web.get(&format!("/tx/{id}")).await.is(410, "tx_bad_anchor");
    net.web.get(&format!("/{id}")).await.is(404, "Not Found.");
    assert_eq!(net.gateway.balance(&net.address()).unwrap(), FUNDS);
    // Signed anew it is another transaction; its data is here already.
    let tree = ChunkTree::of(&data(10, 1));
    let again = net.sign(&tree, Vec::new()).await;
    net.post(&again).await.is(200, "OK");
    assert_eq!(net.web.get(&format!("/{}", again.id)).await.body, data(10, 1));
    net.gateway.stop().await;
}

#[tokio::test]
async fn a_price_covers_begun_chunks_and_new_accounts() {
    let net = Net::start().await;
    let base = net.price(0).await.0;
    let chunk = net.price(1).await.0 - base;
    for (bytes, chunks) in [(1, 1), (256 * 1024, 1), (256 * 1024 + 1, 2), (10 * 256 * 1024, 10)] {
        assert_eq!(net.price(bytes).await.0, base + chunks * chunk, "{bytes}");
    }
    let known = net.web.get(&format!("/price/0/{}", net.address())).await;
    assert_eq!(known.text(), base.to_string());
    let unknown: u128 = net.web.get(&format!("/price/0/{}", Address([1; 32]))).await.text().parse().unwrap();
    assert!(unknown > base);
    assert_eq!(net.web.get("/price/many").await.status, 400);
    assert_eq!(net.web.get(&format!("/price/{}", u64::MAX)).await.status, 200);
    net.gateway.stop().await;
}

#[tokio::test]
async fn the_pool_has_its_bound() {
    let net = Net::with(|config| config.limits.pending = 2).await;
    for seed in 0..2 {
        net.publish(data(10, seed), Vec::new()).await;
    }
    let tree = ChunkTree::of(&Bytes::from_static(b"more"));
    let transaction = net.sign(&tree, Vec::new()).await;
    net.post(&transaction).await.is(400, "Mempool is full.");
    net.mine().await;
    net.post(&transaction).await.is(200, "OK");
    net.gateway.stop().await;
}
