//! Endpoints without a model: servers that return a prepared text, servers that return the prompt, and
//! weak models, which must not be taken for such servers.

use axum::body::Body;
use axum::http::header;
use axum::response::Response;
use fieldtest::catalog::VerdictStatus;
use fieldtest::recording::run::Recording;
use fieldtest::report::{TerminalStyle, html, markdown, terminal};
use fieldtest::results::model::{Results, UnfollowedInstructions, UnfollowedKind, Verdict};
use serde_json::{Value, json};

use crate::common::binary::Folder;
use crate::common::{
    EndpointUnderTest, SHORT_BACKOFF, SimulationSetup, bundled_target, judge_recording, record_endpoint,
    record_simulation,
};
use crate::proxy::answer::Answer;
use crate::proxy::upstream::Upstream;
use crate::proxy::{Asked, Between, Proxy};

const CANNED_TEXT: &str = "Hello! How can I help you with your request today?";
/// The code of rows that need a model.
const NEEDS_MODEL: &str = "needs-a-model";

/// What a server without a model does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ServerHabit {
    /// Returns the same text and the same usage for each request.
    ReturnsOneText,
    /// The same, but applies `max_tokens` and stop sequences to the text.
    AppliesLimits,
    /// Returns the last user message.
    RepeatsThePrompt,
    /// Returns one of five texts, in turn.
    ChangesTheSubject,
}

impl ServerHabit {
    fn text(self, asked: &Asked) -> String {
        match self {
            Self::ReturnsOneText | Self::AppliesLimits => CANNED_TEXT.to_owned(),
            Self::RepeatsThePrompt => {
                let last = asked.body["messages"].as_array().and_then(|messages| messages.last());
                let content = last.map_or(Value::Null, |message| message["content"].clone());
                format!("You said: {}", content.as_str().map_or_else(|| content.to_string(), str::to_owned))
            }
            Self::ChangesTheSubject => {
                let subject = ["bread", "walks", "the weather", "old books", "the sea"][asked.number % 5];
                format!("There is a lot to be said about {subject}.")
            }
        }
    }

    fn message(self, asked: &Asked) -> Value {
        let mut text = self.text(asked);
        let (mut stop_reason, mut stop_sequence) = ("end_turn", Value::Null);
        if self == Self::AppliesLimits {
            let sequences = asked.body["stop_sequences"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let first = sequences.filter_map(|sequence| Some((text.find(sequence)?, sequence))).min();
            if let Some((start, sequence)) = first {
                (stop_reason, stop_sequence) = ("stop_sequence", sequence.into());
                text.truncate(start);
            }
            let limit = asked.body["max_tokens"].as_u64().unwrap_or(u64::MAX) as usize;
            let words: Vec<&str> = text.split_whitespace().collect();
            if words.len() > limit {
                (stop_reason, stop_sequence) = ("max_tokens", Value::Null);
                text = words[..limit].join(" ");
            }
        }
        json!({
            "id": format!("msg_{}", asked.number), "type": "message", "role": "assistant", "model": "m",
            "content": [{ "type": "text", "text": text }], "stop_reason": stop_reason, "stop_sequence": stop_sequence,
            "usage": { "input_tokens": 21, "output_tokens": text.split_whitespace().count() },
        })
    }
}

/// A server without a model. It accepts everything.
struct ModellessServer(ServerHabit);

impl Between for ModellessServer {
    async fn answer(&self, asked: Asked, _: &[Upstream]) -> Answer {
        match asked.path.split('?').next().unwrap_or_default() {
            "/v1/messages/count_tokens" => Answer::json(200, json!({ "input_tokens": 21 })),
            "/v1/messages" => {
                let message = self.0.message(&asked);
                if asked.body["stream"] == true { stream_message(message) } else { Answer::json(200, message) }
            }
            _ => Answer::error(404, "not_found_error", "no such path"),
        }
    }
}

fn stream_message(message: Value) -> Answer {
    let text = message["content"][0]["text"].clone();
    let mut start = message.clone();
    (start["content"], start["stop_reason"]) = (json!([]), Value::Null);
    start["stop_sequence"] = Value::Null;
    let events = [
        json!({ "type": "message_start", "message": start }),
        json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
        json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": text } }),
        json!({ "type": "content_block_stop", "index": 0 }),
        json!({
            "type": "message_delta", "usage": message["usage"],
            "delta": { "stop_reason": message["stop_reason"], "stop_sequence": message["stop_sequence"] },
        }),
        json!({ "type": "message_stop" }),
    ];
    let frame = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap());
    let body: String = events.iter().map(frame).collect();
    let response = Response::builder().header(header::CONTENT_TYPE, "text/event-stream").body(Body::from(body));
    Answer::Through(response.unwrap())
}

