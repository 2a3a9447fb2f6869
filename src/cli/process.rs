//! The process around the command line: what it finds there, and its end. The one place that looks.

use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};
use std::panic::catch_unwind;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::cli::args::send;
use crate::cli::io::stderr;
use crate::cli::{ExitStatus, ProcessEnvironment};

impl ProcessEnvironment {
    /// What this process finds around itself.
    pub fn from_process() -> Self {
        let terminal = std::io::stdout().is_terminal();
        // One that cannot move its cursor has no use for bars.
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty()) || is_dumb;
        let columns = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            variable: |name| std::env::var_os(name),
            terminal_width: columns.or(if terminal {
                terminal_size::terminal_size().map(|(w, _)| usize::from(w.0))
            } else {
                None
            }),
            colour: terminal && !plain,
            interactive: std::io::stderr().is_terminal() && !is_dumb,
            log_enabled: false,
            today: jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date(),
            entropy: since_epoch.as_nanos() as u64 ^ u64::from(std::process::id()),
        }
    }
}

/// Runs the program on the process's own arguments.
pub fn run_binary() -> ExitCode {
    exit_code(|environment| crate::cli::main(std::env::args_os(), environment))
}

/// A test program of one's own: the whole of a `main` for a test target with `harness = false`, so that `cargo test` and
/// `cargo nextest` run one test per row. The arguments are those of `fieldtest test`; the process's own are those of any
/// test program.
pub fn run_test_binary<S: Into<OsString>>(arguments: impl IntoIterator<Item = S>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    exit_code(move |environment| crate::cli::run_test_harness(arguments.clone(), std::env::args_os(), environment))
}

fn exit_code(run: impl Fn(&ProcessEnvironment) -> ExitStatus + std::panic::UnwindSafe) -> ExitCode {
    let environment = ProcessEnvironment::from_process();
    stderr::register_secrets(&send::well_known_secrets(&environment));
    stderr::install_panic_hook();
    let exit = catch_unwind(move || run(&environment)).unwrap_or_else(|panic| {
        // Who closed the pipe has read enough; the library that runs tests knows no other way to say so.
        if panic.downcast_ref::<String>().is_some_and(|said| said.contains("Broken pipe")) {
            return ExitStatus::Success;
        }
        let _ = writeln!(
            std::io::stderr(),
            "error: this is a fault of fieldtest itself, not of the endpoint; please report it with the lines above"
        );
        ExitStatus::InternalError
    });
    ExitCode::from(exit.code())
}
