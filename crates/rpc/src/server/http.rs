//! One HTTP request: who may ask, what is asked, and which way it goes.
//!
//! `GET /health` and `/ready` for orchestration; an upgrade goes to jsonrpsee's WebSocket; a POST's
//! body is received here, a raw transaction goes straight to the pool, everything else to
//! jsonrpsee. A `Host` that is neither an address nor known is refused (DNS rebinding), as is an
//! `Origin` on a WebSocket that is not allowed; a POST must be `application/json`, so that a
//! browser has to ask first.

use super::{
    body::{self, BodyError},
    scanner::Scanned,
};
use crate::{Readiness, RpcError, Serving};
use alloy_primitives::{Bytes, TxHash};
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use jsonrpsee::server::{HttpBody, http as rpc_http, ws};
use serde_json::value::RawValue;
use std::{net::IpAddr, sync::Arc, time::Instant};
use tokio::sync::Semaphore;
use weft_pool::Pool;

/// What all requests share.
#[derive(Debug)]
pub struct HttpState {
    /// The server.
    pub context: Arc<dyn Serving>,
    /// Memory for bodies, in bytes.
    pub body_budget: Arc<Semaphore>,
}

/// What is to be done with a request.
#[derive(Debug)]
pub enum Route {
    /// It is answered.
    Answered(Response<HttpBody>),
    /// jsonrpsee's: a WebSocket upgrade, or a POST with its body received.
    Dispatch(Request<HttpBody>),
}

impl HttpState {
    /// Answers `request`, or prepares it for jsonrpsee.
    pub async fn route(&self, request: Request<Incoming>) -> Route {
        let config = self.context.config();
        if !host_allowed(request.headers(), request.uri(), &config.virtual_hosts) {
            return Route::Answered(rpc_http::response::host_not_allowed());
        }
        if ws::is_upgrade_request(&request) {
            if !config.websocket || !origin_allowed(request.headers(), &config.cors_origins) {
                return Route::Answered(rpc_http::response::denied());
            }
            return Route::Dispatch(request.map(HttpBody::new));
        }
        match *request.method() {
            Method::GET | Method::HEAD => Route::Answered(self.get(request.uri().path())),
            Method::POST if !config.http => Route::Answered(rpc_http::response::denied()),
            Method::POST if rpc_http::content_type_is_json(&request) || is_plain_json(request.headers()) => {
                self.post(request).await
            }
            Method::POST => Route::Answered(rpc_http::response::unsupported_content_type()),
            _ => Route::Answered(rpc_http::response::method_not_allowed()),
        }
    }

