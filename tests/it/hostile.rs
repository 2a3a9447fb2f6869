//! Broken and hostile endpoints, from the first request or later: the real binary ends in time,
//! limits its memory, reports the problem, and writes results with undetermined rows and the
//! reason.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, thread};

use binary::{FinishedRun, Folder, RunningCommand};
use serde_json::Value;
use server::{FaithfulServer, ReceivedRequest, TestServer, keep_open, reserve_port, write_response};

use crate::common::{binary, server};

/// The credential of the simulator, so that test servers can forward requests to it.
const KEY: &str = "fieldtest-simulator";
/// The number of requests before the first row: one for the text form, four for unknown keys.
const PROBE_REQUESTS: usize = 5;
/// The timeout for servers that never respond.
const SHORT_TIMEOUT: [&str; 2] = ["--timeout", "1"];
/// The timeout for servers that respond at first, also on a busy machine.
const LONG_TIMEOUT: [&str; 2] = ["--timeout", "3"];
/// Far more than a run needs, and far less than a hostile server sends.
const MAX_PEAK_KIB: u64 = 200 * 1024;

/// The maximum size of a body that the client keeps.
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

const HTML: &str = "<!DOCTYPE html><html><title>Sign in</title><p>Welcome to the gateway</p></html>";

/// Returns the arguments of a run of two rows against a URL.
fn arguments<'a>(url: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let rows = ["--select", "field.stop_sequences", "--select", "field.system"];
    let mut arguments = vec!["run", "--base-url", url, "--model", "m", "--claims", "deepseek@2025-12", "--out", "out"];
    arguments.extend(["--api-key-env", "KEY", "--retries", "0"]);
    arguments.extend(if more.contains(&"--timeout") { &[][..] } else { &["--timeout", "30"] });
    arguments.extend(if more.contains(&"--select") { &[][..] } else { &rows });
    arguments.extend(more);
    arguments
}

fn test_url(url: &str, more: &[&str]) -> (Folder, FinishedRun) {
    let folder = Folder::new();
    let finished = folder.run_with_env(&[("KEY", KEY)], &arguments(url, more));
    (folder, finished)
}

fn rows(results: &Value) -> &Vec<Value> {
    results["rows"].as_array().unwrap()
}

/// Asserts that a run with an endpoint that fails from the first request reports the reason.
#[track_caller]
fn assert_untested(url: &str, reason: &[&str]) -> (Folder, FinishedRun) {
    assert_untested_with(url, reason, &[])
}

#[track_caller]
fn assert_untested_with(url: &str, reason: &[&str], more: &[&str]) -> (Folder, FinishedRun) {
    let (folder, finished) = test_url(url, more);
    let finished = finished
        .assert_exit_code(3)
        .assert_stderr_contains(reason)
        .assert_stderr_contains(&["partial results: the endpoint could not be tested"]);
    let results = folder.results("out");
    assert_eq!(rows(&results).len(), 2);
    for row in rows(&results) {
        assert_eq!((&row["outcome"], &row["verdict"]["status"]), (&"undetermined".into(), &"skipped".into()));
    }
    for part in reason {
        for text in [&results["partial"], &rows(&results)[0]["verdict"]["reason"]] {
            assert!(text.as_str().unwrap().contains(part), "`{part}` is not in {text}");
        }
        assert!(
            alphanumeric(&folder.read("out/matrix.md")).contains(&alphanumeric(part)),
            "`{part}` is not in the matrix"
        );
    }
    assert!(finished.peak_kib < MAX_PEAK_KIB, "{} KiB", finished.peak_kib);
    (folder, finished)
}

/// Returns only letters and digits, because reports may escape and wrap the rest.
fn alphanumeric(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).collect()
}

