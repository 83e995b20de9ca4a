//! Reading a request's body: within its size, its time and the server's memory.
//!
//! A body is received piece by piece; every piece takes its bytes from one budget shared by all
//! connections, so that many large or slow bodies cannot exhaust memory. Time is bounded twice:
//! between two pieces, and over all by a minimal rate (slowloris). Pieces go straight into the
//! [`Scanner`], which needs no copy of a raw transaction's text.

use super::scanner::{Scanned, Scanner};
use crate::RpcConfig;
use bytes::Bytes;
use http_body_util::BodyExt;
use std::sync::Arc;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Duration, Instant, timeout_at},
};

/// Grace on top of the minimal rate.
const GRACE: Duration = Duration::from_secs(10);
/// Longest announced length that is trusted for allocation before a byte has come.
const SCAN_HINT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A body, with the share of the memory budget that it holds until it is answered.
#[derive(Debug)]
pub struct Received {
    /// What it is.
    pub scanned: Scanned,
    /// Bytes received.
    pub bytes: usize,
    /// Time spent on looking at them and decoding them.
    pub parsing: Duration,
    permit: Option<OwnedSemaphorePermit>,
}

impl Received {
    /// The body and its share of the budget, apart.
    pub fn into_parts(self) -> (Scanned, Option<OwnedSemaphorePermit>) {
        (self.scanned, self.permit)
    }
}

/// Why a body was given up.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// Longer than the limit.
    #[error("request body is larger than {0} bytes")]
    TooLarge(usize),
    /// Slower than the limit.
    #[error("request body came too slowly")]
    TooSlow,
    /// The connection ended inside it.
    #[error("request body was cut off")]
    CutOff,
    /// All memory for bodies is taken.
    #[error("server is busy")]
    Busy,
}

/// Receives one body. `announced` is its `Content-Length`.
pub async fn receive<B>(
    body: B,
    announced: Option<u64>,
    config: &RpcConfig,
    budget: &Arc<Semaphore>,
) -> Result<Received, BodyError>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let limit = config.request_bytes_max;
    let announced = match announced {
        Some(length) => usize::try_from(length)
            .ok()
            .filter(|length| *length <= limit)
            .ok_or(BodyError::TooLarge(limit))?,
        None => 0,
    };
    let start = Instant::now();
    let mut body = body;
    let mut scanner = Scanner::new(announced.min(SCAN_HINT_BYTES_MAX));
    let (mut bytes, mut permit, mut parsing) = (0usize, None::<OwnedSemaphorePermit>, Duration::ZERO);
    loop {
        // What is already there earns more time: the rate counts over the whole body.
        let earned = Duration::from_secs_f64(bytes as f64 / config.body_rate_min as f64);
        let deadline = (start + GRACE + earned).min(Instant::now() + config.body_idle_timeout);
        let frame = match timeout_at(deadline, body.frame()).await {
            Err(_) => return Err(BodyError::TooSlow),
            Ok(None) => break,
            Ok(Some(Err(_))) => return Err(BodyError::CutOff),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        bytes += data.len();
        if bytes > limit {
            return Err(BodyError::TooLarge(limit));
        }
        let share = u32::try_from(data.len()).map_err(|_| BodyError::TooLarge(limit))?;
        let more = timeout_at(
            Instant::now() + config.body_idle_timeout,
            Arc::clone(budget).acquire_many_owned(share),
        );
        let more = more.await.map_err(|_| BodyError::Busy)?.map_err(|_| BodyError::Busy)?;
        match &mut permit {
            Some(permit) => permit.merge(more),
            None => permit = Some(more),
        }
        let start = std::time::Instant::now();
        scanner.push(&data);
        parsing += start.elapsed();
    }
    let start = std::time::Instant::now();
    let scanned = scanner.finish();
    Ok(Received { scanned, bytes, parsing: parsing + start.elapsed(), permit })
}
