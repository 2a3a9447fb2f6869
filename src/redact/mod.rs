//! Taking secrets out of whatever a server sends back, before anything is kept.
//!
//! A server may echo a credential in a header, a body or an error text; a gateway may tell its upstream's. What is
//! known (the credential, keys in the environment) is replaced however it is written, also where a body was cut in the
//! middle of it, and where a stream parts it; what looks like a key is replaced because it looks so. Nothing here knows
//! the questions: their texts are no secrets.

pub(crate) mod compressed;
pub(crate) mod content;
mod key_patterns;
mod known_secrets;
mod prefilter;
mod protocol_words;
mod replacement;
mod split_secrets;

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};

pub(crate) use crate::redact::compressed::decompress_once;
use crate::redact::known_secrets::KnownSecrets;
pub use crate::redact::known_secrets::SECRET_VARIABLES;
use crate::redact::replacement::ByteReplacement;
use crate::wire::exchange::SECRET_PLACEHOLDER;

/// What stands in the credential's place.
const CREDENTIAL_MARKER: &str = "<credential>";

/// Headers whose values are nobody's business, whatever stands in them.
const PRIVATE_HEADERS: [&str; 8] = [
    "authorization",
    "proxy-authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "x-amz-security-token",
    "cookie",
    "set-cookie",
];

/// Shorter secrets are not masked. They are what local servers are given (`test`, `ollama`, `sk-1234`): words that
/// protect nothing, and whose removal would falsify the answers that hold them by chance.
const MIN_SECRET_BYTES: usize = 8;

/// What is removed from recordings and results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentPolicy {
    /// Only secrets are removed.
    KeepContent,
    /// The texts of requests and responses are removed too.
    RemoveContent,
}

/// What is to be taken out.
pub struct SecretRedactor {
    known_secrets: KnownSecrets,
}

impl fmt::Debug for SecretRedactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mask")
    }
}

impl SecretRedactor {
    /// A mask for the credential and for other secrets that a server may know.
    pub fn new(credential: Option<&SecretString>, others: &[SecretString]) -> Self {
        let credential = credential.into_iter().map(|secret| (secret, CREDENTIAL_MARKER));
        let all = credential.chain(others.iter().map(|secret| (secret, SECRET_PLACEHOLDER)));
        let matters = |secret: &str| secret.len() >= MIN_SECRET_BYTES && !protocol_words::is_protocol_word(secret);
        Self { known_secrets: KnownSecrets::new(all.filter(|(secret, _)| matters(secret.expose_secret()))) }
    }

    /// The text without secrets.
    pub fn redact_text(&self, text: String) -> String {
        match self.find(text.as_bytes(), false).as_slice() {
            [] => text,
            // Secrets and what stands for them are ASCII, so what remains is as much UTF-8 as it was.
            edits => String::from_utf8_lossy(&replacement::replace_bytes(text.as_bytes(), edits)).into_owned(),
        }
    }

    /// The text without the secrets that are known: what only looks like one is left in it.
    pub fn redact_known(&self, text: String) -> String {
        match replacement::merge_overlapping(self.known_secrets.find(text.as_bytes(), false)).as_slice() {
            [] => text,
            edits => String::from_utf8_lossy(&replacement::replace_bytes(text.as_bytes(), edits)).into_owned(),
        }
    }

    /// A header without secrets. Even a name can be one.
    pub(crate) fn redact_header(&self, (name, value): (String, String)) -> (String, String) {
        let value = if PRIVATE_HEADERS.contains(&name.as_str()) {
            SECRET_PLACEHOLDER.to_owned()
        } else {
            self.redact_text(value)
        };
        (self.redact_text(name), value)
    }

    /// The body without secrets. The sizes in `arrivals` are changed so that they still add up to the body. `cut` tells
    /// that the body may end in the middle of a secret.
    pub fn redact_body(&self, body: Vec<u8>, arrivals: &mut [(u64, u64)], cut: bool) -> Vec<u8> {
        let parted = self.split_across_events(&body);
        let body = replacement::replace_in_body(body, &parted, arrivals);
        let whole = self.find(&body, cut);
        replacement::replace_in_body(body, &whole, arrivals)
    }

