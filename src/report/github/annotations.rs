//! Workflow commands: an annotation for each row that a maintainer should see.
//!
//! GitHub keeps ten annotations of each level from a step, fifty from a job
//! (docs.github.com/actions, "Workflow commands", and the limits of problem matchers in actions/toolkit). So the
//! worst come first, and the tenth of a level says how many there are more.

use crate::checks::CheckSeverity;
use crate::report::common::ci_status::CiStatus;
use crate::report::common::matrix::{MatrixColumn, ResultsMatrix};
use crate::report::common::sanitize::{escape_workflow_commands, sanitize_line, shorten};
use crate::report::common::{ci_status, format};
use crate::results::baseline::EntryStatus;
use crate::results::model::Results;
use crate::string_enum::string_enum;

/// Annotations of one level that a step may make.
const MAX_ANNOTATIONS_PER_LEVEL: usize = 10;
/// The most characters of one annotation. The summary has all of it.
const MAX_MESSAGE_CHARS: usize = 500;

string_enum! {
    /// How much an annotation asks for, the most first.
    enum AnnotationLevel {
        Error = "error",
        Warning = "warning",
        Notice = "notice",
    }
}

struct WorkflowAnnotation {
    level: AnnotationLevel,
    /// An entry of the baseline to be removed: nothing broke.
    is_stale: bool,
    title: String,
    message: String,
}

/// The commands, one a line; nothing where there is nothing to tell.
pub fn render(results: &[Results], strict: bool) -> String {
    let matrix = ResultsMatrix::from_results(results);
    let mut all: Vec<WorkflowAnnotation> = matrix.columns.iter().filter_map(annotate_run).collect();
    for entry in matrix.find_cells(|_| true) {
        let graded = ci_status::classify_row(entry.column.run, entry.row, strict);
        let level = match graded.status {
            CiStatus::Failed => AnnotationLevel::Error,
            CiStatus::Undetermined if entry.row.claim.is_some() => AnnotationLevel::Warning,
            CiStatus::PassedWithNote => AnnotationLevel::Notice,
            // What the run did not reach is told once, of the run.
            CiStatus::Passed | CiStatus::Undetermined | CiStatus::Untested => continue,
            // Known failures are counted, below: nobody needs to act on them.
            CiStatus::Expected => continue,
        };
        let title = format!("{}: {} {}", entry.column.heading, sanitize_line(&entry.row.id), graded.kind);
        all.push(WorkflowAnnotation {
            level,
            is_stale: graded.kind == EntryStatus::Stale.as_str(),
            title,
            message: graded.message,
        });
    }
    for column in &matrix.columns {
        for finding in &column.run.findings {
            let graded = ci_status::classify_finding(column.run, finding, strict);
            let level = match (graded.status, finding.severity) {
                (CiStatus::Failed, _) => AnnotationLevel::Error,
                (CiStatus::Expected, _) => continue,
                (_, CheckSeverity::Error) => AnnotationLevel::Warning,
                (_, CheckSeverity::Warning | CheckSeverity::Note) => AnnotationLevel::Notice,
            };
            let title = format!("{}: {}", column.heading, sanitize_line(&finding.check));
            all.push(WorkflowAnnotation {
                level,
                is_stale: graded.kind == EntryStatus::Stale.as_str(),
                title,
                message: graded.message,
            });
        }
        for (id, graded) in ci_status::missing_entries(column.run) {
            let level =
                if graded.status == CiStatus::Failed { AnnotationLevel::Error } else { AnnotationLevel::Notice };
            let title = format!("{}: {} {}", column.heading, sanitize_line(id), graded.kind);
            all.push(WorkflowAnnotation {
                level,
                is_stale: graded.kind == EntryStatus::Stale.as_str(),
                title,
                message: graded.message,
            });
        }
        all.extend(annotate_expected(column));
    }
    // Regressions before what is merely to be tidied up; else the order of the tables.
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
    let held = column.run.baseline.as_ref().filter(|held| held.counts.expected > 0)?;
    let told = format::plural(held.counts.expected, "failure is", "failures are");
    let message = format!("{told} as {} lists", sanitize_line(&held.file));
    Some(WorkflowAnnotation {
        level: AnnotationLevel::Notice,
        is_stale: false,
        title: format!("{}: expected", column.heading),
        message,
    })
}

fn render_level(all: &[WorkflowAnnotation], level: AnnotationLevel) -> String {
    let of_level: Vec<&WorkflowAnnotation> = all.iter().filter(|annotation| annotation.level == level).collect();
    // The last place is for telling how many have none.
    let shown = if of_level.len() > MAX_ANNOTATIONS_PER_LEVEL { MAX_ANNOTATIONS_PER_LEVEL - 1 } else { of_level.len() };
    let mut out: String = of_level[..shown].iter().map(|a| render_command(level, &a.title, &a.message)).collect();
    if of_level.len() > shown {
        let more = of_level.len() - shown;
        let message = format!("{more} more of this level are left out here; the step's summary has them all");
        out.push_str(&render_command(level, &format!("{more} more"), &message));
    }
    out
}

fn render_command(level: AnnotationLevel, title: &str, message: &str) -> String {
    // The runner knows an older form of commands too, which may stand anywhere in a line.
    let (title, message) = (
        escape_workflow_commands(&shorten(title, MAX_MESSAGE_CHARS)),
        escape_workflow_commands(&shorten(message, MAX_MESSAGE_CHARS)),
    );
    format!("::{} title={}::{}\n", level.as_str(), escape_property(&title), escape_data(&message))
}

/// The text of a command: what would end it is written otherwise.
fn escape_data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a property, which the command's own signs would end as well.
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
    fn the_worst_comes_first() {
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
    fn ten_of_a_level_at_most_and_the_tenth_tells_of_the_rest() {
        let row = |i: usize, status| {
            let id = format!("field.{i}");
            fixtures::make_row("S", &id, &id, Some(ClaimStatus::Supported), status)
        };
        let of = |n| {
            let run = fixtures::make_run("any", (0..n).map(|i| row(i, VerdictStatus::Ignored)).collect());
            render(&[run], false)
        };
        assert_eq!(of(10).lines().count(), 10);
        assert!(!of(10).contains("more"));
        let text = of(31);
        assert_eq!(text.lines().count(), 10);
        assert_eq!(parse_command(text.lines().last().unwrap()).1, "22 more");
    }

    #[test]
    fn signs_of_the_commands_own_are_written_otherwise() {
        assert_eq!(
            render_command(AnnotationLevel::Error, "a: b, c", "100 %\r\n::x::"),
            "::error title=a%3A b%2C c::100 %25%0D%0A\\::x::\n"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_run_makes_whole_commands_and_no_others(results in vec(fixtures::any_run(), 0..4), strict: bool) {
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
