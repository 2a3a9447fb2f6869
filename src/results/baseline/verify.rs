//! Checks that a stored comparison follows from its results, without the baseline. This detects edited
//! results files.

use std::collections::HashMap;

use jiff::civil::Date;

use crate::catalog::VerdictStatus;
use crate::results::baseline::compare::{RowComparison, compare_finding, compare_row};
use crate::results::baseline::expectations::ExpectedFailure;
use crate::results::baseline::model::{
    BaselineComparison, BaselineCounts, BaselineEntry, BaselineKind, EntryState, EntryStatus, EntrySubject,
    FindingPresence,
};
use crate::results::compare::RankedVerdict;
use crate::results::model::Results;

/// The verdict in the earlier run, and the strongest verdict that its row could reach there.
type VerdictBefore = (VerdictStatus, Option<VerdictStatus>);

/// The first part of a stored comparison that does not follow from the results.
pub fn find_inconsistency(results: &Results, comparison: &BaselineComparison) -> Option<String> {
    let Ok(today) = comparison.held_on.parse::<Date>() else {
        return Some(format!("\"held_on\" is not a date: {}", comparison.held_on));
    };
    if comparison.earlier.is_some() != (comparison.kind == BaselineKind::Results) {
        return Some("\"earlier\" does not fit \"kind\"".to_owned());
    }
    let mut by_subject: HashMap<&EntrySubject, &BaselineEntry> = HashMap::new();
    for entry in &comparison.entries {
        if by_subject.insert(&entry.subject, entry).is_some() {
            return Some(format!("duplicate entry for {}", entry.subject.id()));
        }
    }
    let mut counts = BaselineCounts::default();
    let mut check =
        |subject: EntrySubject,
         now: EntryState,
         decide: &dyn Fn(Option<&ExpectedFailure>, Option<VerdictBefore>) -> RowComparison| {
            let entry = by_subject.remove(&subject);
            let listed = entry.and_then(to_expected_failure);
            let before = entry.and_then(|entry| match (comparison.kind, entry.before) {
                (BaselineKind::Results, Some(EntryState::Verdict(before))) => Some((before, entry.strongest_before)),
                _ => None,
            });
            let decision = decide(listed.as_ref(), before);
            let stored = entry.map(|entry| (entry.case, entry.cause));
            let fits = match (decision, stored) {
                (RowComparison::Reported(case, cause), Some(stored)) => {
                    stored == (case, cause) && entry.is_some_and(|e| e.now == Some(now))
                }
                (RowComparison::Passes | RowComparison::Undetermined, None) => true,
                (RowComparison::Reported(..), None)
                | (RowComparison::Passes | RowComparison::Undetermined, Some(_)) => false,
            };
            match decision {
                RowComparison::Passes => counts.passes += u64::from(matches!(subject, EntrySubject::Row(_))),
                RowComparison::Undetermined => counts.undetermined += 1,
                RowComparison::Reported(case, _) => counts.add(case),
            }
            (!fits).then(|| format!("the entry for {} does not follow from the results", subject.id()))
        };
    for row in &results.rows {
        let now = EntryState::Verdict(row.verdict.status);
        let decide = |listed: Option<&ExpectedFailure>, before: Option<(VerdictStatus, Option<VerdictStatus>)>| {
            let before = before.map(|(status, strongest)| RankedVerdict {
                status,
                strongest: strongest.unwrap_or(row.verdict.strongest),
            });
            compare_row(row, listed, before, comparison.strict, today)
        };
        if let Some(wrong) = check(EntrySubject::Row(row.id.clone()), now, &decide) {
            return Some(wrong);
        }
    }
    for finding in &results.findings {
        let decide = |listed: Option<&ExpectedFailure>, _| compare_finding(finding, listed, comparison.strict, today);
        if let Some(wrong) =
            check(EntrySubject::Check(finding.check.clone()), EntryState::Sight(FindingPresence::Seen), &decide)
        {
            return Some(wrong);
        }
    }
    for (subject, entry) in by_subject {
        let fits = match (subject, entry.case) {
            (_, EntryStatus::NotRun) => entry.now.is_none(),
            (EntrySubject::Check(_), EntryStatus::Stale | EntryStatus::Unconfirmed) => {
                entry.now == Some(EntryState::Sight(FindingPresence::Unseen))
            }
            (EntrySubject::Row(_), EntryStatus::Stale | EntryStatus::Unconfirmed)
            | (_, EntryStatus::Regression | EntryStatus::Expected) => false,
        };
        if !fits || !entry.listed || entry.cause.is_some() {
            return Some(format!("the entry for {} does not follow from the results", subject.id()));
        }
        counts.add(entry.case);
    }
    (counts != comparison.counts).then(|| "\"counts\" does not match the entries".to_owned())
}

/// The parts of a list entry that the comparison keeps.
fn to_expected_failure(entry: &BaselineEntry) -> Option<ExpectedFailure> {
    let verdict = match entry.before {
        Some(EntryState::Verdict(status)) => Some(status),
        Some(EntryState::Sight(_)) | None => None,
    };
    let until = entry.until.as_deref().and_then(|day| day.parse().ok());
    entry.listed.then(|| ExpectedFailure { subject: entry.subject.clone(), verdict, reason: None, link: None, until })
}
