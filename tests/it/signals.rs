//! The first Ctrl-C ends a command, whatever it waits for. No test measures a time: the servers
//! never let the command continue, and its own limits are longer than the limit of a test.

#![cfg(unix)]

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use binary::{FinishedRun, Folder, RunningCommand};
use server::{FaithfulServer, ReceivedRequest, TestServer, keep_open, write_response};

use crate::common::{binary, server};

const KEY: &str = "fieldtest-simulator";

/// The requests that are answered: the probes and one more. Then rows are running, and none is
/// decided.
const ANSWERED_REQUESTS: usize = 6;

/// Longer than any test.
const LONG_TIMEOUT: [&str; 4] = ["--timeout", "3600", "--max-wait", "3600"];

/// A server that answers some requests, and then responds in another way. Counts those responses.
fn server_that_turns(
    answered: usize,
    respond: impl Fn(&ReceivedRequest, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
) -> (TestServer, Arc<AtomicUsize>) {
    let (faithful, count) = (FaithfulServer::start(), Arc::new(AtomicUsize::new(0)));
    let turned = count.clone();
    let server = TestServer::start(move |request, stream| {
        if request.number < answered {
            return stream.write_all(&faithful.respond(request)?);
        }
        turned.fetch_add(1, Ordering::SeqCst);
        respond(request, stream)
    });
    (server, count)
}

/// Starts a command, sends it the signal of Ctrl-C when the condition is true, and waits for its
/// end.
fn interrupt_when(mut command: Command, condition: impl Fn() -> bool) -> FinishedRun {
    command.env("KEY", KEY);
    let mut running = RunningCommand::start(command);
    running.wait_until(condition);
    running.send_signal("INT");
    running.wait_for_end()
}

fn run_command(folder: &Folder, url: &str, more: &[&str]) -> Command {
    let run = ["run", "--base-url", url, "--model", "m", "--claims", "deepseek@2025-12", "--out", "out"];
    let rows = ["--api-key-env", "KEY", "--select", "field.s*", "--select", "field.t*", "--no-progress"];
    folder.command([&run[..], &rows, &LONG_TIMEOUT, more].concat())
}

/// Interrupts a run after a number of responses of the other kind.
#[track_caller]
fn assert_run_ends(
    answered: usize,
    responses: usize,
    more: &[&str],
    respond: impl Fn(&ReceivedRequest, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
) {
    let (server, count) = server_that_turns(answered, respond);
    let folder = Folder::new();
    let command = run_command(&folder, &server.url(), more);
    let finished = interrupt_when(command, || count.load(Ordering::SeqCst) >= responses);
    finished.assert_exit_code(3).assert_stderr_contains(&["stopping", "interrupted"]);
    let results = folder.results("out");
    assert_eq!(results["partial"], "the run was interrupted");
    let recording = folder.file_names("out", "recording-").remove(0);
    folder.run(["judge", &format!("out/{recording}"), "--out", "judged"]).assert_exit_code(3);
    assert_eq!(folder.results("judged"), results);
}

#[test]
fn a_run_ends_while_the_server_never_answers() {
    for answered in [0, ANSWERED_REQUESTS] {
        assert_run_ends(answered, 1, &[], |_, stream| keep_open(stream));
    }
}

#[test]
fn a_run_ends_in_the_middle_of_a_response() {
    assert_run_ends(ANSWERED_REQUESTS, 1, &[], |_, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n{{")?;
        keep_open(stream)
    });
    assert_run_ends(ANSWERED_REQUESTS, 1, &[], |_, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")?;
        loop {
            stream.write_all(b"event: ping\ndata: {\"type\":\"ping\"}\n\n")?;
            thread::sleep(Duration::from_millis(5));
        }
    });
}

#[test]
fn a_run_ends_while_it_waits_for_the_limits_of_the_server() {
    for status in ["429 Too Many Requests", "529 Overloaded"] {
        assert_run_ends(ANSWERED_REQUESTS, 1, &["--retries", "20"], move |_, stream| {
            let body = r#"{"type":"error","error":{"type":"rate_limit_error","message":"wait"}}"#;
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nretry-after: 100\r\nconnection: close\r\n\
                 content-length: {length}\r\n\r\n{body}"
            )
        });
    }
    // Nothing is left until a time that does not come.
    let faithful = FaithfulServer::start();
    assert_run_ends(0, 1, &[], move |request, stream| {
        let response = faithful.respond(request)?;
        let text = String::from_utf8(response).unwrap();
        let limits = "HTTP/1.1 200 OK\r\nanthropic-ratelimit-requests-limit: 9\r\n\
                      anthropic-ratelimit-requests-remaining: 0\r\n\
                      anthropic-ratelimit-requests-reset: 2099-01-01T00:00:00Z\r\n";
        stream.write_all(text.replacen("HTTP/1.1 200 OK\r\n", limits, 1).as_bytes())
    });
}

/// The run pauses before it tests again whether the endpoint answers.
#[test]
fn a_run_ends_in_a_stretch_of_trouble() {
    assert_run_ends(ANSWERED_REQUESTS, 2, &["--concurrency", "1"], |_, stream| {
        let body = r#"{"type":"error","error":{"type":"invalid_request_error","message":"quota exceeded"}}"#;
        write_response(stream, "400 Bad Request", "application/json", body)
    });
}

#[test]
fn a_comparison_ends_while_one_side_never_answers() {
    let faithful = FaithfulServer::start();
    let direct = TestServer::start(move |request, stream| stream.write_all(&faithful.respond(request)?));
    let (via, held) = server_that_turns(ANSWERED_REQUESTS, |_, stream| keep_open(stream));
    let (folder, direct, via) = (Folder::new(), direct.url(), via.url());
    let sides = ["compare", "--direct", &direct, "--via", &via, "--model", "m", "--out", "out"];
    let rows = ["--direct-key-env", "KEY", "--via-key-env", "KEY", "--select", "field.s*"];
    let command = folder.command([&sides[..], &rows, &LONG_TIMEOUT].concat());
    interrupt_when(command, || held.load(Ordering::SeqCst) > 0).assert_stderr_contains(&[
        "stopping",
        "interrupted",
        "a comparison cannot be resumed",
    ]);
    for side in ["direct", "via"] {
        assert!(folder.read(&format!("out/results-{side}.json")).contains("the run was interrupted"), "{side}");
        let recording = format!("out/recording-{side}.jsonl");
        folder
            .run(["run", "--resume", &recording, "--out", "other"])
            .assert_exit_code(2)
            .assert_stderr_contains(&["one side of a comparison", "fieldtest compare"]);
        folder.run(["judge", &recording, "--out", "judged"]).assert_exit_code(3);
    }
}

#[test]
fn a_test_of_a_gateway_ends_while_the_gateway_never_answers() {
    let server = TestServer::start(|_, stream| keep_open(stream));
    let (folder, url) = (Folder::new(), server.url());
    let gateway = ["gateway", "--via", &url, "--upstream-port", "0", "--shape", "anthropic", "--model", "m"];
    let more = ["--name", "g", "--out", "out", "--timeout", "3600", "--ready-timeout", "3600"];
    let finished =
        interrupt_when(folder.command([&gateway[..], &more].concat()), || !server.received_requests().is_empty());
    finished.assert_exit_code(3).assert_stderr_contains(&["the run was interrupted", "cannot be resumed"]);
    assert_eq!(folder.results("out")["totals"]["requests"], 1, "the request in flight counts");
    folder
        .run(["run", "--resume", "out/gateway-g.jsonl"])
        .assert_exit_code(2)
        .assert_stderr_contains(&["recordings of gateways cannot be resumed"]);
}

#[test]
fn a_simulator_ends_while_a_request_is_incomplete() {
    let folder = Folder::new();
    let mut command = folder.command(["simulate", "anthropic", "--port", "0"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    let address = line.split_once("http://").unwrap().1.split_once(": ").unwrap().0.to_owned();
    let mut connection = TcpStream::connect(address).unwrap();
    write!(connection, "POST /v1/messages HTTP/1.1\r\ncontent-length: 5000\r\n\r\n{{").unwrap();
    let killed = Command::new("kill").arg("-INT").arg(child.id().to_string()).status().unwrap();
    assert!(killed.success());
    output.read_to_string(&mut line).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(line.contains("received"), "{line}");
    drop(connection);
}

/// Commands that have nothing to keep end by the signal itself.
#[test]
fn other_commands_end_by_the_signal() {
    let folder = Folder::new();
    let check = folder.command(["check", "--out", "out"]);
    let finished = interrupt_when(check, || folder.exists("out"));
    assert_eq!(finished.code, None, "{}", finished.stderr);
    for command in ["report", "judge"] {
        let mut child = folder.command([command, "/dev/stdin", "--out", "out"]).stdin(Stdio::piped()).spawn().unwrap();
        // More than a pipe holds, so that the command has begun to read. The end never comes.
        let mut input = child.stdin.take().unwrap();
        input.write_all(&vec![b' '; 1 << 20]).unwrap();
        assert!(Command::new("kill").arg("-INT").arg(child.id().to_string()).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), None, "{command}");
        drop(input);
    }
}
