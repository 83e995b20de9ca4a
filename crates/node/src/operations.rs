//! `GET /metrics`, `/health` and `/ready` for operators and their tools.
//!
//! `/health` answers 200 as long as the process serves; `/ready` answers 503 with the reason while the node cannot
//! take blocks. Bounds: [`CONNECTIONS_MAX`] connections, each with [`HEAD_TIMEOUT`] for its request's head; bodies are
//! not read. Fails only at start, when the address cannot be listened on.

use crate::process::ProcessReader;
use eyre::{Context, Result};
use http::{Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::Full;
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinHandle,
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;
use weft_rpc::Readiness;

const CONNECTIONS_MAX: usize = 64;
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Samples of histograms are kept until they are folded into the summary.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);
/// Pause after a failed accept (out of file descriptors), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The process' metrics registry.
#[derive(Clone, Debug)]
pub struct Recorder(PrometheusHandle);

/// Makes the metrics of the whole process go to one registry; once per process, before any part is made.
pub fn install_recorder() -> Result<Recorder> {
    let handle = PrometheusBuilder::new().install_recorder().wrap_err("metrics registry")?;
    Ok(Recorder(handle))
}

/// The running server.
#[derive(Debug)]
pub(crate) struct Operations {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

struct State {
    recorder: Recorder,
    process: ProcessReader,
    readiness: watch::Receiver<Readiness>,
}

impl Operations {
    pub(crate) async fn start(
        address: SocketAddr,
        recorder: Recorder,
        process: ProcessReader,
        readiness: watch::Receiver<Readiness>,
    ) -> Result<Self> {
        let listener = TcpListener::bind(address)
            .await
            .wrap_err_with(|| format!("metrics: cannot listen on {address}"))?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let state = Arc::new(State { recorder, process, readiness });
        let task = tokio::spawn(run(listener, state, stop.clone()));
        Ok(Self { address, stop, task })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        // An error would be a panic of the task, which has been logged.
        let _ = self.task.await;
    }
}

async fn run(listener: TcpListener, state: Arc<State>, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut upkeep = interval(UPKEEP_EVERY);
    upkeep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = upkeep.tick() => state.recorder.0.run_upkeep(),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // Beyond the bound the connection is closed at once.
                    if let Ok(permit) = Arc::clone(&slots).try_acquire_owned() {
                        let (state, stop) = (Arc::clone(&state), stop.clone());
                        tokio::spawn(async move {
                            let _permit = permit;
                            serve(stream, state, stop).await;
                        });
                    }
                }
                Err(_) => sleep(ACCEPT_PAUSE).await,
            },
        }
    }
}

async fn serve(stream: TcpStream, state: Arc<State>, stop: CancellationToken) {
    let service = service_fn(move |request: Request<Incoming>| {
        let state = Arc::clone(&state);
        async move { Ok::<_, Infallible>(answer(&state, request.method(), request.uri().path())) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        () = stop.cancelled() => {}
        // A client that went away is its own affair.
        _ = connection => {}
    }
}

fn answer(state: &State, method: &Method, path: &str) -> Response<Full<Bytes>> {
    if method != Method::GET && method != Method::HEAD {
        return page(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET\n".into());
    }
    match path {
        "/metrics" | "/" => {
            state.process.read();
            page(StatusCode::OK, "text/plain; version=0.0.4", state.recorder.0.render())
        }
        "/health" => page(StatusCode::OK, "text/plain", "ok\n".into()),
        "/ready" => match &*state.readiness.borrow() {
            Readiness::Ready => page(StatusCode::OK, "text/plain", "ready\n".into()),
            Readiness::Starting => page(StatusCode::SERVICE_UNAVAILABLE, "text/plain", "starting\n".into()),
            Readiness::Unready(reason) => {
                page(StatusCode::SERVICE_UNAVAILABLE, "text/plain", format!("{reason}\n"))
            }
        },
        _ => page(StatusCode::NOT_FOUND, "text/plain", "here are /metrics, /health and /ready\n".into()),
    }
}

fn page(status: StatusCode, content_type: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    fn state(readiness: Readiness) -> State {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let process = metrics::with_local_recorder(&recorder, || {
            let process = ProcessReader::new("/".into());
            process.read();
            process
        });
        State { recorder: Recorder(handle), process, readiness: watch::channel(readiness).1 }
    }

    async fn get(state: &State, path: &str) -> (StatusCode, String) {
        let response = answer(state, &Method::GET, path);
        let status = response.status();
        let body = response.into_body().collect().await.expect("a full body").to_bytes();
        (status, String::from_utf8(body.to_vec()).expect("text"))
    }

    #[tokio::test]
    async fn readiness_has_its_status_and_its_reason() {
        assert_eq!(get(&state(Readiness::Ready), "/ready").await, (StatusCode::OK, "ready\n".into()));
        assert_eq!(get(&state(Readiness::Starting), "/ready").await.0, StatusCode::SERVICE_UNAVAILABLE);
        let (status, text) = get(&state(Readiness::Unready("no room".into())), "/ready").await;
        assert_eq!((status, text.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "no room\n"));
        assert_eq!(get(&state(Readiness::Starting), "/health").await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn metrics_have_help_and_this_process_has_memory() {
        let (status, text) = get(&state(Readiness::Ready), "/metrics").await;
        assert_eq!(status, StatusCode::OK);
        assert!(text.contains("# HELP process_resident_memory_bytes"), "{text}");
        let line =
            text.lines().find(|line| line.starts_with("process_resident_memory_bytes ")).expect("a value");
        assert!(
            line.rsplit(' ')
                .next()
                .and_then(|value| value.parse::<f64>().ok())
                .is_some_and(|bytes| bytes > 1e6)
        );
    }

    #[tokio::test]
    async fn other_paths_and_methods_are_refused() {
        let state = state(Readiness::Ready);
        assert_eq!(get(&state, "/secret").await.0, StatusCode::NOT_FOUND);
        assert_eq!(answer(&state, &Method::POST, "/metrics").status(), StatusCode::METHOD_NOT_ALLOWED);
    }
}
