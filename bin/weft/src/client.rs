//! A small blocking JSON-RPC client over HTTP/1.1 with a kept-alive connection.
//!
//! Used by `weft blob` and by the load generator of `weft bench`, which have to move megabytes per request at a
//! few CPU milliseconds each: bodies are written from the caller's buffer and read into one that is reused. One
//! request at a time and connection. Speaks `http://` only; a remote node behind TLS needs a tunnel or a proxy.

mod http;

pub use http::HttpError;

use http::Connection;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

/// A connection to a node.
#[derive(Debug)]
pub struct Client {
    connection: Connection,
}

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The node's answer is an error.
    #[error("{method}: {message} (code {code})")]
    Rpc {
        /// What was called.
        method: String,
        /// JSON-RPC error code.
        code: i64,
        /// The node's words.
        message: String,
    },
    /// The answer is not what was expected.
    #[error("{method}: unexpected answer")]
    Answer {
        /// What was called.
        method: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl ClientError {
    /// Whether the node refused because it is full or busy now: the same call may succeed later.
    pub fn is_back_pressure(&self) -> bool {
        matches!(self, Self::Rpc { code, message, .. } if is_back_pressure(*code, message))
    }

    /// Whether the node says that it has this very transaction already.
    pub fn is_already_known(&self) -> bool {
        matches!(self, Self::Rpc { message, .. } if message.contains("already known"))
    }
}

/// "Limit exceeded" of EIP-1474, which the node answers when a queue is full.
const BUSY: i64 = -32005;

/// Whether an error means "later, perhaps": the code of a full queue, or geth's words for a full pool.
pub fn is_back_pressure(code: i64, message: &str) -> bool {
    code == BUSY
        || ["txpool is full", "busy", "account limit", "too many"].iter().any(|word| message.contains(word))
}

#[derive(Serialize)]
struct Request<'a, P> {
    jsonrpc: &'a str,
    id: u32,
    method: &'a str,
    params: P,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<ErrorObject>,
}

#[derive(Deserialize)]
struct ErrorObject {
    code: i64,
    message: String,
}

impl Client {
    /// A client of the node at `url`; connects with the first call.
    pub fn new(url: &str) -> Result<Self, HttpError> {
        Ok(Self { connection: Connection::new(url.parse()?) })
    }

    /// Calls a method; `params` is a tuple or an array.
    pub fn call<R: DeserializeOwned>(
        &mut self,
        method: &str,
        params: impl Serialize,
    ) -> Result<R, ClientError> {
        let answer = |source| ClientError::Answer { method: method.into(), source };
        let body = serde_json::to_vec(&Request { jsonrpc: "2.0", id: 1, method, params }).map_err(answer)?;
        self.send(method, &body)
    }

    /// Sends a body that is a JSON-RPC request already.
    pub fn send<R: DeserializeOwned>(&mut self, method: &str, body: &[u8]) -> Result<R, ClientError> {
        let text = self.connection.post(body)?;
        let answer = |source| ClientError::Answer { method: method.into(), source };
        let response: Response<'_> = serde_json::from_slice(text).map_err(answer)?;
        if let Some(ErrorObject { code, message }) = response.error {
            return Err(ClientError::Rpc { method: method.into(), code, message });
        }
        serde_json::from_str(response.result.map_or("null", RawValue::get)).map_err(answer)
    }

    /// Sends a body that is one JSON-RPC request, or a batch of them, and gives the answer's text.
    pub fn post(&mut self, body: &[u8]) -> Result<&[u8], HttpError> {
        self.connection.post(body)
    }
}