    /// A compressed body without secrets: one that holds any, or cannot be looked into, is taken out whole, since it
    /// could not be mended in its middle. `encodings` is the header's value.
    pub(crate) fn redact_compressed(&self, encodings: &str, body: Vec<u8>, arrivals: &mut [(u64, u64)]) -> Vec<u8> {
        if compressed::is_uncompressed(encodings, &body) {
            return body;
        }
        let holds = |plain: &Vec<u8>| !self.split_across_events(plain).is_empty() || !self.find(plain, true).is_empty();
        let with = match compressed::decompress_layers(encodings, &body) {
            None => compressed::UNREADABLE_BODY_MARKER,
            Some(layers) if layers.iter().any(holds) => SECRET_PLACEHOLDER,
            Some(_) => return body,
        };
        let whole = [ByteReplacement::new(0, body.len(), with)];
        replacement::replace_in_body(body, &whole, arrivals)
    }

    /// Secrets that stand in several pieces of a stream, as new lines of it.
    fn split_across_events(&self, body: &[u8]) -> Vec<ByteReplacement> {
        split_secrets::find_replacements(body, |text, is_prose| match is_prose {
            true => self.find(text, false),
            false => replacement::merge_overlapping(self.known_secrets.find(text, false)),
        })
    }

    /// Where secrets stand, in order, none overlapping another.
    fn find(&self, bytes: &[u8], cut: bool) -> Vec<ByteReplacement> {
        // Nothing that short holds one.
        if bytes.len() < MIN_SECRET_BYTES && !cut {
            return Vec::new();
        }
        let mut edits = self.known_secrets.find(bytes, cut);
        edits.extend(
            key_patterns::find(bytes)
                .into_iter()
                .map(|(start, end)| ByteReplacement::new(start, end, SECRET_PLACEHOLDER)),
        );
        replacement::merge_overlapping(edits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_redactor(credential: &str) -> SecretRedactor {
        SecretRedactor::new(Some(&credential.into()), &[])
    }

    fn redact_string(mask: &SecretRedactor, body: &str) -> String {
        let mut arrivals = [(0, body.len() as u64)];
        let masked = mask.redact_body(body.as_bytes().to_vec(), &mut arrivals, false);
        assert_eq!(arrivals[0].1, masked.len() as u64);
        String::from_utf8(masked).unwrap()
    }

    #[test]
    fn the_credential_is_replaced_wherever_it_stands() {
        let mask = new_redactor("sk-12345678");
        assert_eq!(mask.redact_text("bad key sk-12345678 (sk-12345678)".into()), "bad key <credential> (<credential>)");
        assert_eq!(mask.redact_text("bad key sk-1234567".into()), "bad key sk-1234567");
        assert_eq!(mask.redact_body(b"\xff sk-12345678\xfe".to_vec(), &mut [], false), b"\xff <credential>\xfe");
    }

    #[test]
    fn the_credential_is_found_however_it_is_written() {
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
    fn every_form_of_the_credential_is_found() {
        let mask = new_redactor("sk-Cana/ry+12");
        let each = |write: &dyn Fn(u8) -> String| "sk-Cana/ry+12".bytes().map(write).collect::<String>();
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
            let masked = mask.redact_text(format!("[{text}]"));
            // The first `0x` of a list says nothing.
            assert_eq!(masked.replace("0x", ""), "[<credential>]", "{text}");
        }
        let wide: Vec<u8> = "sk-Cana/ry+12".bytes().flat_map(|b| [0, b]).collect();
        assert_eq!(mask.redact_body(wide, &mut [], false), b"\0<credential>");
        let wrapped = "c2stQ2Fu\r\nYS9yeSsx\nMg==";
        assert!(mask.redact_text(wrapped.into()).contains(CREDENTIAL_MARKER));
    }

    #[test]
    fn base64_of_the_credential_is_found_at_every_offset() {
        use base64::Engine as _;
        let credential = "canary-of-a-credential-1";
        for before in ["", "u", "ur", "user:", "Bearer "] {
            for after in ["", "!", "!!"] {
                let text = base64::engine::general_purpose::STANDARD.encode(format!("{before}{credential}{after}"));
                let masked = new_redactor(credential).redact_text(format!("seen {text} here"));
                assert!(masked.contains(CREDENTIAL_MARKER), "{before}{after}: {masked}");
                // What is left of it are the bits of its ends.
                let left = masked.replace(CREDENTIAL_MARKER, "").len();
                assert!(left <= "seen  here".len() + (before.len() + after.len()) * 2 + 8, "{masked}");
            }
        }
    }

    #[test]
    fn a_word_of_the_protocol_is_no_secret() {
        let answer = r#"{"type":"message","role":"assistant","content":[{"type":"tool_use"}]}"#;
        for word in ["assistant", "Assistant", "tool_use"] {
            assert_eq!(redact_string(&new_redactor(word), answer), answer);
        }
        assert_eq!(redact_string(&new_redactor("assistants"), r#"{"a":"assistants"}"#), r#"{"a":"<credential>"}"#);
    }

    #[test]
    fn only_a_cut_body_loses_the_beginning_of_a_credential() {
        let mask = new_redactor("sk-12345678");
        assert_eq!(mask.redact_body(b"key sk-1234".to_vec(), &mut [], true), b"key <credential>");
        assert_eq!(mask.redact_body(b"key sk-1234".to_vec(), &mut [], false), b"key sk-1234");
        assert_eq!(mask.redact_body(b"key sk-".to_vec(), &mut [], true), b"key sk-");
    }

    #[test]
    fn the_pieces_still_add_up_to_the_masked_body() {
        let body = b"ab sk-12345678 cd sk-12345678";
        for pieces in [vec![29], vec![3, 11, 15], vec![5, 5, 5, 14], vec![1; 29]] {
            let mut arrivals: Vec<(u64, u64)> = pieces.iter().map(|p| (0, *p)).collect();
            let masked = new_redactor("sk-12345678").redact_body(body.to_vec(), &mut arrivals, false);
            assert_eq!(masked, b"ab <credential> cd <credential>");
            assert_eq!(arrivals.iter().map(|a| a.1).sum::<u64>(), masked.len() as u64, "{pieces:?}: {arrivals:?}");
        }
        let mut arrivals = [(0, 3), (1, 12), (2, 14)];
        new_redactor("sk-12345678").redact_body(body.to_vec(), &mut arrivals, false);
        assert_eq!(arrivals, [(0, 3), (1, 13), (2, 15)], "a piece that ends between two credentials keeps its end");
    }

    #[test]
    fn a_credential_that_a_stream_parts_is_found() {
        let delta = |text: &str| {
            format!(
                "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":{}}}}}\n\n",
                serde_json::to_string(text).unwrap()
            )
        };
        let mask = new_redactor("sk-12345678-abcdef");
        for parts in [vec!["it is sk-1234", "5678-abcdef, yes"], vec!["sk", "-", "12345678", "-abc", "def"]] {
            let stream: String = parts.iter().map(|part| delta(part)).collect();
            let masked = redact_string(&mask, &stream);
            let texts: Vec<String> = masked
                .lines()
                .filter_map(|line| line.strip_prefix("data: "))
                .map(|data| {
                    serde_json::from_str::<serde_json::Value>(data).unwrap()["delta"]["text"]
                        .as_str()
                        .unwrap()
                        .to_owned()
                })
                .collect();
            assert_eq!(texts.len(), parts.len(), "no event is lost");
            assert_eq!(texts.concat(), parts.concat().replace("sk-12345678-abcdef", CREDENTIAL_MARKER));
        }
        // What is not parted is left as it came, blanks and all.
        let plain = delta("hello").replace("\":", "\" : ");
        assert_eq!(redact_string(&mask, &plain), plain);
    }

