//! A command that prints the credential, as the credential helpers of git, Docker or AWS do.
//!
//! It inherits the environment and reads nothing from standard input. Neither its output nor its arguments ever stand
//! in a message, since any of them may hold the secret.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use std::{fmt, thread};

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};

use crate::client::credential::source::{
    CommandFailure, InvalidCredential, MAX_CREDENTIAL_BYTES, SecretError, validate,
};
use crate::redact::SecretRedactor;

/// The time for a command: enough to unlock a vault, and no run hangs for ever.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);

/// So much of what it says beside the credential is kept.
const MAX_STDERR_BYTES: u64 = 64 * 1024;

/// How long output is waited for once the command has ended: something it left behind may hold the pipe open.
const OUTPUT_DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// What a shell ends with where there is no such program.
const SHELL_NOT_FOUND_EXIT_CODE: i32 = 127;

/// The pause between two looks at whether it has ended.
const EXIT_POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A command line.
#[derive(Clone, PartialEq, Eq)]
pub struct CredentialCommand {
    argv: Vec<String>,
    /// What messages call it: `command`, with its name where that is a program's. What is none may be the credential,
    /// put into the wrong place.
    display_name: String,
    /// True where a shell runs it.
    uses_shell: bool,
}

impl fmt::Debug for CredentialCommand {
    /// By hand, since an argument may be a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Helper").field(&self.display_name).finish_non_exhaustive()
    }
}

/// What a command brought.
pub struct CommandOutput {
    /// The credential.
    pub credential: SecretString,
    /// What it said on standard error; `None` where the credential stands in that.
    pub stderr: Option<String>,
}

impl CredentialCommand {
    /// A program with its arguments, started without a shell.
    pub fn from_args(words: Vec<String>) -> Self {
        let name = display_name(words.first().map(String::as_str).filter(|word| is_program(word)));
        Self { argv: words, display_name: name, uses_shell: false }
    }

    /// A line for the system's shell: `sh`, on Windows `cmd`.
    pub fn from_shell(line: &str) -> Self {
        let shell = if cfg!(windows) { ["cmd", "/C"] } else { ["sh", "-c"] };
        let words = shell.into_iter().chain([line]).map(str::to_owned).collect();
        // The first word that is neither an assignment nor anything that only a shell understands.
        let is_plain = |word: &&str| word.chars().all(|c| c.is_ascii_alphanumeric() || "._-/\\:".contains(c));
        let program = line.split_whitespace().find(|word| !word.contains('=')).filter(is_plain);
        let program = program.filter(|word| is_program(word)).unwrap_or(shell[0]);
        Self { argv: words, display_name: display_name(Some(program)), uses_shell: true }
    }

    /// Runs it, and takes its standard output for the credential.
    ///
    /// # Errors
    ///
    /// [`SecretError::Command`] when it does not come to a good end within `limit`, [`SecretError::Printed`] when what
    /// it prints is no credential.
    pub fn run(&self, limit: Duration) -> Result<CommandOutput, SecretError> {
        let failed = |fate| SecretError::Command { program: self.display_name.clone(), failure: fate };
        let unfit = |problem| SecretError::InvalidOutput { program: self.display_name.clone(), problem };
        let (program, arguments) = self.argv.split_first().ok_or_else(|| {
            failed(CommandFailure::NotStarted(std::io::Error::new(std::io::ErrorKind::NotFound, "no program is named")))
        })?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failed(CommandFailure::NotStarted(error)))?;
        let printed = child.stdout.take().map(|stream| spawn_reader(stream, MAX_CREDENTIAL_BYTES + 1));
        let said = child.stderr.take().map(|stream| spawn_reader(stream, MAX_STDERR_BYTES));
        let status = wait_for_exit(&mut child, limit).map_err(failed)?;
        let until = Instant::now() + OUTPUT_DRAIN_TIMEOUT;
        let printed = printed.map(|bytes| collect_output(&bytes, until)).unwrap_or_default();
        let said = said.map(|bytes| collect_output(&bytes, until)).unwrap_or_default();
        // Who prints without end is stopped by the closed pipe: that is not what is wrong with it.
        if printed.len() as u64 > MAX_CREDENTIAL_BYTES {
            return Err(unfit(InvalidCredential::TooLong));
        }
        match status.code() {
            Some(0) => {}
            // What is no program may be the credential itself, put into the wrong place.
            Some(SHELL_NOT_FOUND_EXIT_CODE) if self.uses_shell => {
                return Err(SecretError::Command {
                    program: display_name(Some(&self.argv[0])),
                    failure: CommandFailure::NotFound,
                });
            }
            Some(code) => return Err(failed(CommandFailure::ExitCode(code))),
            None => return Err(failed(CommandFailure::Signal)),
        }
        let text = std::str::from_utf8(&printed).map_err(|_| unfit(InvalidCredential::NotUtf8))?;
        let credential = validate(text.to_owned()).map_err(unfit)?;
        let said = discard_if_secret(&String::from_utf8_lossy(&said), &credential);
        Ok(CommandOutput { credential, stderr: said })
    }
}

/// A command as messages call it.
fn display_name(program: Option<&str>) -> String {
    program.map_or_else(|| "command".to_owned(), |program| format!("command `{program}`"))
}

