//! Case files that are broken or hostile: what their authors are told, whole, and that nothing is ever sent for them.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use binary::Folder;
use fieldtest::catalog::{CaseErrors, CaseFile, Catalog, FileKind, MAX_FILE_BYTES};
use proptest::prelude::*;
use server::TestServer;

use crate::common::{binary, server};

/// A target file that is sound.
const TARGET: &str = r#"name: acme
title: Acme
auth: { scheme: x-api-key, env: [ACME_KEY] }
model: m
sources: [{ title: Support table, revision: first, read_on: "2026-11-21" }]
claims:
  field.top_k: { status: ignored }
"#;

/// A section that is sound.
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

/// What is said of a file.
#[track_caller]
fn said(name: &str, content: impl Into<Vec<u8>>) -> String {
    load(name, content).expect_err("the file is broken").to_string()
}

/// Holds what is said of a file to the snapshot of this name; and to what holds of everything that is said of one.
#[track_caller]
fn shows(snapshot: &str, name: &str, content: impl Into<Vec<u8>>) {
    shows_text(snapshot, name, &said(name, content));
}

#[track_caller]
fn shows_text(snapshot: &str, name: &str, text: &str) {
    let first = text.lines().next().unwrap();
    let place = first.strip_prefix(&format!("error: {name}:")).unwrap_or_else(|| panic!("no place in: {first}"));
    let mut numbers = place.splitn(3, ':');
    let line: usize = numbers.next().unwrap().parse().unwrap();
    let _column: usize = numbers.next().unwrap().parse().unwrap();
    assert!(text.lines().any(|l| l.starts_with(&format!("{line} |"))), "the line is not shown: {text}");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots/cases");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(snapshot, text));
}

