//! A peer made of libp2p alone (its own yamux, a codec that knows no rules), so that it can break every one.

use super::{DIGEST, GENESIS};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, StreamExt};
use libp2p::{
    Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder, noise,
    request_response::{self, Event, Message, ProtocolSupport},
    swarm::{NetworkBehaviour, SwarmEvent},
    tcp, yamux,
};
use std::{io, time::Duration};
use tokio::sync::mpsc;
use weft_p2p::{
    Head, RemoteStatus, Role,
    status::{StatusMessage, StatusReply},
    wire::{Wire, Writer},
};

/// What an evil peer does with a request.
#[derive(Clone, Debug)]
pub enum Deed {
    /// Keeps the stream open and says nothing.
    Silence,
    /// Writes these bytes and closes.
    Bytes(Vec<u8>),
    /// Writes these bytes, then zeros until the other side has had enough.
    Endless(Vec<u8>),
}

#[derive(Clone, Default)]
pub struct RawCodec;

#[async_trait::async_trait]
impl request_response::Codec for RawCodec {
    type Protocol = StreamProtocol;
    type Request = Deed;
    type Response = Deed;

    async fn read_request<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Deed> {
        read(io).await
    }

    async fn read_response<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Deed> {
        read(io).await
    }

    async fn write_request<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        deed: Deed,
    ) -> io::Result<()> {
        write(io, deed).await
    }

    async fn write_response<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        deed: Deed,
    ) -> io::Result<()> {
        write(io, deed).await
    }
}

async fn read(io: &mut (impl AsyncRead + Unpin + Send)) -> io::Result<Deed> {
    let mut bytes = Vec::new();
    io.read_to_end(&mut bytes).await?;
    Ok(Deed::Bytes(bytes))
}

async fn write(io: &mut (impl AsyncWrite + Unpin + Send), deed: Deed) -> io::Result<()> {
    match deed {
        Deed::Bytes(bytes) => io.write_all(&bytes).await,
        Deed::Silence => futures::future::pending().await,
        Deed::Endless(bytes) => {
            io.write_all(&bytes).await?;
            loop {
                io.write_all(&[0; 4096]).await?;
            }
        }
    }
}

#[derive(NetworkBehaviour)]
pub struct EvilBehaviour {
    status: request_response::Behaviour<RawCodec>,
    bodies: request_response::Behaviour<RawCodec>,
}

/// What a test hears from an evil peer.
#[derive(Debug)]
pub enum Heard {
    Connected,
    Closed,
    Status(Vec<u8>),
    Failed,
}

pub struct Evil {
    pub peer: PeerId,
    pub address: Multiaddr,
    pub heard: mpsc::Receiver<Heard>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Evil {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub fn status() -> StatusMessage {
    StatusMessage {
        version: 1,
        genesis_hash: GENESIS,
        fork_digest: DIGEST,
        status: RemoteStatus {
            role: Role::Full,
            custody_count: 4,
            head: Head::default(),
            earliest_body: 0,
            earliest_columns: 0,
            signed_head: None,
        },
    }
}

/// A frame as PROTOCOL has it: length, then RLP.
pub fn framed(rlp: Vec<u8>) -> Vec<u8> {
    [&(rlp.len() as u32).to_be_bytes()[..], &rlp].concat()
}

/// `[0, answer]`
pub fn answer(message: &impl Wire) -> Vec<u8> {
    let mut out = Writer::default();
    out.list(|out| {
        out.item(&0_u8);
        message.write(out);
    });
    framed(out.finish().to_vec())
}

impl Evil {
    /// Greets as one of us; does `bodies` with every request for a body. When `dial` is given it connects there, and
    /// asks for the status with `greeting`.
    pub async fn start(greeting: StatusMessage, bodies: Deed, dial: Option<Multiaddr>) -> Self {
        let config = || request_response::Config::default().with_request_timeout(Duration::from_secs(120));
        let raw = |name| {
            request_response::Behaviour::<RawCodec>::new(
                [(StreamProtocol::new(name), ProtocolSupport::Full)],
                config(),
            )
        };
        let mut swarm = SwarmBuilder::with_new_identity()
            .with_tokio()
            .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
            .unwrap()
            .with_behaviour(|_| EvilBehaviour {
                status: raw("/weft/status/1"),
                bodies: raw("/weft/bodies/1"),
            })
            .unwrap()
            .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(600)))
            .build();
        swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
        let address = loop {
            if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                break address;
            }
        };
        let peer = *swarm.local_peer_id();
        if let Some(dial) = dial {
            swarm.dial(dial).unwrap();
        }
        let (heard_in, heard) = mpsc::channel(64);
        let task = tokio::spawn(live(swarm, greeting, bodies, heard_in));
        Self { peer, address: address.with_p2p(peer).unwrap(), heard, task }
    }
}

async fn live(
    mut swarm: Swarm<EvilBehaviour>,
    greeting: StatusMessage,
    bodies: Deed,
    heard: mpsc::Sender<Heard>,
) {
    loop {
        let news = match swarm.select_next_some().await {
            SwarmEvent::ConnectionEstablished { peer_id, endpoint, .. } => {
                if endpoint.is_dialer() {
                    let request = Deed::Bytes(framed(greeting.to_frame().to_vec()));
                    swarm.behaviour_mut().status.send_request(&peer_id, request);
                }
                Heard::Connected
            }
            SwarmEvent::ConnectionClosed { .. } => Heard::Closed,
            SwarmEvent::Behaviour(EvilBehaviourEvent::Status(Event::Message { message, .. })) => {
                match message {
                    Message::Request { channel, .. } => {
                        let reply = StatusReply::Status(Box::new(greeting.clone()));
                        let _ =
                            swarm.behaviour_mut().status.send_response(channel, Deed::Bytes(answer(&reply)));
                        continue;
                    }
                    Message::Response { response: Deed::Bytes(bytes), .. } => Heard::Status(bytes),
                    Message::Response { .. } => continue,
                }
            }
            SwarmEvent::Behaviour(EvilBehaviourEvent::Bodies(Event::Message {
                message: Message::Request { channel, .. },
                ..
            })) => {
                let _ = swarm.behaviour_mut().bodies.send_response(channel, bodies.clone());
                continue;
            }
            SwarmEvent::Behaviour(EvilBehaviourEvent::Status(Event::OutboundFailure { .. })) => Heard::Failed,
            _ => continue,
        };
        let _ = heard.try_send(news);
    }
}
