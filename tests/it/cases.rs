//! Invalid and hostile case files: the complete error messages, and that no request is sent.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use binary::Folder;
use fieldtest::catalog::{CaseErrors, CaseFile, Catalog, FileKind, MAX_FILE_BYTES};
use proptest::prelude::*;
use server::TestServer;

use crate::common::{binary, server};

/// A valid target file.
const TARGET: &str = r#"name: acme
title: Acme
auth: { scheme: x-api-key, env: [ACME_KEY] }
model: m
sources: [{ title: Support table, revision: first, read_on: "2026-11-21" }]
claims:
  field.top_k: { status: ignored }
"#;

/// A valid section.
const SECTION: &str = r#"section: Simple fields
rows:
  - row: field.fresh
    title: fresh
    ask: Say hello in one word.
    treatment: { body: { fresh: 1 } }
    challenge: [{ body: { fresh: -1 } }]
"#;

fn load(name: &str, content: impl Into<Vec<u8>>) -> Result<Catalog, CaseErrors> {
    load_all(vec![(name, content.into())])
}

fn load_all(files: Vec<(&str, Vec<u8>)>) -> Result<Catalog, CaseErrors> {
    let kind = |name: &str| if name.starts_with("targets") { FileKind::Target } else { FileKind::Experiments };
    let files: Vec<CaseFile> =
        files.into_iter().map(|(name, bytes)| CaseFile { name: name.to_owned(), kind: kind(name), bytes }).collect();
    Catalog::load_with_extra(&files)
}

/// Returns the error message about an invalid file.
#[track_caller]
fn error_text(name: &str, content: impl Into<Vec<u8>>) -> String {
    load(name, content).expect_err("the file is invalid").to_string()
}

/// Compares the error message about a file with a snapshot, and verifies its location.
#[track_caller]
fn assert_error(snapshot: &str, name: &str, content: impl Into<Vec<u8>>) {
    assert_error_text(snapshot, name, &error_text(name, content));
}

#[track_caller]
fn assert_error_text(snapshot: &str, name: &str, text: &str) {
    let first = text.lines().next().unwrap();
    let place = first.strip_prefix(&format!("error: {name}:")).unwrap_or_else(|| panic!("no location in: {first}"));
    let mut numbers = place.splitn(3, ':');
    let line: usize = numbers.next().unwrap().parse().unwrap();
    let _column: usize = numbers.next().unwrap().parse().unwrap();
    assert!(text.lines().any(|l| l.starts_with(&format!("{line} |"))), "the message does not show the line: {text}");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../snapshots/cases");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(snapshot, text));
}

