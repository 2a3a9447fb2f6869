//! [`KnownSecrets`]: finds known secrets in every encoding: as they are, in any case, in base64,
//! hexadecimal or as lists of numbers, with each character escaped as in JSON, URLs or HTML, at any
//! depth.

use std::cmp::Reverse;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};

use crate::redact::replacement::ByteReplacement;

/// Environment variables that often contain keys of model providers and clouds. A gateway on the
/// same machine may show one of them in an error.
pub const SECRET_VARIABLES: [&str; 34] = [
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "AWS_BEARER_TOKEN_BEDROCK",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AZURE_API_KEY",
    "AZURE_OPENAI_API_KEY",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CEREBRAS_API_KEY",
    "COHERE_API_KEY",
    "DASHSCOPE_API_KEY",
    "DATABASE_URL",
    "DEEPSEEK_API_KEY",
    "FIREWORKS_API_KEY",
    "GEMINI_API_KEY",
    "GITHUB_TOKEN",
    "GOOGLE_API_KEY",
    "GROQ_API_KEY",
    "HF_TOKEN",
    "HUGGINGFACE_API_KEY",
    "LITELLM_API_KEY",
    "LITELLM_MASTER_KEY",
    "MINIMAX_API_KEY",
    "MISTRAL_API_KEY",
    "MOONSHOT_API_KEY",
    "NVIDIA_API_KEY",
    "OPENAI_API_KEY",
    "OPENROUTER_API_KEY",
    "PERPLEXITY_API_KEY",
    "TENCENTCLOUD_SECRET_KEY",
    "TOGETHER_API_KEY",
    "XAI_API_KEY",
    "ZAI_API_KEY",
    "ZHIPUAI_API_KEY",
];

/// At the end of a truncated body, a prefix of a secret of this length is removed too.
const MIN_TRUNCATED_BYTES: usize = 4;

/// The maximum number of backslashes before a character, which is six layers of JSON. Without a
/// limit, a body of only backslashes would take quadratic time.
const MAX_BACKSLASHES: usize = 64;

/// The first bytes of all escapes.
const ESCAPE_BYTES: [u8; 3] = *b"\\%&";

/// A shorter base64 text could match by chance.
const MIN_BASE64_BYTES: usize = 10;

const LINE_BREAK_BYTES: &[u8] = b" \t\r\n";

const LIST_SEPARATOR_BYTES: &[u8] = b" \t\r\n,;:-_\"'";

/// One form of a secret.
struct SecretEncoding {
    bytes: SecretSlice<u8>,
    separators: SeparatorKind,
    marker: &'static str,
}

/// What may be between two characters of an encoding.
#[derive(Clone, Copy)]
enum SeparatorKind {
    None,
    /// Line breaks and indentation, as in wrapped base64.
    LineBreaks,
    /// The separators of a list of numbers.
    ListSeparators,
    /// The separators of a list of numbers, required at each comma, because decimal numbers have
    /// different lengths.
    RequiredCommas,
}

impl SeparatorKind {
    /// The first bytes of a separator that is not an escape.
    fn first_bytes(self) -> Vec<u8> {
        match self {
            Self::None => Vec::new(),
            Self::LineBreaks => LINE_BREAK_BYTES.to_vec(),
            // The zero of `0x`.
            Self::ListSeparators | Self::RequiredCommas => [LIST_SEPARATOR_BYTES, b"0"].concat(),
        }
    }
}

/// The secrets to search for, in all their encodings.
pub struct KnownSecrets {
    encodings: Vec<SecretEncoding>,
    /// Finds where an encoding may begin: its first two characters, or an escape.
    prefixes: AhoCorasick,
    /// The encoding of each prefix. `None` for an escape.
    prefix_encodings: Vec<Option<usize>>,
}

