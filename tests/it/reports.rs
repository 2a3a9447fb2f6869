//! Proves that the published reports are what a bare `fieldtest run` makes, that results follow from a recording alone,
//! byte for byte, and that a recording which was cut anywhere still tells what it can and never more.
//!
//! `UPDATE=1 cargo test --test reports` writes the published reports anew.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use common::{CATALOG, repository, update};
use fieldtest::catalog::VerdictStatus;
use fieldtest::engine::{InconclusiveReason, judge};
use fieldtest::recording::run;
use fieldtest::recording::run::RunLine;
use fieldtest::results::model::{Results, RowResult};
use serde_json::Value;
use tempfile::TempDir;

use crate::common;

const RESULTS: [&str; 2] = ["results-deepseek.json", "results-tencent-lkeap.json"];
const RECORDINGS: [&str; 2] = ["recording-deepseek.jsonl", "recording-tencent-lkeap.jsonl"];

/// Runs the binary, and tells everything where it ends otherwise than it should.
fn fieldtest(arguments: &[&str], expected: i32) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_fieldtest")).args(arguments).output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(expected),
        "fieldtest {}\n{}{}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// A folder with everything that a run leaves behind.
fn run(arguments: &[&str], expected: i32) -> TempDir {
    let folder = TempDir::new().unwrap();
    let out = folder.path().to_str().unwrap();
    fieldtest(&[&["run", "--no-progress", "--out", out], arguments].concat(), expected);
    folder
}

fn text(folder: &Path, file: &str) -> String {
    let path = folder.join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Takes out of a report what differs from run to run: when it was, how long it took, and the ids that the simulated
/// server draws in the order in which equal requests happen to reach it.
fn settled(file: &str, text: &str) -> String {
    let text = if file.ends_with(".json") {
        let mut results: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        for (place, value) in [("/started_at", "then"), ("/finished_at", "then"), ("/totals/wall_ms", "some")] {
            *results.pointer_mut(place).unwrap_or_else(|| panic!("{file} has no {place}")) = value.into();
        }
        serde_json::to_string_pretty(&results).unwrap()
    } else {
        let line = |line: &str| match line.split_once(" | ") {
            Some((head @ ("| Date" | "| time"), _)) => head.to_owned(),
            _ => line.to_owned(),
        };
        text.lines().map(line).collect::<Vec<_>>().join("\n")
    };
    let text = ["msg_01", "req_01"].into_iter().fold(text, |text, prefix| without_ids(&text, prefix));
    without_times(&text)
}

/// How long an answer took is another thing each time.
fn without_times(text: &str) -> String {
    let mut pieces = text.split(" ms");
    let mut settled = pieces.next().unwrap_or_default().trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
    for piece in pieces {
        settled.push_str(" ms");
        settled.push_str(piece.trim_end_matches(|c: char| c.is_ascii_digit()));
    }
    settled
}

fn without_ids(text: &str, prefix: &str) -> String {
    let mut pieces = text.split(prefix);
    let mut settled = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        settled.push_str(prefix);
        settled.push_str(piece.trim_start_matches(|c: char| c.is_ascii_alphanumeric()));
    }
    settled
}

/// The first line that differs, with both of its forms.
fn difference(published: &str, made: &str) -> String {
    let (mut one, mut other) = (published.lines(), made.lines());
    let mut number = 0;
    loop {
        number += 1;
        match (one.next(), other.next()) {
            (None, None) => return "no line".to_owned(),
            (a, b) if a == b => {}
            (a, b) => {
                return format!("line {number}\n  published: {}\n  made now:  {}", a.unwrap_or("-"), b.unwrap_or("-"));
            }
        }
    }
}

#[test]
fn the_published_reports_are_what_a_bare_run_makes() {
    let made = run(&[], 0);
    let mut stale = Vec::new();
    for file in ["matrix.md"].into_iter().chain(RESULTS) {
        let published = repository("reports").join(file);
        let before = fs::read_to_string(&published).unwrap_or_default();
        let (now, same) = (text(made.path(), file), |before: &str, now: &str| {
            !before.is_empty() && settled(file, before) == settled(file, now)
        });
        if same(&before, &now) {
            continue;
        }
        if update() {
            fs::create_dir_all(repository("reports")).unwrap();
            fs::write(&published, &now).unwrap();
        } else if before.is_empty() {
            stale.push(format!("reports/{file}: it is missing"));
        } else {
            stale.push(format!("reports/{file}: {}", difference(&settled(file, &before), &settled(file, &now))));
        }
    }
    assert!(stale.is_empty(), "UPDATE=1 cargo test --test reports\n{}", stale.join("\n"));
}

