//! The passive checks over complete runs, and the pages in `docs/checks/`.
//!
//! `UPDATE=1 cargo test --test it checks::` writes the pages.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use common::client_reactions::{ClientMeasurements, ClientOutcome};
use common::{
    CATALOG, EndpointUnderTest, SHORT_BACKOFF, SimulationSetup, TARGETS, bundled_target, field_row_ids,
    is_update_requested, record_endpoint, record_simulation, record_target, repository_path, test_target,
};
use fieldtest::checks::{CheckSeverity, ProtocolCheck};
use fieldtest::client::{Client, ClientConfig, MessagesEndpoint as _};
use fieldtest::engine::judge;
use fieldtest::recording::run::Recording;
use fieldtest::results::model::{FindingSummary, Results};
use fieldtest::simulator;
use fieldtest::simulator::{SimulatorConfig, SimulatorFault};
use fieldtest::wire::exchange::AuthScheme;
use fieldtest::wire::exchange::{AttemptResult, Exchange, HttpMethod, Request, RequestCredential, Response};
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};
use serde_json::{Value, json};

use crate::common;

#[tokio::test]
async fn simulations_without_faults_have_no_findings() {
    for name in TARGETS {
        let results = test_target(bundled_target(name), &[]).await;
        let serious: Vec<&FindingSummary> =
            results.findings.iter().filter(|f| f.severity != CheckSeverity::Note).collect();
        assert!(serious.is_empty(), "{name}: {serious:#?}");
    }
}

/// The results of a run without faults after a change to its responses.
fn results_with_changes(recording: &Recording, change: impl Fn(&Exchange, &mut Response)) -> Results {
    let mut recording = recording.clone();
    for exchange in &mut recording.exchanges {
        let original = exchange.clone();
        for attempt in &mut exchange.attempts {
            if let AttemptResult::Response(response) = &mut attempt.result {
                change(&original, response);
            }
        }
    }
    judge(&CATALOG, &recording).expect("all rows are in the catalog")
}

fn find_summary<'a>(results: &'a Results, check: &str) -> Option<&'a FindingSummary> {
    results.findings.iter().find(|finding| finding.check == check)
}

#[tokio::test]
async fn findings_are_listed_in_order_and_in_their_rows() {
    let recording = record_target(bundled_target("anthropic"), &[]).await;
    let results = results_with_changes(&recording, |exchange, response| {
        if exchange.request.body["stream"] == true {
            let text = String::from_utf8_lossy(&response.body.0).replace("event: message_start\n", "");
            response.body.0 = text.into_bytes();
        }
        response.headers.retain(|(name, _)| name != "request-id");
    });
    let missing_names = find_summary(&results, "sse.event-name-missing").expect("every stream was changed");
    assert_eq!(
        (missing_names.severity, missing_names.rows.contains(&"field.stream".to_owned())),
        (CheckSeverity::Error, true)
    );
    assert!(missing_names.example.contains("message_start"), "{missing_names:?}");
    let missing_ids = find_summary(&results, "http.request-id-missing").expect("every response was changed");
    assert_eq!(missing_ids.count, recording.exchanges.len() as u64);
    // The list and the rows agree.
    for finding in &results.findings {
        let rows: Vec<&String> =
            results.rows.iter().filter(|row| row.findings.contains(&finding.check)).map(|row| &row.id).collect();
        assert_eq!(rows, finding.rows.iter().collect::<Vec<_>>(), "{}", finding.check);
    }
    let order: Vec<_> = results.findings.iter().map(|f| (f.severity, f.check.clone())).collect();
    assert!(order.is_sorted(), "{order:?}");
    // The order of the responses must not matter.
    let mut reversed = recording.clone();
    reversed.exchanges.reverse();
    reversed.trials.reverse();
    let plain = judge(&CATALOG, &recording).expect("all rows are in the catalog");
    assert_eq!(judge(&CATALOG, &reversed).expect("all rows are in the catalog").findings, plain.findings);
}

#[tokio::test]
async fn errors_of_challenges_are_checked() {
    let recording = record_target(bundled_target("anthropic"), &[]).await;
    let results = results_with_changes(&recording, |_, response| {
        if response.status >= 400 {
            response.body.0 = br#"{"error":{"message":"no","code":400}}"#.to_vec();
        }
    });
    let envelope = find_summary(&results, "error.envelope").expect("challenges were rejected");
    assert!(envelope.count > 0 && !envelope.rows.is_empty(), "{envelope:?}");
    assert_eq!(
        results.findings.iter().filter(|f| f.severity != CheckSeverity::Note).count(),
        1,
        "{:#?}",
        results.findings
    );
}

/// Rows that cause a stream, thinking, tool calls and errors.
const ROW_IDS: [&str; 5] =
    ["field.stream", "field.thinking", "field.metadata", "field.stop_sequences", "tool_choice.any"];

