//! The last look at what the process says on standard error: secrets that it knows, and what looks like one, are taken
//! out.
//!
//! Secrets are kept out at their source: the client takes them out of all that a server sends, and messages are made
//! without them. This is for what nobody foresaw: an argument that is quoted in an error, a line of a broken file, a panic.
//! The one thing in the program that all of it shares, since a panic has nothing else to ask.

use std::io::{self, Write as _};
use std::sync::{Mutex, PoisonError};

use secrecy::{ExposeSecret as _, SecretString};

use crate::client::Mask;

static KNOWN: Mutex<Vec<SecretString>> = Mutex::new(Vec::new());

/// Remembers what must never be said.
pub fn learn(secrets: &[SecretString]) {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    for secret in secrets {
        if !known.iter().any(|other| other.expose_secret() == secret.expose_secret()) {
            known.push(secret.clone());
        }
    }
}

/// The text without secrets.
pub fn hushed(text: &str) -> String {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    Mask::new(None, &known).text(text.to_owned())
}

/// Standard error for whoever writes whole lines to it.
pub struct Stderr;

impl io::Write for Stderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        io::stderr().write_all(hushed(&String::from_utf8_lossy(line)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Lets panics be told without secrets.
pub fn panics() {
    std::panic::set_hook(Box::new(|panic| {
        let _ = writeln!(io::stderr(), "{}", hushed(&panic.to_string()));
    }));
}
