//! Annotations as workflow commands: one for each row or finding that a maintainer should see.
//!
//! GitHub shows ten annotations of each level per step, and fifty per job (docs.github.com/actions,
//! "Workflow commands", and the limits of problem matchers in actions/toolkit). So the most severe come
//! first, and the tenth of a level counts the others.

use crate::checks::CheckSeverity;
use crate::report::common::ci_status;
use crate::report::common::ci_status::{CiResult, CiStatus, FailurePolicy};
use crate::report::common::matrix::{MatrixColumn, ResultsMatrix};
use crate::report::common::sanitize::{escape_workflow_commands, sanitize_line, shorten};
use crate::results::baseline::EntryStatus;
use crate::results::format;
use crate::results::model::Results;
use crate::string_enum::string_enum;

/// The maximum number of annotations of one level per step.
const MAX_ANNOTATIONS_PER_LEVEL: usize = 10;
/// The maximum length of one annotation. The summary has the complete text.
const MAX_MESSAGE_CHARS: usize = 500;

string_enum! {
    /// The level of an annotation, most severe first.
    enum AnnotationLevel {
        Error = "error",
        Warning = "warning",
        Notice = "notice",
    }
}

struct WorkflowAnnotation {
    level: AnnotationLevel,
    /// True for a baseline entry to be removed, which is not a failure of the endpoint.
    is_stale: bool,
    title: String,
    message: String,
}

impl WorkflowAnnotation {
    fn new(level: AnnotationLevel, title: String, result: CiResult) -> Self {
        Self { level, is_stale: result.kind == EntryStatus::Stale.as_str(), title, message: result.message }
    }
}

/// The commands, one per line; empty without annotations.
pub fn render(results: &[Results], policy: impl Into<FailurePolicy>) -> String {
    let policy = policy.into();
    let matrix = ResultsMatrix::from_results(results);
    let mut all: Vec<WorkflowAnnotation> = matrix.columns.iter().filter_map(annotate_run).collect();
    for entry in matrix.find_cells(|_| true) {
        let result = ci_status::classify_row(entry.column.run, entry.row, policy);
        let level = match result.status {
            CiStatus::Failed => AnnotationLevel::Error,
            CiStatus::Undetermined if entry.row.claim.is_some() => AnnotationLevel::Warning,
            CiStatus::PassedWithNote => AnnotationLevel::Notice,
            // Rows that were not reached have one annotation for the whole run.
            CiStatus::Passed | CiStatus::Undetermined | CiStatus::Untested => continue,
            // Expected failures are counted below. They need no action.
            CiStatus::Expected => continue,
        };
        let title = format!("{}: {} {}", entry.column.heading, sanitize_line(&entry.row.id), result.kind);
        all.push(WorkflowAnnotation::new(level, title, result));
    }
    for column in &matrix.columns {
        for finding in &column.run.findings {
            let result = ci_status::classify_finding(column.run, finding, policy.strict);
            let level = match (result.status, finding.severity) {
                (CiStatus::Failed, _) => AnnotationLevel::Error,
                (CiStatus::Expected, _) => continue,
                (_, CheckSeverity::Error) => AnnotationLevel::Warning,
                (_, CheckSeverity::Warning | CheckSeverity::Note) => AnnotationLevel::Notice,
            };
            let title = format!("{}: {}", column.heading, sanitize_line(&finding.check));
            all.push(WorkflowAnnotation::new(level, title, result));
        }
        for (id, result) in ci_status::missing_entries(column.run) {
            let level =
                if result.status == CiStatus::Failed { AnnotationLevel::Error } else { AnnotationLevel::Notice };
            let title = format!("{}: {} {}", column.heading, sanitize_line(id), result.kind);
            all.push(WorkflowAnnotation::new(level, title, result));
        }
        all.extend(annotate_expected(column));
    }
    // Stale entries last; otherwise the order of the tables.
    all.sort_by_key(|annotation| annotation.is_stale);
    AnnotationLevel::ALL.into_iter().map(|level| render_level(&all, level)).collect()
}

fn annotate_run(column: &MatrixColumn<'_>) -> Option<WorkflowAnnotation> {
    let message = ci_status::untestable_reason(column.run)?;
    Some(WorkflowAnnotation {
        level: AnnotationLevel::Error,
        is_stale: false,
        title: format!("{}: could not be tested", column.heading),
        message,
    })
}

