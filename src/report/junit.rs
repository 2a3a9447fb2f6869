//! `junit.xml`: one suite for each run, one case for each row and each finding.
//!
//! [`ci_status`] gives the meaning of a case. A failure is a contradiction or a regression. Expected failures
//! and undecided rows are skipped. An error is a row that the run did not reach. A run that is not a complete
//! test and has no such row gets its own case. A rerun row has the verdicts of earlier runs.
//!
//! Times are those of the whole run, since results have no time per row.

use std::time::Duration;

use quick_junit::{
    FlakyOrRerun, NonSuccessKind, Property, Report, SerializeError, TestCase, TestCaseStatus, TestRerun, TestSuite,
};

use crate::report::common::ci_status;
use crate::report::common::ci_status::{CiResult, CiStatus, FailurePolicy};
use crate::report::common::matrix::{MatrixColumn, ResultsMatrix};
use crate::report::common::phrases;
use crate::report::common::sanitize::{sanitize_line, shorten};
use crate::results::model::{EarlierVerdict, FindingSummary, Results, RowResult};

/// The maximum length of a message, which readers show in one line. The body has the complete text.
const MAX_MESSAGE_CHARS: usize = 300;

/// The whole file.
///
/// # Errors
/// Writing XML into memory failed, which is a bug in fieldtest.
pub fn render(results: &[Results], policy: impl Into<FailurePolicy>) -> Result<String, SerializeError> {
    let policy = policy.into();
    let matrix = ResultsMatrix::from_results(results);
    let mut report = Report::new("fieldtest");
    if !results.is_empty() {
        report.set_time(results.iter().map(|run| Duration::from_millis(run.totals.wall_ms)).sum());
    }
    report.add_test_suites(matrix.columns.iter().map(|column| render_suite(column, policy)));
    report.to_string()
}

fn render_suite(column: &MatrixColumn<'_>, policy: FailurePolicy) -> TestSuite {
    let run = column.run;
    let mut suite = TestSuite::new(column.heading.as_str());
    suite.set_time(Duration::from_millis(run.totals.wall_ms));
    // A results file can come from anyone, so an invalid date is left out.
    suite.timestamp = run.started_at.parse().ok();
    suite.add_properties(suite_properties(run));
    suite.add_test_cases(run.rows.iter().map(|row| row_test_case(column, row, policy)));
    suite.add_test_cases(run.findings.iter().map(|finding| finding_test_case(column, finding, policy.strict)));
    suite.add_test_cases(ci_status::missing_entries(run).into_iter().map(|(id, result)| {
        let status = test_case_status(&result, &result.message);
        new_test_case(id, &column.heading, "baseline", status)
    }));
    if let Some(why) = ci_status::untestable_reason(run).filter(|_| suite.errors == 0) {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message(shorten(&why, MAX_MESSAGE_CHARS)).set_type("could-not-test").set_description(why);
        suite.add_test_case(new_test_case("the target was tested", &column.heading, "run", status));
    }
    suite
}

/// The tested endpoint and the totals.
fn suite_properties(run: &Results) -> Vec<Property> {
    let target = &run.target;
    let claims = target.claims.as_ref().map_or("none", |claims| claims.target.as_str());
    let mut facts = vec![
        ("base_url", sanitize_line(&target.base_url)),
        ("model", sanitize_line(&target.model)),
        ("anthropic-version", sanitize_line(&target.anthropic_version)),
        ("simulated", target.simulated.to_string()),
        ("claims", sanitize_line(claims)),
        ("seed", run.seed.to_string()),
        ("requests", run.totals.requests.to_string()),
    ];
    facts.extend(phrases::describe_met_claims(&run.summary).map(|met| ("claims-met", met)));
    facts.extend(run.partial.as_deref().map(|why| ("partial", sanitize_line(why))));
    facts.into_iter().map(|(name, value)| Property::new(name, value)).collect()
}

fn new_test_case(name: &str, heading: &str, class: &str, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(sanitize_line(name), status);
    case.set_classname(sanitize_line(&format!("{heading}.{class}")));
    case
}

fn row_test_case(column: &MatrixColumn<'_>, row: &RowResult, policy: FailurePolicy) -> TestCase {
    let result = ci_status::classify_row(column.run, row, policy);
    let mut body = ci_status::render_details(row);
    if column.run.baseline.is_some() && !matches!(result.status, CiStatus::Passed | CiStatus::PassedWithNote) {
        body = format!("{}: {}\n\n{body}", result.kind, result.message);
    }
    let mut status = test_case_status(&result, &body);
    let mut before = Vec::new();
    for earlier in &row.earlier {
        match (ci_status::classify_earlier(earlier), &status) {
            // JUnit has no element for an earlier success, nor for reruns of a skipped case.
            (
                CiStatus::Failed | CiStatus::Untested,
                TestCaseStatus::Success { .. } | TestCaseStatus::NonSuccess { .. },
            ) => {
                status.add_rerun(test_rerun(earlier));
            }
            _ => before.push(describe_earlier(earlier)),
        }
    }
    if !before.is_empty() {
        // It passed in some run, so it is not the same failure each time.
        status.set_rerun_kind(FlakyOrRerun::Flaky);
    }
    let mut case = new_test_case(&row.id, &column.heading, &row.section, status);
    let is_noted = result.status == CiStatus::PassedWithNote || row.lacks_effect();
    let noted = is_noted.then(|| format!("{}: {}", result.kind, result.message));
    let out: Vec<String> = noted.into_iter().chain(before).collect();
    if !out.is_empty() {
        case.set_system_out(out.join("\n"));
    }
    case
}

