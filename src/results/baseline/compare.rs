//! Holds a run against a baseline, row by row and finding by finding.
//!
//! Every decision is made in `of_row` and `of_finding`, from what the comparison itself keeps: so `consistency` can make
//! it again without the baseline.

use std::collections::{BTreeSet, HashMap};

use jiff::civil::Date;

use crate::catalog::VerdictStatus;
use crate::results::baseline::expectations::{BaselineSource, ExpectedFailure, is_failing_finding, is_failing_row};
use crate::results::baseline::model::{
    BaselineComparison, BaselineCounts, BaselineEntry, BaselineKind, EarlierRun, EntryState, EntryStatus, EntrySubject,
    FindingPresence, RegressionCause,
};
use crate::results::comparability;
use crate::results::model::{FindingSummary, Results, RowResult};

/// What a comparison depends on beside the run and the baseline.
#[derive(Debug, Clone, Copy)]
pub struct CompareOptions<'a> {
    /// The baseline's file, as it was named.
    pub file: &'a str,
    /// Today.
    pub today: Date,
    /// Silent rows and warnings count as failures.
    pub strict: bool,
    /// The rows that a whole run of this target has. A finding that was not seen is only known to be gone where all of
    /// them were tried.
    pub all_rows: &'a [String],
}

/// How a row or a finding stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowComparison {
    /// Nothing to tell.
    Passes,
    /// Not decided, and nobody expected anything.
    Undetermined,
    /// Something to tell.
    Reported(EntryStatus, Option<RegressionCause>),
}

/// Holds a run against a baseline.
pub fn compare(results: &Results, baseline: &BaselineSource, setting: &CompareOptions<'_>) -> BaselineComparison {
    let listed = baseline.expected_failures(setting.strict);
    let listed: HashMap<&EntrySubject, &ExpectedFailure> = listed.iter().map(|entry| (&entry.subject, entry)).collect();
    let earlier = baseline.earlier_run();
    let before: HashMap<&str, VerdictStatus> =
        earlier.iter().flat_map(|run| &run.rows).map(|row| (row.id.as_str(), row.verdict.status)).collect();
    let mut counts = BaselineCounts::default();
    let mut entries = Vec::new();
    for row in &results.rows {
        let subject = EntrySubject::Row(row.id.clone());
        let entry = listed.get(&subject).copied();
        let then = before.get(row.id.as_str()).copied();
        match compare_row(row, entry, then, setting.strict, setting.today) {
            RowComparison::Passes => counts.passes += 1,
            RowComparison::Undetermined => counts.undetermined += 1,
            RowComparison::Reported(case, cause) => {
                counts.add(case);
                let expected = entry.and_then(|entry| entry.verdict).or(then);
                let why = explain_row(row, case, cause, entry, expected);
                let now = EntryState::Verdict(row.verdict.status);
                entries.push(build_entry(
                    subject,
                    (case, cause),
                    entry,
                    expected.map(EntryState::Verdict),
                    Some(now),
                    why,
                ));
            }
        }
    }
    for finding in &results.findings {
        let subject = EntrySubject::Check(finding.check.clone());
        let entry = listed.get(&subject).copied();
        if let RowComparison::Reported(case, cause) = compare_finding(finding, entry, setting.strict, setting.today) {
            counts.add(case);
            let why = explain_finding(finding, case, cause);
            let (before, now) =
                (entry.map(|_| EntryState::Sight(FindingPresence::Seen)), EntryState::Sight(FindingPresence::Seen));
            entries.push(build_entry(subject, (case, cause), entry, before, Some(now), why));
        }
    }
    for entry in baseline.expected_failures(setting.strict) {
        let (case, now, why) = match &entry.subject {
            EntrySubject::Row(id) if results.rows.iter().any(|row| row.id == *id) => continue,
            EntrySubject::Check(id) if results.findings.iter().any(|finding| finding.check == *id) => continue,
            EntrySubject::Row(_) => (EntryStatus::NotRun, None, "listed, and not part of this run".to_owned()),
            EntrySubject::Check(id) => {
                let (case, why) = compare_unseen_finding(results, find_relevant_rows(id, earlier, setting.all_rows));
                let now = (case != EntryStatus::NotRun).then_some(EntryState::Sight(FindingPresence::Unseen));
                (case, now, why)
            }
        };
        counts.add(case);
        let before = entry.verdict.map_or(EntryState::Sight(FindingPresence::Seen), EntryState::Verdict);
        entries.push(build_entry(entry.subject.clone(), (case, None), Some(&entry), Some(before), now, why));
    }
    BaselineComparison {
        file: setting.file.to_owned(),
        kind: if earlier.is_some() { BaselineKind::Results } else { BaselineKind::Expectations },
        held_on: setting.today.to_string(),
        strict: setting.strict,
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
    }
}

