//! The log on standard error, enabled by `-v` or `RUST_LOG`.

use std::ffi::OsString;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::time;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::cli::io::stderr;

/// Enables the log, and returns true if it is enabled. `-v` logs verdicts and waits, `-vv` requests, `-vvv` everything.
/// `RUST_LOG` sets levels for modules instead, for example `fieldtest::client=debug`.
pub fn init(verbose: u8, rust_log: Option<OsString>) -> bool {
    let level = match verbose {
        0 => LevelFilter::OFF,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    // Other crates are logged only if RUST_LOG names them.
    let ours = Targets::new().with_target(env!("CARGO_PKG_NAME"), level);
    let named = rust_log.filter(|text| !text.is_empty()).and_then(|text| match text.to_string_lossy().parse() {
        Ok(targets) => Some(targets),
        Err(error) => {
            stderr::warn(format!(
                "RUST_LOG is ignored: {error}. Use `debug`, or for example `fieldtest::client=debug`"
            ));
            None
        }
    });
    if named.is_none() && verbose == 0 {
        return false;
    }
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(|| stderr::RedactedStderr)
        .with_ansi(false)
        .with_timer(time::uptime());
    // A program that embeds this crate may have a log already.
    tracing_subscriber::registry().with(named.unwrap_or(ours)).with(layer).try_init().is_ok()
}