/// Additional requests: streams with tool calls and thinking, a stream that is cut, equal requests, and a request with a
/// streamed twin.
fn additional_requests() -> Vec<Request> {
    let build_request = |text: &str, more: Value| {
        let mut body = json!({"max_tokens": 2000, "messages": [{"role": "user", "content": text}]});
        body["model"] = bundled_target("anthropic").model.clone().into();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Request {
            method: HttpMethod::Post,
            raw: None,
            path: "/v1/messages".to_owned(),
            headers: [("anthropic-version".to_owned(), "2023-06-01".to_owned())].into(),
            credential: RequestCredential::Target,
            body,
        }
    };
    let tools = json!([{"name": "find", "description": "Tells the weather of a city.", "input_schema": {
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}]);
    let count = "Count from 1 to 60.";
    let thinking = json!({"type": "enabled", "budget_tokens": 1024});
    let mut requests = vec![
        build_request("Use the tool once for each of: Bonn.", json!({"tools": tools})),
        build_request("Use the tool once for each of: Paris.", json!({"tools": tools, "stream": true})),
        build_request("Use the tool once for each of: Paris, Rome.", json!({"tools": tools, "stream": true})),
        build_request(count, json!({"stream": true, "thinking": thinking})),
        build_request("Count from 1 to 30.", json!({"stream": true, "thinking": thinking})),
        build_request(count, json!({"stream": true, "stop_sequences": ["7"]})),
        build_request(count, json!({"stream": true, "max_tokens": 16})),
        build_request(&format!("{} {count}", "These words mean nothing.".repeat(4)), json!({"stream": true})),
    ];
    // Many, because some faults occur at random and must occur at least once.
    for more in [json!({}), json!({"stream": true})] {
        requests.extend(std::iter::repeat_n(build_request(count, more), 8));
    }
    requests
}

/// The findings about a simulator with one fault.
struct FaultFindings {
    /// In the rows and the additional requests.
    all: Vec<String>,
    /// In the streams of the additional requests.
    streams: Vec<String>,
}

async fn run_with_fault(fault: SimulatorFault) -> FaultFindings {
    let mut behaviour = SimulatorConfig::from_target(bundled_target("anthropic"));
    behaviour.seed = 1;
    behaviour.faults = vec![fault];
    let running = simulator::start(behaviour).await.expect("loopback has a free port");
    // This fault makes each stream slow. The additional requests run at the same time, so they are
    // enough.
    let rows = if fault.id() == "sse.silent-gap" { &ROW_IDS[2..3] } else { &ROW_IDS };
    let server = EndpointUnderTest {
        base_url: running.base_url(),
        credential: running.credential().to_owned(),
        model: bundled_target("anthropic").model.clone(),
        concurrency: 4,
        initial_backoff: SHORT_BACKOFF,
        retries: 1,
        seed: 1,
        confidence: 0.99,
        rows: rows.iter().map(|row| (*row).to_owned()).collect(),
    };
    let mut recording = record_endpoint(&server, bundled_target("anthropic")).await;
    let mut config = ClientConfig::new(server.base_url.clone(), AuthScheme::XApiKey);
    config.credential = Some(server.credential.clone().into());
    (config.retries, config.concurrency, config.use_proxies) = (0, 32, false);
    let client = Client::new(config).expect("a plain configuration");
    let sent = additional_requests().into_iter().enumerate().map(|(i, request)| {
        let client = &client;
        async move { client.send(&format!("extra/{i}"), request).await }
    });
    recording.exchanges.extend(join_all(sent).await);
    let found = |recording: &Recording| {
        let results = judge(&CATALOG, recording).expect("all rows are in the catalog");
        results.findings.into_iter().map(|finding| finding.check).collect()
    };
    let all = found(&recording);
    recording.trials.clear();
    recording.exchanges.retain(|exchange| exchange.id.starts_with("extra/") && exchange.request.body["stream"] == true);
    FaultFindings { all, streams: found(&recording) }
}

/// Faults that need a response that is not streamed.
const FAULTS_WITHOUT_STREAM: [&str; 8] = [
    "http.body-cut",
    "http.stream-unasked",
    "message.body-not-json",
    "message.error-in-success",
    "message.no-message",
    "message.content-shape",
    "usage.missing",
    "usage.twin-differs",
];

/// Returns true if streams show the fault.
fn is_visible_in_streams(fault: SimulatorFault) -> bool {
    let of_errors = ["http.content-type", "http.server-error", "http.status-undocumented", "http.retry-after-missing"];
    !fault.id().starts_with("error.")
        && !of_errors.contains(&fault.id())
        && !FAULTS_WITHOUT_STREAM.contains(&fault.id())
}

/// Checks that also detect the fault of another check.
fn companions(fault: SimulatorFault) -> &'static [&'static str] {
    match fault.id() {
        "sse.message-start-missing" => &["sse.event-before-start"],
        "sse.message-delta-missing" => &["message.stop-reason-missing"],
        "sse.block-start-shape" => &["message.content-shape"],
        "sse.tool-json" => &["tool.input-shape"],
        "usage.delta-input-zero" => &["usage.input-zero"],
        _ => &[],
    }
}

