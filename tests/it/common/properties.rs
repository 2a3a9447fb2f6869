//! What must hold of the decoder, the readers and the case loader whatever bytes come: a function for each entry point.
//!
//! The fuzz targets call these, and so do the tests that go through the fuzzers' corpus. A property that does not hold
//! panics.

#![allow(dead_code, reason = "each fuzz target uses one of these")]
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, reason = "a property that does not hold panics")]

use std::collections::BTreeMap;

use fieldtest::catalog::{CaseFile, Catalog, FileKind, collect_variables};
use fieldtest::checks;
use fieldtest::checks::{Finding, ProtocolCheck};
use fieldtest::wire::exchange::{
    AttemptFailure, AttemptResult, BodyBytes, Exchange, ExchangeAttempt, FailureKind, HttpMethod, Request,
    RequestCredential, Response,
};
use fieldtest::wire::fast_delta::ParseMode;
use fieldtest::wire::message::InterpretedExchange;
use fieldtest::wire::sse::{SseDecoder, SseFrame, SseItem};
use fieldtest::wire::{message, sse};
use serde_json::json;

/// Stands between the experiments and the target of an input that has both.
const BETWEEN: &str = "\n%%%\n";

/// No error about case files is longer; it is for people to read.
const LONGEST_ERROR: usize = 16 * 1024;

/// Any pieces give the frames that the whole gives, and going through a whole body gives the same again.
pub fn sse(bytes: &[u8]) {
    let whole = sse::decode(bytes);
    assert_eq!(in_pieces(bytes, |_| 1), whole, "byte by byte");
    assert_eq!(in_pieces(bytes, drawn(bytes)), whole, "in drawn pieces");
    let (text, broken) = sse::decode_text(bytes);
    assert_eq!(broken.is_none(), text.as_bytes() == bytes);
    let (mut frames, mut rest) = (Vec::new(), None);
    for part in sse::iter_items(&text) {
        assert_eq!(rest, None, "nothing comes after the rest");
        match part {
            SseItem::Frame(frame) => frames.push(frame),
            SseItem::UnknownLine(line) => {
                assert!(!line.is_empty() && !line.contains(['\n', '\r']), "{line:?} is no line")
            }
            SseItem::Unterminated(frame) => rest = Some(frame),
        }
    }
    assert_eq!((frames, rest), whole, "in one go");
}

type Frames = (Vec<SseFrame<'static>>, Option<SseFrame<'static>>);

fn in_pieces(bytes: &[u8], mut size: impl FnMut(usize) -> usize) -> Frames {
    let (mut decoder, mut frames, mut at) = (SseDecoder::new(), Vec::new(), 0);
    while at < bytes.len() {
        let end = (at + size(at)).min(bytes.len());
        decoder.feed(&bytes[at..end], &mut frames);
        at = end;
    }
    (frames, decoder.finish())
}

/// Sizes of pieces that differ from input to input, and are the same for the same one.
fn drawn(bytes: &[u8]) -> impl FnMut(usize) -> usize {
    let mut state = bytes.iter().fold(7u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(*byte)));
    move |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        1 + (state >> 24) as usize % 40
    }
}

