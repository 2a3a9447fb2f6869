//! Checks a comparison that was written down: a results file that was edited is noticed without its baseline.

use std::collections::HashMap;

use jiff::civil::Date;

use crate::catalog::VerdictStatus;
use crate::results::baseline::compare::{RowComparison, compare_finding, compare_row};
use crate::results::baseline::expectations::ExpectedFailure;
use crate::results::baseline::model::{
    BaselineComparison, BaselineCounts, BaselineEntry, BaselineKind, EntryState, EntryStatus, EntrySubject,
    FindingPresence,
};
use crate::results::model::Results;

/// What in a written comparison does not follow from the results beside it.
pub fn find_inconsistency(results: &Results, held: &BaselineComparison) -> Option<String> {
    let Ok(today) = held.held_on.parse::<Date>() else {
        return Some(format!("\"held_on\" is no day: {}", held.held_on));
    };
    if held.earlier.is_some() != (held.kind == BaselineKind::Results) {
        return Some("\"earlier\" does not fit \"kind\"".to_owned());
    }
    let mut told: HashMap<&EntrySubject, &BaselineEntry> = HashMap::new();
    for entry in &held.entries {
        if told.insert(&entry.subject, entry).is_some() {
            return Some(format!("{} stands in it twice", entry.subject.id()));
        }
    }
    let mut counts = BaselineCounts::default();
    let mut check =
        |subject: EntrySubject,
         now: EntryState,
         stand: &dyn Fn(Option<&ExpectedFailure>, Option<VerdictStatus>) -> RowComparison| {
            let entry = told.remove(&subject);
            let listed = entry.and_then(to_expected_failure);
            let before = entry.and_then(|entry| match (held.kind, entry.before) {
                (BaselineKind::Results, Some(EntryState::Verdict(before))) => Some(before),
                _ => None,
            });
            let stand = stand(listed.as_ref(), before);
            let said = entry.map(|entry| (entry.case, entry.cause));
            let fits = match (stand, said) {
                (RowComparison::Reported(case, cause), Some(said)) => {
                    said == (case, cause) && entry.is_some_and(|e| e.now == Some(now))
                }
                (RowComparison::Passes | RowComparison::Undetermined, None) => true,
                (RowComparison::Reported(..), None)
                | (RowComparison::Passes | RowComparison::Undetermined, Some(_)) => false,
            };
            match stand {
                RowComparison::Passes => counts.passes += u64::from(matches!(subject, EntrySubject::Row(_))),
                RowComparison::Undetermined => counts.undetermined += 1,
                RowComparison::Reported(case, _) => counts.add(case),
            }
            (!fits).then(|| format!("what it says of {} does not follow from the results", subject.id()))
        };
    for row in &results.rows {
        let now = EntryState::Verdict(row.verdict.status);
        let stand = |listed: Option<&ExpectedFailure>, before| compare_row(row, listed, before, held.strict, today);
        if let Some(wrong) = check(EntrySubject::Row(row.id.clone()), now, &stand) {
            return Some(wrong);
        }
    }
    for finding in &results.findings {
        let stand = |listed: Option<&ExpectedFailure>, _| compare_finding(finding, listed, held.strict, today);
        if let Some(wrong) =
            check(EntrySubject::Check(finding.check.clone()), EntryState::Sight(FindingPresence::Seen), &stand)
        {
            return Some(wrong);
        }
    }
    for (subject, entry) in told {
        let fits = match (subject, entry.case) {
            (_, EntryStatus::NotRun) => entry.now.is_none(),
            (EntrySubject::Check(_), EntryStatus::Stale | EntryStatus::Unconfirmed) => {
                entry.now == Some(EntryState::Sight(FindingPresence::Unseen))
            }
            (EntrySubject::Row(_), EntryStatus::Stale | EntryStatus::Unconfirmed)
            | (_, EntryStatus::Regression | EntryStatus::Expected) => false,
        };
        if !fits || !entry.listed || entry.cause.is_some() {
            return Some(format!("what it says of {} does not follow from the results", subject.id()));
        }
        counts.add(entry.case);
    }
    (counts != held.counts).then(|| "\"counts\" does not count the entries".to_owned())
}

/// The list's entry, as far as the comparison keeps it.
fn to_expected_failure(entry: &BaselineEntry) -> Option<ExpectedFailure> {
    let verdict = match entry.before {
        Some(EntryState::Verdict(status)) => Some(status),
        Some(EntryState::Sight(_)) | None => None,
    };
    let until = entry.until.as_deref().and_then(|day| day.parse().ok());
    entry.listed.then(|| ExpectedFailure { subject: entry.subject.clone(), verdict, reason: None, link: None, until })
}
