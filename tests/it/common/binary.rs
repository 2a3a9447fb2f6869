//! Runs the real binary as users do, in a temporary [`Folder`] and with an empty environment.

#![allow(dead_code, reason = "each test program uses a part of this")]

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A run that takes longer hangs.
const MAX_RUN_TIME: Duration = Duration::from_secs(600);

/// A temporary folder to run the binary in.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file, creates its parent folders, and returns its absolute path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Writes a simulator file and returns the arguments that select it.
    pub fn write_simulator_file(&self, yaml: &str) -> [&'static str; 2] {
        self.write("simulator.yaml", yaml);
        ["--simulator", "simulator.yaml"]
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    pub fn exists(&self, name: &str) -> bool {
        self.path().join(name).exists()
    }

    /// Reads the results of a run with one target.
    pub fn results(&self, out: &str) -> Value {
        let [name] =
            self.file_names(out, "results-").try_into().unwrap_or_else(|n| panic!("one results file, not {n:?}"));
        serde_json::from_str(&self.read(&format!("{out}/{name}"))).unwrap()
    }

    /// Returns the sorted names of the files in a folder that start with this prefix.
    pub fn file_names(&self, folder: &str, prefix: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path().join(folder)).unwrap_or_else(|e| panic!("{folder}: {e}"));
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name.starts_with(prefix)).collect();
        names.sort();
        names
    }

    /// Returns all files in the folder and its subfolders, with their contents.
    pub fn all_files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        fn collect(folder: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    collect(&path, files);
                } else {
                    let content = fs::read(&path).unwrap();
                    files.push((path, content));
                }
            }
        }
        let mut files = Vec::new();
        collect(self.path(), &mut files);
        files
    }

    /// Returns the command without starting it.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fieldtest"));
        command.args(arguments).current_dir(self.path()).env_clear().stdin(Stdio::null());
        command
    }

    /// Runs the binary and waits for its end.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> FinishedRun {
        RunningCommand::start(self.command(arguments)).wait_for_end()
    }

    /// Runs the binary with environment variables.
    pub fn run_with_env(&self, variables: &[(&str, &str)], arguments: &[&str]) -> FinishedRun {
        let mut command = self.command(arguments);
        command.envs(variables.iter().copied());
        RunningCommand::start(command).wait_for_end()
    }
}

/// A running process of the binary.
pub struct RunningCommand {
    child: Child,
    stdout: JoinHandle<String>,
    stderr: JoinHandle<String>,
}

impl RunningCommand {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        Self { child, stdout: thread::spawn(|| read_text(stdout)), stderr: thread::spawn(|| read_text(stderr)) }
    }

    /// Sends a signal, for example `INT`, which is the signal of Ctrl-C.
    pub fn send_signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success(), "the process ended before the signal");
    }

    /// Returns true if the process has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Kills the process if it still runs, and waits for its end.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until the condition is true. Panics if the process ends first.
    pub fn wait_until(&mut self, condition: impl Fn() -> bool) {
        let started = Instant::now();
        while !condition() {
            let exit_status = self.child.try_wait().unwrap();
            assert!(
                exit_status.is_none() && started.elapsed() < MAX_RUN_TIME,
                "the condition did not become true: {exit_status:?}"
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for the end of the process.
    pub fn wait_for_end(mut self) -> FinishedRun {
        let started = Instant::now();
        let mut peak_kib = 0;
        let status = loop {
            peak_kib = peak_kib.max(peak_memory(self.child.id()).unwrap_or(0));
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if started.elapsed() > MAX_RUN_TIME {
                self.child.kill().unwrap();
                panic!("the process hangs: {}", self.stderr.join().unwrap());
            }
            thread::sleep(Duration::from_millis(5));
        };
        FinishedRun {
            code: status.code(),
            stdout: self.stdout.join().unwrap(),
            stderr: self.stderr.join().unwrap(),
            duration: started.elapsed(),
            peak_kib,
        }
    }
}

fn read_text(mut stream: impl Read) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    String::from_utf8(bytes).expect("the binary prints UTF-8")
}

/// Returns the peak memory of a process in KiB, if the system reports it.
fn peak_memory(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// The exit code and the output of a finished process.
#[derive(Debug)]
pub struct FinishedRun {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub duration: Duration,
    pub peak_kib: u64,
}

impl FinishedRun {
    /// Asserts the exit code and that the binary did not panic.
    #[track_caller]
    pub fn assert_exit_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "\n--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }

    /// Asserts that stderr contains each of these texts.
    #[track_caller]
    pub fn assert_stderr_contains(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stderr.contains(part), "stderr does not contain `{part}`:\n{}", self.stderr);
        }
        self
    }
}
