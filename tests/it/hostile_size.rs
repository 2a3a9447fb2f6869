//! Endpoints whose answers or waits would take all memory or time: the real binary stays small, ends
//! by itself and gives the reason.

use std::io;
use std::io::Write as _;
use std::net::TcpStream;

use binary::{FinishedRun, Folder};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use server::TestServer;

use crate::common::{binary, server};

/// The limit that docs/security.md promises.
const MAX_PEAK_KIB: u64 = 256 * 1024;

/// The size of a body that the client keeps completely.
const BODY_BYTES: usize = 4 * 1024 * 1024 - 1024;

const MESSAGE_START: &str = r#"{"id":"m","type":"message","role":"assistant","model":"m","content":["#;
const MESSAGE_END: &str =
    r#"],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":9,"output_tokens":9}}"#;

fn message(content: &str) -> String {
    format!("{MESSAGE_START}{content}{MESSAGE_END}")
}

/// Repeats a text up to the size of a body.
fn fill(unit: &str) -> String {
    fill_bytes(unit, BODY_BYTES)
}

fn fill_bytes(unit: &str, length: usize) -> String {
    unit.repeat(length / unit.len())
}

fn event(data: &str) -> String {
    format!("event: {}\ndata: {data}\n\n", serde_json::from_str::<Value>(data).unwrap()["type"].as_str().unwrap())
}

