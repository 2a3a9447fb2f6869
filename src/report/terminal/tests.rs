//! Whole reports, and what must hold of any of them.

use proptest::collection::vec;
use proptest::prelude::*;
use unicode_width::UnicodeWidthStr;

use crate::report::terminal::*;
use crate::results::fixtures;

const PLAIN: TerminalStyle = TerminalStyle { width: 80, colour: false, unicode: true };

fn snapshot(name: &str, results: &[Results], style: TerminalStyle) {
    fixtures::snapshots().bind(|| insta::assert_snapshot!(name, render(results, style)));
}

fn without_escapes(text: &str) -> String {
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
    snapshot("terminal-one-80", &[fixtures::every_outcome()], PLAIN);
}

#[test]
fn one_run_at_160_columns() {
    snapshot("terminal-one-160", &[fixtures::every_outcome()], TerminalStyle { width: 160, ..PLAIN });
}

#[test]
fn one_run_in_ascii() {
    let style = TerminalStyle { unicode: false, ..PLAIN };
    let text = render(&[fixtures::every_outcome()], style);
    // The text of the results is shown as it is; marks and lines are the report's own.
    let own: String = text.lines().filter(|line| !line.contains("metadata: …")).collect();
    assert!(own.is_ascii(), "{own}");
    snapshot("terminal-one-ascii", &[fixtures::every_outcome()], style);
}

#[test]
fn one_run_in_colour() {
    let style = TerminalStyle { colour: true, ..PLAIN };
    snapshot("terminal-one-colour", &[fixtures::every_outcome()], style);
}

#[test]
fn two_runs_at_80_columns() {
    snapshot("terminal-two-80", &[fixtures::every_outcome(), fixtures::second()], PLAIN);
}

#[test]
fn runs_that_do_not_fit_abreast_come_in_several_goes() {
    let mut results = Vec::new();
    for n in 1..=5 {
        let mut run = fixtures::second();
        run.target.name = format!("gateway-{n}");
        results.push(run);
    }
    let text = render(&results, TerminalStyle { width: 60, ..PLAIN });
    for run in &results {
        assert!(text.matches(&run.target.name).count() > 3, "{} is missing", run.target.name);
    }
    assert_eq!(text.matches("HTTP headers").count(), 3);
}

#[test]
fn a_partial_run_says_so_first_and_last() {
    let text = render(&[fixtures::partial()], PLAIN);
    assert_eq!(text.matches("PARTIAL RUN").count(), 2);
    snapshot("terminal-partial-80", &[fixtures::partial()], PLAIN);
}

#[test]
fn runs_held_against_baselines() {
    snapshot("terminal-held-80", &[fixtures::held_against_a_list()], PLAIN);
    let both = [fixtures::held_against_a_list(), fixtures::held_against_a_run()];
    snapshot("terminal-held-two-80", &both, PLAIN);
}

#[test]
fn nasty_text_stays_in_its_cell() {
    snapshot("terminal-nasty-80", &[fixtures::nasty()], PLAIN);
    snapshot("terminal-nasty-two-80", &[fixtures::nasty(), fixtures::second()], PLAIN);
}

#[test]
fn a_target_without_a_name_widens_no_line() {
    let mut run = fixtures::every_outcome();
    run.target.name = String::new();
    for width in 60..100 {
        let text = render(&[run.clone()], TerminalStyle { width, ..PLAIN });
        assert!(text.lines().all(|line| line.width() <= width), "at {width} columns:\n{text}");
    }
}

#[test]
fn nothing_run_is_told() {
    assert_eq!(render(&[], PLAIN), "Nothing was run.\n");
}

#[test]
fn only_what_conforms_is_green() {
    let text = render(&[fixtures::every_outcome()], TerminalStyle { colour: true, ..PLAIN });
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
        for line in without_escapes(&text).lines() {
            prop_assert!(line.width() <= width, "{} > {width}: {line:?}", line.width());
        }
    }

    #[test]
    fn colour_changes_nothing_but_colour(results in vec(fixtures::any_run(), 1..3)) {
        let coloured = render(&results, TerminalStyle { colour: true, ..PLAIN });
        prop_assert_eq!(without_escapes(&coloured), render(&results, PLAIN));
    }

    #[test]
    fn no_escape_comes_from_the_results(results in vec(fixtures::any_run(), 1..3)) {
        let text = render(&results, PLAIN);
        prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n'));
    }
}
