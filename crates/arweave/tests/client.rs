//! The client against the embedded gateway: the whole way of a transaction and of items, and what it does when gateways fail,
//! drop answers, forget and lie.

mod common;

use common::{client, config, data, urls};
use std::time::Duration;
use weft_arweave::{
    Bundle, ChunkTree, Client, DataItem, Error, EthereumKey, FormatError, Gateway, GatewayConfig,
    GatewayHandle, Id, ItemDraft, Signer, Tag, Transaction, TransactionDraft, Wallet, Winston, bundle,
    client::{ItemStatus, ItemUpload, Posted, Query, TransactionStatus, UploadData},
    gateway::{Action, Command, Fault, Route},
};

const MAX: u64 = 64 << 20;

struct World {
    gateway: GatewayHandle,
    _folder: tempfile::TempDir,
}

async fn world() -> World {
    let folder = tempfile::tempdir().expect("a folder");
    let gateway = Gateway::start(GatewayConfig::new(folder.path())).await.expect("started");
    World { gateway, _folder: folder }
}

async fn funded(worlds: &[&World]) -> Wallet {
    let wallet = tokio::task::spawn_blocking(Wallet::generate).await.expect("no panic").expect("a key");
    for world in worlds {
        world.gateway.mint(wallet.address(), Winston(1 << 50)).await.expect("minted");
    }
    wallet
}

async fn signed(client: &Client, wallet: &Wallet, tree: &ChunkTree, tags: Vec<Tag>) -> Transaction {
    let draft = TransactionDraft {
        last_tx: client.tx_anchor().await.expect("an anchor"),
        reward: client.price(tree.size(), None).await.expect("a price"),
        tags,
        ..TransactionDraft::publishing(tree)
    };
    draft.sign(wallet).expect("signed")
}

