//! A canary in every place where a secret can be, in front of servers that tell all they know in every form: not a byte of
//! it may come out of the real binary, on any stream, in any file, at any level of the log.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use binary::{Ended, Folder};
use canary::{Canary, telltale};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use server::{Asked, Faithful, Server, hold};

use crate::common::{binary, canary, server};

/// The credential, and what else the process knows that a server may know.
const KEY: &str = "Canary/Key+0123456789=aQ";
const UPSTREAM: &str = "canary-uQ7x-9876543210-Zz";
const PASSWORD: &str = "canary:proxy/5pass";
const OTHER: &str = "canary-oZ4k-7777-wQ1yY";

const ALL_FORMATS: &str = "terminal,markdown,json,html,junit,github,badge";

fn canaries() -> [Canary; 4] {
    [KEY, UPSTREAM, PASSWORD, OTHER].map(Canary::new)
}

/// Everything that came of runs in a folder, but for the files that the test itself put there.
struct Seen<'a> {
    folder: &'a Folder,
    ended: Vec<Ended>,
}

impl Seen<'_> {
    /// Asserts that no canary is in it, whole or in part, in any form.
    #[track_caller]
    fn is_clean(&self) {
        let mut searched: Vec<(String, Vec<u8>)> = Vec::new();
        for (path, content) in self.folder.everything() {
            let name = path.strip_prefix(self.folder.path()).unwrap().display().to_string();
            if name.starts_with("given") {
                continue;
            }
            if name.ends_with(".jsonl") {
                searched.push((format!("{name}, its streams"), streamed(&content)));
            }
            searched.push((name, content));
        }
        for (n, ended) in self.ended.iter().enumerate() {
            searched.push((format!("stdout {n}"), ended.stdout.clone().into_bytes()));
            searched.push((format!("stderr {n}"), ended.stderr.clone().into_bytes()));
        }
        for (place, content) in &searched {
            for canary in canaries() {
                if let Some(found) = canary.in_bytes(content) {
                    panic!("{found} is in {place}");
                }
            }
        }
    }

    fn said(&self, part: &str) -> bool {
        self.ended.iter().any(|ended| ended.stderr.contains(part) || ended.stdout.contains(part))
    }
}

/// The texts of a recording's streams, put together as clients would.
fn streamed(recording: &[u8]) -> Vec<u8> {
    let mut texts = String::new();
    for line in String::from_utf8_lossy(recording).lines() {
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        for attempt in line["exchange"]["attempts"].as_array().into_iter().flatten() {
            let body = attempt["response"]["body"]["text"].as_str().unwrap_or_default();
            for data in body.lines().filter_map(|line| line.strip_prefix("data:")) {
                let event: Value = serde_json::from_str(data).unwrap_or_default();
                // As it is put together from each kind of delta.
                for name in ["text", "thinking", "partial_json", "signature", "odd"] {
                    texts.push_str(event["delta"][name].as_str().unwrap_or_default());
                }
            }
        }
    }
    texts.into_bytes()
}

/// A message whose text is this, as it stands: what is in it may be escapes already.
fn message(escaped: &str) -> String {
    format!(
        "{{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[{{\"type\":\"text\",\
         \"text\":\"hello {escaped}\"}}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":{{\"input_tokens\":9,\
         \"output_tokens\":9}}}}"
    )
}

/// A stream that parts each form in its middle, the plain one into single letters, and each over different fields.
fn stream(told: &[String]) -> String {
    let mut events = String::from(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    );
    let mut delta = |index: u64, kind: &str, name: &str, text: &str| {
        let delta = json!({ "type": "content_block_delta", "index": index, "delta": { "type": kind, name: text } });
        events.push_str(&format!("event: content_block_delta\ndata: {delta}\n\n"));
    };
    for form in told {
        let (one, other) = form.split_at((form.len() / 2..).find(|at| form.is_char_boundary(*at)).unwrap());
        delta(0, "text_delta", "text", one);
        delta(0, "text_delta", "text", &format!("{other} "));
        delta(0, "odd_delta", "odd", one);
        delta(0, "odd_delta", "odd", &format!("{other} "));
        delta(0, "thinking_delta", "thinking", one);
        delta(1, "text_delta", "text", &format!("{other} "));
    }
    for letter in told[0].chars() {
        delta(0, "text_delta", "text", &letter.to_string());
    }
    events.push_str("event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":9}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    events
}

fn gzip(body: &str) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(body.as_bytes()).unwrap();
    packed.finish().unwrap()
}

/// Headers that tell all they can carry: in values, and in names.
fn headers(secrets: &[&str]) -> String {
    let mut headers = String::from("connection: close\r\n");
    for secret in secrets {
        let can = |form: &String| form.chars().all(|c| (' '..='~').contains(&c));
        let forms: Vec<String> = Canary::new(secret).forms().into_iter().filter(can).collect();
        headers.push_str(&format!("x-debug: sent {} just now\r\n", forms.join(", ")));
        // A name can hold no more than these.
        for form in forms.iter().filter(|form| form.chars().all(|c| c.is_ascii_alphanumeric() || "-_+%&!#".contains(c)))
        {
            headers.push_str(&format!("x-{form}: 1\r\n"));
        }
        headers.push_str(&format!("set-cookie: session={secret}\r\nauthorization: Bearer {secret}\r\n"));
    }
    // More than a hundred no client takes.
    assert!(headers.lines().count() < 95);
    headers
}

/// A server that tells these secrets in every answer: as a message, an error, packed, cut, in a stream, as no HTTP at all.
fn leaky(secrets: &'static [&'static str]) -> Server {
    Server::start(move |asked, to| leak(secrets, asked, to))
}

