//! One request and its answer: bounded in time and size, with errors that name the address.

use super::ClientConfig;
use crate::{Error, FormatError, error::is_transient_status};
use bytes::{Bytes, BytesMut};
use reqwest::{
    RequestBuilder, Url,
    header::{HeaderMap, RETRY_AFTER},
    redirect::Policy,
};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Most bytes that are read of an answer that is not a success.
const REFUSAL_BYTES_MAX: u64 = 16 * 1024;
/// Most characters of such an answer in an error.
const REASON_CHARS_MAX: usize = 300;
/// Most redirects; gateways send readers of data to a subdomain of their own.
const REDIRECTS_MAX: usize = 4;

/// Sends requests.
#[derive(Clone)]
pub(super) struct Http(reqwest::Client);

/// An answer, read whole.
#[derive(Debug)]
pub(super) struct Answer {
    pub url: String,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Http {
    pub fn new(config: &ClientConfig) -> Result<Self, Error> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("weft/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(config.connect_timeout)
            .read_timeout(config.idle_timeout)
            .redirect(Policy::custom(|attempt| {
                let secure = attempt.previous().iter().any(|url| url.scheme() == "https");
                if attempt.previous().len() > REDIRECTS_MAX || (secure && attempt.url().scheme() != "https") {
                    attempt.stop()
                } else {
                    attempt.follow()
                }
            }));
        let addresses = || config.gateways.iter().chain(&config.bundler).chain(&config.payment);
        if addresses().all(|url| url.scheme() == "http") {
            // The system's certificates, which may not be there, are not needed.
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(|source| Error::Config(format!("no HTTP client: {source}")))?;
        Ok(Self(client))
    }

    pub fn get(&self, url: Url) -> RequestBuilder {
        self.0.get(url)
    }

    pub fn post(&self, url: Url) -> RequestBuilder {
        self.0.post(url)
    }

    /// Sends a request and reads its answer, of which a success may have `max` bytes.
    pub async fn send(&self, request: RequestBuilder, max: u64) -> Result<Answer, Error> {
        let (client, request) = request.build_split();
        let request = request.map_err(|source| Error::Config(format!("not a request: {source}")))?;
        let url = request.url().to_string();
        let failed =
            |source: reqwest::Error| Error::Transport { url: url.clone(), source: source.without_url() };
        let mut response = client.execute(request).await.map_err(failed)?;
        let success = response.status().is_success();
        let max = if success { max } else { REFUSAL_BYTES_MAX };
        if success && response.content_length().is_some_and(|length| length > max) {
            return Err(Error::BodyTooLarge { url, max });
        }
        let mut body = BytesMut::new();
        while let Some(piece) = response.chunk().await.map_err(failed)? {
            if body.len() as u64 + piece.len() as u64 > max {
                if success {
                    return Err(Error::BodyTooLarge { url, max });
                }
                break;
            }
            body.extend_from_slice(&piece);
        }
        let (status, headers) = (response.status().as_u16(), std::mem::take(response.headers_mut()));
        Ok(Answer { url, status, headers, body: body.freeze() })
    }
}

impl Answer {
    /// The answer itself if it is a success; 404 and 410 as [`Error::NotFound`].
    pub fn success(self, what: impl FnOnce() -> String) -> Result<Self, Error> {
        match self.status {
            200 | 206 => Ok(self),
            404 | 410 => Err(Error::NotFound(what())),
            _ => Err(self.refusal()),
        }
    }

    /// The error of an answer that is no success.
    pub fn refusal(&self) -> Error {
        let seconds = self.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let (url, status, body) = (self.url.clone(), self.status, self.reason());
        if is_transient_status(status) || status < 400 {
            return Error::Status { url, status, body, retry_after: seconds.map(Duration::from_secs) };
        }
        Error::Rejected { status, reason: format!("{url}: {body}") }
    }

    /// The beginning of the body, without control characters.
    pub fn reason(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        text.trim().chars().filter(|letter| !letter.is_control()).take(REASON_CHARS_MAX).collect()
    }

    /// The body as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| self.wrong(error.into()))
    }

    /// The body as text in its one spelling.
    pub fn parse<T: std::str::FromStr<Err = FormatError>>(&self) -> Result<T, Error> {
        let text = std::str::from_utf8(&self.body)
            .map_err(|_| self.wrong(FormatError::Malformed { field: "answer", reason: "not text" }))?;
        text.trim().parse().map_err(|error| self.wrong(error))
    }

    /// The error of an answer that is not what was asked for.
    pub fn wrong(&self, source: FormatError) -> Error {
        Error::WrongAnswer { url: self.url.clone(), source }
    }
}