impl KnownSecrets {
    /// Searches for these secrets. Each has its marker.
    #[expect(clippy::expect_used, reason = "a few hundred prefixes of two bytes cannot exceed the size limit")]
    pub fn new<'a>(secrets: impl Iterator<Item = (&'a SecretString, &'static str)>) -> Self {
        let encodings: Vec<SecretEncoding> =
            secrets.flat_map(|(secret, marker)| encode_secret(secret, marker)).collect();
        let mut prefixes: Vec<(Vec<u8>, Option<usize>)> = ESCAPE_BYTES.map(|escape| (vec![escape], None)).to_vec();
        for (index, encoding) in encodings.iter().enumerate() {
            let [first, second, ..] = encoding.bytes.expose_secret() else { continue };
            let next_bytes = [&[*second], &ESCAPE_BYTES[..], &encoding.separators.first_bytes()].concat();
            prefixes.extend(next_bytes.into_iter().map(|next| (vec![*first, next], Some(index))));
        }
        let (prefixes, prefix_encodings): (Vec<_>, Vec<_>) = prefixes.into_iter().unzip();
        let prefixes = AhoCorasick::builder().ascii_case_insensitive(true).build(prefixes);
        Self { encodings, prefixes: prefixes.expect("an automaton of short prefixes"), prefix_encodings }
    }

    /// Finds every secret in every encoding. The replacements may overlap.
    pub fn find(&self, bytes: &[u8], is_truncated: bool) -> Vec<ByteReplacement> {
        let mut found = Vec::new();
        if self.encodings.is_empty() {
            return found;
        }
        for prefix in self.prefixes.find_overlapping_iter(bytes) {
            let rest = &bytes[prefix.start()..];
            let mut match_encoding = |encoding: &SecretEncoding| {
                if let Some(length) = match_len(encoding, rest, is_truncated) {
                    found.push(ByteReplacement::new(prefix.start(), prefix.start() + length, encoding.marker));
                }
            };
            match self.prefix_encodings[prefix.pattern().as_usize()] {
                Some(index) => match_encoding(&self.encodings[index]),
                None => {
                    let Some((byte, _)) = decode_escape(rest) else { continue };
                    let begins_with_byte = |encoding: &&SecretEncoding| {
                        encoding.bytes.expose_secret().first().is_some_and(|first| first.eq_ignore_ascii_case(&byte))
                    };
                    self.encodings.iter().filter(begins_with_byte).for_each(match_encoding);
                }
            }
        }
        // One secret may be a prefix of another, so keep the longest match at each position.
        found.sort_by_key(|found| (found.start, Reverse(found.end), Reverse(found.replacement.len())));
        found.dedup_by_key(|found| found.start);
        found
    }
}

fn encode_secret(secret: &SecretString, marker: &'static str) -> Vec<SecretEncoding> {
    let plain = secret.expose_secret().as_bytes();
    let mut encodings: Vec<SecretEncoding> = Vec::new();
    let mut add =
        |bytes: Vec<u8>, separators| encodings.push(SecretEncoding { bytes: bytes.into(), separators, marker });
    add(plain.to_vec(), SeparatorKind::None);
    for offset in 0..3 {
        let padded = Zeroizing::new([&[0; 2][..offset.min(2)], plain].concat());
        // The base64 characters whose six bits are all from the secret.
        let (start, end) = ((offset * 8).div_ceil(6), (offset + plain.len()) * 8 / 6);
        let [standard, url_safe] =
            [STANDARD_NO_PAD.encode(&*padded), URL_SAFE_NO_PAD.encode(&*padded)].map(Zeroizing::new);
        for text in [Some(&standard), (standard != url_safe).then_some(&url_safe)].into_iter().flatten() {
            let inner = text.as_bytes().get(start..end).unwrap_or_default();
            if inner.len() >= MIN_BASE64_BYTES {
                add(inner.to_vec(), SeparatorKind::LineBreaks);
            }
        }
    }
    let format_numbers = |format: fn(&u8) -> String, separator: &str| {
        plain.iter().map(format).collect::<Vec<String>>().join(separator).into_bytes()
    };
    add(format_numbers(|byte| format!("{byte:02x}"), ""), SeparatorKind::ListSeparators);
    add(format_numbers(u8::to_string, ","), SeparatorKind::RequiredCommas);
    // UTF-16 in either byte order.
    add(plain.iter().flat_map(|byte| [*byte, 0]).take(plain.len() * 2 - 1).collect(), SeparatorKind::None);
    encodings
}

/// The number of bytes at the start of `bytes` that match the encoding, with any escapes. In
/// truncated data, a prefix of the encoding at the end is enough.
fn match_len(encoding: &SecretEncoding, bytes: &[u8], is_truncated: bool) -> Option<usize> {
    let mut position = 0;
    for (index, expected) in encoding.bytes.expose_secret().iter().enumerate() {
        let before = position;
        if index > 0 {
            position += separators_len(encoding.separators, *expected, &bytes[position..]);
        }
        let rest = &bytes[position..];
        let found = match encoding.separators {
            SeparatorKind::RequiredCommas if *expected == b',' => (position > before).then_some(0),
            SeparatorKind::RequiredCommas
            | SeparatorKind::None
            | SeparatorKind::LineBreaks
            | SeparatorKind::ListSeparators => match_char(*expected, rest),
        };
        match found {
            Some(length) => position += length,
            None if is_truncated && index >= MIN_TRUNCATED_BYTES && (rest.is_empty() || is_truncated_escape(rest)) => {
                return Some(bytes.len());
            }
            None => return None,
        }
    }
    Some(position)
}

/// True if this may be the first part of an escape.
fn is_truncated_escape(rest: &[u8]) -> bool {
    rest.len() < 8 && matches!(rest[0], b'\\' | b'%' | b'&') && decode_escape(rest).is_none()
}

/// The length of the separators before the next expected character.
fn separators_len(separators: SeparatorKind, expected: u8, bytes: &[u8]) -> usize {
    match separators {
        SeparatorKind::None => 0,
        SeparatorKind::LineBreaks => span_len(bytes, |rest| char_len(rest, LINE_BREAK_BYTES)),
        SeparatorKind::ListSeparators => span_len(bytes, list_separator_len),
        SeparatorKind::RequiredCommas if expected == b',' => span_len(bytes, list_separator_len),
        SeparatorKind::RequiredCommas => 0,
    }
}

