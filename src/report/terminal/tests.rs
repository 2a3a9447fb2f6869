//! Complete reports, and properties of any report.

use proptest::collection::vec;
use proptest::prelude::*;
use unicode_width::UnicodeWidthStr;

use crate::report::terminal::{TerminalStyle, render};
use crate::results::fixtures;
use crate::results::model::Results;

const PLAIN_STYLE: TerminalStyle = TerminalStyle { width: 80, colour: false, unicode: true };

fn snapshot_report(name: &str, results: &[Results], style: TerminalStyle) {
    fixtures::snapshot_settings().bind(|| insta::assert_snapshot!(name, render(results, style)));
}

fn strip_escapes(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        out.push_str(before);
        rest = after.split_once('m').expect("an escape code ends with m").1;
    }
    out + rest
}

#[test]
fn one_run_at_80_columns() {
    snapshot_report("terminal-one-80", &[fixtures::every_outcome()], PLAIN_STYLE);
}

#[test]
fn one_run_at_160_columns() {
    snapshot_report("terminal-one-160", &[fixtures::every_outcome()], TerminalStyle { width: 160, ..PLAIN_STYLE });
}

#[test]
fn one_run_in_ascii() {
    let style = TerminalStyle { unicode: false, ..PLAIN_STYLE };
    let text = render(&[fixtures::every_outcome()], style);
    // Texts of the results are shown unchanged. Marks and lines belong to the report.
    let own: String = text.lines().filter(|line| !line.contains("metadata: …")).collect();
    assert!(own.is_ascii(), "{own}");
    snapshot_report("terminal-one-ascii", &[fixtures::every_outcome()], style);
}

#[test]
fn one_run_in_colour() {
    let style = TerminalStyle { colour: true, ..PLAIN_STYLE };
    snapshot_report("terminal-one-colour", &[fixtures::every_outcome()], style);
}

#[test]
fn two_runs_at_80_columns() {
    snapshot_report("terminal-two-80", &[fixtures::every_outcome(), fixtures::second_run()], PLAIN_STYLE);
}

#[test]
fn runs_that_do_not_fit_side_by_side_have_several_tables() {
    let mut results = Vec::new();
    for n in 1..=5 {
        let mut run = fixtures::second_run();
        run.target.name = format!("gateway-{n}");
        results.push(run);
    }
    let text = render(&results, TerminalStyle { width: 60, ..PLAIN_STYLE });
    for run in &results {
        assert!(text.matches(&run.target.name).count() > 3, "{} is missing", run.target.name);
    }
    assert_eq!(text.matches("HTTP headers").count(), 3);
}

#[test]
fn a_partial_run_is_marked_at_the_start_and_the_end() {
    let text = render(&[fixtures::partial_run()], PLAIN_STYLE);
    assert_eq!(text.matches("PARTIAL RUN").count(), 2);
    snapshot_report("terminal-partial-80", &[fixtures::partial_run()], PLAIN_STYLE);
}

#[test]
fn runs_compared_with_baselines() {
    snapshot_report("terminal-held-80", &[fixtures::run_with_expectations()], PLAIN_STYLE);
    let both = [fixtures::run_with_expectations(), fixtures::run_with_earlier_baseline()];
    snapshot_report("terminal-held-two-80", &both, PLAIN_STYLE);
}

#[test]
fn hostile_text_stays_in_its_cell() {
    snapshot_report("terminal-nasty-80", &[fixtures::hostile_run()], PLAIN_STYLE);
    snapshot_report("terminal-nasty-two-80", &[fixtures::hostile_run(), fixtures::second_run()], PLAIN_STYLE);
}

#[test]
fn a_target_without_a_name_does_not_widen_lines() {
    let mut run = fixtures::every_outcome();
    run.target.name = String::new();
    for width in 60..100 {
        let text = render(&[run.clone()], TerminalStyle { width, ..PLAIN_STYLE });
        assert!(text.lines().all(|line| line.width() <= width), "at {width} columns:\n{text}");
    }
}

#[test]
fn an_empty_report_says_so() {
    assert_eq!(render(&[], PLAIN_STYLE), "Nothing was run.\n");
}

#[test]
fn only_conforming_rows_are_green() {
    let text = render(&[fixtures::every_outcome()], TerminalStyle { colour: true, ..PLAIN_STYLE });
    let green: Vec<&str> = text.split("\u{1b}[32m").skip(1).map(|t| t.split('\u{1b}').next().unwrap_or(t)).collect();
    assert!(green.len() > 3);
    assert!(green.iter().all(|t| *t == "✓ conforms" || *t == "✓ 5 conforms"), "{green:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_line_is_wider_than_the_terminal(
        results in vec(fixtures::any_run(), 0..4),
        width in 60_usize..220,
        colour: bool,
        unicode: bool,
    ) {
        let text = render(&results, TerminalStyle { width, colour, unicode });
        for line in strip_escapes(&text).lines() {
            prop_assert!(line.width() <= width, "{} > {width}: {line:?}", line.width());
        }
    }

    #[test]
    fn colour_does_not_change_the_text(results in vec(fixtures::any_run(), 1..3)) {
        let coloured = render(&results, TerminalStyle { colour: true, ..PLAIN_STYLE });
        prop_assert_eq!(strip_escapes(&coloured), render(&results, PLAIN_STYLE));
    }

    #[test]
    fn no_escape_comes_from_the_results(results in vec(fixtures::any_run(), 1..3)) {
        let text = render(&results, PLAIN_STYLE);
        prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n'));
    }
}