/// Reading and checking come to an end without a panic; the shortcut changes nothing; nor does how the frames were cut,
/// but for what is said of the cutting itself.
pub fn message(bytes: &[u8]) {
    let exchange = exchange(bytes);
    let (found, reading) = (checks::check_exchange(&exchange).findings, message::interpret(&exchange));
    assert_eq!(
        checks::check_exchange_with_mode(ParseMode::Full, &exchange).findings,
        found,
        "the plain way finds the same"
    );
    assert_eq!(message::interpret_with_mode(ParseMode::Full, &exchange), reading, "the plain way reads the same");
    for finding in &found {
        assert!(finding.detail.chars().count() <= 241 && !finding.detail.contains('\n'), "{finding:?}");
        assert_eq!(found.iter().filter(|f| f.check == finding.check).count(), 1, "{finding:?} is told once");
    }
    let response = response_of(&exchange);
    let is_success = (200..300).contains(&response.status);
    if let InterpretedExchange::Message(message) = &reading {
        assert!(is_success, "a message with status {}", response.status);
        assert_eq!(message.streamed, response.is_event_stream());
        let _ = (message.text(), message.thinking(), message.input_tokens(), message.output_tokens());
    }
    let (frames, rest) = in_pieces(&response.body.0, drawn(bytes));
    if is_success && response.is_event_stream() && response.cut.is_none() && rest.is_none() {
        let mut tidy = exchange.clone();
        if let Some(AttemptResult::Response(response)) = tidy.attempts.last_mut().map(|attempt| &mut attempt.result) {
            response.body = BodyBytes(frames.iter().map(written).collect::<String>().into_bytes());
        }
        assert_eq!(
            of_events(checks::check_exchange(&tidy).findings),
            of_events(found),
            "well-cut frames are found the same"
        );
        match (message::interpret(&tidy), reading) {
            (InterpretedExchange::Malformed(_), InterpretedExchange::Malformed(_)) => {}
            (tidy, reading) => assert_eq!(tidy, reading, "well-cut frames are read the same"),
        }
    }
}

/// A frame as a server should write it.
fn written(frame: &SseFrame<'_>) -> String {
    let event = frame.event.iter().map(|event| format!("event: {event}\n"));
    let data = frame.data.iter().flat_map(|data| data.split('\n')).map(|line| format!("data: {line}\n"));
    event.chain(data).chain(["\n".to_owned()]).collect()
}

/// What is found in the events; the rest is about their bytes.
fn of_events(mut found: Vec<Finding>) -> Vec<Finding> {
    found.retain(|f| {
        !matches!(f.check, ProtocolCheck::NotUtf8 | ProtocolCheck::LineStray | ProtocolCheck::FrameUnfinished)
    });
    found
}

/// An input as an exchange: a status, perhaps followed by `cut` or `kept` (the client's bound) and `unasked` (no stream
/// was asked for), then headers, a blank line, and the body.
fn exchange(bytes: &[u8]) -> Exchange {
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
        other => panic!("{other:?} is no response"),
    }
}

/// Case files are loaded or refused, and each refusal names its file and a line that the file has.
pub fn cases(bytes: &[u8]) {
    let file = |name: &str, kind, bytes: &[u8]| CaseFile { name: name.to_owned(), kind, bytes: bytes.to_vec() };
    let experiments = |bytes| file("rows.yaml", FileKind::Experiments, bytes);
    let target = |bytes| file("target.yaml", FileKind::Target, bytes);
    let between = BETWEEN.as_bytes();
    match bytes.windows(between.len()).position(|part| part == between) {
        Some(at) => load(&[experiments(&bytes[..at]), target(&bytes[at + between.len()..])]),
        None => {
            load(&[experiments(bytes)]);
            load(&[target(bytes)]);
        }
    }
}

fn load(files: &[CaseFile]) {
    let catalog = match Catalog::from_files(files) {
        Ok(catalog) => catalog,
        Err(errors) => {
            assert!(!errors.0.is_empty(), "a refusal without a reason");
            for error in &errors.0 {
                let file =
                    files.iter().find(|file| file.name == error.file).expect("an error names a file that was given");
                let place = error.location.as_ref().unwrap_or_else(|| panic!("no place in {error:?}"));
                // A break that is no line end to one reader may be one to the other.
                let breaks = |c: &char| matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
                let lines = String::from_utf8_lossy(&file.bytes).chars().filter(breaks).count() + 1;
                assert!((1..=lines + 1).contains(&place.line), "line {} of {lines}: {error:?}", place.line);
                assert!(!error.message.is_empty());
                assert!(error.to_string().len() < LONGEST_ERROR, "{} bytes to read", error.to_string().len());
            }
            return assert!(errors.to_string().starts_with("error: "), "{errors}");
        }
    };
    for row in &catalog.rows {
        assert!(!row.experiment.id().is_empty(), "a row without a name");
        let _ = (collect_variables(&row.experiment, &[]), catalog.experiment(row.experiment.id()));
    }
    let _ = catalog.field_specs().count();
}
