//! Tests with the binary that no file contains a secret, in whatever form a server returns it, and
//! that `--redact content` removes texts.

use std::collections::BTreeSet;
use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use binary::Folder;
use serde_json::{Value, json};
use server::TestServer;

use crate::common::{binary, server};

/// The credential of the run. It contains characters that JSON and URLs escape.
const CREDENTIAL: &str = "canary/credential+0123456789=";
/// The key of the gateway's upstream. The run does not send it, but it is in the environment.
const UPSTREAM_KEY: &str = "canary-upstream-abcdef0123456789";
/// Unknown secrets with the format of keys.
const KEY_LIKE_SECRETS: [&str; 4] = [
    "sk-ant-api03-canary0123456789abcdef",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJlLWNhbmFyeQ",
    "AKIACANARY0123456789",
    "ghp_canary0123456789canary0123456789abcd",
];

/// All forms in which a text may contain the secrets.
fn secret_forms() -> Vec<String> {
    let mut forms: Vec<String> = KEY_LIKE_SECRETS.map(str::to_owned).to_vec();
    for secret in [CREDENTIAL, UPSTREAM_KEY] {
        forms.push(secret.to_owned());
        forms.push(secret.replace('/', "\\/"));
        forms.push(secret.replace('/', "%2F").replace('+', "%2b").replace('=', "%3D"));
        forms.push(secret.replace('+', "\\u002b").replace('=', "\\u003D"));
        for before in ["", "u:", "Bearer "] {
            forms.push(STANDARD.encode(format!("{before}{secret}")));
            forms.push(URL_SAFE_NO_PAD.encode(format!("{before}{secret}")));
        }
    }
    forms
}

