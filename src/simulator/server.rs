//! The simulator on its socket: [`serve`] and [`start`] read bodies, send responses, and apply the
//! configured impairments and faults.

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
use crate::simulator::fault::BehaviourFault;
use crate::simulator::outgoing::{OutgoingBody, OutgoingError, PipelineResponse};
use crate::simulator::pipeline::RequestPipeline;
use crate::simulator::rate_limit::RequestCounts;
use crate::simulator::rng::RequestRng;
use crate::simulator::route::SimulatorRoute;
use crate::simulator::stream_timing::StreamTiming;
use crate::simulator::trouble::TroubleResponse;
use crate::simulator::{fault, sse};

/// The largest accepted body.
const MAX_BODY_BYTES: usize = 32 << 20;

/// The largest body that is read to its end, so that the client can still read the error.
const MAX_DRAINED_BYTES: usize = 4 * MAX_BODY_BYTES;

/// Serves a simulated endpoint on a socket until the future is dropped. Counts the requests.
pub async fn serve(listener: TcpListener, config: SimulatorConfig, request_count: Arc<AtomicU64>) -> io::Result<()> {
    // Nobody can read the log of this server, and it would grow without limit.
    let state =
        SimulatorState { pipeline: Arc::new(RequestPipeline::new(config)), logs_activity: false, request_count };
    axum::serve(LoopbackListener(listener), build_router(state)).await
}

/// Starts a simulated endpoint on a free loopback port.
pub async fn start(config: SimulatorConfig) -> io::Result<RunningSimulator> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let addr = listener.local_addr()?;
    let pipeline = Arc::new(RequestPipeline::new(config));
    let (shutdown, is_dropped) = oneshot::channel::<Infallible>();
    let state = SimulatorState { pipeline: pipeline.clone(), logs_activity: true, request_count: Arc::default() };
    let server = axum::serve(LoopbackListener(listener), build_router(state)).with_graceful_shutdown(async {
        // Nothing is sent: the future ends when the sender is dropped.
        let _ = is_dropped.await;
    });
    tokio::spawn(server.into_future());
    Ok(RunningSimulator { addr, pipeline, _shutdown: shutdown })
}

fn build_router(state: SimulatorState) -> IntoMakeServiceWithConnectInfo<Router, ConnectionHandle> {
    Router::new().fallback(handle_request).with_state(state).into_make_service_with_connect_info()
}

/// The state that all requests share.
#[derive(Debug, Clone)]
struct SimulatorState {
    pipeline: Arc<RequestPipeline>,
    logs_activity: bool,
    request_count: Arc<AtomicU64>,
}

/// A running simulated endpoint. When it is dropped, it finishes the requests in progress and
/// accepts no more.
#[derive(Debug)]
pub struct RunningSimulator {
    /// The address that it listens on.
    pub addr: SocketAddr,
    pipeline: Arc<RequestPipeline>,
    _shutdown: oneshot::Sender<Infallible>,
}

impl RunningSimulator {
    /// The base URL for a client.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The credential that it accepts.
    pub fn credential(&self) -> &str {
        self.pipeline.config.expected_credential()
    }

    /// For each row, the `request-id`s of the requests in which the server acted on it.
    pub fn field_activity(&self) -> FieldActivity {
        self.pipeline.activity_log.snapshot()
    }

    /// The number of requests, and of requests over a rate limit.
    pub fn request_counts(&self) -> RequestCounts {
        self.pipeline.rate_limits.counts()
    }
}

async fn handle_request(
    State(SimulatorState { pipeline, logs_activity, request_count }): State<SimulatorState>,
    ConnectInfo(connection): ConnectInfo<ConnectionHandle>,
    request: Request,
) -> Response {
    request_count.fetch_add(1, Ordering::Relaxed);
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let body = read_body(body).await;
    let mut rng = pipeline.rng_source.request_rng(path, body.as_ref().map(Bytes::as_ref).unwrap_or_default());
    let request_id = rng.generate_id("req");
    let (impairments, faults) = (&pipeline.config.impairments, &pipeline.config.faults);
    let size = body.as_ref().map_or(0, Bytes::len);
    let (limit_headers, admitted) = pipeline.rate_limits.admit_request(size, Instant::now(), Timestamp::now());
    let route = pipeline.resolve_route(&parts.method, &parts.uri, &parts.headers);
    // Trouble hits the requests to the model, not the list of models.
    let trouble = matches!(route, Ok(SimulatorRoute::Messages(_)))
        .then(|| pipeline.trouble.intercept_request(&pipeline.config, Instant::now()))
        .flatten();
    match trouble {
        Some(TroubleResponse::Error(error)) => return error_response(&error, &request_id, &pipeline.config),
        Some(TroubleResponse::Page) => return page_response(),
        None => {}
    }
    let result = match (route.map_err(|error| fault::error::with_faults(error, &pipeline.config)), body) {
        (Err(error), _) | (_, Err(error)) => Err(error),
        (Ok(route), Ok(body)) => match admitted.and_then(|()| draw_connection_fault(impairments, &mut rng)) {
            Err(error) => Err(error),
            Ok(connection_fault) => {
                tokio::time::sleep(response_delay(impairments, &mut rng)).await;
                let result = match parts.headers.get(CONTENT_ENCODING).is_some_and(|e| e != "identity") {
                    true => Err(ApiError::invalid_header("content-encoding", "no encoding is supported")),
                    false => {
                        let mut activity = RequestActivity::default();
                        let result = pipeline.respond(&route, &parts.headers, &body, &mut rng, &mut activity);
                        if logs_activity {
                            pipeline.activity_log.append(&request_id, activity);
                        }
                        result
                    }
                };
                if connection_fault == ConnectionFault::Reset {
                    return aborted_response(result, connection, impairments, &mut rng);
                }
                result
            }
        },
    };
    let mut response = match result {
        Ok(response) => match fault::apply_to_response(faults, response, &mut rng) {
            PipelineResponse::Json(value) => full_response(value.to_string(), faults, connection),
            PipelineResponse::Stream(message) => {
                let mut events = sse::encode_events(&message);
                fault::apply_to_stream(faults, &mut events);
                let mut body = stream_body(events, impairments);
                if pipeline.config.has_fault(BehaviourFault::StreamBuffered) {
                    body.merge_chunks();
                }
                fault::apply_to_stream_bytes(faults, &mut body);
                stream_response(body, connection)
            }
        },
        Err(error) => error_response(&error, &request_id, &pipeline.config),
    };
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(HeaderName::from_static("request-id"), value);
    }
    limit_headers.insert_into(response.headers_mut());
    fault::apply_to_headers(faults, &mut response);
    response
}