/// Records a run of all rows against a server without a model.
async fn record(habit: ServerHabit) -> Recording {
    let target = bundled_target("anthropic");
    let proxy = Proxy::start(ModellessServer(habit), &[]).await;
    let server = EndpointUnderTest {
        base_url: proxy.url.clone(),
        credential: "any".to_owned(),
        model: "m".to_owned(),
        concurrency: 4,
        initial_backoff: SHORT_BACKOFF,
        retries: 1,
        seed: 1,
        confidence: 0.99,
        rows: Vec::new(),
    };
    let recording = record_endpoint(&server, target).await;
    proxy.assert_whole();
    recording
}

fn verdict<'a>(results: &'a Results, row: &str) -> &'a Verdict {
    &results.find_row(row).unwrap_or_else(|| panic!("{row} was not run")).verdict
}

#[track_caller]
fn assert_statuses(results: &Results, rows: &[&str], status: VerdictStatus) {
    for row in rows {
        let found = verdict(results, row);
        assert_eq!(found.status, status, "{row}: {found:?}");
    }
}

#[track_caller]
fn assert_needs_model(results: &Results, rows: &[&str]) {
    for row in rows {
        let found = verdict(results, row);
        assert_eq!(found.code.as_deref(), Some(NEEDS_MODEL), "{row}: {found:?}");
    }
}

