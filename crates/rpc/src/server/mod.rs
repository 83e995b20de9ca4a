//! The server: one port for HTTP and WebSocket, its connections and their limits.
//!
//! The node calls [`RpcServer::start`] and later [`RpcServer::stop`]. One accept loop, one task per
//! connection (HTTP/1.1 with upgrades), one task that follows the engine, one that follows the pool.
//! Every connection is bounded in time until its head has come, in body size and rate, and in what
//! it has under way; their number is bounded by a semaphore.

mod body;
mod connection;
mod http;
mod middleware;
mod scanner;

use self::{
    connection::{Meter, MeteredIo, Slot},
    http::{HttpState, Route},
    middleware::Observed,
};
use crate::{ColumnsContext, RpcContext, RpcError, Serving, columns, follow};
use ::http::{HeaderValue, Method, Request, Response, header};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use jsonrpsee::{
    Methods,
    core::middleware::RpcServiceBuilder,
    server::{
        BatchRequestConfig, HttpBody, IdProvider, PingConfig, ServerBuilder, ServerConfig, ServerHandle,
        StopHandle, stop_channel,
    },
    types::SubscriptionId,
};
use std::{collections::HashSet, convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::Semaphore};
use tower::{Service, ServiceBuilder, service_fn, util::BoxCloneSyncService};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// Largest piece in which a body is read from the socket: stays in the second-level cache.
const READ_BUFFER_BYTES: usize = 256 * 1024;
/// A WebSocket client that answers no ping for so long is dropped.
const WEBSOCKET_SILENCE_MAX: Duration = Duration::from_secs(90);
const WEBSOCKET_PING_INTERVAL: Duration = Duration::from_secs(30);
/// Pause after a failed accept (out of file descriptors), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum RpcServerError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The configured address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// Two handlers have one name.
    #[error("method registered twice: {0}")]
    Register(#[from] jsonrpsee::server::RegisterMethodError),
    /// The chain's head cannot be read, or an account's key is not a key.
    #[error(transparent)]
    Context(#[from] RpcError),
    /// A configured origin is not a header value.
    #[error("origin {0:?} is not a valid header value")]
    Origin(String),
}

/// A running server.
#[derive(Debug)]
pub struct RpcServer<C = RpcContext> {
    address: SocketAddr,
    handle: ServerHandle,
    context: Arc<C>,
}

impl RpcServer {
    /// Listens and serves a full node.
    pub async fn start(context: Arc<RpcContext>) -> Result<Self, RpcServerError> {
        let module = crate::module(&context)?;
        let (server, stop) = Self::listen(Arc::clone(&context), module.into()).await?;
        tokio::spawn(follow::engine(Arc::clone(&context), stop.clone()));
        tokio::spawn(follow::pool(context, stop));
        Ok(server)
    }
}

impl RpcServer<ColumnsContext> {
    /// Listens and serves a node without execution.
    pub async fn start_columns(context: Arc<ColumnsContext>) -> Result<Self, RpcServerError> {
        let module = columns::module(&context)?;
        Ok(Self::listen(context, module.into()).await?.0)
    }
}

impl<C: Serving> RpcServer<C> {
    async fn listen(context: Arc<C>, methods: Methods) -> Result<(Self, StopHandle), RpcServerError> {
        let address = context.config().address;
        let listener =
            TcpListener::bind(address).await.map_err(|source| RpcServerError::Listen { address, source })?;
        let address = listener.local_addr().map_err(|source| RpcServerError::Listen { address, source })?;
        let (stop, handle) = stop_channel();
        let acceptor = Acceptor::new(context.clone(), methods, stop.clone())?;
        tokio::spawn(acceptor.run(listener));
        tracing::info!(target: "weft::rpc", %address, "json-rpc server started");
        Ok((Self { address, handle, context }, stop))
    }

    /// Where it listens (the port, when 0 was configured).
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the handlers work on.
    pub fn context(&self) -> &Arc<C> {
        &self.context
    }

    /// Accepts nothing more, finishes calls under way, closes all connections.
    pub async fn stop(self) {
        // It fails only when it was stopped before.
        let _ = self.handle.stop();
        self.handle.stopped().await;
    }
}

struct Acceptor {
    state: Arc<HttpState>,
    methods: Methods,
    names: Arc<HashSet<&'static str>>,
    stop: StopHandle,
    cors: Option<CorsLayer>,
    slots: Arc<Semaphore>,
}

type HttpService = BoxCloneSyncService<Request<Incoming>, Response<HttpBody>, Infallible>;

impl Acceptor {
    fn new(context: Arc<dyn Serving>, methods: Methods, stop: StopHandle) -> Result<Self, RpcServerError> {
        Ok(Self {
            cors: cors(&context.config().cors_origins)?,
            slots: Arc::new(Semaphore::new(context.config().connections_max)),
            names: Arc::new(methods.method_names().collect()),
            state: Arc::new(HttpState {
                body_budget: Arc::new(Semaphore::new(context.config().request_bytes_in_flight)),
                context,
            }),
            methods,
            stop,
        })
    }

    async fn run(self, listener: TcpListener) {
        let server = server_config(self.state.context.config());
        // Its own connection limit counts requests; ours counts sockets.
        let builder = ServerBuilder::with_config(server).to_service_builder().max_connections(u32::MAX >> 4);
        let stopped = self.stop.clone().shutdown();
        tokio::pin!(stopped);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = &mut stopped => return,
            };
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let Ok(permit) = Arc::clone(&self.slots).try_acquire_owned() else {
                self.state.context.metrics().server.connections_refused_total.increment(1);
                continue;
            };
            let slot = Slot::new(Arc::clone(&self.state.context), permit);
            let meter = Meter::new(self.state.context.config().calls_per_connection_max);
            let observer = {
                let (context, methods, meter) =
                    (Arc::clone(&self.state.context), Arc::clone(&self.names), Arc::clone(&meter));
                RpcServiceBuilder::new().layer_fn(move |service| Observed {
                    service,
                    context: Arc::clone(&context),
                    methods: Arc::clone(&methods),
                    meter: Arc::clone(&meter),
                })
            };
            let rpc =
                builder.clone().set_rpc_middleware(observer).build(self.methods.clone(), self.stop.clone());
            let state = Arc::clone(&self.state);
            let service = service_fn(move |request: Request<Incoming>| {
                let (state, mut rpc) = (Arc::clone(&state), rpc.clone());
                async move { Ok(answer(&state, request, |request| rpc.call(request)).await) }
            });
            let header_timeout = self.state.context.config().header_timeout;
            // Small answers must not wait for the client's acknowledgements; not fatal where it cannot be set.
            let _ = stream.set_nodelay(true);
            tokio::spawn(serve(
                MeteredIo::new(stream, meter, slot),
                self.with_cors(service),
                header_timeout,
                self.stop.clone(),
            ));
        }
    }

    fn with_cors<S>(&self, service: S) -> HttpService
    where
        S: Service<Request<Incoming>, Response = Response<HttpBody>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        match &self.cors {
            Some(cors) => {
                BoxCloneSyncService::new(ServiceBuilder::new().layer(cors.clone()).service(service))
            }
            None => BoxCloneSyncService::new(service),
        }
    }
}

