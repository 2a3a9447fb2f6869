//! [`KnownSecrets`]: finds known secrets in every encoding: as they are, in any case, in base64,
//! hexadecimal or as lists of numbers.
//!
//! One automaton contains all encodings of all secrets. It reads the text as it is, the text without
//! escapes ([`NormalizedText`]), and this text without separators, each one time.

use std::collections::HashMap;
use std::ops::Range;

use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, PatternID};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};

use crate::redact::normalized_text::{NormalizedText, decode_escapes};
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

/// A shorter base64 text could match by chance.
const MIN_BASE64_BYTES: usize = 10;

/// A shorter decoded secret could match by chance.
const MIN_DECODED_BYTES: usize = 7;

/// Separates two parts of a text. It occurs in no secret.
const BREAK_BYTE: u8 = 0xff;

const LINE_BREAK_BYTES: &[u8] = b" \t\r\n";

const LIST_SEPARATOR_BYTES: &[u8] = b" \t\r\n,;:-_\"'";

/// How a pattern encodes a secret, which decides what may be between its characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SecretEncoding {
    /// The secret itself. Also for lists of decimal numbers, which are decoded.
    Plain,
    /// Line breaks and indentation may be between its characters.
    Base64,
    /// The separators of a list of numbers may be between its characters.
    Hexadecimal,
}

/// The secrets to search for, in all their encodings.
pub struct KnownSecrets {
    automaton: NFA,
    /// The encoding and the marker of each pattern.
    patterns: Vec<(SecretEncoding, &'static str)>,
    /// The number of characters that a state has matched of a pattern, and the marker.
    matched_prefixes: HashMap<StateID, (usize, &'static str)>,
    start_state: StateID,
    /// True for the first bytes of patterns, and for digits, which may stand for such a byte.
    is_relevant: [bool; 256],
    max_pattern_len: usize,
}

impl KnownSecrets {
    /// Searches for these secrets. Each has its marker.
    #[expect(clippy::expect_used, reason = "an automaton of some hundred short texts is not too large")]
    pub fn new<'a>(secrets: impl Iterator<Item = (&'a SecretString, &'static str)>) -> Self {
        let mut texts: Vec<Zeroizing<Vec<u8>>> = Vec::new();
        let mut patterns = Vec::new();
        for (secret, marker) in secrets {
            for (encoding, text) in encode_secret(secret) {
                texts.push(text);
                patterns.push((encoding, marker));
            }
        }
        let automaton = NFA::builder().ascii_case_insensitive(true).build(texts.iter().map(|text| text.as_slice()));
        let automaton = automaton.expect("an automaton of short patterns");
        let start_state = automaton.start_state(Anchored::No).expect("the start of an unanchored search");
        let mut matched_prefixes = HashMap::new();
        for (text, (_, marker)) in texts.iter().zip(&patterns) {
            let mut state = start_state;
            for (index, byte) in text.iter().enumerate() {
                state = automaton.next_state(Anchored::No, state, *byte);
                matched_prefixes.insert(state, (index + 1, *marker));
            }
        }
        let max_pattern_len = texts.iter().map(|text| text.len()).max().unwrap_or(0);
        let mut is_relevant: [bool; 256] = std::array::from_fn(|byte| (byte as u8).is_ascii_digit());
        for byte in texts.iter().filter_map(|text| text.first()) {
            is_relevant[usize::from(byte.to_ascii_lowercase())] = true;
            is_relevant[usize::from(byte.to_ascii_uppercase())] = true;
        }
        Self { automaton, patterns, matched_prefixes, start_state, is_relevant, max_pattern_len }
    }

    /// True if there is nothing to search for.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Finds every secret in a text without escapes, in every encoding. The replacements are ranges
    /// of the original and may overlap. Adds the steps of the search to `steps`.
    pub fn find_encoded(&self, text: &NormalizedText, is_truncated: bool, steps: &mut u64) -> Vec<ByteReplacement> {
        let end = if is_truncated { text.settled_len } else { text.bytes.len() };
        let bytes = &text.bytes[..end];
        let mut scans = EncodingScans::new(self);
        let mut is_idle = true;
        for (index, byte) in bytes.iter().enumerate() {
            if is_idle && !self.is_relevant[usize::from(*byte)] {
                continue;
            }
            scans.push(bytes, index, text);
            is_idle = scans.are_idle();
        }
        *steps += bytes.len() as u64;
        // The end of a truncated text may truncate the last number.
        if !is_truncated {
            scans.push_number(bytes.len(), text);
        }
        scans.finish(is_truncated.then_some(text.original_end), steps)
    }

    /// Finds every secret that the parts of a body contain as it is.
    pub fn find_plain(
        &self,
        body: &[u8],
        parts: &[Range<usize>],
        is_truncated: bool,
        steps: &mut u64,
    ) -> Vec<ByteReplacement> {
        let mut scan = SecretScan::new(self, SecretEncoding::Plain);
        for position in parts.iter().cloned().flatten() {
            scan.push(body[position], (position as u32, position as u32 + 1));
        }
        scan.finish(parts.last().filter(|_| is_truncated).map(|part| part.end), steps)
    }
}

/// The passes over one text, one for each encoding.
struct EncodingScans<'a> {
    plain: SecretScan<'a>,
    base64: SecretScan<'a>,
    hexadecimal: SecretScan<'a>,
    /// Reads the bytes that the numbers of a list stand for.
    decimal: SecretScan<'a>,
    /// The value and the start of the number that is being read.
    number: Option<(u32, usize)>,
}