/// Replaces the first occurrence of a part of the text.
fn replace_in(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

#[test]
fn valid_files_are_loaded() {
    let catalog = load_all(vec![("targets/a.yaml", TARGET.into()), ("experiments/a.yaml", SECTION.into())]).unwrap();
    assert!(catalog.targets.contains_key("acme"));
    assert_eq!(catalog.experiment("field.fresh").unwrap().title, "fresh");
}

#[test]
fn unknown_keys_are_rejected() {
    let name = "targets/a.yaml";
    assert_error("unknown-key", name, replace_in(TARGET, "model: m", "model: m\nmodle: n"));
    assert_error("unknown-key-in-claim", name, replace_in(TARGET, "status: ignored", "status: ignored, state: x"));
    assert_error("unknown-key-in-limits", name, format!("{TARGET}limits: {{ rpm: 5 }}\n"));
    let name = "experiments/a.yaml";
    assert_error("unknown-key-in-row", name, replace_in(SECTION, "treatment:", "treatmnt:"));
    assert_error("unknown-key-in-arm", name, replace_in(SECTION, "treatment: { body:", "treatment: { bdy:"));
    let effect = "    effect: { blocks: { tool_use: { atleast: 1 } } }\n";
    assert_error("unknown-key-in-count", name, format!("{SECTION}{effect}"));
}

#[test]
fn wrong_types_and_values_are_rejected() {
    let name = "targets/a.yaml";
    assert_error("list-for-text", name, replace_in(TARGET, "model: m", "model: [m]"));
    assert_error("text-for-map", name, replace_in(TARGET, "{ scheme: x-api-key, env: [ACME_KEY] }", "x-api-key"));
    assert_error("text-for-number", name, format!("{TARGET}limits: {{ requests_per_minute: many }}\n"));
    assert_error("number-out-of-range", name, format!("{TARGET}limits: {{ requests_per_minute: -5 }}\n"));
    assert_error("nothing-for-text", name, replace_in(TARGET, "model: m", "model:"));
    assert_error("unknown-status", name, replace_in(TARGET, "status: ignored", "status: ignord"));
    assert_error("unknown-scheme", name, replace_in(TARGET, "scheme: x-api-key", "scheme: basic"));
    assert_error("missing-key", name, replace_in(TARGET, "model: m\n", ""));
    assert_error("list-for-file", name, "- name: acme\n");
    assert_error("name-with-path", name, replace_in(TARGET, "name: acme", "name: ../acme"));
    assert_error(
        "no-sources",
        name,
        replace_in(TARGET, r#"[{ title: Support table, revision: first, read_on: "2026-11-21" }]"#, "[]"),
    );
    assert_error("map-for-list", "experiments/a.yaml", "section: s\nrows: { row: a.b }\n");
}

#[test]
fn duplicates_are_rejected() {
    assert_error("key-twice", "targets/a.yaml", replace_in(TARGET, "model: m", "model: m\nmodel: n"));
    assert_error("claim-twice", "targets/a.yaml", format!("{TARGET}  field.top_k: {{ status: supported }}\n"));
    let twice = format!("{SECTION}{}", SECTION.split_once("rows:\n").unwrap().1);
    assert_error("row-twice", "experiments/a.yaml", twice);
    let text = load_all(vec![("experiments/a.yaml", SECTION.into()), ("experiments/b.yaml", SECTION.into())]);
    assert_error_text("row-in-two-files", "experiments/b.yaml", &text.unwrap_err().to_string());
    let text = load_all(vec![("targets/a.yaml", TARGET.into()), ("targets/b.yaml", TARGET.into())]);
    assert_error_text("target-in-two-files", "targets/b.yaml", &text.unwrap_err().to_string());
}

#[test]
fn references_to_missing_items_are_rejected() {
    assert_error("claim-for-unknown-row", "targets/a.yaml", replace_in(TARGET, "field.top_k:", "field.top_q:"));
    let name = "experiments/a.yaml";
    assert_error("through-unknown-row", name, format!("{SECTION}    depends_on: [field.none]\n"));
    assert_error("unknown-variable", name, replace_in(SECTION, "Say hello in one word.", "Say {{lable}}."));
    assert_error("unknown-anchor", name, replace_in(SECTION, "Say hello in one word.", "*hello"));
}

#[test]
fn experiments_that_cannot_decide_are_rejected() {
    let name = "experiments/a.yaml";
    assert_error("nothing-decides", name, replace_in(SECTION, "    challenge: [{ body: { fresh: -1 } }]\n", ""));
    assert_error("nothing-asked", name, replace_in(SECTION, "    ask: Say hello in one word.\n", ""));
    assert_error("no-statuses", name, format!("{SECTION}    statuses: []\n"));
    assert_error("row-name", name, replace_in(SECTION, "row: field.fresh", "row: \"field..fresh now\""));
}

#[test]
fn a_limit_with_two_ends_needs_both_of_them() {
    let both = "challenge: [{ body: { fresh: -1 } }, { body: { fresh: 9 } }]\n    enforces: true";
    let section = replace_in(SECTION, "challenge: [{ body: { fresh: -1 } }]", both);
    let text = error_text("experiments/a.yaml", section.clone());
    assert!(text.contains("`enforces` with several invalid values needs `challenges: all`"), "{text}");
    load("experiments/a.yaml", format!("{section}    challenges: all\n")).unwrap();
}

#[test]
fn invalid_yaml_is_rejected() {
    let name = "targets/a.yaml";
    assert_error("unclosed-quote", name, replace_in(TARGET, "name: acme", "name: \"acme"));
    assert_error("unclosed-bracket", name, replace_in(TARGET, "env: [ACME_KEY]", "env: [ACME_KEY"));
    assert_error("tab", name, replace_in(TARGET, "  field.top_k", "\tfield.top_k"));
    assert_error("two-documents", name, format!("{TARGET}---\n{TARGET}"));
    assert_error("empty", name, "");
    assert_error("comment-alone", name, "# nothing yet\n");
    assert_error("control-characters", name, replace_in(TARGET, "model: m", "model: \"a\\eb\"\n\"\\e[31m\": x"));
}

#[test]
fn invalid_utf8_is_rejected() {
    let mut bytes = TARGET.as_bytes().to_vec();
    let at = TARGET.find("Acme\n").unwrap();
    bytes[at] = 0xe9;
    assert_error("not-utf8", "targets/a.yaml", bytes);
}

/// Files that exhaust memory or time in a naive parser.
fn yaml_bombs() -> Vec<(&'static str, String)> {
    let doubling: String = ('b'..='z')
        .map(|c| format!("      {c}: &{c} [{}]\n", vec![format!("*{}", (c as u8 - 1) as char); 10].join(",")))
        .collect();
    let body = |inside: &str| {
        format!(
            "section: s\nrows:\n  - row: a.b\n    title: t\n    ask: x\n    challenge: [{{ body: {{}} }}]\n    treatment: {{ body:\n{inside}    }}\n"
        )
    };
    let block =
        |inside: &str| body("").replace("treatment: { body:\n    }\n", &format!("treatment:\n     body:\n{inside}"));
    vec![
        ("bomb-of-aliases", block(&format!("      a: &a [x,x,x,x,x,x,x,x,x,x]\n{doubling}"))),
        ("alias-of-itself", block("      a: &a [*a]\n")),
        ("deep-lists", block(&format!("      a: {}\n", "[".repeat(5000)))),
        ("deep-list-at-once", "[".repeat(900_000)),
        ("deep-maps", "{a: ".repeat(200_000)),
        ("deep-keys", "? ".repeat(400_000)),
        ("deep-blocks", (0..1200).map(|n| format!("{}a:\n", " ".repeat(n))).collect()),
        ("many-items", format!("section: s\nrows: [{}]\n", "x, ".repeat(300_000))),
        ("many-nodes", block(&format!("      a: [{}]\n", "1, ".repeat(200_000)))),
        ("long-line", format!("section: {}\nrows: 5\n", "é".repeat(400_000))),
        ("place-in-a-long-line", format!("{}: x\n", "é".repeat(400_000))),
    ]
}

#[test]
fn hostile_yaml_is_rejected_quickly_with_a_short_message() {
    for (snapshot, text) in yaml_bombs() {
        let started = Instant::now();
        let message = error_text("experiments/a.yaml", text);
        // A naive parser never ends.
        assert!(started.elapsed() < Duration::from_secs(600), "{snapshot}: {:?}", started.elapsed());
        assert!(message.chars().count() < 3000, "{snapshot}: {} characters", message.chars().count());
        assert_error_text(snapshot, "experiments/a.yaml", &message);
    }
}

#[test]
fn only_the_first_errors_are_listed_and_the_others_are_counted() {
    let rows: String = (0..500).map(|n| format!("  - {{ row: a.r{n}, title: t, ask: x }}\n")).collect();
    let message = error_text("experiments/a.yaml", format!("section: s\nrows:\n{rows}"));
    assert_eq!(message.matches("the row has no test").count(), 20, "{message}");
    assert!(message.ends_with("and 480 more errors"), "{message}");
}

#[test]
fn a_file_of_100_mib_is_not_read_completely() {
    let folder = Folder::new();
    let path = folder.write("cases/targets/huge.yaml", "name: huge\n# ");
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(100 * 1024 * 1024).unwrap();
    let finished = folder.run(["run", "--cases", "cases", "--out", "out"]).assert_exit_code(2);
    assert!(finished.stderr.starts_with("error: cases/targets/huge.yaml:2:"), "{}", finished.stderr);
    assert!(finished.stderr.contains("larger than 1024 KiB"), "{}", finished.stderr);
    assert!(finished.stderr.len() < 1000, "{}", finished.stderr);
    assert!(finished.peak_kib < 100 * 1024, "{} KiB", finished.peak_kib);
    assert!(!folder.exists("out"));
    // A file of exactly the maximum size is loaded; one more byte is rejected.
    let largest = format!("{TARGET}#{}", " ".repeat(MAX_FILE_BYTES as usize - TARGET.len() - 1));
    assert_eq!(largest.len() as u64, MAX_FILE_BYTES);
    assert!(load("targets/a.yaml", largest.clone()).is_ok());
    assert_error("too-large", "targets/a.yaml", largest + "\n");
}

/// All commands that read case files reject an invalid file with the same message.
#[test]
fn the_binary_rejects_invalid_files_before_the_first_request() {
    let server = TestServer::start(|_, _| Ok(()));
    let url = server.url();
    let folder = Folder::new();
    folder.write("cases/targets/acme.yaml", replace_in(TARGET, "model: m", "modell: m"));
    for arguments in [
        &["run", "--base-url", &url, "--model", "m", "--out", "out"][..],
        &["run", "acme", "--out", "out"],
        &["plan"],
        &["rows"],
        &["check"],
        &["simulate", "acme", "--port", "0"],
        &["judge", "no-such-recording", "--out", "out"],
    ] {
        let finished = folder.run(arguments.iter().chain(&["--cases", "cases"])).assert_exit_code(2);
        assert!(
            finished.stderr.starts_with("error: cases/targets/acme.yaml:4:1: unknown key `modell`"),
            "{}",
            finished.stderr
        );
        assert!(finished.stderr.contains("4 | modell: m"), "{}", finished.stderr);
        assert_eq!(finished.stdout, "", "{arguments:?}");
    }
    assert!(server.received_requests().is_empty());
    assert!(!folder.exists("out"));
}

#[test]
fn the_binary_rejects_folders_without_case_files() {
    let folder = Folder::new();
    folder.write("empty/notes.txt", "x");
    folder.write("file", "x");
    folder.write("odd/targets/a.yaml/b", "x");
    for (cases, message) in [
        ("none", "the folder does not exist"),
        ("file", "the folder does not exist"),
        ("empty", "no case files. Add experiments/*.yaml, gateway/*.yaml or targets/*.yaml"),
        ("odd", "odd/targets/a.yaml: expected a file"),
    ] {
        folder.run(["check", "--cases", cases]).assert_exit_code(2).assert_stderr_contains(&[message]);
    }
}

#[cfg(unix)]
#[test]
fn a_pipe_among_the_case_files_does_not_block_the_binary() {
    let folder = Folder::new();
    let path = folder.write("cases/targets/a.yaml", "");
    fs::remove_file(&path).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    folder
        .run(["check", "--cases", "cases"])
        .assert_exit_code(2)
        .assert_stderr_contains(&["cases/targets/a.yaml: expected a file"]);
}

#[test]
fn users_can_add_and_replace_rows_and_targets() {
    let folder = Folder::new();
    folder.write("cases/targets/acme.yaml", format!("{TARGET}  field.fresh: {{ status: ignored }}\n"));
    folder.write("cases/experiments/mine.yaml", SECTION);
    let checked = folder.run(["check", "--no-proof", "--cases", "cases"]).assert_exit_code(0);
    assert!(
        checked.stdout.contains(&format!(" rows, {} targets", Catalog::load_bundled().unwrap().targets.len() + 1)),
        "{}",
        checked.stdout
    );
    let rows = folder.run(["rows", "--cases", "cases", "--select", "field.{fresh,top_k}"]).assert_exit_code(0);
    assert!(rows.stdout.contains("field.fresh") && rows.stdout.contains("acme"), "{}", rows.stdout);
    // A target with the name of a bundled target replaces it.
    folder.write("other/targets/deepseek.yaml", replace_in(TARGET, "name: acme", "name: deepseek\nrevision: 2025-12"));
    let rows =
        folder.run(["rows", "--cases", "other", "--select", "field.system", "--format", "json"]).assert_exit_code(0);
    let rows: serde_json::Value = serde_json::from_str(&rows.stdout).unwrap();
    assert_eq!(rows[0]["claims"]["deepseek@2025-12"], serde_json::Value::Null);
}

/// Returns the bundled case files with their names, sorted by name.
fn bundled_files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut files = Vec::new();
    for folder in ["experiments", "targets"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = format!("{folder}/{}", path.file_name().unwrap().to_str().unwrap());
            files.push((name, fs::read_to_string(path).unwrap()));
        }
    }
    files.sort();
    files
}

