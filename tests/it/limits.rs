//! Tests budgets and rate limits with the counts of the server.
//!
//! No run exceeds a limit, and no run floods a server that reports overload.

use std::io::Write as _;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::{Duration, Instant};

use binary::{FinishedRun, Folder};
use fieldtest::client::{AccountRegistry, Client, ClientConfig, MessagesEndpoint as _, PerMinuteLimits};
use fieldtest::simulator;
use fieldtest::simulator::{RunningSimulator, SimulatorConfig, SimulatorImpairments};
use fieldtest::wire::exchange::AuthScheme;
use fieldtest::wire::exchange::{AttemptResult, Exchange, ExchangeAttempt, HttpMethod, Request, RequestCredential};
use jiff::Timestamp;
use regex::Regex;
use serde_json::{Value, json};
use server::{FaithfulServer, ReceivedRequest, TestServer};

use crate::common::{binary, server};

/// Rows of every kind: fields, tools, token counts, model lists and `HEAD`.
const SELECT: [&str; 4] = ["--select", "{count_tokens,models}*", "--select", "{field,tools}.*"];

fn run(folder: &Folder, url: &str, more: &[&str]) -> FinishedRun {
    let target = [
        "run",
        "--base-url",
        url,
        "--model",
        "m",
        "--api-key-env",
        "KEY",
        "--claims",
        "deepseek@2025-12",
        "--out",
        "out",
    ];
    folder.run_with_env(&[("KEY", simulator::DEFAULT_CREDENTIAL)], &[&target[..], &SELECT, more].concat())
}

/// How a server changes a response before it sends it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum ResponseChange {
    Unchanged,
    /// Omits `usage`, but counts the tokens.
    OmitUsage,
    /// Reports a usage of 0, but counts the tokens.
    ZeroUsage,
    /// Truncates every third response, but counts the tokens.
    Truncate,
    /// Returns 429 or 529 for some requests.
    Throttle,
}

const RESPONSE_CHANGES: [ResponseChange; 5] = [
    ResponseChange::Unchanged,
    ResponseChange::OmitUsage,
    ResponseChange::ZeroUsage,
    ResponseChange::Truncate,
    ResponseChange::Throttle,
];

/// The requests and tokens that a server counts.
#[derive(Debug, Default)]
struct ServerCounts {
    requests: AtomicU64,
    input: AtomicU64,
    output: AtomicU64,
}

static USAGE_COUNTER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#""(input_tokens|cache_creation_input_tokens|cache_read_input_tokens|output_tokens)":(\d+)"#).unwrap()
});

/// Returns the input and output tokens of a response, streamed or not. The last value of each
/// counter applies.
fn parse_usage(response: &str) -> (u64, u64) {
    let last = |name: &str| {
        let value = USAGE_COUNTER.captures_iter(response).filter(|c| &c[1] == name).last();
        value.map_or(0, |c| c[2].parse::<u64>().unwrap())
    };
    let input = ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"].map(last).iter().sum();
    (input, last("output_tokens"))
}

/// Starts a server that counts requests and tokens. It forwards each request to the simulator.
fn start_counting_server(change: ResponseChange) -> (TestServer, Arc<ServerCounts>) {
    let faithful = FaithfulServer::start();
    let counts = Arc::new(ServerCounts::default());
    let server_counts = counts.clone();
    let server = TestServer::start(move |asked: &ReceivedRequest, stream| {
        let number = server_counts.requests.fetch_add(1, Ordering::Relaxed);
        if change == ResponseChange::Throttle && (number % 6 == 1 || number % 11 == 1) {
            let status = if number % 6 == 1 { "429 Too Many Requests" } else { "529 Overloaded" };
            return server::write_response(stream, status, "application/json", r#"{"type":"error"}"#);
        }
        let response = faithful.respond(asked)?;
        let text = String::from_utf8_lossy(&response).into_owned();
        let (input, output) = if asked.head.contains("count_tokens") { (0, 0) } else { parse_usage(&text) };
        server_counts.input.fetch_add(input, Ordering::Relaxed);
        server_counts.output.fetch_add(output, Ordering::Relaxed);
        let is_message = text.starts_with("HTTP/1.1 200") && output > 0;
        match change {
            ResponseChange::OmitUsage if is_message => {
                stream.write_all(text.replace("\"usage\"", "\"egasu\"").as_bytes())
            }
            // Keep the length: the framing of the response must stay valid.
            ResponseChange::ZeroUsage if is_message => {
                let zeroed = USAGE_COUNTER.replace_all(&text, |c: &regex::Captures<'_>| {
                    format!("\"{}\":{:>width$}", &c[1], 0, width = c[2].len())
                });
                stream.write_all(zeroed.as_bytes())
            }
            ResponseChange::Truncate if number % 3 == 1 => {
                let length = text.find("\r\n\r\n").map_or(0, |head| head + 4 + (text.len() - head - 4) / 2);
                stream.write_all(&response[..length])
            }
            _ => stream.write_all(&response),
        }
    });
    (server, counts)
}

