//! Small gateways for the tests of `fieldtest gateway`: faithful ones for both shapes, and each way of being bad.
//!
//! They know the two APIs from their references alone, and use none of the product's code.

#![allow(dead_code, reason = "each test program uses a part of this")]
pub mod quirk;
pub mod translate;

use std::convert::Infallible;
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
use quirk::Quirk;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::Mutex;

/// The credential that the gateways use for their upstream.
pub const UPSTREAM_KEY: &str = "sk-upstream-very-secret";

/// Headers about one connection or about a body's bytes.
const OWN: [HeaderName; 5] =
    [header::HOST, header::CONTENT_LENGTH, header::CONNECTION, header::TRANSFER_ENCODING, header::ACCEPT_ENCODING];

/// A request on its way.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The method.
    pub method: axum::http::Method,
    /// Path and query.
    pub path: String,
    /// Headers.
    pub headers: HeaderMap,
    /// The body; `null` where there is none.
    pub body: Value,
}

/// The API of the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Anthropic,
    Openai,
}

/// A gateway at work; it ends when this is dropped.
pub struct Gateway {
    /// Its base URL.
    pub url: String,
    /// The port of its upstream, which nobody has yet.
    pub upstream_port: u16,
    _runtime: Runtime,
}

/// What the handlers share.
pub struct Shared {
    pub shape: Shape,
    pub quirk: Quirk,
    pub upstream: String,
    pub client: reqwest::Client,
    /// Counts the requests.
    pub came: AtomicUsize,
    /// An answer that waits for another to be swapped with.
    pub swap: Mutex<Option<tokio::sync::oneshot::Sender<Whole>>>,
    /// The last plain answer, for who swaps.
    pub swapped: Mutex<Vec<Whole>>,
}

/// An answer that is there as a whole.
#[derive(Debug, Clone)]
pub struct Whole {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Gateway {
    /// Starts a gateway.
    pub fn start(shape: Shape, quirk: Quirk) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let upstream_port = free_port();
        let url = runtime.block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let prefix = if shape == Shape::Openai { "/v1" } else { "" };
            let shared = Shared {
                shape,
                quirk,
                upstream: format!("http://127.0.0.1:{upstream_port}{prefix}"),
                client: reqwest::Client::builder().no_proxy().build().unwrap(),
                came: AtomicUsize::new(0),
                swap: Mutex::new(None),
                swapped: Mutex::new(Vec::new()),
            };
            let router = Router::new().fallback(handle).with_state(Arc::new(shared));
            use axum::serve::ListenerExt as _;
            let listener = listener.tap_io(|io| drop(io.set_nodelay(true)));
            tokio::spawn(async move { axum::serve(listener, router).await });
            url
        });
        Self { url, upstream_port, _runtime: runtime }
    }
}

/// A port that nobody has at the moment.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let number = shared.came.fetch_add(1, Ordering::Relaxed);
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, 64 << 20).await.unwrap_or_default();
    let mut headers = parts.headers;
    for name in OWN {
        headers.remove(name);
    }
    let asked = Asked {
        method: parts.method,
        path: parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        headers,
        body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    };
    quirk::answer(&shared, number, asked).await
}

/// Passes a request on as it is, but for the credential, which is the gateway's own.
pub async fn ask(shared: &Shared, asked: &Asked) -> Result<reqwest::Response, reqwest::Error> {
    let mut headers = asked.headers.clone();
    if shared.quirk != Quirk::LeaksKey {
        headers.remove(header::AUTHORIZATION);
        headers.insert("x-api-key", HeaderValue::from_static(UPSTREAM_KEY));
    }
    let request =
        shared.client.request(asked.method.clone(), format!("{}{}", shared.upstream, asked.path)).headers(headers);
    let request = match (&asked.body, shared.quirk) {
        (Value::Null, _) => request,
        (body, Quirk::GzipToUpstream) => {
            request.header(header::CONTENT_ENCODING, "gzip").body(gzip(body.to_string().as_bytes()))
        }
        (body, _) => request.body(body.to_string()),
    };
    request.send().await
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

/// The headers of an answer that are passed on.
pub fn passed_on(headers: &HeaderMap) -> HeaderMap {
    let mut kept = headers.clone();
    for name in OWN {
        kept.remove(name);
    }
    kept
}

pub fn is_stream(response: &reqwest::Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("text/event-stream"))
}

/// An answer piece by piece, as it comes.
pub fn through(response: reqwest::Response) -> Response {
    let status = StatusCode::from_u16(response.status().as_u16()).unwrap();
    let headers = passed_on(response.headers());
    let mut through = Response::new(Body::from_stream(response.bytes_stream()));
    *through.status_mut() = status;
    *through.headers_mut() = headers;
    through
}

pub fn whole(whole: Whole) -> Response {
    let mut response = Response::new(Body::from(whole.body));
    *response.status_mut() = whole.status;
    *response.headers_mut() = whole.headers;
    response
}

pub fn error(status: u16, kind: &str, message: &str) -> Response {
    json_answer(status, &json!({ "type": "error", "error": { "type": kind, "message": message } }))
}

pub fn json_answer(status: u16, body: &Value) -> Response {
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

/// A stream of texts as an answer. An error breaks the connection.
pub fn event_stream<E>(texts: impl futures_util::Stream<Item = Result<String, E>> + Send + 'static) -> Response
where
    E: std::error::Error + Send + Sync + 'static,
{
    let mut response = Response::new(Body::from_stream(texts.map(|text| text.map(Bytes::from))));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response
}

/// Waits.
pub async fn rest(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

/// For streams that cannot fail.
pub type Never = Infallible;
