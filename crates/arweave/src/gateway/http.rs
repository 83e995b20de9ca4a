//! Bodies, in and out: read within bounds of size and time, streamed from and to disk, and altered by faults.

use super::{
    error::{GatewayError, Refusal},
    faults::Action,
    network::{Content, Network},
};
use crate::Id;
use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{self, CONTENT_LENGTH, CONTENT_TYPE},
};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{BodyExt, Empty, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use serde_json::Value;
use std::{
    io,
    ops::Range,
    path::Path,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::OwnedSemaphorePermit,
    time::timeout,
};
use tokio_util::io::ReaderStream;

/// Piece in which files are sent.
const PIECE_BYTES: usize = 128 * 1024;

pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;
pub(super) type Reply = Response<Body>;

/// A request's body in memory, with its share of the memory that bodies may take.
pub(super) struct Held {
    bytes: Bytes,
    _permit: OwnedSemaphorePermit,
}

impl Held {
    pub(super) fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }
}

/// Reads a body of at most `max` bytes.
pub(super) async fn read_body(
    network: &Network,
    request: Request<Incoming>,
    max: usize,
) -> Result<Held, GatewayError> {
    let announced = request.body().size_hint().exact().unwrap_or(max as u64);
    if announced > max as u64 {
        return Err(too_large());
    }
    let permit = share(network, announced).await?;
    let mut bytes = BytesMut::new();
    let mut body = request.into_body();
    while let Some(piece) = next_piece(network, &mut body).await? {
        if bytes.len() + piece.len() > max {
            return Err(too_large());
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(Held { bytes: bytes.freeze(), _permit: permit })
}

/// A share of the memory that bodies may take, as soon as there is one.
pub(super) async fn share(network: &Network, bytes: u64) -> Result<OwnedSemaphorePermit, GatewayError> {
    let share = u32::try_from(bytes).unwrap_or(u32::MAX);
    timeout(network.config.limits.idle, network.bodies.clone().acquire_many_owned(share))
        .await
        .map_err(|_| Refusal::text(503, "too many requests at a time"))?
        .map_err(|_| GatewayError::Stopped)
}

/// A reply that gives its share of memory back once it was sent.
pub(super) fn holding(reply: Reply, permit: OwnedSemaphorePermit) -> Reply {
    reply.map(|body| {
        let keep = move |frame| {
            let _held = &permit;
            frame
        };
        body.map_frame(keep).boxed_unsync()
    })
}

/// Writes a body of at most `max` bytes to a new file.
pub(super) async fn spool(
    network: &Network,
    request: Request<Incoming>,
    path: &Path,
    max: u64,
) -> Result<(), GatewayError> {
    if request.body().size_hint().lower() > max {
        return Err(too_large());
    }
    let mut file = tokio::fs::File::create(path).await.map_err(GatewayError::file(path))?;
    let (mut body, mut total) = (request.into_body(), 0);
    while let Some(piece) = next_piece(network, &mut body).await? {
        total += piece.len() as u64;
        if total > max {
            return Err(too_large());
        }
        file.write_all(&piece).await.map_err(GatewayError::file(path))?;
    }
    file.flush().await.map_err(GatewayError::file(path))
}

async fn next_piece(network: &Network, body: &mut Incoming) -> Result<Option<Bytes>, GatewayError> {
    loop {
        let frame = timeout(network.config.limits.idle, body.frame())
            .await
            .map_err(|_| Refusal::text(408, "the body did not come"))?;
        match frame {
            None => return Ok(None),
            Some(Err(_)) => return Err(Refusal::text(400, "the body was cut off").into()),
            Some(Ok(frame)) => {
                if let Ok(piece) = frame.into_data() {
                    return Ok(Some(piece));
                }
            }
        }
    }
}

fn too_large() -> GatewayError {
    Refusal::text(413, "Payload too large").into()
}

pub(super) fn text_reply(status: StatusCode, text: impl Into<Bytes>) -> Reply {
    reply(status, "text/plain; charset=utf-8", text.into())
}

pub(super) fn json_reply(value: Value) -> Reply {
    reply(StatusCode::OK, "application/json", value.to_string().into())
}

fn reply(status: StatusCode, content_type: &'static str, body: Bytes) -> Reply {
    let length = body.len() as u64;
    let mut reply = Response::new(Full::new(body).map_err(|never| match never {}).boxed_unsync());
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if status != StatusCode::NO_CONTENT {
        reply.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    reply
}

/// What is answered when a call failed.
pub(super) fn error_reply(error: GatewayError) -> Reply {
    match error {
        GatewayError::Refused(refusal) if refusal.text.starts_with('{') => {
            reply(refusal.status, "application/json", refusal.text.into())
        }
        GatewayError::Refused(refusal) => text_reply(refusal.status, refusal.text),
        GatewayError::Stopped => text_reply(StatusCode::SERVICE_UNAVAILABLE, "the gateway stops"),
        error => {
            tracing::error!(target: "weft::arweave::gateway", %error, "request failed");
            text_reply(StatusCode::INTERNAL_SERVER_ERROR, "internal error")
        }
    }
}

/// Data from disk, whole or the asked range of it.
pub(super) async fn content_reply(
    network: &Network,
    id: &Id,
    content: Content,
    request: &Request<Incoming>,
) -> Result<Reply, GatewayError> {
    let mut headers = HeaderMap::new();
    let content_type = content.content_type.as_deref().map(HeaderValue::from_str);
    let unknown = HeaderValue::from_static("application/octet-stream");
    headers.insert(CONTENT_TYPE, content_type.and_then(Result::ok).unwrap_or(unknown));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{id}\"")) {
        headers.insert(header::ETAG, tag);
    }
    let asked = request.headers().get(header::RANGE).and_then(|value| value.to_str().ok());
    let (status, range) = match asked.map_or(Asked::Everything, |text| asked_range(text, content.length)) {
        Asked::Everything => (StatusCode::OK, 0..content.length),
        Asked::Part(range) => {
            let text = format!("bytes {}-{}/{}", range.start, range.end - 1, content.length);
            headers.extend(HeaderValue::from_str(&text).map(|value| (header::CONTENT_RANGE, value)));
            (StatusCode::PARTIAL_CONTENT, range)
        }
        Asked::Nothing => {
            let mut reply = text_reply(StatusCode::RANGE_NOT_SATISFIABLE, "");
            let text = format!("bytes */{}", content.length);
            reply
                .headers_mut()
                .extend(HeaderValue::from_str(&text).map(|value| (header::CONTENT_RANGE, value)));
            return Ok(reply);
        }
    };
    headers.insert(CONTENT_LENGTH, (range.end - range.start).into());
    let body = match content.source {
        Some(source) if request.method() != Method::HEAD && !range.is_empty() => {
            let length = range.end - range.start;
            let file = network.store.files.reader(&source, content.start + range.start, length)?;
            let reader = tokio::fs::File::from_std(file.into_inner()).take(length);
            let pieces = ReaderStream::with_capacity(reader, PIECE_BYTES);
            StreamBody::new(futures::StreamExt::map(pieces, |piece| piece.map(Frame::data))).boxed_unsync()
        }
        _ => Empty::new().map_err(|never| match never {}).boxed_unsync(),
    };
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    *reply.headers_mut() = headers;
    Ok(reply)
}

#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Everything,
    Part(Range<u64>),
    Nothing,
}

