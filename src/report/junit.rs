//! `junit.xml`: a suite for each run, a case for each row and each finding.
//!
//! What a case means is `grade`'s to say. A failure is a contradiction, or what a baseline makes one; what fails as the
//! baseline expects is skipped; an error is a row that the run did not reach; a
//! row that could not be decided is skipped, with its reason. A run that is no test of its target, and has no row to say
//! so, has a case of its own. A row that was asked again carries what earlier runs said of it.
//!
//! Times are those of the whole run: results do not know how long a row took, and nothing is made up here.

use std::time::Duration;

use quick_junit::{
    FlakyOrRerun, NonSuccessKind, Property, Report, SerializeError, TestCase, TestCaseStatus, TestRerun, TestSuite,
};

use crate::report::common::ci_status;
use crate::report::common::ci_status::{Grade, Graded};
use crate::report::common::matrix::{Column, Matrix};
use crate::report::common::sanitize::{one_line, shorten};
use crate::results::model::{EarlierVerdict, Finding, Results, RowResult};

/// The most characters of a message: readers show it in a line. The body has all of it.
const MESSAGE: usize = 300;

/// The whole file.
///
/// # Errors
/// Writing XML into memory failed, which is a fault of this program.
pub fn render(results: &[Results], strict: bool) -> Result<String, SerializeError> {
    let matrix = Matrix::of(results);
    let mut report = Report::new("fieldtest");
    if !results.is_empty() {
        report.set_time(results.iter().map(|run| Duration::from_millis(run.totals.wall_ms)).sum());
    }
    report.add_test_suites(matrix.columns.iter().map(|column| suite(column, strict)));
    report.to_string()
}

fn suite(column: &Column<'_>, strict: bool) -> TestSuite {
    let run = column.run;
    let mut suite = TestSuite::new(column.heading.as_str());
    suite.set_time(Duration::from_millis(run.totals.wall_ms));
    // A results file may have been written by anyone: a date that is none is left out.
    suite.timestamp = run.started_at.parse().ok();
    suite.add_properties(properties(run));
    suite.add_test_cases(run.rows.iter().map(|row| of_row(column, row, strict)));
    suite.add_test_cases(run.findings.iter().map(|finding| of_finding(column, finding, strict)));
    suite.add_test_cases(ci_status::of_absent(run).into_iter().map(|(id, graded)| {
        let status = status(&graded, &graded.message);
        case(id, &column.heading, "baseline", status)
    }));
    if let Some(why) = ci_status::of_run(run).filter(|_| suite.errors == 0) {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message(shorten(&why, MESSAGE)).set_type("could-not-test").set_description(why);
        suite.add_test_case(case("the target could be tested", &column.heading, "run", status));
    }
    suite
}

/// What was tested.
fn properties(run: &Results) -> Vec<Property> {
    let target = &run.target;
    let claims = target.claims.as_ref().map_or("none", |claims| claims.target.as_str());
    let mut facts = vec![
        ("base_url", one_line(&target.base_url)),
        ("model", one_line(&target.model)),
        ("anthropic-version", one_line(&target.anthropic_version)),
        ("simulated", target.simulated.to_string()),
        ("claims", one_line(claims)),
        ("seed", run.seed.to_string()),
        ("requests", run.totals.requests.to_string()),
    ];
    facts.extend(run.partial.as_deref().map(|why| ("partial", one_line(why))));
    facts.into_iter().map(|(name, value)| Property::new(name, value)).collect()
}

fn case(name: &str, heading: &str, class: &str, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(one_line(name), status);
    case.set_classname(one_line(&format!("{heading}.{class}")));
    case
}

fn of_row(column: &Column<'_>, row: &RowResult, strict: bool) -> TestCase {
    let graded = ci_status::of_row(column.run, row, strict);
    let mut told = ci_status::details(row);
    if column.run.baseline.is_some() && !matches!(graded.grade, Grade::Passed | Grade::Noted) {
        told = format!("{}: {}\n\n{told}", graded.kind, graded.message);
    }
    let mut status = status(&graded, &told);
    let mut before = Vec::new();
    for earlier in &row.earlier {
        match (ci_status::of_earlier(earlier), &status) {
            // There is no element for an earlier success, nor for what came before a case that is skipped.
            (Grade::Failed | Grade::Untested, TestCaseStatus::Success { .. } | TestCaseStatus::NonSuccess { .. }) => {
                status.add_rerun(rerun(earlier));
            }
            _ => before.push(line(earlier)),
        }
    }
    if !before.is_empty() {
        // It went well once: not the same failure again and again.
        status.set_rerun_kind(FlakyOrRerun::Flaky);
    }
    let mut case = case(&row.id, &column.heading, &row.section, status);
    let noted = (graded.grade == Grade::Noted).then(|| format!("{}: {}", graded.kind, graded.message));
    let out: Vec<String> = noted.into_iter().chain(before).collect();
    if !out.is_empty() {
        case.set_system_out(out.join("\n"));
    }
    case
}

fn of_finding(column: &Column<'_>, finding: &Finding, strict: bool) -> TestCase {
    let graded = ci_status::of_finding(column.run, finding, strict);
    let mut told = format!("{}, {}", graded.kind, graded.message);
    if !finding.rows.is_empty() {
        told.push_str(&format!("\nrows: {}", one_line(&finding.rows.join(", "))));
    }
    let mut case = case(&finding.check, &column.heading, "findings", status(&graded, &told));
    if graded.grade != Grade::Failed {
        case.set_system_out(told);
    }
    case
}

