//! From socket to pool: `eth_sendRawTransaction` over HTTP on loopback, several keep-alive connections. Prints the
//! server's CPU-ms per MB (the clients' threads, which only write prepared requests, are subtracted).

mod common;

use alloy_primitives::{Bytes, hex};
use common::{pool, store};
use criterion::{Criterion, criterion_group, criterion_main};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{runtime::Runtime, sync::watch};
use weft_archive::Retriever;
use weft_chainspec::ChainSpec;
use weft_engine::EngineHandle;
use weft_evm::Evm;
use weft_primitives::cpu_time;
use weft_rpc::{Readiness, RpcConfig, RpcContext, RpcParts, RpcServer};

/// Clients' connections.
const CONNECTIONS: usize = 16;

fn request(raw: &Bytes) -> Vec<u8> {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["{}"]}}"#,
        hex::encode_prefixed(raw)
    );
    let length = body.len();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body.as_bytes()].concat()
}

/// Sends one after the other and waits for each answer; returns the CPU time of its thread.
fn client<'a>(address: SocketAddr, requests: impl Iterator<Item = &'a Vec<u8>>) -> Duration {
    let before = cpu_time::thread();
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.set_nodelay(true).expect("a TCP socket");
    let mut answer = [0; 4096];
    for request in requests {
        stream.write_all(request).expect("the server reads");
        let length = stream.read(&mut answer).expect("the server answers");
        let text = String::from_utf8_lossy(&answer[..length]);
        assert!(text.contains("\"result\""), "{text}");
    }
    cpu_time::thread() - before
}

/// Elapsed time, and CPU time of the process without its clients.
fn round(address: SocketAddr, requests: &[Vec<u8>]) -> (Duration, Duration) {
    let (started, before) = (Instant::now(), cpu_time::process());
    let clients: Duration = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|index| {
                scope.spawn(move || client(address, requests.iter().skip(index).step_by(CONNECTIONS)))
            })
            .collect();
        clients.into_iter().map(|client| client.join().expect("no panic")).sum()
    });
    (started.elapsed(), (cpu_time::process() - before).saturating_sub(clients))
}

fn submission(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let (engine, store, _folder) = store();
    let engine = EngineHandle::spawn(engine).expect("a thread");
    common::rounds(
        criterion,
        "rpc/submission",
        |raws| raws.iter().map(request).collect::<Vec<_>>(),
        |requests| {
            let spec = Arc::new(ChainSpec::dev());
            let parts = RpcParts {
                evm: Evm::new(spec.clone()),
                spec,
                store: store.clone(),
                pool: pool(&store),
                engine: engine.clone(),
                permanence: weft_rpc::PermanenceParts::off(),
                network: weft_rpc::NetworkParts::off(),
                retriever: Retriever::new(store.clone()),
                stages: Vec::new(),
                readiness: watch::channel(Readiness::Ready).1,
                client_version: "bench".to_owned(),
            };
            let config = RpcConfig { address: ([127, 0, 0, 1], 0).into(), ..Default::default() };
            let context = Arc::new(RpcContext::new(parts, config).expect("a store at genesis"));
            let server = runtime.block_on(RpcServer::start(context)).expect("a free port");
            let took = round(server.address(), requests);
            runtime.block_on(server.stop());
            took
        },
    );
    runtime.block_on(engine.shutdown());
}

criterion_group!(benches, submission);
criterion_main!(benches);
