//! Tests that the binary never writes a secret: not to a stream, a file or the log.
//!
//! Canaries replace all secrets. The servers return them in every form that they can.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use binary::{FinishedRun, Folder};
use canary::{CanarySecret, lowercase_secret};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use server::{FaithfulServer, ReceivedRequest, TestServer, keep_open, reserve_port};

use crate::common::{binary, canary, server};

/// The credential, and other secrets that the process knows and a server may return.
const KEY: &str = "Canary/Key+0123456789=aQ";
const UPSTREAM_KEY: &str = "canary-uQ7x-9876543210-Zz";
const PROXY_PASSWORD: &str = "canary:proxy/5pass";
const OTHER_KEY: &str = "canary-oZ4k-7777-wQ1yY";

const ALL_FORMATS: &str = "terminal,markdown,json,html,junit,github,badge";

fn canaries() -> [CanarySecret; 4] {
    [KEY, UPSTREAM_KEY, PROXY_PASSWORD, OTHER_KEY].map(CanarySecret::new)
}

/// Everything that commands wrote to a folder and to their streams. Files of the test itself, whose
/// names begin with `given`, do not count.
struct WrittenOutput<'a> {
    folder: &'a Folder,
    ended: Vec<FinishedRun>,
}

impl WrittenOutput<'_> {
    /// Asserts that the output contains no canary and no part of one, in any form.
    #[track_caller]
    fn assert_clean(&self) {
        let mut searched: Vec<(String, Vec<u8>)> = Vec::new();
        for (path, content) in self.folder.all_files() {
            let name = path.strip_prefix(self.folder.path()).unwrap().display().to_string();
            if name.starts_with("given") {
                continue;
            }
            if name.ends_with(".jsonl") {
                searched.push((format!("{name}, joined streams"), join_stream_texts(&content)));
            }
            searched.push((name, content));
        }
        for (n, ended) in self.ended.iter().enumerate() {
            searched.push((format!("stdout {n}"), ended.stdout.clone().into_bytes()));
            searched.push((format!("stderr {n}"), ended.stderr.clone().into_bytes()));
        }
        for (place, content) in &searched {
            for canary in canaries() {
                if let Some(found) = canary.find_in(content) {
                    panic!("{found} is in {place}");
                }
            }
        }
    }

    fn mentions(&self, part: &str) -> bool {
        self.ended.iter().any(|ended| ended.stderr.contains(part) || ended.stdout.contains(part))
    }
}

/// Joins the deltas of all streams in a recording, as clients do.
fn join_stream_texts(recording: &[u8]) -> Vec<u8> {
    let mut texts = String::new();
    for line in String::from_utf8_lossy(recording).lines() {
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        for attempt in line["exchange"]["attempts"].as_array().into_iter().flatten() {
            let body = attempt["response"]["body"]["text"].as_str().unwrap_or_default();
            for data in body.lines().filter_map(|line| line.strip_prefix("data:")) {
                let event: Value = serde_json::from_str(data).unwrap_or_default();
                // Join the texts of all kinds of deltas.
                for name in ["text", "thinking", "partial_json", "signature", "odd"] {
                    texts.push_str(event["delta"][name].as_str().unwrap_or_default());
                }
            }
        }
    }
    texts.into_bytes()
}

