//! The server on its socket: bodies in, answers out, and the faults that the knobs ask for.

use std::convert::Infallible;
use std::future::IntoFuture as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::connect_info::IntoMakeServiceWithConnectInfo;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use axum::http::{HeaderName, StatusCode};
use axum::response::Response;
use futures_util::StreamExt as _;
use futures_util::stream::unfold;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::loopback::{ConnectionHandle, LoopbackListener};
use crate::simulator::activity_log::{FieldActivity, RequestActivity};
use crate::simulator::api_error::{ApiError, ApiErrorKind};
use crate::simulator::config::{SimulatorConfig, SimulatorImpairments};
use crate::simulator::fault::{BehaviourFault, OutgoingBody};
use crate::simulator::pipeline::{PipelineResponse, RequestPipeline};
use crate::simulator::rate_limit::RequestCounts;
use crate::simulator::rng::RequestRng;
use crate::simulator::stream_timing::StreamTiming;
use crate::simulator::{fault, sse};

/// The largest body that is read.
const MAX_BODY_BYTES: usize = 32 << 20;

/// The largest body that is waited for, so that a client can still read its refusal.
const MAX_DRAINED_BYTES: usize = 4 * MAX_BODY_BYTES;

/// Serves a simulated endpoint on a socket, until the future is dropped. The requests that come are counted.
pub async fn serve(listener: TcpListener, behaviour: SimulatorConfig, asked: Arc<AtomicU64>) -> io::Result<()> {
    // Nobody could ask for the ledger, and it would grow for as long as the server lives.
    let served = SimulatorState {
        pipeline: Arc::new(RequestPipeline::new(behaviour)),
        logs_activity: false,
        request_count: asked,
    };
    axum::serve(LoopbackListener(listener), build_router(served)).await
}

/// Starts a simulated endpoint on a loopback port of the system's choice.
pub async fn start(behaviour: SimulatorConfig) -> io::Result<RunningSimulator> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let addr = listener.local_addr()?;
    let service = Arc::new(RequestPipeline::new(behaviour));
    let (life, ended) = oneshot::channel::<Infallible>();
    let server = axum::serve(
        LoopbackListener(listener),
        build_router(SimulatorState { pipeline: service.clone(), logs_activity: true, request_count: Arc::default() }),
    )
    .with_graceful_shutdown(async {
        // Nothing is ever sent: it ends when the other end is dropped.
        let _ = ended.await;
    });
    tokio::spawn(server.into_future());
    Ok(RunningSimulator { addr, pipeline: service, _shutdown: life })
}

fn build_router(served: SimulatorState) -> IntoMakeServiceWithConnectInfo<Router, ConnectionHandle> {
    let router = Router::new().fallback(handle_request).with_state(served);
    router.into_make_service_with_connect_info()
}

/// What a handler works with.
#[derive(Debug, Clone)]
struct SimulatorState {
    pipeline: Arc<RequestPipeline>,
    logs_activity: bool,
    request_count: Arc<AtomicU64>,
}

/// A simulated endpoint at work. Once this is dropped, requests under way are answered and no others.
#[derive(Debug)]
pub struct RunningSimulator {
    /// Where it listens.
    pub addr: SocketAddr,
    pipeline: Arc<RequestPipeline>,
    _shutdown: oneshot::Sender<Infallible>,
}

impl RunningSimulator {
    /// Its base URL, as a client is given it.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Takes a request as having come before, to an earlier simulation of the same seed: what is left to chance goes on from
    /// there. What prompts it keeps is forgotten, as it is by an endpoint that was asked long ago.
    pub fn fast_forward(&self, path: &str, body: &[u8], was_answered: bool) {
        self.pipeline.fast_forward(path, body, was_answered);
    }

    /// The requests that each row's status was brought to bear on so far, by their `request-id`.
    pub fn field_activity(&self) -> FieldActivity {
        self.pipeline.activity_log.snapshot()
    }

    /// How many requests came so far, and how many of them were turned away for a limit.
    pub fn request_counts(&self) -> RequestCounts {
        self.pipeline.rate_limits.counts()
    }
}

async fn handle_request(
    State(SimulatorState { pipeline: service, logs_activity: keeps_ledger, request_count: asked }): State<
        SimulatorState,
    >,
    ConnectInfo(line): ConnectInfo<ConnectionHandle>,
    request: Request,
) -> Response {
    asked.fetch_add(1, Ordering::Relaxed);
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let body = read_body(body).await;
    let mut draws = service.rng_source.request_rng(path, body.as_ref().map(Bytes::as_ref).unwrap_or_default());
    let request_id = draws.generate_id("req");
    let (knobs, faults) = (&service.config.impairments, &service.config.faults);
    let size = body.as_ref().map_or(0, Bytes::len);
    let (told, allowed) = service.rate_limits.admit_request(size, Instant::now(), Timestamp::now());
    let route = service.resolve_route(&parts.method, &parts.uri, &parts.headers);
    let reply = match (route.map_err(|refusal| refusal.with_faults(&service.config)), body) {
        (Err(refusal), _) | (_, Err(refusal)) => Err(refusal),
        (Ok(route), Ok(body)) => match allowed.and_then(|()| draw_connection_fault(knobs, &mut draws)) {
            Err(refusal) => Err(refusal),
            Ok(fault) => {
                tokio::time::sleep(response_delay(knobs, &mut draws)).await;
                let reply = match parts.headers.get(CONTENT_ENCODING).is_some_and(|e| e != "identity") {
                    true => Err(ApiError::invalid_header("content-encoding", "no encoding is supported")),
                    false => {
                        let mut acts = RequestActivity::default();
                        let reply = service.respond(&route, &parts.headers, &body, &mut draws, &mut acts);
                        if keeps_ledger {
                            service.activity_log.append(&request_id, acts);
                        }
                        reply
                    }
                };
                if fault == ConnectionFault::Reset {
                    return aborted_response(reply, line, knobs, &mut draws);
                }
                reply
            }
        },
    };
    let mut response = match reply {
        Ok(reply) => match fault::apply_to_response(faults, reply, &mut draws) {
            PipelineResponse::Json(value) => full_response(value.to_string(), faults, line),
            PipelineResponse::Stream(message) => {
                let mut records = sse::encode_events(&message);
                fault::apply_to_stream(faults, &mut records);
                let pace = StreamTiming::new(records.len(), knobs.latency / 10);
                let mut wire = OutgoingBody::new(records, pace);
                if service.config.has_fault(BehaviourFault::StreamBuffered) {
                    wire.merge_chunks();
                }
                fault::apply_to_stream_bytes(faults, &mut wire);
                stream_response(wire, line)
            }
        },
        Err(refusal) => error_response(&refusal, &request_id, &service.config),
    };
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(HeaderName::from_static("request-id"), value);
    }
    told.insert_into(response.headers_mut());
    fault::apply_to_headers(faults, &mut response);
    response
}

