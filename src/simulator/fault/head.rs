//! Faults of status and headers.

use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

super::faults! { HeadFault {
    ContentType = "http.content-type",
    SuccessStatus = "http.success-status",
    StatusUndocumented = "http.status-undocumented",
    RequestIdMissing = "http.request-id-missing",
    RetryAfterInvalid = "http.retry-after-invalid",
} }

pub(super) fn spoil(fault: HeadFault, response: &mut Response) {
    match fault {
        HeadFault::ContentType if !is_stream(response.headers()) => {
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        }
        HeadFault::SuccessStatus if response.status() == StatusCode::OK => *response.status_mut() = StatusCode::CREATED,
        HeadFault::StatusUndocumented if response.status() == StatusCode::BAD_REQUEST => {
            *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
        }
        HeadFault::RequestIdMissing => drop(response.headers_mut().remove("request-id")),
        HeadFault::RetryAfterInvalid => {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("soon"));
        }
        HeadFault::ContentType | HeadFault::SuccessStatus | HeadFault::StatusUndocumented => {}
    }
}

fn is_stream(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}