fn with(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

#[test]
fn sound_files_are_taken() {
    let catalog = load_all(vec![("targets/a.yaml", TARGET.into()), ("experiments/a.yaml", SECTION.into())]).unwrap();
    assert!(catalog.targets.contains_key("acme"));
    assert_eq!(catalog.experiment("field.fresh").unwrap().title, "fresh");
}

#[test]
fn unknown_keys() {
    let name = "targets/a.yaml";
    shows("unknown-key", name, with(TARGET, "model: m", "model: m\nmodle: n"));
    shows("unknown-key-in-claim", name, with(TARGET, "status: ignored", "status: ignored, state: x"));
    shows("unknown-key-in-limits", name, format!("{TARGET}limits: {{ rpm: 5 }}\n"));
    let name = "experiments/a.yaml";
    shows("unknown-key-in-row", name, with(SECTION, "treatment:", "treatmnt:"));
    shows("unknown-key-in-arm", name, with(SECTION, "treatment: { body:", "treatment: { bdy:"));
    let effect = "    effect: { blocks: { tool_use: { atleast: 1 } } }\n";
    shows("unknown-key-in-count", name, format!("{SECTION}{effect}"));
}

#[test]
fn wrong_types_and_values() {
    let name = "targets/a.yaml";
    shows("list-for-text", name, with(TARGET, "model: m", "model: [m]"));
    shows("text-for-map", name, with(TARGET, "{ scheme: x-api-key, env: [ACME_KEY] }", "x-api-key"));
    shows("text-for-number", name, format!("{TARGET}limits: {{ requests_per_minute: many }}\n"));
    shows("number-out-of-range", name, format!("{TARGET}limits: {{ requests_per_minute: -5 }}\n"));
    shows("nothing-for-text", name, with(TARGET, "model: m", "model:"));
    shows("unknown-status", name, with(TARGET, "status: ignored", "status: ignord"));
    shows("unknown-scheme", name, with(TARGET, "scheme: x-api-key", "scheme: basic"));
    shows("missing-key", name, with(TARGET, "model: m\n", ""));
    shows("list-for-file", name, "- name: acme\n");
    shows("name-with-path", name, with(TARGET, "name: acme", "name: ../acme"));
    shows(
        "no-sources",
        name,
        with(TARGET, r#"[{ title: Support table, revision: first, read_on: "2026-11-21" }]"#, "[]"),
    );
    shows("map-for-list", "experiments/a.yaml", "section: s\nrows: { row: a.b }\n");
}

#[test]
fn what_stands_twice() {
    shows("key-twice", "targets/a.yaml", with(TARGET, "model: m", "model: m\nmodel: n"));
    shows("claim-twice", "targets/a.yaml", format!("{TARGET}  field.top_k: {{ status: supported }}\n"));
    let twice = format!("{SECTION}{}", SECTION.split_once("rows:\n").unwrap().1);
    shows("row-twice", "experiments/a.yaml", twice);
    let text = load_all(vec![("experiments/a.yaml", SECTION.into()), ("experiments/b.yaml", SECTION.into())]);
    shows_text("row-in-two-files", "experiments/b.yaml", &text.unwrap_err().to_string());
    let text = load_all(vec![("targets/a.yaml", TARGET.into()), ("targets/b.yaml", TARGET.into())]);
    shows_text("target-in-two-files", "targets/b.yaml", &text.unwrap_err().to_string());
}

#[test]
fn references_to_what_is_not_there() {
    shows("claim-for-unknown-row", "targets/a.yaml", with(TARGET, "field.top_k:", "field.top_q:"));
    let name = "experiments/a.yaml";
    shows("through-unknown-row", name, format!("{SECTION}    depends_on: [field.none]\n"));
    shows("unknown-variable", name, with(SECTION, "Say hello in one word.", "Say {{lable}}."));
    shows("unknown-anchor", name, with(SECTION, "Say hello in one word.", "*hello"));
}

#[test]
fn experiments_that_could_not_decide() {
    let name = "experiments/a.yaml";
    shows("nothing-decides", name, with(SECTION, "    challenge: [{ body: { fresh: -1 } }]\n", ""));
    shows("nothing-asked", name, with(SECTION, "    ask: Say hello in one word.\n", ""));
    shows("no-statuses", name, format!("{SECTION}    statuses: []\n"));
    shows("row-name", name, with(SECTION, "row: field.fresh", "row: \"field..fresh now\""));
}

#[test]
fn text_that_is_no_yaml() {
    let name = "targets/a.yaml";
    shows("unclosed-quote", name, with(TARGET, "name: acme", "name: \"acme"));
    shows("unclosed-bracket", name, with(TARGET, "env: [ACME_KEY]", "env: [ACME_KEY"));
    shows("tab", name, with(TARGET, "  field.top_k", "\tfield.top_k"));
    shows("two-documents", name, format!("{TARGET}---\n{TARGET}"));
    shows("empty", name, "");
    shows("comment-alone", name, "# nothing yet\n");
    shows("control-characters", name, with(TARGET, "model: m", "model: \"a\\eb\"\n\"\\e[31m\": x"));
}

#[test]
fn not_utf8() {
    let mut bytes = TARGET.as_bytes().to_vec();
    let at = TARGET.find("Acme\n").unwrap();
    bytes[at] = 0xe9;
    shows("not-utf8", "targets/a.yaml", bytes);
}

/// Files that would cost whoever takes them at their word all memory or all time.
fn bombs() -> Vec<(&'static str, String)> {
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
fn hostile_yaml_is_refused_soon_and_shown_in_part() {
    for (snapshot, text) in bombs() {
        let started = Instant::now();
        let said = said("experiments/a.yaml", text);
        // Debug builds on slow machines take a second at most; what is taken at its word never ends.
        assert!(started.elapsed() < Duration::from_secs(20), "{snapshot}: {:?}", started.elapsed());
        assert!(said.chars().count() < 3000, "{snapshot}: {} characters", said.chars().count());
        shows_text(snapshot, "experiments/a.yaml", &said);
    }
}

#[test]
fn many_errors_are_all_told_up_to_a_number_that_can_be_read() {
    let rows: String = (0..500).map(|n| format!("  - {{ row: a.r{n}, title: t, ask: x }}\n")).collect();
    let said = said("experiments/a.yaml", format!("section: s\nrows:\n{rows}"));
    assert_eq!(said.matches("the row has no test").count(), 20, "{said}");
    assert!(said.ends_with("and 480 more errors"), "{said}");
}

#[test]
fn a_file_of_100_mib_is_not_read_to_its_end() {
    let folder = Folder::new();
    let path = folder.write("cases/targets/huge.yaml", "name: huge\n# ");
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(100 * 1024 * 1024).unwrap();
    let ended = folder.run(["run", "--cases", "cases", "--out", "out"]).assert_exit_code(2);
    assert!(ended.stderr.starts_with("error: cases/targets/huge.yaml:2:"), "{}", ended.stderr);
    assert!(ended.stderr.contains("goes on past 1024 KiB"), "{}", ended.stderr);
    assert!(ended.stderr.len() < 1000, "{}", ended.stderr);
    assert!(ended.peak_kib < 100 * 1024, "{} KiB", ended.peak_kib);
    assert!(!folder.exists("out"));
    // One byte decides.
    let exactly = format!("{TARGET}#{}", " ".repeat(MAX_FILE_BYTES as usize - TARGET.len() - 1));
    assert_eq!(exactly.len() as u64, MAX_FILE_BYTES);
    assert!(load("targets/a.yaml", exactly.clone()).is_ok());
    shows("too-large", "targets/a.yaml", exactly + "\n");
}

/// Every command that reads case files refuses a broken one the same way, before it does anything.
#[test]
fn the_binary_refuses_broken_files_before_anything_is_sent() {
    let server = TestServer::start(|_, _| Ok(()));
    let url = server.url();
    let folder = Folder::new();
    folder.write("cases/targets/acme.yaml", with(TARGET, "model: m", "modell: m"));
    for arguments in [
        &["run", "--base-url", &url, "--model", "m", "--out", "out"][..],
        &["run", "acme", "--out", "out"],
        &["plan"],
        &["rows"],
        &["check"],
        &["simulate", "acme", "--port", "0"],
        &["judge", "no-such-recording", "--out", "out"],
    ] {
        let ended = folder.run(arguments.iter().chain(&["--cases", "cases"])).assert_exit_code(2);
        assert!(
            ended.stderr.starts_with("error: cases/targets/acme.yaml:4:1: unknown key `modell`"),
            "{}",
            ended.stderr
        );
        assert!(ended.stderr.contains("4 | modell: m"), "{}", ended.stderr);
        assert_eq!(ended.stdout, "", "{arguments:?}");
    }
    assert!(server.received_requests().is_empty());
    assert!(!folder.exists("out"));
}

#[test]
fn the_binary_refuses_folders_that_hold_no_case_files() {
    let folder = Folder::new();
    folder.write("empty/notes.txt", "x");
    folder.write("file", "x");
    folder.write("odd/targets/a.yaml/b", "x");
    for (cases, said) in [
        ("none", "there is no such folder"),
        ("file", "there is no such folder"),
        ("empty", "expected experiments/*.yaml, gateway/*.yaml or targets/*.yaml below it"),
        ("odd", "odd/targets/a.yaml: expected a file"),
    ] {
        folder.run(["check", "--cases", cases]).assert_exit_code(2).assert_stderr_contains(&[said]);
    }
}

#[cfg(unix)]
#[test]
fn a_pipe_among_the_case_files_does_not_hold_the_binary() {
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
fn users_add_and_replace_rows_and_targets() {
    let folder = Folder::new();
    folder.write("cases/targets/acme.yaml", format!("{TARGET}  field.fresh: {{ status: ignored }}\n"));
    folder.write("cases/experiments/mine.yaml", SECTION);
    let sound = folder.run(["check", "--no-proof", "--cases", "cases"]).assert_exit_code(0);
    assert!(sound.stdout.contains(" rows, 4 targets"), "{}", sound.stdout);
    let rows = folder.run(["rows", "--cases", "cases", "--select", "field.{fresh,top_k}"]).assert_exit_code(0);
    assert!(rows.stdout.contains("field.fresh") && rows.stdout.contains("acme"), "{}", rows.stdout);
    // One of the same name takes the bundled one's place.
    folder.write("other/targets/deepseek.yaml", with(TARGET, "name: acme", "name: deepseek"));
    let rows =
        folder.run(["rows", "--cases", "other", "--select", "field.system", "--format", "json"]).assert_exit_code(0);
    let rows: serde_json::Value = serde_json::from_str(&rows.stdout).unwrap();
    assert_eq!(rows[0]["claims"]["deepseek"], serde_json::Value::Null);
}

/// A bundled file by its number, with the folder that it stands in.
fn bundled() -> Vec<(String, String)> {
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

/// What may happen to a file in an editor, on its way, or by an enemy's hand.
#[derive(Debug, Clone)]
enum Harm {
    Remove(prop::sample::Index, usize),
    Insert(prop::sample::Index, String),
    Repeat(prop::sample::Index, usize, usize),
    SwapLines(prop::sample::Index, prop::sample::Index),
    Indent(prop::sample::Index, usize),
    Byte(prop::sample::Index, u8),
}

fn harm() -> impl Strategy<Value = Harm> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        (index(), 1..40_usize).prop_map(|(at, n)| Harm::Remove(at, n)),
        (index(), "[-:{}\\[\\]&*!|>'\"%@`#, \n\ta-c0-9~?<]{1,6}").prop_map(|(at, text)| Harm::Insert(at, text)),
        (index(), 1..200_usize, 1..8_usize).prop_map(|(at, n, times)| Harm::Repeat(at, n, times)),
        (index(), index()).prop_map(|(a, b)| Harm::SwapLines(a, b)),
        (index(), 1..5_usize).prop_map(|(at, n)| Harm::Indent(at, n)),
        (index(), any::<u8>()).prop_map(|(at, byte)| Harm::Byte(at, byte)),
    ]
}

fn harmed(text: &str, harms: &[Harm]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for harm in harms {
        if bytes.is_empty() {
            break;
        }
        match harm {
            Harm::Remove(at, n) => {
                let at = at.index(bytes.len());
                bytes.drain(at..(at + n).min(bytes.len()));
            }
            Harm::Insert(at, text) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, text.bytes());
            }
            Harm::Repeat(at, n, times) => {
                let at = at.index(bytes.len());
                let part = bytes[at..(at + n).min(bytes.len())].repeat(*times);
                bytes.splice(at..at, part);
            }
            Harm::SwapLines(a, b) => {
                let mut lines: Vec<&[u8]> = bytes.split(|b| *b == b'\n').collect();
                let (a, b) = (a.index(lines.len()), b.index(lines.len()));
                lines.swap(a, b);
                bytes = lines.join(&b'\n');
            }
            Harm::Indent(at, n) => {
                let mut lines: Vec<Vec<u8>> = bytes.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
                let at = at.index(lines.len());
                lines[at].splice(0..0, vec![b' '; *n]);
                bytes = lines.join(&b'\n');
            }
            Harm::Byte(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
        }
    }
    bytes
}

/// What holds of whatever is loaded: it is taken, or refused with errors that name the file and can be read.
fn holds_of(name: &str, bytes: Vec<u8>) -> Result<(), TestCaseError> {
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
    prop_assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text_is_no_panic(text in "\\PC{0,80}|[-:{}\\[\\]&*!|>'\"%@`#, \n\ta-c]{0,200}") {
        holds_of("experiments/a.yaml", text.into_bytes())?;
    }

    #[test]
    fn arbitrary_bytes_are_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        holds_of("targets/a.yaml", bytes)?;
    }

    #[test]
    fn bundled_files_that_came_to_harm_are_no_panic(
        file in any::<prop::sample::Index>(),
        harms in prop::collection::vec(harm(), 1..4),
    ) {
        let files = bundled();
        let (name, text) = &files[file.index(files.len())];
        holds_of(name, harmed(text, &harms))?;
    }
}