#[tokio::test]
async fn each_simulator_fault_is_found_by_its_own_check_and_its_companions_only() {
    let faults = SimulatorFault::all().filter(|fault| fault.breaks_protocol());
    let wrong: Vec<String> = stream::iter(faults)
        .map(|fault| async move {
            let FaultFindings { all: mut found, streams } = run_with_fault(fault).await;
            let mut wanted: Vec<&str> = [&[fault.id()], companions(fault)].concat();
            found.sort();
            wanted.sort_unstable();
            let is_right = found == wanted && streams.iter().any(|id| id == fault.id()) == is_visible_in_streams(fault);
            (!is_right).then(|| format!("{fault}: found {found:?}, in streams {streams:?}"))
        })
        // One of the faults is slow.
        .buffer_unordered(4)
        .filter_map(|wrong| async { wrong })
        .collect()
        .await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_check_has_a_simulator_fault_and_every_protocol_fault_has_a_check() {
    let checks: BTreeSet<&str> = ProtocolCheck::ALL.iter().map(|check| check.id()).collect();
    let faults: Vec<&str> =
        SimulatorFault::all().filter(|fault| fault.breaks_protocol()).map(SimulatorFault::id).collect();
    let once: BTreeSet<&str> = faults.iter().copied().collect();
    assert_eq!(once.len(), faults.len());
    assert_eq!(once.symmetric_difference(&checks).collect::<Vec<_>>(), [&""; 0]);
}

/// Returns the verdicts of all rows as text.
fn verdict_texts(results: &Results) -> Vec<(String, String)> {
    results.rows.iter().map(|row| (row.id.clone(), format!("{:?}", row.verdict))).collect()
}

#[tokio::test]
async fn unusual_but_allowed_responses_change_no_finding_and_no_verdict() {
    let mut faultless = SimulationSetup::new(bundled_target("anthropic"), &[]);
    faultless.rows = field_row_ids(bundled_target("anthropic"));
    let plain = judge(&CATALOG, &record_simulation(faultless).await).expect("all rows are in the catalog");
    let harmless: Vec<SimulatorFault> = SimulatorFault::all().filter(|fault| fault.id().starts_with("raw.")).collect();
    assert_eq!(harmless.len(), 4);
    for fault in harmless {
        assert!(!fault.breaks_protocol());
        let mut setup = SimulationSetup::new(bundled_target("anthropic"), &[]);
        setup.behaviour.faults = vec![fault];
        setup.rows = field_row_ids(bundled_target("anthropic"));
        let results = judge(&CATALOG, &record_simulation(setup).await).expect("all rows are in the catalog");
        assert_eq!(verdict_texts(&results), verdict_texts(&plain), "{fault}");
        assert_eq!(results.findings, plain.findings, "{fault}");
        assert_eq!(run_with_fault(fault).await.all, [""; 0], "{fault}");
    }
}

fn render_page(check: ProtocolCheck, measured: &ClientMeasurements) -> String {
    let description = check.description();
    let (title, url) = description.source.citation();
    let failures: Vec<String> = description.failures.iter().map(|n| format!("F{n:02}")).collect();
    let catalogue = if failures.is_empty() { "none".to_owned() } else { failures.join(", ") };
    format!(
        "# {}\n\nSeverity: **{}**\n\n## Fault\n\n{}\n\n## Why it matters\n\n{}\n\n## Affected clients\n\n{}\n\n\
         ## What clients did\n\n{}\n\n## Example\n\n```text\n{}\n```\n\n## Source\n\n- Document: [{title}]({url})\n- Failure catalogue: {catalogue}\n",
        description.id,
        description.severity.as_str(),
        description.summary,
        description.rationale,
        description.client_impact,
        render_reactions(check, measured),
        description.example,
    )
}

/// The measured reactions of clients to the fault.
fn render_reactions(check: ProtocolCheck, measured: &ClientMeasurements) -> String {
    let reactions = measured.reactions(check.id());
    if reactions.is_empty() {
        return "Not measured.".to_owned();
    }
    let mut out = String::from(
        "The worst outcome of all scenarios, measured as [clients.md](../clients.md) describes.\n\n\
         | client | version | outcome | scenarios | observation |\n| --- | --- | --- | --- | --- |",
    );
    for (client, reaction) in reactions {
        let places = reaction.scenarios.join(", ");
        let detail = reaction.detail.replace('|', "\\|").replace('<', "&lt;");
        out += &format!(
            "\n| {} | {} | {} | {places} | {detail} |",
            client.name,
            client.version,
            format!("{:?}", reaction.outcome).to_lowercase()
        );
    }
    out
}

/// The reactions of all clients, one check per line.
fn client_matrix(measured: &ClientMeasurements) -> String {
    let names: Vec<&str> = measured.clients.iter().map(|client| client.id.as_str()).collect();
    let mut out = format!("| check | severity | {} |\n|{}\n", names.join(" | "), " --- |".repeat(names.len() + 2));
    for check in ProtocolCheck::ALL {
        let reactions = measured.reactions(check.id());
        let word = |id: &str| {
            let found = reactions.iter().find(|(client, _)| client.id == id);
            found.map_or("not measured", |(_, reaction)| format_outcome(reaction.outcome))
        };
        let words: Vec<&str> = names.iter().map(|id| word(id)).collect();
        let (id, severity) = (check.id(), check.severity().as_str());
        out += &format!("| [{id}]({id}.md) | {severity} | {} |\n", words.join(" | "));
    }
    out
}

/// An outcome in the matrix. Outcomes that break a program are bold.
fn format_outcome(outcome: ClientOutcome) -> &'static str {
    match outcome {
        ClientOutcome::Unreached => "",
        ClientOutcome::Same => "same",
        ClientOutcome::Differs => "differs",
        ClientOutcome::Raises => "**raises**",
        ClientOutcome::Hangs => "**hangs**",
    }
}

