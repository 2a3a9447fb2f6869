//! A reverse proxy on loopback that stands between a client and any upstream, and changes what passes.
//!
//! It reads requests as raw JSON and knows the Messages API from its reference alone. It must never use the product's
//! own simulator, wire or engine code: it is here because those share authors and habits.

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

/// The largest request that is read.
const MOST_BYTES: usize = 64 << 20;

/// A request on its way.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Counts the requests from 0.
    pub number: usize,
    /// Path and query.
    pub path: String,
    /// All headers that came.
    pub headers: HeaderMap,
    /// The body; `null` where it is no JSON.
    pub body: Value,
}

/// What stands between: it may change a request, ask any upstream, and change the answer.
pub trait Between: Send + Sync + 'static {
    /// Answers a request.
    fn answer(&self, asked: Asked, upstreams: &[Upstream]) -> impl Future<Output = Answer> + Send;
}

/// A proxy at work; it ends when this is dropped.
pub struct Proxy<B> {
    /// Its base URL.
    pub url: String,
    /// What it does, to be asked what it did.
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
        // Small answers must not wait for acknowledgements.
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
                // Nothing is ever sent: it ends when the other end is dropped.
                let _ = ended.await;
            });
            server.await.unwrap();
        });
        Self { url, between, shared, _life: life }
    }

    /// Asserts that every request was answered: a proxy that breaks must not pass for a server that does.
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
