//! Reads credentials from environment variables ([`from_variables`]) and files ([`from_file`]).
//!
//! Messages name the variable, the file or the program, and the problem. They never show the value.

use std::ffi::OsString;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use secrecy::SecretString;

/// Longer than any credential. A longer file is probably the wrong one, and is not read further.
pub(crate) const MAX_CREDENTIAL_BYTES: u64 = 16 * 1024;

/// The time limit for opening a pipe, which blocks until a process writes to it.
const PIPE_OPEN_TIMEOUT: Duration = Duration::from_secs(5);

/// The time limit for reading a pipe. The same as for a command.
const PIPE_READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Replaces an unusual variable name in messages, because it may be the credential itself.
const UNNAMED_VARIABLE: &str = "the variable that --api-key-env (or `env` in a file) names";

/// Why no credential could be read.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages show what the fields are")]
pub enum SecretError {
    /// None of the variables has a value.
    #[error("no credential: set {}", .0.join(" or "))]
    NotSet(Vec<String>),
    /// The value of the variable is not a credential.
    #[error("the credential in {variable} {problem}")]
    Variable { variable: String, problem: InvalidCredential },
    /// The file cannot be read.
    #[error("the credential file {} cannot be read: {error}", .path.display())]
    Unreadable { path: PathBuf, error: std::io::Error },
    /// The content of the file is not a credential.
    #[error("the credential in the file {} {problem}", .path.display())]
    File { path: PathBuf, problem: InvalidCredential },
    /// The command failed.
    #[error("credential {program} {failure}")]
    Command { program: String, failure: CommandFailure },
    /// The output of the command is not a credential.
    #[error("the credential that the {program} prints {problem}")]
    InvalidOutput { program: String, problem: InvalidCredential },
}

/// How a credential command failed. Never shows its output, which may contain the secret.
#[derive(Debug, thiserror::Error)]
pub enum CommandFailure {
    /// The program does not exist, or is not executable.
    #[error("cannot be started: {0}")]
    NotStarted(std::io::Error),
    /// The command failed with this exit code.
    #[error("failed with exit code {0}. Run it by hand to see its output")]
    ExitCode(i32),
    /// The shell did not find the program.
    #[error("not found. --api-key-command needs a command, not the credential")]
    NotFound,
    /// The command was killed.
    #[error("was killed by a signal")]
    Signal,
    /// The command exceeded its time limit.
    #[error("was stopped after {} s. It must not wait for input", .0.as_secs_f64())]
    TimedOut(Duration),
}

/// What is wrong with the text of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCredential {
    /// The text is empty.
    #[error("is empty")]
    Empty,
    /// The bytes are not UTF-8.
    #[error("is not UTF-8 text")]
    NotUtf8,
    /// The text has characters other than printable ASCII.
    #[error("contains a space, a line break or another invalid character. Copy it without surrounding text")]
    InvalidCharacters,
    /// The text is longer than any credential.
    #[error("is longer than 16 KiB. Check that it is the right file")]
    TooLong,
}

/// Reads the credential from the first of these variables that has a value. `lookup` is
/// [`std::env::var_os`] outside tests. An empty variable counts as not set, because CI systems set
/// an empty value for a missing secret.
///
/// # Errors
///
/// [`SecretError::NotSet`] with all names, or [`SecretError::Variable`] if the value is invalid.
pub fn from_variables(
    names: &[String],
    lookup: impl Fn(&str) -> Option<OsString>,
) -> Result<SecretString, SecretError> {
    let (variable, value) =
        names.iter().filter_map(|name| Some((name, lookup(name)?))).find(|(_, value)| !value.is_empty()).ok_or_else(
            || {
                let mut display_names: Vec<String> =
                    names.iter().map(|name| variable_name(name).unwrap_or(UNNAMED_VARIABLE).to_owned()).collect();
                display_names.dedup();
                SecretError::NotSet(display_names)
            },
        )?;
    let display_name = || match variable_name(variable) {
        Some(name) => format!("the environment variable {name}"),
        None => UNNAMED_VARIABLE.to_owned(),
    };
    value
        .into_string()
        .map_err(|_| InvalidCredential::NotUtf8)
        .and_then(|text| parse_credential(&text))
        .map_err(|problem| SecretError::Variable { variable: display_name(), problem })
}

