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

use crate::loopback::{Line, Port};
use crate::simulator::activity_log::{Acted, Acts};
use crate::simulator::api_error::{Kind, Refusal};
use crate::simulator::config::{Behaviour, Knobs};
use crate::simulator::fault::{ConductFault, Wire};
use crate::simulator::pipeline::{Reply, Service};
use crate::simulator::rate_limit::Turned;
use crate::simulator::rng::Draws;
use crate::simulator::stream_timing::Pace;
use crate::simulator::{fault, sse};

/// The largest body that is read.
const MOST_BYTES: usize = 32 << 20;

/// The largest body that is waited for, so that a client can still read its refusal.
const MOST_DRAINED: usize = 4 * MOST_BYTES;

/// Serves a simulated endpoint on a socket, until the future is dropped. The requests that come are counted.
pub async fn serve(listener: TcpListener, behaviour: Behaviour, asked: Arc<AtomicU64>) -> io::Result<()> {
    // Nobody could ask for the ledger, and it would grow for as long as the server lives.
    let served = Served { service: Arc::new(Service::new(behaviour)), keeps_ledger: false, asked };
    axum::serve(Port(listener), router(served)).await
}

/// Starts a simulated endpoint on a loopback port of the system's choice.
pub async fn start(behaviour: Behaviour) -> io::Result<Running> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let addr = listener.local_addr()?;
    let service = Arc::new(Service::new(behaviour));
    let (life, ended) = oneshot::channel::<Infallible>();
    let server = axum::serve(
        Port(listener),
        router(Served { service: service.clone(), keeps_ledger: true, asked: Arc::default() }),
    )
    .with_graceful_shutdown(async {
        // Nothing is ever sent: it ends when the other end is dropped.
        let _ = ended.await;
    });
    tokio::spawn(server.into_future());
    Ok(Running { addr, service, _life: life })
}

fn router(served: Served) -> IntoMakeServiceWithConnectInfo<Router, Line> {
    let router = Router::new().fallback(handle).with_state(served);
    router.into_make_service_with_connect_info()
}

/// What a handler works with.
#[derive(Debug, Clone)]
struct Served {
    service: Arc<Service>,
    keeps_ledger: bool,
    asked: Arc<AtomicU64>,
}

/// A simulated endpoint at work. Once this is dropped, requests under way are answered and no others.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub addr: SocketAddr,
    service: Arc<Service>,
    _life: oneshot::Sender<Infallible>,
}

impl Running {
    /// Its base URL, as a client is given it.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Takes a request as having come before, to an earlier simulation of the same seed: what is left to chance goes on from
    /// there. What prompts it keeps is forgotten, as it is by an endpoint that was asked long ago.
    pub fn recall(&self, path: &str, body: &[u8], was_answered: bool) {
        self.service.recall(path, body, was_answered);
    }

    /// The requests that each row's status was brought to bear on so far, by their `request-id`.
    pub fn acted(&self) -> Acted {
        self.service.ledger.read()
    }

    /// How many requests came so far, and how many of them were turned away for a limit.
    pub fn turned(&self) -> Turned {
        self.service.quota.turned()
    }
}

async fn handle(
    State(Served { service, keeps_ledger, asked }): State<Served>,
    ConnectInfo(line): ConnectInfo<Line>,
    request: Request,
) -> Response {
    asked.fetch_add(1, Ordering::Relaxed);
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let body = read(body).await;
    let mut draws = service.fate.of(path, body.as_ref().map(Bytes::as_ref).unwrap_or_default());
    let request_id = draws.id("req");
    let (knobs, faults) = (&service.behaviour.knobs, &service.behaviour.faults);
    let size = body.as_ref().map_or(0, Bytes::len);
    let (told, allowed) = service.quota.take(size, Instant::now(), Timestamp::now());
    let route = service.route(&parts.method, &parts.uri, &parts.headers);
    let reply = match (route.map_err(|refusal| refusal.told_by(&service.behaviour)), body) {
        (Err(refusal), _) | (_, Err(refusal)) => Err(refusal),
        (Ok(route), Ok(body)) => match allowed.and_then(|()| misfortune(knobs, &mut draws)) {
            Err(refusal) => Err(refusal),
            Ok(fault) => {
                tokio::time::sleep(wait(knobs, &mut draws)).await;
                let reply = match parts.headers.get(CONTENT_ENCODING).is_some_and(|e| e != "identity") {
                    true => Err(Refusal::header("content-encoding", "no encoding is supported")),
                    false => {
                        let mut acts = Acts::default();
                        let reply = service.answer(&route, &parts.headers, &body, &mut draws, &mut acts);
                        if keeps_ledger {
                            service.ledger.enter(&request_id, acts);
                        }
                        reply
                    }
                };
                if fault == Fault::Reset {
                    return broken(reply, line, knobs, &mut draws);
                }
                reply
            }
        },
    };
    let mut response = match reply {
        Ok(reply) => match fault::on_reply(faults, reply, &mut draws) {
            Reply::Json(value) => whole(value.to_string(), faults, line),
            Reply::Stream(message) => {
                let mut records = sse::events(&message);
                fault::on_stream(faults, &mut records);
                let pace = Pace::of(records.len(), knobs.latency / 10);
                let mut wire = Wire::of(records, pace);
                if service.behaviour.commits(ConductFault::StreamBuffered) {
                    wire.buffer();
                }
                fault::on_stream_bytes(faults, &mut wire);
                event_stream(wire, line)
            }
        },
        Err(refusal) => refused(&refusal, &request_id, &service.behaviour),
    };
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(HeaderName::from_static("request-id"), value);
    }
    told.tell(response.headers_mut());
    fault::on_head(faults, &mut response);
    response
}

