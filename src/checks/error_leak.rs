//! The checks for internal data in errors: tracebacks, paths and keys of the server.
//!
//! Text that the request contains is not a leak.

use serde_json::Value;

use crate::checks::catalog::ProtocolCheck;
use crate::checks::collector::FindingCollector;
use crate::wire::exchange::SECRET_PLACEHOLDER;

/// The beginnings of tracebacks of common runtimes.
const TRACEBACK_MARKERS: [&str; 6] = [
    "Traceback (most recent call last)",
    "goroutine 1 [",
    "panicked at ",
    "at java.",
    "    at Object.<anonymous>",
    "node:internal/",
];

/// The folders with the files of a server.
const SERVER_PATH_PREFIXES: [&str; 8] = ["/usr/", "/home/", "/root/", "/opt/", "/var/", "/srv/", "/app/", "/etc/"];

/// The prefixes of API keys, with the minimum length of a key.
const API_KEY_PREFIXES: [(&str, usize); 4] = [("sk-", 24), ("AKIA", 20), ("AIza", 35), ("ghp_", 36)];

pub(super) fn check(request_body: &Value, text: &str, found: &mut FindingCollector) {
    let request_body = request_body.to_string();
    if let Some(trace) =
        TRACEBACK_MARKERS.iter().find(|trace| text.contains(**trace) && !request_body.contains(**trace))
    {
        let at = text.find(*trace).unwrap_or_default();
        found.add(ProtocolCheck::LeakTraceback, &text[at..]);
    }
    if text.contains(SECRET_PLACEHOLDER) && !request_body.contains(SECRET_PLACEHOLDER) {
        found.add(ProtocolCheck::LeakKey, "a key that was removed before the response was recorded");
    }
    let is_edge = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '(' | ')' | ',' | ';' | '=' | '\\');
    for word in text.split(is_edge).filter(|word| !word.is_empty() && !request_body.contains(*word)) {
        if SERVER_PATH_PREFIXES.iter().any(|root| word.starts_with(root) && word.len() > root.len()) {
            found.add(ProtocolCheck::LeakPath, word);
        }
        let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if API_KEY_PREFIXES
            .iter()
            .any(|(start, length)| word.starts_with(start) && word.len() >= *length && word.chars().all(bare))
        {
            // The finding must not leak the key again.
            found.add(
                ProtocolCheck::LeakKey,
                format!("{}… ({} characters)", word.get(..6).unwrap_or_default(), word.len()),
            );
        }
    }
}