async fn answer<F>(
    state: &HttpState,
    request: Request<Incoming>,
    dispatch: impl FnOnce(Request<HttpBody>) -> F,
) -> Response<HttpBody>
where
    F: Future<Output = Result<Response<HttpBody>, jsonrpsee::core::BoxError>>,
{
    match state.route(request).await {
        Route::Answered(response) => response,
        Route::Dispatch(request) => dispatch(request).await.unwrap_or_else(|error| {
            tracing::debug!(target: "weft::rpc", %error, "request was not answered");
            jsonrpsee::server::http::response::internal_error()
        }),
    }
}

async fn serve(io: TokioIo<MeteredIo>, service: HttpService, header_timeout: Duration, stop: StopHandle) {
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(header_timeout).max_buf_size(READ_BUFFER_BYTES);
    let connection = builder.serve_connection(io, TowerToHyperService::new(service)).with_upgrades();
    let stopped = stop.shutdown();
    tokio::pin!(connection, stopped);
    let outcome = tokio::select! {
        outcome = &mut connection => outcome,
        () = &mut stopped => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(target: "weft::rpc", %error, "connection ended");
    }
}

fn server_config(config: &crate::RpcConfig) -> ServerConfig {
    let limit = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
    let ping = PingConfig::new()
        .ping_interval(WEBSOCKET_PING_INTERVAL)
        .inactive_limit(WEBSOCKET_SILENCE_MAX)
        .max_failures(1);
    ServerConfig::builder()
        .max_request_body_size(limit(config.request_bytes_max))
        .max_response_body_size(limit(config.response_bytes_max))
        .max_subscriptions_per_connection(config.subscriptions_per_connection_max)
        .set_batch_request_config(BatchRequestConfig::Limit(config.batch_calls_max))
        .set_message_buffer_capacity(config.subscription_queue)
        .enable_ws_ping(ping)
        .set_id_provider(HexIds)
        .build()
}

fn cors(origins: &[String]) -> Result<Option<CorsLayer>, RpcServerError> {
    if origins.is_empty() {
        return Ok(None);
    }
    let origin = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        let parse = |origin: &String| {
            HeaderValue::from_str(origin).map_err(|_| RpcServerError::Origin(origin.clone()))
        };
        AllowOrigin::list(origins.iter().map(parse).collect::<Result<Vec<_>, _>>()?)
    };
    Ok(Some(
        CorsLayer::new()
            .allow_origin(origin)
            .allow_methods([Method::GET, Method::POST])
            .allow_headers([header::CONTENT_TYPE]),
    ))
}

/// Subscription ids as geth's: 16 random bytes as a hex quantity.
#[derive(Debug)]
struct HexIds;

impl IdProvider for HexIds {
    fn next_id(&self) -> SubscriptionId<'static> {
        SubscriptionId::Str(format!("{:#x}", rand::random::<u128>()).into())
    }
}
