//! What a row or a finding means to a build: does it pass, fail, or say nothing?
//!
//! JUnit, annotations and `fieldtest test` take it from here, so that a build that is red in one of them is red in all.
//! This module must not know any format; texts from outside leave it as one visible line.

use crate::catalog::{Outcome, VerdictStatus};
use crate::report::common::phrases;
use crate::report::common::row_status::Standing;
use crate::report::common::sanitize::{block, one_line};
use crate::results::baseline::{Case, Entry, Subject};
use crate::results::merge::is_flaky;
use crate::results::model::{EarlierVerdict, Finding, Results, RowResult, Severity};

/// What it means to a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grade {
    /// Nothing to tell.
    Passed,
    /// It passes, and there is something to tell.
    Noted,
    /// It could not be decided: neither passed nor failed.
    Undetermined,
    /// It fails as the baseline expects.
    Expected,
    /// It fails.
    Failed,
    /// It was not tried, since the endpoint could not be tested to the end.
    Untested,
}

/// A grade with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graded {
    /// The grade.
    pub grade: Grade,
    /// Why, in a word: `contradicts`, `silent`, `not-run`, …
    pub kind: &'static str,
    /// Why, in one line.
    pub message: String,
}

/// What a row means. `strict` is the option: silent and undetermined rows fail. Where the run was held against a
/// baseline, that has the first word.
pub fn of_row(run: &Results, row: &RowResult, strict: bool) -> Graded {
    if let Some(graded) = run.baseline.as_ref().and_then(|held| held.of_row(&row.id)).and_then(of_entry) {
        return graded;
    }
    let standing = Standing::of(row);
    let (grade, kind) = match (row.verdict.status, standing) {
        // Why a row was not tried is the run's matter, and not the row's.
        (VerdictStatus::Skipped, _) if run.partial.is_some() => (Grade::Untested, "not-run"),
        (VerdictStatus::Skipped, _) => (undetermined(strict), "not-run"),
        (VerdictStatus::Inconclusive, Standing::Unclaimed) => (Grade::Undetermined, "undetermined"),
        (_, Standing::Undetermined) => (undetermined(strict), "undetermined"),
        (_, Standing::Contradicts) => (Grade::Failed, "contradicts"),
        // A contradiction that was not seen again is no conformity.
        _ if is_flaky(row) => (if strict { Grade::Failed } else { Grade::Noted }, "flaky"),
        (_, Standing::Silent) => (if strict { Grade::Failed } else { Grade::Noted }, "silent"),
        (_, Standing::Exceeds) => (Grade::Noted, "exceeds"),
        (_, Standing::Conforms) => (Grade::Passed, "conforms"),
        (_, Standing::Unclaimed) => (Grade::Passed, "unclaimed"),
    };
    Graded { grade, kind, message: message(row) }
}

fn undetermined(strict: bool) -> Grade {
    if strict { Grade::Failed } else { Grade::Undetermined }
}

/// What a comparison with the baseline means; nothing where the row itself says what there is to say.
fn of_entry(entry: &Entry) -> Option<Graded> {
    let grade = match entry.case {
        Case::Regression | Case::Stale => Grade::Failed,
        Case::Expected => Grade::Expected,
        Case::Unconfirmed | Case::NotRun => return None,
    };
    Some(Graded { grade, kind: word(entry.case), message: told(entry) })
}

fn word(case: Case) -> &'static str {
    match case {
        Case::NotRun => "not-run",
        Case::Regression | Case::Stale | Case::Unconfirmed | Case::Expected => case.word(),
    }
}

/// An entry in a line: what was seen, and the baseline's own words.
fn told(entry: &Entry) -> String {
    let until = entry.until.as_deref().map(|day| format!(" until {}", one_line(day)));
    let reason =
        entry.reason.as_deref().map(|reason| format!("; listed{}: {}", until.unwrap_or_default(), one_line(reason)));
    let link = entry.link.as_deref().map(|link| format!(" ({})", one_line(link)));
    format!("{}{}{}", one_line(&entry.why), reason.unwrap_or_default(), link.unwrap_or_default())
}

/// What the baseline lists and the run does not have: a finding that is gone is stale, the rest was not looked for.
pub(crate) fn of_absent(run: &Results) -> Vec<(&str, Graded)> {
    let entries = run.baseline.iter().flat_map(|held| &held.entries);
    let absent = entries.filter(|entry| match &entry.subject {
        Subject::Row(id) => !run.rows.iter().any(|row| row.id == *id),
        Subject::Check(id) => !run.findings.iter().any(|finding| finding.check == *id),
    });
    absent
        .map(|entry| {
            let unknown = Graded { grade: Grade::Undetermined, kind: word(entry.case), message: told(entry) };
            (entry.subject.id(), of_entry(entry).unwrap_or(unknown))
        })
        .collect()
}

/// What a finding means. Without a baseline it fails a strict build alone, and not where it is only worth knowing.
pub fn of_finding(run: &Results, finding: &Finding, strict: bool) -> Graded {
    if let Some(graded) = run.baseline.as_ref().and_then(|held| held.of_check(&finding.check)).and_then(of_entry) {
        return graded;
    }
    let grade = match finding.severity {
        Severity::Error | Severity::Warning if strict => Grade::Failed,
        Severity::Error | Severity::Warning | Severity::Note => Grade::Noted,
    };
    let example = one_line(&finding.example);
    let colon = if example.is_empty() { "" } else { ": " };
    let times = crate::report::common::format::counted(finding.count, "time", "times");
    Graded { grade, kind: severity(finding.severity), message: format!("seen {times}{colon}{example}") }
}