fn stream(events: &str) -> String {
    let start = event(&format!(r#"{{"type":"message_start","message":{}}}"#, message("")));
    format!("{start}{events}{}", event(r#"{"type":"message_stop"}"#))
}

fn write_body(to: &mut TcpStream, status: &str, head: &str, body: &[u8]) -> io::Result<()> {
    write!(to, "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n{head}\r\n", body.len())?;
    to.write_all(body)
}

fn run(server: &TestServer, more: &[&str]) -> (Folder, FinishedRun) {
    let folder = Folder::new();
    let url = server.url();
    let arguments = [
        &[
            "run",
            "--base-url",
            &url,
            "--model",
            "m",
            "--claims",
            "deepseek@2025-12",
            "--out",
            "out",
            "--api-key-env",
            "KEY",
        ][..],
        &["--select", "field.s*"],
        if more.is_empty() { &["--retries", "0"] } else { more },
    ];
    // The key has the usual form, so the redaction searches for it.
    let finished = folder.run_with_env(&[("KEY", "sk-ant-api03-nZ4kQ7w9xLm3Bv8Kd2")], &arguments.concat());
    (folder, finished)
}

/// Runs some rows against a server with one answer for all requests.
#[track_caller]
fn assert_small(kind: &str, body: String) -> (Folder, FinishedRun) {
    let head = format!("content-type: {kind}\r\n");
    let server = TestServer::start(move |_, to| write_body(to, "200 OK", &head, body.as_bytes()));
    let (folder, finished) = run(&server, &[]);
    assert!(finished.peak_kib < MAX_PEAK_KIB, "{} KiB", finished.peak_kib);
    assert!(matches!(finished.code, Some(0 | 1 | 3)), "{:?} {}", finished.code, finished.stderr);
    (folder, finished)
}

#[track_caller]
fn assert_too_large(kind: &str, body: String) {
    let (folder, finished) = assert_small(kind, body);
    finished.assert_exit_code(3).assert_stderr_contains(&["too large to read"]);
    for row in folder.results("out")["rows"].as_array().unwrap() {
        assert_eq!(row["outcome"], "undetermined", "{row}");
        assert!(row["verdict"]["reason"].as_str().unwrap().contains("too large to read"), "{row}");
    }
}

#[test]
fn wide_and_deep_json_is_too_large_to_read() {
    let tool = format!(r#"{{"type":"tool_use","id":"t","name":"n","input":{{"a":[{}{{}}]}}}}"#, fill(r#"{"":0},"#));
    assert_too_large("application/json", message(&tool));
    assert_too_large("application/json", message(&vec![r#"{"type":"text","text":"a"}"#; 80_000].join(",")));
    assert_too_large("application/json", message(&"[".repeat(200_000)));
}

#[test]
fn streams_with_many_values_are_too_large_to_read() {
    let block = r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
    assert_too_large("text/event-stream", stream(&event(block).repeat(30_000)));
    let input = format!(r#"{{\"a\":[{}0]}}"#, "0,".repeat(30));
    let delta = format!(
        r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"input_json_delta","partial_json":"{input}"}}}}"#
    );
    let tool = r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"n","input":{}}}"#;
    assert_too_large("text/event-stream", stream(&(event(tool) + &event(&delta).repeat(10_000))));
}

#[test]
fn long_texts_and_many_events_take_little_memory() {
    // Without optimization, the redaction of larger bodies takes long.
    for text in [fill_bytes("a", 1 << 20), fill_bytes("\\n", 1 << 17)] {
        assert_small("application/json", message(&format!(r#"{{"type":"text","text":"{text}"}}"#)));
    }
    let names: String = (0..10_000).map(|number| format!("event: e{number}\ndata: {{}}\n\n")).collect();
    assert_small("text/event-stream", stream(&(names + &event(r#"{"type":"ping"}"#).repeat(5_000))));
}

#[test]
fn a_compressed_body_and_a_long_error_take_little_memory() {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    (0..512).for_each(|_| packed.write_all(&[b' '; 1 << 20]).unwrap());
    let packed = packed.finish().unwrap();
    let head = "content-type: application/json\r\ncontent-encoding: gzip\r\n";
    let server = TestServer::start(move |_, to| write_body(to, "200 OK", head, &packed));
    assert!(run(&server, &[]).1.peak_kib < MAX_PEAK_KIB);
    let error = format!(r#"{{"type":"error","error":{{"type":"api_error","message":[{}0]}}}}"#, fill("0,"));
    let head = "content-type: application/json\r\n";
    let server = TestServer::start(move |_, to| write_body(to, "529 Overloaded", head, error.as_bytes()));
    assert!(run(&server, &[]).1.peak_kib < MAX_PEAK_KIB);
}

#[test]
fn long_headers_are_not_kept() {
    let head: String = (0..90).map(|number| format!("x-{number}: {}\r\n", "v".repeat(3900))).collect();
    let body = message(r#"{"type":"text","text":"hello"}"#);
    let server = TestServer::start(move |_, to| write_body(to, "200 OK", &head, body.as_bytes()));
    let (folder, finished) = run(&server, &[]);
    finished.assert_exit_code(3).assert_stderr_contains(&["the headers from", "larger than 65536 bytes"]);
    let recording = folder.read(&format!("out/{}", folder.file_names("out", "recording-")[0]));
    assert!(!recording.contains("x-80"), "the rest of the headers is not kept");
}

#[test]
fn a_server_cannot_give_commands_to_a_ci_system() {
    let error = r###"{"type":"error","error":{"type":"api_error","message":"##vso[task.setvariable variable=A]b"}}"###;
    for format in ["terminal", "ndjson"] {
        let server = TestServer::start(move |_, to| write_body(to, "400 Bad Request", "", error.as_bytes()));
        let (_, finished) = run(&server, &["--retries", "0", "--format", format, "-vvv"]);
        assert!(finished.stderr.contains("#\\#vso[") && !finished.stderr.contains("##vso["), "{}", finished.stderr);
        assert!(finished.stdout.contains("vso[task") && !finished.stdout.contains("##vso["), "{}", finished.stdout);
    }
}

#[test]
fn a_run_ends_after_the_longest_wait() {
    for head in [
        "retry-after: 100\r\n",
        "anthropic-ratelimit-requests-limit: 10\r\nanthropic-ratelimit-requests-remaining: 0\r\n\
         anthropic-ratelimit-requests-reset: 2099-01-01T00:00:00Z\r\n",
    ] {
        let status = if head.starts_with("retry") { "429 Too Many Requests" } else { "200 OK" };
        let body = message(r#"{"type":"text","text":"hello"}"#);
        let server = TestServer::start(move |_, to| write_body(to, status, head, body.as_bytes()));
        let (folder, finished) = run(&server, &["--max-wait", "1", "--retries", "20"]);
        // In the other case, the first request has a response, and the others have none.
        let reason = if status.starts_with("429") { "--max-wait waits longer" } else { "could not be tested" };
        finished.assert_exit_code(3).assert_stderr_contains(&[reason]);
        for row in folder.results("out")["rows"].as_array().unwrap() {
            assert_eq!(row["outcome"], "undetermined", "{row}");
        }
    }
}