/// RFC 9110, section 14: one range of bytes. What is not understood, and several ranges, count as not asked.
fn asked_range(text: &str, length: u64) -> Asked {
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|spec| spec.trim().split_once('-')) else {
        return Asked::Everything;
    };
    let range = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(length),
        (Ok(first), Err(_)) if last.is_empty() => first..length,
        (Err(_), Ok(suffix)) if first.is_empty() => length.saturating_sub(suffix)..length,
        _ => return Asked::Everything,
    };
    if range.start < range.end { Asked::Part(range) } else { Asked::Nothing }
}

/// Alters an answer as the fault says.
pub(super) fn alter(reply: Reply, action: &Action) -> Reply {
    let length = reply.body().size_hint().exact();
    let announced = reply.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let Some(length) = length.or(announced).filter(|length| *length > 0) else { return reply };
    let (mut head, inner) = reply.into_parts();
    let how = match action {
        Action::Truncate(bytes) => Alteration::Truncate(*bytes),
        Action::Flip(at) => Alteration::Flip((*at).min(length - 1)),
        Action::Shorten(bytes) => {
            let shorter = length.min(*bytes);
            head.headers.insert(CONTENT_LENGTH, shorter.into());
            Alteration::Shorten(shorter)
        }
        _ => return Response::from_parts(head, inner),
    };
    Response::from_parts(head, Altered { inner, at: 0, how }.boxed_unsync())
}

#[derive(Clone, Copy)]
enum Alteration {
    Truncate(u64),
    Shorten(u64),
    Flip(u64),
}

/// A body with a fault in it.
struct Altered {
    inner: Body,
    at: u64,
    how: Alteration,
}

impl http_body::Body for Altered {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.how {
            Alteration::Truncate(bytes) if self.at >= bytes => {
                return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
            }
            Alteration::Shorten(bytes) if self.at >= bytes => return Poll::Ready(None),
            _ => {}
        }
        let Some(frame) = ready!(Pin::new(&mut self.inner).poll_frame(context)) else {
            return Poll::Ready(None);
        };
        let Ok(mut piece) = frame?.into_data() else { return Poll::Ready(None) };
        let start = self.at;
        self.at += piece.len() as u64;
        match self.how {
            Alteration::Truncate(bytes) | Alteration::Shorten(bytes) => {
                piece.truncate(usize::try_from(bytes - start).unwrap_or(usize::MAX));
            }
            Alteration::Flip(at) if (start..self.at).contains(&at) => {
                let mut altered = piece.to_vec();
                altered[(at - start) as usize] ^= 1;
                piece = altered.into();
            }
            Alteration::Flip(_) => {}
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_are_read_as_http_has_them() {
        let cases = [
            ("bytes=0-0", Asked::Part(0..1)),
            ("bytes=5-", Asked::Part(5..10)),
            ("bytes=5-100", Asked::Part(5..10)),
            ("bytes=-3", Asked::Part(7..10)),
            ("bytes=-100", Asked::Part(0..10)),
            ("bytes=-0", Asked::Nothing),
            ("bytes=10-", Asked::Nothing),
            ("bytes=10-12", Asked::Nothing),
            ("bytes=7-5", Asked::Everything),
            ("bytes=0-1,3-4", Asked::Everything),
            ("lines=0-1", Asked::Everything),
            ("bytes=", Asked::Everything),
        ];
        for (text, expected) in cases {
            assert_eq!(asked_range(text, 10), expected, "{text}");
        }
        assert_eq!(asked_range("bytes=0-", 0), Asked::Nothing);
        assert_eq!(asked_range(&format!("bytes=0-{}", u64::MAX), 10), Asked::Part(0..10));
    }

    proptest! {
        #[test]
        fn a_part_lies_in_the_whole(text in "bytes=[0-9]{0,21}-[0-9]{0,21}", length: u64) {
            if let Asked::Part(range) = asked_range(&text, length) {
                prop_assert!(range.start < range.end && range.end <= length);
            }
        }
    }
}