fn finding_test_case(column: &MatrixColumn<'_>, finding: &FindingSummary, strict: bool) -> TestCase {
    let result = ci_status::classify_finding(column.run, finding, strict);
    let mut body = format!("{}, {}", result.kind, result.message);
    if !finding.rows.is_empty() {
        body.push_str(&format!("\nrows: {}", sanitize_line(&finding.rows.join(", "))));
    }
    let mut case = new_test_case(&finding.check, &column.heading, "findings", test_case_status(&result, &body));
    if result.status != CiStatus::Failed {
        case.set_system_out(body);
    }
    case
}

fn test_case_status(result: &CiResult, body: &str) -> TestCaseStatus {
    let mut status = match result.status {
        CiStatus::Passed | CiStatus::PassedWithNote => return TestCaseStatus::success(),
        CiStatus::Undetermined | CiStatus::Expected => TestCaseStatus::skipped(),
        CiStatus::Failed => TestCaseStatus::non_success(NonSuccessKind::Failure),
        CiStatus::Untested => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    status.set_message(shorten(&result.message, MAX_MESSAGE_CHARS)).set_type(result.kind).set_description(body);
    status
}

fn test_rerun(earlier: &EarlierVerdict) -> TestRerun {
    let kind = match ci_status::classify_earlier(earlier) {
        CiStatus::Failed => NonSuccessKind::Failure,
        CiStatus::Passed
        | CiStatus::PassedWithNote
        | CiStatus::Undetermined
        | CiStatus::Expected
        | CiStatus::Untested => NonSuccessKind::Error,
    };
    let mut rerun = TestRerun::new(kind);
    rerun.timestamp = earlier.started_at.parse().ok();
    let message = format!("observed {}: {}", earlier.status.as_str(), sanitize_line(&earlier.reason));
    rerun.set_type(earlier.outcome.as_str()).set_message(shorten(&message, MAX_MESSAGE_CHARS)).set_description(message);
    rerun
}

fn describe_earlier(earlier: &EarlierVerdict) -> String {
    let (at, outcome, status) = (sanitize_line(&earlier.started_at), earlier.outcome.as_str(), earlier.status.as_str());
    format!("earlier, at {at}: {outcome}, observed {status}: {}", sanitize_line(&earlier.reason))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::catalog::{Outcome, VerdictStatus};
    use crate::results::fixtures;

    fn snapshot_report(name: &str, results: &[Results], strict: bool) {
        fixtures::snapshot_settings().bind(|| insta::assert_snapshot!(name, render(results, strict).unwrap()));
    }

    /// What a reader makes of it.
    fn parse_report(results: &[Results], strict: bool) -> Report {
        let text = render(results, strict).unwrap();
        Report::deserialize_from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    fn report_counts(report: &Report) -> (usize, usize, usize, usize) {
        (report.tests, report.failures, report.errors, report.skipped)
    }

    #[test]
    fn one_run() {
        snapshot_report("junit-one.xml", &[fixtures::every_outcome()], false);
        assert_eq!(report_counts(&parse_report(&[fixtures::every_outcome()], false)), (12, 1, 0, 2));
    }

    #[test]
    fn two_runs_strictly() {
        snapshot_report("junit-two-strict.xml", &[fixtures::every_outcome(), fixtures::second_run()], true);
    }

    #[test]
    fn a_partial_run_has_errors() {
        snapshot_report("junit-partial.xml", &[fixtures::partial_run()], false);
        assert_eq!(report_counts(&parse_report(&[fixtures::partial_run()], false)), (12, 1, 6, 0));
    }

    #[test]
    fn hostile_text_is_escaped() {
        snapshot_report("junit-nasty.xml", &[fixtures::hostile_run()], false);
    }

    #[test]
    fn a_run_compared_with_a_baseline() {
        snapshot_report("junit-baseline.xml", &[fixtures::run_with_expectations()], false);
    }

    #[test]
    fn a_run_without_decided_rows_is_not_a_success() {
        let row = fixtures::make_row("S", "field.x", "x", None, VerdictStatus::Inconclusive);
        assert_eq!(report_counts(&parse_report(&[fixtures::make_run("any", vec![row])], false)), (2, 0, 1, 1));
    }

    #[test]
    fn rerun_rows_show_their_earlier_verdicts() {
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
        for (element, times) in [
            ("<flakyFailure ", 2),
            ("<flakyError ", 1),
            ("<rerunFailure ", 1),
            ("<rerunError ", 1),
            ("earlier, at ", 2),
        ] {
            assert_eq!(text.matches(element).count(), times, "{element}\n{text}");
        }
        snapshot_report("junit-asked-again.xml", &[run], false);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_run_gives_a_valid_file(results in vec(fixtures::any_run(), 0..4), strict: bool) {
            let text = render(&results, strict).unwrap();
            let forbidden = |c: char| (c.is_control() && !matches!(c, '\n' | '\t')) || matches!(c, '\u{fffe}' | '\u{ffff}');
            prop_assert!(!text.chars().any(forbidden), "{text:?}");
            let report = Report::deserialize_from_str(&text).unwrap();
            prop_assert_eq!(report.test_suites.len(), results.len());
            for (suite, run) in report.test_suites.iter().zip(&results) {
                prop_assert_eq!(suite.tests, suite.test_cases.len());
                let cases = run.rows.len() + run.findings.len() + ci_status::missing_entries(run).len();
                prop_assert!(suite.tests == cases || suite.tests == cases + 1);
                let broken = run.baseline.as_ref().map_or(run.summary.contradicts, |comparison| {
                    comparison.counts.regression + comparison.counts.stale
                });
                prop_assert!(suite.failures >= broken as usize);
                prop_assert!(strict || suite.failures == broken as usize);
                // A run with exit code 3 is not green.
                prop_assert!(suite.errors > 0 || (run.partial.is_none() && run.summary.decided > 0));
            }
        }
    }
}