/// What a run of the bundled tables may cost: requests for each row, on average over seeds, and input tokens.
const REQUESTS_A_ROW: f64 = 2.2;
const INPUT_TOKENS: u64 = 60_000;

#[test]
fn an_obedient_endpoint_is_cheap_to_decide() {
    let catalog = fieldtest::catalog::Catalog::load_bundled().unwrap();
    let (mut requests, mut rows) = ([0, 0], [0, 0]);
    for seed in ["1", "2", "3", "4", "5"] {
        let made = run(&["--seed", seed], 0);
        for (target, file) in RESULTS.into_iter().enumerate() {
            let results: Value = serde_json::from_str(&text(made.path(), file)).unwrap();
            // The rows that stand for a field, and what belongs to no row.
            let all = results["rows"].as_array().unwrap();
            let is_of_field = |id: &str| catalog.experiment(id).is_some_and(|e| e.is_field_row());
            let others = || all.iter().filter(|row| !is_of_field(row["id"].as_str().unwrap()));
            let cost = |of: &str| {
                let whole = results["totals"][of].as_u64().unwrap();
                whole - others().map(|row| row["cost"][of].as_u64().unwrap()).sum::<u64>()
            };
            let tokens = cost("input_tokens");
            assert!(tokens < INPUT_TOKENS, "{file}, seed {seed}: {tokens} input tokens");
            requests[target] += cost("requests");
            rows[target] += (all.len() - others().count()) as u64;
        }
    }
    for (file, (requests, rows)) in RESULTS.into_iter().zip(requests.into_iter().zip(rows)) {
        let a_row = requests as f64 / rows as f64;
        assert!(a_row <= REQUESTS_A_ROW, "{file}: {a_row:.2} requests a row");
    }
}

#[test]
fn what_is_settled_is_times_and_ids_alone() {
    let made =
        r#"{"started_at": "a", "finished_at": "b", "totals": {"wall_ms": 3, "requests": 2}, "x": "msg_01aZ9\" y"}"#;
    let settled_json = settled("x.json", made);
    assert!(settled_json.contains("\"requests\": 2") && settled_json.contains("msg_01\\\" y"), "{settled_json}");
    assert!(!settled_json.contains("aZ9") && !settled_json.contains("\"b\""), "{settled_json}");
    assert_eq!(settled("x.md", "| Date | 2026 |\n| Datum | 1 |\n| time | 1 s |"), "| Date\n| Datum | 1 |\n| time");
}

#[test]
fn judging_a_recording_gives_the_runs_results_byte_for_byte() {
    let made = run(&[], 0);
    let recordings = RECORDINGS.map(|file| made.path().join(file).to_str().unwrap().to_owned());
    let again = || {
        let folder = TempDir::new().unwrap();
        fieldtest(&["judge", &recordings[0], &recordings[1], "--out", folder.path().to_str().unwrap()], 0);
        folder
    };
    let (once, twice) = (again(), again());
    for file in ["matrix.md"].into_iter().chain(RESULTS) {
        let of_run = text(made.path(), file);
        for judged in [&once, &twice] {
            let judged = text(judged.path(), file);
            assert!(judged == of_run, "{file}: {}", difference(&of_run, &judged));
        }
    }
}

/// The rows of a run and where, counted in lines of the recording, each was done.
struct Whole {
    lines: Vec<String>,
    results: Results,
    done_at: HashMap<String, usize>,
}

impl Whole {
    fn of(made: &Path) -> Self {
        let text = text(made, RECORDINGS[0]);
        let lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
        let mut done_at = HashMap::new();
        for (index, line) in lines.iter().enumerate() {
            if let RunLine::Trial(trial) = serde_json::from_str(line).unwrap() {
                done_at.insert(trial.key.row, index + 1);
            }
        }
        let results = fieldtest::results::json::parse(RESULTS[0], &self::text(made, RESULTS[0])).unwrap();
        assert!(results.partial.is_none());
        Self { lines, results, done_at }
    }

    fn cut(&self, lines: usize) -> String {
        self.lines[..lines].concat()
    }

