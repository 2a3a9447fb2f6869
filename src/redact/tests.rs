//! Properties of the redaction: no reader can assemble a secret from what remains, and the time is
//! proportional to the length of the body.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

use crate::redact::SecretRedactor;
use crate::wire::assemble::parse_stream;

/// A key of a usual form. It contains characters that formats escape, and no repetition.
const SECRET: &str = "sk-Q7w/x+Zt9=Lm3_Bv8.Kd2";

/// The characters of a secret that must not remain together.
const MAX_REMAINING_CHARS: usize = 5;

fn new_redactor() -> SecretRedactor {
    SecretRedactor::new(Some(&SECRET.into()), &[])
}

/// A character in one of its escaped forms, as the content of a JSON string.
fn escape_character(character: char, form: usize) -> String {
    let code = character as u32;
    match form {
        0 => format!("\\u{code:04x}"),
        1 => format!("\\\\u{code:04X}"),
        2 => format!("%{code:02X}"),
        3 => format!("%25{code:02x}"),
        4 => format!("&#{code};"),
        5 => format!("&#x000{code:x};"),
        6 => format!("&#0{code}"),
        7 => format!("\\u0026#{code};"),
        8 => format!("%26%23{code}%3B"),
        9 => format!("\\\\x{code:02x}"),
        10 => format!("&amp;#{code};"),
        11 if character == '/' => "\\/".to_owned(),
        12 if character == '/' => "&sol;".to_owned(),
        13 if character == '+' => "&plus;".to_owned(),
        14 if character == '=' => "&equals;".to_owned(),
        15 if character == '_' => "&lowbar;".to_owned(),
        16 if character == '.' => "&period;".to_owned(),
        _ => character.to_string(),
    }
}

/// A secret of which any characters are escaped in any form. Each entry is one character.
fn escaped_secret() -> impl Strategy<Value = Vec<String>> {
    let forms = prop_oneof![
        (0..30usize).prop_map(|form| vec![form; SECRET.len()]),
        prop::collection::vec(0..30usize, SECRET.len()),
    ];
    forms.prop_map(|forms| {
        let mut escaped: Vec<String> =
            SECRET.chars().zip(forms).map(|(character, form)| escape_character(character, form)).collect();
        // A number without `;` must not swallow a digit.
        for index in 1..escaped.len() {
            if escaped[index - 1].starts_with("&#0") && escaped[index].starts_with(|c: char| c.is_ascii_digit()) {
                escaped[index - 1].push(';');
            }
        }
        escaped
    })
}

/// Decodes all escapes again and again, without the code under test.
fn unescape_all(text: &str) -> String {
    let escapes = regex::Regex::new(
        r"\\+u([0-9a-fA-F]{4})|\\+x([0-9a-fA-F]{2})|%([0-9a-fA-F]{2})|&#0*([0-9]{1,3});?|&#[xX]0*([0-9a-fA-F]{1,2});?|&(amp|sol|plus|equals|lowbar|period);|\\+(.)",
    )
    .unwrap();
    let mut text = text.to_owned();
    for _ in 0..8 {
        let decoded = escapes.replace_all(&text, |found: &regex::Captures<'_>| {
            let number = |group: usize, radix| {
                let code = u32::from_str_radix(found.get(group)?.as_str(), radix).ok()?;
                char::from_u32(code).map(String::from)
            };
            let name = || {
                Some(match found.get(6)?.as_str() {
                    "amp" => "&".to_owned(),
                    "sol" => "/".to_owned(),
                    "plus" => "+".to_owned(),
                    "equals" => "=".to_owned(),
                    "lowbar" => "_".to_owned(),
                    _ => ".".to_owned(),
                })
            };
            let hexadecimal = || number(1, 16).or_else(|| number(2, 16)).or_else(|| number(3, 16));
            let decoded = hexadecimal().or_else(|| number(4, 10)).or_else(|| number(5, 16)).or_else(name);
            decoded.or_else(|| found.get(7).map(|c| c.as_str().to_owned())).unwrap_or_default()
        });
        if decoded == text {
            break;
        }
        text = decoded.into_owned();
    }
    text
}

