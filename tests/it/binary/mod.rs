//! The real binary as users run it: every exit code by several ways, what it says, what it leaves behind, and what it
//! never does.

mod exit_0;
mod exit_1;
mod exit_2;
mod exit_3;
mod files;
mod help;
mod output;
mod secrets;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};

use binary::{FinishedRun, Folder};
use fieldtest::recording::reader;
use fieldtest::simulator::SimulatorFault;
use proptest::prelude::*;
use serde_json::Value;
use server::{FaithfulServer, TestServer};

use crate::common::{binary, server};
use crate::workflows::{assert_accepted, fieldtest_calls};

const COMMANDS: [&str; 9] = ["run", "plan", "judge", "merge", "compare", "report", "rows", "simulate", "check"];
/// A row that takes few requests, and that deepseek's document calls supported.
const STOP: &str = "field.stop_sequences";

/// Runs `fieldtest run deepseek --simulate --out out` with more arguments.
fn run_simulated(folder: &Folder, more: &[&str]) -> FinishedRun {
    folder.run(["run", "deepseek@2025-12", "--simulate", "--out", "out"].iter().chain(more))
}

/// A folder with the results and the recording of one row that conforms.
fn folder_with_results() -> Folder {
    let folder = Folder::new();
    run_simulated(&folder, &["--select", STOP]).assert_exit_code(0);
    folder
}

/// `fieldtest simulate`, in a process of its own that ends with this value.
struct SimulatorProcess {
    child: Child,
    url: String,
    key: String,
}

impl SimulatorProcess {
    fn start(folder: &Folder, arguments: &[&str]) -> Self {
        let mut command = folder.command(["simulate"].iter().chain(arguments).chain(&["--port", "0"]));
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let url = line.split_whitespace().find_map(|word| word.strip_suffix(':').filter(|w| w.starts_with("http://")));
        let url = url.unwrap_or_else(|| panic!("no address in `{line}`")).to_owned();
        let key = line.trim().rsplit_once("x-api-key ").unwrap().1.to_owned();
        Self { child, url, key }
    }
}

impl Drop for SimulatorProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(unix)]
#[test]
fn the_simulator_ends_after_a_signal() {
    let folder = Folder::new();
    // It has printed its address.
    let mut simulator = SimulatorProcess::start(&folder, &["deepseek@2025-12"]);
    std::process::Command::new("kill").args(["-INT", &simulator.child.id().to_string()]).status().unwrap();
    assert_eq!(simulator.child.wait().unwrap().code(), Some(0));
}

#[cfg(unix)]
#[test]
fn the_second_signal_ends_a_run_in_any_state() {
    let folder = Folder::new();
    let simulator = SimulatorProcess::start(&folder, &["anthropic"]);
    let mut command =
        folder.command(["run", "--base-url", &simulator.url, "--model", "claude-sonnet-4-5", "--name", "x"]);
    command.args([
        "--claims",
        "anthropic",
        "--api-key-env",
        "KEY",
        "--format",
        "ndjson",
        "--no-progress",
        "--out",
        "out",
    ]);
    // Nobody reads the events, and a pipe does not hold all of them: at some point the run waits to get rid of one.
    let mut child = command
        .env("KEY", &simulator.key)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let size = || fs::metadata(folder.path().join("out/recording-x.jsonl")).map_or(0, |file| file.len());
    let mut before = 0;
    loop {
        std::thread::sleep(std::time::Duration::from_millis(500));
        let now = size();
        if now > 0 && now == before {
            break;
        }
        before = now;
    }
    assert!(child.try_wait().unwrap().is_none(), "it waits");
    let mut signals = 0;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(signals < 300, "two signals did not end it");
        signals += 1;
        std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(100));
    };
    assert_eq!(status.code(), Some(3));
}