/// Rows whose effect only a model can show.
const MODEL_ROWS: [&str; 14] = [
    "field.system",
    "field.temperature",
    "field.top_k",
    "content.string",
    "content.text.text",
    "content.image",
    "content.document",
    "content.tool_result.content",
    "tools",
    "tools.name",
    "tools.description",
    "tool_choice.none",
    "stream.text",
    "stream.parallel_tools",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prepared_text_is_reported_in_one_line_and_decides_what_needs_no_model() {
    use VerdictStatus::{Ignored, Supported};
    let recording = record(ServerHabit::ReturnsOneText).await;
    let results = judge_recording(&recording);
    assert_eq!(results.unfollowed, Some(UnfollowedInstructions { kind: UnfollowedKind::Canned, asked: 12 }));
    assert_needs_model(&results, &MODEL_ROWS);
    let ignored = [
        "field.max_tokens",
        "field.stop_sequences",
        "tool_choice.any",
        "tool_choice.tool",
        "tool_choice.object_form",
        "count_tokens.system",
        "count_tokens.tools",
        "field.container",
        "header.x-api-key",
    ];
    assert_statuses(&results, &ignored, Ignored);
    assert_statuses(&results, &["field.stream", "stream.twin", "count_tokens"], Supported);
    let finding = results.find_finding("usage.input-constant").expect("the usage never moves");
    assert!(finding.example.contains("21 input tokens"), "{finding:?}");
    // Nothing is sent that cannot decide: of an arm without the effect, one trial.
    for row in results.rows.iter().filter(|row| row.verdict.code.as_deref() == Some(NEEDS_MODEL)) {
        assert!(row.arms.iter().all(|arm| !arm.name.starts_with("positive")), "{}: {:?}", row.id, row.arms);
    }
    let requests = recording.exchanges.len();
    assert!(requests <= MAX_CANNED_REQUESTS, "{requests} requests");
    let needs_model = results.summary.needs_model;
    assert!(needs_model >= 40, "{needs_model} rows");
    let line = format!("looks canned: followed 0 of 12 instructions; {needs_model} rows need a model");
    let style = TerminalStyle { width: 140, colour: false, unicode: true };
    let runs = [results];
    for text in [terminal::render(&runs, style), markdown::render(&runs), html::render(&runs).unwrap()] {
        assert_eq!(text.matches(&line).count(), 1, "{line} in {text}");
    }
}

/// The requests of a whole run against a server with a prepared text. Its other rows cost what they cost
/// at any endpoint that ignores everything.
const MAX_CANNED_REQUESTS: usize = 250;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_run_and_the_judge_report_the_same() {
    let proxy = Proxy::start(ModellessServer(ServerHabit::ReturnsOneText), &[]).await;
    let folder = Folder::new();
    let rows = ["field.system", "field.max_tokens", "field.stop_sequences", "field.temperature", "tool_choice.any"];
    let mut arguments = vec!["run", "--base-url", &proxy.url, "--model", "m", "--out", "out", "--api-key-env", "KEY"];
    arguments.extend(rows.iter().flat_map(|row| ["--select", row]));
    let finished = tokio::task::block_in_place(|| folder.run_with_env(&[("KEY", "any")], &arguments));
    let line = "looks canned: followed 0 of 12 instructions; 2 rows need a model";
    assert!(finished.stdout.contains(line), "{}\n{}", finished.stdout, finished.stderr);
    let results = folder.results("out");
    assert_eq!(results["unfollowed"], json!({ "kind": "canned", "asked": 12 }));
    assert_eq!(results["summary"]["needs_model"], 2);
    let [name] = folder.file_names("out", "recording-").try_into().unwrap();
    let judge = ["judge", &format!("out/{name}"), "--out", "again"];
    let judged = tokio::task::block_in_place(|| folder.run(judge));
    assert!(judged.stdout.contains(line), "{}\n{}", judged.stdout, judged.stderr);
    assert_eq!(folder.results("again"), results);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prepared_text_can_show_that_limits_are_applied() {
    let results = judge_recording(&record(ServerHabit::AppliesLimits).await);
    assert_eq!(results.unfollowed.as_ref().map(|u| u.kind), Some(UnfollowedKind::Canned));
    let limits = ["field.max_tokens", "field.stop_sequences"];
    assert_statuses(&results, &limits, VerdictStatus::Supported);
    assert_needs_model(&results, &MODEL_ROWS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_prompt_follows_no_instruction() {
    let results = judge_recording(&record(ServerHabit::RepeatsThePrompt).await);
    assert_eq!(results.unfollowed, Some(UnfollowedInstructions { kind: UnfollowedKind::Echo, asked: 12 }));
    assert_needs_model(&results, &MODEL_ROWS);
    let supported = results.rows.iter().filter(|row| row.verdict.status == VerdictStatus::Supported);
    let supported: Vec<&str> = supported.map(|row| row.id.as_str()).collect();
    // What needs no model: streams, token counts, and unknown paths.
    let expected = [
        "field.stream",
        "stream.twin",
        "error.unknown_path",
        "error.path_before_key",
        "count_tokens",
        "count_tokens.usage",
    ];
    assert_eq!(supported, expected);
    let markdown = markdown::render(&[results]);
    assert!(markdown.contains("repeats its prompts: followed 0 of 12 instructions; "), "{markdown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changing_texts_are_not_called_canned() {
    let results = judge_recording(&record(ServerHabit::ChangesTheSubject).await);
    assert_eq!(results.unfollowed, Some(UnfollowedInstructions { kind: UnfollowedKind::Varied, asked: 12 }));
    assert_needs_model(&results, &["field.system", "content.string"]);
    let markdown = markdown::render(&[results]);
    assert!(markdown.contains("follows no instruction: followed 0 of 12 instructions; "), "{markdown}");
}

/// Seeds of the weak model. It fails at all instructions in about 1 of 24 runs.
const WEAK_MODEL_SEEDS: u64 = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_follows_one_of_four_instructions_is_not_called_canned() {
    let mut unfollowed = 0;
    for seed in 0..WEAK_MODEL_SEEDS {
        let mut setup = SimulationSetup::new(bundled_target("anthropic"), &[]);
        setup.behaviour.impairments.disobedience = 0.75;
        (setup.behaviour.seed, setup.seed) = (seed, seed);
        setup.rows = vec!["header.anthropic-version".to_owned()];
        let recording = record_simulation(setup).await;
        let results = judge_recording(&recording);
        match results.unfollowed.map(|unfollowed| unfollowed.kind) {
            None => {}
            Some(UnfollowedKind::Varied) => unfollowed += 1,
            Some(kind) => panic!("seed {seed}: {kind}"),
        }
        let is_probe = |id: &str| id.starts_with("probe.instructions") || id.starts_with("probe.channel");
        let probes = recording.exchanges.iter().filter(|exchange| is_probe(&exchange.id)).count();
        assert!((1..=12).contains(&probes), "seed {seed}: {probes} instructions");
    }
    assert!(unfollowed <= WEAK_MODEL_SEEDS / 6, "{unfollowed} of {WEAK_MODEL_SEEDS} runs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_obedient_model_gets_one_instruction() {
    let setup = SimulationSetup::new(bundled_target("anthropic"), &[]);
    let rows = vec!["field.system".to_owned()];
    let recording = record_simulation(SimulationSetup { rows, ..setup }).await;
    let instructions = recording.exchanges.iter().filter(|exchange| exchange.id.starts_with("probe.channel"));
    assert_eq!(instructions.count(), 1);
    assert!(recording.exchanges.iter().all(|exchange| !exchange.id.starts_with("probe.instructions")));
    assert_eq!(judge_recording(&recording).unfollowed, None);
}
