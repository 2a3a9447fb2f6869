//! Faults of the status and the headers: [`HeaderFault`].

use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use crate::simulator::fault::catalog::HeaderFault;

pub(super) fn apply(fault: HeaderFault, response: &mut Response) {
    match fault {
        HeaderFault::ContentType if !is_stream(response.headers()) => {
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        }
        HeaderFault::SuccessStatus if response.status() == StatusCode::OK => {
            *response.status_mut() = StatusCode::CREATED
        }
        HeaderFault::StatusUndocumented if response.status() == StatusCode::BAD_REQUEST => {
            *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
        }
        HeaderFault::RequestIdMissing => drop(response.headers_mut().remove("request-id")),
        HeaderFault::RetryAfterInvalid => {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("soon"));
        }
        HeaderFault::Redirect if response.status() == StatusCode::OK => {
            *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
            response.headers_mut().insert(LOCATION, HeaderValue::from_static("/elsewhere"));
        }
        HeaderFault::RateLimitHeader => {
            let name = HeaderName::from_static("anthropic-ratelimit-requests-limit");
            response.headers_mut().insert(name, HeaderValue::from_static("many"));
        }
        HeaderFault::ContentType
        | HeaderFault::Redirect
        | HeaderFault::SuccessStatus
        | HeaderFault::StatusUndocumented => {}
    }
}

fn is_stream(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}
