//! The server behind a proxy: forwards requests to it and returns its responses.
//!
//! It changes only the headers of the connection.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::Response;

use super::Asked;
use super::answer::Answer;

/// Headers about one connection or the bytes of a body. Each side makes its own.
const OWN: [HeaderName; 5] =
    [header::HOST, header::CONTENT_LENGTH, header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_TYPE];

/// A server behind the proxy.
pub struct Upstream {
    base_url: String,
    client: reqwest::Client,
}

impl Upstream {
    pub(super) fn new(base_url: &str) -> Self {
        // The client needs a TLS provider, even for plain HTTP.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { base_url: base_url.trim_end_matches('/').to_owned(), client }
    }

    /// Sends a request to the server. Returns 502 if it cannot be reached.
    pub async fn ask(&self, asked: &Asked) -> Answer {
        let request = self
            .client
            .post(format!("{}{}", self.base_url, asked.path))
            .headers(passed_on(&asked.headers))
            .header(header::CONTENT_TYPE, "application/json")
            .body(asked.body.to_string());
        match request.send().await {
            Ok(response) => read(response).await,
            Err(error) => Answer::error(502, "api_error", &format!("the upstream cannot be reached: {error}")),
        }
    }
}

fn passed_on(headers: &HeaderMap) -> HeaderMap {
    let mut kept = headers.clone();
    for name in OWN {
        kept.remove(name);
    }
    kept
}

async fn read(response: reqwest::Response) -> Answer {
    let status = response.status().as_u16();
    let kind = response.headers().get(header::CONTENT_TYPE).cloned();
    let headers = passed_on(response.headers());
    if kind.as_ref().is_some_and(|kind| kind.to_str().is_ok_and(|kind| kind.starts_with("application/json"))) {
        let bytes = response.bytes().await.unwrap_or_default();
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        return Answer::Json { status, headers, body };
    }
    let mut through = Response::new(Body::from_stream(response.bytes_stream()));
    *through.status_mut() = StatusCode::from_u16(status).unwrap();
    *through.headers_mut() = headers;
    if let Some(kind) = kind {
        through.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    Answer::Through(through)
}