/// The word for a severity.
pub(crate) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

/// Why a run is no test of its target as a whole, where it is none: cut short, or nothing decided.
pub fn of_run(run: &Results) -> Option<String> {
    match phrases::partial(run) {
        Some(why) => Some(one_line(&why)),
        None if run.summary.decided == 0 => Some("no row could be decided".to_owned()),
        None => None,
    }
}

/// What an earlier run said of a row, where that was no success.
pub(crate) fn of_earlier(earlier: &EarlierVerdict) -> Grade {
    match earlier.outcome {
        Outcome::Contradicts => Grade::Failed,
        Outcome::Undetermined => Grade::Untested,
        Outcome::Conforms | Outcome::Exceeds => Grade::Passed,
        Outcome::Unclaimed if earlier.status.is_decided() => Grade::Passed,
        Outcome::Unclaimed => Grade::Untested,
    }
}

/// All that a reader of the failure needs, so that nobody must look for another file. Many lines.
pub fn details(row: &RowResult) -> String {
    let claimed = row.claim.as_ref().map_or("nothing".to_owned(), |claim| match phrases::claim_words(claim) {
        Some(words) => format!("{} ({})", claim.status.word(), one_line(&words)),
        None => claim.status.word().to_owned(),
    });
    let verdict = &row.verdict;
    let mut lines = vec![
        format!("row:      {}", one_line(&row.title)),
        format!("claimed:  {claimed}"),
        format!("observed: {}", row.observed()),
        format!("reason:   {}", one_line(&phrases::why(row))),
    ];
    lines.extend(verdict.code.as_deref().map(|code| format!("undecided because: {}", one_line(code))));
    if let Some(evidence) = verdict.evidence {
        let sure = verdict.confidence.map_or(String::new(), |p| format!(", confidence {p:.4}"));
        lines.push(format!("evidence: {}{sure}", evidence.word().replace('_', " ")));
    }
    if !row.findings.is_empty() {
        lines.push(format!("protocol violations: {}", one_line(&row.findings.join(", "))));
    }
    if let Some(example) = &row.example {
        lines.push(format!("\nThe {} request:\n{}", one_line(&example.arm), block(&example.curl)));
        lines.push(format!("\nWhat came back:\n{}\n{}", one_line(&example.status), block(&example.answer)));
    }
    lines.join("\n")
}

/// What was claimed and observed, and why, in a line.
fn message(row: &RowResult) -> String {
    let claimed = row.claim.as_ref().map_or("nothing", |claim| claim.status.word());
    let silently = if row.silent { " silently" } else { "" };
    let why = one_line(&phrases::why(row));
    format!("claimed {claimed}, observed{silently} {}: {why}", row.observed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::fixtures;

    fn grades(run: &Results, strict: bool) -> Vec<(&str, Grade)> {
        run.rows.iter().map(|row| (row.id.as_str(), of_row(run, row, strict).grade)).collect()
    }

    #[test]
    fn each_outcome_has_its_grade_and_strictness_adds_silent_and_undetermined_rows() {
        use Grade::{Failed, Noted, Passed, Undetermined};
        let run = fixtures::every_outcome();
        let mut expected = vec![
            ("header.anthropic-version", Passed),
            ("header.x-api-key", Passed),
            ("field.model", Passed),
            ("field.metadata", Failed),
            ("field.temperature", Undetermined),
            ("field.top_k", Noted),
            ("field.top_p", Undetermined),
            ("content.tool_use.cache_control", Passed),
            ("content.image", Noted),
            ("content.document", Passed),
        ];
        assert_eq!(grades(&run, false), expected);
        for (id, grade) in &mut expected {
            if matches!(*id, "field.temperature" | "field.top_p" | "content.image") {
                *grade = Failed;
            }
        }
        assert_eq!(grades(&run, true), expected);
    }

    #[test]
    fn what_a_run_did_not_reach_is_untested_even_where_strict() {
        let run = fixtures::partial();
        for strict in [false, true] {
            let untested = grades(&run, strict).into_iter().filter(|(_, grade)| *grade == Grade::Untested).count();
            assert_eq!(untested as u64, run.summary.skipped);
        }
        assert!(of_run(&run).is_some_and(|why| why.contains("budget")));
        assert_eq!(of_run(&fixtures::every_outcome()), None);
    }

    #[test]
    fn findings_fail_strict_builds_alone_and_notes_none() {
        let run = fixtures::every_outcome();
        let of = |strict| run.findings.iter().map(|f| of_finding(&run, f, strict).grade).collect::<Vec<_>>();
        assert_eq!(of(false), [Grade::Noted, Grade::Noted]);
        assert_eq!(of(true), [Grade::Failed, Grade::Noted]);
    }

    #[test]
    fn a_baseline_has_the_first_word() {
        let run = fixtures::held_against_a_list();
        let graded: Vec<_> = run.rows.iter().map(|row| of_row(&run, row, false)).collect();
        let of = |kind| graded.iter().filter(|graded| graded.kind == kind).collect::<Vec<_>>();
        assert!(of("expected").iter().all(|graded| graded.grade == Grade::Expected) && !of("expected").is_empty());
        assert!(of("stale").iter().all(|graded| graded.grade == Grade::Failed) && !of("stale").is_empty());
        assert!(of("contradicts").is_empty(), "a contradiction is expected, or a regression");
    }
}
