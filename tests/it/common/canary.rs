//! A [`CanarySecret`]: its encoded forms, and a search for parts of it in output.
//!
//! The search shares no code with the redaction that it tests. It decodes all escapes and looks for
//! parts of the secret.

#![allow(dead_code, reason = "each test program uses a part of this")]

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// The number of characters of the plain text that count as a match.
const MATCH_LENGTH: usize = 8;
/// The same for base64.
const BASE64_MATCH_LENGTH: usize = 12;
/// The same for hexadecimal and decimal digits.
const HEX_MATCH_LENGTH: usize = 16;

/// A secret that a test plants, and the parts to search for.
pub struct CanarySecret {
    secret: String,
    parts: Vec<(usize, HashSet<Vec<u8>>)>,
    /// For each pair of bytes: true if a part starts with it. Most positions can be skipped by it.
    first_pairs: Vec<bool>,
}

/// Returns the lower-case form, which the search uses.
pub fn lowercase_secret(secret: &str) -> String {
    secret.to_lowercase()
}

fn windows(text: &[u8], length: usize) -> impl Iterator<Item = Vec<u8>> {
    text.windows(length).map(<[u8]>::to_ascii_lowercase).collect::<Vec<_>>().into_iter()
}

fn hex(secret: &str) -> String {
    secret.bytes().map(|byte| format!("{byte:02x}")).collect()
}

impl CanarySecret {
    pub fn new(secret: &str) -> Self {
        let mut base64_parts: HashSet<Vec<u8>> = HashSet::new();
        for before in 0..3 {
            let (from, to) = ((before * 8usize).div_ceil(6), (before + secret.len()) * 8 / 6);
            let padded = [&vec![0; before][..], secret.as_bytes()].concat();
            for text in [STANDARD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
                base64_parts.extend(windows(&text.as_bytes()[from..to], BASE64_MATCH_LENGTH));
            }
        }
        let decimal: String = secret.bytes().map(|byte| format!("{byte},")).collect();
        let parts = vec![
            (MATCH_LENGTH, windows(secret.as_bytes(), MATCH_LENGTH).collect()),
            (BASE64_MATCH_LENGTH, base64_parts),
            (
                HEX_MATCH_LENGTH,
                windows(hex(secret).as_bytes(), HEX_MATCH_LENGTH)
                    .chain(windows(decimal.as_bytes(), HEX_MATCH_LENGTH))
                    .collect(),
            ),
        ];
        let mut first_pairs = vec![false; 65_536];
        for part in parts.iter().flat_map(|(_, parts): &(usize, HashSet<Vec<u8>>)| parts) {
            first_pairs[pair_index(part)] = true;
        }
        Self { secret: secret.to_owned(), parts, first_pairs }
    }

    /// Returns the forms in which a server may return the secret.
    pub fn encoded_forms(&self) -> Vec<String> {
        let secret = &self.secret;
        let each = |write: &dyn Fn(u8) -> String| secret.bytes().map(write).collect::<String>();
        let swapped = |c: char| if c.is_ascii_uppercase() { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() };
        let mut forms = vec![
            secret.clone(),
            secret.chars().map(swapped).collect(),
            secret.to_uppercase(),
            secret.replace('/', "\\/"),
            each(&|b| format!("\\u{b:04x}")),
            each(&|b| format!("\\\\u{b:04X}")),
            secret.replace('/', "%2F").replace('+', "%2b").replace('=', "%3D"),
            each(&|b| format!("%{b:02X}")),
            each(&|b| format!("%25{b:02x}")),
            each(&|b| format!("&#{b};")),
            each(&|b| format!("&#x{b:x};")),
            hex(secret),
            hex(secret).to_uppercase(),
            each(&|b| format!("{b:02x} ")),
            each(&|b| format!("0x{b:02x}, ")),
            each(&|b| format!("{b}, ")),
            each(&|b| format!("\\\\x{b:02x}")),
        ];
        for before in ["", "u", "u:", "Bearer "] {
            for after in ["", "!"] {
                forms.push(STANDARD.encode(format!("{before}{secret}{after}")));
                forms.push(URL_SAFE_NO_PAD.encode(format!("{before}{secret}{after}")));
            }
        }
        forms
    }

    /// Searches these bytes. Describes the first part of the secret that they contain.
    pub fn find_in(&self, bytes: &[u8]) -> Option<String> {
        let mut content = bytes.to_ascii_lowercase();
        // Recordings are JSON with nested JSON in strings, up to three levels.
        for _ in 0..5 {
            let dense: Vec<u8> = content.iter().copied().filter(|b| !b" :-\n\r\0".contains(b)).collect();
            let found = self.find_part(&content).or_else(|| self.find_part(&remove_parts(&dense, b"0x", b",")));
            if let Some(found) = found.or_else(|| self.find_part(&dense)) {
                return Some(found);
            }
            let unescaped = unescape(&content);
            if unescaped == content {
                break;
            }
            content = unescaped;
        }
        None
    }

    fn find_part(&self, content: &[u8]) -> Option<String> {
        // The dense content lacks the dashes and colons of the secret; its other parts are still
        // found.
        let mut positions =
            (0..content.len().saturating_sub(1)).filter(|at| self.first_pairs[pair_index(&content[*at..])]);
        positions.find_map(|at| {
            let is_here = |(length, parts): &(usize, HashSet<Vec<u8>>)| {
                content.get(at..at + length).is_some_and(|window| parts.contains(window))
            };
            self.parts.iter().find(|parts| is_here(parts))?;
            let around = &content[at.saturating_sub(60)..(at + 60).min(content.len())];
            Some(format!("a part of {} (…{}…)", self.secret, String::from_utf8_lossy(around)))
        })
    }
}

fn pair_index(text: &[u8]) -> usize {
    usize::from(text[0]) * 256 + usize::from(text[1])
}

fn remove_parts(text: &[u8], one: &[u8], other: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, behind)) = rest.split_first() {
        match [one, other].into_iter().find(|part| rest.starts_with(part)) {
            Some(part) => rest = &rest[part.len()..],
            None => {
                kept.push(*first);
                rest = behind;
            }
        }
    }
    kept
}

/// Decodes one layer of escapes.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    let number = |digits: &[u8], radix| {
        let number = u32::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()?;
        u8::try_from(number).ok().map(|byte| byte.to_ascii_lowercase())
    };
    while let Some((first, behind)) = rest.split_first() {
        let (byte, taken) = match rest {
            [b'\\', b'u', ..] => (rest.get(2..6).and_then(|digits| number(digits, 16)), 6),
            [b'\\', b'x', ..] => (rest.get(2..4).and_then(|digits| number(digits, 16)), 4),
            [b'\\', b'n' | b'r' | b't', ..] => (Some(b'\n'), 2),
            [b'\\', other, ..] => (Some(*other), 2),
            [b'%', ..] => (rest.get(1..3).and_then(|digits| number(digits, 16)), 3),
            [b'&', b'#', ..] => {
                let end = rest.iter().take(8).position(|byte| *byte == b';').unwrap_or(0);
                let digits = rest.get(2..end.max(2)).unwrap_or_default();
                let byte = digits.strip_prefix(b"x").map_or_else(|| number(digits, 10), |digits| number(digits, 16));
                (byte, end + 1)
            }
            _ => (None, 1),
        };
        match byte {
            Some(byte) => {
                out.push(byte);
                rest = &rest[taken..];
            }
            None => {
                out.push(*first);
                rest = behind;
            }
        }
    }
    out
}
