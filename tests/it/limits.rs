//! Budgets and rate limits, by what the server counts: no bound is ever passed, and a server that says that it is too
//! much is not stormed.

use std::io::Write as _;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::{Duration, Instant};

use binary::{Ended, Folder};
use fieldtest::client::{
    AccountRegistry, Client, ClientConfig, CredentialHeader, MessagesEndpoint as _, PerMinuteLimits,
};
use fieldtest::simulator;
use fieldtest::simulator::{RunningSimulator, SimulatorConfig, SimulatorImpairments};
use fieldtest::wire::exchange::{AttemptResult, Exchange, ExchangeAttempt, HttpMethod, Request, RequestCredential};
use jiff::Timestamp;
use regex::Regex;
use serde_json::{Value, json};
use server::{Asked, Faithful, Server};

use crate::common::{binary, server};

/// Rows of every kind: fields, tools, counts of tokens, lists of models, `HEAD`.
const SELECT: [&str; 4] = ["--select", "{count_tokens,models}*", "--select", "{field,tools}.*"];

fn run(folder: &Folder, url: &str, more: &[&str]) -> Ended {
    let target =
        ["run", "--base-url", url, "--model", "m", "--api-key-env", "KEY", "--claims", "deepseek", "--out", "out"];
    folder.run_with(&[("KEY", simulator::DEFAULT_CREDENTIAL)], &[&target[..], &SELECT, more].concat())
}

/// What a server does to an answer before it hands it on.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mood {
    Honest,
    /// No usage, though it is charged.
    Silent,
    /// A usage of nothing, though it is charged.
    Free,
    /// Each third answer breaks in its midst, though it is charged.
    Breaks,
    /// Now and then a request is told to come back, or that the server is overloaded.
    Busy,
}

const MOODS: [Mood; 5] = [Mood::Honest, Mood::Silent, Mood::Free, Mood::Breaks, Mood::Busy];

/// What a server counts.
#[derive(Debug, Default)]
struct Counted {
    requests: AtomicU64,
    input: AtomicU64,
    output: AtomicU64,
}

static COUNTER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#""(input_tokens|cache_creation_input_tokens|cache_read_input_tokens|output_tokens)":(\d+)"#).unwrap()
});

/// The usage of an answer, streamed or not: the last that it says of each counter.
fn usage(answer: &str) -> (u64, u64) {
    let last = |name: &str| {
        let of = COUNTER.captures_iter(answer).filter(|c| &c[1] == name).last();
        of.map_or(0, |c| c[2].parse::<u64>().unwrap())
    };
    let input = ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"].map(last).iter().sum();
    (input, last("output_tokens"))
}

/// A server in front of a faithful one that counts, and is of a mood.
fn moody(mood: Mood) -> (Server, Arc<Counted>) {
    let faithful = Faithful::start();
    let counted = Arc::new(Counted::default());
    let books = counted.clone();
    let server = Server::start(move |asked: &Asked, stream| {
        let number = books.requests.fetch_add(1, Ordering::Relaxed);
        if mood == Mood::Busy && (number % 6 == 1 || number % 11 == 1) {
            let status = if number % 6 == 1 { "429 Too Many Requests" } else { "529 Overloaded" };
            return server::write_answer(stream, status, "application/json", r#"{"type":"error"}"#);
        }
        let answer = faithful.answer(asked)?;
        let text = String::from_utf8_lossy(&answer).into_owned();
        let (input, output) = if asked.head.contains("count_tokens") { (0, 0) } else { usage(&text) };
        books.input.fetch_add(input, Ordering::Relaxed);
        books.output.fetch_add(output, Ordering::Relaxed);
        let is_message = text.starts_with("HTTP/1.1 200") && output > 0;
        match mood {
            Mood::Silent if is_message => stream.write_all(text.replace("\"usage\"", "\"egasu\"").as_bytes()),
            // The same length: the framing of the answer stays whole.
            Mood::Free if is_message => {
                let free = COUNTER.replace_all(&text, |c: &regex::Captures<'_>| {
                    format!("\"{}\":{:>width$}", &c[1], 0, width = c[2].len())
                });
                stream.write_all(free.as_bytes())
            }
            Mood::Breaks if number % 3 == 1 => {
                let cut = text.find("\r\n\r\n").map_or(0, |head| head + 4 + (text.len() - head - 4) / 2);
                stream.write_all(&answer[..cut])
            }
            _ => stream.write_all(&answer),
        }
    });
    (server, counted)
}

