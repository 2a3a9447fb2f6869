//! The upstream on its socket: it notes every call, and answers as the board says.
//!
//! It has no model. It can rest between pieces, answer out of order, and break a connection.

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

use crate::gateway::client_response::decompress_body;
use crate::gateway::correlation::{CallCorrelator, IncomingCall};
use crate::gateway::upstream::script;
use crate::gateway::upstream::script::{RenderedResponse, ResponseScript, UpstreamRoute};
use crate::gateway::upstream::sse::SseChunk;
use crate::loopback::{ConnectionHandle, LoopbackListener};
use crate::recording::gateway::ServedResponseEnd;

/// The largest body that is read.
const MAX_BODY_BYTES: usize = 64 << 20;

/// Serves the upstream until the task is dropped.
pub(crate) fn serve(listener: TcpListener, board: Arc<CallCorrelator>) -> tokio::task::JoinHandle<()> {
    let router = Router::new().fallback(handle_request).with_state(board);
    let server =
        axum::serve(LoopbackListener(listener), router.into_make_service_with_connect_info::<ConnectionHandle>());
    tokio::spawn(async move {
        // It ends when it is aborted, and in no other way.
        let _ = server.into_future().await;
    })
}

async fn handle_request(
    State(board): State<Arc<CallCorrelator>>,
    ConnectInfo(line): ConnectInfo<ConnectionHandle>,
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
    let packed =
        headers.iter().find(|(name, value)| name == "content-encoding" && value != "identity").map(|(_, v)| v.clone());
    let body = packed.as_deref().and_then(|encoding| decompress_body(encoding, &body)).unwrap_or(body);
    let asked: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let method = parts.method.to_string();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let route = UpstreamRoute::from_request(&method, &path);
    let (number, posted) = board.begin_call(IncomingCall { method, path, headers, body, content_encoding: packed });
    // Who goes away before the answer is noted as well.
    let entry = CallGuard { correlator: Arc::clone(&board), number, end: ServedResponseEnd::Abandoned };
    if let Some(crowd) = posted.as_ref().and_then(|posted| posted.batch.as_ref()) {
        crowd.wait_for_turn().await;
    }
    let own = ResponseScript { reply: "fieldtest".to_owned(), ..ResponseScript::default() };
    let script = posted.as_ref().map_or(&own, |posted| &posted.script);
    match script::render_response(board.shape, route, &asked, script) {
        RenderedResponse::Json { status, headers, body } => {
            let now = board.now_ms();
            board.update_call(number, |answered| {
                answered.status = status;
                answered.pieces_ms.push(now);
            });
            entry.finish(ServedResponseEnd::Whole);
            json_response(StatusCode::from_u16(status).unwrap_or(StatusCode::OK), &headers, body.to_string())
        }
        RenderedResponse::Stream { headers, chunks: records, aborts: is_cut } => {
            board.update_call(number, |answered| {
                answered.status = 200;
                answered.is_stream = true;
            });
            let mut response = Response::new(send_chunks(records, is_cut.then_some(line), entry));
            let event_stream = HeaderValue::from_static("text/event-stream; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, event_stream);
            add_headers(&mut response, &headers);
            response
        }
        RenderedResponse::Disconnect => {
            entry.finish(ServedResponseEnd::Cut);
            line.abort();
            Response::new(Body::empty())
        }
    }
}

/// Notes the end of an answer, whoever brings it about.
struct CallGuard {
    correlator: Arc<CallCorrelator>,
    number: usize,
    end: ServedResponseEnd,
}

impl CallGuard {
    fn finish(mut self, ended: ServedResponseEnd) {
        self.end = ended;
    }
}

impl Drop for CallGuard {
    fn drop(&mut self) {
        let ended = self.end;
        self.correlator.update_call(self.number, |answered| answered.ended = ended);
    }
}

/// Reads a body whole; `None` where it is too large.
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

/// Sends records one by one, each after its rest; the line may break behind the last.
fn send_chunks(records: Vec<SseChunk>, line: Option<ConnectionHandle>, entry: CallGuard) -> Body {
    // The break shows when something is written next; what it is gets lost.
    let lost = line.is_some().then(|| SseChunk { bytes: "\n".to_owned(), delay_ms: 30 });
    let records = records.into_iter().chain(lost);
    let left = records.size_hint().0;
    Body::from_stream(unfold((records, left, line, Some(entry)), |(mut records, left, line, mut entry)| async move {
        let Some(record) = records.next() else {
            if let Some(entry) = entry.take() {
                entry.finish(ServedResponseEnd::Whole);
            }
            return None;
        };
        tokio::time::sleep(Duration::from_millis(record.delay_ms)).await;
        match (&line, left) {
            (Some(line), 1) => {
                line.abort();
                if let Some(entry) = entry.take() {
                    entry.finish(ServedResponseEnd::Cut);
                }
            }
            _ => {
                if let Some(entry) = &entry {
                    let now = entry.correlator.now_ms();
                    entry.correlator.update_call(entry.number, |answered| answered.pieces_ms.push(now));
                }
            }
        }
        Some((Ok::<_, Infallible>(Bytes::from(record.bytes)), (records, left - 1, line, entry)))
    }))
}