impl<'a> EncodingScans<'a> {
    fn new(secrets: &'a KnownSecrets) -> Self {
        let [plain, decimal] = [(); 2].map(|()| SecretScan::new(secrets, SecretEncoding::Plain));
        let base64 = SecretScan::new(secrets, SecretEncoding::Base64);
        Self {
            plain,
            base64,
            hexadecimal: SecretScan::new(secrets, SecretEncoding::Hexadecimal),
            decimal,
            number: None,
        }
    }

    /// True if no pass is inside a pattern.
    fn are_idle(&self) -> bool {
        let scans = [&self.plain, &self.base64, &self.hexadecimal, &self.decimal];
        self.number.is_none() && scans.into_iter().all(SecretScan::is_idle)
    }

    fn push(&mut self, bytes: &[u8], index: usize, text: &NormalizedText) {
        let byte = bytes[index];
        let range = text.original_range(index);
        let is_separator = LIST_SEPARATOR_BYTES.contains(&byte);
        self.plain.push(byte, range);
        if !LINE_BREAK_BYTES.contains(&byte) {
            self.base64.push(byte, range);
        }
        // The `0x` of a number separates, too.
        let is_prefix = byte == b'0' && matches!(bytes.get(index + 1), Some(b'x' | b'X'));
        let is_prefix_end = matches!(byte, b'x' | b'X') && index > 0 && bytes[index - 1] == b'0';
        match byte {
            _ if is_prefix || is_prefix_end || is_separator => {}
            _ if byte.is_ascii_hexdigit() => self.hexadecimal.push(byte, range),
            _ => self.hexadecimal.push_break(),
        }
        if byte.is_ascii_digit() {
            let (value, start) = self.number.unwrap_or((0, index));
            self.number = Some((value.saturating_mul(10).saturating_add(u32::from(byte - b'0')), start));
            return;
        }
        self.push_number(index, text);
        if !is_separator {
            self.decimal.push_break();
        }
    }

    /// Reads the byte of a number that ends here. A larger number separates.
    fn push_number(&mut self, end: usize, text: &NormalizedText) {
        let Some((value, start)) = self.number.take() else { return };
        match u8::try_from(value) {
            Ok(byte) => self.decimal.push(byte, (text.original_range(start).0, text.original_range(end - 1).1)),
            Err(_) => self.decimal.push_break(),
        }
    }

    fn finish(self, truncated_at: Option<usize>, steps: &mut u64) -> Vec<ByteReplacement> {
        let scans = [self.plain, self.base64, self.hexadecimal, self.decimal].into_iter();
        scans.flat_map(|scan| scan.finish(truncated_at, steps)).collect()
    }
}

