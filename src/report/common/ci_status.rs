//! What a row or finding means for a CI build: [`CiStatus`] and [`CiResult`].
//!
//! JUnit, annotations and `fieldtest test` all use it, so that they agree about failures. This module must
//! not know any format. Texts from outside are sanitized to one line.

use crate::catalog::{Outcome, VerdictStatus};
use crate::report::common::phrases;
use crate::report::common::row_status::RowStatus;
use crate::report::common::sanitize::{sanitize_block, sanitize_line};
use crate::results::baseline::{BaselineEntry, EntryStatus, EntrySubject};
use crate::results::merge::is_flaky;
use crate::results::model::{EarlierVerdict, FindingSummary, Results, RowResult};

/// The meaning of a row or finding for a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CiStatus {
    /// It passes.
    Passed,
    /// It passes with a note.
    PassedWithNote,
    /// It is undecided: neither passed nor failed.
    Undetermined,
    /// It fails as the baseline expects.
    Expected,
    /// It fails.
    Failed,
    /// It was not run, since the run ended early.
    Untested,
}

/// A status with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CiResult {
    /// The status.
    pub status: CiStatus,
    /// The reason in one word: `contradicts`, `silent`, `not-run`, …
    pub kind: &'static str,
    /// The reason in one line.
    pub message: String,
}

/// What counts as a failure in addition to contradictions and regressions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FailurePolicy {
    /// Silent and undetermined rows, and findings.
    pub strict: bool,
    /// Claims of `supported` that are met without an observed effect.
    pub require_effect: bool,
}

impl From<bool> for FailurePolicy {
    /// The policy with or without strict mode.
    fn from(strict: bool) -> Self {
        Self { strict, require_effect: false }
    }
}

/// The meaning of a row. A baseline takes precedence over the policy.
pub fn classify_row(run: &Results, row: &RowResult, policy: impl Into<FailurePolicy>) -> CiResult {
    let FailurePolicy { strict, require_effect } = policy.into();
    if let Some(result) = run.baseline.as_ref().and_then(|baseline| baseline.find_row(&row.id)).and_then(classify_entry)
    {
        return result;
    }
    let row_status = RowStatus::from_row(row);
    let (status, kind) = match (row.verdict.status, row_status) {
        // A partial run explains why its rows were not run.
        (VerdictStatus::Skipped, _) if run.partial.is_some() => (CiStatus::Untested, "not-run"),
        (VerdictStatus::Skipped, _) => (undetermined_status(strict), "not-run"),
        (VerdictStatus::Inconclusive, RowStatus::Unclaimed) => (CiStatus::Undetermined, "undetermined"),
        (_, RowStatus::Undetermined) => (undetermined_status(strict), "undetermined"),
        (_, RowStatus::Contradicts) => (CiStatus::Failed, "contradicts"),
        // A contradiction that did not repeat is not conformity.
        _ if is_flaky(row) => (if strict { CiStatus::Failed } else { CiStatus::PassedWithNote }, "flaky"),
        (_, RowStatus::Silent) => (if strict { CiStatus::Failed } else { CiStatus::PassedWithNote }, "silent"),
        (_, RowStatus::Exceeds) => (CiStatus::PassedWithNote, "exceeds"),
        (_, RowStatus::Conforms) if require_effect && row.lacks_effect() => (CiStatus::Failed, "no-effect"),
        (_, RowStatus::Conforms) => (CiStatus::Passed, "conforms"),
        (_, RowStatus::Unclaimed) => (CiStatus::Passed, "unclaimed"),
    };
    CiResult { status, kind, message: describe_row(row) }
}

fn undetermined_status(strict: bool) -> CiStatus {
    if strict { CiStatus::Failed } else { CiStatus::Undetermined }
}

/// The meaning of a baseline entry; `None` if the row itself decides.
fn classify_entry(entry: &BaselineEntry) -> Option<CiResult> {
    let status = match entry.case {
        EntryStatus::Regression | EntryStatus::Stale => CiStatus::Failed,
        EntryStatus::Expected => CiStatus::Expected,
        EntryStatus::Unconfirmed | EntryStatus::NotRun => return None,
    };
    Some(CiResult { status, kind: entry_kind(entry.case), message: describe_entry(entry) })
}

