//! Endpoints that answer badly, from the first request on or later: the real binary must end in time, within bounded
//! memory, say plainly what happened, and leave results whose rows are undetermined with the reason.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, thread};

use binary::{FinishedRun, Folder, RunningCommand};
use serde_json::Value;
use server::{FaithfulServer, ReceivedRequest, TestServer, keep_open, write_response};

use crate::common::{binary, server};

/// The simulator's own credential, so that a server that forwards to it is let in.
const KEY: &str = "fieldtest-simulator";
/// Requests that every run sends before its first row: the form of texts, and four about invented keys.
const PROBES: usize = 5;
/// A time-out for servers that never answer.
const SOON: [&str; 2] = ["--timeout", "1"];
/// One for servers that answer at first: also a busy machine has answered by then.
const LATER: [&str; 2] = ["--timeout", "3"];
/// Far more than a run needs, and far less than what a hostile server would have it keep.
const PEAK_KIB: u64 = 200 * 1024;

/// What the client keeps of a body.
const KEPT: usize = 4 * 1024 * 1024;

const HTML: &str = "<!DOCTYPE html><html><title>Sign in</title><p>Welcome to the gateway</p></html>";

/// The arguments of a run of two rows against a URL.
fn arguments<'a>(url: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let rows = ["--select", "field.stop_sequences", "--select", "field.system"];
    let mut arguments = vec!["run", "--base-url", url, "--model", "m", "--claims", "deepseek", "--out", "out"];
    arguments.extend(["--api-key-env", "KEY", "--retries", "0"]);
    arguments.extend(if more.contains(&"--timeout") { &[][..] } else { &["--timeout", "30"] });
    arguments.extend(if more.contains(&"--select") { &[][..] } else { &rows });
    arguments.extend(more);
    arguments
}

fn test(url: &str, more: &[&str]) -> (Folder, FinishedRun) {
    let folder = Folder::new();
    let ended = folder.run_with_env(&[("KEY", KEY)], &arguments(url, more));
    (folder, ended)
}

fn rows(results: &Value) -> &Vec<Value> {
    results["rows"].as_array().unwrap()
}

/// Holds a run to what is promised where nothing could be decided from the first request on.
#[track_caller]
fn untested(url: &str, reason: &[&str]) -> (Folder, FinishedRun) {
    untested_with(url, reason, &[])
}

#[track_caller]
fn untested_with(url: &str, reason: &[&str], more: &[&str]) -> (Folder, FinishedRun) {
    let (folder, ended) = test(url, more);
    let ended = ended
        .assert_exit_code(3)
        .assert_stderr_contains(reason)
        .assert_stderr_contains(&["partial results: the endpoint could not be tested"]);
    let results = folder.results("out");
    assert_eq!(rows(&results).len(), 2);
    for row in rows(&results) {
        assert_eq!((&row["outcome"], &row["verdict"]["status"]), (&"undetermined".into(), &"skipped".into()));
    }
    for part in reason {
        for told in [&results["partial"], &rows(&results)[0]["verdict"]["reason"]] {
            assert!(told.as_str().unwrap().contains(part), "`{part}` is not in {told}");
        }
        assert!(flat(&folder.read("out/matrix.md")).contains(&flat(part)), "`{part}` is not in the matrix");
    }
    assert!(ended.peak_kib < PEAK_KIB, "{} KiB", ended.peak_kib);
    (folder, ended)
}

/// Letters and digits alone: reports may escape and wrap the rest.
fn flat(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).collect()
}