fn leak(secrets: &[&str], asked: &Asked, to: &mut TcpStream) -> std::io::Result<()> {
    let told: Vec<String> = secrets.iter().flat_map(|secret| Canary::new(secret).forms()).collect();
    // A raw quotation mark would end the string; all else is an escape already, or none.
    let escaped = told.join(" , ").replace('"', "\\\"").replace('\0', "\\u0000");
    let mut answer = |status: &str, kind: &str, more: &str, body: &[u8], told: usize| {
        let head = headers(secrets);
        write!(to, "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {told}\r\n{more}{head}\r\n")?;
        to.write_all(body)
    };
    let json = "application/json";
    let streams = asked.body.contains("\"stream\":true");
    // The first ones are what every run begins with, and who fails too often is given up.
    let later = asked.number.saturating_sub(16);
    match (streams, if later.is_multiple_of(2) { 8 } else { later / 2 % 9 }) {
        (true, 0..=3 | 8) => {
            let body = stream(&told);
            answer("200 OK", "text/event-stream", "", body.as_bytes(), body.len())
        }
        (_, 1) => {
            let error = format!(
                "{{\"type\":\"error\",\"error\":{{\"type\":\"invalid_request_error\",\"message\":\"{escaped}\"}}}}"
            );
            answer(&format!("400 Bad {}", secrets[0]), json, "", error.as_bytes(), error.len())
        }
        (_, 2) => {
            let body = gzip(&message(&escaped));
            answer("200 OK", json, "content-encoding: gzip\r\n", &body, body.len())
        }
        (_, 3) => {
            let body = gzip(&message(&escaped));
            answer("200 OK", "application/gzip", "", &body, body.len())
        }
        (_, 4) => {
            let page = format!("<html><title>{escaped}</title></html>");
            answer("502 Bad Gateway", "text/html", "", page.as_bytes(), page.len())
        }
        // Cut in the middle of the secret.
        (_, 5) => answer("200 OK", json, "", format!("{{\"error\":\"{}", &secrets[0][..12]).as_bytes(), 9999),
        (_, 6) => to.write_all(format!("{} {}\r\n\r\n", secrets[0], told[1]).as_bytes()),
        (_, 7) => {
            let body: Vec<u8> = message(secrets[0]).bytes().flat_map(|byte| [byte, 0]).collect();
            answer("200 OK", json, "", &body, body.len())
        }
        _ => {
            let body = message(&escaped);
            answer("200 OK", json, "", body.as_bytes(), body.len())
        }
    }
}

/// Rows of every kind: fields, streams, errors, headers.
const ROW_IDS: [&str; 8] =
    ["--select", "field.s*", "--select", "error.w*", "--select", "stream.*", "--select", "header.*"];

fn live<'a>(url: &'a str, key: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["--base-url", url, "--name", "leaky", "--model", "m", "--retries", "0", "--timeout", "20"];
    arguments.extend(key);
    arguments.extend(more);
    arguments
}

const VARIABLES: [(&str, &str); 4] =
    [("KEY", KEY), ("OPENAI_API_KEY", UPSTREAM), ("PATH", "/usr/bin:/bin"), ("RUST_LOG", "trace")];