/// Returns a message with this text. The caller has escaped the text for JSON.
fn message_json(escaped: &str) -> String {
    format!(
        "{{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[{{\"type\":\"text\",\
         \"text\":\"hello {escaped}\"}}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":{{\"input_tokens\":9,\
         \"output_tokens\":9}}}}"
    )
}

/// Returns a stream that splits each form in the middle, and over different fields and blocks. The
/// first form is also split into single characters.
fn split_stream(forms: &[String]) -> String {
    let mut events = String::from(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    );
    let mut delta = |index: u64, kind: &str, name: &str, text: &str| {
        let delta = json!({ "type": "content_block_delta", "index": index, "delta": { "type": kind, name: text } });
        events.push_str(&format!("event: content_block_delta\ndata: {delta}\n\n"));
    };
    for form in forms {
        let (start, end) = form.split_at((form.len() / 2..).find(|at| form.is_char_boundary(*at)).unwrap());
        delta(0, "text_delta", "text", start);
        delta(0, "text_delta", "text", &format!("{end} "));
        delta(0, "odd_delta", "odd", start);
        delta(0, "odd_delta", "odd", &format!("{end} "));
        delta(0, "thinking_delta", "thinking", start);
        delta(1, "text_delta", "text", &format!("{end} "));
    }
    for letter in forms[0].chars() {
        delta(0, "text_delta", "text", &letter.to_string());
    }
    events.push_str("event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":9}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    events
}

/// Compresses a body.
fn gzip(body: &str) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(body.as_bytes()).unwrap();
    packed.finish().unwrap()
}

/// Returns headers that contain the secrets in their values and, where possible, in their names.
fn leaking_headers(secrets: &[&str]) -> String {
    let mut headers = String::from("connection: close\r\n");
    for secret in secrets {
        let is_header_text = |form: &String| form.chars().all(|c| (' '..='~').contains(&c));
        let forms: Vec<String> = CanarySecret::new(secret).encoded_forms().into_iter().filter(is_header_text).collect();
        headers.push_str(&format!("x-debug: sent {} just now\r\n", forms.join(", ")));
        // A header name allows only these characters.
        for form in forms.iter().filter(|form| form.chars().all(|c| c.is_ascii_alphanumeric() || "-_+%&!#".contains(c)))
        {
            headers.push_str(&format!("x-{form}: 1\r\n"));
        }
        headers.push_str(&format!("set-cookie: session={secret}\r\nauthorization: Bearer {secret}\r\n"));
    }
    // Clients accept at most 100 headers.
    assert!(headers.lines().count() < 95);
    headers
}

/// Starts a server that returns these secrets in every response: in a message, an error, a
/// compressed body, a truncated body, a stream, and as invalid HTTP.
fn start_leaking_server(secrets: &'static [&'static str]) -> TestServer {
    TestServer::start(move |asked, to| write_leaking_response(secrets, asked, to))
}

fn write_leaking_response(secrets: &[&str], asked: &ReceivedRequest, to: &mut TcpStream) -> std::io::Result<()> {
    let forms: Vec<String> = secrets.iter().flat_map(|secret| CanarySecret::new(secret).encoded_forms()).collect();
    // A raw quotation mark would end the string. Other characters are escaped, or need no escape.
    let escaped = forms.join(" , ").replace('"', "\\\"").replace('\0', "\\u0000");
    let mut write_response = |status: &str, kind: &str, more: &str, body: &[u8], content_length: usize| {
        let head = leaking_headers(secrets);
        write!(
            to,
            "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {content_length}\r\n{more}{head}\r\n"
        )?;
        to.write_all(body)
    };
    let json = "application/json";
    let streams = asked.body.contains("\"stream\":true");
    // Every run starts with the first requests, and gives up an endpoint that fails too often.
    let late_number = asked.number.saturating_sub(16);
    match (streams, if late_number.is_multiple_of(2) { 8 } else { late_number / 2 % 9 }) {
        (true, 0..=3 | 8) => {
            let body = split_stream(&forms);
            write_response("200 OK", "text/event-stream", "", body.as_bytes(), body.len())
        }
        (_, 1) => {
            let error = format!(
                "{{\"type\":\"error\",\"error\":{{\"type\":\"invalid_request_error\",\"message\":\"{escaped}\"}}}}"
            );
            write_response(&format!("400 Bad {}", secrets[0]), json, "", error.as_bytes(), error.len())
        }
        (_, 2) => {
            let body = gzip(&message_json(&escaped));
            write_response("200 OK", json, "content-encoding: gzip\r\n", &body, body.len())
        }
        (_, 3) => {
            let body = gzip(&message_json(&escaped));
            write_response("200 OK", "application/gzip", "", &body, body.len())
        }
        (_, 4) => {
            let page = format!("<html><title>{escaped}</title></html>");
            write_response("502 Bad Gateway", "text/html", "", page.as_bytes(), page.len())
        }
        // The body ends in the middle of the secret.
        (_, 5) => write_response("200 OK", json, "", format!("{{\"error\":\"{}", &secrets[0][..12]).as_bytes(), 9999),
        (_, 6) => to.write_all(format!("{} {}\r\n\r\n", secrets[0], forms[1]).as_bytes()),
        (_, 7) => {
            let body: Vec<u8> = message_json(secrets[0]).bytes().flat_map(|byte| [byte, 0]).collect();
            write_response("200 OK", json, "", &body, body.len())
        }
        _ => {
            let body = message_json(&escaped);
            write_response("200 OK", json, "", body.as_bytes(), body.len())
        }
    }
}

