//! The upstream of the gateway on its socket: [`serve`].
//!
//! It has no model. It registers every call with the [`CallCorrelator`], and sends the response
//! that is scripted for the call's label. It can delay chunks, respond out of order, and abort a
//! connection.

use std::convert::Infallible;
use std::future::IntoFuture as _;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::http::{HeaderName, StatusCode};
use axum::response::Response;
use futures_util::StreamExt as _;
use futures_util::stream::unfold;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::gateway::correlation::{CallCorrelator, IncomingCall};
use crate::gateway::upstream::script;
use crate::gateway::upstream::script::{RenderedResponse, ResponseScript, UpstreamRoute};
use crate::gateway::upstream::sse::SseChunk;
use crate::loopback::{ConnectionHandle, LoopbackListener};
use crate::recording::gateway::ServedResponseEnd;
use crate::redact::decompress_once;
use crate::wire::bounded_json::parse_json;

/// The largest body that is accepted.
const MAX_BODY_BYTES: usize = 4 << 20;

/// The delay before a connection is aborted.
const ABORT_DELAY_MS: u64 = 30;

/// Serves the upstream until the task is aborted.
pub(crate) fn serve(listener: TcpListener, correlator: Arc<CallCorrelator>) -> tokio::task::JoinHandle<()> {
    let router = Router::new().fallback(handle_request).with_state(correlator);
    let server =
        axum::serve(LoopbackListener(listener), router.into_make_service_with_connect_info::<ConnectionHandle>());
    tokio::spawn(async move {
        // The server runs forever; the result is never reached.
        let _ = server.into_future().await;
    })
}

async fn handle_request(
    State(correlator): State<Arc<CallCorrelator>>,
    ConnectInfo(connection): ConnectInfo<ConnectionHandle>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let Some(body) = read_body(body).await else {
        return json_response(StatusCode::PAYLOAD_TOO_LARGE, &[], "{}".to_owned());
    };
    let headers: Vec<(String, String)> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let content_encoding =
        headers.iter().find(|(name, value)| name == "content-encoding" && value != "identity").map(|(_, v)| v.clone());
    let body = content_encoding.as_deref().and_then(|encoding| decompress_once(encoding, &body)).unwrap_or(body);
    let request_body: Value = parse_json(&String::from_utf8_lossy(&body)).unwrap_or(Value::Null);
    let method = parts.method.to_string();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let route = UpstreamRoute::from_request(&method, &path);
    let incoming = IncomingCall { method, path, headers, body, content_encoding };
    let Some((number, scripted)) = correlator.begin_call(incoming) else {
        return json_response(StatusCode::SERVICE_UNAVAILABLE, &[], "{}".to_owned());
    };
    // If the gateway disconnects before the response, the guard records that, too.
    let guard = CallGuard { correlator: Arc::clone(&correlator), number, end: ServedResponseEnd::Abandoned };
    if let Some(batch) = scripted.as_ref().and_then(|scripted| scripted.batch.as_ref()) {
        batch.wait_for_turn().await;
    }
    let uncorrelated = ResponseScript { reply: "fieldtest".to_owned(), ..ResponseScript::default() };
    let script = scripted.as_ref().map_or(&uncorrelated, |scripted| &scripted.script);
    match script::render_response(correlator.dialect, route, &request_body, script) {
        RenderedResponse::Json { status, headers, body } => {
            let now = correlator.now_ms();
            correlator.update_call(number, |served| {
                served.status = status;
                served.pieces_ms.push(now);
            });
            guard.finish(ServedResponseEnd::Whole);
            json_response(StatusCode::from_u16(status).unwrap_or(StatusCode::OK), &headers, body.to_string())
        }
        RenderedResponse::Stream { headers, chunks, aborts } => {
            correlator.update_call(number, |served| {
                served.status = 200;
                served.is_stream = true;
            });
            let mut response = Response::new(send_chunks(chunks, aborts.then_some(connection), guard));
            let event_stream = HeaderValue::from_static("text/event-stream; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, event_stream);
            add_headers(&mut response, &headers);
            response
        }
        RenderedResponse::Disconnect => {
            guard.finish(ServedResponseEnd::Cut);
            connection.abort();
            Response::new(Body::empty())
        }
    }
}

/// Records the end of a response when it is dropped, for any reason.
struct CallGuard {
    correlator: Arc<CallCorrelator>,
    number: usize,
    end: ServedResponseEnd,
}

impl CallGuard {
    fn finish(mut self, end: ServedResponseEnd) {
        self.end = end;
    }
}

impl Drop for CallGuard {
    fn drop(&mut self) {
        let end = self.end;
        self.correlator.update_call(self.number, |served| served.ended = end);
    }
}

/// Reads a complete body; `None` if it is too large.
async fn read_body(body: Body) -> Option<Vec<u8>> {
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    while let Some(Ok(chunk)) = stream.next().await {
        if bytes.len() + chunk.len() > MAX_BODY_BYTES {
            return None;
        }
        bytes.extend_from_slice(&chunk);
    }
    Some(bytes)
}

fn json_response(status: StatusCode, headers: &[(String, String)], body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    add_headers(&mut response, headers);
    response
}

fn add_headers(response: &mut Response, headers: &[(String, String)]) {
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
            response.headers_mut().insert(name, value);
        }
    }
}

/// Sends chunks one by one, each after its delay. If there is a `connection`, it is aborted after
/// the last chunk.
fn send_chunks(chunks: Vec<SseChunk>, connection: Option<ConnectionHandle>, guard: CallGuard) -> Body {
    // An abort takes effect with the next write; the bytes of this write are lost.
    let lost = connection.is_some().then(|| SseChunk { bytes: "\n".to_owned(), delay_ms: ABORT_DELAY_MS });
    let chunks = chunks.into_iter().chain(lost);
    let remaining = chunks.size_hint().0;
    let state = (chunks, remaining, connection, Some(guard));
    Body::from_stream(unfold(state, |(mut chunks, remaining, connection, mut guard)| async move {
        let Some(chunk) = chunks.next() else {
            if let Some(guard) = guard.take() {
                guard.finish(ServedResponseEnd::Whole);
            }
            return None;
        };
        tokio::time::sleep(Duration::from_millis(chunk.delay_ms)).await;
        match (&connection, remaining) {
            (Some(connection), 1) => {
                connection.abort();
                if let Some(guard) = guard.take() {
                    guard.finish(ServedResponseEnd::Cut);
                }
            }
            _ => {
                if let Some(guard) = &guard {
                    let now = guard.correlator.now_ms();
                    guard.correlator.update_call(guard.number, |served| served.pieces_ms.push(now));
                }
            }
        }
        Some((Ok::<_, Infallible>(Bytes::from(chunk.bytes)), (chunks, remaining - 1, connection, guard)))
    }))
}
