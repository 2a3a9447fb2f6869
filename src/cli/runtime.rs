//! The async runtimes of commands, and signals.

use tokio::runtime::{Builder, Runtime};

use crate::cli::error::{CliError, ExitStatus};
use crate::cli::io::stderr;
use crate::engine::StopSignal;

/// The runtime of commands that run a simulator in this process.
pub fn multi_thread_runtime() -> Result<Runtime, CliError> {
    Builder::new_multi_thread().enable_all().build().map_err(CliError::Runtime)
}

/// The runtime of commands that wait for endpoints elsewhere. One thread is faster there, since no task moves.
pub fn single_thread_runtime() -> Result<Runtime, CliError> {
    Builder::new_current_thread().enable_all().build().map_err(CliError::Runtime)
}

/// Runs a future to its end. Does not wait for work that the runtime still does in the background: after a signal, the
/// processing of a long response must not delay the end.
pub fn run_to_end<T>(runtime: Runtime, future: impl Future<Output = T>) -> T {
    let output = runtime.block_on(future);
    runtime.shutdown_background();
    output
}

/// Stops the run at the first signal, and ends the process at the second. The second signal must work whatever the run
/// does, so a thread of its own waits for signals until the process ends.
pub fn stop_on_signal(stop: StopSignal) {
    let wait = || single_thread_runtime().map(|runtime| runtime.block_on(handle_signals(stop)));
    // Without the thread, a signal ends the process at once.
    drop(std::thread::Builder::new().name("signals".to_owned()).spawn(wait));
}

async fn handle_signals(stop: StopSignal) {
    if wait_for_signal().await.is_ok() {
        stop.stop();
        stderr::warn("\nstopping: writing partial results (press Ctrl-C again to quit now)");
    }
    if wait_for_signal().await.is_ok() {
        std::process::exit(i32::from(ExitStatus::Untested.code()));
    }
}

/// Ignores the signal for a file that reached its size limit, until the returned value is dropped: the failed write is
/// reported instead.
#[cfg(unix)]
pub fn ignore_file_size_signal() -> Option<tokio::signal::unix::Signal> {
    const SIGXFSZ: i32 = 25;
    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::from_raw(SIGXFSZ)).ok()
}

/// Other systems do not have this signal.
#[cfg(not(unix))]
pub fn ignore_file_size_signal() -> Option<()> {
    None
}

/// Ctrl-C, or SIGTERM from CI systems and containers.
#[cfg(unix)]
async fn wait_for_signal() -> std::io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed,
        _ = terminate.recv() => Ok(()),
    }
}

/// Ctrl-C.
#[cfg(not(unix))]
async fn wait_for_signal() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn the_end_does_not_wait_for_background_work() {
        for runtime in [single_thread_runtime(), multi_thread_runtime()] {
            let (release, is_released) = channel::<()>();
            let (report_start, has_started) = channel();
            let output = run_to_end(runtime.unwrap(), async move {
                tokio::task::spawn_blocking(move || {
                    report_start.send(()).unwrap();
                    is_released.recv()
                });
                has_started.recv().unwrap();
                7
            });
            // The work ends only now.
            drop(release);
            assert_eq!(output, 7);
        }
    }
}
