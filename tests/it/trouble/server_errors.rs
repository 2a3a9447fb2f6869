//! Tests rows whose requests cause server errors.

use std::sync::atomic::{AtomicU64, Ordering};

use fieldtest::catalog::VerdictStatus;
use fieldtest::results::model::{EvidenceKind, Results};
use fieldtest::wire::exchange::{Request, Response};
use serde_json::Value;

use crate::common::{bundled_target, judge_recording};
use crate::trouble::endpoint::{FaultyEndpoint, Interceptor, error_response, record_rows};

/// One row of each kind of rule: an effect, two samples, a validation, a comparison, an error.
const ROWS: [&str; 5] =
    ["field.stop_sequences", "field.temperature", "field.metadata", "count_tokens.system", "error.unknown_role"];

/// True if the request carries the field of one of the rows.
fn has_field(request: &Request) -> bool {
    let body = &request.body;
    let is_counted = request.path.ends_with("count_tokens") && !body["system"].is_null();
    let has_unknown_role =
        body["messages"].as_array().is_some_and(|turns| turns.iter().any(|turn| !is_known_role(&turn["role"])));
    let keys = ["stop_sequences", "temperature", "metadata"];
    is_counted || has_unknown_role || keys.iter().any(|key| !body[key].is_null())
}

fn is_known_role(role: &Value) -> bool {
    role == "user" || role == "assistant"
}

async fn run_rows(intercept: &Interceptor<'_>) -> (Results, u64) {
    let endpoint = FaultyEndpoint::start(bundled_target("anthropic"), 1, intercept).await;
    let recording = record_rows(&endpoint, &ROWS, 1, 2).await;
    (judge_recording(&recording), endpoint.request_count())
}

fn fail_with(status: u16) -> impl Fn(u64, &Request) -> Option<Response> {
    move |number, request| {
        let text = format!("internal failure, incident {number}");
        has_field(request).then(|| error_response(status, "api_error", &text))
    }
}

#[tokio::test]
async fn the_same_server_error_each_time_rejects_the_row() {
    for status in [500, 501, 502, 520] {
        let (results, requests) = run_rows(&fail_with(status)).await;
        for row in &results.rows {
            let verdict = &row.verdict;
            assert_eq!(verdict.status, VerdictStatus::Rejected, "{status}: {}: {}", row.id, verdict.reason);
            assert_eq!(verdict.evidence, Some(EvidenceKind::ServerError), "{}", row.id);
        }
        assert!(requests < 50, "{requests} requests");
    }
}

#[tokio::test]
async fn an_overloaded_server_decides_nothing() {
    for status in [429, 503, 504, 524, 529] {
        let (results, _) = run_rows(&fail_with(status)).await;
        for row in &results.rows {
            assert_eq!(row.verdict.status, VerdictStatus::Inconclusive, "{status}: {}: {}", row.id, row.verdict.reason);
        }
    }
}

#[tokio::test]
async fn a_server_error_that_passes_decides_nothing() {
    let counter = AtomicU64::new(0);
    let fail_sometimes = |_: u64, request: &Request| {
        let fails = has_field(request) && counter.fetch_add(1, Ordering::Relaxed) % 2 == 0;
        fails.then(|| error_response(500, "api_error", "internal failure"))
    };
    let (results, _) = run_rows(&fail_sometimes).await;
    for row in &results.rows {
        assert_ne!(row.verdict.status, VerdictStatus::Rejected, "{}: {}", row.id, row.verdict.reason);
    }
    assert!(!results.unsteady);
}
