//! How fast the parts are that a run's time is spent in beside waiting: decoding event streams, judging a recording, and
//! a whole run against a simulation.
//!
//! `cargo bench` measures; nothing here is compared with anything, so nothing here can fail.

#![allow(clippy::expect_used, reason = "benchmarks may fail loudly")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::sync::LazyLock;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use fieldtest::engine::judge;
use fieldtest::engine::recording::Recording;
use fieldtest::wire::sse;
use serde_json::json;
use tokio::runtime::Runtime;

use common::{CATALOG, record, target};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

/// A run of deepseek's simulation, whole.
static RECORDING: LazyLock<Recording> = LazyLock::new(|| RUNTIME.block_on(record(target("deepseek"), &[])));

fn main() {
    divan::main();
}

/// The stream of a long answer: a few characters in each event, a ping now and then.
fn stream() -> Vec<u8> {
    let mut text = String::new();
    let mut event = |name: &str, data: serde_json::Value| text.push_str(&format!("event: {name}\ndata: {data}\n\n"));
    let usage = json!({"input_tokens": 2095, "cache_read_input_tokens": 0, "output_tokens": 1});
    let message = json!({"id": "msg_01XFDUDYJgAACzvnptvVoYEL", "type": "message", "role": "assistant", "content": [],
        "model": "deepseek-chat", "stop_reason": null, "stop_sequence": null, "usage": usage});
    event("message_start", json!({"type": "message_start", "message": message}));
    event(
        "content_block_start",
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
    );
    for n in 0..4000 {
        if n % 200 == 0 {
            event("ping", json!({"type": "ping"}));
        }
        let piece = [" the", " quick", " \"brown\"", " 狐狸", "\n"][n % 5];
        let delta = json!({"type": "text_delta", "text": piece});
        event("content_block_delta", json!({"type": "content_block_delta", "index": 0, "delta": delta}));
    }
    event("content_block_stop", json!({"type": "content_block_stop", "index": 0}));
    let delta = json!({"stop_reason": "end_turn", "stop_sequence": null});
    event("message_delta", json!({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 4000}}));
    event("message_stop", json!({"type": "message_stop"}));
    text.into_bytes()
}

/// Decodes a stream that comes in pieces as small as networks make them.
#[divan::bench(args = [64, 1400, 65536])]
fn decode_sse(bencher: Bencher, piece: usize) {
    let bytes = stream();
    bencher.counter(BytesCount::of_slice(&bytes)).bench_local(|| {
        let mut decoder = sse::Decoder::new();
        let mut frames = Vec::new();
        for piece in bytes.chunks(piece) {
            decoder.feed(piece, &mut frames);
        }
        (frames, decoder.finish())
    });
}

/// Judges a recording; an item is an exchange.
#[divan::bench]
fn judge_recording(bencher: Bencher) {
    let recording = &*RECORDING;
    bencher.counter(ItemsCount::new(recording.exchanges.len())).bench_local(|| judge(&CATALOG, recording));
}

/// Runs deepseek's simulation, from the first request to the last verdict; an item is an exchange.
#[divan::bench(sample_count = 20, sample_size = 1)]
fn whole_run(bencher: Bencher) {
    let exchanges = RECORDING.exchanges.len();
    bencher.counter(ItemsCount::new(exchanges)).bench_local(|| RUNTIME.block_on(record(target("deepseek"), &[])));
}