fn annotate_expected(column: &MatrixColumn<'_>) -> Option<WorkflowAnnotation> {
    let comparison = column.run.baseline.as_ref().filter(|comparison| comparison.counts.expected > 0)?;
    let failures = format::plural(comparison.counts.expected, "failure", "failures");
    let message = format!("{failures} as listed in {}", sanitize_line(&comparison.file));
    Some(WorkflowAnnotation {
        level: AnnotationLevel::Notice,
        is_stale: false,
        title: format!("{}: expected", column.heading),
        message,
    })
}

fn render_level(all: &[WorkflowAnnotation], level: AnnotationLevel) -> String {
    let of_level: Vec<&WorkflowAnnotation> = all.iter().filter(|annotation| annotation.level == level).collect();
    // The last annotation counts the others.
    let shown = if of_level.len() > MAX_ANNOTATIONS_PER_LEVEL { MAX_ANNOTATIONS_PER_LEVEL - 1 } else { of_level.len() };
    let mut out: String = of_level[..shown].iter().map(|a| render_command(level, &a.title, &a.message)).collect();
    if of_level.len() > shown {
        let more = of_level.len() - shown;
        let message = format!("{more} more of this level. See the summary of the step");
        out.push_str(&render_command(level, &format!("{more} more"), &message));
    }
    out
}

fn render_command(level: AnnotationLevel, title: &str, message: &str) -> String {
    // GitHub also accepts an older form of commands anywhere in a line.
    let (title, message) = (
        escape_workflow_commands(&shorten(title, MAX_MESSAGE_CHARS)),
        escape_workflow_commands(&shorten(message, MAX_MESSAGE_CHARS)),
    );
    format!("::{} title={}::{}\n", level.as_str(), escape_property(&title), escape_data(&message))
}

/// Escapes the text of a command.
fn escape_data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes the value of a property.
fn escape_property(text: &str) -> String {
    escape_data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::catalog::{ClaimStatus, VerdictStatus};
    use crate::results::fixtures;

    /// Level, title and message, as GitHub's runner reads a line.
    fn parse_command(line: &str) -> (String, String, String) {
        let (head, message) = line.strip_prefix("::").unwrap().split_once("::").unwrap();
        let (level, title) = head.split_once(" title=").unwrap();
        let plain = |text: &str| {
            let text = text.replace("%0A", "\n").replace("%0D", "\r").replace("%3A", ":").replace("%2C", ",");
            text.replace("%25", "%")
        };
        (level.to_owned(), plain(title), plain(message))
    }

    #[test]
    fn the_most_severe_come_first() {
        fixtures::snapshot_settings().bind(|| {
            let results = [fixtures::every_outcome(), fixtures::second_run()];
            insta::assert_snapshot!("github-commands.txt", render(&results, false));
            insta::assert_snapshot!("github-commands-strict.txt", render(&results, true));
            insta::assert_snapshot!(
                "github-commands-baseline.txt",
                render(&[fixtures::run_with_expectations()], false)
            );
            insta::assert_snapshot!("github-commands-partial.txt", render(&[fixtures::partial_run()], false));
        });
    }

    #[test]
    fn the_tenth_annotation_of_a_level_counts_the_others() {
        let row = |i: usize, status| {
            let id = format!("field.{i}");
            fixtures::make_row("S", &id, &id, Some(ClaimStatus::Supported), status)
        };
        let render_failures = |n| {
            let run = fixtures::make_run("any", (0..n).map(|i| row(i, VerdictStatus::Ignored)).collect());
            render(&[run], false)
        };
        assert_eq!(render_failures(10).lines().count(), 10);
        assert!(!render_failures(10).contains("more"));
        let text = render_failures(31);
        assert_eq!(text.lines().count(), 10);
        assert_eq!(parse_command(text.lines().last().unwrap()).1, "22 more");
    }

    #[test]
    fn special_characters_are_escaped() {
        assert_eq!(
            render_command(AnnotationLevel::Error, "a: b, c", "100 %\r\n::x::"),
            "::error title=a%3A b%2C c::100 %25%0D%0A\\::x::\n"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_run_gives_complete_commands_only(results in vec(fixtures::any_run(), 0..4), strict: bool) {
            let text = render(&results, strict);
            for level in AnnotationLevel::ALL {
                let of_level = text.lines().filter(|line| line.starts_with(&format!("::{} title=", level.as_str())));
                prop_assert!(of_level.count() <= MAX_ANNOTATIONS_PER_LEVEL);
            }
            for line in text.lines() {
                let (level, title, message) = parse_command(line);
                prop_assert!(AnnotationLevel::ALL.iter().any(|l| l.as_str() == level));
                prop_assert!(!title.is_empty() && !message.contains(['\r', '\n']));
            }
        }
    }
}