/// One pass of the automaton over a text.
struct SecretScan<'a> {
    secrets: &'a KnownSecrets,
    encoding: SecretEncoding,
    state: StateID,
    /// The original starts of the last characters that may belong to a match, in a ring.
    starts: Vec<u32>,
    /// The number of these characters.
    pushed: usize,
    found: Vec<ByteReplacement>,
}

impl<'a> SecretScan<'a> {
    fn new(secrets: &'a KnownSecrets, encoding: SecretEncoding) -> Self {
        let starts = vec![0; secrets.max_pattern_len.next_power_of_two()];
        Self { secrets, encoding, state: secrets.start_state, starts, pushed: 0, found: Vec::new() }
    }

    fn push(&mut self, byte: u8, (start, end): (u32, u32)) {
        if self.is_idle() && !self.secrets.is_relevant[usize::from(byte)] {
            return;
        }
        let mask = self.starts.len() - 1;
        self.starts[self.pushed & mask] = start;
        self.pushed += 1;
        let automaton = &self.secrets.automaton;
        self.state = automaton.next_state(Anchored::No, self.state, byte);
        if !automaton.is_match(self.state) {
            return;
        }
        for index in 0..automaton.match_len(self.state) {
            let pattern: PatternID = automaton.match_pattern(self.state, index);
            let (encoding, marker) = self.secrets.patterns[pattern.as_usize()];
            if encoding == self.encoding {
                let start = self.starts[(self.pushed - automaton.pattern_len(pattern)) & mask];
                self.found.push(ByteReplacement::new(start as usize, end as usize, marker));
            }
        }
    }

    fn push_break(&mut self) {
        if !self.is_idle() {
            self.push(BREAK_BYTE, (0, 0));
        }
    }

    /// True if the last characters are not the start of a pattern.
    fn is_idle(&self) -> bool {
        self.state == self.secrets.start_state
    }

    /// Everything that the pass found. At the end of a truncated text, the first part of a secret
    /// is enough.
    fn finish(mut self, truncated_at: Option<usize>, steps: &mut u64) -> Vec<ByteReplacement> {
        *steps += (self.pushed + self.found.len()) as u64;
        let matched = self.secrets.matched_prefixes.get(&self.state);
        if let (Some(end), Some((length, marker))) = (truncated_at, matched)
            && *length >= MIN_TRUNCATED_BYTES
        {
            let start = self.starts[(self.pushed - length) & (self.starts.len() - 1)];
            self.found.push(ByteReplacement::new(start as usize, end, marker));
        }
        self.found
    }
}

fn encode_secret(secret: &SecretString) -> Vec<(SecretEncoding, Zeroizing<Vec<u8>>)> {
    let plain = secret.expose_secret().as_bytes();
    let mut encodings: Vec<(SecretEncoding, Zeroizing<Vec<u8>>)> = Vec::new();
    let mut add = |encoding, text: Vec<u8>| {
        let text = Zeroizing::new(text);
        if !encodings.contains(&(encoding, text.clone())) {
            encodings.push((encoding, text));
        }
    };
    add(SecretEncoding::Plain, plain.to_vec());
    // A secret may contain escapes, and the text before it may end with the start of an escape.
    for before in ["", "\\", "%"] {
        let decoded = decode_escapes(&[before.as_bytes(), plain].concat());
        if decoded.len() >= MIN_DECODED_BYTES && decoded != [before.as_bytes(), plain].concat() {
            add(SecretEncoding::Plain, decoded);
        }
    }
    for offset in 0..3 {
        let padded = Zeroizing::new([&[0; 2][..offset.min(2)], plain].concat());
        // The base64 characters whose six bits are all from the secret.
        let (start, end) = ((offset * 8).div_ceil(6), (offset + plain.len()) * 8 / 6);
        for text in [STANDARD_NO_PAD.encode(&*padded), URL_SAFE_NO_PAD.encode(&*padded)].map(Zeroizing::new) {
            let inner = text.as_bytes().get(start..end).unwrap_or_default();
            if inner.len() >= MIN_BASE64_BYTES {
                add(SecretEncoding::Base64, inner.to_vec());
            }
        }
    }
    add(SecretEncoding::Hexadecimal, plain.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect());
    encodings
}