    fn get(&self, path: &str) -> Response<HttpBody> {
        match path {
            // geth answers an empty GET so, and load balancers count on it.
            "/" => text(StatusCode::OK, ""),
            "/health" => text(StatusCode::OK, r#"{"status":"ok"}"#),
            "/ready" => match self.context.readiness() {
                Readiness::Ready => text(StatusCode::OK, r#"{"status":"ready"}"#),
                Readiness::Starting => text(StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"starting"}"#),
                Readiness::Unready(reason) => text(
                    StatusCode::SERVICE_UNAVAILABLE,
                    &serde_json::json!({ "status": "unready", "reason": reason }).to_string(),
                ),
            },
            _ => text(StatusCode::NOT_FOUND, ""),
        }
    }

    async fn post(&self, request: Request<Incoming>) -> Route {
        let start = Instant::now();
        let (parts, incoming) = request.into_parts();
        let announced =
            parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let metrics = &self.context.metrics().server;
        let received =
            match body::receive(incoming, announced, self.context.config(), &self.body_budget).await {
                Ok(received) => received,
                Err(error) => {
                    metrics.bodies_refused_total.increment(1);
                    return Route::Answered(refusal(&error));
                }
            };
        metrics.request_bytes_total.increment(received.bytes as u64);
        self.context.metrics().work.parse_seconds.record(received.parsing.as_secs_f64());
        let (scanned, permit) = received.into_parts();
        let has_eth = self.context.config().namespaces.iter().any(|name| name == "eth");
        match scanned {
            Scanned::RawTransaction { id, raw } => match self.context.pool().filter(|_| has_eth) {
                Some(pool) => {
                    metrics.raw_transactions_streamed_total.increment(1);
                    let answer = self.submit(pool, &id, raw, start).await;
                    drop(permit);
                    Route::Answered(answer)
                }
                None => Route::Answered(rpc_http::response::denied()),
            },
            Scanned::Plain(text) => {
                let mut request = Request::from_parts(parts, HttpBody::from(text));
                // Its share of the memory goes back when the request, and with it the body, is dropped.
                request.extensions_mut().insert(Arc::new(permit));
                Route::Dispatch(request)
            }
        }
    }

    async fn submit(&self, pool: &Pool, id: &RawValue, raw: Bytes, start: Instant) -> Response<HttpBody> {
        let submitted = async { Ok(pool.submit(raw).await?) };
        let outcome = tokio::time::timeout(self.context.config().call_timeout, submitted).await;
        let outcome: Result<TxHash, RpcError> = outcome.unwrap_or(Err(RpcError::Timeout));
        self.context.metrics().observe_since("eth_sendRawTransaction", outcome.is_ok(), start);
        let answer = match outcome {
            Ok(hash) => format!(r#"{{"jsonrpc":"2.0","id":{},"result":"{hash}"}}"#, id.get()),
            Err(error) => {
                let object = serde_json::to_string(&error.into_object())
                    .unwrap_or_else(|_| r#"{"code":-32603,"message":"internal error"}"#.to_owned());
                format!(r#"{{"jsonrpc":"2.0","id":{},"error":{object}}}"#, id.get())
            }
        };
        rpc_http::response::ok_response(answer)
    }
}

fn refusal(error: &BodyError) -> Response<HttpBody> {
    match error {
        BodyError::TooLarge(limit) => {
            rpc_http::response::too_large(u32::try_from(*limit).unwrap_or(u32::MAX))
        }
        BodyError::TooSlow => closing(text(StatusCode::REQUEST_TIMEOUT, &error.to_string())),
        BodyError::CutOff => closing(text(StatusCode::BAD_REQUEST, &error.to_string())),
        BodyError::Busy => closing(text(StatusCode::SERVICE_UNAVAILABLE, &error.to_string())),
    }
}

/// The rest of the body is not worth reading.
fn closing(mut response: Response<HttpBody>) -> Response<HttpBody> {
    response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    response
}

fn text(status: StatusCode, body: &str) -> Response<HttpBody> {
    let mut response = Response::new(HttpBody::from(body.to_owned()));
    *response.status_mut() = status;
    let kind = if body.starts_with('{') { "application/json" } else { "text/plain" };
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}

/// `application/json` with parameters that jsonrpsee's exact list does not know.
fn is_plain_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.and_then(|kind| kind.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// Addresses, `localhost` and the configured names.
fn host_allowed(headers: &HeaderMap, uri: &http::Uri, allowed: &[String]) -> bool {
    if allowed.iter().any(|name| name == "*") {
        return true;
    }
    let host = headers
        .get(header::HOST)
        .map(|value| value.to_str().unwrap_or("\u{0}"))
        .or(uri.authority().map(|authority| authority.as_str()));
    // HTTP/1.0 without a Host cannot come from a rebound name in a browser.
    host.is_none_or(|host| {
        is_local_name(host_name(host))
            || allowed.iter().any(|name| name.eq_ignore_ascii_case(host_name(host)))
    })
}

fn host_name(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.rsplit_once(':').map_or(host, |(name, port)| {
            if port.bytes().all(|digit| digit.is_ascii_digit()) { name } else { host }
        }),
    }
}

fn is_local_name(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

/// No `Origin` (not a browser), a configured one, or this machine's.
fn origin_allowed(headers: &HeaderMap, allowed: &[String]) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    if allowed.iter().any(|name| name == "*" || name.eq_ignore_ascii_case(origin)) {
        return true;
    }
    let name = origin.split_once("://").map_or("", |(_, rest)| host_name(rest));
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn a_rebound_name_is_refused() {
        let uri = http::Uri::from_static("/");
        for host in ["127.0.0.1:8545", "localhost", "[::1]:8545", "10.0.0.7", "node.example:8545"] {
            assert!(host_allowed(&headers(header::HOST, host), &uri, &["node.example".to_owned()]), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8545", ""] {
            assert!(!host_allowed(&headers(header::HOST, host), &uri, &[]), "{host}");
        }
        assert!(host_allowed(&headers(header::HOST, "evil.example"), &uri, &["*".to_owned()]));
        assert!(host_allowed(&HeaderMap::new(), &uri, &[]));
    }

    #[test]
    fn a_foreign_page_may_not_open_a_websocket() {
        assert!(origin_allowed(&HeaderMap::new(), &[]));
        assert!(origin_allowed(&headers(header::ORIGIN, "http://localhost:3000"), &[]));
        assert!(origin_allowed(
            &headers(header::ORIGIN, "https://app.example"),
            &["https://app.example".to_owned()]
        ));
        assert!(!origin_allowed(
            &headers(header::ORIGIN, "https://evil.example"),
            &["https://app.example".to_owned()]
        ));
        assert!(!origin_allowed(&headers(header::ORIGIN, "null"), &[]));
        assert!(!origin_allowed(&headers(header::ORIGIN, "http://10.0.0.1"), &[]));
    }
}
