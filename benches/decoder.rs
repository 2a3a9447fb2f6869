//! Measures how fast event streams are decoded, assembled and checked, in megabytes per second on one
//! core.
//!
//! Run it with `cargo bench --bench decoder`. The streams are long responses in the pieces that real
//! servers send, and some streams that break the documentation.

#![allow(clippy::expect_used, reason = "benchmarks may fail loudly")]

use std::collections::BTreeMap;
use std::fmt;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use fieldtest::checks;
use fieldtest::wire::exchange::{
    AttemptResult, BodyBytes, Exchange, ExchangeAttempt, HttpMethod, Request, RequestCredential, Response,
};
use fieldtest::wire::message::InterpretedExchange;
use fieldtest::wire::parsed_exchange::parse_exchange;
use serde_json::{Value, json};

/// About the maximum size of a body that the client keeps.
const SIZE: usize = 4_000_000;

fn main() {
    divan::main();
}

/// The content of a stream.
#[derive(Clone, Copy)]
enum Kind {
    /// Deltas of three to six words.
    Text,
    /// The same, as thinking.
    Thinking,
    /// Fragments of the input of a tool call; nearly each has a quote to unescape.
    Tool,
    /// One token in each delta.
    Small,
    /// Text that is not ASCII.
    Chinese,
    /// Data without event names, as some servers send it. Each frame is a finding.
    Unnamed,
    /// An undocumented key in each delta.
    Added,
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Thinking => "thinking",
            Self::Tool => "tool input",
            Self::Small => "one token each",
            Self::Chinese => "Chinese",
            Self::Unnamed => "no event names",
            Self::Added => "unknown keys",
        })
    }
}

const KINDS: [Kind; 7] =
    [Kind::Text, Kind::Thinking, Kind::Tool, Kind::Small, Kind::Chinese, Kind::Unnamed, Kind::Added];

impl Kind {
    fn block(self) -> Value {
        match self {
            Self::Thinking => json!({ "type": "thinking", "thinking": "", "signature": "" }),
            Self::Tool => {
                json!({ "type": "tool_use", "id": "toolu_01A09q90qw90lq917835lq9", "name": "note", "input": {} })
            }
            _ => json!({ "type": "text", "text": "" }),
        }
    }

    fn delta(self, n: usize) -> Value {
        let words = [
            " the quick brown fox",
            " jumps over the lazy dog,\n\nand",
            " then it said \"no\" to us",
            " because there was",
            " nothing else to be done here",
        ];
        let text = |piece: &str| json!({ "type": "text_delta", "text": piece });
        let at = n % words.len();
        match self {
            Self::Text | Self::Unnamed => text(words[at]),
            Self::Thinking => json!({ "type": "thinking_delta", "thinking": words[at] }),
            Self::Tool => {
                // From the second piece on, five pieces are complete values.
                let pieces = [
                    " before\", 3.25",
                    ", \"the quick brown",
                    " fox, and more\"",
                    ", \"over the\", \"laz",
                    "y dog, as told",
                ];
                let piece = if n == 0 { "{\"notes\": [\"a\"" } else { pieces[at] };
                json!({ "type": "input_json_delta", "partial_json": piece })
            }
            Self::Small => text([" the", " a", " \"", "ing", "\n"][at]),
            Self::Chinese => text(["敏捷的棕色", "狐狸跳过了", "那只懒狗，", "因为没有", "别的事可做。"][at]),
            Self::Added => json!({ "type": "text_delta", "text": words[at], "logprob": -0.25 }),
        }
    }

