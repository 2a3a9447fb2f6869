//! Finds text that looks like a key: prefixes that providers use, tokens after `Bearer`, passwords
//! in URLs.
//!
//! A pattern must not match random values or plain words, because removing those would falsify
//! responses.

use std::sync::{LazyLock, OnceLock};

use aho_corasick::AhoCorasick;
use regex::bytes::{Regex, RegexBuilder};

/// Literals (every match contains one of them), the pattern, and whether a match must contain a
/// digit. If the pattern has a group, only the group is removed.
type KeyPattern = (&'static [&'static str], &'static str, bool);

static KEY_PATTERNS: [KeyPattern; 12] = [
    (&["sk-"], r"\bsk-[A-Za-z0-9_-]{16,}", true),
    (
        &["gsk_", "xai-", "hf_", "r8_", "pplx-", "nvapi-", "fw_", "tgp_v1_"],
        r"\b(?:gsk_|xai-|hf_|r8_|pplx-|nvapi-|fw_|tgp_v1_)[A-Za-z0-9_-]{20,}",
        true,
    ),
    (&["eyJ"], r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}", false),
    (&["AKIA", "ASIA", "ABIA", "ACCA"], r"\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\b", false),
    (&["AKID", "LTAI"], r"\b(?:AKID|LTAI)[A-Za-z0-9]{12,40}\b", true),
    (&["AIza"], r"\bAIza[0-9A-Za-z_-]{35}", false),
    (
        &["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-"],
        r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,}|glpat-[A-Za-z0-9_-]{20,})",
        false,
    ),
    (&["xox"], r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}", true),
    (
        &["Bearer ", "bearer ", "BEARER ", "Basic ", "basic ", "BASIC "],
        r"\b(?i:bearer|basic)[ ]+([A-Za-z0-9._~+/=-]{16,})",
        true,
    ),
    (&["PRIVATE KEY-----"], r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----", false),
    (&["://"], r#"://[^/\s:@"'\\]+:([^/\s@"'\\]+)@"#, false),
    (
        &["key=", "Key=", "KEY=", "oken=", "ignature=", "sig=", "password="],
        r#"[?&](?i:key|api[-_]?key|access[-_]?token|token|sig|[a-z-]*signature|[a-z-]*security-token|password)=([^&\s"'<>\\]{8,})"#,
        false,
    ),
];

/// The compiled patterns. Compiled on demand, because most runs need none.
static COMPILED_PATTERNS: [OnceLock<Option<Regex>>; KEY_PATTERNS.len()] =
    [const { OnceLock::new() }; KEY_PATTERNS.len()];

fn compile_pattern(text: &str) -> Option<Regex> {
    RegexBuilder::new(text).unicode(false).build().ok()
}

/// Finds all literals. The second part has the pattern of each literal.
#[expect(clippy::expect_used, reason = "forty short constants cannot exceed the size limit of an automaton")]
static LITERALS: LazyLock<(AhoCorasick, Vec<usize>)> = LazyLock::new(|| {
    let literals =
        KEY_PATTERNS.iter().enumerate().flat_map(|(index, (literals, ..))| literals.iter().map(move |l| (*l, index)));
    let (literals, pattern_indexes): (Vec<&str>, Vec<usize>) = literals.unzip();
    (AhoCorasick::new(literals).expect("an automaton of constants"), pattern_indexes)
});

/// The ranges of text that looks like a key.
pub fn find(bytes: &[u8]) -> Vec<(usize, usize)> {
    let (automaton, pattern_indexes) = &*LITERALS;
    let mut may_match = [false; KEY_PATTERNS.len()];
    for literal in automaton.find_overlapping_iter(bytes) {
        may_match[pattern_indexes[literal.pattern().as_usize()]] = true;
    }
    let candidates = KEY_PATTERNS.iter().zip(&COMPILED_PATTERNS).zip(may_match).filter(|(_, may_match)| *may_match);
    candidates
        .flat_map(|(((_, text, needs_digit), compiled), _)| {
            // The patterns are constants, and a test compiles each of them.
            let pattern = compiled.get_or_init(|| compile_pattern(text)).as_ref();
            pattern.map_or_else(Vec::new, |pattern| find_matches(bytes, pattern, *needs_digit))
        })
        .collect()
}

fn find_matches(bytes: &[u8], pattern: &Regex, needs_digit: bool) -> Vec<(usize, usize)> {
    let to_range = |captures: regex::bytes::Captures<'_>| {
        let range = captures.get(1).or_else(|| captures.get(0))?;
        let has_digit = range.as_bytes().iter().any(u8::is_ascii_digit);
        (has_digit || !needs_digit).then(|| (range.start(), range.end()))
    };
    pattern.captures_iter(bytes).filter_map(to_range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find_texts(text: &str) -> Vec<&str> {
        find(text.as_bytes()).into_iter().map(|(start, end)| &text[start..end]).collect()
    }

    #[test]
    fn every_pattern_compiles() {
        assert!(KEY_PATTERNS.iter().all(|(_, text, _)| compile_pattern(text).is_some()));
    }

    #[test]
    fn keys_of_every_pattern_are_found() {
        for key in [
            "sk-ant-api03-abcdefghijklmnop1234",
            "sk-proj-0123456789abcdef",
            "gsk_0123456789abcdefghijklmn",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlLXRleHQ",
            "AKIAIOSFODNN7EXAMPLE",
            "AKIDz8krbsJ5yKBZQpn74WFkmLPx3",
            "AIzaSyA1234567890abcdefghijklmnopqrstuv",
            "ghp_0123456789abcdefghijklmnopqrstuvwxyz",
            "xoxb-1234567890-abcdef",
            "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----",
        ] {
            assert_eq!(find_texts(&format!("wrong: '{key}', sorry")), [key]);
        }
        assert_eq!(find_texts("authorization: Bearer abcdefgh12345678"), ["abcdefgh12345678"]);
        assert_eq!(find_texts("Basic dXNlcjpwYXNzd29yZDEyMw=="), ["dXNlcjpwYXNzd29yZDEyMw=="]);
        assert_eq!(find_texts("postgres://me:hunter22@db/x"), ["hunter22"]);
        assert_eq!(find_texts("GET https://h/v1?alt=sse&key=abcdefgh1"), ["abcdefgh1"]);
    }

    #[test]
    fn plain_words_and_random_values_do_not_match() {
        for text in [
            "sk-learn-and-other-libraries",
            "risk-0123456789abcdefghij",
            "Bearer fieldtest-made-up-credential",
            "the Bearer of authentication",
            "Ticket kT7wQmZ9aBcDeFgHjKmNpQrS. Say hello in one word.",
            "amber anchor 1234",
            "msg_01AbCdEfGhIjKlMnOpQrStUv",
            "http://127.0.0.1:8787/v1/messages?beta=true",
            "EuYBCkQYAiJAabcdefghijklmnop0123456789+/==",
        ] {
            assert_eq!(find_texts(text), [""; 0], "{text}");
        }
    }
}
