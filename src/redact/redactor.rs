//! [`SecretRedactor`]: removes secrets from everything that a server returns.
//!
//! A server may echo a credential in a header, a body or an error text. A gateway may show the key
//! of its upstream. Known secrets (the credential, keys in the environment) are replaced in every
//! encoding, at the end of a truncated body, and split over the events of a stream. Text that looks
//! like a key is replaced too. This module must not know the requests: their texts are not secrets.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};

use crate::redact::compressed;
use crate::redact::known_secrets::KnownSecrets;
use crate::redact::protocol_words::is_protocol_word;
use crate::redact::replacement::{ByteReplacement, replace_in_body, replace_text};
use crate::redact::secret_search::{KeyPatterns, MIN_SECRET_BYTES, SecretSearch};
use crate::wire::assemble::parse_stream;
use crate::wire::exchange::SECRET_PLACEHOLDER;

/// Replaces the credential.
const CREDENTIAL_MARKER: &str = "<credential>";

/// After this number of searches that found another secret, the whole body is removed.
const MAX_SEARCHES: usize = 4;

/// Removes known secrets, and text that looks like a key.
pub struct SecretRedactor {
    known_secrets: KnownSecrets,
}

impl fmt::Debug for SecretRedactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretRedactor").finish_non_exhaustive()
    }
}

impl SecretRedactor {
    /// A redactor for the credential and for other secrets that a server may know.
    pub fn new(credential: Option<&SecretString>, others: &[SecretString]) -> Self {
        let credential = credential.into_iter().map(|secret| (secret, CREDENTIAL_MARKER));
        let secrets = credential.chain(others.iter().map(|secret| (secret, SECRET_PLACEHOLDER)));
        let is_in_marker = |text: &str| CREDENTIAL_MARKER.contains(&text.to_ascii_lowercase());
        let is_secret = |text: &str| text.len() >= MIN_SECRET_BYTES && !is_protocol_word(text) && !is_in_marker(text);
        Self { known_secrets: KnownSecrets::new(secrets.filter(|(secret, _)| is_secret(secret.expose_secret()))) }
    }

    /// Removes secrets from a text.
    pub fn redact_text(&self, text: String) -> String {
        let secrets = SecretSearch::new(&self.known_secrets, text.as_bytes(), false).find_in_text(KeyPatterns::Find);
        replace_text(text, &secrets)
    }

    /// Removes known secrets from a text, and keeps text that only looks like a key.
    pub fn redact_known(&self, text: String) -> String {
        let secrets = SecretSearch::new(&self.known_secrets, text.as_bytes(), false).find_in_text(KeyPatterns::Keep);
        replace_text(text, &secrets)
    }

    /// True if a text contains a secret.
    pub(super) fn has_secret(&self, text: &[u8]) -> bool {
        !SecretSearch::new(&self.known_secrets, text, false).find_in_text(KeyPatterns::Find).is_empty()
    }

    /// Removes secrets from a body, and adapts the sizes in `chunk_arrivals` to the new body. A
    /// truncated body may end in the middle of a secret.
    pub fn redact_body(&self, body: Vec<u8>, chunk_arrivals: &mut [(u64, u64)], is_truncated: bool) -> Vec<u8> {
        let mut body = body;
        let mut key_patterns = KeyPatterns::Find;
        // A replacement may join the parts of another secret, so search again.
        for _ in 0..MAX_SEARCHES {
            let secrets = SecretSearch::new(&self.known_secrets, &body, is_truncated).find_in_body(key_patterns);
            if secrets.is_empty() {
                if self.assembles_secret(&body) {
                    break;
                }
                return body;
            }
            body = replace_in_body(body, &secrets, chunk_arrivals);
            key_patterns = KeyPatterns::Keep;
        }
        let everything = [ByteReplacement::new(0, body.len(), SECRET_PLACEHOLDER)];
        replace_in_body(body, &everything, chunk_arrivals)
    }