    /// The stream of a response of the maximum size.
    fn stream(self) -> Vec<u8> {
        let mut text = String::new();
        let mut event = |name: &str, data: Value| {
            match self {
                Self::Unnamed => text.push_str(&format!("data: {data}\n\n")),
                _ => text.push_str(&format!("event: {name}\ndata: {data}\n\n")),
            }
            text.len()
        };
        let usage = json!({ "input_tokens": 2095, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0,
            "output_tokens": 1 });
        let message = json!({ "id": "msg_01XFDUDYJgAACzvnptvVoYEL", "type": "message", "role": "assistant",
            "content": [], "model": "a-model", "stop_reason": null, "stop_sequence": null, "usage": usage });
        event("message_start", json!({ "type": "message_start", "message": message }));
        event(
            "content_block_start",
            json!({ "type": "content_block_start", "index": 0, "content_block": self.block() }),
        );
        event("ping", json!({ "type": "ping" }));
        for n in 0.. {
            let delta = self.delta(n);
            let length =
                event("content_block_delta", json!({ "type": "content_block_delta", "index": 0, "delta": delta }));
            if length > SIZE && n % 5 == 0 {
                break;
            }
        }
        if matches!(self, Self::Tool) {
            let end = json!({ "type": "input_json_delta", "partial_json": "]}" });
            event("content_block_delta", json!({ "type": "content_block_delta", "index": 0, "delta": end }));
        }
        if matches!(self, Self::Thinking) {
            let signature = json!({ "type": "signature_delta", "signature": "c2lnbmF0dXJl" });
            event("content_block_delta", json!({ "type": "content_block_delta", "index": 0, "delta": signature }));
        }
        event("content_block_stop", json!({ "type": "content_block_stop", "index": 0 }));
        let reason = if matches!(self, Self::Tool) { "tool_use" } else { "end_turn" };
        let delta = json!({ "stop_reason": reason, "stop_sequence": null });
        event("message_delta", json!({ "type": "message_delta", "delta": delta, "usage": { "output_tokens": 4000 } }));
        event("message_stop", json!({ "type": "message_stop" }));
        text.into_bytes()
    }

    fn exchange(self) -> Exchange {
        let body = json!({
            "model": "a-model", "max_tokens": 8192, "stream": true,
            "messages": [{ "role": "user", "content": "Write down what you know." }],
            "tools": [{ "name": "note", "input_schema": { "type": "object", "required": ["notes"] } }],
        });
        let headers = [("content-type", "text/event-stream; charset=utf-8"), ("request-id", "req_1")];
        let response = Response {
            status: 200,
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            body: BodyBytes(self.stream()),
            arrivals: Vec::new(),
            cut: None,
        };
        Exchange {
            id: "x1".to_owned(),
            request: Request {
                method: HttpMethod::Post,
                raw: None,
                path: "/v1/messages".to_owned(),
                headers: BTreeMap::new(),
                credential: RequestCredential::Target,
                body,
            },
            attempts: vec![ExchangeAttempt {
                started_ms: 0,
                duration_ms: 1,
                result: AttemptResult::Response(response),
            }],
        }
    }
}

fn bytes_of(exchange: &Exchange) -> BytesCount {
    match exchange.last_attempt().map(|attempt| &attempt.result) {
        Some(AttemptResult::Response(response)) => BytesCount::of_slice(&response.body.0),
        _ => BytesCount::new(0usize),
    }
}

/// Every passive check: frames, event sequence, message.
#[divan::bench(args = KINDS)]
fn check_all(bencher: Bencher, kind: Kind) {
    let exchange = kind.exchange();
    let found = checks::check_exchange(&exchange).findings;
    assert_eq!(found.is_empty(), !matches!(kind, Kind::Unnamed), "{found:?}");
    bencher.counter(bytes_of(&exchange)).bench_local(|| checks::check_exchange(black_box(&exchange)));
}

/// The message that a stream contains.
#[divan::bench(args = KINDS)]
fn read_message(bencher: Bencher, kind: Kind) {
    let exchange = kind.exchange();
    let parsed = parse_exchange(&exchange);
    assert!(matches!(parsed.interpretation, InterpretedExchange::Message(_)), "it is a message");
    bencher.counter(bytes_of(&exchange)).bench_local(|| parse_exchange(black_box(&exchange)));
}
