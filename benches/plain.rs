//! Plain exchanges, many at once, through the product's own client, and its checks and recording: what a run spends on each
//! beside its questions and verdicts. `scripts/compare-peers --only plain memory` starts it, and holds it against other programs.
//!
//! It needs a server: `cargo bench --bench plain -- --base-url http://127.0.0.1:8787 --model m --requests 20000`, with the
//! credential in `KEY`.

#![allow(clippy::expect_used, clippy::print_stderr, reason = "benchmarks may fail loudly")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;

use clap::Parser;
use fieldtest::checks::check;
use fieldtest::client::{Client, ClientConfig, Endpoint as _, Scheme};
use fieldtest::recording::run::{LineOf, text_of};
use fieldtest::wire::exchange::{AttemptResult, Credential, Method, Request};
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
    /// Where the recording goes. Without it, answers are neither checked nor recorded.
    #[arg(long)]
    recording: Option<PathBuf>,
    /// `cargo bench` says so.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let options = Options::parse();
    let mut config = ClientConfig::new(options.base_url.clone(), Scheme::XApiKey);
    config.credential = std::env::var("KEY").ok().map(Into::into);
    config.concurrency = options.at_once;
    config.retries = 0;
    let client = Client::new(config).expect("a base URL and a credential");
    let mut recording = options.recording.map(|path| File::create(path).expect("a place for the recording"));
    let request = Request {
        method: Method::Post,
        path: "/v1/messages".to_owned(),
        headers: BTreeMap::from([("anthropic-version".to_owned(), "2023-06-01".to_owned())]),
        credential: Credential::Target,
        body: json!({
            "model": options.model,
            "max_tokens": 64,
            "messages": [{ "role": "user", "content": "Say hello in one word." }],
        }),
        raw: None,
    };
    let runtime = fieldtest::cli::waiting_runtime().expect("a runtime");
    let answered = runtime.block_on(async {
        let send = |n: usize| {
            let (client, request) = (&client, request.clone());
            async move { client.send(&format!("plain/{n}"), request).await }
        };
        let mut sent = stream::iter((0..options.requests).map(send)).buffer_unordered(options.at_once);
        let mut answered = 0;
        while let Some(exchange) = sent.next().await {
            let Some(recording) = &mut recording else {
                let result = exchange.last().map(|attempt| &attempt.result);
                answered += usize::from(matches!(result, Some(AttemptResult::Response(r)) if r.status == 200));
                continue;
            };
            let checked = check(&exchange);
            answered += usize::from(checked.message.is_some() && checked.findings.is_empty());
            let line = text_of(&LineOf::Exchange(&exchange)).expect("an exchange can be written");
            recording.write_all(&line).expect("room for the recording");
        }
        answered
    });
    assert_eq!(answered, options.requests, "every plain request is answered, and nothing is wrong with it");
}