/// Starts a gateway that returns all secrets in every response: in a message, in an error, or in a
/// stream that splits each form into two deltas.
fn start_leaking_gateway() -> TestServer {
    TestServer::start(|asked, stream| {
        let secrets = secret_forms().join(" , ");
        let head = format!(
            "connection: close\r\nset-cookie: session={UPSTREAM_KEY}\r\nauthorization: Bearer {CREDENTIAL}\r\n\
             x-api-key: {CREDENTIAL}\r\nx-debug: sent {CREDENTIAL} with Bearer {}\r\n",
            KEY_LIKE_SECRETS[1]
        );
        // The escaped forms are valid contents of a JSON string already.
        let (status, kind, body) = if asked.body.contains("\"stream\":true") {
            let mut events = String::from(
                "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
            );
            for form in secret_forms().iter().filter(|form| !form.contains('\\')) {
                let (start, end) = form.split_at(form.len() / 2);
                for part in [start, &format!("{end} ")] {
                    let delta = json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": part } });
                    events.push_str(&format!("event: content_block_delta\ndata: {delta}\n\n"));
                }
            }
            events.push_str("event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":9}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
            ("200 OK", "text/event-stream", events)
        // Do not reject the plain request: a run stops if the endpoint rejects it.
        } else if asked.number > 20 && asked.number % 5 == 4 && asked.body.contains("tool") {
            let error = format!(
                "{{\"type\":\"error\",\"error\":{{\"type\":\"invalid_request_error\",\"message\":\"upstream: {secrets}\"}}}}"
            );
            ("400 Bad Request", "application/json", error)
        } else {
            let message = format!(
                "{{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[{{\"type\":\"text\",\"text\":\"hello {secrets}\"}}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":{{\"input_tokens\":9,\"output_tokens\":9}}}}"
            );
            ("200 OK", "application/json", message)
        };
        write!(stream, "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n{head}\r\n", body.len())?;
        stream.write_all(body.as_bytes())
    })
}

/// Joins the text deltas of all streams in a recording, as a client does.
fn join_stream_texts(recording: &str) -> String {
    let mut texts = String::new();
    for line in recording.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        for attempt in line["exchange"]["attempts"].as_array().into_iter().flatten() {
            let body = attempt["response"]["body"]["text"].as_str().unwrap_or_default();
            for data in body.lines().filter_map(|line| line.strip_prefix("data: ")) {
                let event: Value = serde_json::from_str(data).unwrap();
                texts.push_str(event["delta"]["text"].as_str().unwrap_or_default());
            }
        }
    }
    texts
}

#[test]
fn no_secret_gets_into_any_file_or_message_in_any_form() {
    let folder = Folder::new();
    let server = start_leaking_gateway();
    let select = ["--select", "field.s*", "--select", "error.*", "--select", "stream.*", "--select", "header.*"];
    for auth in ["x-api-key", "bearer"] {
        let url = format!("{}/{UPSTREAM_KEY}", server.url());
        let arguments = [
            "run",
            "--base-url",
            &url,
            "--name",
            "leaky",
            "--model",
            "m",
            "--api-key-env",
            "KEY",
            "--auth",
            auth,
            "--out",
            "out",
            "--retries",
            "0",
        ];
        let variables = [("KEY", CREDENTIAL), ("OPENAI_API_KEY", UPSTREAM_KEY)];
        let ended = folder.run_with_env(&variables, &[&arguments[..], &select].concat());
        assert!(server.received_requests().len() > 10, "{}", ended.stderr);
        let recording = folder.read("out/recording-leaky.jsonl");
        let streamed = join_stream_texts(&recording);
        assert!(recording.contains("<secret>"), "{recording}");
        assert!(streamed.contains("<credential>"), "{} {}", ended.stderr, ended.stdout);
        let mut seen: Vec<(String, String)> = folder
            .all_files()
            .into_iter()
            .map(|(path, content)| (path.display().to_string(), String::from_utf8(content).unwrap()))
            .collect();
        seen.extend([
            ("out".to_owned(), ended.stdout),
            ("err".to_owned(), ended.stderr),
            ("streams".to_owned(), streamed),
        ]);
        for (place, content) in seen {
            // Search also the unescaped text, because a recording contains bodies as strings.
            for content in [content.replace("\\\\", "\\").replace("\\/", "/"), content] {
                for form in secret_forms() {
                    assert!(!content.contains(&form), "{form} is in {place}");
                }
                assert!(!content.contains("canary"), "{place}: {}", &content[content.find("canary").unwrap()..][..60]);
            }
        }
    }
}

/// A text in every request of the user's own row.
const OWN_TEXT: &str = "CANARY";

fn write_case_file(folder: &Folder) {
    let case = format!(
        "section: Own\nrows:\n  - row: own.secret\n    title: A row with a text of its own\n    \
         ask: The project is called {OWN_TEXT}. Today's label is in the system prompt. What is it?\n    \
         treatment: {{ body: {{ system: \"{OWN_TEXT} is secret. Today's label is {{{{label}}}}.\", \
         metadata: {{ user_id: \"{OWN_TEXT}\" }}, tools: [ {{ name: {OWN_TEXT}_tool, description: \"{OWN_TEXT}\", \
         input_schema: {{ type: object, properties: {{ {OWN_TEXT}: {{ type: string, enum: [{OWN_TEXT}] }} }} }} }} ] }} }}\n    \
         positive: {{ ask: \"{OWN_TEXT}: Today's label is {{{{label}}}}. What is today's label? Reply with the label alone.\" }}\n    \
         effect: {{ text: {{ contains: [\"{{{{label}}}}\"] }} }}\n"
    );
    folder.write("cases/experiments/own.yaml", case);
}

#[test]
fn redaction_removes_texts_from_every_file_and_keeps_verdicts() {
    let folder = Folder::new();
    write_case_file(&folder);
    let run = |out: &str, more: &[&str]| {
        let arguments = ["run", "deepseek@2025-12", "--simulate", "--seed", "7", "--cases", "cases", "--out", out];
        let rows = ["own.*", "field.*", "content.*", "tool_choice.*", "error.*", "stream.*", "turns.*"];
        let select = rows.iter().flat_map(|glob| ["--select", glob]);
        let fault = folder.write_simulator_file("faults: [message.stop-reason-missing]\n");
        let flips = fault.into_iter().chain(["--flip", "field.top_k=rejected"]);
        folder.run(arguments.into_iter().chain(select).chain(flips).chain(more.iter().copied()))
    };
    let complete = run("whole", &[]);
    let redacted = run("redacted", &["--redact", "content"]);
    assert_eq!(redacted.code, complete.code, "{}", redacted.stderr);
    let (before, after) = (folder.results("whole"), folder.results("redacted"));
    for (a, b) in before["rows"].as_array().unwrap().iter().zip(after["rows"].as_array().unwrap()) {
        for key in ["status", "code", "evidence", "confidence"] {
            assert_eq!(a["verdict"][key], b["verdict"][key], "{}", a["id"]);
        }
        assert_eq!((&a["id"], &a["outcome"], &a["cost"]), (&b["id"], &b["outcome"], &b["cost"]));
    }
    assert_eq!(before["summary"], after["summary"]);
    // All random code words.
    let recording = folder.read("whole/recording-deepseek-2025-12.jsonl");
    let mut private_texts: BTreeSet<String> = BTreeSet::from([OWN_TEXT.to_owned()]);
    for line in recording.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        for (name, value) in line["trial"]["values"].as_object().into_iter().flatten() {
            let value = value.as_str().unwrap();
            // Random names and ids may also occur in models, paths and identifiers, which stay.
            if matches!(name.as_str(), "label" | "label2") {
                private_texts.insert(value.to_owned());
            }
        }
    }
    assert!(private_texts.len() > 20, "{}", private_texts.len());
    for name in ["recording-deepseek-2025-12.jsonl", "results-deepseek-2025-12.json", "matrix.md"] {
        let content = folder.read(&format!("redacted/{name}"));
        for text in &private_texts {
            assert!(!content.contains(text), "`{text}` is in {name}");
        }
        assert!(!redacted.stdout.contains(OWN_TEXT) && !redacted.stderr.contains(OWN_TEXT));
        // Without redaction, the files contain the text. Otherwise the test could not fail.
        if name != "matrix.md" {
            assert!(folder.read(&format!("whole/{name}")).contains(OWN_TEXT), "{name}");
        }
    }
    // `judge` and `--replay` give the results of the run.
    let cases = ["--cases", "cases"];
    folder.run(["judge", "redacted/recording-deepseek-2025-12.jsonl", "--out", "judged"].iter().chain(&cases));
    folder.run(["run", "deepseek@2025-12", "--replay", "redacted", "--out", "replayed"].iter().chain(&cases));
    for out in ["judged", "replayed"] {
        let again = folder.read(&format!("{out}/results-deepseek-2025-12.json"));
        assert!(again == folder.read("redacted/results-deepseek-2025-12.json"), "{out}");
    }
    // `judge` can compare it with other claims.
    folder.run(
        ["judge", "redacted/recording-deepseek-2025-12.jsonl", "--claims", "anthropic", "--out", "held"]
            .iter()
            .chain(&cases),
    );
    assert_eq!(folder.results("held")["target"]["claims"]["target"], "anthropic");
    assert_ne!(folder.results("held")["summary"]["contradicts"], after["summary"]["contradicts"]);
}

