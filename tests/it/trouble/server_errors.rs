//! Tests rows whose requests cause server errors.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use fieldtest::catalog::VerdictStatus;
use fieldtest::results::model::{EvidenceKind, Results};
use fieldtest::wire::exchange::Request;
use serde_json::Value;

use crate::common::trouble::endpoint::{Interceptor, KeptResponses, error_response, run_rows};
use crate::common::{bundled_target, judge_recording};

/// One row of each kind of rule: an effect, two samples, a validation, an error.
const ROWS: [&str; 4] = ["field.stop_sequences", "field.temperature", "field.metadata", "error.unknown_role"];

/// True if the request carries the field of one of the rows.
fn has_field(request: &Request) -> bool {
    let body = &request.body;
    let has_unknown_role =
        body["messages"].as_array().is_some_and(|turns| turns.iter().any(|turn| !is_known_role(&turn["role"])));
    let keys = ["stop_sequences", "temperature", "metadata"];
    has_unknown_role || keys.iter().any(|key| !body[key].is_null())
}

fn is_known_role(role: &Value) -> bool {
    role == "user" || role == "assistant"
}

fn test_rows(intercept: &Interceptor<'_>) -> (Results, u64) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let kept = KeptResponses::start(runtime.handle(), bundled_target("anthropic"), 1);
    let run = run_rows(&kept, &ROWS, 2, intercept);
    (judge_recording(&run.recording), run.requests)
}

fn test_status(status: u16) -> (Results, u64) {
    let counter = AtomicU64::new(0);
    test_rows(&|_, request| {
        let incident = counter.fetch_add(1, Ordering::Relaxed);
        let text = format!("internal failure, incident {incident}");
        has_field(request).then(|| error_response(status, "api_error", &text))
    })
}

#[test]
fn the_same_server_error_each_time_rejects_the_row() {
    for status in [500, 501, 502, 520] {
        let (results, requests) = test_status(status);
        for row in &results.rows {
            let verdict = &row.verdict;
            assert_eq!(verdict.status, VerdictStatus::Rejected, "{status}: {}: {}", row.id, verdict.reason);
            assert_eq!(verdict.evidence, Some(EvidenceKind::ServerError), "{}", row.id);
        }
        assert!(requests < 50, "{requests} requests");
    }
}

#[test]
fn an_overloaded_server_decides_nothing() {
    for status in [429, 503, 504, 524, 529] {
        let (results, _) = test_status(status);
        for row in &results.rows {
            assert_eq!(row.verdict.status, VerdictStatus::Inconclusive, "{status}: {}: {}", row.id, row.verdict.reason);
        }
    }
}

#[test]
fn a_server_error_that_passes_decides_nothing() {
    let seen = Mutex::new(HashSet::new());
    let (results, _) = test_rows(&|_, request| {
        // The first time that a request is sent.
        let fails = has_field(request) && seen.lock().unwrap().insert(request.body.to_string());
        fails.then(|| error_response(500, "api_error", "internal failure"))
    });
    for row in &results.rows {
        assert_ne!(row.verdict.status, VerdictStatus::Rejected, "{}: {}", row.id, row.verdict.reason);
    }
    assert!(!results.unsteady);
}
