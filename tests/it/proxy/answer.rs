//! Responses on their way back: JSON, which can be changed, and others, which pass unchanged.
//!
//! It also makes the few responses of the proxy itself. It must not know their reason.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

/// A response.
pub enum Answer {
    /// A complete JSON body.
    Json {
        /// The HTTP status.
        status: u16,
        /// The forwarded headers, without those about the body.
        headers: HeaderMap,
        /// The body.
        body: Value,
    },
    /// Anything else, such as an event stream.
    Through(Response),
}

impl Answer {
    /// JSON with a status and without headers.
    pub fn json(status: u16, body: Value) -> Self {
        Self::Json { status, headers: HeaderMap::new(), body }
    }

    /// An error in the reference's envelope.
    pub fn error(status: u16, kind: &str, message: &str) -> Self {
        Self::json(status, json!({ "type": "error", "error": { "type": kind, "message": message } }))
    }

    /// A rejection of the request.
    pub fn refusal(message: &str) -> Self {
        Self::error(400, "invalid_request_error", message)
    }

    /// A message with one text.
    pub fn says(model: &Value, text: &str, input_tokens: usize) -> Self {
        let words = text.split_whitespace().count();
        Self::json(
            200,
            json!({
                "id": "msg_from_the_proxy", "type": "message", "role": "assistant", "model": model,
                "content": [{ "type": "text", "text": text }],
                "stop_reason": "end_turn", "stop_sequence": null,
                "usage": { "input_tokens": input_tokens, "output_tokens": words },
            }),
        )
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::Json { status, .. } => *status,
            Self::Through(response) => response.status().as_u16(),
        }
    }

    /// Whether it is a client error about the request.
    pub fn is_refusal(&self) -> bool {
        matches!(self.status(), 400 | 404 | 413 | 422)
    }

    /// The error message, if it has one.
    pub fn error_text(&self) -> &str {
        match self {
            Self::Json { body, .. } => body["error"]["message"].as_str().unwrap_or_default(),
            Self::Through(_) => "",
        }
    }

    /// Edits a message. Errors and streams stay unchanged.
    pub fn with_message(mut self, change: impl FnOnce(&mut Value)) -> Self {
        if let Self::Json { status: 200, body, .. } = &mut self {
            change(body);
        }
        self
    }

    pub(super) fn into_response(self) -> Response {
        match self {
            Self::Through(response) => response,
            Self::Json { status, headers, body } => {
                let mut response = Response::new(Body::from(body.to_string()));
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                *response.headers_mut() = headers;
                response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                response
            }
        }
    }
}
