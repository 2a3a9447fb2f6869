//! [`CredentialCommand`]: a command that prints the credential, like the credential helpers of git,
//! Docker and AWS.
//!
//! It inherits the environment, and its standard input is empty. Messages never show its output or
//! its arguments, because both may contain the secret.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use std::{fmt, thread};

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};

use crate::client::credential::source::{
    CommandFailure, InvalidCredential, MAX_CREDENTIAL_BYTES, SecretError, parse_credential,
};
use crate::redact::SecretRedactor;

/// The time limit of a command. Long enough to unlock a vault.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);

/// The kept part of standard error.
const MAX_STDERR_BYTES: u64 = 64 * 1024;

/// The wait for output after the exit, because a background process may keep the pipe open.
const OUTPUT_DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// The exit code of a shell that does not find the program.
const SHELL_NOT_FOUND_EXIT_CODE: i32 = 127;

const EXIT_POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A command that prints the credential.
#[derive(Clone, PartialEq, Eq)]
pub struct CredentialCommand {
    argv: Vec<String>,
    /// The name in messages: `command`, followed by the program if it exists. A word that is not a
    /// program may be the credential, given to the wrong option.
    display_name: String,
    /// True if a shell runs the command.
    uses_shell: bool,
}

impl fmt::Debug for CredentialCommand {
    /// Without the arguments, because one may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CredentialCommand").field(&self.display_name).finish_non_exhaustive()
    }
}

/// The output of a command.
pub struct CommandOutput {
    /// The credential.
    pub credential: SecretString,
    /// The text on standard error. `None` if it contains the credential.
    pub stderr: Option<String>,
}

impl CredentialCommand {
    /// A program with its arguments, started without a shell.
    pub fn from_args(argv: Vec<String>) -> Self {
        let display_name = display_name(argv.first().map(String::as_str).filter(|word| is_program(word)));
        Self { argv, display_name, uses_shell: false }
    }

    /// A line for the shell of the system: `sh`, on Windows `cmd`.
    pub fn from_shell(line: &str) -> Self {
        let shell = if cfg!(windows) { ["cmd", "/C"] } else { ["sh", "-c"] };
        let argv = shell.into_iter().chain([line]).map(str::to_owned).collect();
        // The first word that is not an assignment, if it has no characters that a shell
        // interprets.
        let is_plain = |word: &&str| word.chars().all(|c| c.is_ascii_alphanumeric() || "._-/\\:".contains(c));
        let program = line.split_whitespace().find(|word| !word.contains('=')).filter(is_plain);
        let program = program.filter(|word| is_program(word)).unwrap_or(shell[0]);
        Self { argv, display_name: display_name(Some(program)), uses_shell: true }
    }

    /// Runs the command. Its standard output is the credential.
    ///
    /// # Errors
    ///
    /// [`SecretError::Command`] if the command fails or exceeds `timeout`,
    /// [`SecretError::InvalidOutput`] if its output is not a credential.
    pub fn run(&self, timeout: Duration) -> Result<CommandOutput, SecretError> {
        let failed = |failure| SecretError::Command { program: self.display_name.clone(), failure };
        let invalid = |problem| SecretError::InvalidOutput { program: self.display_name.clone(), problem };
        let (program, arguments) = self.argv.split_first().ok_or_else(|| {
            failed(CommandFailure::NotStarted(std::io::Error::new(std::io::ErrorKind::NotFound, "no program given")))
        })?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failed(CommandFailure::NotStarted(error)))?;
        let stdout = child.stdout.take().map(|pipe| spawn_reader(pipe, MAX_CREDENTIAL_BYTES + 1));
        let stderr = child.stderr.take().map(|pipe| spawn_reader(pipe, MAX_STDERR_BYTES));
        let status = wait_for_exit(&mut child, timeout).map_err(failed)?;
        let deadline = Instant::now() + OUTPUT_DRAIN_TIMEOUT;
        let stdout = stdout.map(|chunks| collect_output(&chunks, deadline)).unwrap_or_default();
        let stderr = stderr.map(|chunks| collect_output(&chunks, deadline)).unwrap_or_default();
        // Check this before the exit code: a command with endless output fails because of the
        // closed pipe, and that is not the cause.
        if stdout.len() as u64 > MAX_CREDENTIAL_BYTES {
            return Err(invalid(InvalidCredential::TooLong));
        }
        match status.code() {
            Some(0) => {}
            // Without the name, because the word that is not a program may be the credential.
            Some(SHELL_NOT_FOUND_EXIT_CODE) if self.uses_shell => {
                return Err(SecretError::Command { program: display_name(None), failure: CommandFailure::NotFound });
            }
            Some(code) => return Err(failed(CommandFailure::ExitCode(code))),
            None => return Err(failed(CommandFailure::Signal)),
        }
        let text = std::str::from_utf8(&stdout).map_err(|_| invalid(InvalidCredential::NotUtf8))?;
        let credential = parse_credential(text).map_err(invalid)?;
        let stderr = discard_if_secret(&String::from_utf8_lossy(&stderr), &credential);
        Ok(CommandOutput { credential, stderr })
    }
}

/// The name of a command in messages.
fn display_name(program: Option<&str>) -> String {
    program.map_or_else(|| "command".to_owned(), |program| format!("command `{program}`"))
}

/// True if this is the path of a file, or the name of a program in `PATH`.
fn is_program(word: &str) -> bool {
    if word.is_empty() {
        return false;
    }
    let is_file = |path: &Path| {
        let has_extension = |extension: &str| path.with_extension(extension).is_file();
        path.is_file() || cfg!(windows) && ["exe", "com", "cmd", "bat"].into_iter().any(has_extension)
    };
    if word.contains(std::path::is_separator) {
        return is_file(Path::new(word));
    }
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|folder| is_file(&folder.join(word))))
}

