//! What happens around every call: metrics by method, and the connection's meter.

use super::connection::Meter;
use crate::{RpcError, Serving};
use futures::FutureExt;
use jsonrpsee::{
    MethodResponse,
    core::{
        middleware::{Batch, BatchEntry, Notification},
        server::BatchResponseBuilder,
    },
    server::middleware::rpc::RpcServiceT,
    types::{ErrorCode, Request},
};
use std::{collections::HashSet, sync::Arc, time::Instant};

/// Label of calls to methods that are not served.
const UNKNOWN: &str = "unknown";
/// Characters of an unknown method's name that are repeated to the caller.
const METHOD_SHOWN_CHARS: usize = 100;

/// Wraps jsonrpsee's dispatch.
#[derive(Clone, Debug)]
pub struct Observed<S> {
    /// The dispatch.
    pub service: S,
    /// The server.
    pub context: Arc<dyn Serving>,
    /// Names of all served methods.
    pub methods: Arc<HashSet<&'static str>>,
    /// The connection that the calls come from.
    pub meter: Arc<Meter>,
}

impl<S> RpcServiceT for Observed<S>
where
    S: RpcServiceT<
            MethodResponse = MethodResponse,
            BatchResponse = MethodResponse,
            NotificationResponse = MethodResponse,
        > + Clone
        + Send
        + Sync
        + 'static,
{
    type MethodResponse = MethodResponse;
    type BatchResponse = MethodResponse;
    type NotificationResponse = MethodResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let this = self.clone();
        async move {
            let _guard = this.meter.begin();
            let response = this.observed_call(request).await;
            this.meter.answered(response.as_json().get().len());
            response
        }
    }

    fn batch<'a>(&self, batch: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let this = self.clone();
        async move {
            let _guard = this.meter.begin();
            let response = this.observed_batch(batch).await;
            this.meter.answered(response.as_json().get().len());
            response
        }
    }

    fn notification<'a>(
        &self,
        notification: Notification<'a>,
    ) -> impl Future<Output = MethodResponse> + Send + 'a {
        self.service.clone().notification(notification).map(|response| response).boxed()
    }
}

impl<S: RpcServiceT<MethodResponse = MethodResponse>> Observed<S> {
    async fn observed_call(&self, request: Request<'_>) -> MethodResponse {
        let start = Instant::now();
        let name = self.methods.get(request.method.as_ref()).copied();
        let (method, id) = (request.method.to_string(), request.id.clone().into_owned());
        let response = self.service.call(request).await;
        let response = match reworded(&method, name, &response) {
            Some(error) => MethodResponse::error(id, error.into_object()),
            None => response,
        };
        let name = name.unwrap_or(UNKNOWN);
        self.context.metrics().observe_since(name, response.is_success(), start);
        response
    }

    /// Call by call, within the response limit.
    async fn observed_batch(&self, batch: Batch<'_>) -> MethodResponse {
        let mut builder = BatchResponseBuilder::new_with_limit(self.context.config().response_bytes_max);
        let mut notified = false;
        for entry in batch {
            let response = match entry {
                Ok(BatchEntry::Call(request)) => self.observed_call(request).await,
                Ok(BatchEntry::Notification(_)) => {
                    notified = true;
                    continue;
                }
                Err(error) => {
                    let (error, id) = error.into_parts();
                    MethodResponse::error(id, error)
                }
            };
            if let Err(too_large) = builder.append(response) {
                return too_large;
            }
        }
        if builder.is_empty() && notified {
            MethodResponse::notification()
        } else {
            MethodResponse::from_batch(builder.finish())
        }
    }
}

/// geth's words where jsonrpsee has its own: clients know a missing method by them.
fn reworded(method: &str, served: Option<&str>, response: &MethodResponse) -> Option<RpcError> {
    let refused = response.as_error_code()?;
    match served {
        None if refused == ErrorCode::MethodNotFound.code() => {
            let shown: String = method.chars().take(METHOD_SHOWN_CHARS).collect();
            Some(RpcError::Unsupported(format!("the method {shown} does not exist/is not available")))
        }
        // What is subscribed to over HTTP has no way back.
        Some(name) if name.ends_with("_subscribe") && refused == ErrorCode::InternalError.code() => {
            Some(RpcError::Unsupported("notifications not supported".to_owned()))
        }
        _ => None,
    }
}