    /// True if the message that the decoder of the protocol assembles contains a secret: the server
    /// may have put other strings between its parts, which this decoder ignores.
    fn assembles_secret(&self, body: &[u8]) -> bool {
        if self.known_secrets.is_empty() || memchr::memmem::find(body, b"content_block").is_none() {
            return false;
        }
        let message = parse_stream(body, false, &mut ()).message;
        message.is_some_and(|message| {
            let text = message.to_string();
            !SecretSearch::new(&self.known_secrets, text.as_bytes(), false).find_in_text(KeyPatterns::Keep).is_empty()
        })
    }

    /// The steps of one search in a body.
    #[cfg(test)]
    pub(in crate::redact) fn count_steps(&self, body: &[u8], is_truncated: bool) -> u64 {
        let mut search = SecretSearch::new(&self.known_secrets, body, is_truncated);
        search.search_body(KeyPatterns::Find);
        search.steps
    }

    /// Removes a compressed body completely if it contains a secret or cannot be decompressed,
    /// because a part of it cannot be replaced. `encodings` is the value of the header.
    pub(crate) fn redact_compressed(
        &self,
        encodings: &str,
        body: Vec<u8>,
        chunk_arrivals: &mut [(u64, u64)],
    ) -> Vec<u8> {
        if compressed::is_uncompressed(encodings, &body) {
            return body;
        }
        let has_secret = |plain: &[u8]| {
            let search = SecretSearch::new(&self.known_secrets, plain, true);
            !search.find_in_body(KeyPatterns::Find).is_empty()
        };
        let marker = match compressed::search_layers(encodings, &body, has_secret) {
            None => compressed::UNREADABLE_BODY_MARKER,
            Some(true) => SECRET_PLACEHOLDER,
            Some(false) => return body,
        };
        let replacement = [ByteReplacement::new(0, body.len(), marker)];
        replace_in_body(body, &replacement, chunk_arrivals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_redactor(credential: &str) -> SecretRedactor {
        SecretRedactor::new(Some(&credential.into()), &[])
    }

    fn redact_string(redactor: &SecretRedactor, body: &str) -> String {
        let mut chunk_arrivals = [(0, body.len() as u64)];
        let redacted = redactor.redact_body(body.as_bytes().to_vec(), &mut chunk_arrivals, false);
        assert_eq!(chunk_arrivals[0].1, redacted.len() as u64);
        String::from_utf8(redacted).unwrap()
    }

    #[test]
    fn the_credential_is_replaced_everywhere() {
        let redactor = new_redactor("sk-12345678");
        assert_eq!(
            redactor.redact_text("bad key sk-12345678 (sk-12345678)".into()),
            "bad key <credential> (<credential>)"
        );
        assert_eq!(redactor.redact_text("bad key sk-1234567".into()), "bad key sk-1234567");
        assert_eq!(redactor.redact_body(b"\xff sk-12345678\xfe".to_vec(), &mut [], false), b"\xff <credential>\xfe");
    }

    #[test]
    fn the_escaped_credential_is_replaced() {
        assert_eq!(
            new_redactor(r#"sk/1"23456"#).redact_text(r#"{"k":"sk/1\"23456"}"#.into()),
            r#"{"k":"<credential>"}"#
        );
        assert_eq!(new_redactor("sk/1234567").redact_text(r#"{"k":"sk\/1234567"}"#.into()), r#"{"k":"<credential>"}"#);
        assert_eq!(
            new_redactor("sk+1234567=").redact_text(r#"{"k":"sk\u002B1234567\u003d"}"#.into()),
            r#"{"k":"<credential>"}"#
        );
        assert_eq!(
            new_redactor("sk+1234567=").redact_text("https://h/?k=sk%2b1234567%3D&x".into()),
            "https://h/?k=<credential>&x"
        );
    }

    #[test]
    fn every_encoding_of_the_credential_is_replaced() {
        let redactor = new_redactor("sk-Cana/ry+12");
        let each = |format: &dyn Fn(u8) -> String| "sk-Cana/ry+12".bytes().map(format).collect::<String>();
        let list = |numbers: String| numbers.trim_end_matches([',', ' ', ':']).to_owned();
        for text in [
            "SK-cANA/RY+12".to_owned(),
            each(&|b| format!("\\u{b:04x}")),
            each(&|b| format!("\\\\u{b:04X}")),
            each(&|b| format!("\\u{{{b:x}}}")),
            each(&|b| format!("\\x{b:02x}")),
            each(&|b| format!("%{b:02X}")),
            each(&|b| format!("%25{b:02x}")),
            each(&|b| format!("&#{b};")),
            each(&|b| format!("&#x{b:X};")),
            each(&|b| format!("{b:02x}")),
            each(&|b| format!("{b:02X}")),
            list(each(&|b| format!("{b:02x} "))),
            list(each(&|b| format!("0x{b:02x}, "))),
            list(each(&|b| format!("{b:02x}:"))),
            list(each(&|b| format!("{b},"))),
            list(each(&|b| format!("{b}, "))),
            r"sk-Cana\/ry+12".to_owned(),
            r"sk-Cana\\\/ry+12".to_owned(),
        ] {
            let redacted = redactor.redact_text(format!("[{text}]"));
            // The first `0x` of a list remains.
            assert_eq!(redacted.replace("0x", ""), "[<credential>]", "{text}");
        }
        let utf_16: Vec<u8> = "sk-Cana/ry+12".bytes().flat_map(|b| [0, b]).collect();
        assert_eq!(redactor.redact_body(utf_16, &mut [], false), b"\0<credential>");
        let wrapped = "c2stQ2Fu\r\nYS9yeSsx\nMg==";
        assert!(redactor.redact_text(wrapped.into()).contains(CREDENTIAL_MARKER));
    }

    #[test]
    fn the_credential_in_base64_is_replaced_at_every_offset() {
        use base64::Engine as _;
        let credential = "canary-of-a-credential-1";
        for before in ["", "u", "ur", "user:", "Bearer "] {
            for after in ["", "!", "!!"] {
                let text = base64::engine::general_purpose::STANDARD.encode(format!("{before}{credential}{after}"));
                let redacted = new_redactor(credential).redact_text(format!("seen {text} here"));
                assert!(redacted.contains(CREDENTIAL_MARKER), "{before}{after}: {redacted}");
                // Only the characters that share bits with other text remain.
                let remaining = redacted.replace(CREDENTIAL_MARKER, "").len();
                assert!(remaining <= "seen  here".len() + (before.len() + after.len()) * 2 + 8, "{redacted}");
            }
        }
    }

    #[test]
    fn protocol_words_are_not_replaced() {
        let message = r#"{"type":"message","role":"assistant","content":[{"type":"tool_use"}]}"#;
        for word in ["assistant", "Assistant", "tool_use"] {
            assert_eq!(redact_string(&new_redactor(word), message), message);
        }
        assert_eq!(redact_string(&new_redactor("assistants"), r#"{"a":"assistants"}"#), r#"{"a":"<credential>"}"#);
    }

    #[test]
    fn a_prefix_of_the_credential_is_replaced_only_in_a_truncated_body() {
        let redactor = new_redactor("sk-12345678");
        assert_eq!(redactor.redact_body(b"key sk-1234".to_vec(), &mut [], true), b"key <credential>");
        assert_eq!(redactor.redact_body(b"key sk-1234".to_vec(), &mut [], false), b"key sk-1234");
        assert_eq!(redactor.redact_body(b"key sk-".to_vec(), &mut [], true), b"key sk-");
    }

    #[test]
    fn chunk_sizes_add_up_to_the_redacted_body() {
        let body = b"ab sk-12345678 cd sk-12345678";
        for pieces in [vec![29], vec![3, 11, 15], vec![5, 5, 5, 14], vec![1; 29]] {
            let mut chunk_arrivals: Vec<(u64, u64)> = pieces.iter().map(|p| (0, *p)).collect();
            let redacted = new_redactor("sk-12345678").redact_body(body.to_vec(), &mut chunk_arrivals, false);
            assert_eq!(redacted, b"ab <credential> cd <credential>");
            assert_eq!(
                chunk_arrivals.iter().map(|a| a.1).sum::<u64>(),
                redacted.len() as u64,
                "{pieces:?}: {chunk_arrivals:?}"
            );
        }
        let mut chunk_arrivals = [(0, 3), (1, 12), (2, 14)];
        new_redactor("sk-12345678").redact_body(body.to_vec(), &mut chunk_arrivals, false);
        assert_eq!(chunk_arrivals, [(0, 3), (1, 13), (2, 15)], "the end of a chunk between two credentials moves");
    }

    #[test]
    fn a_credential_split_over_events_is_replaced() {
        let delta = |text: &str| {
            format!(
                "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":{}}}}}\n\n",
                serde_json::to_string(text).unwrap()
            )
        };
        let redactor = new_redactor("sk-12345678-abcdef");
        for parts in [vec!["it is sk-1234", "5678-abcdef, yes"], vec!["sk", "-", "12345678", "-abc", "def"]] {
            let stream: String = parts.iter().map(|part| delta(part)).collect();
            let redacted = redact_string(&redactor, &stream);
            let texts: Vec<String> = redacted
                .lines()
                .filter_map(|line| line.strip_prefix("data: "))
                .map(|data| {
                    serde_json::from_str::<serde_json::Value>(data).unwrap()["delta"]["text"]
                        .as_str()
                        .unwrap()
                        .to_owned()
                })
                .collect();
            assert_eq!(texts.len(), parts.len(), "all events remain");
            assert_eq!(texts.concat(), parts.concat().replace("sk-12345678-abcdef", CREDENTIAL_MARKER));
        }
        // Other events remain byte for byte.
        let plain = delta("hello").replace("\":", "\" : ");
        assert_eq!(redact_string(&redactor, &plain), plain);
    }

    #[test]
    fn a_compressed_body_with_a_secret_is_removed() {
        use std::io::Write as _;
        let redactor = new_redactor("sk-12345678");
        for (text, is_kept) in [("hello sk-12345678", false), ("hello", true)] {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            gzip.write_all(text.as_bytes()).unwrap();
            let compressed_body = gzip.finish().unwrap();
            let mut chunk_arrivals = [(0, compressed_body.len() as u64)];
            let kept = redactor.redact_compressed("gzip", compressed_body.clone(), &mut chunk_arrivals);
            assert_eq!(kept, if is_kept { compressed_body } else { SECRET_PLACEHOLDER.as_bytes().to_vec() });
            assert_eq!(chunk_arrivals[0].1, kept.len() as u64);
        }
        assert_eq!(redactor.redact_compressed("gzip", b"no gzip".to_vec(), &mut []), b"no gzip");
        // Other encodings cannot be decompressed here.
        for encoding in ["br", "zstd", "gzip, br"] {
            assert_eq!(
                redactor.redact_compressed(encoding, b"anything".to_vec(), &mut []),
                compressed::UNREADABLE_BODY_MARKER.as_bytes()
            );
        }
        assert_eq!(redactor.redact_compressed("identity", b"anything".to_vec(), &mut []), b"anything");
    }

    #[test]
    fn nested_and_unannounced_compression_is_inspected() {
        use std::io::Write as _;

        use flate2::Compression;
        type CompressFn = fn(&[u8]) -> Vec<u8>;
        let gzip: CompressFn = |bytes| {
            let mut compressed_body = flate2::write::GzEncoder::new(Vec::new(), Compression::default());
            compressed_body.write_all(bytes).unwrap();
            compressed_body.finish().unwrap()
        };
        let zlib: CompressFn = |bytes| {
            let mut compressed_body = flate2::write::ZlibEncoder::new(Vec::new(), Compression::default());
            compressed_body.write_all(bytes).unwrap();
            compressed_body.finish().unwrap()
        };
        let raw: CompressFn = |bytes| {
            let mut compressed_body = flate2::write::DeflateEncoder::new(Vec::new(), Compression::default());
            compressed_body.write_all(bytes).unwrap();
            compressed_body.finish().unwrap()
        };
        let redactor = new_redactor("sk-12345678");
        let kept = |header: &str, body: Vec<u8>| redactor.redact_compressed(header, body, &mut []);
        let layers: [(&str, &[CompressFn]); 9] = [
            ("gzip", &[gzip, gzip]),
            ("gzip", &[gzip, gzip, gzip, gzip]),
            ("", &[gzip]),
            ("", &[zlib]),
            ("", &[raw]),
            ("identity", &[gzip, zlib]),
            ("deflate", &[gzip]),
            ("gzip", &[raw]),
            ("gzip, deflate", &[zlib, gzip, raw]),
        ];
        for (header, compressors) in layers {
            let compress =
                |text: &str| compressors.iter().fold(text.as_bytes().to_vec(), |bytes, compress| compress(&bytes));
            let body = compress("hello, this is sk-12345678");
            assert_eq!(kept(header, body), SECRET_PLACEHOLDER.as_bytes(), "{header:?}, {} layers", compressors.len());
            let body = compress("hello, this is nothing");
            assert_eq!(kept(header, body.clone()), body, "{header:?}, {} layers", compressors.len());
        }
        // A body with too many layers is removed. An uncompressed body is kept.
        let deep = (0..30).fold(b"hello".to_vec(), |bytes, _| gzip(&bytes));
        assert_eq!(kept("gzip", deep), compressed::UNREADABLE_BODY_MARKER.as_bytes());
        for plain in [&b"x^2 + y^2"[..], b"caf\xe9 au lait", b"\xff\xfeh\0i\0", b""] {
            assert_eq!(kept("", plain.to_vec()), plain);
        }
    }

    #[test]
    fn number_lists_and_wrapped_base64_are_replaced_with_any_separator() {
        let redactor = new_redactor("sk-Cana/ry+12");
        let numbers =
            |separator: &str| "sk-Cana/ry+12".bytes().map(|b| b.to_string()).collect::<Vec<_>>().join(separator);
        for separator in
            [" ", "  ", "\n", "\\n", "\\\\n", "; ", ",\n  ", "\", \"", "\\\", \\\"", "-", "%20", "%2C", "&#32;"]
        {
            let redacted = redactor.redact_text(format!("[{}]", numbers(separator)));
            assert_eq!(redacted, "[<credential>]", "{separator:?}");
        }
        // Digits without separators could be any number.
        assert_eq!(redactor.redact_text(numbers("")), numbers(""));
        for separator in ["\n    ", "\r\n\t", "\\n", "\\\\n", "\\\\r\\\\n  ", "\\u000a", "%0A", "%250a", "&#10;", " "] {
            let wrapped = ["c2stQ2Fu", "YS9yeSsx", "Mg=="].join(separator);
            let redacted = redactor.redact_text(wrapped);
            assert!(redacted.contains(CREDENTIAL_MARKER) && !redacted.contains("YS9y"), "{separator:?}: {redacted}");
        }
    }

    #[test]
    fn other_secrets_are_replaced() {
        let redactor =
            SecretRedactor::new(Some(&"upstream-key".into()), &["upstream-key-0123456789".into(), "secret1".into()]);
        assert_eq!(redactor.redact_text("401: upstream-key-0123456789 is wrong".into()), "401: <secret> is wrong");
        assert_eq!(redactor.redact_text("secret1 upstream-key".into()), "secret1 <credential>");
    }

    #[test]
    fn short_secrets_are_not_replaced() {
        assert_eq!(new_redactor("test").redact_text("this is a test".into()), "this is a test");
        assert_eq!(SecretRedactor::new(None, &[]).redact_text("this is a test".into()), "this is a test");
    }
}
