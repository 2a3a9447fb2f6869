//! Tests the published reports and the results of complete and truncated recordings.
//!
//! The published reports are those of `fieldtest run` without options. Results follow from a
//! recording alone, byte for byte. A truncated recording decides its finished rows and no others.
//! `UPDATE=1 cargo test --test it reports::` rewrites the published reports.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use common::{CATALOG, DEPENDENCIES, is_update_requested, repository_path};
use fieldtest::catalog::VerdictStatus;
use fieldtest::engine::{InconclusiveReason, judge};
use fieldtest::recording::reader;
use fieldtest::recording::run::RunLine;
use fieldtest::results::model::{Results, RowResult};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common;

const RESULTS: [&str; 2] = ["results-deepseek-2025-12.json", "results-tencent-lkeap-2025-12.json"];
const RECORDINGS: [&str; 2] = ["recording-deepseek-2025-12.jsonl", "recording-tencent-lkeap-2025-12.jsonl"];

/// Runs the binary. Panics with its complete output if the exit code is not the expected one.
fn run_fieldtest(arguments: &[&str], expected: i32) -> Output {
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

/// Runs the rows and returns the folder with all files that the run wrote.
fn run(arguments: &[&str], expected: i32) -> TempDir {
    let folder = TempDir::new().unwrap();
    let out = folder.path().to_str().unwrap();
    run_fieldtest(&[&["run", "--no-progress", "--out", out], arguments].concat(), expected);
    folder
}

fn read_text(folder: &Path, file: &str) -> String {
    let path = folder.join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The places in a results file whose values differ between equal runs. The average differs because
/// a row that measures times sends more requests on a busy machine.
const VARYING_PLACES: [&str; 4] = ["/started_at", "/finished_at", "/totals/wall_ms", "/per_verdict"];

/// The lines of a matrix with these values.
const VARYING_LINES: [&str; 7] =
    ["| Date", "| time", "| requests", "| requests per verdict", "| tokens in", "| tokens out", "| planned / actual"];

/// Removes everything that differs between equal runs from a report: dates, durations, totals, and
/// random ids. The simulator assigns these ids in the order in which equal requests arrive.
fn without_varying_parts(file: &str, text: &str) -> String {
    let text = if file.ends_with(".json") {
        let mut results: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        for place in VARYING_PLACES {
            *results.pointer_mut(place).unwrap_or_else(|| panic!("{file} has no {place}")) = Value::Null;
        }
        remove_timed_rows(&mut results);
        serde_json::to_string_pretty(&results).unwrap()
    } else {
        let line = |line: &str| match line.split_once(" | ") {
            Some((head, _)) if VARYING_LINES.contains(&head) => head.to_owned(),
            _ => line.to_owned(),
        };
        text.lines().map(line).collect::<Vec<_>>().join("\n")
    };
    let text = ["msg_01", "req_01"].into_iter().fold(text, |text, prefix| without_ids(&text, prefix));
    without_times(&text)
}

/// Removes what depends on measured times from the rows, and the cost of these rows from the totals.
fn remove_timed_rows(results: &mut Value) {
    let mut timed_costs = Vec::new();
    for row in results["rows"].as_array_mut().unwrap() {
        let cost = row["cost"].clone();
        common::remove_measured_times(row);
        if row["cost"].is_null() {
            timed_costs.push(cost);
        }
    }
    for count in ["requests", "input_tokens", "output_tokens"] {
        let timed: u64 = timed_costs.iter().map(|cost| cost[count].as_u64().unwrap()).sum();
        results["totals"][count] = (results["totals"][count].as_u64().unwrap() - timed).into();
    }
}

/// Removes the durations of responses, which differ between runs.
fn without_times(text: &str) -> String {
    let mut pieces = text.split(" ms");
    let mut remaining = pieces.next().unwrap_or_default().trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
    for piece in pieces {
        remaining.push_str(" ms");
        remaining.push_str(piece.trim_end_matches(|c: char| c.is_ascii_digit()));
    }
    remaining
}

/// Removes the rest of each id that starts with this prefix.
fn without_ids(text: &str, prefix: &str) -> String {
    let mut pieces = text.split(prefix);
    let mut remaining = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        remaining.push_str(prefix);
        remaining.push_str(piece.trim_start_matches(|c: char| c.is_ascii_alphanumeric()));
    }
    remaining
}

/// Describes the first line that differs.
fn first_difference(published: &str, actual: &str) -> String {
    let (mut published_lines, mut actual_lines) = (published.lines(), actual.lines());
    let mut number = 0;
    loop {
        number += 1;
        match (published_lines.next(), actual_lines.next()) {
            (None, None) => return "no line".to_owned(),
            (a, b) if a == b => {}
            (a, b) => {
                return format!("line {number}\n  published: {}\n  now:       {}", a.unwrap_or("-"), b.unwrap_or("-"));
            }
        }
    }
}

#[test]
fn the_published_reports_match_a_run_without_options() {
    let run_folder = run(&[], 0);
    let mut stale = Vec::new();
    for file in ["matrix.md"].into_iter().chain(RESULTS) {
        let published = repository_path("reports").join(file);
        let before = fs::read_to_string(&published).unwrap_or_default();
        let (now, is_same) = (read_text(run_folder.path(), file), |before: &str, now: &str| {
            !before.is_empty() && without_varying_parts(file, before) == without_varying_parts(file, now)
        });
        if is_same(&before, &now) {
            continue;
        }
        if is_update_requested() {
            fs::create_dir_all(repository_path("reports")).unwrap();
            fs::write(&published, &now).unwrap();
        } else if before.is_empty() {
            stale.push(format!("reports/{file}: the file is missing"));
        } else {
            stale.push(format!(
                "reports/{file}: {}",
                first_difference(&without_varying_parts(file, &before), &without_varying_parts(file, &now))
            ));
        }
    }
    assert!(stale.is_empty(), "UPDATE=1 cargo test --test it reports::\n{}", stale.join("\n"));
}

/// The maximum cost of a run of the bundled tables: requests per row, averaged over seeds, and
/// input tokens per run.
const MAX_REQUESTS_PER_ROW: f64 = 2.4;
const MAX_INPUT_TOKENS: u64 = 60_000;

#[test]
fn a_run_of_a_reliable_endpoint_is_cheap() {
    let catalog = fieldtest::catalog::Catalog::load_bundled().unwrap();
    let (mut requests, mut rows) = ([0, 0], [0, 0]);
    for seed in ["1", "2", "3", "4", "5"] {
        let run_folder = run(&["--seed", seed], 0);
        for (target, file) in RESULTS.into_iter().enumerate() {
            let results: Value = serde_json::from_str(&read_text(run_folder.path(), file)).unwrap();
            // Count field rows, and the requests that belong to no row.
            let all = results["rows"].as_array().unwrap();
            let is_field_row = |id: &str| catalog.experiment(id).is_some_and(|e| e.is_field_row());
            let others = || all.iter().filter(|row| !is_field_row(row["id"].as_str().unwrap()));
            let cost = |unit: &str| {
                let total = results["totals"][unit].as_u64().unwrap();
                total - others().map(|row| row["cost"][unit].as_u64().unwrap()).sum::<u64>()
            };
            let tokens = cost("input_tokens");
            assert!(tokens < MAX_INPUT_TOKENS, "{file}, seed {seed}: {tokens} input tokens");
            requests[target] += cost("requests");
            rows[target] += (all.len() - others().count()) as u64;
        }
    }
    for (file, (requests, rows)) in RESULTS.into_iter().zip(requests.into_iter().zip(rows)) {
        let per_row = requests as f64 / rows as f64;
        assert!(per_row <= MAX_REQUESTS_PER_ROW, "{file}: {per_row:.2} requests per row");
    }
}

#[test]
fn only_times_and_ids_count_as_varying_parts() {
    let row = |reason: &str, count: u64| {
        let because = json!({ "kind": "any", reason: 5 });
        let cost = json!({ "requests": count, "input_tokens": count, "output_tokens": count });
        json!({ "verdict": { "because": because }, "cost": cost, "arms": ["x"] })
    };
    let report = json!({
        "started_at": "a",
        "finished_at": "b",
        "totals": { "wall_ms": 3, "requests": 19, "input_tokens": 29, "output_tokens": 39, "retries": 1 },
        "per_verdict": { "requests": 9 },
        "x": "msg_01aZ9\" y",
        "rows": [row("long_ms", 7), row("trials", 8)],
    });
    let remaining: Value = serde_json::from_str(&without_varying_parts("x.json", &report.to_string())).unwrap();
    let totals = json!({
        "wall_ms": null, "requests": 12, "input_tokens": 22, "output_tokens": 32, "retries": 1
    });
    assert_eq!(
        remaining,
        json!({
            "started_at": null,
            "finished_at": null,
            "totals": totals,
            "per_verdict": null,
            "x": "msg_01\" y",
            "rows": [{ "verdict": { "because": { "kind": "any" } } }, row("trials", 8)],
        })
    );
    assert_eq!(
        without_varying_parts("x.md", "| Date | 2026 |\n| Datum | 1 |\n| time | 1 s |"),
        "| Date\n| Datum | 1 |\n| time"
    );
}

#[test]
fn judging_a_recording_gives_the_results_of_the_run_byte_for_byte() {
    let run_folder = run(&[], 0);
    let recordings = RECORDINGS.map(|file| run_folder.path().join(file).to_str().unwrap().to_owned());
    let judge_again = || {
        let folder = TempDir::new().unwrap();
        run_fieldtest(&["judge", &recordings[0], &recordings[1], "--out", folder.path().to_str().unwrap()], 0);
        folder
    };
    let (first, second) = (judge_again(), judge_again());
    for file in ["matrix.md"].into_iter().chain(RESULTS) {
        let expected = read_text(run_folder.path(), file);
        for judged in [&first, &second] {
            let judged = read_text(judged.path(), file);
            assert!(judged == expected, "{file}: {}", first_difference(&expected, &judged));
        }
    }
}

/// A complete recording with its results, and the number of lines after which each row is finished.
struct CompleteRecording {
    lines: Vec<String>,
    results: Results,
    finished_after: HashMap<String, usize>,
}

impl CompleteRecording {
    fn read(run_folder: &Path) -> Self {
        let text = read_text(run_folder, RECORDINGS[0]);
        let lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
        let mut finished_after = HashMap::new();
        for (index, line) in lines.iter().enumerate() {
            if let RunLine::Trial(trial) = serde_json::from_str(line).unwrap() {
                finished_after.insert(trial.key.row, index + 1);
            }
        }
        let results = fieldtest::results::json::parse(RESULTS[0], &read_text(run_folder, RESULTS[0])).unwrap();
        assert!(results.partial.is_none());
        Self { lines, results, finished_after }
    }

    fn first_lines(&self, lines: usize) -> String {
        self.lines[..lines].concat()
    }

    /// Judges a truncated recording and compares each row with the complete results.
    fn assert_truncated(&self, text: &str, lines: usize) {
        let recording = reader::read_recording(text.as_bytes())
            .unwrap_or_else(|error| panic!("truncated to {lines} lines: {error}"));
        let results = judge(&CATALOG, &recording).unwrap();
        assert!(results.partial.as_deref().is_some_and(|why| why.contains("no footer")), "truncated to {lines} lines");
        assert_eq!(results.rows.len(), self.results.rows.len(), "truncated to {lines} lines");
        for (row, complete) in results.rows.iter().zip(&self.results.rows) {
            let context = format!("truncated to {lines} lines: {}: {:?}", row.id, row.verdict);
            if self.finished_after[&row.id] > lines {
                assert_eq!(row.verdict.status, VerdictStatus::Skipped, "{context}");
                assert_eq!(row.verdict.code.as_deref(), Some(InconclusiveReason::NotFinished.as_str()), "{context}");
            } else if self.depends_on_unfinished_row(complete, lines) {
                assert!(!row.verdict.status.is_decided() || row.verdict == complete.verdict, "{context}");
            } else {
                // The cost may differ: a shared request counts for the first row that uses it. So may the
                // cause, which also depends on other rows.
                let (cost, cause) = (complete.cost.clone(), complete.cause.clone());
                assert_eq!(RowResult { cost, cause, ..row.clone() }, *complete, "{context}");
            }
        }
    }

    /// Whether a row depends on a row that is unfinished in the truncated recording.
    fn depends_on_unfinished_row(&self, row: &RowResult, lines: usize) -> bool {
        let mut others = self.finished_after.iter().filter(|(other, _)| DEPENDENCIES.depends_on(&row.id, other));
        others.any(|(_, finished)| *finished > lines)
    }
}

#[test]
fn a_recording_truncated_after_any_line_keeps_every_finished_row() {
    // Few rows with short requests, so that the test can truncate after every line. The flip breaks
    // a row that other rows depend on, and so contradicts the claims of its parts.
    let select = ["--select", "tool_choice.*", "--select", "header.*", "--select", "field.s*"];
    let flip = ["--flip", "tool_choice.object_form=ignored"];
    let run_folder = run(&[&["deepseek@2025-12", "--simulate"], &select[..], &flip[..]].concat(), 1);
    let complete = CompleteRecording::read(run_folder.path());
    assert!(complete.results.rows.len() > 12, "{} rows", complete.results.rows.len());
    for lines in 1..complete.lines.len() {
        complete.assert_truncated(&complete.first_lines(lines), lines);
    }
}

#[test]
fn a_recording_truncated_before_a_contrast_keeps_its_row_open() {
    // The first row is judged by its contrast with the second.
    let select = ["--select", "thinking.unasked", "--select", "field.thinking"];
    let run_folder = run(&[&["deepseek@2025-12", "--simulate"], &select[..]].concat(), 0);
    let complete = CompleteRecording::read(run_folder.path());
    assert!(complete.results.rows.len() > 1, "the run lacks the contrast");
    for lines in 1..complete.lines.len() {
        complete.assert_truncated(&complete.first_lines(lines), lines);
    }
}

#[test]
fn a_recording_truncated_within_a_line_loses_only_that_line() {
    let run_folder = run(&["deepseek@2025-12", "--simulate", "--select", "header.*", "--select", "field.c*"], 0);
    let complete = CompleteRecording::read(run_folder.path());
    for lines in 1..complete.lines.len() - 1 {
        let next = &complete.lines[lines];
        let half = next.floor_char_boundary(next.len() / 2);
        for end in [1, half, next.len() - 2] {
            complete.assert_truncated(&format!("{}{}", complete.first_lines(lines), &next[..end]), lines);
        }
    }
}

#[test]
fn judging_a_truncated_recording_is_partial_and_exits_with_3() {
    let run_folder = run(&["deepseek@2025-12", "--simulate"], 0);
    let complete = CompleteRecording::read(run_folder.path());
    let count = complete.lines.len();
    for lines in [1, 2, 9, count / 4, count / 2, count * 3 / 4, count - 1] {
        complete.assert_truncated(&complete.first_lines(lines), lines);
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("cut.jsonl");
        fs::write(&path, complete.first_lines(lines)).unwrap();
        run_fieldtest(&["judge", path.to_str().unwrap(), "--out", folder.path().to_str().unwrap()], 3);
        let results = fieldtest::results::json::parse(RESULTS[0], &read_text(folder.path(), RESULTS[0])).unwrap();
        assert!(results.partial.is_some());
        assert!(
            read_text(folder.path(), "matrix.md").to_lowercase().contains("partial"),
            "the matrix does not report the partial run"
        );
    }
}

#[test]
fn an_empty_recording_is_rejected() {
    let folder = TempDir::new().unwrap();
    let empty = folder.path().join("empty.jsonl");
    fs::write(&empty, "").unwrap();
    let out = folder.path().join("out");
    let output = run_fieldtest(&["judge", empty.to_str().unwrap(), "--out", out.to_str().unwrap()], 2);
    assert!(String::from_utf8_lossy(&output.stderr).contains("empty.jsonl"));
}
