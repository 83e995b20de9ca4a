//! What happens around every call: metrics by method, and the connection's meter.

use super::connection::Meter;
use crate::RpcContext;
use futures::FutureExt;
use jsonrpsee::{
    MethodResponse,
    core::{
        middleware::{Batch, BatchEntry, Notification},
        server::BatchResponseBuilder,
    },
    server::middleware::rpc::RpcServiceT,
    types::Request,
};
use std::{collections::HashSet, sync::Arc, time::Instant};

/// Label of calls to methods that are not served.
const UNKNOWN: &str = "unknown";

/// Wraps jsonrpsee's dispatch.
#[derive(Clone, Debug)]
pub struct Observed<S> {
    /// The dispatch.
    pub service: S,
    /// The server.
    pub context: Arc<RpcContext>,
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
        let name = self.methods.get(request.method.as_ref()).copied().unwrap_or(UNKNOWN);
        let response = self.service.call(request).await;
        self.context.metrics.observe_since(name, response.is_success(), start);
        response
    }

    /// Call by call, within the response limit.
    async fn observed_batch(&self, batch: Batch<'_>) -> MethodResponse {
        let mut builder = BatchResponseBuilder::new_with_limit(self.context.config.response_bytes_max);
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