/// A failure of the connection, independent of the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ConnectionFault {
    None,
    Reset,
}

/// Draws the failures that do not depend on the request.
fn draw_connection_fault(
    impairments: &SimulatorImpairments,
    rng: &mut RequestRng,
) -> Result<ConnectionFault, ApiError> {
    // All are drawn every time, so that one probability does not change the draws of the others.
    let SimulatorImpairments { rate_429, rate_529, rate_reset, .. } = impairments;
    let [limited, overloaded, reset] = [rate_429, rate_529, rate_reset].map(|p| rng.bernoulli(*p));
    if limited {
        return Err(ApiError::new(ApiErrorKind::RateLimit, "too many requests, try again later"));
    }
    if overloaded {
        return Err(ApiError::new(ApiErrorKind::Overloaded, "the endpoint is overloaded, try again later"));
    }
    Ok(if reset { ConnectionFault::Reset } else { ConnectionFault::None })
}

fn response_delay(impairments: &SimulatorImpairments, rng: &mut RequestRng) -> Duration {
    impairments.latency.saturating_add(impairments.jitter.mul_f64(rng.next_unit()))
}

fn stream_body(events: Vec<String>, impairments: &SimulatorImpairments) -> OutgoingBody {
    let timing = StreamTiming::new(events.len(), impairments.latency / 10);
    OutgoingBody::new(events, timing)
}

/// A response whose connection is reset: before its first byte, or in the middle of a stream.
fn aborted_response(
    result: Result<PipelineResponse, ApiError>,
    connection: ConnectionHandle,
    impairments: &SimulatorImpairments,
    rng: &mut RequestRng,
) -> Response {
    if let Ok(PipelineResponse::Stream(message)) = result {
        let mut body = stream_body(sse::encode_events(&message), impairments);
        body.abort_after(rng.next_below(body.chunks.len()) + 1);
        return stream_response(body, connection);
    }
    connection.abort();
    Response::new(Body::empty())
}

/// Reads a body up to [`MAX_BODY_BYTES`].
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

fn full_response(text: String, faults: &[fault::SimulatorFault], connection: ConnectionHandle) -> Response {
    match fault::apply_to_body(faults, &text) {
        Some(body) => json_response(StatusCode::OK, chunked_body(body, connection)),
        None => json_response(StatusCode::OK, text),
    }
}

fn error_response(error: &ApiError, request_id: &str, config: &SimulatorConfig) -> Response {
    let is_temporary = matches!(error.kind, ApiErrorKind::RateLimit | ApiErrorKind::Overloaded);
    let mut error = OutgoingError {
        status: error.kind.status(),
        retry_after: config.impairments.retry_after.filter(|_| is_temporary),
        body: error.to_envelope(request_id).to_string(),
    };
    fault::apply_to_error(&config.faults, &mut error);
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json_response(status, error.body);
    if let Some(seconds) = error.retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// The page of a proxy that guards the server.
fn page_response() -> Response {
    let mut response = Response::new(Body::from("<html><body>Please wait while we check your browser</body></html>"));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    response
}

fn stream_response(body: OutgoingBody, connection: ConnectionHandle) -> Response {
    let mut response = Response::new(chunked_body(body, connection));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(axum::http::header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// Sends each chunk after its delay. Aborts the connection after the last one if the body says so.
fn chunked_body(body: OutgoingBody, connection: ConnectionHandle) -> Body {
    let connection = Some(connection).filter(|_| body.aborts);
    // The abort takes effect with the next write, so one more chunk is written and lost.
    let lost = connection.is_some().then(|| (Duration::ZERO, Bytes::from_static(b"\n")));
    let chunks = body.chunks.into_iter().chain(lost);
    let remaining = chunks.size_hint().0;
    Body::from_stream(unfold((chunks, remaining, connection), |(mut chunks, remaining, connection)| async move {
        let (delay, chunk) = chunks.next()?;
        // Without a pause, the runtime would join several chunks into one write.
        match delay.is_zero() {
            true => tokio::task::yield_now().await,
            false => tokio::time::sleep(delay).await,
        }
        if let Some(connection) = connection.as_ref().filter(|_| remaining == 1) {
            connection.abort();
        }
        Some((Ok::<_, Infallible>(chunk), (chunks, remaining - 1, connection)))
    }))
}