/// Holds a run to what is promised where the endpoint answers the probes well, and each row's requests badly.
#[track_caller]
fn lost_later(
    reason: &[&str],
    bad: impl Fn(&ReceivedRequest, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
) -> (Folder, FinishedRun) {
    lost_later_with(reason, &[], bad)
}

#[track_caller]
fn lost_later_with(
    reason: &[&str],
    more: &[&str],
    bad: impl Fn(&ReceivedRequest, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
) -> (Folder, FinishedRun) {
    let server = faithful_until(PROBES, bad);
    let (folder, ended) = test(&server.url(), more);
    let ended = ended.assert_exit_code(3).assert_stderr_contains(&["no row is decided"]).assert_stderr_contains(reason);
    let results = folder.results("out");
    for row in rows(&results) {
        assert_eq!((&row["outcome"], &row["verdict"]["status"]), (&"undetermined".into(), &"inconclusive".into()));
        let told = row["verdict"]["reason"].as_str().unwrap();
        for part in reason {
            assert!(told.contains(part), "`{part}` is not in `{told}`");
        }
    }
    assert!(server.received_requests().len() > PROBES, "the rows were tried");
    (folder, ended)
}

/// A server that answers so many requests faithfully, and every later one badly.
fn faithful_until(
    number: usize,
    bad: impl Fn(&ReceivedRequest, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
) -> TestServer {
    let faithful = FaithfulServer::start();
    TestServer::start(move |asked, stream| {
        if asked.number < number { stream.write_all(&faithful.respond(asked)?) } else { bad(asked, stream) }
    })
}

/// Asserts that the recording is whole, and that judging it again comes to the same results.
#[track_caller]
fn judged_alike(folder: &Folder, code: i32) {
    let [recording] = folder.file_names("out", "recording-").try_into().unwrap();
    folder.run(["judge", &format!("out/{recording}"), "--out", "again"]).assert_exit_code(code);
    assert_eq!(folder.results("out"), folder.results("again"));
}

#[test]
fn a_port_where_nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (folder, _) = untested(&url, &["connection refused by 127.0.0.1:", "Check that the server runs, and the port"]);
    judged_alike(&folder, 3);
}

#[test]
fn a_host_that_has_no_address() {
    untested("https://fieldtest.invalid", &["no address found for fieldtest.invalid", "Check the host name"]);
}

#[test]
fn a_credential_that_is_refused() {
    let body = r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#;
    for status in ["401 Unauthorized", "403 Forbidden"] {
        let server = TestServer::start(move |_, stream| write_response(stream, status, "application/json", body));
        untested(
            &server.url(),
            &[&status[..3], "invalid x-api-key", "is there a credential (--api-key-env), is it right", "--auth"],
        );
    }
}

#[test]
fn a_path_that_is_not_there() {
    let server =
        TestServer::start(|_, stream| write_response(stream, "404 Not Found", "text/html", "<h1>no page here</h1>"));
    let (folder, _) = untested(&server.url(), &["HTTP 404", "no page here", "are the base URL and the model right?"]);
    judged_alike(&folder, 3);
}

#[test]
fn https_where_http_is_spoken_and_http_where_https_is() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream?;
            // As servers do on what is no HTTP to them.
            stream.read_exact(&mut [0; 5])?;
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")?;
        }
        io::Result::Ok(())
    });
    untested(&url, &["the TLS handshake with", "may use http:// instead of https://"]);
    // What a TLS server says to a request in plain HTTP: a fatal alert, `unexpected_message`.
    let server = TestServer::start(|_, stream| stream.write_all(&[21, 3, 3, 0, 2, 2, 10]));
    untested(&server.url(), &["did not return HTTP", "use https://"]);
}

#[test]
fn a_web_page_instead_of_json() {
    let server = TestServer::start(|_, stream| write_response(stream, "200 OK", "text/html", HTML));
    untested(&server.url(), &["not JSON", "text/html", "Welcome to the gateway"]);
    lost_later(&["not JSON", "text/html"], |_, stream| write_response(stream, "200 OK", "text/html", HTML));
}

#[test]
fn success_with_an_error_inside() {
    let body = r#"{"type":"error","error":{"type":"api_error","message":"upstream is gone"}}"#;
    let server = TestServer::start(move |_, stream| write_response(stream, "200 OK", "application/json", body));
    untested(&server.url(), &["HTTP 200 with an error in the body", "upstream is gone"]);
    lost_later(&["HTTP 200 with an error in the body", "upstream is gone"], move |_, stream| {
        write_response(stream, "200 OK", "application/json", body)
    });
}

