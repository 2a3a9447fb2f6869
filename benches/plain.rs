//! Sends many plain requests through the client of fieldtest, with its checks and recording. This is
//! the cost of an exchange without the work for verdicts. `scripts/compare-peers --only plain memory`
//! runs it and compares it with other programs.
//!
//! It needs a server, and the credential in `KEY`:
//! `cargo bench --bench plain -- --base-url http://127.0.0.1:8787 --model m --requests 20000`.

#![allow(clippy::expect_used, clippy::print_stderr, reason = "benchmarks may fail loudly")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;

use clap::Parser;
use fieldtest::checks::check_exchange;
use fieldtest::client::{Client, ClientConfig, MessagesEndpoint as _};
use fieldtest::recording::jsonl::to_json_line;
use fieldtest::recording::run::LineRef;
use fieldtest::wire::exchange::AuthScheme;
use fieldtest::wire::exchange::{AttemptResult, HttpMethod, Request, RequestCredential};
use futures_util::{StreamExt as _, stream};
use serde_json::json;

#[derive(Parser)]
struct Options {
    #[arg(long)]
    base_url: String,
    #[arg(long)]
    model: String,
    #[arg(long, default_value_t = 1000)]
    requests: usize,
    #[arg(long, default_value_t = 32)]
    at_once: usize,
    /// File for the recording. Without it, responses are neither checked nor recorded.
    #[arg(long)]
    recording: Option<PathBuf>,
    /// Set by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let options = Options::parse();
    let mut config = ClientConfig::new(options.base_url.clone(), AuthScheme::XApiKey);
    config.credential = std::env::var("KEY").ok().map(Into::into);
    config.concurrency = options.at_once;
    config.retries = 0;
    let client = Client::new(config).expect("a base URL and a credential");
    let mut recording = options.recording.map(|path| File::create(path).expect("a place for the recording"));
    let request = Request {
        method: HttpMethod::Post,
        path: "/v1/messages".to_owned(),
        headers: BTreeMap::from([("anthropic-version".to_owned(), "2023-06-01".to_owned())]),
        credential: RequestCredential::Target,
        body: json!({
            "model": options.model,
            "max_tokens": 64,
            "messages": [{ "role": "user", "content": "Say hello in one word." }],
        }),
        raw: None,
    };
    let runtime = fieldtest::cli::single_thread_runtime().expect("a runtime");
    let answered = runtime.block_on(async {
        let send = |n: usize| {
            let (client, request) = (&client, request.clone());
            async move { client.send(&format!("plain/{n}"), request).await }
        };
        let mut sent = stream::iter((0..options.requests).map(send)).buffer_unordered(options.at_once);
        let mut answered = 0;
        while let Some(exchange) = sent.next().await {
            let Some(recording) = &mut recording else {
                let result = exchange.last_attempt().map(|attempt| &attempt.result);
                answered += usize::from(matches!(result, Some(AttemptResult::Response(r)) if r.status == 200));
                continue;
            };
            let checked = check_exchange(&exchange);
            answered += usize::from(checked.message().is_some() && checked.findings.is_empty());
            let line = to_json_line(&LineRef::Exchange(&exchange)).expect("an exchange can be written");
            recording.write_all(&line).expect("room for the recording");
        }
        answered
    });
    assert_eq!(answered, options.requests, "every plain request is answered, and nothing is wrong with it");
}
