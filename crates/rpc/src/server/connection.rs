//! One TCP connection's flow control: a client that does not read its answers is not read either.
//!
//! jsonrpsee handles each WebSocket message in a task of its own and queues answers without a
//! bound on their bytes. [`Meter`] counts, per connection, calls being handled and answer bytes not
//! yet written to the socket; while either is over its bound, [`MeteredIo`] reports nothing to
//! read, TCP's window closes, and the client waits. A client that never reads is dropped by the
//! ping timeout. Worst case per connection: [`UNSENT_BYTES_MAX`] + one response + the calls in flight.

use crate::Serving;
use futures::task::AtomicWaker;
use hyper_util::rt::TokioIo;
use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
};

/// Answer bytes that may wait for a client before its socket is no longer read.
const UNSENT_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// What one connection has under way.
#[derive(Debug)]
pub struct Meter {
    calls: AtomicUsize,
    calls_max: usize,
    answered_bytes: AtomicU64,
    written_bytes: AtomicU64,
    reader: AtomicWaker,
}

impl Meter {
    /// Stops reading beyond `calls_max` calls.
    pub fn new(calls_max: usize) -> Arc<Self> {
        Arc::new(Self {
            calls: AtomicUsize::new(0),
            calls_max,
            answered_bytes: AtomicU64::new(0),
            written_bytes: AtomicU64::new(0),
            reader: AtomicWaker::new(),
        })
    }

    /// A call begins; it ends when the guard is dropped.
    pub fn begin(self: &Arc<Self>) -> CallGuard {
        self.calls.fetch_add(1, Ordering::Relaxed);
        CallGuard(Arc::clone(self))
    }

    /// An answer of `bytes` was handed to the connection.
    pub fn answered(&self, bytes: usize) {
        self.answered_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn written(&self, bytes: usize) {
        self.written_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.reader.wake();
    }

    fn is_full(&self) -> bool {
        // Frames and notifications make `written` run ahead, never behind.
        let unsent = self
            .answered_bytes
            .load(Ordering::Relaxed)
            .saturating_sub(self.written_bytes.load(Ordering::Relaxed));
        self.calls.load(Ordering::Relaxed) >= self.calls_max || unsent > UNSENT_BYTES_MAX
    }
}

/// A call that is being handled.
#[derive(Debug)]
pub struct CallGuard(Arc<Meter>);

impl Drop for CallGuard {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
        self.0.reader.wake();
    }
}

/// A place among the server's connections; free again when the socket is closed, also after it
/// became a WebSocket.
#[derive(Debug)]
pub struct Slot {
    context: Arc<dyn Serving>,
    _permit: OwnedSemaphorePermit,
}

impl Slot {
    /// Counts the connection.
    pub fn new(context: Arc<dyn Serving>, permit: OwnedSemaphorePermit) -> Self {
        context.metrics().server.connections.increment(1.0);
        Self { context, _permit: permit }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.context.metrics().server.connections.decrement(1.0);
    }
}

/// A socket under a [`Meter`].
#[derive(Debug)]
pub struct MeteredIo {
    stream: TcpStream,
    meter: Arc<Meter>,
    _slot: Slot,
}

impl MeteredIo {
    /// As hyper wants it.
    pub fn new(stream: TcpStream, meter: Arc<Meter>, slot: Slot) -> TokioIo<Self> {
        TokioIo::new(Self { stream, meter, _slot: slot })
    }
}

impl AsyncRead for MeteredIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.meter.is_full() {
            self.meter.reader.register(cx.waker());
            // It may have emptied between the check and the registration.
            if self.meter.is_full() {
                return Poll::Pending;
            }
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for MeteredIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(written)) = outcome {
            self.meter.written(written);
        }
        outcome
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        if let Poll::Ready(Ok(written)) = outcome {
            self.meter.written(written);
        }
        outcome
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
