//! Who hears the log: nobody unless `-v` or `RUST_LOG` asks for it. The one place that sets it up.

use std::ffi::OsString;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::time;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::cli::io::{stderr, stdout};

/// Sets the log up, on standard error; true where there is one. `RUST_LOG` says which modules are heard at which level,
/// `fieldtest::client=debug` for instance; without it, `-v` is verdicts and waits, `-vv` each request, `-vvv` all.
pub fn init(verbose: u8, rust_log: Option<OsString>) -> bool {
    let level = match verbose {
        0 => LevelFilter::OFF,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    // Other libraries are heard only where they are asked for by name.
    let ours = Targets::new().with_target(env!("CARGO_PKG_NAME"), level);
    let named = rust_log.filter(|text| !text.is_empty()).and_then(|text| match text.to_string_lossy().parse() {
        Ok(targets) => Some(targets),
        Err(error) => {
            stdout::warn(format!("RUST_LOG is passed over: {error}; expected `debug`, or `fieldtest::client=debug,…`"));
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
    // A process has one log; a second one, of a program that embeds this one, is that program's.
    tracing_subscriber::registry().with(named.unwrap_or(ours)).with(layer).try_init().is_ok()
}
