//! Against implementations that are not ours: arweave-js and arbundles verify what we sign, and we what they sign.
//!
//! Both sides exchange files in a temporary folder. Needs `node` and `npm` (which installs the two libraries into a folder
//! of its own); skipped with a line without.

mod common;

use common::{data, javascript, run};
use serde_json::{Value, json};
use std::{fs, path::Path};
use weft_arweave::{
    Address, Anchor, Bundle, ChunkTree, ChunkTreeBuilder, DataItem, EthereumKey, Format, ItemDraft, Signer,
    Tag, Transaction, TransactionDraft, Wallet, Winston, base64url,
    bundle::{self, BundleReader},
    chunk::PostedChunk,
    deep_hash::{Node, deep_hash},
    item::SignatureType,
};

const KIB: usize = 1024;
/// Around every edge of the rule by which data is cut.
const SIZES: [usize; 12] = [
    0,
    1,
    32 * KIB,
    256 * KIB - 1,
    256 * KIB,
    256 * KIB + 1,
    288 * KIB - 1,
    288 * KIB,
    512 * KIB,
    1_000_000,
    5 * 256 * KIB,
    5 * 256 * KIB + 1,
];
/// Bundles around the innermost one.
const DEPTH: usize = 2;

#[test]
fn arweave_js_and_arbundles_agree() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(scripts) = javascript(folder.path()) else { return };
    let exchange = folder.path().join("exchange");
    fs::create_dir(&exchange).expect("a folder");
    let wallet = Wallet::generate().expect("a key");
    write_ours(&exchange, &wallet);
    println!("verify.mjs: {}", run(&scripts, "verify.mjs", &[&exchange.display().to_string()]));
    run(&scripts, "make.mjs", &[&exchange.display().to_string()]);
    read_theirs(&exchange);
}

fn write_json(folder: &Path, name: &str, value: &impl serde::Serialize) {
    fs::write(folder.join(name), serde_json::to_vec(value).expect("JSON")).expect("written");
}

