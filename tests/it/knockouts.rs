//! Every field of the reference simulator is ignored and rejected in turn, with all rows run each
//! time. No other row may be accused, and no positive verdict may stay without its ground.
//!
//! The expectation does not come from the engine: the requests of the unchanged run are sent to the
//! changed server, and its responses show what each request loses.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use fieldtest::catalog::{ClaimStatus, VerdictStatus};
use fieldtest::engine::carried_rows;
use fieldtest::recording::run::{ArmKind, Recording};
use fieldtest::results::model::Verdict;
use fieldtest::simulator;
use fieldtest::simulator::{FieldActivity, ROW_IDS, RunningSimulator, SimulatorConfig};
use fieldtest::wire::exchange::{AttemptResult, Exchange, Request, RequestCredential};
use futures_util::stream::{self, StreamExt as _};
use serde_json::Value;

use crate::common::{
    CATALOG, EndpointUnderTest, SHORT_BACKOFF, bundled_target, judge_recording, record_endpoint, testable_rows,
};

/// Fields that are required parts of others: no request has one without the other.
const REQUIRED_PARTS: [(&str, &str); 3] =
    [("field.thinking.budget_tokens", "field.thinking"), ("tools.name", "tools"), ("tools.input_schema", "tools")];

/// Measures real time, which says nothing about fields.
const TIMED_ROW: &str = "stream.gradual";

/// A run of all rows.
struct FlippedRun {
    recording: Recording,
    verdicts: BTreeMap<String, Verdict>,
    activity: FieldActivity,
    partial: bool,
}

async fn start(flip: Option<(&str, ClaimStatus)>) -> RunningSimulator {
    let target = bundled_target("anthropic");
    let mut config = SimulatorConfig::from_target(target);
    config.add_fields(target, CATALOG.field_specs());
    config.seed = 1;
    if let Some((row, status)) = flip {
        config.set_status(row, status).unwrap();
    }
    simulator::start(config).await.unwrap()
}

async fn run(flip: Option<(&str, ClaimStatus)>) -> FlippedRun {
    let target = bundled_target("anthropic");
    let running = start(flip).await;
    let rows = testable_rows(target).into_iter().map(|row| row.experiment.id().to_owned());
    let server = EndpointUnderTest {
        base_url: running.base_url(),
        credential: running.credential().to_owned(),
        model: target.model.clone(),
        concurrency: 4,
        initial_backoff: SHORT_BACKOFF,
        retries: 4,
        seed: 1,
        confidence: 0.99,
        rows: rows.filter(|row| row != TIMED_ROW).collect(),
    };
    let recording = record_endpoint(&server, target).await;
    let results = judge_recording(&recording);
    let partial = results.partial.is_some();
    let verdicts = results.rows.into_iter().map(|row| (row.id, row.verdict)).collect();
    FlippedRun { recording, verdicts, activity: running.field_activity(), partial }
}

fn request_id(exchange: &Exchange) -> Option<&str> {
    match &exchange.last_attempt()?.result {
        AttemptResult::Response(response) => response.header("request-id"),
        AttemptResult::Failure(_) => None,
    }
}

impl FlippedRun {
    /// The exchanges in which the server saw a field.
    fn carrying(&self, field: &str) -> BTreeSet<&str> {
        let ids = self.activity.get(field);
        let carries =
            |exchange: &&Exchange| request_id(exchange).is_some_and(|id| ids.is_some_and(|ids| ids.contains(id)));
        self.recording.exchanges.iter().filter(carries).map(|exchange| exchange.id.as_str()).collect()
    }

    /// Whether a request of a row has a field.
    fn carries(&self, row: &str, field: &str) -> bool {
        let carrying = self.carrying(field);
        let mut trials = self.recording.trials.iter().filter(|trial| trial.key.row == row);
        trials.any(|trial| trial.exchanges.iter().any(|id| carrying.contains(id.as_str())))
    }
}

/// The part of a response that a client asks for.
#[derive(Debug, Default)]
struct ResponseShape {
    is_stream: bool,
    is_count: bool,
}

impl ResponseShape {
    fn new(kind: &str, body: &str) -> Self {
        let json: Value = serde_json::from_str(body).unwrap_or_default();
        Self { is_stream: kind.starts_with("text/event-stream"), is_count: json["input_tokens"].is_u64() }
    }