#[test]
fn no_bound_is_passed_whatever_the_server_does() {
    for mood in MOODS {
        for bound in ["--max-requests", "--max-tokens", "--max-cost"] {
            let (server, counted) = moody(mood);
            let folder = Folder::new();
            let limit = match bound {
                "--max-requests" => "60",
                "--max-tokens" => "15000",
                _ => "0.02",
            };
            let prices = ["--price-input", "1", "--price-output", "5"];
            let more = [&[bound, limit, "--concurrency", "32", "--timeout", "10"][..], &prices].concat();
            let ended = run(&folder, &server.url(), &more);
            let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
            let (requests, input, output) = (count(&counted.requests), count(&counted.input), count(&counted.output));
            let what = format!("{mood:?} {bound}: {requests} requests, {input} in, {output} out\n{}", ended.stderr);
            match bound {
                "--max-requests" => assert!(requests <= 60, "{what}"),
                "--max-tokens" => assert!(input + output <= 15_000, "{what}"),
                _ => assert!(input + 5 * output <= 20_000, "{what}"),
            }
            assert!(requests >= 5, "{what}");
            // It stops, judges what it has, writes everything, says what was left.
            assert!(matches!(ended.code, Some(1 | 3)), "{what}");
            let ended = ended.says(&["the budget was used up", "not finished"]);
            assert!(ended.stdout.contains("PARTIAL RUN"), "{}", ended.stdout);
            let results = folder.results("out");
            assert!(results["partial"].as_str().unwrap().contains("the budget was used up"), "{}", results["partial"]);
            assert!(folder.exists("out/matrix.md"));
            assert_eq!(folder.names("out", "recording-").len(), 1);
        }
    }
}

#[test]
fn all_targets_of_a_command_have_one_budget() {
    let folder = Folder::new();
    let arguments =
        ["run", "deepseek", "tencent-lkeap", "anthropic", "--simulate", "--max-requests", "90", "--out", "out"];
    folder.run([&arguments[..], &["--concurrency", "8"]].concat()).says(&["the budget was used up"]);
    let sent: u64 = folder
        .names("out", "results-")
        .iter()
        .map(|name| serde_json::from_str::<Value>(&folder.read(&format!("out/{name}"))).unwrap())
        .map(|results| results["totals"]["requests"].as_u64().unwrap() + results["totals"]["retries"].as_u64().unwrap())
        .sum();
    assert!(sent <= 90 && sent > 60, "{sent}");
}

/// A simulation with limits, and how it is reached.
struct Limited {
    runtime: tokio::runtime::Runtime,
    running: RunningSimulator,
}

impl Limited {
    fn start(knobs: SimulatorImpairments) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let behaviour = SimulatorConfig {
            model: "m".to_owned(),
            credential: Some("key".to_owned()),
            impairments: knobs,
            ..SimulatorConfig::default()
        };
        let running = runtime.block_on(simulator::start(behaviour)).unwrap();
        Self { runtime, running }
    }

    /// So many requests in a second, and tokens.
    fn a_second(requests: Option<u32>, tokens: Option<u32>) -> Self {
        let limit_window = Duration::from_secs(1);
        Self::start(SimulatorImpairments {
            limit_requests: requests,
            limit_tokens: tokens,
            limit_window,
            ..SimulatorImpairments::default()
        })
    }

    fn run(&self, folder: &Folder, more: &[&str]) -> Ended {
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
        binary::Running::start(command).ended()
    }
}

#[test]
fn a_servers_limit_of_requests_or_tokens_is_kept_without_a_storm() {
    for (requests, tokens) in [(Some(15), None), (None, Some(1500)), (Some(20), Some(2500))] {
        let limited = Limited::a_second(requests, tokens);
        let folder = Folder::new();
        limited.run(&folder, &["--concurrency", "32"]).exits(0);
        let results = folder.results("out");
        let (needed, turned) = (results["totals"]["requests"].as_u64().unwrap(), limited.running.request_counts());
        let what = format!("{requests:?} {tokens:?}: {turned:?}, {needed} needed");
        assert!(needed > 15, "{what}");
        assert_eq!(results["summary"]["decided"], results["summary"]["rows"], "{what}");
        assert!(turned.total <= needed + needed / 2 + 8, "{what}");
    }
}

