//! The port: connections, each request with its fault, and an orderly end.
//!
//! Bounds: [`Limits::connections`](super::Limits::connections) sockets, each with
//! [`Limits::idle`](super::Limits::idle) for the head of a request and between pieces of its body.

use super::{
    answers::answer,
    faults::Action,
    http::{Body, Reply, alter, error_reply, text_reply},
    network::Network,
    routes::{Call, Route, parse},
};
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Pause after a failed accept (out of file descriptors), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Time for answers under way when the gateway stops.
const STOP_GRACE: Duration = Duration::from_secs(3);

/// A fault closes the connection.
#[derive(Debug, thiserror::Error)]
#[error("closed on purpose")]
struct Closed;

/// Accepts until it is stopped, then ends the connections.
pub(super) async fn run(listener: TcpListener, network: Arc<Network>, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(network.config.limits.connections));
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let Ok(permit) = Arc::clone(&slots).try_acquire_owned() else {
            network.counters.connection_refused();
            continue;
        };
        // Small answers must not wait for the client's acknowledgements; not fatal where it cannot be set.
        let _ = stream.set_nodelay(true);
        let (network, stop) = (Arc::clone(&network), stop.clone());
        connections.spawn(async move {
            let _permit = permit;
            serve(stream, network, stop).await;
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

async fn serve(stream: TcpStream, network: Arc<Network>, stop: CancellationToken) {
    let idle = network.config.limits.idle;
    let service = service_fn(move |request| handle(Arc::clone(&network), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(idle)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        // A client that went away is its own affair.
        _ = &mut connection => {}
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = timeout(STOP_GRACE, connection).await;
        }
    }
}

async fn handle(network: Arc<Network>, request: Request<Incoming>) -> Result<Response<Body>, Closed> {
    let (route, call) = parse(request.method(), request.uri().path());
    network.counters.request(route);
    let verdict = match route {
        Route::Admin => Default::default(),
        _ => network.faults.lock().judge(route, request.uri().path()),
    };
    if !verdict.delay.is_zero() || verdict.action.is_some() {
        network.counters.fault(route);
    }
    sleep(verdict.delay).await;
    let mut reply = match (call, verdict.action) {
        (Err(refusal), _) => error_reply(refusal.into()),
        (Ok(call), None) => reply_to(&network, call, request, false).await,
        (Ok(call), Some(action)) => with_fault(&network, call, request, &action).await?,
    };
    let headers = reply.headers_mut();
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, POST, OPTIONS"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "*"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(reply)
}

async fn reply_to(network: &Arc<Network>, call: Call, request: Request<Incoming>, forget: bool) -> Reply {
    answer(network, call, request, forget).await.unwrap_or_else(error_reply)
}

async fn with_fault(
    network: &Arc<Network>,
    call: Call,
    request: Request<Incoming>,
    action: &Action,
) -> Result<Reply, Closed> {
    match action {
        Action::Drop => Err(Closed),
        Action::Status { status, retry_after } => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut reply = text_reply(status, "on purpose");
            if let Some(seconds) = retry_after {
                reply.headers_mut().insert(header::RETRY_AFTER, (*seconds).into());
            }
            Ok(reply)
        }
        Action::Forget => Ok(reply_to(network, call, request, true).await),
        Action::DropAnswer => {
            reply_to(network, call, request, false).await;
            Err(Closed)
        }
        _ => Ok(alter(reply_to(network, action.redirect(call), request, false).await, action)),
    }
}
