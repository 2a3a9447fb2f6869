//! How fast the parts are that a run's time is spent in beside waiting: judging a recording, and a whole run against a
//! simulation. Event streams have a benchmark of their own, `decoder`.
//!
//! `cargo bench` measures; nothing here is compared with anything, so nothing here can fail.

#![allow(clippy::expect_used, reason = "benchmarks may fail loudly")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::sync::LazyLock;

use common::{CATALOG, record, target};
use divan::Bencher;
use divan::counter::ItemsCount;
use fieldtest::engine::judge;
use fieldtest::recording::run::Recording;
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

/// A run of deepseek's simulation, whole.
static RECORDING: LazyLock<Recording> = LazyLock::new(|| RUNTIME.block_on(record(target("deepseek"), &[])));

fn main() {
    divan::main();
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