#[test]
fn a_limit_that_is_used_up_before_the_run_is_waited_for_whatever_tells_when_it_is_filled() {
    let (faithful, opens, refused) = (Faithful::start(), OnceLock::new(), Arc::new(AtomicUsize::new(0)));
    let count = refused.clone();
    let server = Server::start(move |asked, stream| {
        let now = Timestamp::now();
        let opens = *opens.get_or_init(|| now + Duration::from_secs(3));
        if now >= opens {
            return stream.write_all(&faithful.answer(asked)?);
        }
        count.fetch_add(1, Ordering::Relaxed);
        // Told a bit later than it is: two clocks may differ.
        let reset = opens + Duration::from_millis(50);
        let told = format!("anthropic-ratelimit-requests-remaining: 0\r\nanthropic-ratelimit-requests-reset: {reset}");
        write!(stream, "HTTP/1.1 429 Too Many Requests\r\n{told}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    });
    let folder = Folder::new();
    // The one wait before the one retry is at most a second.
    let run = ["run", "--base-url", &server.url(), "--model", "m", "--api-key-env", "KEY", "--claims", "deepseek"];
    let more = ["--select", "field.{system,stop_sequences}", "--retries", "1", "--out", "out", "-v"];
    let ended = folder.run_with(&[("KEY", simulator::DEFAULT_CREDENTIAL)], &[&run[..], &more].concat()).exits(0);
    assert!(ended.stderr.contains("waiting for the limits of the account"), "{}", ended.stderr);
    let results = folder.results("out");
    assert_eq!(results["summary"]["decided"], results["summary"]["rows"]);
    assert!(refused.load(Ordering::Relaxed) <= 4, "{refused:?}");
}

#[test]
fn a_storm_of_429_without_any_headers_is_no_storm_of_retries() {
    let folder = Folder::new();
    let select = ["--select", "field.{system,stop_sequences,top_k,metadata,stream,top_p}"];
    let run = ["run", "anthropic", "--simulate", "--concurrency", "16", "--out", "out"];
    folder.run([&run[..], &folder.simulator("inject_429: 0.3\n"), &select].concat());
    let results = folder.results("out");
    let (needed, again) =
        (results["totals"]["requests"].as_u64().unwrap(), results["totals"]["retries"].as_u64().unwrap());
    // Of ten attempts three are in vain, whatever one does.
    assert!(needed > 15 && again > 0 && again <= needed, "{again} retries of {needed}");
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

/// Sends so many requests through each of these clients, all at once.
async fn send(clients: &[Client], each: usize) -> Vec<Exchange> {
    let asked =
        clients.iter().flat_map(|client| (0..each).map(move |n| client.send("x", request(n))).collect::<Vec<_>>());
    futures_util::future::join_all(asked).await
}

fn client(url: &str, accounts: &AccountRegistry, concurrency: usize) -> Client {
    let mut config = ClientConfig::new(url, CredentialHeader::XApiKey);
    config.credential = Some("key".into());
    config.use_proxies = false;
    (config.concurrency, config.initial_backoff) = (concurrency, Duration::from_millis(50));
    let gap = Some(config.initial_backoff / 5);
    let account = accounts.get_or_create(None, url, config.credential.as_ref(), PerMinuteLimits::default(), gap);
    config.account = Some(account.unwrap());
    Client::new(config).unwrap()
}

#[test]
fn targets_of_one_account_do_not_each_find_out_that_it_is_too_much() {
    let limited = Limited::a_second(Some(20), None);
    let url = limited.running.base_url();
    let exchanges = limited.runtime.block_on(async {
        let accounts = AccountRegistry::default();
        let clients: Vec<Client> = (0..8).map(|_| client(&url, &accounts, 4)).collect();
        send(&clients, 10).await
    });
    let turned = limited.running.request_counts();
    assert!(exchanges.iter().all(is_answered), "{turned:?}");
    // Of the first volley, twelve are beyond the limit; after it, what the server tells is known to all.
    assert!(turned.throttled <= 24, "{turned:?}");
}

#[test]
fn once_a_storm_is_over_requests_go_as_fast_as_before() {
    let (came, runtime) = (Arc::new(AtomicUsize::new(0)), tokio::runtime::Runtime::new().unwrap());
    let seen = came.clone();
    let server = Server::start(move |_, stream| {
        let (status, body) = match seen.fetch_add(1, Ordering::Relaxed) {
            0..40 => ("429 Too Many Requests", "{}"),
            _ => ("200 OK", r#"{"type":"message","content":[]}"#),
        };
        server::write_answer(stream, status, "application/json", body)
    });
    runtime.block_on(async {
        let client = client(&server.url(), &AccountRegistry::default(), 8);
        let begun = Instant::now();
        while came.load(Ordering::Relaxed) < 40 {
            client.send("x", request(0)).await;
        }
        let storm = begun.elapsed() / 40;
        // Answers bring requests together again, bit by bit.
        send(std::slice::from_ref(&client), 60).await;
        let begun = Instant::now();
        let after = send(std::slice::from_ref(&client), 60).await;
        let calm = begun.elapsed() / 60;
        assert!(after.iter().all(is_answered));
        assert!(calm < storm, "{storm:?} an attempt in the storm, {calm:?} after it");
    });
    // Each of the forty was a request's attempt, and no more came than were needed.
    assert!(came.load(Ordering::Relaxed) <= 40 + 120 + 5, "{came:?}");
}

#[test]
fn a_target_states_how_many_requests_it_takes_at_once_and_the_option_overrules_it() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let faithful = Faithful::start();
    let (under_way, seen) = (now.clone(), most.clone());
    let server = Server::start(move |asked, stream| {
        seen.fetch_max(under_way.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(30));
        let answer = faithful.answer(asked);
        under_way.fetch_sub(1, Ordering::SeqCst);
        stream.write_all(&answer?)
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
        most.store(0, Ordering::SeqCst);
        let arguments = [&["run", "slow", "--cases", "cases", "--select", "field.*", "--out", "out"], more].concat();
        folder.run_with(&[("KEY", "fieldtest-simulator")], &arguments);
        most.load(Ordering::SeqCst)
    };
    let stated = run(&["--max-requests", "60"]);
    assert!((1..=2).contains(&stated), "{stated}");
    let told = run(&["--max-requests", "60", "--concurrency", "6"]);
    assert!((3..=6).contains(&told), "{told}");
}