    /// Judges what is left of the recording, and holds it against the whole.
    fn check(&self, text: &str, lines: usize) {
        let recording =
            run::read_recording(text.as_bytes()).unwrap_or_else(|error| panic!("cut to {lines} lines: {error}"));
        let results = judge(&CATALOG, &recording).unwrap();
        assert!(results.partial.as_deref().is_some_and(|why| why.contains("no footer")), "cut to {lines} lines");
        assert_eq!(results.rows.len(), self.results.rows.len(), "cut to {lines} lines");
        for (row, whole) in results.rows.iter().zip(&self.results.rows) {
            let at = format!("cut to {lines} lines: {}: {:?}", row.id, row.verdict);
            if self.done_at[&row.id] > lines {
                assert_eq!(row.verdict.status, VerdictStatus::Skipped, "{at}");
                assert_eq!(row.verdict.code.as_deref(), Some(InconclusiveReason::NotFinished.as_str()), "{at}");
            } else if self.leans_on_what_is_open(whole, lines) {
                assert!(!row.verdict.status.is_decided() || row.verdict == whole.verdict, "{at}");
            } else {
                // What a row cost may differ: shared requests are counted at the first row that has them.
                assert_eq!(RowResult { cost: whole.cost.clone(), ..row.clone() }, *whole, "{at}");
            }
        }
    }

    /// Whether a row works through another that was not done when the recording was cut.
    fn leans_on_what_is_open(&self, row: &RowResult, lines: usize) -> bool {
        let through = &CATALOG.experiment(&row.id).unwrap().depends_on;
        through.iter().any(|other| self.done_at.get(other).is_some_and(|done| *done > lines))
    }
}

#[test]
fn a_recording_cut_at_any_line_keeps_every_row_that_was_done() {
    // Few rows with short requests, so that every line can be tried; one of them is not what the others work through.
    let select = ["--select", "tool_choice.*", "--select", "header.*", "--select", "field.s*"];
    let flip = ["--flip", "tool_choice.object_form=ignored"];
    let made = run(&[&["deepseek", "--simulate"], &select[..], &flip[..]].concat(), 0);
    let whole = Whole::of(made.path());
    assert!(whole.results.rows.len() > 12, "{} rows", whole.results.rows.len());
    for lines in 1..whole.lines.len() {
        whole.check(&whole.cut(lines), lines);
    }
}

#[test]
fn a_recording_cut_within_a_line_loses_that_line_alone() {
    let made = run(&["deepseek", "--simulate", "--select", "header.*", "--select", "field.c*"], 0);
    let whole = Whole::of(made.path());
    for lines in 1..whole.lines.len() - 1 {
        let next = &whole.lines[lines];
        let half = next.floor_char_boundary(next.len() / 2);
        for end in [1, half, next.len() - 2] {
            whole.check(&format!("{}{}", whole.cut(lines), &next[..end]), lines);
        }
    }
}

#[test]
fn a_whole_recording_cut_here_and_there_is_judged_as_partial_and_ends_with_3() {
    let made = run(&["deepseek", "--simulate"], 0);
    let whole = Whole::of(made.path());
    let count = whole.lines.len();
    for lines in [1, 2, 9, count / 4, count / 2, count * 3 / 4, count - 1] {
        whole.check(&whole.cut(lines), lines);
        let folder = TempDir::new().unwrap();
        let cut = folder.path().join("cut.jsonl");
        fs::write(&cut, whole.cut(lines)).unwrap();
        fieldtest(&["judge", cut.to_str().unwrap(), "--out", folder.path().to_str().unwrap()], 3);
        let results = fieldtest::results::json::parse(RESULTS[0], &text(folder.path(), RESULTS[0])).unwrap();
        assert!(results.partial.is_some());
        assert!(text(folder.path(), "matrix.md").to_lowercase().contains("partial"), "the matrix does not say so");
    }
}

#[test]
fn an_empty_recording_is_none() {
    let folder = TempDir::new().unwrap();
    let empty = folder.path().join("empty.jsonl");
    fs::write(&empty, "").unwrap();
    let out = folder.path().join("out");
    let output = fieldtest(&["judge", empty.to_str().unwrap(), "--out", out.to_str().unwrap()], 2);
    assert!(String::from_utf8_lossy(&output.stderr).contains("empty.jsonl"));
}