/// Rows of every kind: fields, streams, errors, headers.
const ROW_IDS: [&str; 8] =
    ["--select", "field.s*", "--select", "error.w*", "--select", "stream.*", "--select", "header.*"];

fn endpoint_arguments<'a>(url: &'a str, key: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["--base-url", url, "--name", "leaky", "--model", "m", "--retries", "0", "--timeout", "20"];
    arguments.extend(key);
    arguments.extend(more);
    arguments
}

const VARIABLES: [(&str, &str); 4] =
    [("KEY", KEY), ("OPENAI_API_KEY", UPSTREAM_KEY), ("PATH", "/usr/bin:/bin"), ("RUST_LOG", "trace")];

#[test]
fn the_search_finds_every_form_and_parts_of_a_canary() {
    for secret in [KEY, UPSTREAM_KEY, PROXY_PASSWORD] {
        let canary = CanarySecret::new(secret);
        for form in canary.encoded_forms() {
            for text in [format!("x {form} y"), serde_json::to_string(&format!("x {form} y")).unwrap()] {
                assert!(canary.find_in(text.as_bytes()).is_some(), "{text}");
            }
        }
        assert!(canary.find_in(&secret.as_bytes()[3..13]).is_some(), "a part of the secret");
        assert!(canary.find_in(b"<credential> <secret> nothing of it is here 0123 canar").is_none());
        assert_eq!(lowercase_secret(secret), secret.to_lowercase());
    }
}

#[test]
fn a_run_writes_no_secret_whatever_the_source_of_the_credential() {
    let folder = Folder::new();
    folder.write("given/key", format!("{KEY}\n"));
    folder.write("given/helper.sh", format!("set -x\necho {KEY}\n"));
    // Each run has its own server, whose first responses are normal. The URL path contains a key.
    let start_server = || start_leaking_server(&[KEY, UPSTREAM_KEY]);
    let url_of = |server: &TestServer| format!("{}/{UPSTREAM_KEY}/%63anary-uQ7x-9876543210-Zz", server.url());
    let first = start_server();
    let sources: [&[&str]; 3] = [
        &["--api-key-env", "KEY"],
        &["--api-key-file", "given/key", "--auth", "bearer"],
        &["--api-key-command", "sh given/helper.sh"],
    ];
    let mut ended = Vec::new();
    for (n, source) in sources.iter().enumerate() {
        let server = if n == 0 { &first } else { &start_server() };
        let (url, out) = (url_of(server), format!("out-{n}"));
        let arguments = endpoint_arguments(&url, source, &["--format", ALL_FORMATS, "-vvv"]);
        ended.push(folder.run_with_env(&VARIABLES, &[&["run", "--out", &out][..], &arguments, &ROW_IDS].concat()));
        assert!(server.received_requests().len() > 30, "{}", ended[n].stderr);
    }
    let url = url_of(&start_server());
    let lines = endpoint_arguments(&url, sources[0], &["--format", "ndjson,json", "--out", "lines"]);
    ended.push(folder.run_with_env(&VARIABLES, &[&["run"][..], &lines, &ROW_IDS].concat()));
    // Commands that read the files of a run.
    let recording = "out-0/recording-leaky.jsonl";
    for arguments in [
        vec!["judge", recording, "--out", "judged", "--format", ALL_FORMATS],
        vec!["run", "--replay", "out-0", "--out", "replayed", "--format", ALL_FORMATS],
        vec![
            "report",
            "out-0/results-leaky.json",
            "out-1/results-leaky.json",
            "-o",
            "report",
            "--format",
            "markdown,html",
        ],
        vec!["diff", "out-0/results-leaky.json", "out-1/results-leaky.json"],
    ] {
        ended.push(folder.run_with_env(&VARIABLES, &arguments));
    }
    let url = url_of(&first);
    let rerun = endpoint_arguments(&url, sources[0], &["--rerun", "out-0/results-leaky.json", "--out", "out-0", "-v"]);
    ended.push(folder.run_with_env(&VARIABLES, &[&["run"][..], &rerun].concat()));
    let url = url_of(&start_server());
    let tested =
        endpoint_arguments(&url, sources[2], &["--snapshots", "--accept", "--claims", "deepseek@2025-12", "field.st"]);
    ended.push(folder.run_with_env(&VARIABLES, &[&["test"][..], &tested].concat()));
    let written = WrittenOutput { folder: &folder, ended };
    let text = folder.read(recording);
    for mark in ["<credential>", "<secret>", "x-<credential>"] {
        assert!(text.contains(mark), "the recording does not contain {mark}");
    }
    let streamed = String::from_utf8(join_stream_texts(text.as_bytes())).unwrap();
    assert!(streamed.contains("<credential>"), "{streamed:.500} {}", text.matches("event-stream").count());
    assert!(
        written.mentions("because it contains the credential"),
        "the credential command also prints the credential to standard error"
    );
    assert!(written.mentions("TRACE") || written.mentions("DEBUG"), "the run writes a log");
    assert!(
        folder.exists("out-0/matrix.html") && folder.exists("out-0/junit.xml") && folder.exists("judged/matrix.md")
    );
    written.assert_clean();
}