#[test]
fn the_search_finds_what_it_is_to_find() {
    for secret in [KEY, UPSTREAM, PASSWORD] {
        let canary = Canary::new(secret);
        for form in canary.forms() {
            for text in [format!("x {form} y"), serde_json::to_string(&format!("x {form} y")).unwrap()] {
                assert!(canary.in_bytes(text.as_bytes()).is_some(), "{text}");
            }
        }
        assert!(canary.in_bytes(&secret.as_bytes()[3..13]).is_some(), "a part of it");
        assert!(canary.in_bytes(b"<credential> <secret> nothing of it is here 0123 canar").is_none());
        assert_eq!(telltale(secret), secret.to_lowercase());
    }
}

#[test]
fn a_run_tells_nothing_wherever_the_credential_came_from_and_however_it_is_told() {
    let folder = Folder::new();
    folder.write("given/key", format!("{KEY}\n"));
    folder.write("given/helper.sh", format!("set -x\necho {KEY}\n"));
    // Each run has a server of its own, which is well-behaved at first, and a key that stands in the path.
    let fresh = || leaky(&[KEY, UPSTREAM]);
    let at = |server: &Server| format!("{}/{UPSTREAM}/%63anary-uQ7x-9876543210-Zz", server.url());
    let first = fresh();
    let sources: [&[&str]; 3] = [
        &["--api-key-env", "KEY"],
        &["--api-key-file", "given/key", "--auth", "bearer"],
        &["--api-key-command", "sh given/helper.sh"],
    ];
    let mut ended = Vec::new();
    for (n, source) in sources.iter().enumerate() {
        let server = if n == 0 { &first } else { &fresh() };
        let (url, out) = (at(server), format!("out-{n}"));
        let arguments = live(&url, source, &["--format", ALL_FORMATS, "-vvv"]);
        ended.push(folder.run_with(&VARIABLES, &[&["run", "--out", &out][..], &arguments, &ROW_IDS].concat()));
        assert!(server.asked().len() > 30, "{}", ended[n].stderr);
    }
    let url = at(&fresh());
    let lines = live(&url, sources[0], &["--format", "ndjson,json", "--out", "lines"]);
    ended.push(folder.run_with(&VARIABLES, &[&["run"][..], &lines, &ROW_IDS].concat()));
    // What is made of what a run left.
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
        ended.push(folder.run_with(&VARIABLES, &arguments));
    }
    let url = at(&first);
    let rerun = live(&url, sources[0], &["--rerun", "out-0/results-leaky.json", "--out", "out-0", "-v"]);
    ended.push(folder.run_with(&VARIABLES, &[&["run"][..], &rerun].concat()));
    let url = at(&fresh());
    let tested = live(&url, sources[2], &["--snapshots", "--accept", "--claims", "deepseek", "field.st"]);
    ended.push(folder.run_with(&VARIABLES, &[&["test"][..], &tested].concat()));
    let seen = Seen { folder: &folder, ended };
    let text = folder.read(recording);
    for told in ["<credential>", "<secret>", "x-<credential>"] {
        assert!(text.contains(told), "it was told, and taken out: {told}");
    }
    let streamed = String::from_utf8(streamed(text.as_bytes())).unwrap();
    assert!(streamed.contains("<credential>"), "{streamed:.500} {}", text.matches("event-stream").count());
    assert!(seen.said("the credential is in it"), "the command prints it on standard error, too");
    assert!(seen.said("TRACE") || seen.said("DEBUG"), "there is a log");
    assert!(
        folder.exists("out-0/matrix.html") && folder.exists("out-0/junit.xml") && folder.exists("judged/matrix.md")
    );
    seen.is_clean();
}