/// Asserts that a text contains no part of the secret.
fn assert_no_secret(text: &str, context: &str) {
    for text in [text.to_owned(), unescape_all(text)] {
        let parts = (0..=SECRET.len() - MAX_REMAINING_CHARS - 1).map(|at| &SECRET[at..=at + MAX_REMAINING_CHARS]);
        for part in parts {
            assert!(!text.contains(part), "`{part}` remains in {text:?}\nof {context:?}");
        }
    }
}

/// The texts of all deltas, as a careless client joins them, and the message that the decoder of the
/// protocol assembles.
fn assemble_texts(body: &[u8], is_truncated: bool) -> Vec<String> {
    let lossy = String::from_utf8_lossy(body).into_owned();
    let mut joined = String::new();
    for data in lossy.lines().filter_map(|line| line.strip_prefix("data:")) {
        let event: Value = serde_json::from_str(data).unwrap_or_default();
        joined.push_str(event["delta"]["text"].as_str().unwrap_or_default());
    }
    let message = parse_stream(body, is_truncated, &mut ()).message.unwrap_or_default();
    let blocks = message["content"].as_array().cloned().unwrap_or_default();
    let texts = blocks.iter().filter_map(|block| block["text"].as_str().map(str::to_owned));
    texts.chain([joined, lossy]).collect()
}

/// What is between the deltas of a stream.
const INSERTIONS: [&[u8]; 7] = [
    b"",
    b"",
    b": ping\n",
    b"stray line\n",
    b"id: 7\n",
    b"event: ping\ndata: {\"type\":\"ping\"}\n\n",
    b"data: {\"type\":\"ping\",\"x\":\"\xff\"}\n\n",
];