fn status(graded: &Graded, body: &str) -> TestCaseStatus {
    let mut status = match graded.grade {
        Grade::Passed | Grade::Noted => return TestCaseStatus::success(),
        Grade::Undetermined | Grade::Expected => TestCaseStatus::skipped(),
        Grade::Failed => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Grade::Untested => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    status.set_message(shorten(&graded.message, MESSAGE)).set_type(graded.kind).set_description(body);
    status
}

fn rerun(earlier: &EarlierVerdict) -> TestRerun {
    let kind = match ci_status::of_earlier(earlier) {
        Grade::Failed => NonSuccessKind::Failure,
        Grade::Passed | Grade::Noted | Grade::Undetermined | Grade::Expected | Grade::Untested => NonSuccessKind::Error,
    };
    let mut rerun = TestRerun::new(kind);
    rerun.timestamp = earlier.started_at.parse().ok();
    let message = format!("observed {}: {}", earlier.status.word(), one_line(&earlier.reason));
    rerun.set_type(earlier.outcome.word()).set_message(shorten(&message, MESSAGE)).set_description(message);
    rerun
}

fn line(earlier: &EarlierVerdict) -> String {
    let (at, outcome, status) = (one_line(&earlier.started_at), earlier.outcome.word(), earlier.status.word());
    format!("before, at {at}: {outcome}, observed {status}: {}", one_line(&earlier.reason))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::catalog::{Outcome, VerdictStatus};
    use crate::results::fixtures;

    fn snapshot(name: &str, results: &[Results], strict: bool) {
        fixtures::snapshots().bind(|| insta::assert_snapshot!(name, render(results, strict).unwrap()));
    }

    /// What a reader makes of it.
    fn read(results: &[Results], strict: bool) -> Report {
        let text = render(results, strict).unwrap();
        Report::deserialize_from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    fn counts(report: &Report) -> (usize, usize, usize, usize) {
        (report.tests, report.failures, report.errors, report.skipped)
    }

    #[test]
    fn one_run() {
        snapshot("junit-one.xml", &[fixtures::every_outcome()], false);
        assert_eq!(counts(&read(&[fixtures::every_outcome()], false)), (12, 1, 0, 2));
    }

    #[test]
    fn two_runs_strictly() {
        snapshot("junit-two-strict.xml", &[fixtures::every_outcome(), fixtures::second()], true);
    }

    #[test]
    fn a_partial_run_has_errors() {
        snapshot("junit-partial.xml", &[fixtures::partial()], false);
        assert_eq!(counts(&read(&[fixtures::partial()], false)), (12, 1, 6, 0));
    }

    #[test]
    fn nasty_text_is_text() {
        snapshot("junit-nasty.xml", &[fixtures::nasty()], false);
    }

    #[test]
    fn a_run_held_against_a_baseline() {
        snapshot("junit-baseline.xml", &[fixtures::held_against_a_list()], false);
    }

    #[test]
    fn a_run_that_decided_nothing_is_no_success() {
        let row = fixtures::row("S", "field.x", "x", None, VerdictStatus::Inconclusive);
        assert_eq!(counts(&read(&[fixtures::run("any", vec![row])], false)), (2, 0, 1, 1));
    }

    #[test]
    fn rows_that_were_asked_again_show_what_was_said_before() {
        let earlier = |status, outcome, reason: &str| EarlierVerdict {
            started_at: "2026-11-21T17:00:00Z".to_owned(),
            status,
            outcome,
            reason: reason.to_owned(),
        };
        let contradicted = || earlier(VerdictStatus::Rejected, Outcome::Contradicts, "Refused with 400.");
        let cut = || earlier(VerdictStatus::Skipped, Outcome::Undetermined, "The endpoint stopped answering.");
        let well = || earlier(VerdictStatus::Ignored, Outcome::Conforms, "No effect showed.");
        let mut run = fixtures::every_outcome();
        run.rows[0].earlier = vec![contradicted(), cut()];
        run.rows[3].earlier = vec![contradicted(), cut()];
        run.rows[4].earlier = vec![contradicted()];
        let mut other = fixtures::every_outcome();
        other.target.name = "other".to_owned();
        other.rows[3].earlier = vec![well(), contradicted()];
        let text = render(&[run.clone(), other], false).unwrap();
        for (element, times) in
            [("<flakyFailure ", 2), ("<flakyError ", 1), ("<rerunFailure ", 1), ("<rerunError ", 1), ("before, at ", 2)]
        {
            assert_eq!(text.matches(element).count(), times, "{element}\n{text}");
        }
        snapshot("junit-asked-again.xml", &[run], false);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_run_is_a_file_that_readers_take(results in vec(fixtures::any_run(), 0..4), strict: bool) {
            let text = render(&results, strict).unwrap();
            let forbidden = |c: char| (c.is_control() && !matches!(c, '\n' | '\t')) || matches!(c, '\u{fffe}' | '\u{ffff}');
            prop_assert!(!text.chars().any(forbidden), "{text:?}");
            let report = Report::deserialize_from_str(&text).unwrap();
            prop_assert_eq!(report.test_suites.len(), results.len());
            for (suite, run) in report.test_suites.iter().zip(&results) {
                prop_assert_eq!(suite.tests, suite.test_cases.len());
                let told = run.rows.len() + run.findings.len() + ci_status::of_absent(run).len();
                prop_assert!(suite.tests == told || suite.tests == told + 1);
                let broken = run.baseline.as_ref().map_or(run.summary.contradicts, |held| {
                    held.counts.regression + held.counts.stale
                });
                prop_assert!(suite.failures >= broken as usize);
                prop_assert!(strict || suite.failures == broken as usize);
                // Whatever ends with 3 is not green.
                prop_assert!(suite.errors > 0 || (run.partial.is_none() && run.summary.decided > 0));
            }
        }
    }
}