#[test]
fn a_truncated_redacted_recording_decides_no_row() {
    let folder = Folder::new();
    folder
        .run([
            "run",
            "deepseek@2025-12",
            "--simulate",
            "--select",
            "field.top_k",
            "--redact",
            "content",
            "--out",
            "out",
        ])
        .assert_exit_code(0);
    let text = folder.read("out/recording-deepseek-2025-12.jsonl");
    let lines: Vec<&str> = text.lines().collect();
    folder.write("cut/recording-deepseek-2025-12.jsonl", lines[..lines.len() - 2].join("\n") + "\n");
    folder
        .run(["run", "deepseek@2025-12", "--replay", "cut", "--out", "again"])
        .assert_exit_code(3)
        .assert_stderr_contains(&["partial"]);
    let row = &folder.results("again")["rows"][0];
    assert_eq!(row["verdict"]["status"], "skipped");
    assert!(row["verdict"]["reason"].as_str().unwrap().contains("the recording has no texts"), "{row}");
    // Edited results are rejected.
    let edited = text.replacen("\"conforms\",\"silent\"", "\"contradicts\",\"silent\"", 1);
    assert_ne!(edited, text);
    folder.write("cut/recording-deepseek-2025-12.jsonl", edited);
    folder
        .run(["run", "deepseek@2025-12", "--replay", "cut", "--out", "again"])
        .assert_exit_code(2)
        .assert_stderr_contains(&["line ", "the results", "edited"]);
}