    #[test]
    fn a_packed_body_that_holds_a_secret_is_taken_out() {
        use std::io::Write as _;
        let mask = new_redactor("sk-12345678");
        for (text, left) in [("hello sk-12345678", false), ("hello", true)] {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            gzip.write_all(text.as_bytes()).unwrap();
            let packed = gzip.finish().unwrap();
            let mut arrivals = [(0, packed.len() as u64)];
            let kept = mask.redact_compressed("gzip", packed.clone(), &mut arrivals);
            assert_eq!(kept, if left { packed } else { SECRET_PLACEHOLDER.as_bytes().to_vec() });
            assert_eq!(arrivals[0].1, kept.len() as u64);
        }
        assert_eq!(mask.redact_compressed("gzip", b"no gzip".to_vec(), &mut []), b"no gzip");
        // What nobody here can unpack may hold anything.
        for encoding in ["br", "zstd", "gzip, br"] {
            assert_eq!(
                mask.redact_compressed(encoding, b"anything".to_vec(), &mut []),
                compressed::UNREADABLE_BODY_MARKER.as_bytes()
            );
        }
        assert_eq!(mask.redact_compressed("identity", b"anything".to_vec(), &mut []), b"anything");
    }

    #[test]
    fn what_is_packed_twice_or_unsaid_is_looked_into() {
        use std::io::Write as _;

        use flate2::Compression;
        type CompressFn = fn(&[u8]) -> Vec<u8>;
        let gzip: CompressFn = |bytes| {
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), Compression::default());
            packed.write_all(bytes).unwrap();
            packed.finish().unwrap()
        };
        let zlib: CompressFn = |bytes| {
            let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), Compression::default());
            packed.write_all(bytes).unwrap();
            packed.finish().unwrap()
        };
        let bare: CompressFn = |bytes| {
            let mut packed = flate2::write::DeflateEncoder::new(Vec::new(), Compression::default());
            packed.write_all(bytes).unwrap();
            packed.finish().unwrap()
        };
        let mask = new_redactor("sk-12345678");
        let kept = |header: &str, body: Vec<u8>| mask.redact_compressed(header, body, &mut []);
        let layers: [(&str, &[CompressFn]); 9] = [
            ("gzip", &[gzip, gzip]),
            ("gzip", &[gzip, gzip, gzip, gzip]),
            ("", &[gzip]),
            ("", &[zlib]),
            ("", &[bare]),
            ("identity", &[gzip, zlib]),
            ("deflate", &[gzip]),
            ("gzip", &[bare]),
            ("gzip, deflate", &[zlib, gzip, bare]),
        ];
        for (header, packs) in layers {
            let packed = |text: &str| packs.iter().fold(text.as_bytes().to_vec(), |bytes, pack| pack(&bytes));
            let body = packed("hello, this is sk-12345678");
            assert_eq!(kept(header, body), SECRET_PLACEHOLDER.as_bytes(), "{header:?}, {} layers", packs.len());
            let body = packed("hello, this is nothing");
            assert_eq!(kept(header, body.clone()), body, "{header:?}, {} layers", packs.len());
        }
        // More layers than are looked into may hold anything; what is no packed body is left as it is.
        let deep = (0..30).fold(b"hello".to_vec(), |bytes, _| gzip(&bytes));
        assert_eq!(kept("gzip", deep), compressed::UNREADABLE_BODY_MARKER.as_bytes());
        for plain in [&b"x^2 + y^2"[..], b"caf\xe9 au lait", b"\xff\xfeh\0i\0", b""] {
            assert_eq!(kept("", plain.to_vec()), plain);
        }
    }

    #[test]
    fn lists_of_numbers_and_wrapped_base64_are_found_however_they_are_set() {
        let mask = new_redactor("sk-Cana/ry+12");
        let numbers = |between: &str| "sk-Cana/ry+12".bytes().map(|b| b.to_string()).collect::<Vec<_>>().join(between);
        for between in
            [" ", "  ", "\n", "\\n", "\\\\n", "; ", ",\n  ", "\", \"", "\\\", \\\"", "-", "%20", "%2C", "&#32;"]
        {
            let masked = mask.redact_text(format!("[{}]", numbers(between)));
            assert_eq!(masked, "[<credential>]", "{between:?}");
        }
        // Digits without anything between them are any number.
        assert_eq!(mask.redact_text(numbers("")), numbers(""));
        for between in ["\n    ", "\r\n\t", "\\n", "\\\\n", "\\\\r\\\\n  ", "\\u000a", "%0A", "%250a", "&#10;", " "] {
            let wrapped = ["c2stQ2Fu", "YS9yeSsx", "Mg=="].join(between);
            let masked = mask.redact_text(wrapped);
            assert!(masked.contains(CREDENTIAL_MARKER) && !masked.contains("YS9y"), "{between:?}: {masked}");
        }
    }

    #[test]
    fn other_secrets_are_replaced_too() {
        let mask =
            SecretRedactor::new(Some(&"upstream-key".into()), &["upstream-key-0123456789".into(), "secret1".into()]);
        assert_eq!(mask.redact_text("401: upstream-key-0123456789 is wrong".into()), "401: <secret> is wrong");
        assert_eq!(mask.redact_text("secret1 upstream-key".into()), "secret1 <credential>");
    }

    #[test]
    fn private_headers_are_emptied() {
        let mask = SecretRedactor::new(None, &[]);
        for name in PRIVATE_HEADERS {
            assert_eq!(mask.redact_header((name.to_owned(), "session=abc".to_owned())).1, SECRET_PLACEHOLDER);
        }
        let plain = ("content-type".to_owned(), "application/json".to_owned());
        assert_eq!(mask.redact_header(plain.clone()), plain);
        let mask = SecretRedactor::new(Some(&"sk-12345678".into()), &[]);
        assert_eq!(mask.redact_header(("x-sk-12345678".to_owned(), "a".to_owned())).0, "x-<credential>");
    }

    #[test]
    fn words_that_protect_nothing_are_left_in_the_answers() {
        assert_eq!(new_redactor("test").redact_text("this is a test".into()), "this is a test");
        assert_eq!(SecretRedactor::new(None, &[]).redact_text("this is a test".into()), "this is a test");
    }
}
