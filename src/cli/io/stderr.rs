//! The last look at what the process says on standard error: secrets that it knows, and what looks like one, are taken
//! out.
//!
//! Secrets are kept out at their source: the client takes them out of all that a server sends, and messages are made
//! without them. This is for what nobody foresaw: an argument that is quoted in an error, a line of a broken file, a panic.
//! The one thing in the program that all of it shares, since a panic has nothing else to ask.

use std::io::{self, Write as _};
use std::sync::{LazyLock, Mutex, PoisonError};

use regex::Regex;
use secrecy::{ExposeSecret as _, SecretString};

use crate::redact::SecretRedactor;

static KNOWN_SECRETS: Mutex<Vec<SecretString>> = Mutex::new(Vec::new());

/// Remembers what must never be said.
pub fn register_secrets(secrets: &[SecretString]) {
    let mut known = KNOWN_SECRETS.lock().unwrap_or_else(PoisonError::into_inner);
    for secret in secrets {
        if !known.iter().any(|other| other.expose_secret() == secret.expose_secret()) {
            known.push(secret.clone());
        }
    }
}

/// The text without secrets.
pub fn redact(text: &str) -> String {
    let known = KNOWN_SECRETS.lock().unwrap_or_else(PoisonError::into_inner);
    let masked = SecretRedactor::new(None, &known).redact_text(text.to_owned());
    SECRET_PATTERNS.iter().fold(masked, |text, set| set.replace_all(&text, "${1}<secret>${2}").into_owned())
}

/// Something that is set to a value, as a line of a file that is quoted in an error may say it, and a password in an
/// address, even one that stands there wrongly: whatever they look like, they are nobody's business.
static SECRET_PATTERNS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let names = "api[-_]?key|token|secret|password|passwd|credential";
    let set = format!(r#"(?-u:\b)((?i-u:{names})["']?[ ]?[:=][ ]?["']?)[^ \t\r\n"'`,;()\[\]{{}}<>]{{8,}}"#);
    let address = r#"(://[^ \t\r\n/:@"'`]+:)[^ \t\r\n"'`]+(@)"#;
    // The patterns are constants, and a test shows that they are patterns.
    [set.as_str(), address].into_iter().filter_map(|pattern| Regex::new(pattern).ok()).collect()
});

/// Standard error for whoever writes whole lines to it.
pub struct RedactedStderr;

impl io::Write for RedactedStderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        io::stderr().write_all(redact(&String::from_utf8_lossy(line)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Lets panics be told without secrets.
pub fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| {
        let _ = writeln!(io::stderr(), "{}", redact(&panic.to_string()));
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_and_what_is_set_is_not_said() {
        register_secrets(&["known-to-the-hush".into()]);
        for text in [
            "panicked at src/x.rs:1:2: called `unwrap()` on `known-to-the-hush`",
            "4 | auth: { scheme: bearer, token: some-canary-1 }",
            "4 | api_key: \"some-canary-1\"",
            "password=some-canary-1&x=1",
            "invalid value 'http://user:some-canary-1@h' for '--rpm <N>'",
            "invalid value 'http://user:some/canary-1@h' for '--rpm <N>'",
        ] {
            let said = redact(text);
            assert!(said.contains("<secret>") && !said.contains("canary") && !said.contains("known-to"), "{said}");
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
