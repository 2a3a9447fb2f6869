//! Secrets that are known: found byte for byte, as JSON and URLs escape them, and in base64.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret as _, SecretString};

use super::edit::Edit;

/// Environment variables in which people keep keys of model providers and clouds. A gateway on the same machine may
/// well say one of them in an error.
pub const VARIABLES: [&str; 34] = [
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
const SHORTEST_REST: usize = 4;

/// Less of a secret in base64 could be anything.
const SHORTEST_BASE64: usize = 10;

/// A secret in the forms in which it may come back.
pub struct Known {
    secret: SecretString,
    /// What of its base64 does not depend on what stands before and after it.
    encoded: Vec<SecretString>,
    label: &'static str,
}

impl Known {
    pub fn new(secret: &SecretString, label: &'static str) -> Self {
        let plain = secret.expose_secret().as_bytes();
        let mut encoded = Vec::new();
        for before in 0..3 {
            let padded = [&[0; 2][..before.min(2)], plain].concat();
            // Whole groups of six bits that are the secret's alone.
            let (from, to) = ((before * 8).div_ceil(6), (before + plain.len()) * 8 / 6);
            for text in [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
                let inner = text.get(from..to).unwrap_or_default().to_owned();
                if inner.len() >= SHORTEST_BASE64 {
                    encoded.push(SecretString::from(inner));
                }
            }
        }
        Self { secret: secret.clone(), encoded, label }
    }

    /// Every place in which it stands, in whatever form.
    pub fn places(&self, bytes: &[u8], cut: bool) -> Vec<Edit> {
        let forms: Vec<&[u8]> =
            std::iter::once(&self.secret).chain(&self.encoded).map(|s| s.expose_secret().as_bytes()).collect();
        let mut may_begin = [false; 256];
        forms.iter().filter_map(|form| form.first()).for_each(|first| may_begin[usize::from(*first)] = true);
        // An escaped first character.
        may_begin[usize::from(b'\\')] = true;
        may_begin[usize::from(b'%')] = true;
        let mut places = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let length = match may_begin[usize::from(bytes[at])] {
                true => forms.iter().find_map(|form| matched(form, &bytes[at..], cut)),
                false => None,
            };
            match length {
                Some(length) => {
                    places.push(Edit::new(at, at + length, self.label));
                    at += length;
                }
                None => at += 1,
            }
        }
        places
    }
}

/// How many bytes at the beginning of `bytes` are this text, however each of its characters is escaped. Where the bytes
/// were cut, the beginning of the text at their end is enough.
fn matched(text: &[u8], bytes: &[u8], cut: bool) -> Option<usize> {
    let mut at = 0;
    for (nth, wanted) in text.iter().enumerate() {
        let rest = &bytes[at..];
        if rest.is_empty() {
            return (cut && nth >= SHORTEST_REST).then_some(at);
        }
        at += one(*wanted, rest)?;
    }
    Some(at)
}

/// How many bytes spell this character: itself, `\c`, `\u00XX` or `%XX`.
fn one(wanted: u8, bytes: &[u8]) -> Option<usize> {
    let hex = |digits: Option<&[u8]>| {
        let digits = std::str::from_utf8(digits?).ok()?;
        u8::from_str_radix(digits, 16).ok().filter(|byte| *byte == wanted)
    };
    // The backslash itself is always escaped in JSON, so the longer spellings go first.
    match bytes {
        [b'\\', b'u', b'0', b'0', ..] if hex(bytes.get(4..6)).is_some() => Some(6),
        [b'\\', next, ..] if *next == wanted => Some(2),
        [b'%', ..] if hex(bytes.get(1..3)).is_some() => Some(3),
        [first, ..] if *first == wanted => Some(1),
        _ => None,
    }
}