/// The length of one separator of a list of numbers, or 0.
fn list_separator_len(rest: &[u8]) -> usize {
    match rest {
        [b'0', b'x' | b'X', ..] => 2,
        _ => char_len(rest, LIST_SEPARATOR_BYTES),
    }
}

/// The length of one of the accepted characters, plain or escaped, or 0.
fn char_len(rest: &[u8], accepted: &[u8]) -> usize {
    let escape = || decode_escape(rest).filter(|(byte, _)| accepted.contains(byte)).map_or(0, |(_, length)| length);
    match rest {
        [b'\\', ..] => {
            let slashes = rest.iter().take(MAX_BACKSLASHES).take_while(|byte| **byte == b'\\').count();
            match rest.get(slashes) {
                Some(b'r' | b'n' | b't') => slashes + 1,
                _ => escape(),
            }
        }
        [b'%' | b'&', ..] => escape(),
        [byte, ..] if accepted.contains(byte) => 1,
        _ => 0,
    }
}

/// The total length of repeated matches of `step`, which returns 0 at the end.
fn span_len(bytes: &[u8], step: impl Fn(&[u8]) -> usize) -> usize {
    let mut position = 0;
    loop {
        match step(&bytes[position..]) {
            0 => return position,
            length => position += length,
        }
    }
}

/// The length of this character, plain or escaped.
fn match_char(expected: u8, bytes: &[u8]) -> Option<usize> {
    match bytes.first()? {
        // JSON always escapes a backslash, so try the escape first.
        b'\\' | b'%' | b'&' => match decode_escape(bytes) {
            Some((byte, length)) if byte.eq_ignore_ascii_case(&expected) => Some(length),
            _ => (bytes[0] == expected).then_some(1),
        },
        first => first.eq_ignore_ascii_case(&expected).then_some(1),
    }
}

/// Decodes an escape to its character and its length: `\u00XX`, `\u{XX}`, `\xXX` and `\c` with any
/// number of backslashes, for nested JSON; `%XX` and `%25XX`; `&#NN;`, `&#xXX;` and the names of
/// HTML.
fn decode_escape(bytes: &[u8]) -> Option<(u8, usize)> {
    match bytes.first()? {
        b'\\' => {
            let slashes = bytes.iter().take(MAX_BACKSLASHES).take_while(|byte| **byte == b'\\').count();
            let rest = &bytes[slashes..];
            match rest {
                [b'u' | b'U', b'0', b'0', digits @ ..] if parse_hex(digits, 2).is_some() => {
                    Some((parse_hex(digits, 2)?, slashes + 5))
                }
                [b'u', b'{', digits @ ..] if parse_terminated(digits, b'}', 16).is_some() => {
                    parse_terminated(digits, b'}', 16).map(|(byte, length)| (byte, slashes + 2 + length))
                }
                [b'x' | b'X', digits @ ..] if parse_hex(digits, 2).is_some() => {
                    Some((parse_hex(digits, 2)?, slashes + 3))
                }
                [] if slashes > 1 => Some((b'\\', 2)),
                [other, ..] => Some((*other, slashes + 1)),
                [] => None,
            }
        }
        b'%' => {
            let layers = span_len(&bytes[1..], |rest| if rest.starts_with(b"25") { 2 } else { 0 });
            // `%25` alone is an escaped percent sign.
            let nested = parse_hex(&bytes[1 + layers..], 2).map(|byte| (byte, layers + 3));
            nested.or_else(|| (layers > 0).then_some((b'%', 1 + layers)))
        }
        b'&' => {
            let rest = &bytes[1..];
            let names = [("amp;", b'&'), ("lt;", b'<'), ("gt;", b'>'), ("quot;", b'"'), ("apos;", b'\'')];
            match rest {
                [b'#', b'x' | b'X', digits @ ..] => {
                    parse_terminated(digits, b';', 16).map(|(byte, length)| (byte, length + 3))
                }
                [b'#', digits @ ..] => parse_terminated(digits, b';', 10).map(|(byte, length)| (byte, length + 2)),
                _ => names
                    .into_iter()
                    .find(|(name, _)| rest.starts_with(name.as_bytes()))
                    .map(|(name, byte)| (byte, name.len() + 1)),
            }
        }
        _ => None,
    }
}

/// Parses `count` hexadecimal digits.
fn parse_hex(digits: &[u8], count: usize) -> Option<u8> {
    let digits = digits.get(..count).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Parses the digits before `terminator`. Returns the byte, and the length with the terminator.
fn parse_terminated(digits: &[u8], terminator: u8, radix: u32) -> Option<(u8, usize)> {
    let length = digits.iter().take(9).position(|byte| *byte == terminator)?;
    let text = std::str::from_utf8(&digits[..length]).ok()?;
    let number = u32::from_str_radix(text, radix).ok()?;
    Some((u8::try_from(number).ok()?, length + 1))
}
