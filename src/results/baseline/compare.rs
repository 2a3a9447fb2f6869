//! Compares a run with a baseline row by row and finding by finding: [`compare`].
//!
//! All decisions are made in [`compare_row`] and [`compare_finding`], from data that the comparison
//! keeps. So [`verify`](super::verify) can repeat them without the baseline.

use std::collections::{BTreeSet, HashMap};

use jiff::civil::Date;

use crate::catalog::VerdictStatus;
use crate::results::baseline::expectations::{BaselineSource, ExpectedFailure, is_failing_row};
use crate::results::baseline::model::{
    BaselineComparison, BaselineCounts, BaselineEntry, BaselineKind, EarlierRun, EntryState, EntryStatus, EntrySubject,
    FindingPresence, RegressionCause,
};
use crate::results::comparability;
use crate::results::compare::{RankedVerdict, is_regression};
use crate::results::model::{FindingSummary, Results, RowResult};

/// The inputs of a comparison in addition to the run and the baseline.
#[derive(Debug, Clone, Copy)]
pub struct CompareOptions<'a> {
    /// The name of the baseline file, as the user gave it.
    pub file: &'a str,
    /// Today's date, for entries that expire.
    pub today: Date,
    /// Silent rows and warnings count as failures.
    pub strict: bool,
    /// The rows of a complete run of this target. A missing finding is fixed only if all of these rows
    /// were run.
    pub all_rows: &'a [String],
}

/// The result of comparing one row or finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowComparison {
    /// It does not fail and is not listed.
    Passes,
    /// It is undecided, and the baseline does not mention it.
    Undetermined,
    /// It gets an entry in the comparison.
    Reported(EntryStatus, Option<RegressionCause>),
}

/// Compares a run with a baseline.
pub fn compare(results: &Results, baseline: &BaselineSource, options: &CompareOptions<'_>) -> BaselineComparison {
    let listed = baseline.expected_failures(options.strict);
    let listed: HashMap<&EntrySubject, &ExpectedFailure> = listed.iter().map(|entry| (&entry.subject, entry)).collect();
    let earlier = baseline.earlier_run();
    let before: HashMap<&str, RankedVerdict> =
        earlier.iter().flat_map(|run| &run.rows).map(|row| (row.id.as_str(), (&row.verdict).into())).collect();
    let mut counts = BaselineCounts::default();
    let mut entries = Vec::new();
    for row in &results.rows {
        let subject = EntrySubject::Row(row.id.clone());
        let entry = listed.get(&subject).copied();
        let then = before.get(row.id.as_str()).copied();
        match compare_row(row, entry, then, options.strict, options.today) {
            RowComparison::Passes => counts.passes += 1,
            RowComparison::Undetermined => counts.undetermined += 1,
            RowComparison::Reported(case, cause) => {
                counts.add(case);
                let expected = entry.and_then(|entry| entry.verdict).or(then.map(|then| then.status));
                let why = explain_row(row, case, cause, entry, expected);
                let now = EntryState::Verdict(row.verdict.status);
                let before = expected.map(EntryState::Verdict);
                let other = then.map(|then| then.strongest).filter(|strongest| *strongest != row.verdict.strongest);
                let built = build_entry(subject, (case, cause), entry, before, Some(now), why);
                entries.push(BaselineEntry { strongest_before: other, ..built });
            }
        }
    }
    for finding in &results.findings {
        let subject = EntrySubject::Check(finding.check.clone());
        let entry = listed.get(&subject).copied();
        if let RowComparison::Reported(case, cause) = compare_finding(finding, entry, options.strict, options.today) {
            counts.add(case);
            let why = explain_finding(finding, case, cause);
            let (before, now) =
                (entry.map(|_| EntryState::Sight(FindingPresence::Seen)), EntryState::Sight(FindingPresence::Seen));
            entries.push(build_entry(subject, (case, cause), entry, before, Some(now), why));
        }
    }
    for entry in baseline.expected_failures(options.strict) {
        let (case, now, why) = match &entry.subject {
            EntrySubject::Row(id) if results.find_row(id).is_some() => continue,
            EntrySubject::Check(id) if results.find_finding(id).is_some() => continue,
            EntrySubject::Row(_) => (EntryStatus::NotRun, None, "listed, but not part of this run".to_owned()),
            EntrySubject::Check(id) => {
                let (case, why) = compare_missing_finding(results, find_relevant_rows(id, earlier, options.all_rows));
                let now = (case != EntryStatus::NotRun).then_some(EntryState::Sight(FindingPresence::Unseen));
                (case, now, why)
            }
        };
        counts.add(case);
        let before = entry.verdict.map_or(EntryState::Sight(FindingPresence::Seen), EntryState::Verdict);
        entries.push(build_entry(entry.subject.clone(), (case, None), Some(&entry), Some(before), now, why));
    }
    BaselineComparison {
        file: options.file.to_owned(),
        kind: if earlier.is_some() { BaselineKind::Results } else { BaselineKind::Expectations },
        held_on: options.today.to_string(),
        strict: options.strict,
        earlier: earlier.map(|run| EarlierRun {
            target: run.target.name.clone(),
            model: run.target.model.clone(),
            anthropic_version: run.target.anthropic_version.clone(),
            started_at: run.started_at.clone(),
        }),
        notes: earlier.map_or_else(Vec::new, |run| comparability::differences(run, results)),
        counts,
        entries,
    }
}

