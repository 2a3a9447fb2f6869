//! Where a credential comes from: an environment variable, a file or a command (`helper`), never the command line.
//!
//! Messages name the variable, the file or the program and say what is wrong with the value; they never show it.

use std::ffi::OsString;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use secrecy::SecretString;

/// No credential is this long; more is a file named by mistake, and is not read to its end.
pub(crate) const MAX_CREDENTIAL_BYTES: u64 = 16 * 1024;

/// The time in which a pipe must be open: one that nobody writes into never is.
const PIPE_OPEN_TIMEOUT: Duration = Duration::from_secs(5);

/// The time for what a pipe brings: as much as a command has.
const PIPE_READ_TIMEOUT: Duration = Duration::from_secs(60);

/// What messages say of a variable with a name that no variable has: it may be the credential itself.
const UNNAMED_VARIABLE: &str = "the variable that --api-key-env (or `env` in a file) names";

/// Why no credential could be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// None of the variables holds anything.
    #[error("no credential: set {}", .0.join(" or "))]
    NotSet(Vec<String>),
    /// The variable's value cannot be a credential.
    #[error("the credential in {variable} {problem}")]
    Variable {
        /// The variable, by its name where that can be one.
        variable: String,
        /// What is wrong with its value, after "the credential".
        problem: InvalidCredential,
    },
    /// The file cannot be read.
    #[error("the credential file {} cannot be read: {error}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// The file's content cannot be a credential.
    #[error("the credential in the file {} {problem}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with its content, after "the credential".
        problem: InvalidCredential,
    },
    /// The command gave none.
    #[error("the credential's {program} {failure}")]
    Command {
        /// `command`, and its name where that is a program's.
        program: String,
        /// What became of it, after its name.
        failure: CommandFailure,
    },
    /// What the command printed cannot be a credential.
    #[error("the credential that the {program} prints {problem}")]
    InvalidOutput {
        /// `command`, and its name where that is a program's.
        program: String,
        /// What is wrong with it, after "the credential".
        problem: InvalidCredential,
    },
}

/// What became of a command that gave no credential. What it printed is never told: it may hold the secret.
#[derive(Debug, thiserror::Error)]
pub enum CommandFailure {
    /// It was not found, or may not be started.
    #[error("cannot be started: {0}")]
    NotStarted(std::io::Error),
    /// It ended with this code.
    #[error("ended with exit code {0}; run it by hand to see what it says")]
    ExitCode(i32),
    /// The shell knows none of this name.
    #[error("found no such program; --api-key-command takes a command, and never the credential itself")]
    NotFound,
    /// It was killed.
    #[error("was ended by a signal")]
    Signal,
    /// It went on for longer than it may.
    #[error(
        "did not end within {} s, and was ended (does it wait for somebody? Let it find what it needs before the run)",
        .0.as_secs_f64()
    )]
    TimedOut(Duration),
}

/// What is wrong with a credential's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCredential {
    /// Nothing is there.
    #[error("is empty")]
    Empty,
    /// The bytes are no text.
    #[error("is not UTF-8 text")]
    NotUtf8,
    /// It holds what a header cannot carry and no provider hands out.
    #[error(
        "holds a blank, a line break or another character that no credential has (copied with something around it?)"
    )]
    InvalidCharacters,
    /// It is far longer than a credential.
    #[error("is longer than 16 KiB (is it the right file?)")]
    TooLong,
}

/// The credential from the first of these variables that holds one. `lookup` is [`std::env::var_os`] outside tests. A
/// variable that is set to nothing counts as not set, as CI systems do that with a secret they do not have.
///
/// # Errors
///
/// [`SecretError::NotSet`] naming all variables, or [`SecretError::Variable`] for the first that holds something unfit.
pub fn from_variables(
    names: &[String],
    lookup: impl Fn(&str) -> Option<OsString>,
) -> Result<SecretString, SecretError> {
    let (variable, value) = names
        .iter()
        .filter_map(|name| Some((name, lookup(name)?)))
        .find(|(_, value)| !value.is_empty())
        .ok_or_else(|| SecretError::NotSet(display_names(names)))?;
    value
        .into_string()
        .map_err(|_| InvalidCredential::NotUtf8)
        .and_then(validate)
        .map_err(|problem| SecretError::Variable { variable: display_name(variable), problem })
}