/// A random change of a file, as by an editor, a transfer error or an attacker.
#[derive(Debug, Clone)]
enum FileDamage {
    Remove(prop::sample::Index, usize),
    Insert(prop::sample::Index, String),
    Repeat(prop::sample::Index, usize, usize),
    SwapLines(prop::sample::Index, prop::sample::Index),
    Indent(prop::sample::Index, usize),
    Byte(prop::sample::Index, u8),
}

fn any_damage() -> impl Strategy<Value = FileDamage> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        (index(), 1..40_usize).prop_map(|(at, n)| FileDamage::Remove(at, n)),
        (index(), "[-:{}\\[\\]&*!|>'\"%@`#, \n\ta-c0-9~?<]{1,6}").prop_map(|(at, text)| FileDamage::Insert(at, text)),
        (index(), 1..200_usize, 1..8_usize).prop_map(|(at, n, times)| FileDamage::Repeat(at, n, times)),
        (index(), index()).prop_map(|(a, b)| FileDamage::SwapLines(a, b)),
        (index(), 1..5_usize).prop_map(|(at, n)| FileDamage::Indent(at, n)),
        (index(), any::<u8>()).prop_map(|(at, byte)| FileDamage::Byte(at, byte)),
    ]
}

fn apply_damage(text: &str, damages: &[FileDamage]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for damage in damages {
        if bytes.is_empty() {
            break;
        }
        match damage {
            FileDamage::Remove(at, n) => {
                let at = at.index(bytes.len());
                bytes.drain(at..(at + n).min(bytes.len()));
            }
            FileDamage::Insert(at, text) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, text.bytes());
            }
            FileDamage::Repeat(at, n, times) => {
                let at = at.index(bytes.len());
                let part = bytes[at..(at + n).min(bytes.len())].repeat(*times);
                bytes.splice(at..at, part);
            }
            FileDamage::SwapLines(a, b) => {
                let mut lines: Vec<&[u8]> = bytes.split(|b| *b == b'\n').collect();
                let (a, b) = (a.index(lines.len()), b.index(lines.len()));
                lines.swap(a, b);
                bytes = lines.join(&b'\n');
            }
            FileDamage::Indent(at, n) => {
                let mut lines: Vec<Vec<u8>> = bytes.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
                let at = at.index(lines.len());
                lines[at].splice(0..0, vec![b' '; *n]);
                bytes = lines.join(&b'\n');
            }
            FileDamage::Byte(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
        }
    }
    bytes
}