fn read_json<T: serde::de::DeserializeOwned>(folder: &Path, name: &str) -> T {
    let bytes = fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn write_ours(folder: &Path, wallet: &Wallet) {
    fs::write(folder.join("ours.jwk"), wallet.to_jwk().as_bytes()).expect("written");
    for (index, size) in SIZES.into_iter().enumerate() {
        let whole = data(size);
        let tree = ChunkTree::of(&whole);
        let draft = TransactionDraft {
            last_tx: Anchor::new(vec![index as u8; 48]).expect("48 bytes"),
            tags: vec![Tag::new("App-Name", "weft"), Tag::new("Größe", size.to_string())],
            reward: Winston(u128::MAX / (1 + index as u128)),
            ..TransactionDraft::publishing(&tree)
        };
        let transaction = draft.sign(wallet).expect("signed");
        transaction.verify().expect("ours");
        write_json(folder, &format!("ours-{index}.tx.json"), &transaction);
        let chunks: Vec<_> = (0..tree.chunks().len())
            .map(|at| {
                let range = &tree.chunks()[at].range;
                let bytes = whole[range.start as usize..range.end as usize].to_vec();
                PostedChunk::new(&tree, at, bytes.into()).expect("its bytes").expect("a chunk")
            })
            .collect();
        write_json(folder, &format!("ours-{index}.chunks.json"), &chunks);
    }
    let transfer = TransactionDraft {
        last_tx: Anchor::new(vec![3; 32]).expect("32 bytes"),
        target: Some(Address([9; 32])),
        quantity: Winston(66_000_000_000_000_000_000),
        ..TransactionDraft::default()
    };
    write_json(folder, "ours-transfer.tx.json", &transfer.sign(wallet).expect("signed"));
    let small = data(500);
    let inline = TransactionDraft::publishing(&ChunkTree::of(&small)).sign(wallet).expect("signed");
    let inline = inline.with_data(small.into());
    inline.verify().expect("with its data");
    write_json(folder, "ours-inline.tx.json", &inline);

    let items = our_items(wallet);
    let described: Vec<_> = items.iter().map(describe).collect();
    for (index, item) in items.iter().enumerate() {
        fs::write(folder.join(format!("ours-{index}.item")), item.bytes()).expect("written");
    }
    let mut bundle = Bundle::new(items).expect("a bundle");
    for _ in 0..DEPTH {
        let draft = ItemDraft { tags: bundle::tags(), data: bundle.to_bytes(), ..ItemDraft::default() };
        bundle = Bundle::new(vec![draft.sign(Signer::Arweave(wallet)).expect("signed")]).expect("a bundle");
    }
    fs::write(folder.join("ours.bundle"), bundle.to_bytes()).expect("written");
    let about = json!({
        "sizes": SIZES, "address": wallet.address(), "items": described, "depth": DEPTH,
    });
    write_json(folder, "ours.json", &about);
}

fn our_items(wallet: &Wallet) -> Vec<DataItem> {
    let key = EthereumKey::from_bytes(&[0x42; 32]).expect("a key");
    let drafts = [
        ItemDraft::default(),
        ItemDraft {
            tags: vec![Tag::new("Content-Type", "text/plain"), Tag::new("Ünicode", "✓")],
            data: data(1000).into(),
            ..ItemDraft::default()
        },
        ItemDraft {
            target: Some(Address([1; 32])),
            anchor: Some(*b"thirty-two bytes of plain letter"),
            tags: vec![Tag::new("a", vec![b'b'; 3000])],
            data: data(300_000).into(),
        },
        ItemDraft {
            tags: (0..128).map(|at| Tag::new(format!("n{at}"), "v")).collect(),
            data: data(7).into(),
            ..ItemDraft::default()
        },
    ];
    let signers = [Signer::Arweave(wallet), Signer::Ethereum(&key)];
    let sign = |signer| drafts.clone().map(|draft| draft.sign(signer).expect("signed"));
    signers.into_iter().flat_map(sign).collect()
}

/// An item in the form that the scripts compare.
fn describe(item: &DataItem) -> Value {
    let header = item.header();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    let tags: Vec<_> = item.tags().iter().map(|tag| (text(&tag.name), text(&tag.value))).collect();
    json!({
        "id": item.id(),
        "type": header.signature_type as u16,
        "target": header.target.map(|target| target.to_string()).unwrap_or_default(),
        "anchor": header.anchor.map(base64url::encode).unwrap_or_default(),
        "tags": tags,
        "data": base64url::encode(item.data()),
    })
}

fn read_theirs(folder: &Path) {
    let about: Value = read_json(folder, "theirs.json");
    let wallet = Wallet::from_jwk(&fs::read(folder.join("theirs.jwk")).expect("a key")).expect("a key");
    assert_eq!(wallet.address().to_string(), about["address"]);
    let again = Wallet::from_jwk(wallet.to_jwk().as_bytes()).expect("our own JSON");
    assert_eq!(again.address(), wallet.address());
    let their_jwk: Value = read_json(folder, "theirs.jwk");
    let our_jwk: Value = serde_json::from_str(&wallet.to_jwk()).expect("JSON");
    for field in ["kty", "n", "e", "d", "p", "q", "dp", "dq", "qi"] {
        assert_eq!(our_jwk[field], their_jwk[field], "{field} of the JWK");
    }
    wallet.owner().verify(b"a message", &wallet.sign(b"a message")).expect("their key signs here");

    for case in about["hashes"].as_array().expect("a list") {
        assert_eq!(hash_json(&case["tree"]), case["hash"], "the deep hash of {}", case["tree"]);
    }
    for (index, size) in SIZES.into_iter().enumerate().filter(|(_, size)| *size > 0) {
        let transaction: Transaction = read_json(folder, &format!("theirs-{index}.tx.json"));
        transaction.verify().unwrap_or_else(|error| panic!("their transaction of {size} bytes: {error}"));
        transaction.verify_data(&ChunkTree::of(&data(size))).expect("the same root");
        let chunks: Vec<PostedChunk> = read_json(folder, &format!("theirs-{index}.chunks.json"));
        let mut at = 0;
        for chunk in &chunks {
            let range = chunk.verify().unwrap_or_else(|error| panic!("a chunk of {size} bytes: {error}"));
            assert_eq!((range.start, Some(chunk.data_root)), (at, transaction.data_root));
            at = range.end;
        }
        assert_eq!(at, size as u64);
    }
    for (name, format) in [("transfer", Format::Two), ("first", Format::Two), ("format-1", Format::One)] {
        let transaction: Transaction = read_json(folder, &format!("theirs-{name}.tx.json"));
        assert_eq!(transaction.format, format);
        transaction.verify().unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    read_their_items(folder, about["items"].as_array().expect("a list"));
}

fn read_their_items(folder: &Path, expected: &[Value]) {
    let mut kinds = Vec::new();
    for (index, expected) in expected.iter().enumerate() {
        let bytes = fs::read(folder.join(format!("theirs-{index}.item"))).expect("an item");
        let item = DataItem::parse(bytes.into()).expect("an item");
        item.verify().unwrap_or_else(|error| panic!("item {index}: {error}"));
        assert_eq!(describe(&item), *expected);
        kinds.push(item.header().signature_type);
    }
    for kind in [SignatureType::Arweave, SignatureType::Ed25519, SignatureType::Ethereum] {
        assert_eq!(kinds.iter().filter(|found| **found == kind).count(), 4, "{kind:?}");
    }
    let bytes = fs::read(folder.join("theirs.bundle")).expect("a bundle");
    let outer = Bundle::parse(&bytes.clone().into()).expect("a bundle");
    let flat = outer.flatten(2).expect("two levels");
    assert!(outer.flatten(1).is_err(), "deeper than allowed");
    assert_eq!(flat.len(), 1 + expected.len());
    for (depth, item) in &flat {
        item.verify().expect("every item");
        assert_eq!(*depth, usize::from(item.id() != flat[0].1.id()));
    }
    assert_eq!(flat[1..].iter().map(|(_, item)| describe(item)).collect::<Vec<_>>(), expected);

    // The same as a stream, and in the pieces that would be uploaded.
    let mut reader = BundleReader::new(&bytes[..], bytes.len() as u64).expect("a table");
    let mut inner = Vec::new();
    let header = reader.next_item(&mut inner).expect("verifies").expect("an item");
    assert_eq!((header.id(), &inner[..]), (flat[0].1.id(), &flat[0].1.data()[..]));
    assert!(reader.next_item(&mut Vec::new()).expect("the end").is_none());
    let mut builder = ChunkTreeBuilder::default();
    outer.pieces().for_each(|piece| builder.push(&piece));
    assert_eq!(builder.finish().root(), ChunkTree::of(&bytes).root());
}

fn hash_json(tree: &Value) -> String {
    enum Owned {
        Blob(Vec<u8>),
        List(Vec<Owned>),
    }
    fn owned(tree: &Value) -> Owned {
        match tree {
            Value::Array(nodes) => Owned::List(nodes.iter().map(owned).collect()),
            tree => Owned::Blob(base64url::decode("blob", tree.as_str().expect("text")).expect("base64")),
        }
    }
    fn node(tree: &Owned) -> Node<'_> {
        match tree {
            Owned::Blob(bytes) => Node::Blob(bytes),
            Owned::List(nodes) => Node::List(nodes.iter().map(node).collect()),
        }
    }
    base64url::encode(deep_hash(&node(&owned(tree))))
}