#[test]
fn a_proxy_and_its_password_are_not_told() {
    let folder = Folder::new();
    // A proxy that answers itself, as one does that wants another password; and one that forwards nothing.
    let proxy = leaky(&[PASSWORD, KEY]);
    let password = "canary%3Aproxy%2F5pass";
    let through = format!("http://user:{password}@{}", proxy.address);
    let closed = format!("http://user:{password}@{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let mut ended = Vec::new();
    for url in ["http://endpoint.invalid", "https://endpoint.invalid"] {
        for proxy in [&through, &closed] {
            let key = ["--api-key-env", "KEY", "--allow-http", "--format", ALL_FORMATS, "--out", "out", "-vvv"];
            let arguments = [&["run"][..], &live(url, &key, &["--proxy", proxy]), &ROW_IDS].concat();
            ended.push(folder.run_with(&VARIABLES, &arguments));
            let variables = [&VARIABLES[..], &[("HTTP_PROXY", proxy), ("HTTPS_PROXY", proxy)]].concat();
            ended.push(folder.run_with(&variables, &[&["run"][..], &live(url, &key, &[]), &ROW_IDS].concat()));
        }
    }
    assert!(proxy.asked().iter().any(|asked| asked.head.contains("proxy-authorization")), "it was told");
    let seen = Seen { folder: &folder, ended };
    assert!(seen.said("--proxy") && seen.said("HTTP"));
    seen.is_clean();
}

#[test]
fn a_comparison_tells_neither_sides_credential() {
    let folder = Folder::new();
    // Each side knows the other's.
    let (direct, via) = (leaky(&[OTHER, KEY]), leaky(&[KEY, OTHER]));
    let (one, other) = (direct.url(), via.url());
    let keys = ["--direct-key-env", "KEY", "--via-key-command", "printf %s $OTHER", "--model", "m", "--out", "out"];
    let sides = ["--direct", &one, "--via", &other, "--retries", "0", "--timeout", "20", "-vvv"];
    let variables = [&VARIABLES[..], &[("OTHER", OTHER)]].concat();
    let ended = folder.run_with(&variables, &[&["compare"][..], &sides, &keys, &ROW_IDS].concat());
    // But for the rows about other credentials.
    assert!(via.asked().iter().filter(|asked| asked.head.contains(OTHER)).count() > 20, "{}", ended.stderr);
    assert!(!via.asked().iter().any(|asked| asked.head.contains(KEY)), "each side has its own");
    assert!(folder.exists("out/comparison.md"));
    Seen { folder: &folder, ended: vec![ended] }.is_clean();
}

/// A gateway that puts its client's credential, and its upstream's, into everything that it says to either side.
fn gateway(upstream: u16) -> Server {
    Server::start(move |asked, to| {
        let forms = |secret| Canary::new(secret).forms().join(" , ").replace(['"', '\0', '\n', '\r'], " ");
        let mut body: Value = serde_json::from_str(&asked.body).unwrap_or_default();
        body["metadata"] = json!({ "user_id": forms(KEY) });
        let body = body.to_string();
        let path = asked.head.split_whitespace().nth(1).unwrap();
        let mut there = TcpStream::connect(("127.0.0.1", upstream))?;
        write!(
            there,
            "POST {path}?key={UPSTREAM} HTTP/1.1\r\nhost: h\r\nx-api-key: {UPSTREAM}\r\nx-client: {}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            forms(KEY),
            body.len()
        )?;
        let mut answer = Vec::new();
        there.read_to_end(&mut answer)?;
        let head = answer.windows(4).position(|end| end == b"\r\n\r\n").unwrap_or(0);
        to.write_all(&answer[..head])?;
        write!(to, "\r\nx-upstream: {}\r\nx-client: {}", forms(UPSTREAM), forms(KEY))?;
        to.write_all(&answer[head..])
    })
}

#[test]
fn both_sides_of_a_gateway_are_kept_clean() {
    let folder = Folder::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = gateway(port);
    let (url, port) = (format!("{}/{OTHER}", server.url()), port.to_string());
    let sides = ["--via", &url, "--upstream-port", &port, "--shape", "anthropic", "--model", "m", "--name", "leaky"];
    let key =
        ["--api-key-env", "KEY", "--format", ALL_FORMATS, "--out", "out", "--timeout", "10", "--ready-timeout", "10"];
    let rows = ["--select", "field.s*", "--select", "answer.text*"];
    // What the process does not know of the gateway's own credential, it sees at the upstream.
    let variables = [("KEY", KEY), ("GEMINI_API_KEY", OTHER), ("RUST_LOG", "trace")];
    let ended = folder.run_with(&variables, &[&["gateway"][..], &sides, &key, &rows].concat());
    assert!(server.asked().len() > 3, "{}", ended.stderr);
    let recording = folder.read("out/gateway-leaky.jsonl");
    assert!(recording.contains("client's credential>"), "it was passed on, and taken out");
    let judged = folder.run(["judge", "out/gateway-leaky.jsonl", "--out", "judged"]);
    Seen { folder: &folder, ended: vec![ended, judged] }.is_clean();
}

#[test]
fn what_goes_wrong_is_told_without_the_secret() {
    let folder = Folder::new();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (refused, no_tls) = (format!("http://{closed}"), leaky(&[KEY]).url().replace("http:", "https:"));
    let silent = Server::start(|_, stream| hold(stream)).url();
    folder.write("given/blank", format!("{KEY} {KEY}\n"));
    folder.write("given/list.yaml", format!("targets:\n  - {{ base_url: '{refused}', models: [m], token: {KEY} }}\n"));
    folder.write("given/cases/targets/own.yaml", format!("name: own\ntitle: t\ncredential: {KEY}\n"));
    folder.write("given/ca.pem", format!("-----BEGIN CERTIFICATE-----\n{KEY}\n-----END CERTIFICATE-----\n"));
    let in_url = format!("http://user:{KEY}@{closed}");
    let commands = [format!("echo {KEY}; echo {KEY} >&2; exit 3"), KEY.to_owned(), format!("echo {KEY} {KEY}")];
    let with = |option: &str| format!("{option}={KEY}");
    let (as_option, as_proxy, url_proxy) = (with("--api-key"), with("--proxy"), format!("--proxy={in_url}/path"));
    let env = ["--api-key-env", "KEY"];
    let mut all: Vec<(Vec<&str>, i32)> = vec![
        (live(&refused, &env, &[]), 3),
        (live(&no_tls, &env, &[]), 3),
        (live(&silent, &env, &["--timeout", "1"]), 3),
        (live("http://192.0.2.1", &env, &[]), 2),
        (live(&in_url, &env, &[]), 2),
        (live(&refused, &["--api-key-file", "given/blank"], &[]), 2),
        (live(&refused, &["--api-key-file", "given"], &[]), 2),
        (live(&refused, &["--api-key-env", KEY], &[]), 2),
        (live(&refused, &["--api-key-env", "BROKEN"], &[]), 2),
        (live(&refused, &env, &["--ca-file", "given/ca.pem"]), 2),
        (live(&refused, &env, &[&as_option]), 2),
        (live(&refused, &env, &[&as_proxy]), 2),
        (live(&refused, &env, &[&url_proxy]), 2),
        (live(&refused, &env, &["--rpm", &in_url]), 2),
        (vec!["--targets", "given/list.yaml"], 2),
        (vec!["own", "--cases", "given/cases"], 2),
    ];
    all.extend(commands.iter().map(|command| (live(&refused, &["--api-key-command", command], &[]), 2)));
    let mut ended = Vec::new();
    for (arguments, code) in all {
        let broken = format!("{KEY} {KEY}");
        let variables = [&VARIABLES[..], &[("BROKEN", &broken)]].concat();
        let arguments = [&["run", "--out", "out", "-vvv"][..], &arguments].concat();
        // One of them gives the time-out twice.
        let last = arguments.iter().rposition(|argument| *argument == "--timeout");
        let arguments: Vec<&str> = match arguments.iter().position(|argument| *argument == "--timeout") {
            Some(first) if Some(first) != last => {
                arguments.iter().enumerate().filter(|(n, _)| *n != first && *n != first + 1).map(|(_, a)| *a).collect()
            }
            _ => arguments,
        };
        let one = folder.run_with(&variables, &arguments);
        assert_eq!(one.code, Some(code), "{arguments:?}: {}", one.stderr);
        assert!(!one.stderr.trim().is_empty(), "{arguments:?} is told");
        ended.push(one);
    }
    Seen { folder: &folder, ended }.is_clean();
}

#[test]
fn a_sound_run_is_left_as_it_is() {
    // The same run with a credential and without one that anybody could know: what is taken out is the secret alone.
    let faithful = Faithful::start();
    let server = Server::start(move |asked, stream| {
        let head = asked.head.replace(KEY, "fieldtest-simulator");
        stream.write_all(&faithful.answer(&Asked { head, ..asked.clone() })?)
    });
    let (folder, url) = (Folder::new(), server.url());
    for (key, out) in [(KEY, "one"), ("fieldtest-simulator", "other")] {
        let arguments = live(&url, &["--api-key-env", "KEY"], &["--seed", "7", "--out", out, "--claims", "deepseek"]);
        // Rows about chance may differ by chance, and those about times by the machine's mood.
        let rows =
            ["--select", "field.s*", "--select", "content.*", "--select", "stream.twin*", "--select", "stream.p*"];
        let ended = folder.run_with(&[("KEY", key)], &[&["run"][..], &arguments, &rows].concat());
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