#[test]
fn the_password_of_a_proxy_is_not_written() {
    let folder = Folder::new();
    // One proxy responds itself, as if it rejects the password. The other is unreachable.
    let proxy = start_leaking_server(&[PROXY_PASSWORD, KEY]);
    let password = "canary%3Aproxy%2F5pass";
    let leaking_proxy = format!("http://user:{password}@{}", proxy.address);
    let closed_proxy =
        format!("http://user:{password}@{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let mut ended = Vec::new();
    for url in ["http://endpoint.invalid", "https://endpoint.invalid"] {
        for proxy in [&leaking_proxy, &closed_proxy] {
            let key = ["--api-key-env", "KEY", "--allow-http", "--format", ALL_FORMATS, "--out", "out", "-vvv"];
            let arguments = [&["run"][..], &endpoint_arguments(url, &key, &["--proxy", proxy]), &ROW_IDS].concat();
            ended.push(folder.run_with_env(&VARIABLES, &arguments));
            let variables = [&VARIABLES[..], &[("HTTP_PROXY", proxy), ("HTTPS_PROXY", proxy)]].concat();
            ended.push(
                folder
                    .run_with_env(&variables, &[&["run"][..], &endpoint_arguments(url, &key, &[]), &ROW_IDS].concat()),
            );
        }
    }
    assert!(
        proxy.received_requests().iter().any(|asked| asked.head.contains("proxy-authorization")),
        "the proxy receives the password"
    );
    let written = WrittenOutput { folder: &folder, ended };
    assert!(written.mentions("--proxy") && written.mentions("HTTP"));
    written.assert_clean();
}

#[test]
fn a_comparison_writes_neither_credential() {
    let folder = Folder::new();
    // Each side also returns the credential of the other side.
    let (direct, via) = (start_leaking_server(&[OTHER_KEY, KEY]), start_leaking_server(&[KEY, OTHER_KEY]));
    let (direct_url, via_url) = (direct.url(), via.url());
    let keys = ["--direct-key-env", "KEY", "--via-key-command", "printf %s $OTHER", "--model", "m", "--out", "out"];
    let sides = ["--direct", &direct_url, "--via", &via_url, "--retries", "0", "--timeout", "20", "-vvv"];
    let variables = [&VARIABLES[..], &[("OTHER", OTHER_KEY)]].concat();
    let ended = folder.run_with_env(&variables, &[&["compare"][..], &sides, &keys, &ROW_IDS].concat());
    // Some rows send other credentials on purpose.
    assert!(
        via.received_requests().iter().filter(|asked| asked.head.contains(OTHER_KEY)).count() > 20,
        "{}",
        ended.stderr
    );
    assert!(
        !via.received_requests().iter().any(|asked| asked.head.contains(KEY)),
        "each side receives only its own credential"
    );
    assert!(folder.exists("out/comparison.md"));
    WrittenOutput { folder: &folder, ended: vec![ended] }.assert_clean();
}

/// Starts a gateway that adds the credentials of its client and its upstream to every request and
/// response.
fn start_leaking_gateway(upstream: u16) -> TestServer {
    TestServer::start(move |asked, to| {
        let forms =
            |secret| CanarySecret::new(secret).encoded_forms().join(" , ").replace(['"', '\0', '\n', '\r'], " ");
        let mut body: Value = serde_json::from_str(&asked.body).unwrap_or_default();
        body["metadata"] = json!({ "user_id": forms(KEY) });
        let body = body.to_string();
        let path = asked.head.split_whitespace().nth(1).unwrap();
        let mut upstream_stream = TcpStream::connect(("127.0.0.1", upstream))?;
        write!(
            upstream_stream,
            "POST {path}?key={UPSTREAM_KEY} HTTP/1.1\r\nhost: h\r\nx-api-key: {UPSTREAM_KEY}\r\nx-client: {}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            forms(KEY),
            body.len()
        )?;
        let mut response = Vec::new();
        upstream_stream.read_to_end(&mut response)?;
        let head = response.windows(4).position(|end| end == b"\r\n\r\n").unwrap_or(0);
        to.write_all(&response[..head])?;
        write!(to, "\r\nx-upstream: {}\r\nx-client: {}", forms(UPSTREAM_KEY), forms(KEY))?;
        to.write_all(&response[head..])
    })
}

#[test]
fn no_secret_is_written_for_either_side_of_a_gateway() {
    let folder = Folder::new();
    let port = reserve_port();
    let server = start_leaking_gateway(port);
    let (url, port) = (format!("{}/{OTHER_KEY}", server.url()), port.to_string());
    let sides = ["--via", &url, "--upstream-port", &port, "--shape", "anthropic", "--model", "m", "--name", "leaky"];
    let key =
        ["--api-key-env", "KEY", "--format", ALL_FORMATS, "--out", "out", "--timeout", "10", "--ready-timeout", "10"];
    let rows = ["--select", "field.s*", "--select", "answer.text*"];
    // The process does not know the gateway's own credential, but sees it at the upstream.
    let variables = [("KEY", KEY), ("GEMINI_API_KEY", OTHER_KEY), ("RUST_LOG", "trace")];
    let ended = folder.run_with_env(&variables, &[&["gateway"][..], &sides, &key, &rows].concat());
    assert!(server.received_requests().len() > 3, "{}", ended.stderr);
    let recording = folder.read("out/gateway-leaky.jsonl");
    assert!(
        recording.contains("client's credential>"),
        "the gateway forwards the credential, and the recording redacts it"
    );
    let judged = folder.run(["judge", "out/gateway-leaky.jsonl", "--out", "judged"]);
    WrittenOutput { folder: &folder, ended: vec![ended, judged] }.assert_clean();
}

#[test]
fn errors_are_reported_without_the_secret() {
    let folder = Folder::new();
    let closed = format!("127.0.0.1:{}", reserve_port());
    let (closed_url, no_tls) =
        (format!("http://{closed}"), start_leaking_server(&[KEY]).url().replace("http:", "https:"));
    let silent = TestServer::start(|_, stream| keep_open(stream)).url();
    folder.write("given/blank", format!("{KEY} {KEY}\n"));
    folder
        .write("given/list.yaml", format!("targets:\n  - {{ base_url: '{closed_url}', models: [m], token: {KEY} }}\n"));
    folder.write("given/cases/targets/own.yaml", format!("name: own\ntitle: t\ncredential: {KEY}\n"));
    folder.write("given/ca.pem", format!("-----BEGIN CERTIFICATE-----\n{KEY}\n-----END CERTIFICATE-----\n"));
    let in_url = format!("http://user:{KEY}@{closed}");
    let commands = [format!("echo {KEY}; echo {KEY} >&2; exit 3"), KEY.to_owned(), format!("echo {KEY} {KEY}")];
    let option_with_key = |option: &str| format!("{option}={KEY}");
    let (as_option, as_proxy, url_proxy) =
        (option_with_key("--api-key"), option_with_key("--proxy"), format!("--proxy={in_url}/path"));
    let env = ["--api-key-env", "KEY"];
    let mut all: Vec<(Vec<&str>, i32)> = vec![
        (endpoint_arguments(&closed_url, &env, &[]), 3),
        (endpoint_arguments(&no_tls, &env, &[]), 3),
        (endpoint_arguments(&silent, &env, &["--timeout", "1"]), 3),
        (endpoint_arguments("http://192.0.2.1", &env, &[]), 2),
        (endpoint_arguments(&in_url, &env, &[]), 2),
        (endpoint_arguments(&closed_url, &["--api-key-file", "given/blank"], &[]), 2),
        (endpoint_arguments(&closed_url, &["--api-key-file", "given"], &[]), 2),
        (endpoint_arguments(&closed_url, &["--api-key-env", KEY], &[]), 2),
        (endpoint_arguments(&closed_url, &["--api-key-env", "BROKEN"], &[]), 2),
        (endpoint_arguments(&closed_url, &env, &["--ca-file", "given/ca.pem"]), 2),
        (endpoint_arguments(&closed_url, &env, &[&as_option]), 2),
        (endpoint_arguments(&closed_url, &env, &[&as_proxy]), 2),
        (endpoint_arguments(&closed_url, &env, &[&url_proxy]), 2),
        (endpoint_arguments(&closed_url, &env, &["--rpm", &in_url]), 2),
        (vec!["--targets", "given/list.yaml"], 2),
        (vec!["own", "--cases", "given/cases"], 2),
    ];
    all.extend(
        commands.iter().map(|command| (endpoint_arguments(&closed_url, &["--api-key-command", command], &[]), 2)),
    );
    let mut ended = Vec::new();
    for (arguments, code) in all {
        let broken = format!("{KEY} {KEY}");
        let variables = [&VARIABLES[..], &[("BROKEN", &broken)]].concat();
        let arguments = [&["run", "--out", "out", "-vvv"][..], &arguments].concat();
        // One command gives `--timeout` twice. Keep the last one.
        let last = arguments.iter().rposition(|argument| *argument == "--timeout");
        let arguments: Vec<&str> = match arguments.iter().position(|argument| *argument == "--timeout") {
            Some(first) if Some(first) != last => {
                arguments.iter().enumerate().filter(|(n, _)| *n != first && *n != first + 1).map(|(_, a)| *a).collect()
            }
            _ => arguments,
        };
        let command = folder.run_with_env(&variables, &arguments);
        assert_eq!(command.code, Some(code), "{arguments:?}: {}", command.stderr);
        assert!(!command.stderr.trim().is_empty(), "{arguments:?} reports nothing");
        ended.push(command);
    }
    WrittenOutput { folder: &folder, ended }.assert_clean();
}

#[test]
fn redaction_does_not_change_a_run_without_leaks() {
    // Run with a secret credential and with a public one. Redaction must remove only secrets.
    let faithful = FaithfulServer::start();
    let server = TestServer::start(move |asked, stream| {
        let head = asked.head.replace(KEY, "fieldtest-simulator");
        stream.write_all(&faithful.respond(&ReceivedRequest { head, ..asked.clone() })?)
    });
    let (folder, url) = (Folder::new(), server.url());
    for (key, out) in [(KEY, "one"), ("fieldtest-simulator", "other")] {
        let arguments = endpoint_arguments(
            &url,
            &["--api-key-env", "KEY"],
            &["--seed", "7", "--out", out, "--claims", "deepseek@2025-12"],
        );
        // Without statistical rows and rows about times, which may differ between runs.
        let rows =
            ["--select", "field.s*", "--select", "content.*", "--select", "stream.twin*", "--select", "stream.p*"];
        let ended = folder.run_with_env(&[("KEY", key)], &[&["run"][..], &arguments, &rows].concat());
        assert!(matches!(ended.code, Some(0 | 1)), "{}", ended.stderr);
        assert!(!folder.read(&format!("{out}/recording-leaky.jsonl")).contains("<credential>"));
    }
    let verdicts = |out: &str| -> Vec<Value> {
        let rows = folder.results(out)["rows"].as_array().unwrap().clone();
        rows.iter().map(|row| json!([row["id"], row["verdict"]["status"], row["outcome"]])).collect()
    };
    for (one, other) in verdicts("one").into_iter().zip(verdicts("other")) {
        assert_eq!(one, other);
    }
}