    /// True if this response does not have the form of the other one, for which the request asks.
    fn loses(&self, other: &Self) -> bool {
        (other.is_stream && !self.is_stream) || (other.is_count && !self.is_count)
    }
}

fn recorded_shape(exchange: &Exchange) -> ResponseShape {
    match exchange.last_attempt().map(|attempt| &attempt.result) {
        Some(AttemptResult::Response(response)) => {
            let body = String::from_utf8_lossy(&response.body.0).into_owned();
            ResponseShape::new(response.header("content-type").unwrap_or_default(), &body)
        }
        Some(AttemptResult::Failure(_)) | None => ResponseShape::default(),
    }
}

/// Sends a recorded request to another server.
async fn send_again(client: &reqwest::Client, server: &RunningSimulator, request: &Request) -> ResponseShape {
    let url = format!("{}{}", server.base_url(), request.path);
    let key = server.credential();
    let mut sent = client.post(url).header("content-type", "application/json");
    for (name, value) in &request.headers {
        sent = sent.header(name, value);
    }
    sent = match request.credential {
        RequestCredential::Bearer => sent.header("authorization", format!("Bearer {key}")),
        _ => sent.header("x-api-key", key),
    };
    let response = sent.body(request.body.to_string()).send().await.unwrap();
    let kind =
        response.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
    ResponseShape::new(&kind, &response.text().await.unwrap())
}

/// The responses of a server that ignores a field to the unchanged requests that have it.
async fn stripped_responses(before: &FlippedRun, field: &str) -> HashMap<String, ResponseShape> {
    let server = start(Some((field, ClaimStatus::Ignored))).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let carrying = before.carrying(field);
    let mut shapes = HashMap::new();
    for exchange in before.recording.exchanges.iter().filter(|exchange| carrying.contains(exchange.id.as_str())) {
        if exchange.request.body.is_object() {
            shapes.insert(exchange.id.clone(), send_again(&client, &server, &exchange.request).await);
        }
    }
    shapes
}

/// The rows whose positive verdict rests on responses that all lose something without the field.
async fn rows_without_ground(before: &FlippedRun, field: &str) -> BTreeSet<String> {
    let stripped = stripped_responses(before, field).await;
    let exchanges: HashMap<&str, &Exchange> = before.recording.exchanges.iter().map(|e| (e.id.as_str(), e)).collect();
    let mut loses: BTreeMap<&str, Vec<bool>> = BTreeMap::new();
    for trial in before.recording.trials.iter().filter(|trial| trial.key.arm == ArmKind::Treatment) {
        let lost = trial.exchanges.iter().any(|id| {
            let shape = recorded_shape(exchanges[id.as_str()]);
            stripped.get(id).is_some_and(|stripped| stripped.loses(&shape))
        });
        loses.entry(&trial.key.row).or_default().push(lost);
    }
    loses.into_iter().filter(|(_, lost)| lost.iter().all(|lost| *lost)).map(|(row, _)| row.to_owned()).collect()
}

/// Whether a row may get the verdict that the field has: it is about the same field, about a part of
/// it, or about something of which the field is a required part.
fn shares_the_field(row: &str, field: &str) -> bool {
    let experiment = CATALOG.experiment(row).unwrap();
    let is_same = experiment.field.iter().flat_map(|spec| spec.at.rows()).any(|other| other == field);
    let is_choice = field == "tool_choice.object_form" && row.starts_with("tool_choice.") && !row.ends_with("_form");
    let is_system = field == "field.system" && row == "system.blocks";
    let is_bound = field == "field.max_tokens" && row == "limit.max_output_tokens"
        || field == "limit.max_output_tokens" && row == "field.max_tokens.large";
    let is_ttl = field == "content.text.cache_control" && row.starts_with("cache_control.");
    let is_part = row.strip_prefix(field).is_some_and(|rest| rest.starts_with('.'));
    is_same || is_part || is_choice || is_system || is_bound || is_ttl || REQUIRED_PARTS.contains(&(field, row))
}