/// Asserts that a run reports the reason if the endpoint responds well to probes and badly to rows.
#[track_caller]
fn assert_undecided(
    reason: &[&str],
    respond_badly: impl Fn(&ReceivedRequest, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
) -> (Folder, FinishedRun) {
    assert_undecided_with(reason, &[], respond_badly)
}

#[track_caller]
fn assert_undecided_with(
    reason: &[&str],
    more: &[&str],
    respond_badly: impl Fn(&ReceivedRequest, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
) -> (Folder, FinishedRun) {
    let server = faithful_until(PROBE_REQUESTS, respond_badly);
    let (folder, finished) = test_url(&server.url(), more);
    let finished = finished.assert_exit_code(3).assert_stderr_contains(reason);
    let results = folder.results("out");
    for row in rows(&results) {
        assert_eq!(row["outcome"], "undetermined");
        let verdict_reason = row["verdict"]["reason"].as_str().unwrap();
        for part in reason {
            assert!(verdict_reason.contains(part), "`{part}` is not in `{verdict_reason}`");
        }
    }
    assert!(server.received_requests().len() > PROBE_REQUESTS, "the rows were run");
    (folder, finished)
}

/// Starts a server that forwards this number of requests to a simulator and then responds badly.
fn faithful_until(
    number: usize,
    respond_badly: impl Fn(&ReceivedRequest, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
) -> TestServer {
    let faithful = FaithfulServer::start();
    TestServer::start(move |request, stream| {
        if request.number < number {
            stream.write_all(&faithful.respond(request)?)
        } else {
            respond_badly(request, stream)
        }
    })
}

/// Asserts that the recording is complete and that judging it gives the same results.
#[track_caller]
fn assert_judged_equally(folder: &Folder, code: i32) {
    let [recording] = folder.file_names("out", "recording-").try_into().unwrap();
    folder.run(["judge", &format!("out/{recording}"), "--out", "again"]).assert_exit_code(code);
    assert_eq!(folder.results("out"), folder.results("again"));
}

#[test]
fn a_closed_port_is_reported() {
    let url = format!("http://127.0.0.1:{}", reserve_port());
    let (folder, _) =
        assert_untested(&url, &["connection refused by 127.0.0.1:", "Check that the server runs, and the port"]);
    assert_judged_equally(&folder, 3);
}

#[test]
fn an_unknown_host_is_reported() {
    assert_untested("https://fieldtest.invalid", &["no address found for fieldtest.invalid", "Check the host name"]);
}

#[test]
fn a_rejected_credential_is_reported() {
    let body = r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#;
    for status in ["401 Unauthorized", "403 Forbidden"] {
        let server = TestServer::start(move |_, stream| write_response(stream, status, "application/json", body));
        assert_untested(
            &server.url(),
            &[&status[..3], "invalid x-api-key", "Check the credential (--api-key-env) and its header (--auth)"],
        );
    }
}

#[test]
fn a_missing_path_is_reported() {
    let server =
        TestServer::start(|_, stream| write_response(stream, "404 Not Found", "text/html", "<h1>no page here</h1>"));
    let (folder, _) = assert_untested(&server.url(), &["HTTP 404", "no page here", "Check --base-url and --model"]);
    assert_judged_equally(&folder, 3);
}

#[test]
fn https_to_an_http_port_and_http_to_an_https_port_are_reported() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream?;
            // HTTP servers respond like this to other protocols.
            stream.read_exact(&mut [0; 5])?;
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")?;
        }
        io::Result::Ok(())
    });
    assert_untested(&url, &["the TLS handshake with", "may use http:// instead of https://"]);
    // A TLS server responds to plain HTTP with a fatal alert, `unexpected_message`.
    let server = TestServer::start(|_, stream| stream.write_all(&[21, 3, 3, 0, 2, 2, 10]));
    assert_untested(&server.url(), &["did not return HTTP", "use https://"]);
}

#[test]
fn a_web_page_instead_of_json_is_reported() {
    let server = TestServer::start(|_, stream| write_response(stream, "200 OK", "text/html", HTML));
    assert_untested(&server.url(), &["not JSON", "text/html", "Welcome to the gateway"]);
    assert_undecided(&["not JSON", "text/html"], |_, stream| write_response(stream, "200 OK", "text/html", HTML));
}

#[test]
fn an_error_in_a_success_response_is_reported() {
    let body = r#"{"type":"error","error":{"type":"api_error","message":"upstream is gone"}}"#;
    let server = TestServer::start(move |_, stream| write_response(stream, "200 OK", "application/json", body));
    assert_untested(&server.url(), &["HTTP 200 with an error in the body", "upstream is gone"]);
    assert_undecided(&["HTTP 200 with an error in the body", "upstream is gone"], move |_, stream| {
        write_response(stream, "200 OK", "application/json", body)
    });
}