fn build_entry(
    subject: EntrySubject,
    (case, cause): (EntryStatus, Option<RegressionCause>),
    listed: Option<&ExpectedFailure>,
    before: Option<EntryState>,
    now: Option<EntryState>,
    why: String,
) -> BaselineEntry {
    BaselineEntry {
        subject,
        case,
        cause,
        listed: listed.is_some(),
        before,
        now,
        why,
        reason: listed.and_then(|entry| entry.reason.clone()),
        link: listed.and_then(|entry| entry.link.clone()),
        until: listed.and_then(|entry| entry.until.map(|day| day.to_string())),
        strongest_before: None,
    }
}

/// Compares a row with its entry in the list and with its verdict in the earlier run.
pub(super) fn compare_row(
    row: &RowResult,
    listed: Option<&ExpectedFailure>,
    before: Option<RankedVerdict>,
    strict: bool,
    today: Date,
) -> RowComparison {
    let now = row.verdict.status;
    if !now.is_decided() {
        let is_mentioned = listed.is_some() || before.is_some_and(|before| before.status.is_decided());
        return if is_mentioned {
            RowComparison::Reported(EntryStatus::Unconfirmed, None)
        } else {
            RowComparison::Undetermined
        };
    }
    let expired = listed.is_some_and(|entry| entry.is_expired(today));
    // `supported` in a list means the strongest verdict that the row can reach.
    let is_now = |verdict| verdict == now || (verdict == VerdictStatus::Supported && row.verdict.is_strongest());
    let as_listed = listed.and_then(|entry| entry.verdict).is_some_and(is_now);
    // A row that fails only with `--strict` or `--require-effect` may be listed without it.
    if as_listed && !expired && (is_failing_row(row, true) || row.lacks_effect()) {
        return RowComparison::Reported(EntryStatus::Expected, None);
    }
    let behind = before.is_some_and(|before| is_regression(before, (&row.verdict).into()));
    let regression = |cause| RowComparison::Reported(EntryStatus::Regression, Some(cause));
    match (is_failing_row(row, strict), listed) {
        (true, Some(_)) if as_listed => regression(RegressionCause::Expired),
        (true, Some(_)) => regression(RegressionCause::AnotherVerdict),
        (_, _) if behind => regression(RegressionCause::FellBehind),
        (true, None) => regression(RegressionCause::Unlisted),
        (false, Some(_)) => RowComparison::Reported(EntryStatus::Stale, None),
        (false, None) => RowComparison::Passes,
    }
}

/// Compares a finding with its entry in the list. A listed finding may have any severity.
pub(super) fn compare_finding(
    finding: &FindingSummary,
    listed: Option<&ExpectedFailure>,
    strict: bool,
    today: Date,
) -> RowComparison {
    match (listed, finding.severity.is_failure(strict)) {
        (Some(entry), fails) if entry.is_expired(today) => {
            if fails {
                RowComparison::Reported(EntryStatus::Regression, Some(RegressionCause::Expired))
            } else {
                RowComparison::Reported(EntryStatus::Stale, None)
            }
        }
        (Some(_), _) => RowComparison::Reported(EntryStatus::Expected, None),
        (None, true) => RowComparison::Reported(EntryStatus::Regression, Some(RegressionCause::Unlisted)),
        (None, false) => RowComparison::Passes,
    }
}

