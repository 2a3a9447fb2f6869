//! Properties of the decoder, the response readers and the case loader for any bytes: one function
//! per fuzz target.
//!
//! The fuzz targets and the tests of the fuzz corpus call these functions. A violated property
//! panics.

#![allow(dead_code, reason = "each fuzz target uses one function")]
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, reason = "a violated property panics")]

use std::collections::BTreeMap;

use fieldtest::catalog::{CaseFile, Catalog, FileKind, collect_variables};
use fieldtest::checks;
use fieldtest::checks::{Finding, ProtocolCheck};
use fieldtest::redact::SecretRedactor;
use fieldtest::wire::assemble::parse_stream;
use fieldtest::wire::bounded_json::{MAX_JSON_VALUES, UnreadableJson, parse_json};
use fieldtest::wire::exchange::{
    AttemptFailure, AttemptResult, BodyBytes, Exchange, ExchangeAttempt, FailureKind, HttpMethod, Request,
    RequestCredential, Response,
};
use fieldtest::wire::message::InterpretedExchange;
use fieldtest::wire::parsed_exchange::parse_exchange;
use fieldtest::wire::sse;
use fieldtest::wire::sse::{SseFrame, SseItem};
use serde_json::{Value, json};

/// Separates the experiments from the target in an input that has both.
const SEPARATOR: &str = "\n%%%\n";

/// The maximum length of an error about case files, so that people can read it.
const MAX_ERROR_BYTES: usize = 16 * 1024;

/// Verifies that the items of a body are well-formed and that rewritten frames decode to equal
/// frames.
pub fn verify_event_stream(bytes: &[u8]) {
    let (text, invalid_utf8_at) = sse::decode_text(bytes);
    assert_eq!(invalid_utf8_at.is_none(), text.as_bytes() == bytes);
    let (frames, _) = decode(&text);
    let tidy: String = frames.iter().map(format_frame).collect();
    assert_eq!(decode(&tidy), (frames, None), "the same frames");
}

type Frames<'a> = (Vec<SseFrame<'a>>, Option<SseFrame<'a>>);

/// Decodes the frames of a body, and the unterminated fields at its end.
fn decode(text: &str) -> Frames<'_> {
    let (mut frames, mut unterminated) = (Vec::new(), None);
    for item in sse::iter_items(text) {
        assert_eq!(unterminated, None, "unterminated fields are the last item");
        match item {
            SseItem::Frame(frame) => frames.push(frame),
            SseItem::UnknownLine(line) => {
                assert!(!line.is_empty() && !line.contains(['\n', '\r']), "{line:?} is not a line")
            }
            SseItem::Unterminated(frame) => unterminated = Some(frame),
        }
    }
    (frames, unterminated)
}

/// The secret in the corpus of the redaction.
const SECRET: &str = "sk-Q7w/x+Zt9=Lm3_Bv8.Kd2";

/// Verifies that a redacted body and the message in it do not contain the secret, and that the sizes
/// of its chunks remain consistent.
pub fn verify_redaction(bytes: &[u8]) {
    let redactor = SecretRedactor::new(Some(&SECRET.into()), &[]);
    for is_truncated in [false, true] {
        let mut arrivals = [(0, bytes.len() as u64)];
        let redacted = redactor.redact_body(bytes.to_vec(), &mut arrivals, is_truncated);
        assert_eq!(arrivals[0].1, redacted.len() as u64, "the size of the only chunk");
        let message = parse_stream(&redacted, is_truncated, &mut ()).message.unwrap_or_default().to_string();
        for text in [&*String::from_utf8_lossy(&redacted), &message] {
            assert!(!text.contains(SECRET), "{text}");
        }
    }
}

/// Verifies that the reader of JSON agrees with the JSON library for every text within its limits.
pub fn verify_json(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match parse_json(&text) {
        Ok(value) => {
            assert!(count_values(&value) <= MAX_JSON_VALUES);
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        }
        Err(UnreadableJson::NotJson) => assert!(serde_json::from_str::<Value>(&text).is_err(), "{text}"),
        Err(UnreadableJson::TooLarge) => assert!(text.trim_start().starts_with(['{', '['])),
    }
}

fn count_values(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(count_values).sum::<usize>(),
        Value::Object(map) => 1 + map.values().map(count_values).sum::<usize>(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 1,
    }
}

/// Verifies that parsing and checking do not panic, separately and in one pass, and that the format
/// of the frames changes only findings about the format.
pub fn verify_exchange(bytes: &[u8]) {
    let exchange = parse_input(bytes);
    let checked = checks::check_exchange(&exchange);
    assert_eq!(parse_exchange(&exchange), checked.parsed, "the same with and without checks");
    let (found, reading) = (checked.findings, checked.parsed.interpretation);
    for finding in &found {
        assert!(finding.detail.chars().count() <= 241 && !finding.detail.contains('\n'), "{finding:?}");
        assert_eq!(found.iter().filter(|f| f.check == finding.check).count(), 1, "{finding:?} appears once");
    }
    let response = response_of(&exchange);
    let is_success = (200..300).contains(&response.status);
    if let InterpretedExchange::Message(message) = &reading {
        assert!(is_success, "a message with status {}", response.status);
        assert_eq!(message.streamed, response.is_event_stream());
        let _ = (message.text(), message.thinking(), message.input_tokens(), message.output_tokens());
    }
    let text = response.text();
    let (frames, rest) = decode(&text);
    if is_success && response.is_event_stream() && response.cut.is_none() && rest.is_none() {
        let mut tidy = exchange.clone();
        if let Some(AttemptResult::Response(response)) = tidy.attempts.last_mut().map(|attempt| &mut attempt.result) {
            response.body = BodyBytes(frames.iter().map(format_frame).collect::<String>().into_bytes());
        }
        let tidy = checks::check_exchange(&tidy);
        assert_eq!(
            without_format_findings(tidy.findings),
            without_format_findings(found),
            "well-written frames have the same findings"
        );
        match (tidy.parsed.interpretation, reading) {
            (InterpretedExchange::Malformed(_), InterpretedExchange::Malformed(_))
            | (InterpretedExchange::UnreadableStream(_), InterpretedExchange::UnreadableStream(_)) => {}
            (tidy, reading) => assert_eq!(tidy, reading, "well-written frames have the same interpretation"),
        }
    }
}

