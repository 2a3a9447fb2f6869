//! Complete reports, and properties of any report.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::report::markdown::render;
use crate::results::fixtures;
use crate::results::model::Results;

fn snapshot_report(name: &str, results: &[Results]) {
    fixtures::snapshot_settings().bind(|| insta::assert_snapshot!(name, render(results)));
}

/// The lines outside of fences. A fence closes a fence of at most its length.
fn lines_outside_fences(markdown: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut open: Option<usize> = None;
    for line in markdown.lines() {
        let ticks = line.chars().take_while(|c| *c == '`').count();
        match open {
            None if ticks >= 3 => open = Some(ticks),
            None => lines.push(line),
            Some(n) if ticks >= n && line.trim_end().len() == ticks => open = None,
            Some(_) => {}
        }
    }
    assert_eq!(open, None, "a fence is not closed");
    lines
}

/// The pipes that separate cells: all pipes without a backslash.
fn count_pipes(line: &str) -> usize {
    line.bytes().enumerate().filter(|(i, b)| *b == b'|' && (*i == 0 || line.as_bytes()[i - 1] != b'\\')).count()
}

#[test]
fn one_run() {
    snapshot_report("matrix-one.md", &[fixtures::every_outcome()]);
}

#[test]
fn two_runs() {
    snapshot_report("matrix-two.md", &[fixtures::every_outcome(), fixtures::second_run()]);
}

#[test]
fn a_partial_run() {
    let text = render(&[fixtures::partial_run()]);
    assert!(text.contains("> **The run of deepseek is partial:** the budget of 20 requests was spent. 6 of 10 rows"));
    snapshot_report("matrix-partial.md", &[fixtures::partial_run()]);
}

#[test]
fn runs_compared_with_baselines() {
    let section = |results: &[Results]| {
        let text = render(results);
        let (_, from) = text.split_once("## Comparison with a baseline").expect("a section");
        from.split("\n## ").next().unwrap_or_default().to_owned()
    };
    let one = section(&[fixtures::run_with_expectations()]);
    fixtures::snapshot_settings().bind(|| insta::assert_snapshot!("matrix-held-one.md", one));
    let two = section(&[fixtures::run_with_expectations(), fixtures::run_with_earlier_baseline()]);
    fixtures::snapshot_settings().bind(|| insta::assert_snapshot!("matrix-held-two.md", two));
}

#[test]
fn hostile_text_is_escaped() {
    snapshot_report("matrix-nasty.md", &[fixtures::hostile_run(), fixtures::second_run()]);
}

#[test]
fn an_empty_report_says_so() {
    assert!(render(&[]).contains("Nothing was run."));
}

#[test]
fn every_link_has_its_evidence() {
    let text = render(&[fixtures::every_outcome(), fixtures::second_run()]);
    let targets: Vec<&str> = text.split("](#").skip(1).map(|rest| rest.split(')').next().unwrap_or("")).collect();
    assert!(targets.len() > 4, "{targets:?}");
    for target in targets {
        assert_eq!(text.matches(&format!("<a id=\"{target}\"></a>")).count(), 1, "{target}");
    }
}

#[test]
fn a_skipped_row_has_no_tick() {
    for line in render(&[fixtures::partial_run()]).lines().filter(|line| line.contains("skipped")) {
        assert!(!line.contains('✓'), "{line}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn all_lines_of_a_table_have_the_same_number_of_cells(results in vec(fixtures::any_run(), 1..4)) {
        let text = render(&results);
        let mut expected = None;
        let mut tables = 0;
        for line in lines_outside_fences(&text) {
            if line.starts_with('|') {
                let pipes = count_pipes(line);
                match expected {
                    None => { expected = Some(pipes); tables += 1; }
                    Some(n) => prop_assert_eq!(pipes, n, "{}", line),
                }
            } else {
                prop_assert!(!line.contains('|'), "a pipe outside of tables: {}", line);
                expected = None;
            }
        }
        prop_assert!(tables >= 4);
    }

    #[test]
    fn no_markup_comes_from_the_results(results in vec(fixtures::any_run(), 1..3)) {
        let own = ["<br>", "<sub>", "</sub>", "<code>", "</code>", "<details>", "</details>", "<summary>", "</summary>"];
        for line in lines_outside_fences(&render(&results)) {
            let mut rest = line.to_owned();
            // Code spans and link addresses show angle brackets as they are.
            while let Some((before, code)) = rest.split_once('`') {
                let after = code.split_once('`').expect("a code span is closed").1;
                rest = format!("{before}{after}");
            }
            for tag in own {
                rest = rest.replace(tag, "");
            }
            if !rest.starts_with("<a id=\"") && !rest.contains("](<") {
                prop_assert!(!rest.contains('<'), "{}", line);
            }
            prop_assert!(!line.chars().any(char::is_control), "{:?}", line);
        }
    }
}
