//! Secrets that are known, in the forms in which they come back: as they are, in capitals or not, in base64, hexadecimal or
//! as lists of numbers, each character of it as JSON, URLs or HTML may spell it, however deeply.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};

use crate::redact::prefilter::BytePairFilter;
use crate::redact::replacement::ByteReplacement;

/// Environment variables in which people keep keys of model providers and clouds. A gateway on the same machine may
/// well say one of them in an error.
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

/// This much of a secret, left over at the end of a cut body, is taken out as well.
const MIN_TRUNCATED_BYTES: usize = 4;

/// So many backslashes before a character are six layers of JSON. Without a bound, a body of nothing else would be read
/// again from each of them.
const MAX_BACKSLASHES: usize = 64;

/// What every escape begins with.
const ESCAPE_BYTES: [u8; 3] = *b"\\%&";

/// Less of a secret in base64 could be anything.
const MIN_BASE64_BYTES: usize = 10;

/// A way to write a secret.
struct SecretEncoding {
    bytes: SecretSlice<u8>,
    separators: SeparatorKind,
    marker: &'static str,
}

/// What may stand between two characters of a form.
#[derive(Clone, Copy)]
enum SeparatorKind {
    None,
    /// Line ends and indentation, as base64 is wrapped.
    LineBreaks,
    /// Whatever separates the numbers of a list.
    ListSeparators,
    /// The same, only where the form has a comma, and something must stand there: decimals are of any length.
    RequiredCommas,
}

/// Secrets to look for.
pub struct KnownSecrets {
    encodings: Vec<SecretEncoding>,
    /// Of each byte, the forms that begin with it.
    by_first_byte: Vec<Vec<usize>>,
    /// What a form may begin with, however it is written.
    prefilter: BytePairFilter,
}

impl KnownSecrets {
    /// These secrets, each with what is put into its place.
    pub fn new<'a>(secrets: impl Iterator<Item = (&'a SecretString, &'static str)>) -> Self {
        let forms: Vec<SecretEncoding> = secrets.flat_map(|(secret, label)| encode_secret(secret, label)).collect();
        let mut beginnings = vec![Vec::new(); 256];
        let mut pairs = BytePairFilter::empty();
        for (nth, form) in forms.iter().enumerate() {
            let [first, second, ..] = form.bytes.expose_secret() else { continue };
            beginnings[usize::from(first.to_ascii_lowercase())].push(nth);
            if first.is_ascii_lowercase() || first.is_ascii_uppercase() {
                beginnings[usize::from(first.to_ascii_uppercase())].push(nth);
            }
            pairs.add_any_case(*first, *second);
            let begins_gap = |byte: &u8| match form.separators {
                SeparatorKind::None => false,
                // No letter and no digit, but for the `0x` of numbers.
                SeparatorKind::LineBreaks | SeparatorKind::ListSeparators | SeparatorKind::RequiredCommas => {
                    !byte.is_ascii_alphanumeric() || *byte == b'0'
                }
            };
            (0..=255)
                .filter(|byte| ESCAPE_BYTES.contains(byte) || begins_gap(byte))
                .for_each(|byte| pairs.add_any_case(*first, byte));
        }
        if !forms.is_empty() {
            ESCAPE_BYTES.iter().for_each(|escape| (0..=255).for_each(|byte| pairs.add(*escape, byte)));
        }
        Self { encodings: forms, by_first_byte: beginnings, prefilter: pairs }
    }

    /// Every place in which one stands, in whatever form. They may overlap.
    pub fn find(&self, bytes: &[u8], cut: bool) -> Vec<ByteReplacement> {
        let mut places = Vec::new();
        if self.encodings.is_empty() {
            return places;
        }
        self.prefilter.for_each_candidate(bytes, |at| {
            let rest = &bytes[at..];
            let plainly = &self.by_first_byte[usize::from(bytes[at])];
            let escaped = match bytes[at] {
                b'\\' | b'%' | b'&' => {
                    decode_escape(rest).map_or(&[][..], |(byte, _)| &self.by_first_byte[usize::from(byte)][..])
                }
                _ => &[],
            };
            // One secret may be the beginning of another: the longest counts.
            let found = plainly.iter().chain(escaped).filter_map(|nth| {
                let form = &self.encodings[*nth];
                Some((match_len(form, rest, cut)?, form.marker))
            });
            if let Some((length, label)) = found.max_by_key(|(length, label)| (*length, label.len())) {
                places.push(ByteReplacement::new(at, at + length, label));
            }
        });
        places
    }
}

