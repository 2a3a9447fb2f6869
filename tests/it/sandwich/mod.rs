//! Small gateways for the tests of `fieldtest gateway`: faithful ones for both APIs, and one for each fault.
//!
//! They follow the references of the two APIs, and use no code of the product.

#![allow(dead_code, reason = "some tests use only a part of this")]
pub mod quirk;
pub mod translate;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use futures_util::StreamExt as _;
use quirk::GatewayQuirk;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::Mutex;

use crate::common::server::reserve_port;

/// The credential of the gateways for their upstream.
pub const UPSTREAM_KEY: &str = "sk-upstream-very-secret";

/// Headers about a connection or the bytes of a body, which are not forwarded.
const HOP_HEADERS: [HeaderName; 5] =
    [header::HOST, header::CONTENT_LENGTH, header::CONNECTION, header::TRANSFER_ENCODING, header::ACCEPT_ENCODING];

/// A request of the client.
#[derive(Debug, Clone)]
pub struct ClientRequest {
    /// The method.
    pub method: axum::http::Method,
    /// Path and query.
    pub path: String,
    /// Headers.
    pub headers: HeaderMap,
    /// The body; `null` if there is none.
    pub body: Value,
}

/// The API of the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Anthropic,
    Openai,
}

/// A running gateway; it stops when this is dropped.
pub struct Gateway {
    /// Its base URL.
    pub url: String,
    /// The port of its upstream, which is still free.
    pub upstream_port: u16,
    shared: Arc<Shared>,
    _runtime: Runtime,
}

/// The state of the handlers.
pub struct Shared {
    pub shape: Shape,
    pub quirk: GatewayQuirk,
    pub upstream: String,
    pub client: reqwest::Client,
    /// The number of requests.
    pub request_count: AtomicUsize,
    /// Sends a response to the request that waits for another one.
    pub swap: Mutex<Option<tokio::sync::oneshot::Sender<CompleteResponse>>>,
    /// The response of the request that waits for another one.
    pub swapped: Mutex<Vec<CompleteResponse>>,
}

/// A response with its complete body.
#[derive(Debug, Clone)]
pub struct CompleteResponse {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Gateway {
    /// Starts a gateway.
    pub fn start(shape: Shape, quirk: GatewayQuirk) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let upstream_port = reserve_port();
        let prefix = if shape == Shape::Openai { "/v1" } else { "" };
        let shared = Arc::new(Shared {
            shape,
            quirk,
            upstream: format!("http://127.0.0.1:{upstream_port}{prefix}"),
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            request_count: AtomicUsize::new(0),
            swap: Mutex::new(None),
            swapped: Mutex::new(Vec::new()),
        });
        let url = runtime.block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let router = Router::new().fallback(handle).with_state(shared.clone());
            use axum::serve::ListenerExt as _;
            let listener = listener.tap_io(|io| drop(io.set_nodelay(true)));
            tokio::spawn(async move { axum::serve(listener, router).await });
            url
        });
        Self { url, upstream_port, shared, _runtime: runtime }
    }

    /// The number of requests of clients so far.
    pub fn request_count(&self) -> usize {
        self.shared.request_count.load(Ordering::SeqCst)
    }
}

async fn handle(State(shared): State<Arc<Shared>>, incoming: Request) -> Response {
    let number = shared.request_count.fetch_add(1, Ordering::Relaxed);
    let (parts, body) = incoming.into_parts();
    let bytes = axum::body::to_bytes(body, 64 << 20).await.unwrap_or_default();
    let mut headers = parts.headers;
    for name in HOP_HEADERS {
        headers.remove(name);
    }
    let request = ClientRequest {
        method: parts.method,
        path: parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        headers,
        body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    };
    quirk::respond(&shared, number, request).await
}

/// Forwards a request unchanged, with the credential of the gateway.
pub async fn forward(shared: &Shared, request: &ClientRequest) -> Result<reqwest::Response, reqwest::Error> {
    let mut headers = request.headers.clone();
    if shared.quirk != GatewayQuirk::LeaksKey {
        headers.remove(header::AUTHORIZATION);
        headers.insert("x-api-key", HeaderValue::from_static(UPSTREAM_KEY));
    }
    let outgoing =
        shared.client.request(request.method.clone(), format!("{}{}", shared.upstream, request.path)).headers(headers);
    let outgoing = match (&request.body, shared.quirk) {
        (Value::Null, _) => outgoing,
        (body, GatewayQuirk::GzipToUpstream) => {
            outgoing.header(header::CONTENT_ENCODING, "gzip").body(gzip(body.to_string().as_bytes()))
        }
        (body, _) => outgoing.body(body.to_string()),
    };
    outgoing.send().await
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

/// The headers of a response that are forwarded.
pub fn forwarded_headers(headers: &HeaderMap) -> HeaderMap {
    let mut kept = headers.clone();
    for name in HOP_HEADERS {
        kept.remove(name);
    }
    kept
}

pub fn is_stream(response: &reqwest::Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("text/event-stream"))
}

/// Forwards a response chunk by chunk, as it arrives.
pub fn pass_through(response: reqwest::Response) -> Response {
    let status = StatusCode::from_u16(response.status().as_u16()).unwrap();
    let headers = forwarded_headers(response.headers());
    let mut forwarded = Response::new(Body::from_stream(response.bytes_stream()));
    *forwarded.status_mut() = status;
    *forwarded.headers_mut() = headers;
    forwarded
}

pub fn to_response(complete: CompleteResponse) -> Response {
    let mut response = Response::new(Body::from(complete.body));
    *response.status_mut() = complete.status;
    *response.headers_mut() = complete.headers;
    response
}

pub fn error(status: u16, kind: &str, message: &str) -> Response {
    json_response(status, &json!({ "type": "error", "error": { "type": kind, "message": message } }))
}

pub fn json_response(status: u16, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The records of a stream, one by one, each with its blank line.
pub fn records(response: reqwest::Response) -> impl futures_util::Stream<Item = Result<String, reqwest::Error>> + Send {
    let state = (Box::pin(response.bytes_stream()), String::new(), false);
    futures_util::stream::unfold(state, |(mut bytes, mut text, mut over)| async move {
        loop {
            if let Some(at) = text.find("\n\n") {
                let rest = text.split_off(at + 2);
                return Some((Ok(text), (bytes, rest, over)));
            }
            if over {
                return None;
            }
            match bytes.next().await {
                Some(Ok(piece)) => text.push_str(std::str::from_utf8(&piece).unwrap()),
                Some(Err(error)) => {
                    over = true;
                    text.clear();
                    return Some((Err(error), (bytes, text, over)));
                }
                None => over = true,
            }
        }
    })
}

/// A response with an event stream. An error aborts the connection.
pub fn event_stream<E>(texts: impl futures_util::Stream<Item = Result<String, E>> + Send + 'static) -> Response
where
    E: std::error::Error + Send + Sync + 'static,
{
    let mut response = Response::new(Body::from_stream(texts.map(|text| text.map(Bytes::from))));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response
}

pub async fn sleep_ms(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}