#[test]
fn answers_that_are_json_and_no_message() {
    let deep = format!("{{\"content\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    for (body, said) in [
        (String::new(), "not JSON"),
        ("null".to_owned(), "not a message"),
        ("[]".to_owned(), "not a message"),
        (r#"{"content":"text"}"#.to_owned(), "not a message"),
        (r#"{"choices":[{"message":{"content":"hello"}}]}"#.to_owned(), "not a message"),
        (deep, "not JSON"),
    ] {
        let server = TestServer::start(move |_, stream| write_response(stream, "200 OK", "application/json", &body));
        untested(&server.url(), &["HTTP 200 with", said]);
    }
}

#[test]
fn counters_and_indexes_past_all_bounds_are_no_panic() {
    let most = u64::MAX;
    let message = format!(
        r#"{{"type":"message","model":7,"content":[{{"type":"text","text":"hello"}},5,null],"stop_reason":[],
           "usage":{{"input_tokens":{most},"cache_read_input_tokens":{most},"output_tokens":{most}}}}}"#
    );
    let stream_body = format!(
        "event: message_start\ndata: {{\"type\":\"message_start\",\"message\":{message}}}\n\n\
         data: {{\"type\":\"content_block_delta\",\"index\":{most},\"delta\":{{\"type\":\"text_delta\",\"text\":\"x\"}}}}\n\n\
         data: {{\"type\":\"content_block_delta\",\"index\":1,\"delta\":{{\"type\":\"text_delta\",\"text\":\"x\"}}}}\n\n\
         data: {{\"type\":\"message_stop\"}}\n\n"
    );
    for (kind, body) in [
        ("application/json", message.replace('\n', " ")),
        ("text/event-stream", stream_body.replace("\n           ", " ")),
    ] {
        let server = TestServer::start(move |_, stream| write_response(stream, "200 OK", kind, &body));
        let (folder, ended) = test(&server.url(), &["--max-requests", "12", "--max-tokens", &most.to_string()]);
        assert!(matches!(ended.code, Some(1 | 3)), "{ended:?}");
        assert!(!ended.stderr.contains("panicked"), "{ended:?}");
        assert_eq!(folder.results("out")["totals"]["input_tokens"].as_u64(), Some(most));
    }
}

#[test]
fn a_body_that_never_ends_is_cut_at_the_bound() {
    fn endless(stream: &mut TcpStream) -> io::Result<()> {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")?;
        let piece = [b'['; 65_536];
        // Ends with an error as soon as the other side has had enough.
        loop {
            stream.write_all(&piece)?;
        }
    }
    let server = TestServer::start(|_, stream| endless(stream));
    untested(&server.url(), &["is larger than 4194304 bytes"]);
    let (folder, ended) = lost_later(&["is larger than 4194304 bytes"], |_, stream| endless(stream));
    assert!(ended.peak_kib < PEAK_KIB, "{} KiB", ended.peak_kib);
    judged_alike(&folder, 3);
}

#[test]
fn a_body_that_is_said_to_be_a_gigabyte_is_not_waited_for() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1073741824\r\n\r\n";
    let server = TestServer::start(move |_, stream| {
        stream.write_all(head.as_bytes())?;
        keep_open(stream)
    });
    untested_with(&server.url(), &["was not complete within 1 s"], &SOON);
}

#[test]
fn an_endpoint_that_hangs_is_given_up_at_the_time_out() {
    let server = TestServer::start(|_, stream| keep_open(stream));
    let (_, ended) = untested_with(&server.url(), &["1 s", "--timeout"], &SOON);
    assert!(ended.duration < Duration::from_secs(10), "one time-out is enough to know: {:?}", ended.duration);
    assert_eq!(
        server.received_requests().len(),
        1,
        "an endpoint that does not answer the first request is not asked again"
    );
    lost_later_with(&["3 s", "--timeout"], &LATER, |_, stream| keep_open(stream));
}

#[test]
fn an_answer_that_trickles_is_given_up_at_the_time_out() {
    let server = TestServer::start(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")?;
        loop {
            stream.write_all(b" ")?;
            stream.flush()?;
            thread::sleep(Duration::from_millis(20));
        }
    });
    let (_, ended) = untested_with(&server.url(), &["1 s", "--timeout"], &SOON);
    assert!(ended.duration < Duration::from_secs(10), "{:?}", ended.duration);
}

#[test]
fn a_body_that_breaks_off() {
    let cut = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"content\":";
    let server = TestServer::start(move |_, stream| stream.write_all(cut.as_bytes()));
    untested(&server.url(), &["broke after 11 bytes of the body"]);
    lost_later(&["broke after 11 bytes"], move |_, stream| stream.write_all(cut.as_bytes()));
}

#[test]
fn a_connection_that_closes_without_an_answer() {
    let server = TestServer::start(|_, _| Ok(()));
    untested(&server.url(), &["closed the connection without a response"]);
    lost_later(&["closed the connection without a response"], |_, _| Ok(()));
}