fn encode_secret(secret: &SecretString, label: &'static str) -> Vec<SecretEncoding> {
    let plain = secret.expose_secret().as_bytes();
    let mut forms: Vec<SecretEncoding> = Vec::new();
    let mut add =
        |bytes: Vec<u8>, gaps| forms.push(SecretEncoding { bytes: bytes.into(), separators: gaps, marker: label });
    add(plain.to_vec(), SeparatorKind::None);
    for before in 0..3 {
        let padded = Zeroizing::new([&[0; 2][..before.min(2)], plain].concat());
        // Whole groups of six bits that are the secret's alone.
        let (from, to) = ((before * 8).div_ceil(6), (before + plain.len()) * 8 / 6);
        let [standard, url_safe] =
            [STANDARD_NO_PAD.encode(&*padded), URL_SAFE_NO_PAD.encode(&*padded)].map(Zeroizing::new);
        for text in [Some(&standard), (standard != url_safe).then_some(&url_safe)].into_iter().flatten() {
            let inner = text.as_bytes().get(from..to).unwrap_or_default();
            if inner.len() >= MIN_BASE64_BYTES {
                add(inner.to_vec(), SeparatorKind::LineBreaks);
            }
        }
    }
    let written = |write: fn(&u8) -> String, between: &str| {
        let numbers: Vec<String> = plain.iter().map(write).collect();
        numbers.join(between).into_bytes()
    };
    add(written(|byte| format!("{byte:02x}"), ""), SeparatorKind::ListSeparators);
    add(written(u8::to_string, ","), SeparatorKind::RequiredCommas);
    // As UTF-16 has it, whichever of its two bytes comes first.
    add(plain.iter().flat_map(|byte| [*byte, 0]).take(plain.len() * 2 - 1).collect(), SeparatorKind::None);
    forms
}

/// How many bytes at the beginning of `bytes` are this form, however each of its characters is escaped. Where the bytes
/// were cut, the beginning of it at their end is enough.
fn match_len(form: &SecretEncoding, bytes: &[u8], cut: bool) -> Option<usize> {
    let mut at = 0;
    for (nth, wanted) in form.bytes.expose_secret().iter().enumerate() {
        let before = at;
        if nth > 0 {
            at += separators_len(form.separators, *wanted, &bytes[at..]);
        }
        let rest = &bytes[at..];
        let enough = cut && nth >= MIN_TRUNCATED_BYTES;
        let found = match form.separators {
            SeparatorKind::RequiredCommas if *wanted == b',' => (at > before).then_some(0),
            SeparatorKind::RequiredCommas
            | SeparatorKind::None
            | SeparatorKind::LineBreaks
            | SeparatorKind::ListSeparators => match_char(*wanted, rest),
        };
        match found {
            Some(length) => at += length,
            // The end, or an escape that was cut in its middle.
            None if enough && (rest.is_empty() || is_truncated_escape(rest)) => return Some(bytes.len()),
            None => return None,
        }
    }
    Some(at)
}

/// Whether this can be the beginning of an escape.
fn is_truncated_escape(rest: &[u8]) -> bool {
    rest.len() < 8 && matches!(rest[0], b'\\' | b'%' | b'&') && decode_escape(rest).is_none()
}

/// How many bytes stand between one character and the next that is wanted.
fn separators_len(gaps: SeparatorKind, wanted: u8, bytes: &[u8]) -> usize {
    match gaps {
        SeparatorKind::None => 0,
        SeparatorKind::LineBreaks => span_len(bytes, |rest| spelled_char_len(rest, |byte| b" \t\r\n".contains(&byte))),
        SeparatorKind::ListSeparators => span_len(bytes, list_separator_len),
        SeparatorKind::RequiredCommas if wanted == b',' => span_len(bytes, list_separator_len),
        SeparatorKind::RequiredCommas => 0,
    }
}