/// Verifies that any file is loaded, or rejected with short errors that name it.
fn assert_loads_or_rejects(name: &str, bytes: Vec<u8>) -> Result<(), TestCaseError> {
    let started = Instant::now();
    if let Err(errors) = load(name, bytes) {
        prop_assert!(!errors.0.is_empty());
        for error in &errors.0 {
            prop_assert!(!error.message.trim().is_empty());
            prop_assert!(!error.message.contains('\n'), "{:?}", error.message);
            let text = error.to_string();
            prop_assert!(text.chars().count() < 3000, "{text}");
            prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
        }
        prop_assert!(errors.0.iter().any(|e| e.file == name), "{errors}");
    }
    prop_assert!(started.elapsed() < Duration::from_secs(600), "{:?}", started.elapsed());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text_does_not_panic(text in "\\PC{0,80}|[-:{}\\[\\]&*!|>'\"%@`#, \n\ta-c]{0,200}") {
        assert_loads_or_rejects("experiments/a.yaml", text.into_bytes())?;
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        assert_loads_or_rejects("targets/a.yaml", bytes)?;
    }

    #[test]
    fn damaged_bundled_files_do_not_panic(
        file in any::<prop::sample::Index>(),
        damages in prop::collection::vec(any_damage(), 1..4),
    ) {
        let files = bundled_files();
        let (name, text) = &files[file.index(files.len())];
        assert_loads_or_rejects(name, apply_damage(text, &damages))?;
    }
}