fn item(text: &str, tags: Vec<Tag>) -> DataItem {
    let key = EthereumKey::from_bytes(&[5; 32]).expect("a key");
    let draft = ItemDraft { tags, data: text.to_owned().into(), ..ItemDraft::default() };
    draft.sign(Signer::Ethereum(&key)).expect("signed")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_goes_up_in_chunks_and_comes_back_proven() {
    let world = world().await;
    let wallet = funded(&[&world]).await;
    let client = client(&[&world.gateway.url()]);
    assert_eq!(client.network_info().await.expect("info").network, "weft.local");
    assert_eq!(client.balance(wallet.address()).await.expect("a balance"), Winston(1 << 50));

    let whole = data(5 * 256 * 1024 + 100);
    let source = UploadData::Bytes(whole.clone().into());
    let tree = source.tree().expect("a tree");
    let transaction = signed(&client, &wallet, &tree, vec![Tag::new("App-Name", "weft")]).await;
    let id = transaction.id;
    assert_eq!(client.transaction_status(id).await.expect("a status"), TransactionStatus::Unknown);
    assert_eq!(client.post(&transaction).await.expect("posted"), Posted::Accepted);
    assert_eq!(client.post(&transaction).await.expect("posted"), Posted::AlreadyKnown);

    // Interrupted after the first two chunks, then from a file.
    let taken = std::sync::Mutex::new(Vec::new());
    let on_taken = |index| taken.lock().expect("no panic").push(index);
    client.upload_chunks(&transaction, &tree, &source, [0, 1], on_taken).await.expect("taken");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("data");
    std::fs::write(&file, &whole).expect("written");
    let file = UploadData::File(file);
    assert_eq!(file.tree().expect("a tree").root(), tree.root());
    client.upload_chunks(&transaction, &tree, &file, 1..tree.chunks().len(), on_taken).await.expect("taken");
    let mut taken = taken.into_inner().expect("no panic");
    taken.sort_unstable();
    assert_eq!(taken, [0, 1, 1, 2, 3, 4, 5], "each as often as it was asked for");

    assert_eq!(client.transaction_status(id).await.expect("a status"), TransactionStatus::Pending);
    assert!(matches!(client.transaction(id).await, Err(Error::Pending(_))));
    assert!(matches!(client.prove_inclusion(&transaction, 3).await, Err(Error::Pending(_))));
    world.gateway.mine(3).await.expect("mined");
    let status = client.transaction_status(id).await.expect("a status");
    assert!(matches!(status, TransactionStatus::Confirmed { confirmations: 3.., .. }), "{status:?}");

    assert_eq!(client.transaction(id).await.expect("verified"), transaction);
    let (again, read) = client.transaction_with_data(id, MAX).await.expect("verified");
    assert_eq!((again, read), (transaction.clone(), whole.clone().into()));
    assert_eq!(client.data_from_chunks(&transaction, MAX).await.expect("verified"), whole);
    let part = client.untrusted_range(id, 300_000..300_010, MAX).await.expect("a range");
    assert_eq!(part, whole[300_000..300_010]);
    let small = client.transaction_with_data(id, 1000).await.expect_err("too large");
    assert!(matches!(small, Error::BodyTooLarge { max: 1000, .. }));

    let inclusion = client.prove_inclusion(&transaction, 10).await.expect("proven");
    assert!(inclusion.is_under_block_root() && inclusion.chunks_proven() >= 3);
    assert_eq!(inclusion.placement(), client.placement(id).await.expect("a placement"));
    assert!(inclusion.confirmations() >= 3 && inclusion.height() > 0);
    let block = client.untrusted_block(inclusion.block()).await.expect("a block");
    assert_eq!(block.height, inclusion.height());
    hidden_chunks_are_found(&world, &client, &transaction, &tree).await;
}

async fn hidden_chunks_are_found(
    world: &World,
    client: &Client,
    transaction: &Transaction,
    tree: &ChunkTree,
) {
    assert_eq!(client.missing_chunks(transaction, tree).await.expect("asked"), Vec::<usize>::new());
    let (data_root, data_size) = (tree.root(), tree.size());
    let offset = tree.chunks()[3].range.start + 5;
    let hide = Command::HideChunk { data_root, data_size, offset };
    world.gateway.command(hide).await.expect("hidden");
    assert_eq!(client.missing_chunks(transaction, tree).await.expect("asked"), [3]);
    assert!(matches!(client.data_from_chunks(transaction, MAX).await, Err(Error::NotFound(_))));
    world.gateway.command(Command::Heal).await.expect("healed");
    assert_eq!(client.missing_chunks(transaction, tree).await.expect("asked"), Vec::<usize>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_network_refuses_is_refused_once_and_for_good() {
    let world = world().await;
    let client = client(&[&world.gateway.url()]);
    let poor = funded(&[]).await;
    let tree = ChunkTree::of(b"a few bytes");
    let transaction = signed(&client, &poor, &tree, Vec::new()).await;
    let posted = client.post(&transaction).await.expect("an answer");
    assert!(
        matches!(&posted, Posted::Rejected { status: 400..=499, reason } if !reason.is_empty()),
        "{posted}"
    );
    let requests = world.gateway.counters().requests;
    assert_eq!(requests.get(&Route::PostTransaction), Some(&1), "a refusal is not repeated");

    // What does not verify here is not even sent.
    let altered = Transaction { reward: Winston(1), ..transaction };
    assert!(matches!(client.post(&altered).await, Err(Error::Format(FormatError::Signature))));
    assert_eq!(world.gateway.counters().requests.get(&Route::PostTransaction), Some(&1));
    let other = ChunkTree::of(b"other bytes");
    let source = UploadData::Bytes("other bytes".into());
    let wrong = client.upload_chunks(&altered, &other, &source, 0..1, |_| ()).await;
    assert!(matches!(wrong, Err(Error::Format(FormatError::WrongData(_)))));
    let swapped = UploadData::Bytes("a few bytez".into());
    let wrong = client.upload_chunks(&altered, &tree, &swapped, 0..1, |_| ()).await;
    assert!(matches!(wrong, Err(Error::Format(FormatError::Proof(_)))));
    let unknown = client.transaction(Id([4; 32])).await.expect_err("nobody has it");
    assert!(matches!(unknown, Error::NotFound(_)) && unknown.is_transient());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_leads_to_no_second_payment() {
    let world = world().await;
    let wallet = funded(&[&world]).await;
    let client = Client::new(weft_arweave::ClientConfig {
        bundler: Some(urls(&[&world.gateway.url()]).remove(0)),
        ..config(&[&world.gateway.url()])
    })
    .expect("a client");
    let tree = ChunkTree::of(b"paid once");
    let transaction = signed(&client, &wallet, &tree, Vec::new()).await.with_data("paid once".into());
    for lost in
        [Action::DropAnswer, Action::Truncate(1), Action::Status { status: 503, retry_after: Some(0) }]
    {
        world.gateway.fault(Fault::on(Route::PostTransaction, lost).times(1)).expect("set");
    }
    assert_eq!(client.post(&transaction).await.expect("posted"), Posted::AlreadyKnown);
    let spending = world.gateway.spending(&wallet.address()).expect("an account");
    assert_eq!((spending.accepted, spending.accepted_winston), (1, transaction.reward));

    let item = item("also paid once", Vec::new());
    world.gateway.fault(Fault::on(Route::Upload, Action::DropAnswer).times(2)).expect("set");
    assert_eq!(client.upload_item(&item).await.expect("uploaded"), ItemUpload::AlreadyKnown);
    let spending = world.gateway.spending(&item.header().address()).expect("an account");
    assert_eq!(spending.items, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn items_are_uploaded_bundled_found_and_verified() {
    let world = world().await;
    let url = world.gateway.url();
    let mut config = config(&[&url]);
    config.bundler = Some(urls(&[&url]).remove(0));
    let client = Client::new(config).expect("a client");
    let items: Vec<_> = (0..130)
        .map(|n| item(&format!("item {n}"), vec![Tag::new("App-Name", "weft"), Tag::new("N", n.to_string())]))
        .collect();
    assert_eq!(client.item_status(items[0].id()).await.expect("a status"), ItemStatus::Unknown);
    for item in &items {
        let upload = client.upload_item(item).await.expect("uploaded");
        assert!(matches!(&upload, ItemUpload::Accepted(receipt) if receipt.id == item.id()), "{upload:?}");
    }
    assert_eq!(client.upload_item(&items[7]).await.expect("uploaded"), ItemUpload::AlreadyKnown);
    let status = client.item_status(items[0].id()).await.expect("a status");
    assert!(matches!(status, ItemStatus::Accepted { .. }), "{status:?}");
    world.gateway.mine(1).await.expect("mined");
    let ItemStatus::Finalized { bundle: Some(bundle) } =
        client.item_status(items[0].id()).await.expect("a status")
    else {
        panic!("not in a block")
    };

    let owner = items[0].header().address();
    let query = Query::by(owner, &[("App-Name", "weft")]);
    let found = client.untrusted_find(&query, 1000).await.expect("found");
    let mut ids: Vec<_> = found.iter().map(|found| found.id).collect();
    let mut expected: Vec<_> = items.iter().map(DataItem::id).collect();
    ids.sort_unstable();
    expected.sort_unstable();
    assert_eq!(ids, expected, "over two pages");
    assert!(found.iter().all(|found| found.bundled_in == Some(bundle) && found.block.is_some()));
    assert_eq!(client.untrusted_find(&query, 20).await.expect("found").len(), 20);
    let one = Query::by(owner, &[("N", "17")]);
    let one = client.untrusted_find(&one, 10).await.expect("found");
    assert_eq!(one.len(), 1);
    let rebuilt = one[0].item_with(b"item 17").expect("verified");
    assert_eq!(rebuilt.bytes(), items[17].bytes());
    assert!(one[0].item_with(b"item 18").is_err());
    let later = Query { blocks: Some(1000..=2000), ..query };
    assert!(client.untrusted_find(&later, 10).await.expect("an answer").is_empty());

    let read = client.item(items[42].id(), MAX).await.expect("verified");
    assert_eq!(read.bytes(), items[42].bytes());
    let read = client.item_in_bundle(bundle, items[43].id(), MAX).await.expect("verified");
    assert_eq!(read.bytes(), items[43].bytes());
    let absent = client.item_in_bundle(bundle, Id([1; 32]), MAX).await;
    assert!(matches!(absent, Err(Error::NotFound(_))));
    let (_, whole) = client.transaction_with_data(bundle, MAX).await.expect("verified");
    let whole = Bundle::parse(&whole).expect("a bundle");
    whole.verify().expect("verified");
    assert_eq!(whole.items.len(), items.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_bundle_is_looked_into() {
    let world = world().await;
    let wallet = funded(&[&world]).await;
    let client = client(&[&world.gateway.url()]);
    let inner = item("the innermost", vec![Tag::new("Content-Type", "text/plain")]);
    let nested = ItemDraft {
        tags: bundle::tags(),
        data: Bundle::new(vec![inner.clone()]).expect("a bundle").to_bytes(),
        ..ItemDraft::default()
    };
    let nested = nested.sign(Signer::Arweave(&wallet)).expect("signed");
    let outer =
        Bundle::new(vec![item("beside it", Vec::new()), nested.clone()]).expect("a bundle").to_bytes();
    let tree = ChunkTree::of(&outer);
    let transaction = signed(&client, &wallet, &tree, bundle::tags()).await.with_data(outer);
    assert_eq!(client.post(&transaction).await.expect("posted"), Posted::Accepted);
    world.gateway.mine(1).await.expect("mined");
    let read = client.item_in_bundle(transaction.id, nested.id(), MAX).await.expect("verified");
    assert_eq!(read, nested);
    let read = client.item_in_bundle(nested.id(), inner.id(), MAX).await.expect("verified");
    assert_eq!(read, inner);
    assert_eq!(client.item(inner.id(), MAX).await.expect("verified"), inner);
    let inclusion = client.prove_inclusion(&transaction, 0).await.expect("proven");
    assert_eq!(inclusion.chunks_proven(), 2, "the first byte and the last");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_honest_gateway_suffices() {
    // Both take the same transaction, and only the second stays honest.
    let (liar, honest) = (world().await, world().await);
    let wallet = funded(&[&liar, &honest]).await;
    let whole = data(700_000);
    let source = UploadData::Bytes(whole.clone().into());
    let tree = source.tree().expect("a tree");
    let alone = [client(&[&liar.gateway.url()]), client(&[&honest.gateway.url()])];
    // Each network has anchors of its own, so this one has none.
    let draft = TransactionDraft {
        reward: alone[0].price(tree.size(), None).await.expect("a price"),
        ..TransactionDraft::publishing(&tree)
    };
    let transaction = draft.sign(&wallet).expect("signed");
    for (client, world) in alone.iter().zip([&liar, &honest]) {
        assert_eq!(client.post(&transaction).await.expect("posted"), Posted::Accepted);
        client
            .upload_chunks(&transaction, &tree, &source, 0..tree.chunks().len(), |_| ())
            .await
            .expect("taken");
        world.gateway.mine(1).await.expect("mined");
    }
    let id = transaction.id;
    let sha256: [u8; 32] = <sha2::Sha256 as sha2::Digest>::digest(&whole).into();
    let size = whole.len() as u64;
    let actions = [
        Action::Flip(1000),
        Action::Truncate(500),
        Action::Shorten(500),
        Action::Drop,
        Action::Other(Id([9; 32])),
        Action::Status { status: 500, retry_after: None },
        Action::Status { status: 404, retry_after: None },
        Action::Status { status: 400, retry_after: None },
    ];
    for action in actions {
        let routes =
            [Route::Content, Route::Transaction, Route::Chunk, Route::Offset, Route::Status, Route::Block];
        for route in routes {
            liar.gateway.fault(Fault::on(route, action.clone())).expect("set");
        }
        // The liar is asked first, whatever answered before.
        let both = client(&[&liar.gateway.url(), &honest.gateway.url()]);
        let read = both.data_with_hash(id, sha256, size).await;
        assert_eq!(read.expect("from the honest one"), whole, "{action:?}");
        let (again, read) = both.transaction_with_data(id, MAX).await.expect("verified");
        assert_eq!((again, &read[..]), (transaction.clone(), &whole[..]), "{action:?}");
        let both = client(&[&liar.gateway.url(), &honest.gateway.url()]);
        assert_eq!(both.data_from_chunks(&transaction, MAX).await.expect("verified"), whole, "{action:?}");
        let both = client(&[&liar.gateway.url(), &honest.gateway.url()]);
        both.prove_inclusion(&transaction, 2).await.unwrap_or_else(|error| panic!("{action:?}: {error}"));

        let alone = client(&[&liar.gateway.url()]);
        alone.data_with_hash(id, sha256, size).await.expect_err("nothing but lies");
        alone.transaction(id).await.expect_err("nothing but lies");
        alone.prove_inclusion(&transaction, 2).await.expect_err("nothing but lies");
        liar.gateway.command(Command::Heal).await.expect("healed");
    }
    assert_eq!(alone[0].data_with_hash(id, sha256, size).await.expect("healed"), whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_that_pass_are_waited_for_and_others_end_in_time() {
    let world = world().await;
    let url = world.gateway.url();
    let client = client(&[&url]);
    let set = |action, times| {
        world.gateway.fault(Fault::on(Route::Info, action).times(times)).expect("set");
    };
    set(Action::Status { status: 429, retry_after: Some(3600) }, 1);
    set(Action::Drop, 1);
    client.network_info().await.expect("the third time; the pause that was asked for has a bound");
    let asked = || world.gateway.counters().requests.get(&Route::Info).copied().unwrap_or_default();
    assert_eq!(asked(), 3);

    set(Action::Status { status: 503, retry_after: None }, 100);
    let error = client.network_info().await.expect_err("for ever");
    assert!(matches!(error, Error::Status { status: 503, .. }) && error.is_transient());
    assert_eq!(asked(), 3 + u64::from(client.config().rounds_max));

    world.gateway.command(Command::Heal).await.expect("healed");
    set(Action::Delay(60_000), 100);
    let patience = Duration::from_millis(200);
    let hurried = weft_arweave::ClientConfig { call_timeout: patience, ..config(&[&url]) };
    let error = Client::new(hurried).expect("a client").network_info().await.expect_err("too slow");
    assert!(matches!(error, Error::Deadline { limit, .. } if limit == patience) && error.is_transient());

    // One that hangs does not use up the time of one that answers.
    let other = self::world().await;
    let impatient =
        weft_arweave::ClientConfig { attempt_timeout: patience, ..config(&[&url, &other.gateway.url()]) };
    let impatient = Client::new(impatient).expect("a client");
    impatient.network_info().await.expect("from the other");
    let before = asked();
    impatient.network_info().await.expect("from the other, which is asked first now");
    assert_eq!(asked(), before);
}

#[test]
fn calls_can_be_spawned() {
    fn send<T: Send>(_: T) {}
    let (client, id) = (client(&["http://127.0.0.1:1"]), Id([0; 32]));
    let (tree, data) = (ChunkTree::of(b""), UploadData::Bytes(Default::default()));
    let transaction: Option<Transaction> = None;
    send(client.data_with_hash(id, [0; 32], 1));
    send(client.transaction_with_data(id, 1));
    send(client.item(id, 1));
    send(client.item_in_bundle(id, id, 1));
    send(client.untrusted_find(&Query::default(), 1));
    send(client.transaction_status(id));
    if let Some(transaction) = &transaction {
        send(client.post(transaction));
        send(client.prove_inclusion(transaction, 1));
        send(client.missing_chunks(transaction, &tree));
        send(client.upload_chunks(transaction, &tree, &data, 0..1, |_| ()));
    }
}
