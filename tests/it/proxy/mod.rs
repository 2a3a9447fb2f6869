//! A reverse proxy on loopback between a client and any upstream, which changes the traffic.
//!
//! It reads requests as raw JSON and knows the Messages API only from its reference. It must never
//! use
//! the simulator, wire or engine code of the product: it exists to find mistakes that these share.

#![allow(dead_code, reason = "each test program uses a part of this")]
pub mod answer;
pub mod blocks;
pub mod cache;
pub mod mutation;
pub mod mutator;
pub mod place;
pub mod upstream;

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use answer::Answer;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::serve::ListenerExt as _;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use upstream::Upstream;

/// The largest accepted request.
const MOST_BYTES: usize = 64 << 20;

/// A request to forward.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The number of the request, from 0.
    pub number: usize,
    /// Path and query.
    pub path: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The body. `null` if it is not JSON.
    pub body: Value,
}

/// The behaviour of a proxy: it can change a request, send it to any upstream, and change the
/// response.
pub trait Between: Send + Sync + 'static {
    /// Responds to a request.
    fn answer(&self, asked: Asked, upstreams: &[Upstream]) -> impl Future<Output = Answer> + Send;
}

/// A running proxy. It ends when this is dropped.
pub struct Proxy<B> {
    /// Its base URL.
    pub url: String,
    /// Its behaviour, which counts its actions.
    pub between: Arc<B>,
    shared: Arc<Shared<B>>,
    _life: oneshot::Sender<Infallible>,
}

struct Shared<B> {
    between: Arc<B>,
    upstreams: Vec<Upstream>,
    came: AtomicUsize,
    answered: AtomicUsize,
}

impl<B: Between> Proxy<B> {
    /// Starts a proxy in front of some base URLs.
    pub async fn start(between: B, upstreams: &[&str]) -> Self {
        // Small responses must not wait for acknowledgements.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let listener = listener.tap_io(|io| io.set_nodelay(true).unwrap());
        let between = Arc::new(between);
        let shared = Arc::new(Shared {
            between: Arc::clone(&between),
            upstreams: upstreams.iter().map(|url| Upstream::new(url)).collect(),
            came: AtomicUsize::new(0),
            answered: AtomicUsize::new(0),
        });
        let router = Router::new().fallback(handle::<B>).with_state(Arc::clone(&shared));
        let (life, ended) = oneshot::channel::<Infallible>();
        tokio::spawn(async move {
            let server = axum::serve(listener, router).with_graceful_shutdown(async {
                // Nothing is sent: the future ends when the sender is dropped.
                let _ = ended.await;
            });
            server.await.unwrap();
        });
        Self { url, between, shared, _life: life }
    }

    /// Asserts that every request got a response: a broken proxy must not look like a broken
    /// server.
    pub fn assert_whole(&self) {
        let [came, answered] = [&self.shared.came, &self.shared.answered].map(|count| count.load(Ordering::Relaxed));
        assert!(came > 0 && came == answered, "{answered} of {came} requests were answered: the proxy broke");
    }
}

async fn handle<B: Between>(State(shared): State<Arc<Shared<B>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, MOST_BYTES).await.unwrap_or_default();
    let asked = Asked {
        number: shared.came.fetch_add(1, Ordering::Relaxed),
        path: parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        headers: parts.headers,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    let answer = shared.between.answer(asked, &shared.upstreams).await.into_response();
    shared.answered.fetch_add(1, Ordering::Relaxed);
    answer
}
