//! What looks like a key, whoever's it is: prefixes that providers hand out, tokens behind `Bearer`, passwords in URLs.
//!
//! A shape must be one that no drawn value and no plain word has: taking out what is no secret would falsify answers.

use std::sync::{LazyLock, OnceLock};

use regex::bytes::{Regex, RegexBuilder};

use crate::redact::prefilter::BytePairFilter;

/// A shape: a text that always stands in it, the pattern, and whether a digit must be in what is taken out. Where the
/// pattern has a group, the group is taken out and what stands around it is left.
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

/// The patterns, compiled where a text is seen that they are for: most runs need none.
static COMPILED_PATTERNS: [OnceLock<Option<Regex>>; KEY_PATTERNS.len()] =
    [const { OnceLock::new() }; KEY_PATTERNS.len()];

fn compile_pattern(text: &str) -> Option<Regex> {
    RegexBuilder::new(text).unicode(false).build().ok()
}

/// A text that always stands in a shape, known by the pair of its bytes that stands in the fewest other texts.
struct PatternLiteral {
    pattern_index: usize,
    literal: &'static [u8],
    /// Where in it the pair stands.
    pair_offset: usize,
}

impl PatternLiteral {
    fn new(shape: usize, text: &'static str) -> Self {
        let text = text.as_bytes();
        // Small letters and blanks are what most texts are made of.
        let is_rare = |byte: u8| !byte.is_ascii_lowercase() && byte != b' ';
        let at = text.windows(2).position(|pair| is_rare(pair[1])).or_else(|| text.iter().position(|b| is_rare(*b)));
        Self { pattern_index: shape, literal: text, pair_offset: at.unwrap_or(0).min(text.len() - 2) }
    }

    fn rare_pair(&self) -> [u8; 2] {
        [self.literal[self.pair_offset], self.literal[self.pair_offset + 1]]
    }
}

/// All needles, and their pairs.
static PATTERN_LITERALS: LazyLock<(Vec<PatternLiteral>, BytePairFilter)> = LazyLock::new(|| {
    let of_shape = |(nth, (needles, ..)): (usize, &'static KeyPattern)| {
        needles.iter().map(move |text| PatternLiteral::new(nth, text))
    };
    let needles: Vec<PatternLiteral> = KEY_PATTERNS.iter().enumerate().flat_map(of_shape).collect();
    let mut pairs = BytePairFilter::empty();
    needles.iter().map(PatternLiteral::rare_pair).for_each(|[first, second]| pairs.add(first, second));
    (needles, pairs)
});

/// Where something stands that looks like a key.
pub fn find(bytes: &[u8]) -> Vec<(usize, usize)> {
    let (needles, pairs) = &*PATTERN_LITERALS;
    let mut tried = [false; KEY_PATTERNS.len()];
    pairs.for_each_candidate(bytes, |at| {
        for needle in
            needles.iter().filter(|needle| bytes[at..].starts_with(&needle.rare_pair()) && at >= needle.pair_offset)
        {
            tried[needle.pattern_index] |= bytes[at - needle.pair_offset..].starts_with(needle.literal);
        }
    });
    let shapes =
        KEY_PATTERNS.iter().zip(&COMPILED_PATTERNS).zip(tried).filter(|(_, tried)| *tried).map(|(shape, _)| shape);
    let of_shape = |((_, text, wants_digit), compiled): (&KeyPattern, &'static OnceLock<Option<Regex>>)| {
        // The patterns are constants, and a test compiles each.
        let compiled = compiled.get_or_init(|| compile_pattern(text)).as_ref();
        compiled.map_or_else(Vec::new, |pattern| find_matches(bytes, pattern, *wants_digit))
    };
    shapes.flat_map(of_shape).collect()
}

fn find_matches(bytes: &[u8], pattern: &Regex, wants_digit: bool) -> Vec<(usize, usize)> {
    let place = |found: regex::bytes::Captures<'_>| {
        let place = found.get(1).or_else(|| found.get(0))?;
        let has_digit = place.as_bytes().iter().any(u8::is_ascii_digit);
        (has_digit || !wants_digit).then(|| (place.start(), place.end()))
    };
    pattern.captures_iter(bytes).filter_map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find_texts(text: &str) -> Vec<&str> {
        find(text.as_bytes()).into_iter().map(|(start, end)| &text[start..end]).collect()
    }

    #[test]
    fn every_pattern_is_one() {
        assert!(KEY_PATTERNS.iter().all(|(_, text, _)| compile_pattern(text).is_some()));
        assert!(KEY_PATTERNS.iter().flat_map(|(needles, ..)| *needles).all(|needle| needle.len() >= 2));
    }

    #[test]
    fn keys_are_seen_by_their_shape() {
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
    fn plain_words_and_drawn_values_have_no_such_shape() {
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