fn entry_kind(case: EntryStatus) -> &'static str {
    if case == EntryStatus::NotRun { "not-run" } else { case.as_str() }
}

/// An entry in one line, with the reason given in the baseline.
fn describe_entry(entry: &BaselineEntry) -> String {
    let until = entry.until.as_deref().map(|day| format!(" until {}", sanitize_line(day)));
    let reason = entry
        .reason
        .as_deref()
        .map(|reason| format!("; listed{}: {}", until.unwrap_or_default(), sanitize_line(reason)));
    let link = entry.link.as_deref().map(|link| format!(" ({})", sanitize_line(link)));
    format!("{}{}{}", sanitize_line(&entry.why), reason.unwrap_or_default(), link.unwrap_or_default())
}

/// Entries for rows and findings that the run does not have. A missing finding is stale; other entries were
/// not run.
pub(crate) fn missing_entries(run: &Results) -> Vec<(&str, CiResult)> {
    let entries = run.baseline.iter().flat_map(|baseline| &baseline.entries);
    let absent = entries.filter(|entry| match &entry.subject {
        EntrySubject::Row(id) => run.find_row(id).is_none(),
        EntrySubject::Check(id) => run.find_finding(id).is_none(),
    });
    absent
        .map(|entry| {
            let unknown = CiResult {
                status: CiStatus::Undetermined,
                kind: entry_kind(entry.case),
                message: describe_entry(entry),
            };
            (entry.subject.id(), classify_entry(entry).unwrap_or(unknown))
        })
        .collect()
}

/// The meaning of a finding. Without a baseline, errors and warnings fail only in strict mode.
pub fn classify_finding(run: &Results, finding: &FindingSummary, strict: bool) -> CiResult {
    if let Some(result) =
        run.baseline.as_ref().and_then(|baseline| baseline.find_check(&finding.check)).and_then(classify_entry)
    {
        return result;
    }
    let status =
        if strict && finding.severity.is_failure(strict) { CiStatus::Failed } else { CiStatus::PassedWithNote };
    let example = sanitize_line(&finding.example);
    let colon = if example.is_empty() { "" } else { ": " };
    let message = format!("{}{colon}{example}", phrases::describe_occurrences(finding));
    CiResult { status, kind: finding.severity.as_str(), message }
}

/// Why a run is not a complete test of its target: it ended early, or no row was decided.
pub fn untestable_reason(run: &Results) -> Option<String> {
    match phrases::partial_reason(run) {
        Some(why) => Some(sanitize_line(&why)),
        None if run.summary.decided == 0 => Some("no row was decided".to_owned()),
        None => None,
    }
}

/// The meaning of the verdict of an earlier run.
pub(crate) fn classify_earlier(earlier: &EarlierVerdict) -> CiStatus {
    match earlier.outcome {
        Outcome::Contradicts => CiStatus::Failed,
        Outcome::Undetermined => CiStatus::Untested,
        Outcome::Conforms | Outcome::Exceeds => CiStatus::Passed,
        Outcome::Unclaimed if earlier.status.is_decided() => CiStatus::Passed,
        Outcome::Unclaimed => CiStatus::Untested,
    }
}

