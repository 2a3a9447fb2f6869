//! A positive verdict proves its preconditions by the responses that it rests on: a row about
//! streams needs a stream that clients can read, and a row about token counts needs a count.

use axum::body::Body;
use axum::http::header;
use axum::response::Response;
use fieldtest::catalog::{ClaimStatus, VerdictStatus};
use fieldtest::results::model::{Results, Verdict};
use fieldtest::simulator;
use fieldtest::simulator::SimulatorConfig;
use serde_json::Value;

use crate::common::{
    CATALOG, EndpointUnderTest, SHORT_BACKOFF, SimulationSetup, bundled_target, judge_recording, record_simulation,
    test_endpoint,
};
use crate::proxy::answer::Answer;
use crate::proxy::upstream::Upstream;
use crate::proxy::{Asked, Between, Proxy};

/// The rows whose requests ask for a stream.
const STREAM_ROWS: [&str; 9] = [
    "field.stream",
    "stream.twin",
    "stream.twin_tool",
    "stream.twin_thinking",
    "stream.parallel_tools",
    "stream.gradual",
    "stream.text",
    "stream.text_unicode",
    "stream.ping",
];

/// The rows whose requests ask for a token count.
const COUNT_ROWS: [&str; 4] = ["count_tokens", "count_tokens.system", "count_tokens.tools", "count_tokens.usage"];

fn verdict<'a>(results: &'a Results, row: &str) -> &'a Verdict {
    &results.rows.iter().find(|result| result.id == row).unwrap_or_else(|| panic!("{row} was not run")).verdict
}

/// Asserts that the first row is ignored, and that the others are undecided because of it.
#[track_caller]
fn assert_blocked(results: &Results, rows: &[&str]) {
    let (cause, others) = rows.split_first().unwrap();
    assert_eq!(verdict(results, cause).status, VerdictStatus::Ignored, "{:?}", verdict(results, cause));
    for row in others {
        let found = verdict(results, row);
        assert_eq!(found.status, VerdictStatus::Inconclusive, "{row}: {found:?}");
        assert!(found.reason.contains(cause), "{row}: {found:?}");
    }
}

/// What a server does to its responses.
#[derive(Clone, Copy, Debug)]
enum StreamHabit {
    /// Responds to requests for a token count with a message.
    CountsWithAMessage,
    /// Sends no event names.
    OmitsEventNames,
    /// Sends a blank line after each event name.
    SplitsEvents,
    /// Sends data without a type.
    OmitsTypes,
    /// Does not send `message_start`.
    OmitsTheStart,
}

struct HabitServer(StreamHabit);

impl Between for HabitServer {
    async fn answer(&self, mut asked: Asked, upstreams: &[Upstream]) -> Answer {
        if let StreamHabit::CountsWithAMessage = self.0 {
            if asked.path.ends_with("/count_tokens") {
                asked.path = "/v1/messages".to_owned();
                asked.body["max_tokens"] = 16.into();
            }
            return upstreams[0].ask(&asked).await;
        }
        match upstreams[0].ask(&asked).await {
            Answer::Through(response) if is_stream(&response) => {
                Answer::Through(rewrite_stream(response, self.0).await)
            }
            answer => answer,
        }
    }
}

fn is_stream(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    response.status().is_success() && kind.is_some_and(|kind| kind.starts_with("text/event-stream"))
}

async fn rewrite_stream(response: Response, habit: StreamHabit) -> Response {
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, 64 << 20).await.unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let events = text.split_inclusive("\n\n").map(|event| {
        let (name, data) = event.split_once('\n').unwrap();
        match habit {
            StreamHabit::CountsWithAMessage => event.to_owned(),
            StreamHabit::OmitsEventNames => data.to_owned(),
            StreamHabit::SplitsEvents => format!("{name}\n\n{data}"),
            StreamHabit::OmitsTypes => format!("{name}\n{}", without_type(data)),
            StreamHabit::OmitsTheStart if name == "event: message_start" => String::new(),
            StreamHabit::OmitsTheStart => event.to_owned(),
        }
    });
    Response::from_parts(parts, Body::from(events.collect::<String>()))
}

/// A data line whose JSON has no type.
fn without_type(line: &str) -> String {
    let mut data: Value = serde_json::from_str(line.trim_start_matches("data: ").trim_end()).unwrap();
    data.as_object_mut().unwrap().remove("type");
    format!("data: {data}\n\n")
}

async fn test_habit(habit: StreamHabit, rows: &[&str]) -> Results {
    let target = bundled_target("anthropic");
    let running = simulator::start(SimulatorConfig::from_target(target)).await.unwrap();
    let proxy = Proxy::start(HabitServer(habit), &[&running.base_url()]).await;
    let server = EndpointUnderTest {
        base_url: proxy.url.clone(),
        credential: running.credential().to_owned(),
        model: target.model.clone(),
        concurrency: 4,
        initial_backoff: SHORT_BACKOFF,
        retries: 4,
        seed: 1,
        confidence: 0.99,
        rows: rows.iter().map(|row| (*row).to_owned()).collect(),
    };
    let results = test_endpoint(&server, target).await;
    proxy.assert_whole();
    results
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_stream_row_is_decided_at_a_server_that_never_streams() {
    let rows = STREAM_ROWS.map(str::to_owned).to_vec();
    let setup = SimulationSetup::new(bundled_target("anthropic"), &[("field.stream", ClaimStatus::Ignored)]);
    let results = judge_recording(&record_simulation(SimulationSetup { rows, ..setup }).await);
    assert_blocked(&results, &STREAM_ROWS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_lacks_an_effect_names_the_ignored_field_around_its_own() {
    for rows in [["field.thinking", "field.thinking.adaptive"], ["content.text.cache_control", "cache_control.ttl"]] {
        let setup = SimulationSetup::new(bundled_target("anthropic"), &[(rows[0], ClaimStatus::Ignored)]);
        let rows_to_run = rows.map(str::to_owned).to_vec();
        let results = judge_recording(&record_simulation(SimulationSetup { rows: rows_to_run, ..setup }).await);
        assert_blocked(&results, &rows);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_count_row_is_decided_at_a_server_that_counts_with_a_message() {
    assert_blocked(&test_habit(StreamHabit::CountsWithAMessage, &COUNT_ROWS).await, &COUNT_ROWS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_no_sdk_can_read_is_no_stream() {
    for habit in
        [StreamHabit::OmitsEventNames, StreamHabit::SplitsEvents, StreamHabit::OmitsTypes, StreamHabit::OmitsTheStart]
    {
        let results = test_habit(habit, &STREAM_ROWS).await;
        assert_blocked(&results, &STREAM_ROWS);
        let qualifiers = &verdict(&results, "field.stream").qualifiers;
        assert!(qualifiers.iter().any(|q| q.contains("official SDKs cannot read")), "{habit:?}: {qualifiers:?}");
    }
}

#[test]
fn the_rows_that_ask_for_a_stream_or_a_count_are_known() {
    let rows = || CATALOG.rows.iter().map(|row| &row.experiment);
    let asks_stream = |body: &serde_json::Map<String, Value>| body.get("stream") == Some(&Value::Bool(true));
    let stream_rows = rows()
        .filter(|e| e.variants.is_empty() && e.treatment.iter().chain([&e.base]).any(|arm| asks_stream(&arm.body)));
    let mut expected = STREAM_ROWS;
    let mut found: Vec<&str> = stream_rows.map(|e| e.id()).collect();
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
}