/// The rows in which a finding can appear: the rows of the earlier finding, or all rows.
fn find_relevant_rows(check: &str, earlier: Option<&Results>, all_rows: &[String]) -> BTreeSet<String> {
    let Some(earlier) = earlier else { return all_rows.iter().cloned().collect() };
    match earlier.find_finding(check).filter(|finding| !finding.rows.is_empty()) {
        Some(finding) => finding.rows.iter().cloned().collect(),
        // The finding was in exchanges that belong to no row.
        None => earlier.rows.iter().map(|row| row.id.clone()).collect(),
    }
}

/// Compares a listed finding that this run does not have. It is fixed only if it could have appeared.
fn compare_missing_finding(results: &Results, rows: BTreeSet<String>) -> (EntryStatus, String) {
    let in_run = |id: &String| results.find_row(id);
    let absent = rows.iter().filter(|id| in_run(id).is_none()).count();
    let open = rows.iter().filter_map(in_run).filter(|row| !has_response(row)).count();
    if absent > 0 {
        let why =
            format!("not found, but {absent} of the {} rows that could show it are not part of this run", rows.len());
        (EntryStatus::NotRun, why)
    } else if results.partial.is_some() {
        (EntryStatus::Unconfirmed, "not found, but the run is partial".to_owned())
    } else if open > 0 {
        let why = format!("not found, but {open} of the {} rows that could show it have no response", rows.len());
        (EntryStatus::Unconfirmed, why)
    } else {
        (EntryStatus::Stale, "listed, but no longer found: remove the entry".to_owned())
    }
}

/// The codes of rows without any response.
pub const NO_RESPONSE_CODES: [&str; 3] = ["negative-failed", "treatment-failed", "challenge-failed"];

fn has_response(row: &RowResult) -> bool {
    let failed = row.verdict.code.as_deref().is_some_and(|code| NO_RESPONSE_CODES.contains(&code));
    let skipped = row.verdict.status == VerdictStatus::Skipped;
    row.verdict.status.is_decided() || (!failed && !skipped && row.arms.iter().any(|arm| !arm.exchanges.is_empty()))
}

fn explain_row(
    row: &RowResult,
    case: EntryStatus,
    cause: Option<RegressionCause>,
    listed: Option<&ExpectedFailure>,
    before: Option<VerdictStatus>,
) -> String {
    let now = row.verdict.status;
    let claim = row.claim.as_ref().map_or("without a claim".to_owned(), |claim| format!("claimed {}", claim.status));
    let then = before.map_or("not listed", VerdictStatus::as_str);
    let until = listed.and_then(|entry| entry.until).map_or(String::new(), |day| format!(" {day}"));
    let text = match (case, cause) {
        (EntryStatus::Expected, _) => format!("{now} as listed, {claim}"),
        (EntryStatus::Regression, Some(RegressionCause::AnotherVerdict)) => {
            format!("{now}, {claim}, listed as {then}")
        }
        (EntryStatus::Regression, Some(RegressionCause::Expired)) => {
            format!("{now}, {claim}; the entry expired after{until}")
        }
        (EntryStatus::Regression, Some(RegressionCause::FellBehind)) => format!("{now}, {then} before"),
        (EntryStatus::Regression, Some(RegressionCause::Unlisted) | None) => format!("{now}, {claim}, not listed"),
        (EntryStatus::Stale, _) if row.claim.is_none() => {
            format!("{now}, listed as {then}. Without a claim it cannot fail. Remove the entry")
        }
        (EntryStatus::Stale, _) => format!("now {now}, {claim}; listed as {then}. Remove the entry"),
        (EntryStatus::Unconfirmed | EntryStatus::NotRun, _) if listed.is_some() => {
            format!("{now}, listed as {then}")
        }
        (EntryStatus::Unconfirmed | EntryStatus::NotRun, _) => format!("{now}, {then} before"),
    };
    let reason = row.verdict.reason.trim();
    if reason.is_empty() { text } else { format!("{text}: {reason}") }
}

fn explain_finding(finding: &FindingSummary, case: EntryStatus, cause: Option<RegressionCause>) -> String {
    let text = match (case, cause) {
        (EntryStatus::Regression, Some(RegressionCause::Expired)) => "found; the entry has expired",
        (EntryStatus::Regression, _) => "found, not listed",
        (EntryStatus::Stale, _) => "found, but not a failure; the entry has expired",
        (EntryStatus::Expected | EntryStatus::Unconfirmed | EntryStatus::NotRun, _) => "found as listed",
    };
    let example = finding.example.trim();
    if example.is_empty() { text.to_owned() } else { format!("{text}: {example}") }
}