#[test]
fn no_limit_is_exceeded_whatever_the_server_does() {
    for change in RESPONSE_CHANGES {
        for option in ["--max-requests", "--max-tokens", "--max-cost"] {
            let (server, counts) = start_counting_server(change);
            let folder = Folder::new();
            let limit = match option {
                "--max-requests" => "60",
                "--max-tokens" => "15000",
                _ => "0.02",
            };
            let prices = ["--price-input", "1", "--price-output", "5"];
            let more = [&[option, limit, "--concurrency", "32", "--timeout", "10"][..], &prices].concat();
            let ended = run(&folder, &server.url(), &more);
            let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
            let (requests, input, output) = (read(&counts.requests), read(&counts.input), read(&counts.output));
            let what = format!("{change:?} {option}: {requests} requests, {input} in, {output} out\n{}", ended.stderr);
            match option {
                "--max-requests" => assert!(requests <= 60, "{what}"),
                "--max-tokens" => assert!(input + output <= 15_000, "{what}"),
                _ => assert!(input + 5 * output <= 20_000, "{what}"),
            }
            assert!(requests >= 5, "{what}");
            // The run stops, judges the finished rows, writes all files and reports the other rows.
            assert!(matches!(ended.code, Some(1 | 3)), "{what}");
            let ended = ended.assert_stderr_contains(&["the budget was used up", "not finished"]);
            assert!(ended.stdout.contains("PARTIAL RUN"), "{}", ended.stdout);
            let results = folder.results("out");
            assert!(results["partial"].as_str().unwrap().contains("the budget was used up"), "{}", results["partial"]);
            assert!(folder.exists("out/matrix.md"));
            assert_eq!(folder.file_names("out", "recording-").len(), 1);
        }
    }
}

#[test]
fn all_targets_of_a_command_share_one_budget() {
    let folder = Folder::new();
    let arguments = [
        "run",
        "deepseek@2025-12",
        "tencent-lkeap@2025-12",
        "anthropic",
        "--simulate",
        "--max-requests",
        "90",
        "--out",
        "out",
    ];
    folder.run([&arguments[..], &["--concurrency", "8"]].concat()).assert_stderr_contains(&["the budget was used up"]);
    let sent: u64 = folder
        .file_names("out", "results-")
        .iter()
        .map(|name| serde_json::from_str::<Value>(&folder.read(&format!("out/{name}"))).unwrap())
        .map(|results| results["totals"]["requests"].as_u64().unwrap() + results["totals"]["retries"].as_u64().unwrap())
        .sum();
    assert!(sent <= 90 && sent > 60, "{sent}");
}

/// A running simulator with rate limits.
struct LimitedSimulator {
    runtime: tokio::runtime::Runtime,
    running: RunningSimulator,
}

impl LimitedSimulator {
    fn start(impairments: SimulatorImpairments) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let behaviour = SimulatorConfig {
            model: "m".to_owned(),
            credential: Some("key".to_owned()),
            impairments,
            ..SimulatorConfig::default()
        };
        let running = runtime.block_on(simulator::start(behaviour)).unwrap();
        Self { runtime, running }
    }

    /// Limits the requests and tokens per second.
    fn start_per_second(requests: Option<u32>, tokens: Option<u32>) -> Self {
        let limit_window = Duration::from_secs(1);
        Self::start(SimulatorImpairments {
            limit_requests: requests,
            limit_tokens: tokens,
            limit_window,
            ..SimulatorImpairments::default()
        })
    }

    fn run(&self, folder: &Folder, more: &[&str]) -> FinishedRun {
        let mut command = folder.command(
            [
                &[
                    "run",
                    "--base-url",
                    &self.running.base_url(),
                    "--model",
                    "m",
                    "--api-key-env",
                    "KEY",
                    "--out",
                    "out",
                ],
                &["--claims", "anthropic", "--select", "field.{system,stop_sequences,top_k,metadata,stream,top_p}"][..],
                more,
            ]
            .concat(),
        );
        command.env("KEY", "key");
        binary::RunningCommand::start(command).wait_for_end()
    }
}