/// What goes wrong with a request besides a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ConnectionFault {
    None,
    Reset,
}

/// Draws the faults that have nothing to do with the request.
fn draw_connection_fault(knobs: &SimulatorImpairments, draws: &mut RequestRng) -> Result<ConnectionFault, ApiError> {
    // All are drawn each time, so that turning one knob does not move the others' draws.
    let [limited, overloaded, reset] = [knobs.rate_429, knobs.rate_529, knobs.rate_reset].map(|p| draws.bernoulli(p));
    if limited {
        return Err(ApiError::new(ApiErrorKind::RateLimit, "too many requests, try again later"));
    }
    if overloaded {
        return Err(ApiError::new(ApiErrorKind::Overloaded, "the endpoint is overloaded, try again later"));
    }
    Ok(if reset { ConnectionFault::Reset } else { ConnectionFault::None })
}

fn response_delay(knobs: &SimulatorImpairments, draws: &mut RequestRng) -> Duration {
    knobs.latency.saturating_add(knobs.jitter.mul_f64(draws.next_unit()))
}

/// An answer that never arrives, or only in part where it is a stream.
fn aborted_response(
    reply: Result<PipelineResponse, ApiError>,
    line: ConnectionHandle,
    knobs: &SimulatorImpairments,
    draws: &mut RequestRng,
) -> Response {
    match reply {
        Ok(PipelineResponse::Stream(message)) => {
            let records = sse::encode_events(&message);
            let pace = StreamTiming::new(records.len(), knobs.latency / 10);
            let mut wire = OutgoingBody::new(records, pace);
            wire.abort_after(draws.next_below(wire.chunks.len()) + 1);
            stream_response(wire, line)
        }
        _ => {
            line.abort();
            Response::new(Body::empty())
        }
    }
}

/// Reads a body whole, up to the bound.
async fn read_body(body: Body) -> Result<Bytes, ApiError> {
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    let mut total = 0;
    while let Some(chunk) = stream.next().await {
        let Ok(chunk) = chunk else {
            return Err(ApiError::new(ApiErrorKind::InvalidRequest, "request body: cut short"));
        };
        total += chunk.len();
        if total <= MAX_BODY_BYTES {
            bytes.extend_from_slice(&chunk);
        } else if total > MAX_DRAINED_BYTES {
            break;
        }
    }
    if total > MAX_BODY_BYTES {
        return Err(ApiError::new(ApiErrorKind::TooLarge, format!("request body: larger than {MAX_BODY_BYTES} bytes")));
    }
    Ok(bytes.into())
}

fn json_response(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn full_response(body: String, faults: &[fault::SimulatorFault], line: ConnectionHandle) -> Response {
    match fault::apply_to_body(faults, &body) {
        Some(wire) => json_response(StatusCode::OK, chunked_body(wire, line)),
        None => json_response(StatusCode::OK, body),
    }
}

fn error_response(refusal: &ApiError, request_id: &str, behaviour: &SimulatorConfig) -> Response {
    let waits = matches!(refusal.kind, ApiErrorKind::RateLimit | ApiErrorKind::Overloaded);
    let mut error = fault::OutgoingError {
        status: refusal.kind.status(),
        retry_after: behaviour.impairments.retry_after.filter(|_| waits),
        body: refusal.to_envelope(request_id).to_string(),
    };
    fault::apply_to_error(&behaviour.faults, &mut error);
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json_response(status, error.body);
    if let Some(seconds) = error.retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

fn stream_response(wire: OutgoingBody, line: ConnectionHandle) -> Response {
    let mut response = Response::new(chunked_body(wire, line));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(axum::http::header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// Sends pieces one by one, each after its wait; the line may break after the last.
fn chunked_body(wire: OutgoingBody, line: ConnectionHandle) -> Body {
    let line = Some(line).filter(|_| wire.aborts);
    // The break shows when something is written next; what it is gets lost.
    let lost = line.is_some().then(|| (Duration::ZERO, Bytes::from_static(b"\n")));
    let pieces = wire.chunks.into_iter().chain(lost);
    let left = pieces.size_hint().0;
    Body::from_stream(unfold((pieces, left, line), |(mut pieces, left, line)| async move {
        let (wait, piece) = pieces.next()?;
        // Each piece goes out by itself: without a pause, the runtime would gather them into one write.
        match wait.is_zero() {
            true => tokio::task::yield_now().await,
            false => tokio::time::sleep(wait).await,
        }
        if let Some(line) = line.as_ref().filter(|_| left == 1) {
            line.abort();
        }
        Some((Ok::<_, Infallible>(piece), (pieces, left - 1, line)))
    }))
}