/// A variable as messages name it.
fn display_name(name: &str) -> String {
    if is_variable_name(name) { format!("the environment variable {name}") } else { UNNAMED_VARIABLE.to_owned() }
}

/// Variables as messages list them.
fn display_names(names: &[String]) -> Vec<String> {
    let mut named: Vec<String> = names
        .iter()
        .map(|name| if is_variable_name(name) { name.clone() } else { UNNAMED_VARIABLE.to_owned() })
        .collect();
    named.dedup();
    named
}

/// Whether this is a name as variables have it. A key that was put in its place has small letters as well.
fn is_variable_name(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

/// The credential that a file holds, alone on its one line. The file may be a pipe, as `<(command)` and `/dev/stdin` are,
/// which is not waited for without end.
///
/// # Errors
///
/// [`SecretError::Unreadable`] or [`SecretError::File`].
pub fn from_file(path: &Path) -> Result<SecretString, SecretError> {
    let unreadable = |error| SecretError::Unreadable { path: path.to_owned(), error };
    let unfit = |problem| SecretError::File { path: path.to_owned(), problem };
    let is_file = std::fs::metadata(path).map_err(unreadable)?.is_file();
    let bytes =
        if is_file { read_limited(path, || ()) } else { read_with_timeout(path, PIPE_OPEN_TIMEOUT, PIPE_READ_TIMEOUT) }
            .map_err(unreadable)?;
    String::from_utf8(bytes)
        .map_err(|_| unfit(InvalidCredential::NotUtf8))
        .and_then(|text| validate(text).map_err(unfit))
}

/// What a file holds, up to the length of the longest credential. `opened` is called in between.
fn read_limited(path: &Path, opened: impl FnOnce()) -> std::io::Result<Vec<u8>> {
    let file = std::fs::File::open(path)?;
    opened();
    let mut bytes = Vec::new();
    file.take(MAX_CREDENTIAL_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What a pipe or a device brings, read on a thread of its own, which is left behind where nothing comes.
fn read_with_timeout(path: &Path, opening: Duration, reading: Duration) -> std::io::Result<Vec<u8>> {
    let too_slow = |what: &str, limit: Duration| {
        let said = format!("it is no regular file, and {what} within {} s", limit.as_secs_f64());
        std::io::Error::new(std::io::ErrorKind::TimedOut, said)
    };
    let (tell_opened, opened) = channel();
    let (tell_bytes, bytes) = channel();
    let path = path.to_owned();
    // Nobody waits for either any more where sending fails.
    thread::spawn(move || {
        let read = read_limited(&path, || tell_opened.send(()).unwrap_or_default());
        tell_bytes.send(read).unwrap_or_default();
    });
    // Where it cannot be opened, this ends as well, and the reason comes below.
    if let Err(RecvTimeoutError::Timeout) = opened.recv_timeout(opening) {
        return Err(too_slow("nobody began to write into it", opening));
    }
    bytes.recv_timeout(reading).unwrap_or_else(|_| Err(too_slow("did not end", reading)))
}

/// Takes one newline off the end, and lets through only what a header can carry.
pub(crate) fn validate(text: String) -> Result<SecretString, InvalidCredential> {
    let line = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    match line {
        "" => Err(InvalidCredential::Empty),
        _ if line.len() as u64 > MAX_CREDENTIAL_BYTES => Err(InvalidCredential::TooLong),
        _ if !line.bytes().all(|b| b.is_ascii_graphic()) => Err(InvalidCredential::InvalidCharacters),
        _ => Ok(SecretString::from(line)),
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
    fn the_first_variable_that_holds_something_is_used() {
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
    fn without_a_value_every_variable_is_named() {
        let error = from_variables(&variable_names(&["UNSET", "EMPTY"]), lookup_variable).unwrap_err();
        assert_eq!(error.to_string(), "no credential: set UNSET or EMPTY");
    }

    #[test]
    fn an_unfit_value_names_the_variable_and_is_not_shown() {
        let error = from_variables(&variable_names(&["BROKEN", "KEY"]), lookup_variable).unwrap_err();
        let said = format!("{error} {error:?}");
        assert!(said.contains("BROKEN") && said.contains("line break"), "{said}");
        assert!(!said.contains("hunter") && !said.contains("sk-22"), "{said}");
    }

    #[test]
    fn what_is_no_name_of_a_variable_is_not_shown() {
        for name in ["sk_canary_1", "hf_Canary22", "Canary"] {
            for value in [None, Some("hunter 22")] {
                let error = from_variables(&variable_names(&[name, "OTHER_1"]), |asked| {
                    value.filter(|_| asked == name).map(Into::into)
                });
                let said = format!("{0} {0:?}", error.unwrap_err());
                assert!(said.contains("the variable that --api-key-env"), "{said}");
                assert!(!said.to_lowercase().contains("canary") && !said.contains("hunter"), "{said}");
                assert_eq!(said.contains("OTHER_1"), value.is_none(), "{said}");
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_read_and_one_that_nobody_writes_into_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let short = Duration::from_millis(50);
        let error = read_with_timeout(&pipe, short, PIPE_READ_TIMEOUT).unwrap_err().to_string();
        assert!(error.contains("no regular file") && error.contains("nobody began to write"), "{error}");
        let (done, whole) = channel();
        let at = pipe.clone();
        thread::spawn(move || done.send(from_file(&at).map_err(|e| e.to_string())));
        let error = whole.recv_timeout(Duration::from_secs(60)).expect("it does not hang").unwrap_err();
        assert!(error.contains("pipe cannot be read: it is no regular file"), "{error}");
        // One that is opened and never ends.
        let held = std::fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
        let error = read_with_timeout(&pipe, PIPE_READ_TIMEOUT, short).unwrap_err().to_string();
        assert!(error.contains("did not end within"), "{error}");
        drop(held);
        // The readers that were left behind take none of what goes into another one.
        let other = dir.path().join("other");
        assert!(std::process::Command::new("mkfifo").arg(&other).status().unwrap().success());
        let to = other.clone();
        thread::spawn(move || std::fs::write(to, "sk-piped\n"));
        assert_eq!(from_file(&other).unwrap().expose_secret(), "sk-piped");
    }

    #[test]
    fn a_file_gives_its_line_without_the_newline() {
        let dir = tempfile::tempdir().unwrap();
        for (content, value) in [("sk-a", "sk-a"), ("sk-a\n", "sk-a"), ("sk-a\r\n", "sk-a")] {
            let path = dir.path().join("key");
            std::fs::write(&path, content).unwrap();
            assert_eq!(from_file(&path).unwrap().expose_secret(), value, "{content:?}");
        }
    }

    #[test]
    fn an_unfit_file_is_named_and_its_content_is_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        for (content, problem) in [
            (b"".to_vec(), "is empty"),
            (b"\n".to_vec(), "is empty"),
            (b"hunter\xff".to_vec(), "not UTF-8"),
            (b"hunter\x07".to_vec(), "holds a blank"),
            (b"hunter \n".to_vec(), "holds a blank"),
            (b"hunter\n\n".to_vec(), "holds a blank"),
            (b"hunter".repeat(4000), "longer than 16 KiB"),
        ] {
            std::fs::write(&path, &content).unwrap();
            let error = from_file(&path).unwrap_err();
            let said = format!("{error} {error:?}");
            assert!(error.to_string().contains(problem) && said.contains("key"), "{said}");
            assert!(!said.contains("hunter"), "{said}");
        }
        let error = from_file(&dir.path().join("absent")).unwrap_err().to_string();
        assert!(error.contains("absent cannot be read"), "{error}");
    }
}