/// The heart: how a row stands to what is listed and to what it was before.
pub(super) fn compare_row(
    row: &RowResult,
    listed: Option<&ExpectedFailure>,
    before: Option<VerdictStatus>,
    strict: bool,
    today: Date,
) -> RowComparison {
    let now = row.verdict.status;
    if !now.is_decided() {
        let spoken_of = listed.is_some() || before.is_some_and(VerdictStatus::is_decided);
        return if spoken_of {
            RowComparison::Reported(EntryStatus::Unconfirmed, None)
        } else {
            RowComparison::Undetermined
        };
    }
    let expired = listed.is_some_and(|entry| entry.is_expired(today));
    let as_listed = listed.is_some_and(|entry| entry.verdict == Some(now));
    // What fails only strictly may stand in the list of a run that is not strict.
    if as_listed && !expired && is_failing_row(row, true) {
        return RowComparison::Reported(EntryStatus::Expected, None);
    }
    let behind = before.is_some_and(|before| is_regression(before, now));
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

/// The same of a finding that was seen. One that is listed may be of any severity: it is what the entry says.
pub(super) fn compare_finding(
    finding: &FindingSummary,
    listed: Option<&ExpectedFailure>,
    strict: bool,
    today: Date,
) -> RowComparison {
    match (listed, is_failing_finding(finding, strict)) {
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

/// Honoured before and not now, or accepted before and refused now. Both must be decided.
pub fn is_regression(before: VerdictStatus, now: VerdictStatus) -> bool {
    use VerdictStatus as V;
    match (before, now) {
        (V::Supported, V::Ignored | V::Rejected | V::Substituted) | (V::Substituted | V::Ignored, V::Rejected) => true,
        (V::Supported, V::Supported)
        | (V::Substituted | V::Ignored, V::Supported | V::Substituted | V::Ignored)
        | (V::Rejected | V::Inconclusive | V::Skipped, _)
        | (_, V::Inconclusive | V::Skipped) => false,
    }
}

/// The rows in whose exchanges a finding can be looked for: where it was seen before, or anywhere.
fn find_relevant_rows(check: &str, earlier: Option<&Results>, whole: &[String]) -> BTreeSet<String> {
    let Some(earlier) = earlier else { return whole.iter().cloned().collect() };
    let seen = earlier.findings.iter().find(|finding| finding.check == check);
    match seen.filter(|finding| !finding.rows.is_empty()) {
        Some(finding) => finding.rows.iter().cloned().collect(),
        // It was seen in exchanges that belong to no row.
        None => earlier.rows.iter().map(|row| row.id.clone()).collect(),
    }
}

/// How a listed finding stands that was not seen: it is gone only where it could have been seen.
fn compare_unseen_finding(results: &Results, places: BTreeSet<String>) -> (EntryStatus, String) {
    let of_run = |id: &String| results.rows.iter().find(|row| row.id == *id);
    let absent = places.iter().filter(|id| of_run(id).is_none()).count();
    let open = places.iter().filter_map(of_run).filter(|row| !has_response(row)).count();
    if absent > 0 {
        let why =
            format!("not seen, but {absent} of the {} rows that could show it were not part of this run", places.len());
        (EntryStatus::NotRun, why)
    } else if results.partial.is_some() {
        (EntryStatus::Unconfirmed, "not seen, but the run is partial".to_owned())
    } else if open > 0 {
        let why = format!("not seen, but {open} of the {} rows that could show it brought no answer", places.len());
        (EntryStatus::Unconfirmed, why)
    } else {
        (EntryStatus::Stale, "listed, and not seen any more".to_owned())
    }
}

/// The codes of rows for which no answer came at all.
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
    let told = match (case, cause) {
        (EntryStatus::Expected, _) => format!("{now} as listed, {claim}"),
        (EntryStatus::Regression, Some(RegressionCause::AnotherVerdict)) => {
            format!("{now}, {claim}, and listed as {then}")
        }
        (EntryStatus::Regression, Some(RegressionCause::Expired)) => {
            format!("{now}, {claim}, and its entry expired after{until}")
        }
        (EntryStatus::Regression, Some(RegressionCause::FellBehind)) => format!("{now}, and {then} before"),
        (EntryStatus::Regression, Some(RegressionCause::Unlisted) | None) => format!("{now}, {claim}, and not listed"),
        (EntryStatus::Stale, _) if row.claim.is_none() => {
            format!("{now}, and listed as {then}: nothing is claimed of it, so it cannot fail")
        }
        (EntryStatus::Stale, _) => format!("{now}, {claim}, and listed as {then}: it does not fail any more"),
        (EntryStatus::Unconfirmed | EntryStatus::NotRun, _) if listed.is_some() => {
            format!("{now}, and listed as {then}")
        }
        (EntryStatus::Unconfirmed | EntryStatus::NotRun, _) => format!("{now}, and {then} before"),
    };
    let reason = row.verdict.reason.trim();
    if reason.is_empty() { told } else { format!("{told}: {reason}") }
}

fn explain_finding(finding: &FindingSummary, case: EntryStatus, cause: Option<RegressionCause>) -> String {
    let told = match (case, cause) {
        (EntryStatus::Regression, Some(RegressionCause::Expired)) => "seen, and its entry has expired",
        (EntryStatus::Regression, _) => "seen, and not listed",
        (EntryStatus::Stale, _) => "seen, but no failure, and its entry has expired",
        (EntryStatus::Expected | EntryStatus::Unconfirmed | EntryStatus::NotRun, _) => "seen as listed",
    };
    let example = finding.example.trim();
    if example.is_empty() { told.to_owned() } else { format!("{told}: {example}") }
}