#[test]
fn json_that_is_not_a_message_is_reported() {
    let deep = format!("{{\"content\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    for (body, message) in [
        (String::new(), "not JSON"),
        ("null".to_owned(), "not a message"),
        ("[]".to_owned(), "not a message"),
        (r#"{"content":"text"}"#.to_owned(), "not a message"),
        (r#"{"choices":[{"message":{"content":"hello"}}]}"#.to_owned(), "not a message"),
        (deep, "too large to read"),
    ] {
        let server = TestServer::start(move |_, stream| write_response(stream, "200 OK", "application/json", &body));
        assert_untested(&server.url(), &["HTTP 200 with", message]);
    }
}

#[test]
fn huge_counts_and_indexes_do_not_panic() {
    let max = u64::MAX;
    let message = format!(
        r#"{{"type":"message","model":7,"content":[{{"type":"text","text":"hello"}},5,null],"stop_reason":[],
           "usage":{{"input_tokens":{max},"cache_read_input_tokens":{max},"output_tokens":{max}}}}}"#
    );
    let stream_body = format!(
        "event: message_start\ndata: {{\"type\":\"message_start\",\"message\":{message}}}\n\n\
         data: {{\"type\":\"content_block_delta\",\"index\":{max},\"delta\":{{\"type\":\"text_delta\",\"text\":\"x\"}}}}\n\n\
         data: {{\"type\":\"content_block_delta\",\"index\":1,\"delta\":{{\"type\":\"text_delta\",\"text\":\"x\"}}}}\n\n\
         data: {{\"type\":\"message_stop\"}}\n\n"
    );
    for (kind, body) in [
        ("application/json", message.replace('\n', " ")),
        ("text/event-stream", stream_body.replace("\n           ", " ")),
    ] {
        let server = TestServer::start(move |_, stream| write_response(stream, "200 OK", kind, &body));
        let (folder, finished) = test_url(&server.url(), &["--max-requests", "12", "--max-tokens", &max.to_string()]);
        assert!(matches!(finished.code, Some(1 | 3)), "{finished:?}");
        assert!(!finished.stderr.contains("panicked"), "{finished:?}");
        assert_eq!(folder.results("out")["totals"]["input_tokens"].as_u64(), Some(max));
    }
}

#[test]
fn an_endless_body_is_cut_at_the_size_limit() {
    fn write_endless_body(stream: &mut TcpStream) -> io::Result<()> {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")?;
        let piece = [b'['; 65_536];
        // The write fails when the client closes the connection.
        loop {
            stream.write_all(&piece)?;
        }
    }
    let server = TestServer::start(|_, stream| write_endless_body(stream));
    assert_untested(&server.url(), &["is larger than 4194304 bytes"]);
    let (folder, finished) =
        assert_undecided(&["is larger than 4194304 bytes"], |_, stream| write_endless_body(stream));
    assert!(finished.peak_kib < MAX_PEAK_KIB, "{} KiB", finished.peak_kib);
    assert_judged_equally(&folder, 3);
}

#[test]
fn a_content_length_of_1_gib_ends_at_the_timeout() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1073741824\r\n\r\n";
    let server = TestServer::start(move |_, stream| {
        stream.write_all(head.as_bytes())?;
        keep_open(stream)
    });
    assert_untested_with(&server.url(), &["was not complete within 1 s"], &SHORT_TIMEOUT);
}

#[test]
fn an_endpoint_that_hangs_ends_at_the_timeout() {
    let server = TestServer::start(|_, stream| keep_open(stream));
    let (_, finished) = assert_untested_with(&server.url(), &["1 s", "--timeout"], &SHORT_TIMEOUT);
    assert!(finished.duration < Duration::from_secs(10), "1 timeout is enough: {:?}", finished.duration);
    assert_eq!(
        server.received_requests().len(),
        1,
        "after a first request without a response, no other request is sent"
    );
    assert_undecided_with(&["3 s", "--timeout"], &LONG_TIMEOUT, |_, stream| keep_open(stream));
}

#[test]
fn a_slow_endless_response_ends_at_the_timeout() {
    let server = TestServer::start(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")?;
        loop {
            stream.write_all(b" ")?;
            stream.flush()?;
            thread::sleep(Duration::from_millis(20));
        }
    });
    let (_, finished) = assert_untested_with(&server.url(), &["1 s", "--timeout"], &SHORT_TIMEOUT);
    assert!(finished.duration < Duration::from_secs(10), "{:?}", finished.duration);
}

#[test]
fn an_incomplete_body_is_reported() {
    let incomplete = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"content\":";
    let server = TestServer::start(move |_, stream| stream.write_all(incomplete.as_bytes()));
    assert_untested(&server.url(), &["broke after 11 bytes of the body"]);
    assert_undecided(&["broke after 11 bytes"], move |_, stream| stream.write_all(incomplete.as_bytes()));
}