#[test]
fn a_run_stays_near_the_rate_limits_of_the_server() {
    for (requests, tokens) in [(Some(15), None), (None, Some(1500)), (Some(20), Some(2500))] {
        let limited = LimitedSimulator::start_per_second(requests, tokens);
        let folder = Folder::new();
        limited.run(&folder, &["--concurrency", "32"]).assert_exit_code(0);
        let results = folder.results("out");
        let (needed, received) = (results["totals"]["requests"].as_u64().unwrap(), limited.running.request_counts());
        let what = format!("{requests:?} {tokens:?}: {received:?}, {needed} needed");
        assert!(needed > 15, "{what}");
        assert_eq!(results["summary"]["decided"], results["summary"]["rows"], "{what}");
        assert!(received.total <= needed + needed / 2 + 8, "{what}");
    }
}

#[test]
fn a_run_waits_for_a_limit_that_was_exhausted_before_it_started() {
    let (faithful, opens, throttled) = (FaithfulServer::start(), OnceLock::new(), Arc::new(AtomicUsize::new(0)));
    let count = throttled.clone();
    let server = TestServer::start(move |asked, stream| {
        let now = Timestamp::now();
        let opens = *opens.get_or_init(|| now + Duration::from_secs(3));
        if now >= opens {
            return stream.write_all(&faithful.respond(asked)?);
        }
        count.fetch_add(1, Ordering::Relaxed);
        // The header names a slightly later time, since two clocks may differ.
        let reset = opens + Duration::from_millis(50);
        let headers =
            format!("anthropic-ratelimit-requests-remaining: 0\r\nanthropic-ratelimit-requests-reset: {reset}");
        write!(stream, "HTTP/1.1 429 Too Many Requests\r\n{headers}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    });
    let folder = Folder::new();
    // The wait before the only retry is at most 1 second.
    let run =
        ["run", "--base-url", &server.url(), "--model", "m", "--api-key-env", "KEY", "--claims", "deepseek@2025-12"];
    let more = ["--select", "field.{system,stop_sequences}", "--retries", "1", "--out", "out", "-v"];
    let ended =
        folder.run_with_env(&[("KEY", simulator::DEFAULT_CREDENTIAL)], &[&run[..], &more].concat()).assert_exit_code(0);
    assert!(ended.stderr.contains("waiting for the limits of the account"), "{}", ended.stderr);
    let results = folder.results("out");
    assert_eq!(results["summary"]["decided"], results["summary"]["rows"]);
    assert!(throttled.load(Ordering::Relaxed) <= 4, "{throttled:?}");
}

#[test]
fn many_429_responses_without_headers_do_not_cause_many_retries() {
    let folder = Folder::new();
    let select = ["--select", "field.{system,stop_sequences,top_k,metadata,stream,top_p}"];
    let run = ["run", "anthropic", "--simulate", "--concurrency", "16", "--out", "out"];
    folder.run([&run[..], &folder.write_simulator_file("inject_429: 0.3\n"), &select].concat());
    let results = folder.results("out");
    let (needed, retries) =
        (results["totals"]["requests"].as_u64().unwrap(), results["totals"]["retries"].as_u64().unwrap());
    // The simulator throttles 3 of 10 attempts, whatever the client does.
    assert!(needed > 15 && retries > 0 && retries <= needed, "{retries} retries of {needed}");
}

fn request(n: usize) -> Request {
    Request {
        method: HttpMethod::Post,
        path: "/v1/messages".to_owned(),
        headers: [("anthropic-version".to_owned(), "2023-06-01".to_owned())].into(),
        credential: RequestCredential::Target,
        body: json!({ "model": "m", "max_tokens": 16, "messages": [{ "role": "user", "content": format!("Say {n}.") }] }),
        raw: None,
    }
}

fn is_answered(exchange: &Exchange) -> bool {
    matches!(exchange.attempts.last(), Some(ExchangeAttempt { result: AttemptResult::Response(r), .. }) if r.status == 200)
}

/// Sends `each` requests through each client, all at the same time.
async fn send(clients: &[Client], each: usize) -> Vec<Exchange> {
    let responses =
        clients.iter().flat_map(|client| (0..each).map(move |n| client.send("x", request(n))).collect::<Vec<_>>());
    futures_util::future::join_all(responses).await
}

fn client(url: &str, accounts: &AccountRegistry, concurrency: usize) -> Client {
    let mut config = ClientConfig::new(url, AuthScheme::XApiKey);
    config.credential = Some("key".into());
    config.use_proxies = false;
    (config.concurrency, config.initial_backoff) = (concurrency, Duration::from_millis(50));
    let gap = Some(config.initial_backoff / 5);
    let account = accounts.get_or_create(None, url, config.credential.as_ref(), PerMinuteLimits::default(), gap);
    config.account = Some(account.unwrap());
    Client::new(config).unwrap()
}

#[test]
fn targets_of_one_account_share_its_rate_limits() {
    let limited = LimitedSimulator::start_per_second(Some(20), None);
    let url = limited.running.base_url();
    let exchanges = limited.runtime.block_on(async {
        let accounts = AccountRegistry::default();
        let clients: Vec<Client> = (0..8).map(|_| client(&url, &accounts, 4)).collect();
        send(&clients, 10).await
    });
    let received = limited.running.request_counts();
    assert!(exchanges.iter().all(is_answered), "{received:?}");
    // 12 of the first 32 requests exceed the limit. After them, all clients know the limit.
    assert!(received.throttled <= 24, "{received:?}");
}

#[test]
fn requests_become_faster_after_the_last_429() {
    let (received, runtime) = (Arc::new(AtomicUsize::new(0)), tokio::runtime::Runtime::new().unwrap());
    let seen = received.clone();
    let server = TestServer::start(move |_, stream| {
        let (status, body) = match seen.fetch_add(1, Ordering::Relaxed) {
            0..40 => ("429 Too Many Requests", "{}"),
            _ => ("200 OK", r#"{"type":"message","content":[]}"#),
        };
        server::write_response(stream, status, "application/json", body)
    });
    runtime.block_on(async {
        let client = client(&server.url(), &AccountRegistry::default(), 8);
        let started = Instant::now();
        while received.load(Ordering::Relaxed) < 40 {
            client.send("x", request(0)).await;
        }
        let while_throttled = started.elapsed() / 40;
        // Successful responses decrease the delay step by step.
        send(std::slice::from_ref(&client), 60).await;
        let started = Instant::now();
        let after = send(std::slice::from_ref(&client), 60).await;
        let afterwards = started.elapsed() / 60;
        assert!(after.iter().all(is_answered));
        assert!(
            afterwards < while_throttled,
            "{while_throttled:?} per attempt while throttled, {afterwards:?} afterwards"
        );
    });
    // The 40 throttled attempts belong to requests, and the client sends few other attempts.
    assert!(received.load(Ordering::Relaxed) <= 40 + 120 + 5, "{received:?}");
}

#[test]
fn the_concurrency_of_a_target_applies_and_the_option_overrides_it() {
    let (current, max_in_flight) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let faithful = FaithfulServer::start();
    let (in_flight, max_seen) = (current.clone(), max_in_flight.clone());
    let server = TestServer::start(move |asked, stream| {
        max_seen.fetch_max(in_flight.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(30));
        let response = faithful.respond(asked);
        in_flight.fetch_sub(1, Ordering::SeqCst);
        stream.write_all(&response?)
    });
    let folder = Folder::new();
    folder.write(
        "cases/targets/slow.yaml",
        format!(
            "name: slow\ntitle: Slow\nbase_url: {}\nauth: {{ scheme: x-api-key, env: [KEY] }}\nmodel: m\naccount: ours\n\
             sources: [{{ title: none, revision: none, read_on: 2026-01-01 }}]\nlimits: {{ concurrency: 2 }}\nclaims:\n  \
             field.system: {{ status: supported }}\n",
            server.url()
        ),
    );
    let run = |more: &[&str]| {
        max_in_flight.store(0, Ordering::SeqCst);
        let arguments = [&["run", "slow", "--cases", "cases", "--select", "field.*", "--out", "out"], more].concat();
        folder.run_with_env(&[("KEY", "fieldtest-simulator")], &arguments);
        max_in_flight.load(Ordering::SeqCst)
    };
    let from_target = run(&["--max-requests", "60"]);
    assert!((1..=2).contains(&from_target), "{from_target}");
    let from_option = run(&["--max-requests", "60", "--concurrency", "6"]);
    assert!((3..=6).contains(&from_option), "{from_option}");
}
