//! Frames of the request/response protocols: `u32` length, RLP, end of stream.
//!
//! One frame each way on a stream of its own. The length is compared with the cap of the message before a byte of it is
//! read, the buffer grows with what arrives and not with what was claimed, and bytes after the frame are an offence.
//! Deadlines are those of the request/response behaviour, for the whole exchange.
//!
//! A request is its RLP. An answer is `[0, answer]`, or `[reason]` when it is refused.

use crate::{
    BlockCommitment, BodyPart, BodyRequest, CellsRequest, CellsResponse, CommitmentRequest, HeadersRequest,
    Protocol, Refusal,
    headers::HeadersResponse,
    status::{StatusMessage, StatusReply},
    transactions::{TransactionsRequest, TransactionsResponse},
    wire::{Frame, Reader, Wire, WireError, Writer},
};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::{StreamProtocol, request_response};
use std::{fmt::Debug, io, marker::PhantomData};

/// First allocation for a frame; doubled while bytes keep coming.
const BUFFER_BYTES: usize = 64 << 10;

/// A request/response protocol.
pub(crate) trait Exchange: Clone + Copy + Send + Sync + 'static {
    const PROTOCOL: Protocol;
    const NAME: &'static str;
    type Request: Wire + Debug;
    type Response: Wire + Debug;
}

macro_rules! exchanges {
    ($($name:ident: $path:literal, $request:ty => $response:ty;)*) => {$(
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $name;

        impl Exchange for $name {
            const PROTOCOL: Protocol = Protocol::$name;
            const NAME: &'static str = $path;
            type Request = $request;
            type Response = $response;
        }
    )*};
}

exchanges! {
    Status: "/weft/status/1", StatusMessage => StatusReply;
    Headers: "/weft/headers/1", HeadersRequest => HeadersResponse;
    Bodies: "/weft/bodies/1", BodyRequest => BodyPart;
    Cells: "/weft/cells/1", CellsRequest => CellsResponse;
    Commitments: "/weft/commitments/1", CommitmentRequest => BlockCommitment;
    Transactions: "/weft/transactions/1", TransactionsRequest => TransactionsResponse;
}

/// A message on its way out, encoded, or on its way in, decoded, with the bytes that it took.
#[derive(Debug)]
pub(crate) enum Parcel<T> {
    Out(Frame),
    In(T, usize),
}

/// What a request is answered with.
#[derive(Debug)]
pub struct Answer<T>(pub Result<T, Refusal>);

impl Refusal {
    fn code(self) -> u8 {
        match self {
            Self::NotFound => 1,
            Self::Busy => 2,
            Self::RateLimited => 3,
            Self::Invalid => 4,
            Self::Failed => 5,
        }
    }
}

impl<T: Wire> Wire for Answer<T> {
    const BYTES_MAX: usize = T::BYTES_MAX + 8;

    fn write(&self, out: &mut Writer) {
        out.list(|out| match &self.0 {
            Ok(answer) => {
                out.item(&0_u8);
                answer.write(out);
            }
            Err(refusal) => out.item(&refusal.code()),
        });
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        let mut list = from.list()?;
        let answer = match list.item::<u8>()? {
            0 => Ok(T::read(&mut list)?),
            1 => Err(Refusal::NotFound),
            2 => Err(Refusal::Busy),
            3 => Err(Refusal::RateLimited),
            4 => Err(Refusal::Invalid),
            5 => Err(Refusal::Failed),
            _ => return Err(WireError::Field { field: "answer", reason: "neither answer nor refusal" }),
        };
        list.end()?;
        Ok(Self(answer))
    }
}

/// How a frame breaks the rules; inside of an [`io::Error`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("bytes after the end of the frame")]
    Trailing,
}

impl FrameError {
    /// The rule that an [`io::Error`] of a stream is about, if it is about one.
    pub(crate) fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// Whether it is about length.
    pub(crate) fn is_oversized(&self) -> bool {
        matches!(self, Self::Trailing | Self::Wire(WireError::TooLong { .. }))
    }
}

fn broken(error: impl Into<FrameError>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.into())
}

/// Reads and writes the frames of one protocol.
#[derive(Debug)]
pub(crate) struct Codec<P>(PhantomData<P>);

impl<P> Default for Codec<P> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<P> Clone for Codec<P> {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// Reads one frame of at most `max` bytes and the end of the stream.
async fn read_frame<T: Wire>(io: &mut (impl AsyncRead + Unpin + Send)) -> io::Result<(T, usize)> {
    let mut length = [0; 4];
    io.read_exact(&mut length).await?;
    let length = u32::from_be_bytes(length) as usize;
    if length > T::BYTES_MAX {
        return Err(broken(WireError::TooLong { bytes: length, max: T::BYTES_MAX }));
    }
    let mut buffer = Vec::with_capacity(length.min(BUFFER_BYTES));
    while buffer.len() < length {
        let had = buffer.len();
        buffer.resize((2 * had).max(BUFFER_BYTES).min(length), 0);
        io.read_exact(&mut buffer[had..]).await?;
    }
    if io.read(&mut [0]).await? != 0 {
        return Err(broken(FrameError::Trailing));
    }
    Ok((T::from_frame(&buffer.into()).map_err(broken)?, length + 4))
}

async fn write_frame(io: &mut (impl AsyncWrite + Unpin + Send), frame: &Frame) -> io::Result<()> {
    let length = u32::try_from(frame.len()).map_err(io::Error::other)?;
    io.write_all(&length.to_be_bytes()).await?;
    for piece in frame.pieces() {
        io.write_all(piece).await?;
    }
    io.flush().await
}

/// A message that came in cannot be sent on; nothing here does.
fn outgoing<T>(parcel: Parcel<T>) -> io::Result<Frame> {
    match parcel {
        Parcel::Out(frame) => Ok(frame),
        Parcel::In(..) => Err(io::Error::other("a message that came in is not sent on")),
    }
}

#[async_trait::async_trait]
impl<P: Exchange> request_response::Codec for Codec<P> {
    type Protocol = StreamProtocol;
    type Request = Parcel<P::Request>;
    type Response = Parcel<Answer<P::Response>>;

    async fn read_request<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Self::Request> {
        read_frame(io).await.map(|(message, bytes)| Parcel::In(message, bytes))
    }

    async fn read_response<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Self::Response> {
        read_frame(io).await.map(|(message, bytes)| Parcel::In(message, bytes))
    }

    async fn write_request<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        request: Self::Request,
    ) -> io::Result<()> {
        write_frame(io, &outgoing(request)?).await
    }

    async fn write_response<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        response: Self::Response,
    ) -> io::Result<()> {
        write_frame(io, &outgoing(response)?).await
    }
}