#[test]
fn a_connection_that_closes_without_a_response_is_reported() {
    let server = TestServer::start(|_, _| Ok(()));
    assert_untested(&server.url(), &["closed the connection without a response"]);
    assert_undecided(&["closed the connection without a response"], |_, _| Ok(()));
}

#[test]
fn a_response_that_is_not_http_is_reported() {
    let server = TestServer::start(|_, stream| stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n"));
    assert_untested(&server.url(), &["did not return HTTP", "Check the port"]);
    // Headers without an end.
    let server = TestServer::start(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
        for n in 0.. {
            write!(stream, "x-{n}: {}\r\n", "y".repeat(4096))?;
        }
        Ok(())
    });
    assert_untested(&server.url(), &["did not return HTTP"]);
}

#[test]
fn an_incomplete_stream_is_reported() {
    let faithful = FaithfulServer::start();
    let server = TestServer::start(move |request, stream| {
        let response = faithful.respond(request)?;
        let is_complete = !request.body.contains(r#""stream":true"#);
        stream.write_all(if is_complete { &response } else { &response[..response.len() / 2] })
    });
    let (folder, finished) = test_url(&server.url(), &["--select", "field.stream"]);
    finished.assert_exit_code(3).assert_stderr_contains(&["no row is decided", "broke after"]);
    let row = &folder.results("out")["rows"][0];
    assert_eq!(row["outcome"], "undetermined");
    assert!(row["verdict"]["reason"].as_str().unwrap().contains("broke after"), "{row}");
    assert_judged_equally(&folder, 3);
}

#[test]
fn a_stream_without_its_last_event_is_reported() {
    let faithful = FaithfulServer::start();
    let server = TestServer::start(move |request, stream| {
        let response = String::from_utf8(faithful.respond(request)?).unwrap();
        if !request.body.contains(r#""stream":true"#) {
            return stream.write_all(response.as_bytes());
        }
        let events = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"content\":[]}}\n\n";
        write_response(stream, "200 OK", "text/event-stream", events)
    });
    let (folder, finished) = test_url(&server.url(), &["--select", "field.stream"]);
    finished.assert_exit_code(3).assert_stderr_contains(&["without message_stop"]);
    assert_eq!(folder.results("out")["rows"][0]["verdict"]["code"], "broken-answer");
}

#[test]
fn bytes_that_are_not_utf8_are_reported() {
    for body in [&b"\xff\xfe\x00garbage\x80"[..], b"{\"content\":[\xff]}"] {
        let server = TestServer::start(move |_, stream| write_response(stream, "200 OK", "application/json", body));
        let (folder, _) = assert_untested(&server.url(), &["not JSON"]);
        assert_judged_equally(&folder, 3);
    }
    // Invalid bytes within a text: the rest is readable. The recording keeps the exact bytes.
    let body =
        b"{\"type\":\"message\",\"content\":[{\"type\":\"text\",\"text\":\"caf\xe9\"}],\"stop_reason\":\"end_turn\"}";
    let server = TestServer::start(move |_, stream| write_response(stream, "200 OK", "application/json", body));
    let (folder, finished) = test_url(&server.url(), &[]);
    finished.assert_exit_code(3).assert_stderr_contains(&["no row is decided"]);
    assert_judged_equally(&folder, 3);
}

#[test]
fn a_redirect_is_not_followed_and_gets_no_credential() {
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let other = TestServer::start(|_, stream| write_response(stream, "200 OK", "text/plain", "thank you"));
        let redirect_url = format!("{}/v1/messages", other.url());
        let location = redirect_url.clone();
        let redirect = move |_: &ReceivedRequest, stream: &mut TcpStream| {
            write!(
                stream,
                "HTTP/1.1 {status}\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            )
        };
        let server = TestServer::start(redirect.clone());
        assert_untested(&server.url(), &["a redirect to", &redirect_url, "give the final address as the base URL"]);
        assert!(server.received_requests()[0].head.contains(KEY), "the tested endpoint receives the credential");
        assert_undecided(&["a redirect to"], redirect);
        assert!(other.received_requests().is_empty(), "{status}: {:?}", other.received_requests());
    }
}

#[test]
fn a_credential_that_expires_during_the_run_is_reported() {
    let body = r#"{"type":"error","error":{"type":"authentication_error","message":"key revoked"}}"#;
    assert_undecided(&["HTTP 401", "key revoked"], move |_, stream| {
        write_response(stream, "401 Unauthorized", "application/json", body)
    });
}

#[test]
fn an_overloaded_endpoint_is_not_a_rejection() {
    let body = r#"{"type":"error","error":{"type":"overloaded_error","message":"come back later"}}"#;
    for (status, status_text) in
        [("529 Overloaded", "HTTP 529"), ("429 Too Many Requests", "HTTP 429"), ("503 Gone", "HTTP 503")]
    {
        let server = TestServer::start(move |_, stream| write_response(stream, status, "application/json", body));
        assert_untested(&server.url(), &[status_text, "come back later"]);
        assert_undecided(&[status_text, "come back later"], move |_, stream| {
            write_response(stream, status, "application/json", body)
        });
    }
}

#[test]
fn an_echoed_credential_is_in_no_file() {
    const SECRET: &str = "sk-hunter2-0123456789abcdef";
    let echo = |request: &ReceivedRequest, stream: &mut TcpStream| {
        let head = request.head.replace(['\r', '\n'], " ").replace('"', "'");
        let body =
            format!(r#"{{"type":"error","error":{{"type":"authentication_error","message":"you sent {head}"}}}}"#);
        write_response(stream, "401 Unauthorized", "application/json", body)
    };
    let server = TestServer::start(echo);
    for scheme in ["x-api-key", "bearer"] {
        let folder = Folder::new();
        let url = server.url();
        let finished =
            folder.run_with_env(&[("KEY", SECRET)], &arguments(&url, &["--auth", scheme])).assert_exit_code(3);
        assert!(finished.stderr.contains("<credential>"), "{}", finished.stderr);
        assert!(!finished.stderr.contains("hunter2") && !finished.stdout.contains("hunter2"), "{finished:?}");
        for (path, content) in folder.all_files() {
            assert!(!String::from_utf8_lossy(&content).contains("hunter2"), "{}", path.display());
        }
    }
    assert!(server.received_requests().iter().all(|request| request.head.contains(SECRET)), "the credential was sent");
}

#[test]
fn terminal_escapes_of_a_server_are_removed() {
    let body = "\x1b]0;owned\x07\x1b[2J{\"error\":\"\\u001b[31mred\"}";
    let server =
        TestServer::start(move |_, stream| write_response(stream, "400 Bad Request", "application/json", body));
    let (_, finished) = test_url(&server.url(), &[]);
    let finished = finished.assert_exit_code(3).assert_stderr_contains(&["HTTP 400"]);
    assert!(!finished.stdout.contains('\x1b') && !finished.stdout.contains('\x07'), "{:?}", finished.stdout);
    assert!(!finished.stderr.contains('\x1b') && !finished.stderr.contains('\x07'), "{:?}", finished.stderr);
}

#[test]
fn a_contradiction_stays_after_the_endpoint_stops_responding() {
    // The server ignores stop sequences, which contradicts the claims. It closes the connection for
    // requests with a system prompt.
    let faithful = FaithfulServer::start();
    let server = TestServer::start(move |request, stream| {
        if request.body.contains(r#""system""#) {
            return Ok(());
        }
        let mut body: Value = serde_json::from_str(&request.body).unwrap();
        body.as_object_mut().unwrap().remove("stop_sequences");
        let body = body.to_string();
        let head = request
            .head
            .replace(&format!("content-length: {}", request.body.len()), &format!("content-length: {}", body.len()));
        stream.write_all(&faithful.respond(&ReceivedRequest { body, head, ..request.clone() })?)
    });
    let (folder, finished) = test_url(&server.url(), &[]);
    finished.assert_exit_code(1);
    let results = folder.results("out");
    let outcome_of = |id: &str| rows(&results).iter().find(|row| row["id"] == id).unwrap()["outcome"].clone();
    assert_eq!(
        (outcome_of("field.stop_sequences"), outcome_of("field.system")),
        ("contradicts".into(), "undetermined".into())
    );
}

/// Starts a run and interrupts it when the server has received this number of requests.
/// One request is in flight at a time, so that the server has received all that were sent.
fn run_and_interrupt(server: &TestServer, requests: usize, folder: &Folder) -> FinishedRun {
    let url = server.url();
    let mut command = folder.command(arguments(&url, &["--concurrency", "1"]));
    command.env("KEY", KEY);
    let mut running = RunningCommand::start(command);
    running.wait_until(|| server.received_requests().len() >= requests);
    running.send_signal("INT");
    running.wait_for_end()
}

#[test]
fn an_interrupted_run_keeps_its_results() {
    for requests in [1, PROBE_REQUESTS + 1] {
        let server = faithful_until(requests - 1, |_, stream| keep_open(stream));
        let folder = Folder::new();
        run_and_interrupt(&server, requests, &folder)
            .assert_exit_code(3)
            .assert_stderr_contains(&["stopping", "interrupted"]);
        let results = folder.results("out");
        assert_eq!(results["partial"], "the run was interrupted");
        // Open requests count, because they may cost money.
        assert_eq!(results["totals"]["requests"], server.received_requests().len(), "{}", results["totals"]);
        for row in rows(&results) {
            assert_eq!(row["outcome"], "undetermined");
            assert!(row["verdict"]["reason"].as_str().unwrap().contains("interrupted"), "{row}");
        }
        assert!(folder.read("out/matrix.md").contains("interrupted"));
        assert_judged_equally(&folder, 3);
    }
}

#[test]
fn the_recording_of_a_killed_run_can_be_judged() {
    let server = faithful_until(PROBE_REQUESTS + 1, |_, stream| keep_open(stream));
    let folder = Folder::new();
    let url = server.url();
    let mut command = folder.command(arguments(&url, &[]));
    command.env("KEY", KEY);
    let mut running = RunningCommand::start(command);
    running.wait_until(|| server.received_requests().len() >= PROBE_REQUESTS + 2);
    running.send_signal("KILL");
    assert_eq!(running.wait_for_end().code, None);
    let [recording] = folder.file_names("out", "recording-").try_into().unwrap();
    let path = format!("out/{recording}");
    folder
        .run(["judge", &path, "--out", "again"])
        .assert_exit_code(3)
        .assert_stderr_contains(&["no footer", "the run was interrupted"]);
    assert!(folder.results("again")["totals"]["requests"].as_u64().unwrap() >= PROBE_REQUESTS as u64);
    // The last line may be incomplete.
    let text = folder.read(&path);
    fs::write(folder.path().join(&path), &text[..text.len() - 40]).unwrap();
    folder.run(["judge", &path, "--out", "again"]).assert_exit_code(3).assert_stderr_contains(&["no footer"]);
}

/// A stream of the maximum size with as many frames as possible.
#[test]
fn half_a_million_frames_are_processed_one_by_one() {
    let folder = Folder::new();
    folder
        .run(["run", "deepseek@2025-12", "--simulate", "--out", "out", "--select", "field.stream"])
        .assert_exit_code(0);
    let [recording] = folder.file_names("out", "recording-").try_into().unwrap();
    let path = format!("out/{recording}");
    let judge_again = || folder.run(["judge", &path, "--out", "again"]);
    let short = judge_again().assert_exit_code(0).peak_kib;
    let mut replaced = 0;
    let lines: Vec<String> = folder
        .read(&path)
        .lines()
        .map(|line| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            let text = line.pointer_mut("/exchange/attempts/0/response/body/text");
            if let Some(text) = text.filter(|text| text.as_str().unwrap().starts_with("event: ")) {
                *text = "data:1\n\n".repeat(MAX_BODY_BYTES / 8).into();
                replaced += 1;
            }
            line.to_string() + "\n"
        })
        .collect();
    fs::write(folder.path().join(&path), lines.concat()).unwrap();
    assert_eq!(replaced, 1, "one exchange was streamed");
    let long = judge_again();
    assert!(long.code.is_some_and(|code| code != 101), "{long:?}");
    let difference = long.peak_kib.saturating_sub(short);
    // The recording line, its text and the body fit into this. Half a million stored frames do not.
    assert!(
        difference < 8 * MAX_BODY_BYTES as u64 / 1024,
        "{difference} KiB more than the {short} KiB of a short stream"
    );
}

#[test]
fn only_the_tested_endpoint_receives_requests() {
    let server = faithful_until(usize::MAX, |_, _| Ok(()));
    let trap = Arc::new(TestServer::start(|_, _| Ok(())));
    let url = format!("{}/some/path", server.url());
    let folder = Folder::new();
    folder
        .run_with_env(&[("KEY", KEY), ("DEEPSEEK_API_KEY", "sk-other-0123456789")], &arguments(&url, &[]))
        .assert_exit_code(0);
    assert!(trap.received_requests().is_empty());
    for request in server.received_requests() {
        assert!(request.head.starts_with("POST /some/path/v1/messages HTTP/1.1"), "{}", request.head);
        assert!(!request.head.contains("sk-other"), "the request contains the credential of another target");
    }
}