/// The name, if it is a usual variable name. A key given by mistake has lowercase letters.
fn variable_name(name: &str) -> Option<&str> {
    name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_').then_some(name)
}

/// Reads the credential from a file with one line. The file may be a pipe, such as `<(command)` or
/// `/dev/stdin`. A pipe is read with a time limit.
///
/// # Errors
///
/// [`SecretError::Unreadable`] or [`SecretError::File`].
pub fn from_file(path: &Path) -> Result<SecretString, SecretError> {
    let unreadable = |error| SecretError::Unreadable { path: path.to_owned(), error };
    let invalid = |problem| SecretError::File { path: path.to_owned(), problem };
    let is_file = std::fs::metadata(path).map_err(unreadable)?.is_file();
    let bytes =
        if is_file { read_limited(path, || ()) } else { read_with_timeout(path, PIPE_OPEN_TIMEOUT, PIPE_READ_TIMEOUT) }
            .map_err(unreadable)?;
    let text = str::from_utf8(&bytes).map_err(|_| invalid(InvalidCredential::NotUtf8))?;
    parse_credential(text).map_err(invalid)
}

/// Reads a file up to the maximum length of a credential. Calls `on_open` after opening it.
fn read_limited(path: &Path, on_open: impl FnOnce()) -> std::io::Result<Vec<u8>> {
    let file = std::fs::File::open(path)?;
    on_open();
    let mut bytes = Vec::new();
    file.take(MAX_CREDENTIAL_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a pipe or a device on its own thread. After a timeout, the thread is abandoned.
fn read_with_timeout(path: &Path, open_timeout: Duration, read_timeout: Duration) -> std::io::Result<Vec<u8>> {
    let timed_out = |problem: &str, timeout: Duration| {
        let message = format!("it is not a regular file, and {problem} within {} s", timeout.as_secs_f64());
        std::io::Error::new(std::io::ErrorKind::TimedOut, message)
    };
    let (send_opened, opened) = channel();
    let (send_bytes, bytes) = channel();
    let path = path.to_owned();
    // Sending fails if the receiver no longer waits.
    thread::spawn(move || {
        let result = read_limited(&path, || send_opened.send(()).unwrap_or_default());
        send_bytes.send(result).unwrap_or_default();
    });
    // If opening fails, `opened` disconnects, and `bytes` receives the error.
    if let Err(RecvTimeoutError::Timeout) = opened.recv_timeout(open_timeout) {
        return Err(timed_out("no process began to write to it", open_timeout));
    }
    bytes.recv_timeout(read_timeout).unwrap_or_else(|_| Err(timed_out("it did not end", read_timeout)))
}

/// Removes one final newline and checks the rest.
pub(super) fn parse_credential(text: &str) -> Result<SecretString, InvalidCredential> {
    let line = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    check_credential_text(line)?;
    Ok(SecretString::from(line))
}

/// Checks that a header can carry the credential.
pub(in crate::client) fn check_credential_text(text: &str) -> Result<(), InvalidCredential> {
    match text {
        "" => Err(InvalidCredential::Empty),
        _ if text.len() as u64 > MAX_CREDENTIAL_BYTES => Err(InvalidCredential::TooLong),
        _ if !text.bytes().all(|b| b.is_ascii_graphic()) => Err(InvalidCredential::InvalidCharacters),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn variable_names(names: &[&str]) -> Vec<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    fn lookup_variable(name: &str) -> Option<OsString> {
        match name {
            "EMPTY" => Some("".into()),
            "KEY" => Some("sk-one".into()),
            "OTHER" => Some("sk-two\n".into()),
            "BROKEN" => Some("sk-hunter\nsk-22".into()),
            _ => None,
        }
    }

    #[test]
    fn the_first_variable_with_a_value_is_used() {
        for (list, value) in [
            (["UNSET", "KEY"], "sk-one"),
            (["EMPTY", "OTHER"], "sk-two"),
            (["OTHER", "KEY"], "sk-two"),
            (["KEY", "BROKEN"], "sk-one"),
        ] {
            assert_eq!(
                from_variables(&variable_names(&list), lookup_variable).unwrap().expose_secret(),
                value,
                "{list:?}"
            );
        }
    }

    #[test]
    fn the_error_without_a_value_names_every_variable() {
        let error = from_variables(&variable_names(&["UNSET", "EMPTY"]), lookup_variable).unwrap_err();
        assert_eq!(error.to_string(), "no credential: set UNSET or EMPTY");
    }

    #[test]
    fn an_invalid_value_is_not_shown() {
        let error = from_variables(&variable_names(&["BROKEN", "KEY"]), lookup_variable).unwrap_err();
        let message = format!("{error} {error:?}");
        assert!(message.contains("BROKEN") && message.contains("line break"), "{message}");
        assert!(!message.contains("hunter") && !message.contains("sk-22"), "{message}");
    }

    #[test]
    fn an_unusual_variable_name_is_not_shown() {
        for name in ["sk_canary_1", "hf_Canary22", "Canary"] {
            for value in [None, Some("hunter 22")] {
                let error = from_variables(&variable_names(&[name, "OTHER_1"]), |asked| {
                    value.filter(|_| asked == name).map(Into::into)
                });
                let message = format!("{0} {0:?}", error.unwrap_err());
                assert!(message.contains("the variable that --api-key-env"), "{message}");
                assert!(!message.to_lowercase().contains("canary") && !message.contains("hunter"), "{message}");
                assert_eq!(message.contains("OTHER_1"), value.is_none(), "{message}");
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_read_with_a_time_limit() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let short = Duration::from_millis(50);
        let error = read_with_timeout(&pipe, short, PIPE_READ_TIMEOUT).unwrap_err().to_string();
        assert!(error.contains("not a regular file") && error.contains("no process began to write"), "{error}");
        let (done, result) = channel();
        let at = pipe.clone();
        thread::spawn(move || done.send(from_file(&at).map_err(|e| e.to_string())));
        let error = result.recv_timeout(Duration::from_secs(60)).expect("reading does not hang").unwrap_err();
        assert!(error.contains("pipe cannot be read: it is not a regular file"), "{error}");
        // A pipe that is open and never ends.
        let open_pipe = std::fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
        let error = read_with_timeout(&pipe, PIPE_READ_TIMEOUT, short).unwrap_err().to_string();
        assert!(error.contains("did not end within"), "{error}");
        drop(open_pipe);
        // The abandoned readers do not read from another pipe.
        let other = dir.path().join("other");
        assert!(std::process::Command::new("mkfifo").arg(&other).status().unwrap().success());
        let to = other.clone();
        thread::spawn(move || std::fs::write(to, "sk-piped\n"));
        assert_eq!(from_file(&other).unwrap().expose_secret(), "sk-piped");
    }

    #[test]
    fn one_final_newline_of_a_file_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        for (content, value) in [("sk-a", "sk-a"), ("sk-a\n", "sk-a"), ("sk-a\r\n", "sk-a")] {
            let path = dir.path().join("key");
            std::fs::write(&path, content).unwrap();
            assert_eq!(from_file(&path).unwrap().expose_secret(), value, "{content:?}");
        }
    }

    #[test]
    fn an_invalid_file_is_named_and_its_content_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        for (content, problem) in [
            (b"".to_vec(), "is empty"),
            (b"\n".to_vec(), "is empty"),
            (b"hunter\xff".to_vec(), "not UTF-8"),
            (b"hunter\x07".to_vec(), "contains a space"),
            (b"hunter \n".to_vec(), "contains a space"),
            (b"hunter\n\n".to_vec(), "contains a space"),
            (b"hunter".repeat(4000), "longer than 16 KiB"),
        ] {
            std::fs::write(&path, &content).unwrap();
            let error = from_file(&path).unwrap_err();
            let message = format!("{error} {error:?}");
            assert!(error.to_string().contains(problem) && message.contains("key"), "{message}");
            assert!(!message.contains("hunter"), "{message}");
        }
        let error = from_file(&dir.path().join("absent")).unwrap_err().to_string();
        assert!(error.contains("absent cannot be read"), "{error}");
    }
}