/// The text, or `None` if it contains the credential in any form.
fn discard_if_secret(text: &str, credential: &SecretString) -> Option<String> {
    // The redactor skips short credentials.
    let has_secret = text.contains(credential.expose_secret())
        || SecretRedactor::new(Some(credential), &[]).redact_text(text.into()) != text;
    (!has_secret).then(|| text.trim_end().to_owned())
}

/// Reads a pipe on its own thread, so that neither of two pipes fills up while the other is read.
fn spawn_reader(pipe: impl Read + Send + 'static, max_bytes: u64) -> Receiver<Zeroizing<Vec<u8>>> {
    let (send, receive) = channel();
    thread::spawn(move || {
        let mut pipe = pipe.take(max_bytes);
        let mut buffer = Zeroizing::new([0; 4096]);
        while let Ok(size @ 1..) = pipe.read(buffer.as_mut_slice()) {
            // Sending fails if the receiver no longer waits.
            if send.send(Zeroizing::new(buffer[..size].to_vec())).is_err() {
                return;
            }
        }
    });
    receive
}

fn collect_output(chunks: &Receiver<Zeroizing<Vec<u8>>>, deadline: Instant) -> Zeroizing<Vec<u8>> {
    let mut output = Zeroizing::new(Vec::new());
    loop {
        match chunks.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(chunk) => output.extend_from_slice(&chunk),
            Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => return output,
        }
    }
}

/// Waits for the exit, and kills the process after the timeout.
fn wait_for_exit(child: &mut Child, timeout: Duration) -> Result<ExitStatus, CommandFailure> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(CommandFailure::NotStarted)? {
            return Ok(status);
        }
        if started.elapsed() >= timeout {
            // `kill` fails if the process just ended. `wait` is needed in both cases.
            let _ = child.kill();
            let _ = child.wait();
            return Err(CommandFailure::TimedOut(timeout));
        }
        thread::sleep(EXIT_POLL_INTERVAL);
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn run_shell(line: &str) -> Result<CommandOutput, String> {
        CredentialCommand::from_shell(line).run(Duration::from_secs(30)).map_err(|e| format!("{e} {e:?}"))
    }

    #[test]
    fn the_output_is_the_credential() {
        for line in ["echo sk-canary-1", "printf sk-canary-1", "printf 'sk-canary-1\\r\\n'"] {
            assert_eq!(run_shell(line).unwrap().credential.expose_secret(), "sk-canary-1", "{line}");
        }
        let argv = ["printf", "%s", "sk $(canary)"].map(str::to_owned).to_vec();
        let error = CredentialCommand::from_args(argv).run(COMMAND_TIMEOUT).err().unwrap().to_string();
        assert!(error.contains("`printf`") && error.contains("a space"), "a list runs without a shell: {error}");
    }

    #[test]
    fn a_failure_names_the_program_and_never_its_output() {
        for (line, expected) in [
            ("echo sk-canary; echo sk-canary >&2; exit 3", "`echo` failed with exit code 3"),
            ("TOKEN=sk-canary false", "`false` failed with exit code 1"),
            ("sk-canary-credential sk-canary", "credential command not found"),
            ("sk-canary-credential || exit 3", "credential command `sh` failed with exit code 3"),
            ("echo sk-canary; kill -9 $$", "killed by a signal"),
            ("echo sk-canary two", "contains a space"),
            ("echo sk-canary; echo sk-canary", "a line break"),
            ("true", "is empty"),
            ("printf '\\377'", "not UTF-8"),
            ("yes sk-canary", "longer than 16 KiB"),
        ] {
            let error = run_shell(line).err().unwrap();
            assert!(error.contains(expected) && !error.contains("canary"), "{line}: {error}");
        }
        for word in ["/no/such/canary", "sk-canary-credential", ""] {
            let missing = CredentialCommand::from_args(vec![word.to_owned(), "sk-canary".to_owned()]);
            let error = missing.run(COMMAND_TIMEOUT).err().unwrap();
            assert!(error.to_string().contains("credential command cannot be started"), "{error}");
            assert!(!format!("{error} {error:?} {missing:?}").contains("canary"));
        }
    }

    #[test]
    fn standard_error_is_kept_unless_it_contains_the_credential() {
        assert_eq!(run_shell("echo unlocking >&2; echo sk-canary-12").unwrap().stderr.unwrap(), "unlocking");
        for line in
            ["set -x; echo sk-canary-12", "echo key; echo key >&2", "k=sk-canary-12; echo $k; echo $k | base64 >&2"]
        {
            let line = line.strip_prefix("echo key; ").map_or(line, |_| "echo key; echo 'a key' >&2");
            assert_eq!(run_shell(line).unwrap().stderr, None, "{line}");
        }
    }

    #[test]
    fn a_command_that_exceeds_the_timeout_is_killed() {
        let started = Instant::now();
        let error =
            CredentialCommand::from_args(["sleep", "600"].map(str::to_owned).to_vec()).run(Duration::from_millis(50));
        assert!(error.err().unwrap().to_string().contains("was stopped after 0.05 s"));
        assert!(started.elapsed() < Duration::from_secs(600));
        // A background process does not delay the run.
        let started = Instant::now();
        assert_eq!(run_shell("sleep 100 & echo sk-canary-12").unwrap().credential.expose_secret(), "sk-canary-12");
        assert!(started.elapsed() < Duration::from_secs(99));
    }
}