/// A stream that sends characters in deltas of the given sizes.
fn build_stream(characters: &[String], sizes: &[usize], insertions: &[usize], style: usize) -> Vec<u8> {
    let mut body = b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"content\":[]}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n".to_vec();
    let (mut rest, mut number) = (characters, 0);
    while !rest.is_empty() {
        let (part, later) = rest.split_at(sizes[number % sizes.len()].clamp(1, rest.len()));
        let text = part.concat();
        let insertion = INSERTIONS[insertions[number % insertions.len()] % INSERTIONS.len()];
        let start = "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":";
        body.extend_from_slice(insertion);
        match style % 4 {
            0 => body
                .extend_from_slice(format!("event: content_block_delta\ndata: {start}\"{text}\"}}}}\n\n").as_bytes()),
            1 => body.extend_from_slice(format!("data: {start}\"{text}\"}}}}\r\n\r\n").as_bytes()),
            2 => {
                body.extend_from_slice(format!("data: {start}\n").as_bytes());
                body.extend_from_slice(b"stray\n: c\n");
                body.extend_from_slice(format!("data: \"{text}\"}}}}\n\n").as_bytes());
            }
            _ => {
                body.extend_from_slice(format!("data: {start}\"{text}\"}},\"x\":\"").as_bytes());
                body.extend_from_slice(b"\xff\"}\n\n");
            }
        }
        (rest, number) = (later, number + 1);
    }
    body.extend_from_slice(b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    body
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_contains_an_escaped_secret(
        characters in escaped_secret(), before in "[ -~]{0,9}", after in "[ -~]{0,9}", end in any::<Index>(), is_truncated in any::<bool>(),
    ) {
        let escaped = characters.concat();
        let before = before.replace(['\\', '%', '&'], ".");
        let mut body = format!("{{\"text\":\"{before} {escaped} {after}\"}}").into_bytes();
        if is_truncated {
            body.truncate(end.index(body.len() + 1));
        }
        let redacted = new_redactor().redact_body(body.clone(), &mut [], is_truncated);
        assert_no_secret(&String::from_utf8_lossy(&redacted), &String::from_utf8_lossy(&body));
    }

    #[test]
    fn no_client_can_join_a_secret_from_a_stream(
        characters in escaped_secret(),
        sizes in prop::collection::vec(1..9usize, 1..6),
        insertions in prop::collection::vec(0..7usize, 1..6),
        style in 0..4usize,
        end in any::<Index>(),
        is_truncated in any::<bool>(),
    ) {
        let mut body = build_stream(&characters, &sizes, &insertions, style);
        if is_truncated {
            body.truncate(end.index(body.len() + 1));
        }
        let mut arrivals = [(1, 10), (2, body.len().saturating_sub(10) as u64)];
        let redacted = new_redactor().redact_body(body.clone(), &mut arrivals, is_truncated);
        for text in assemble_texts(&redacted, is_truncated) {
            assert_no_secret(&text, &String::from_utf8_lossy(&body));
        }
        // Redaction of a redacted body changes nothing.
        let again = new_redactor().redact_body(redacted.clone(), &mut [], false);
        prop_assert_eq!(again, redacted);
    }

    #[test]
    fn any_bytes_are_accepted(bytes in prop::collection::vec(any::<u8>(), 0..600), is_truncated in any::<bool>()) {
        let mut arrivals = [(0, bytes.len() as u64)];
        let redacted = new_redactor().redact_body(bytes, &mut arrivals, is_truncated);
        prop_assert_eq!(arrivals[0].1, redacted.len() as u64);
    }
}

#[test]
fn a_replacement_that_joins_the_parts_of_another_secret_is_followed_by_a_search() {
    // Without the middle delta, the other two contain the secret.
    let delta = |name: &str, text: &str| format!("data: {{\"delta\":{{\"{name}\":\"{text}\"}}}}\n\n");
    let (start, end) = SECRET.split_at(9);
    let body = [delta("odd", start), delta("text", start), delta("odd", end), delta("text", end)].concat();
    let nested = [delta("text", start), delta("content", start), delta("content", end), delta("text", end)].concat();
    for body in [body, nested] {
        let redacted = new_redactor().redact_body(body.clone().into_bytes(), &mut [], false);
        for text in assemble_texts(&redacted, false) {
            assert_no_secret(&text, &body);
        }
    }
}

#[test]
fn strings_that_the_decoder_ignores_hide_no_secret() {
    let delta = |index: u32, kind: &str, text: &str| {
        format!(
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":{index},\"delta\":{{\"type\":\"{kind}\",\"text\":\"{text}\"}}}}\n\n"
        )
    };
    let mut body = String::from(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"content\":[]}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    );
    for character in SECRET.chars() {
        body.push_str(&delta(0, "text_delta", &character.to_string()));
        body.push_str(&delta(0, "ignored_delta", "zzz"));
    }
    let duplicate = body.replace("\"text\":\"zzz\"", "\"text\":\"zzz\",\"text\":\"\"");
    for body in [body, duplicate] {
        let redacted = new_redactor().redact_body(body.clone().into_bytes(), &mut [], false);
        for text in assemble_texts(&redacted, false) {
            assert_no_secret(&text, &body);
        }
    }
}

/// Texts that provoke the search: parts of secrets in each encoding, escapes, separators and events.
fn adversarial_units() -> Vec<String> {
    use base64::Engine as _;
    let base64 = base64::engine::general_purpose::STANDARD.encode(SECRET);
    let hexadecimal: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
    let decimal: String = SECRET.bytes().map(|byte| format!("{byte}, ")).collect();
    let escaped: String = SECRET.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
    let event = |text: &str| format!("data: {{\"index\":0,\"delta\":{{\"text\":\"{text}\"}}}}\n\n");
    let mut units: Vec<String> = [
        "\\n",
        "n",
        "N\\n",
        "\\",
        "&#",
        "&#0",
        "%",
        "%25",
        "[",
        "{\"a\":",
        "{\"\":0},",
        "\n",
        "sk-",
        "0x",
        "7",
        "7,",
        " ",
    ]
    .map(str::to_owned)
    .to_vec();
    for form in [SECRET, &base64, &hexadecimal, &decimal, &escaped] {
        let half = &form[..form.len() / 2];
        units.extend([
            form.to_owned(),
            half.to_owned(),
            half.replace("", "\\n"),
            event(half),
            event(form),
            event(&form[..1]),
        ]);
    }
    units.extend([format!("data: {}\n", "x"), "data: {\"a\":\n".to_owned(), "{\"text\":\"s\"}\n".to_owned()]);
    units
}

#[test]
fn the_steps_per_byte_do_not_grow_with_the_length() {
    let redactor = new_redactor();
    for unit in adversarial_units() {
        let per_byte = [1 << 10, 1 << 15, 1 << 18].map(|length: usize| {
            let body = unit.repeat(length / unit.len() + 1);
            (redactor.count_steps(body.as_bytes(), true) as f64) / body.len() as f64
        });
        assert!(per_byte[2] <= per_byte[0] * 1.1 + 1.0 && per_byte[2] < 40.0, "{unit:?}: {per_byte:?} steps per byte");
    }
}