fn render_index(measured: &ClientMeasurements) -> String {
    let mut out = String::from(
        "# Passive checks\n\nThese checks test every exchange of every run and send no requests. Reports list the faults under \
         \"Findings\". A finding never decides a row.\n\n\
         - An **error** breaks a client that follows the documentation.\n\
         - A **warning** breaks some clients.\n\
         - A **note** is good to know. Additions, such as unknown keys and events, are notes.\n\n\
         Each check counts at most once per exchange. With `--strict`, a run with errors or warnings ends with exit code 1.\n\n\
         These pages are made from `src/checks/checks.yaml` by `UPDATE=1 cargo test --test it checks::`.\n",
    );
    let mut area = "";
    for check in ProtocolCheck::ALL {
        if check.area() != area {
            area = check.area();
            out.push_str(&format!("\n## {area}\n\n| check | severity | fault |\n| --- | --- | --- |\n"));
        }
        let description = check.description();
        out.push_str(&format!(
            "| [{0}]({0}.md) | {1} | {2} |\n",
            description.id,
            description.severity.as_str(),
            description.summary
        ));
    }
    out.push_str(&format!(
        "\n## What clients did\n\nThe outcome of each fault for real clients, compared with the same scenario without the fault \
         ([clients.md](../clients.md)). An empty cell means that the fault never reaches the client.\n\n{}",
        client_matrix(measured)
    ));
    out
}

#[test]
fn the_pages_match_the_checks() {
    let folder = repository_path("docs/checks");
    let measured = fs::read_to_string(repository_path("src/checks/clients.json")).unwrap();
    let measured: ClientMeasurements = serde_json::from_str(&measured).expect("scripts/clients/run wrote it");
    let mut wanted: BTreeMap<String, String> =
        ProtocolCheck::ALL.iter().map(|check| (format!("{}.md", check.id()), render_page(*check, &measured))).collect();
    wanted.insert("README.md".to_owned(), render_index(&measured));
    if is_update_requested() {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        for (name, text) in &wanted {
            fs::write(folder.join(name), text).unwrap();
        }
    }
    let published: BTreeMap<String, String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read_to_string(&path).unwrap()))
        .collect();
    let differing: Vec<&String> =
        wanted.keys().chain(published.keys()).filter(|name| wanted.get(*name) != published.get(*name)).collect();
    assert!(differing.is_empty(), "docs/checks differs: {differing:?}; run UPDATE=1 cargo test --test it checks::");
}

#[test]
fn every_page_has_sentences_and_additions_are_notes() {
    for check in ProtocolCheck::ALL {
        let description = check.description();
        for text in [description.summary, description.rationale, description.client_impact] {
            assert!(text.ends_with('.') && text.len() > 5, "{}: {text}", description.id);
        }
        assert!(
            description.failures.is_sorted() && description.failures.iter().all(|n| (1..=125).contains(n)),
            "{}",
            description.id
        );
        assert_eq!(
            description.id.ends_with("-unknown") && description.severity == CheckSeverity::Error,
            description.id == "tool.name-unknown"
        );
    }
}
