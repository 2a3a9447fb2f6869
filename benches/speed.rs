//! Measures the parts of a run that are not waiting: judging a recording, and a complete run against
//! a simulated endpoint. The benchmark `decoder` measures event streams.
//!
//! Run it with `cargo bench`. It compares nothing, so it cannot fail.

#![allow(clippy::expect_used, reason = "benchmarks may fail loudly")]

#[path = "../tests/it/common/mod.rs"]
mod common;

use std::sync::LazyLock;

use common::{CATALOG, bundled_target, record_target};
use divan::Bencher;
use divan::counter::ItemsCount;
use fieldtest::engine::judge;
use fieldtest::recording::run::Recording;
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

/// A complete run of the simulated deepseek.
static RECORDING: LazyLock<Recording> =
    LazyLock::new(|| RUNTIME.block_on(record_target(bundled_target("deepseek@2025-12"), &[])));

fn main() {
    divan::main();
}

/// Judges a recording. An item is an exchange.
#[divan::bench]
fn judge_recording(bencher: Bencher) {
    let recording = &*RECORDING;
    bencher.counter(ItemsCount::new(recording.exchanges.len())).bench_local(|| judge(&CATALOG, recording));
}

/// Runs the simulated deepseek, from the first request to the last verdict. An item is an
/// exchange.
#[divan::bench(sample_count = 20, sample_size = 1)]
fn whole_run(bencher: Bencher) {
    let exchanges = RECORDING.exchanges.len();
    bencher
        .counter(ItemsCount::new(exchanges))
        .bench_local(|| RUNTIME.block_on(record_target(bundled_target("deepseek@2025-12"), &[])));
}