/// What goes wrong with a request besides a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Reset,
}

/// Draws the faults that have nothing to do with the request.
fn misfortune(knobs: &Knobs, draws: &mut Draws) -> Result<Fault, Refusal> {
    // All are drawn each time, so that turning one knob does not move the others' draws.
    let [limited, overloaded, reset] = [knobs.rate_429, knobs.rate_529, knobs.rate_reset].map(|p| draws.chance(p));
    if limited {
        return Err(Refusal::new(Kind::RateLimit, "too many requests, try again later"));
    }
    if overloaded {
        return Err(Refusal::new(Kind::Overloaded, "the endpoint is overloaded, try again later"));
    }
    Ok(if reset { Fault::Reset } else { Fault::None })
}

fn wait(knobs: &Knobs, draws: &mut Draws) -> Duration {
    knobs.latency.saturating_add(knobs.jitter.mul_f64(draws.unit()))
}

/// An answer that never arrives, or only in part where it is a stream.
fn broken(reply: Result<Reply, Refusal>, line: Line, knobs: &Knobs, draws: &mut Draws) -> Response {
    match reply {
        Ok(Reply::Stream(message)) => {
            let records = sse::events(&message);
            let pace = Pace::of(records.len(), knobs.latency / 10);
            let mut wire = Wire::of(records, pace);
            wire.cut_after(draws.below(wire.pieces.len()) + 1);
            event_stream(wire, line)
        }
        _ => {
            line.cut();
            Response::new(Body::empty())
        }
    }
}

/// Reads a body whole, up to the bound.
async fn read(body: Body) -> Result<Bytes, Refusal> {
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    let mut total = 0;
    while let Some(chunk) = stream.next().await {
        let Ok(chunk) = chunk else {
            return Err(Refusal::new(Kind::InvalidRequest, "request body: cut short"));
        };
        total += chunk.len();
        if total <= MOST_BYTES {
            bytes.extend_from_slice(&chunk);
        } else if total > MOST_DRAINED {
            break;
        }
    }
    if total > MOST_BYTES {
        return Err(Refusal::new(Kind::TooLarge, format!("request body: larger than {MOST_BYTES} bytes")));
    }
    Ok(bytes.into())
}

fn json(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn whole(body: String, faults: &[fault::Fault], line: Line) -> Response {
    match fault::on_body(faults, &body) {
        Some(wire) => json(StatusCode::OK, in_pieces(wire, line)),
        None => json(StatusCode::OK, body),
    }
}

fn refused(refusal: &Refusal, request_id: &str, behaviour: &Behaviour) -> Response {
    let waits = matches!(refusal.kind, Kind::RateLimit | Kind::Overloaded);
    let mut error = fault::Outgoing {
        status: refusal.kind.status(),
        retry_after: behaviour.knobs.retry_after.filter(|_| waits),
        body: refusal.envelope(request_id).to_string(),
    };
    fault::on_error(&behaviour.faults, &mut error);
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json(status, error.body);
    if let Some(seconds) = error.retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

fn event_stream(wire: Wire, line: Line) -> Response {
    let mut response = Response::new(in_pieces(wire, line));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(axum::http::header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// Sends pieces one by one, each after its wait; the line may break after the last.
fn in_pieces(wire: Wire, line: Line) -> Body {
    let line = Some(line).filter(|_| wire.is_cut);
    // The break shows when something is written next; what it is gets lost.
    let lost = line.is_some().then(|| (Duration::ZERO, Bytes::from_static(b"\n")));
    let pieces = wire.pieces.into_iter().chain(lost);
    let left = pieces.size_hint().0;
    Body::from_stream(unfold((pieces, left, line), |(mut pieces, left, line)| async move {
        let (wait, piece) = pieces.next()?;
        // Each piece goes out by itself: without a pause, the runtime would gather them into one write.
        match wait.is_zero() {
            true => tokio::task::yield_now().await,
            false => tokio::time::sleep(wait).await,
        }
        if let Some(line) = line.as_ref().filter(|_| left == 1) {
            line.cut();
        }
        Some((Ok::<_, Infallible>(piece), (pieces, left - 1, line)))
    }))
}