#[test]
fn what_is_not_http() {
    let server = TestServer::start(|_, stream| stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n"));
    untested(&server.url(), &["did not return HTTP", "Check the port"]);
    // Headers without an end.
    let server = TestServer::start(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
        for n in 0.. {
            write!(stream, "x-{n}: {}\r\n", "y".repeat(4096))?;
        }
        Ok(())
    });
    untested(&server.url(), &["did not return HTTP"]);
}

#[test]
fn a_stream_that_is_cut_in_the_middle() {
    let faithful = FaithfulServer::start();
    let server = TestServer::start(move |asked, stream| {
        let answer = faithful.respond(asked)?;
        let whole = !asked.body.contains(r#""stream":true"#);
        stream.write_all(if whole { &answer } else { &answer[..answer.len() / 2] })
    });
    let (folder, ended) = test(&server.url(), &["--select", "field.stream"]);
    ended.assert_exit_code(3).assert_stderr_contains(&["no row is decided", "broke after"]);
    let row = &folder.results("out")["rows"][0];
    assert_eq!(row["outcome"], "undetermined");
    assert!(row["verdict"]["reason"].as_str().unwrap().contains("broke after"), "{row}");
    judged_alike(&folder, 3);
}

#[test]
fn a_stream_that_ends_without_its_last_event() {
    let faithful = FaithfulServer::start();
    let server = TestServer::start(move |asked, stream| {
        let answer = String::from_utf8(faithful.respond(asked)?).unwrap();
        if !asked.body.contains(r#""stream":true"#) {
            return stream.write_all(answer.as_bytes());
        }
        let events = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"content\":[]}}\n\n";
        write_response(stream, "200 OK", "text/event-stream", events)
    });
    let (folder, ended) = test(&server.url(), &["--select", "field.stream"]);
    ended.assert_exit_code(3).assert_stderr_contains(&["without message_stop"]);
    assert_eq!(folder.results("out")["rows"][0]["verdict"]["code"], "broken-answer");
}

#[test]
fn bytes_that_are_no_utf8() {
    for body in [&b"\xff\xfe\x00garbage\x80"[..], b"{\"content\":[\xff]}"] {
        let server = TestServer::start(move |_, stream| write_response(stream, "200 OK", "application/json", body));
        let (folder, _) = untested(&server.url(), &["not JSON"]);
        judged_alike(&folder, 3);
    }
    // In the midst of a text, the rest can still be read; it is kept byte for byte in the recording.
    let body =
        b"{\"type\":\"message\",\"content\":[{\"type\":\"text\",\"text\":\"caf\xe9\"}],\"stop_reason\":\"end_turn\"}";
    let server = TestServer::start(move |_, stream| write_response(stream, "200 OK", "application/json", body));
    let (folder, ended) = test(&server.url(), &[]);
    ended.assert_exit_code(3).assert_stderr_contains(&["no row is decided"]);
    judged_alike(&folder, 3);
}

#[test]
fn a_redirect_is_not_followed_and_the_credential_stays() {
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let elsewhere = TestServer::start(|_, stream| write_response(stream, "200 OK", "text/plain", "thank you"));
        let to = format!("{}/v1/messages", elsewhere.url());
        let location = to.clone();
        let redirect = move |_: &ReceivedRequest, stream: &mut TcpStream| {
            write!(
                stream,
                "HTTP/1.1 {status}\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            )
        };
        let server = TestServer::start(redirect.clone());
        untested(&server.url(), &["a redirect to", &to, "give the final address as the base URL"]);
        assert!(server.received_requests()[0].head.contains(KEY), "the credential went where it belongs");
        lost_later(&["a redirect to"], redirect);
        assert!(elsewhere.received_requests().is_empty(), "{status}: {:?}", elsewhere.received_requests());
    }
}

#[test]
fn a_credential_that_stops_working_in_the_middle() {
    let body = r#"{"type":"error","error":{"type":"authentication_error","message":"key revoked"}}"#;
    lost_later(&["HTTP 401", "key revoked"], move |_, stream| {
        write_response(stream, "401 Unauthorized", "application/json", body)
    });
}

#[test]
fn an_endpoint_that_is_overloaded_is_not_mistaken_for_one_that_refuses() {
    let body = r#"{"type":"error","error":{"type":"overloaded_error","message":"come back later"}}"#;
    for (status, said) in
        [("529 Overloaded", "HTTP 529"), ("429 Too Many Requests", "HTTP 429"), ("503 Gone", "HTTP 503")]
    {
        let server = TestServer::start(move |_, stream| write_response(stream, status, "application/json", body));
        untested(&server.url(), &[said, "come back later"]);
        lost_later(&[said, "come back later"], move |_, stream| {
            write_response(stream, status, "application/json", body)
        });
    }
}

#[test]
fn a_server_that_echoes_the_credential_gets_it_into_no_file() {
    const SECRET: &str = "sk-hunter2-0123456789abcdef";
    let echo = |asked: &ReceivedRequest, stream: &mut TcpStream| {
        let head = asked.head.replace(['\r', '\n'], " ").replace('"', "'");
        let body =
            format!(r#"{{"type":"error","error":{{"type":"authentication_error","message":"you sent {head}"}}}}"#);
        write_response(stream, "401 Unauthorized", "application/json", body)
    };
    let server = TestServer::start(echo);
    for scheme in ["x-api-key", "bearer"] {
        let folder = Folder::new();
        let url = server.url();
        let ended = folder.run_with_env(&[("KEY", SECRET)], &arguments(&url, &["--auth", scheme])).assert_exit_code(3);
        assert!(ended.stderr.contains("<credential>"), "{}", ended.stderr);
        assert!(!ended.stderr.contains("hunter2") && !ended.stdout.contains("hunter2"), "{ended:?}");
        for (path, content) in folder.all_files() {
            assert!(!String::from_utf8_lossy(&content).contains("hunter2"), "{}", path.display());
        }
    }
    assert!(server.received_requests().iter().all(|asked| asked.head.contains(SECRET)), "the credential was sent");
}

#[test]
fn terminal_escapes_of_a_server_reach_no_terminal() {
    let body = "\x1b]0;owned\x07\x1b[2J{\"error\":\"\\u001b[31mred\"}";
    let server =
        TestServer::start(move |_, stream| write_response(stream, "400 Bad Request", "application/json", body));
    let (_, ended) = test(&server.url(), &[]);
    let ended = ended.assert_exit_code(3).assert_stderr_contains(&["HTTP 400"]);
    assert!(!ended.stdout.contains('\x1b') && !ended.stdout.contains('\x07'), "{:?}", ended.stdout);
    assert!(!ended.stderr.contains('\x1b') && !ended.stderr.contains('\x07'), "{:?}", ended.stderr);
}

#[test]
fn a_contradiction_that_was_found_stands_though_the_endpoint_died() {
    // It looks at no stop sequence, which the claims call supported, and is gone when asked for the system prompt.
    let faithful = FaithfulServer::start();
    let server = TestServer::start(move |asked, stream| {
        if asked.body.contains(r#""system""#) {
            return Ok(());
        }
        let mut body: Value = serde_json::from_str(&asked.body).unwrap();
        body.as_object_mut().unwrap().remove("stop_sequences");
        let body = body.to_string();
        let head = asked
            .head
            .replace(&format!("content-length: {}", asked.body.len()), &format!("content-length: {}", body.len()));
        stream.write_all(&faithful.respond(&ReceivedRequest { body, head, ..asked.clone() })?)
    });
    let (folder, ended) = test(&server.url(), &[]);
    ended.assert_exit_code(1);
    let results = folder.results("out");
    let of = |id: &str| rows(&results).iter().find(|row| row["id"] == id).unwrap()["outcome"].clone();
    assert_eq!((of("field.stop_sequences"), of("field.system")), ("contradicts".into(), "undetermined".into()));
}

/// Starts a run, interrupts it once the server has so many requests, and returns how it ended.
fn interrupted(server: &TestServer, requests: usize, folder: &Folder) -> FinishedRun {
    let url = server.url();
    let mut command = folder.command(arguments(&url, &[]));
    command.env("KEY", KEY);
    let mut running = RunningCommand::start(command);
    running.wait_until(|| server.received_requests().len() >= requests);
    running.send_signal("INT");
    running.wait_for_end()
}

#[test]
fn an_interrupted_run_keeps_what_it_has() {
    for requests in [1, PROBES + 1] {
        let server = faithful_until(requests - 1, |_, stream| keep_open(stream));
        let folder = Folder::new();
        let ended = interrupted(&server, requests, &folder)
            .assert_exit_code(3)
            .assert_stderr_contains(&["stopping", "interrupted"]);
        assert!(ended.duration < Duration::from_secs(10), "it did not wait for the answer: {:?}", ended.duration);
        let results = folder.results("out");
        assert_eq!(results["partial"], "the run was interrupted");
        // What was under way counts: somebody may be charged for it.
        assert_eq!(results["totals"]["requests"], server.received_requests().len(), "{}", results["totals"]);
        for row in rows(&results) {
            assert_eq!(row["outcome"], "undetermined");
            assert!(row["verdict"]["reason"].as_str().unwrap().contains("interrupted"), "{row}");
        }
        assert!(folder.read("out/matrix.md").contains("interrupted"));
        judged_alike(&folder, 3);
    }
}

#[test]
fn a_run_that_is_killed_leaves_a_recording_that_can_be_judged() {
    let server = faithful_until(PROBES + 1, |_, stream| keep_open(stream));
    let folder = Folder::new();
    let url = server.url();
    let mut command = folder.command(arguments(&url, &[]));
    command.env("KEY", KEY);
    let mut running = RunningCommand::start(command);
    running.wait_until(|| server.received_requests().len() >= PROBES + 2);
    running.send_signal("KILL");
    assert_eq!(running.wait_for_end().code, None);
    let [recording] = folder.file_names("out", "recording-").try_into().unwrap();
    let path = format!("out/{recording}");
    folder
        .run(["judge", &path, "--out", "again"])
        .assert_exit_code(3)
        .assert_stderr_contains(&["no footer", "the run was cut"]);
    assert!(folder.results("again")["totals"]["requests"].as_u64().unwrap() >= PROBES as u64);
    // The last line may be half there.
    let text = folder.read(&path);
    fs::write(folder.path().join(&path), &text[..text.len() - 40]).unwrap();
    folder.run(["judge", &path, "--out", "again"]).assert_exit_code(3).assert_stderr_contains(&["no footer"]);
}

/// A stream that is as long as one is kept, and made of as many frames as fit.
#[test]
fn half_a_million_frames_are_gone_through_one_by_one() {
    let folder = Folder::new();
    folder.run(["run", "deepseek", "--simulate", "--out", "out", "--select", "field.stream"]).assert_exit_code(0);
    let [recording] = folder.file_names("out", "recording-").try_into().unwrap();
    let path = format!("out/{recording}");
    let judged = || folder.run(["judge", &path, "--out", "again"]);
    let short = judged().assert_exit_code(0).peak_kib;
    let mut replaced = 0;
    let lines: Vec<String> = folder
        .read(&path)
        .lines()
        .map(|line| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            let text = line.pointer_mut("/exchange/attempts/0/response/body/text");
            if let Some(text) = text.filter(|text| text.as_str().unwrap().starts_with("event: ")) {
                *text = "data:1\n\n".repeat(KEPT / 8).into();
                replaced += 1;
            }
            line.to_string() + "\n"
        })
        .collect();
    fs::write(folder.path().join(&path), lines.concat()).unwrap();
    assert_eq!(replaced, 1, "one exchange was streamed");
    let long = judged();
    assert!(long.code.is_some_and(|code| code != 101), "{long:?}");
    let more = long.peak_kib.saturating_sub(short);
    // The line of the recording, its text, and the body; half a million frames alone would be more than that.
    assert!(more < 8 * KEPT as u64 / 1024, "{more} KiB more than the {short} KiB of a short stream");
}

#[test]
fn only_the_endpoint_under_test_is_asked() {
    let server = faithful_until(usize::MAX, |_, _| Ok(()));
    let trap = Arc::new(TestServer::start(|_, _| Ok(())));
    let url = format!("{}/some/path", server.url());
    let folder = Folder::new();
    folder
        .run_with_env(&[("KEY", KEY), ("DEEPSEEK_API_KEY", "sk-other-0123456789")], &arguments(&url, &[]))
        .assert_exit_code(0);
    assert!(trap.received_requests().is_empty());
    for asked in server.received_requests() {
        assert!(asked.head.starts_with("POST /some/path/v1/messages HTTP/1.1"), "{}", asked.head);
        assert!(!asked.head.contains("sk-other"), "another target's credential went along");
    }
}