/// How many bytes are one separator of a list of numbers.
fn list_separator_len(rest: &[u8]) -> usize {
    match rest {
        [b'0', b'x' | b'X', ..] => 2,
        _ => spelled_char_len(rest, |byte| b" \t\r\n,;:-_\"'".contains(&byte)),
    }
}

/// How many bytes spell one of the characters that are meant: itself, or an escape.
fn spelled_char_len(rest: &[u8], is_meant: impl Fn(u8) -> bool) -> usize {
    let escape = || decode_escape(rest).filter(|(byte, _)| is_meant(*byte)).map_or(0, |(_, length)| length);
    match rest {
        [b'\\', ..] => {
            let slashes = rest.iter().take(MAX_BACKSLASHES).take_while(|byte| **byte == b'\\').count();
            match rest.get(slashes) {
                Some(b'r' | b'n' | b't') => slashes + 1,
                _ => escape(),
            }
        }
        [b'%' | b'&', ..] => escape(),
        [byte, ..] if is_meant(*byte) => 1,
        _ => 0,
    }
}

fn span_len(bytes: &[u8], step: impl Fn(&[u8]) -> usize) -> usize {
    let mut at = 0;
    loop {
        match step(&bytes[at..]) {
            0 => return at,
            length => at += length,
        }
    }
}

/// How many bytes spell this character: itself, or an escape.
fn match_char(wanted: u8, bytes: &[u8]) -> Option<usize> {
    match bytes.first()? {
        // The backslash itself is always escaped in JSON, so the longer spelling goes first.
        b'\\' | b'%' | b'&' => match decode_escape(bytes) {
            Some((byte, length)) if byte.eq_ignore_ascii_case(&wanted) => Some(length),
            _ => (bytes[0] == wanted).then_some(1),
        },
        first => first.eq_ignore_ascii_case(&wanted).then_some(1),
    }
}

/// The character that an escape stands for, and the escape's length: `\u00XX`, `\u{XX}`, `\xXX` and `\c`, with as many
/// backslashes as there are layers of JSON around it; `%XX`, `%25XX`; `&#NN;`, `&#xXX;` and HTML's names.
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
            // A percent sign of one's own is spelled `%25`.
            let deep = parse_hex(&bytes[1 + layers..], 2).map(|byte| (byte, layers + 3));
            deep.or_else(|| (layers > 0).then_some((b'%', 1 + layers)))
        }
        b'&' => {
            let rest = &bytes[1..];
            let named = [("amp;", b'&'), ("lt;", b'<'), ("gt;", b'>'), ("quot;", b'"'), ("apos;", b'\'')];
            match rest {
                [b'#', b'x' | b'X', digits @ ..] => {
                    parse_terminated(digits, b';', 16).map(|(byte, length)| (byte, length + 3))
                }
                [b'#', digits @ ..] => parse_terminated(digits, b';', 10).map(|(byte, length)| (byte, length + 2)),
                _ => named
                    .into_iter()
                    .find(|(name, _)| rest.starts_with(name.as_bytes()))
                    .map(|(name, byte)| (byte, name.len() + 1)),
            }
        }
        _ => None,
    }
}

/// The byte that so many hexadecimal digits give.
fn parse_hex(digits: &[u8], count: usize) -> Option<u8> {
    let digits = digits.get(..count).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// The byte that the digits before `end` give, and their length with it.
fn parse_terminated(digits: &[u8], end: u8, radix: u32) -> Option<(u8, usize)> {
    let length = digits.iter().take(9).position(|byte| *byte == end)?;
    let text = std::str::from_utf8(&digits[..length]).ok()?;
    let number = u32::from_str_radix(text, radix).ok()?;
    Some((u8::try_from(number).ok()?, length + 1))
}