/// Whether there is such a program: a file, or a name that is found where the system looks for programs.
fn is_program(word: &str) -> bool {
    if word.is_empty() {
        return false;
    }
    let is_file = |path: &Path| {
        let with = |ending: &str| path.with_extension(ending).is_file();
        path.is_file() || cfg!(windows) && ["exe", "com", "cmd", "bat"].into_iter().any(with)
    };
    if word.contains(std::path::is_separator) {
        return is_file(Path::new(word));
    }
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|folder| is_file(&folder.join(word))))
}

/// What was said, unless the credential stands in it in any form.
fn discard_if_secret(said: &str, credential: &SecretString) -> Option<String> {
    let holds = said.contains(credential.expose_secret())
        || SecretRedactor::new(Some(credential), &[]).redact_text(said.into()) != said;
    (!holds).then(|| said.trim_end().to_owned())
}

/// Reads a pipe on a thread of its own, so that neither of two pipes fills up while the other is read.
fn spawn_reader(stream: impl Read + Send + 'static, most: u64) -> Receiver<Zeroizing<Vec<u8>>> {
    let (send, receive) = channel();
    thread::spawn(move || {
        let mut stream = stream.take(most);
        let mut piece = Zeroizing::new([0; 4096]);
        while let Ok(size @ 1..) = stream.read(piece.as_mut_slice()) {
            // Nobody waits for the rest any more where this fails.
            if send.send(Zeroizing::new(piece[..size].to_vec())).is_err() {
                return;
            }
        }
    });
    receive
}

fn collect_output(pieces: &Receiver<Zeroizing<Vec<u8>>>, until: Instant) -> Zeroizing<Vec<u8>> {
    let mut all = Zeroizing::new(Vec::new());
    loop {
        match pieces.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(piece) => all.extend_from_slice(&piece),
            Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => return all,
        }
    }
}

/// Waits for the end, and brings it about when the time is over.
fn wait_for_exit(child: &mut Child, limit: Duration) -> Result<ExitStatus, CommandFailure> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(CommandFailure::NotStarted)? {
            return Ok(status);
        }
        if started.elapsed() >= limit {
            // One that ended meanwhile cannot be ended, and is waited for all the same.
            let _ = child.kill();
            let _ = child.wait();
            return Err(CommandFailure::TimedOut(limit));
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
    fn what_it_prints_is_the_credential() {
        for line in ["echo sk-canary-1", "printf sk-canary-1", "printf 'sk-canary-1\\r\\n'"] {
            assert_eq!(run_shell(line).unwrap().credential.expose_secret(), "sk-canary-1", "{line}");
        }
        let words = ["printf", "%s", "sk $(canary)"].map(str::to_owned).to_vec();
        let error = CredentialCommand::from_args(words).run(COMMAND_TIMEOUT).err().unwrap().to_string();
        assert!(error.contains("`printf`") && error.contains("blank"), "no shell looks at a list: {error}");
    }

    #[test]
    fn a_failure_names_the_program_and_what_became_of_it_and_never_its_output() {
        for (line, said) in [
            ("echo sk-canary; echo sk-canary >&2; exit 3", "`echo` ended with exit code 3"),
            ("TOKEN=sk-canary false", "`false` ended with exit code 1"),
            ("sk-canary-credential sk-canary", "`sh` found no such program"),
            ("sk-canary-credential || exit 3", "the credential's command `sh` ended with exit code 3"),
            ("echo sk-canary; kill -9 $$", "by a signal"),
            ("echo sk-canary two", "holds a blank"),
            ("echo sk-canary; echo sk-canary", "a line break"),
            ("true", "is empty"),
            ("printf '\\377'", "not UTF-8"),
            ("yes sk-canary", "longer than 16 KiB"),
        ] {
            let error = run_shell(line).err().unwrap();
            assert!(error.contains(said) && !error.contains("canary"), "{line}: {error}");
        }
        for word in ["/no/such/canary", "sk-canary-credential", ""] {
            let missing = CredentialCommand::from_args(vec![word.to_owned(), "sk-canary".to_owned()]);
            let error = missing.run(COMMAND_TIMEOUT).err().unwrap();
            assert!(error.to_string().contains("the credential's command cannot be started"), "{error}");
            assert!(!format!("{error} {error:?} {missing:?}").contains("canary"));
        }
    }

    #[test]
    fn what_it_says_beside_is_told_unless_the_credential_stands_in_it() {
        assert_eq!(run_shell("echo unlocking >&2; echo sk-canary-12").unwrap().stderr.unwrap(), "unlocking");
        for line in
            ["set -x; echo sk-canary-12", "echo key; echo key >&2", "k=sk-canary-12; echo $k; echo $k | base64 >&2"]
        {
            let line = line.strip_prefix("echo key; ").map_or(line, |_| "echo key; echo 'a key' >&2");
            assert_eq!(run_shell(line).unwrap().stderr, None, "{line}");
        }
    }

    #[test]
    fn one_that_does_not_end_is_ended() {
        let started = Instant::now();
        let error =
            CredentialCommand::from_args(["sleep", "600"].map(str::to_owned).to_vec()).run(Duration::from_millis(50));
        assert!(error.err().unwrap().to_string().contains("did not end within 0.05 s"));
        assert!(started.elapsed() < Duration::from_secs(60));
        // What it leaves behind does not keep the run from going on.
        assert_eq!(run_shell("sleep 20 & echo sk-canary-12").unwrap().credential.expose_secret(), "sk-canary-12");
        assert!(started.elapsed() < Duration::from_secs(19));
    }
}