/// All details of a row, in several lines, so that a reader of a failure needs no other file.
pub fn render_details(row: &RowResult) -> String {
    let claimed = row.claim.as_ref().map_or("nothing".to_owned(), |claim| match phrases::describe_claim(claim) {
        Some(words) => format!("{} ({})", claim.status.as_str(), sanitize_line(&words)),
        None => claim.status.as_str().to_owned(),
    });
    let verdict = &row.verdict;
    let mut lines = vec![
        format!("row:      {}", sanitize_line(&row.title)),
        format!("claimed:  {claimed}"),
        format!("observed: {}", row.verdict_label()),
        format!("reason:   {}", sanitize_line(&phrases::reason(row))),
    ];
    lines.extend(verdict.code.as_deref().map(|code| format!("undecided because: {}", sanitize_line(code))));
    if let Some(evidence) = verdict.evidence {
        let sure = verdict.confidence.map_or(String::new(), |p| format!(", confidence {p:.4}"));
        lines.push(format!("evidence: {}{sure}", evidence.as_str().replace('_', " ")));
    }
    if !row.findings.is_empty() {
        lines.push(format!("protocol faults: {}", sanitize_line(&row.findings.join(", "))));
    }
    if let Some(example) = &row.example {
        lines.push(format!("\nThe {} request:\n{}", sanitize_line(&example.arm), sanitize_block(&example.curl)));
        lines.push(format!("\nThe response:\n{}\n{}", sanitize_line(&example.status), sanitize_block(&example.answer)));
    }
    lines.join("\n")
}

/// The claim, the verdict and the reason, in one line.
fn describe_row(row: &RowResult) -> String {
    let claimed = row.claim.as_ref().map_or("nothing", |claim| claim.status.as_str());
    let silently = if row.silent { " silently" } else { "" };
    let why = sanitize_line(&phrases::reason(row));
    format!("claimed {claimed}, observed{silently} {}: {why}", row.verdict_label())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::fixtures;

    fn row_statuses(run: &Results, strict: bool) -> Vec<(&str, CiStatus)> {
        run.rows.iter().map(|row| (row.id.as_str(), classify_row(run, row, strict).status)).collect()
    }

    #[test]
    fn silent_and_undetermined_rows_fail_only_in_strict_mode() {
        use CiStatus::{Failed, Passed, PassedWithNote, Undetermined};
        let run = fixtures::every_outcome();
        let mut expected = vec![
            ("header.anthropic-version", Passed),
            ("header.x-api-key", Passed),
            ("field.model", Passed),
            ("field.metadata", Failed),
            ("field.temperature", Undetermined),
            ("field.top_k", PassedWithNote),
            ("field.top_p", Undetermined),
            ("content.tool_use.cache_control", Passed),
            ("content.image", PassedWithNote),
            ("content.document", Passed),
        ];
        assert_eq!(row_statuses(&run, false), expected);
        for (id, grade) in &mut expected {
            if matches!(*id, "field.temperature" | "field.top_p" | "content.image") {
                *grade = Failed;
            }
        }
        assert_eq!(row_statuses(&run, true), expected);
    }

    #[test]
    fn rows_that_a_run_did_not_reach_are_untested_even_in_strict_mode() {
        let run = fixtures::partial_run();
        for strict in [false, true] {
            let untested =
                row_statuses(&run, strict).into_iter().filter(|(_, grade)| *grade == CiStatus::Untested).count();
            assert_eq!(untested as u64, run.summary.skipped);
        }
        assert!(untestable_reason(&run).is_some_and(|why| why.contains("budget")));
        assert_eq!(untestable_reason(&fixtures::every_outcome()), None);
    }

    #[test]
    fn findings_fail_only_in_strict_mode_and_notes_never() {
        let run = fixtures::every_outcome();
        let of = |strict| run.findings.iter().map(|f| classify_finding(&run, f, strict).status).collect::<Vec<_>>();
        assert_eq!(of(false), [CiStatus::PassedWithNote, CiStatus::PassedWithNote]);
        assert_eq!(of(true), [CiStatus::Failed, CiStatus::PassedWithNote]);
    }

    #[test]
    fn a_baseline_takes_precedence() {
        let run = fixtures::run_with_expectations();
        let graded: Vec<_> = run.rows.iter().map(|row| classify_row(&run, row, false)).collect();
        let of = |kind| graded.iter().filter(|graded| graded.kind == kind).collect::<Vec<_>>();
        assert!(of("expected").iter().all(|graded| graded.status == CiStatus::Expected) && !of("expected").is_empty());
        assert!(of("stale").iter().all(|graded| graded.status == CiStatus::Failed) && !of("stale").is_empty());
        assert!(of("contradicts").is_empty(), "a contradiction is expected, or a regression");
    }
}
