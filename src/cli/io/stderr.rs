//! Printing to standard error, without secrets.
//!
//! The client removes secrets from responses, and messages are made without them. This is the last line of defence: an
//! error may quote an argument, a line of an invalid file or a panic. The known secrets are global, because a panic hook
//! has no other access to them.

use std::io::{self, Write as _};
use std::sync::{LazyLock, Mutex, PoisonError};

use regex::Regex;
use secrecy::{ExposeSecret as _, SecretString};

use crate::cli::error::ExitStatus;
use crate::redact::SecretRedactor;
use crate::report;

static KNOWN_SECRETS: Mutex<Vec<SecretString>> = Mutex::new(Vec::new());

/// Registers secrets that must not be printed.
pub fn register_secrets(secrets: &[SecretString]) {
    let mut known = KNOWN_SECRETS.lock().unwrap_or_else(PoisonError::into_inner);
    for secret in secrets {
        if !known.iter().any(|other| other.expose_secret() == secret.expose_secret()) {
            known.push(secret.clone());
        }
    }
}

/// Prints a line. The text may contain the words of a server, so control characters and workflow commands are escaped.
pub fn warn(text: impl AsRef<str>) {
    let text = report::escape_workflow_commands(&report::visible(&redact(text.as_ref())));
    let _ = writeln!(io::stderr(), "{text}");
}

/// Prints a usage error or the requested help.
pub fn print_usage_error(error: &clap::Error) -> ExitStatus {
    let text = error.to_string();
    let redacted = redact(&text);
    // Help has no secrets, and is printed with colours. An error may quote an argument with a secret.
    if redacted == text || !error.use_stderr() {
        let _ = error.print();
    } else {
        warn(redacted.trim_end());
    }
    if error.use_stderr() { ExitStatus::Usage } else { ExitStatus::Success }
}

/// The text without secrets.
pub fn redact(text: &str) -> String {
    let known = KNOWN_SECRETS.lock().unwrap_or_else(PoisonError::into_inner);
    let redacted = SecretRedactor::new(None, &known).redact_text(text.to_owned());
    SECRET_PATTERNS.iter().fold(redacted, |text, set| set.replace_all(&text, "${1}<secret>${2}").into_owned())
}

/// Patterns of secrets that are not registered: the value of a setting with the name of a secret, and the password in a
/// URL, even an invalid one.
static SECRET_PATTERNS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let names = "api[-_]?key|token|secret|password|passwd|credential";
    let set = format!(r#"(?-u:\b)((?i-u:{names})["']?[ ]?[:=][ ]?["']?)[^ \t\r\n"'`,;()\[\]{{}}<>]{{8,}}"#);
    let address = r#"(://[^ \t\r\n/:@"'`]+:)[^ \t\r\n"'`]+(@)"#;
    // The patterns are constants, and a test compiles them.
    [set.as_str(), address].into_iter().filter_map(|pattern| Regex::new(pattern).ok()).collect()
});

/// Standard error for writers of complete lines.
pub struct RedactedStderr;

impl io::Write for RedactedStderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        warn(String::from_utf8_lossy(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Prints panics without secrets.
pub fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| {
        warn(panic.to_string());
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registered_secrets_and_values_of_settings_are_removed() {
        register_secrets(&["registered-secret".into()]);
        for text in [
            "panicked at src/x.rs:1:2: called `unwrap()` on `registered-secret`",
            "4 | auth: { scheme: bearer, token: some-canary-1 }",
            "4 | api_key: \"some-canary-1\"",
            "password=some-canary-1&x=1",
            "invalid value 'http://user:some-canary-1@h' for '--rpm <N>'",
            "invalid value 'http://user:some/canary-1@h' for '--rpm <N>'",
        ] {
            let redacted = redact(text);
            assert!(
                redacted.contains("<secret>")
                    && !redacted.contains("canary")
                    && !redacted.contains("registered-secret"),
                "{redacted}"
            );
        }
        for text in [
            "no credential: set DEEPSEEK_API_KEY or OTHER",
            "credential: { command: [pass, show, key] }",
            "--api-key-env takes the name of an environment variable",
            "`input_tokens`: 12345678 and max_tokens: 12345678",
        ] {
            assert_eq!(redact(text), text);
        }
    }
}
