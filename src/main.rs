//! The binary: gathers what the environment says, hands it to the library, and turns the end into an exit code.
//! Nothing below this file looks at the environment, the clock's randomness or the terminal.

use std::io::{IsTerminal as _, Write as _};
use std::panic::catch_unwind;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use fieldtest::cli::{self, Environment, Exit};

fn main() -> ExitCode {
    let terminal = std::io::stdout().is_terminal();
    let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
        || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let columns = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let environment = Environment {
        variable: |name| std::env::var_os(name),
        terminal_width: columns.or(if terminal {
            terminal_size::terminal_size().map(|(w, _)| usize::from(w.0))
        } else {
            None
        }),
        colour: terminal && !plain,
        interactive: std::io::stderr().is_terminal(),
        today: jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date(),
        entropy: since_epoch.as_nanos() as u64 ^ u64::from(std::process::id()),
    };
    let exit = catch_unwind(|| cli::main(std::env::args_os(), &environment)).unwrap_or_else(|_| {
        let _ = writeln!(
            std::io::stderr(),
            "error: this is a fault of fieldtest itself, not of the endpoint; please report it with the lines above"
        );
        Exit::Fault
    });
    ExitCode::from(exit.code())
}