/// Returns a frame as a server should write it.
fn format_frame(frame: &SseFrame<'_>) -> String {
    let event = frame.event.iter().map(|event| format!("event: {event}\n"));
    let data = frame.data.iter().flat_map(|data| data.split('\n')).map(|line| format!("data: {line}\n"));
    event.chain(data).chain(["\n".to_owned()]).collect()
}

/// Removes the findings about the format of the bytes.
fn without_format_findings(mut found: Vec<Finding>) -> Vec<Finding> {
    found.retain(|f| {
        !matches!(f.check, ProtocolCheck::NotUtf8 | ProtocolCheck::LineStray | ProtocolCheck::FrameUnfinished)
    });
    found
}

/// Parses an input into an exchange: a status, optionally followed by `cut` or `kept` (the size
/// limit of the client) and `unasked` (the request is not streamed), then headers, an empty line
/// and the body.
fn parse_input(bytes: &[u8]) -> Exchange {
    let (head, body) = match bytes.windows(2).position(|pair| pair == b"\n\n") {
        Some(at) => (&bytes[..at], &bytes[at + 2..]),
        None => (bytes, &[][..]),
    };
    let head = String::from_utf8_lossy(head);
    let mut lines = head.split('\n');
    let first: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let cut = |kind, message: &str| Some(AttemptFailure { kind, message: message.to_owned() });
    let response = Response {
        status: first[0].parse().unwrap_or(200),
        headers: lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect(),
        body: BodyBytes(body.to_vec()),
        arrivals: vec![(1, body.len() as u64)],
        cut: match () {
            () if first.contains(&"cut") => cut(FailureKind::Reset, "the connection broke"),
            () if first.contains(&"kept") => cut(FailureKind::TooLarge, "larger than what is kept"),
            () => None,
        },
    };
    let body = json!({
        "model": "m", "max_tokens": 64, "stream": !first.contains(&"unasked"), "stop_sequences": ["7"],
        "messages": [{ "role": "user", "content": "Hello" }],
        "tools": [{ "name": "weather", "input_schema": {
            "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"],
        }}],
    });
    Exchange {
        id: "x1".to_owned(),
        request: Request {
            method: HttpMethod::Post,
            raw: None,
            path: "/v1/messages".to_owned(),
            headers: BTreeMap::new(),
            credential: RequestCredential::Target,
            body,
        },
        attempts: vec![ExchangeAttempt { started_ms: 0, duration_ms: 1, result: AttemptResult::Response(response) }],
    }
}

fn response_of(exchange: &Exchange) -> &Response {
    match exchange.last_attempt().map(|attempt| &attempt.result) {
        Some(AttemptResult::Response(response)) => response,
        other => panic!("{other:?} is not a response"),
    }
}

/// Verifies that case files are loaded or rejected, and that each error names its file and an
/// existing line.
pub fn verify_case_files(bytes: &[u8]) {
    let file = |name: &str, kind, bytes: &[u8]| CaseFile { name: name.to_owned(), kind, bytes: bytes.to_vec() };
    let experiments = |bytes| file("rows.yaml", FileKind::Experiments, bytes);
    let target = |bytes| file("target.yaml", FileKind::Target, bytes);
    let separator = SEPARATOR.as_bytes();
    match bytes.windows(separator.len()).position(|part| part == separator) {
        Some(at) => verify_load(&[experiments(&bytes[..at]), target(&bytes[at + separator.len()..])]),
        None => {
            verify_load(&[experiments(bytes)]);
            verify_load(&[target(bytes)]);
        }
    }
}

fn verify_load(files: &[CaseFile]) {
    let catalog = match Catalog::from_files(files) {
        Ok(catalog) => catalog,
        Err(errors) => {
            assert!(!errors.0.is_empty(), "a rejection without an error");
            for error in &errors.0 {
                let file = files.iter().find(|file| file.name == error.file).expect("an error names an input file");
                let location = error.location.as_ref().unwrap_or_else(|| panic!("no location in {error:?}"));
                // The YAML parser and this test may treat different characters as line ends.
                let breaks = |c: &char| matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
                let lines = String::from_utf8_lossy(&file.bytes).chars().filter(breaks).count() + 1;
                assert!((1..=lines + 1).contains(&location.line), "line {} of {lines}: {error:?}", location.line);
                assert!(!error.message.is_empty());
                assert!(error.to_string().len() < MAX_ERROR_BYTES, "the error has {} bytes", error.to_string().len());
            }
            return assert!(errors.to_string().starts_with("error: "), "{errors}");
        }
    };
    for row in &catalog.rows {
        assert!(!row.experiment.id().is_empty(), "a row without an id");
        let _ = (collect_variables(&row.experiment, &[]), catalog.experiment(row.experiment.id()));
    }
    let _ = catalog.field_specs().count();
}