/// The problems of a run with one changed field.
async fn problems(before: &FlippedRun, field: &str, status: ClaimStatus) -> Vec<String> {
    let after = run(Some((field, status))).await;
    if after.partial {
        return Vec::new();
    }
    let without_ground = match status {
        ClaimStatus::Ignored => rows_without_ground(before, field).await,
        _ => BTreeSet::new(),
    };
    let mut problems = Vec::new();
    let mut say = |kind: &str, row: &str, verdict: &Verdict| {
        let code = verdict.code.as_deref().unwrap_or_default();
        problems.push(format!("{field}={status}: {kind} {row}: {} {code} {}", verdict.status, verdict.reason));
    };
    for (row, verdict) in after.verdicts.iter().filter(|(row, _)| *row != field) {
        let was = &before.verdicts[row];
        let is_unchanged = (was.status, &was.code) == (verdict.status, &verdict.code);
        let names = |id: &str| verdict.blocked_by.iter().any(|cause| cause.row == id || cause.root == id);
        let is_carried = before.carries(row, field) || after.carries(row, field);
        if is_unchanged {
            if !matches!(verdict.status, VerdictStatus::Ignored | VerdictStatus::Rejected)
                && without_ground.contains(row)
                && !shares_the_field(row, field)
            {
                say("kept", row, verdict);
            }
        } else if verdict.status.is_decided() {
            if !verdict.status.is_positive() && !shares_the_field(row, field) {
                say("accused", row, verdict);
            }
        } else if !is_carried && !names(field) {
            say("changed without cause", row, verdict);
        } else if !verdict.blocked_by.is_empty() && !names(field) && !is_known_by_others(&after, field, &names) {
            say("unnamed", row, verdict);
        }
    }
    problems
}

/// Whether a row about a part of the field, or about the same field, is named instead.
fn is_known_by_others(after: &FlippedRun, field: &str, names: &dyn Fn(&str) -> bool) -> bool {
    after.verdicts.keys().any(|row| names(row) && (shares_the_field(row, field) || after.carries(row, field)))
}

/// Requests for which the engine and the simulator do not name the same rows.
pub async fn compare_places() -> Vec<String> {
    // Every request has these, and the engine does not count what the simplest request shows.
    let everywhere = ["header.x-api-key", "header.authorization"];
    let bounds = ["field.temperature.range", "limit.max_output_tokens"];
    let run = run(None).await;
    let mut differences = Vec::new();
    for exchange in &run.recording.exchanges {
        let Some(id) = request_id(exchange) else { continue };
        let is_compared = |row: &str| ROW_IDS.contains(&row) && !everywhere.contains(&row) && !bounds.contains(&row);
        let seen: BTreeSet<&str> =
            run.activity.iter().filter(|(_, ids)| ids.contains(id)).map(|(row, _)| row.as_str()).collect();
        // An error before the body is read has no activity.
        if !seen.contains("field.model") {
            continue;
        }
        let carried = carried_rows(&exchange.request);
        let carried: BTreeSet<&str> = carried.iter().map(String::as_str).filter(|row| is_compared(row)).collect();
        let seen: BTreeSet<&str> = seen.into_iter().filter(|row| is_compared(row)).collect();
        if carried != seen {
            let (one, other): (Vec<_>, Vec<_>) =
                (carried.difference(&seen).collect(), seen.difference(&carried).collect());
            differences.push(format!("{}: only the engine: {one:?}, only the simulator: {other:?}", exchange.id));
        }
    }
    differences
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_row_is_accused_or_kept_because_of_another_field() {
    let before = run(None).await;
    assert!(before.verdicts.values().all(|verdict| verdict.status.is_decided()));
    let only = std::env::var("FIELDTEST_FIELD").unwrap_or_default();
    let fields = ROW_IDS.iter().copied().chain(["tools"]).filter(|field| field.contains(&only));
    let flips: Vec<(&str, ClaimStatus)> = fields
        .flat_map(|field| [ClaimStatus::Ignored, ClaimStatus::Unsupported].map(|status| (field, status)))
        .collect();
    let found: Vec<Vec<String>> =
        stream::iter(flips).map(|(field, status)| problems(&before, field, status)).buffered(2).collect().await;
    let found: Vec<String> = found.into_iter().flatten().collect();
    assert!(found.is_empty(), "{} problems:\n{}", found.len(), found.join("\n"));
}
