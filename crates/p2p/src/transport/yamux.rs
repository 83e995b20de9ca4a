//! Yamux with a bound: libp2p's wrapper has no way to limit the window of a connection, which is 1 GiB by default.
//!
//! Windows of streams begin at 256 KiB and grow with what is read (the crate tunes them to the round trip), so one stream
//! fills a fast link, and all streams of a connection together never hold more than the configured window unread.

use futures::{AsyncRead, AsyncWrite, future};
use libp2p::core::{
    UpgradeInfo,
    muxing::{StreamMuxer, StreamMuxerEvent},
    upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade},
};
use std::{
    collections::VecDeque,
    io, iter,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};
use yamux::{Config, Connection, ConnectionError, Mode, Stream};

/// Streams of a connection, both directions: gossip, identify, ping, Kademlia, and requests of five protocols.
const STREAMS_MAX: usize = 128;
/// Window that every stream begins with (yamux specification).
const STREAM_WINDOW_BYTES: usize = 256 << 10;
/// Payload of one frame. Larger ones cost less, smaller ones let short streams in earlier.
const FRAME_BYTES: usize = 64 << 10;
/// Streams that were opened by the peer and not taken yet; more are reset.
const INBOUND_MAX: usize = STREAMS_MAX;

/// The upgrade.
#[derive(Clone, Debug)]
pub(super) struct Yamux(Config);

impl Yamux {
    /// Bytes of unread data that a connection may hold, at least [`STREAMS_MAX`] × 256 KiB = 32 MiB.
    pub(super) fn new(window_bytes: usize) -> Self {
        let mut config = Config::default();
        config.set_max_num_streams(STREAMS_MAX);
        config.set_max_connection_receive_window(Some(window_bytes.max(STREAMS_MAX * STREAM_WINDOW_BYTES)));
        config.set_split_send_size(FRAME_BYTES);
        Self(config)
    }

    fn start<C: AsyncRead + AsyncWrite + Unpin>(self, socket: C, mode: Mode) -> Muxer<C> {
        Muxer { connection: Connection::new(socket, self.0, mode), inbound: VecDeque::new(), waker: None }
    }
}

impl UpgradeInfo for Yamux {
    type Info = &'static str;
    type InfoIter = iter::Once<Self::Info>;

    fn protocol_info(&self) -> Self::InfoIter {
        iter::once("/yamux/1.0.0")
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> InboundConnectionUpgrade<C> for Yamux {
    type Output = Muxer<C>;
    type Error = io::Error;
    type Future = future::Ready<Result<Self::Output, Self::Error>>;

    fn upgrade_inbound(self, socket: C, _: Self::Info) -> Self::Future {
        future::ready(Ok(self.start(socket, Mode::Server)))
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> OutboundConnectionUpgrade<C> for Yamux {
    type Output = Muxer<C>;
    type Error = io::Error;
    type Future = future::Ready<Result<Self::Output, Self::Error>>;

    fn upgrade_outbound(self, socket: C, _: Self::Info) -> Self::Future {
        future::ready(Ok(self.start(socket, Mode::Client)))
    }
}

/// A connection of streams. Yamux makes progress only while it is asked for inbound streams, libp2p asks for them only
/// when it wants one: those that come in between wait in `inbound`.
#[derive(Debug)]
pub(super) struct Muxer<C> {
    connection: Connection<C>,
    inbound: VecDeque<Stream>,
    waker: Option<Waker>,
}

impl<C: AsyncRead + AsyncWrite + Unpin> Muxer<C> {
    fn next(&mut self, context: &mut Context<'_>) -> Poll<Result<Stream, ConnectionError>> {
        let stream = ready!(self.connection.poll_next_inbound(context));
        Poll::Ready(stream.unwrap_or(Err(ConnectionError::Closed)))
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin + 'static> StreamMuxer for Muxer<C> {
    type Substream = Stream;
    type Error = ConnectionError;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Stream, ConnectionError>> {
        if let Some(stream) = self.inbound.pop_front() {
            return Poll::Ready(Ok(stream));
        }
        let next = self.next(context);
        if next.is_pending() {
            self.waker = Some(context.waker().clone());
        }
        next
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Stream, ConnectionError>> {
        self.connection.poll_new_outbound(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), ConnectionError>> {
        self.connection.poll_close(context)
    }

    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<StreamMuxerEvent, ConnectionError>> {
        let stream = ready!(self.next(context))?;
        if self.inbound.len() < INBOUND_MAX {
            self.inbound.push_back(stream);
            if let Some(waker) = self.waker.take() {
                waker.wake();
            }
        }
        // There may be more; come back after others had their turn.
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
