//! Registration of handlers: how a plain function becomes a JSON-RPC method.
//!
//! Three kinds, by what a handler does: [`Registrar::quick`] answers on the async thread (no I/O,
//! microseconds), [`Registrar::read`] reads the database, [`Registrar::execute`] runs the EVM or
//! scans. The last two run on blocking threads behind a semaphore each, so that slow calls neither
//! stall the async threads nor starve cheap reads; what cannot start within the call's time is
//! answered with a timeout. Results are turned into JSON on the same blocking thread, within the
//! response limit.

use crate::{Args, RpcContext, RpcError, Serving};
use jsonrpsee::{
    PendingSubscriptionSink, RpcModule,
    server::RegisterMethodError,
    types::{ErrorObjectOwned, Params},
};
use serde::Serialize;
use serde_json::value::RawValue;
use std::{io, sync::Arc};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A result as JSON text.
pub type Json = Box<RawValue>;

/// Collects the methods of all served namespaces.
pub struct Registrar<C = RpcContext> {
    module: RpcModule<Arc<C>>,
    failure: Option<RegisterMethodError>,
}

impl<C: Serving> Registrar<C> {
    /// An empty set over `context`.
    pub fn new(context: Arc<C>) -> Self {
        Self { module: RpcModule::new(context), failure: None }
    }

    /// A method that answers without I/O, with at most `args_max` parameters.
    pub fn quick<R: Serialize + 'static>(
        &mut self,
        name: &'static str,
        args_max: usize,
        handler: fn(&C, &Args<'_>) -> Result<R, RpcError>,
    ) {
        let outcome =
            self.module.register_method(name, move |params, context, _| -> Result<Json, ErrorObjectOwned> {
                let args = Args::parse(params.as_str(), args_max)?;
                Ok(to_json(&handler(context, &args)?, context.config().response_bytes_max)?)
            });
        let outcome = outcome.map(|_| ());
        self.note(outcome);
    }

    /// A method that reads the database.
    pub fn read<R: Serialize + 'static>(
        &mut self,
        name: &'static str,
        args_max: usize,
        handler: fn(&C, &Args<'_>) -> Result<R, RpcError>,
    ) {
        self.blocking(name, args_max, C::read_permits, handler);
    }

    /// A method that runs the EVM, or scans a range of blocks.
    pub fn execute<R: Serialize + 'static>(
        &mut self,
        name: &'static str,
        args_max: usize,
        handler: fn(&C, &Args<'_>) -> Result<R, RpcError>,
    ) {
        self.blocking(name, args_max, C::execute_permits, handler);
    }

    /// A method that waits for something.
    pub fn asynchronous<R, Fut>(&mut self, name: &'static str, handler: fn(Arc<C>, Params<'static>) -> Fut)
    where
        R: Serialize + Clone + Send + 'static,
        Fut: Future<Output = Result<R, RpcError>> + Send + 'static,
    {
        let outcome = self.module.register_async_method(name, move |params, context, _| {
            let future = handler(Arc::clone(&context), params);
            async move { future.await.map_err(ErrorObjectOwned::from) }
        });
        let outcome = outcome.map(|_| ());
        self.note(outcome);
    }

    /// A subscription of a namespace: `eth_subscribe`, `eth_subscription`, `eth_unsubscribe` for `eth`.
    pub fn subscription<Fut>(
        &mut self,
        [subscribe, notification, unsubscribe]: [&'static str; 3],
        handler: fn(Arc<C>, Params<'static>, PendingSubscriptionSink) -> Fut,
    ) where
        Fut: Future<Output = ()> + Send + 'static,
    {
        let outcome = self.module.register_subscription(
            subscribe,
            notification,
            unsubscribe,
            move |params, pending, context, _| handler(Arc::clone(&context), params, pending),
        );
        let outcome = outcome.map(|_| ());
        self.note(outcome);
    }

    /// The finished module; fails when a name was registered twice.
    pub fn finish(self) -> Result<RpcModule<Arc<C>>, RegisterMethodError> {
        match self.failure {
            Some(failure) => Err(failure),
            None => Ok(self.module),
        }
    }

    fn note(&mut self, outcome: Result<(), RegisterMethodError>) {
        if let Err(error) = outcome {
            self.failure.get_or_insert(error);
        }
    }

    fn blocking<R: Serialize + 'static>(
        &mut self,
        name: &'static str,
        args_max: usize,
        permits: fn(&C) -> &Arc<Semaphore>,
        handler: fn(&C, &Args<'_>) -> Result<R, RpcError>,
    ) {
        let outcome = self.module.register_async_method(name, move |params, context, _| async move {
            let context = Arc::clone(&context);
            let permits = Arc::clone(permits(&context));
            let limit = context.config().call_timeout;
            let work = run_blocking(permits, move || {
                let args = Args::parse(params.as_str(), args_max)?;
                to_json(&handler(&context, &args)?, context.config().response_bytes_max)
            });
            tokio::time::timeout(limit, work)
                .await
                .unwrap_or(Err(RpcError::Timeout))
                .map_err(ErrorObjectOwned::from)
        });
        let outcome = outcome.map(|_| ());
        self.note(outcome);
    }
}

/// Runs `work` on a blocking thread once a permit is free; the permit is held until the work is
/// done, also when nobody waits for it any more.
pub async fn run_blocking<T: Send + 'static>(
    permits: Arc<Semaphore>,
    work: impl FnOnce() -> Result<T, RpcError> + Send + 'static,
) -> Result<T, RpcError> {
    let permit: OwnedSemaphorePermit = permits.acquire_owned().await.map_err(RpcError::internal)?;
    tokio::task::spawn_blocking(move || {
        let outcome = work();
        drop(permit);
        outcome
    })
    .await
    .map_err(RpcError::internal)?
}

/// JSON text of `value`, refused when it is longer than `limit` bytes.
pub fn to_json<T: Serialize>(value: &T, limit: usize) -> Result<Json, RpcError> {
    let mut out = Bounded { bytes: Vec::with_capacity(128), limit, exceeded: false };
    if let Err(error) = serde_json::to_writer(&mut out, value) {
        return Err(if out.exceeded { RpcError::ResponseTooLarge(limit) } else { RpcError::internal(error) });
    }
    let text = String::from_utf8(out.bytes).map_err(RpcError::internal)?;
    RawValue::from_string(text).map_err(RpcError::internal)
}

struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
    exceeded: bool,
}

impl io::Write for Bounded {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + piece.len() > self.limit {
            self.exceeded = true;
            return Err(io::Error::other("response limit"));
        }
        self.bytes.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_over_the_limit_is_refused() {
        assert_eq!(to_json(&"abc", 5).unwrap().get(), "\"abc\"");
        let error = to_json(&"abcd", 5).unwrap_err();
        assert_eq!(error.code(), -32003);
    }
}
