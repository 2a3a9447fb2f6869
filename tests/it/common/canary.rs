//! A secret that is planted, every form in which it may come back, and the search for whatever of it came out.
//!
//! The search shares nothing with what is searched: it undoes escapes until there are none, and looks for parts.

#![allow(dead_code, reason = "each test program uses a part of this")]

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// So much of it is a find: of the text, of its base64, of its digits.
const PART: usize = 8;
const PART_OF_BASE64: usize = 12;
const PART_OF_HEX: usize = 16;

pub struct Canary {
    secret: String,
    needles: Vec<(usize, HashSet<Vec<u8>>)>,
    /// The two bytes with which any of them begins: most places are none.
    beginnings: Vec<bool>,
}

/// How it is looked for: in small letters.
pub fn telltale(secret: &str) -> String {
    secret.to_lowercase()
}

fn windows(text: &[u8], length: usize) -> impl Iterator<Item = Vec<u8>> {
    text.windows(length).map(<[u8]>::to_ascii_lowercase).collect::<Vec<_>>().into_iter()
}

fn hex(secret: &str) -> String {
    secret.bytes().map(|byte| format!("{byte:02x}")).collect()
}

impl Canary {
    pub fn new(secret: &str) -> Self {
        let mut based: HashSet<Vec<u8>> = HashSet::new();
        for before in 0..3 {
            let (from, to) = ((before * 8usize).div_ceil(6), (before + secret.len()) * 8 / 6);
            let padded = [&vec![0; before][..], secret.as_bytes()].concat();
            for text in [STANDARD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
                based.extend(windows(&text.as_bytes()[from..to], PART_OF_BASE64));
            }
        }
        let decimal: String = secret.bytes().map(|byte| format!("{byte},")).collect();
        let needles = vec![
            (PART, windows(secret.as_bytes(), PART).collect()),
            (PART_OF_BASE64, based),
            (
                PART_OF_HEX,
                windows(hex(secret).as_bytes(), PART_OF_HEX).chain(windows(decimal.as_bytes(), PART_OF_HEX)).collect(),
            ),
        ];
        let mut beginnings = vec![false; 65_536];
        for needle in needles.iter().flat_map(|(_, needles): &(usize, HashSet<Vec<u8>>)| needles) {
            beginnings[pair(needle)] = true;
        }
        Self { secret: secret.to_owned(), needles, beginnings }
    }

    /// The forms in which a server may tell it.
    pub fn forms(&self) -> Vec<String> {
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

    /// What of it is in these bytes.
    pub fn in_bytes(&self, bytes: &[u8]) -> Option<String> {
        let mut content = bytes.to_ascii_lowercase();
        // Recordings are JSON that holds JSON that may hold JSON.
        for _ in 0..5 {
            let dense: Vec<u8> = content.iter().copied().filter(|b| !b" :-\n\r\0".contains(b)).collect();
            let found = self.within(&content).or_else(|| self.within(&without(&dense, b"0x", b",")));
            if let Some(found) = found.or_else(|| self.within(&dense)) {
                return Some(found);
            }
            let undone = undone(&content);
            if undone == content {
                break;
            }
            content = undone;
        }
        None
    }

    fn within(&self, content: &[u8]) -> Option<String> {
        // What is dense has lost the dashes and colons of the secret too; its other parts are still looked for.
        let mut places = (0..content.len().saturating_sub(1)).filter(|at| self.beginnings[pair(&content[*at..])]);
        places.find_map(|at| {
            let is_here = |(length, needles): &(usize, HashSet<Vec<u8>>)| {
                content.get(at..at + length).is_some_and(|window| needles.contains(window))
            };
            self.needles.iter().find(|needles| is_here(needles))?;
            let around = &content[at.saturating_sub(60)..(at + 60).min(content.len())];
            Some(format!("a part of {} (…{}…)", self.secret, String::from_utf8_lossy(around)))
        })
    }
}

fn pair(text: &[u8]) -> usize {
    usize::from(text[0]) * 256 + usize::from(text[1])
}

fn without(text: &[u8], one: &[u8], other: &[u8]) -> Vec<u8> {
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

/// One layer of escapes undone.
fn undone(text: &[u8]) -> Vec<u8> {
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
