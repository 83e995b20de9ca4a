//! Against clients that are not ours: arweave-js and arbundles create, post, chunk, mine, ask and unbundle.

use crate::{
    common::{javascript, run},
    support::{Net, wallet},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arweave_js_and_arbundles_take_it_for_the_network() {
    let folder = tempfile::tempdir().unwrap();
    let Some(scripts) = javascript(folder.path()) else { return };
    let net = Net::start().await;
    std::fs::write(scripts.join("wallet.json"), wallet().to_jwk().as_bytes()).unwrap();
    let url = net.gateway.url();
    let said = tokio::task::spawn_blocking(move || run(&scripts, "gateway.mjs", &[&url])).await.unwrap();
    println!("gateway.mjs: {said}");
    net.gateway.stop().await;
}
