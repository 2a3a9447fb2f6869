//! Updates a list of expected failures from a run ([`update`]) and lists the changes.
//!
//! Every change follows from the comparison of the list with the run.

use std::fmt;

use crate::results::baseline::compare::{CompareOptions, compare};
use crate::results::baseline::expectations::{BaselineSource, ExpectationList, ExpectedFailure};
use crate::results::baseline::model::{EntryState, EntryStatus, EntrySubject, RegressionCause};
use crate::results::merge::merge_findings;
use crate::results::model::{Results, ResultsSummary};

/// A change of a list of expected failures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaselineChange {
    /// The row or check.
    pub subject: EntrySubject,
    /// The change.
    pub action: EntryUpdate,
}

/// The kinds of change of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryUpdate {
    /// The entry is new.
    Added(Option<EntryState>),
    /// The verdict of the entry changed.
    Changed(Option<EntryState>, Option<EntryState>),
    /// The entry had expired, and the failure still exists.
    Renewed,
    /// The failure no longer exists.
    Removed,
}

impl fmt::Display for BaselineChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |state: Option<EntryState>| state.map_or("unknown", EntryState::as_str);
        let id = self.subject.id();
        match self.action {
            EntryUpdate::Added(now) => write!(f, "added    {id}: {}", word(now)),
            EntryUpdate::Changed(before, now) => write!(f, "changed  {id}: {} to {}", word(before), word(now)),
            EntryUpdate::Renewed => write!(f, "renewed  {id}: the entry had expired"),
            EntryUpdate::Removed => write!(f, "removed  {id}: no longer fails"),
        }
    }
}

/// The list updated from a run, with the changes. Valid entries keep their reason, link and day. Entries of
/// rows that are undecided or not part of the run stay unchanged.
pub fn update(
    old: &ExpectationList,
    results: &Results,
    options: &CompareOptions<'_>,
    reason: &str,
) -> (ExpectationList, Vec<BaselineChange>) {
    let comparison = compare(results, &BaselineSource::Expectations(old.clone()), options);
    let mut new = ExpectationList { target: old.target.clone(), expect: Vec::new() };
    let mut changes = Vec::new();
    let new_entry = |subject: &EntrySubject, now: Option<EntryState>| ExpectedFailure {
        subject: subject.clone(),
        verdict: match now {
            Some(EntryState::Verdict(status)) => Some(status),
            Some(EntryState::Sight(_)) | None => None,
        },
        reason: Some(reason.to_owned()),
        link: None,
        until: None,
    };
    for listed in &old.expect {
        let entry = comparison.entries.iter().find(|entry| entry.subject == listed.subject);
        let Some(entry) = entry else {
            new.expect.push(listed.clone());
            continue;
        };
        let action = match (entry.case, entry.cause) {
            (EntryStatus::Expected | EntryStatus::Unconfirmed | EntryStatus::NotRun, _) => None,
            (EntryStatus::Stale, _) => Some(EntryUpdate::Removed),
            (EntryStatus::Regression, Some(RegressionCause::Expired)) => Some(EntryUpdate::Renewed),
            (EntryStatus::Regression, _) => Some(EntryUpdate::Changed(entry.before, entry.now)),
        };
        match action {
            None => new.expect.push(listed.clone()),
            Some(EntryUpdate::Removed) => {}
            Some(_) => new.expect.push(new_entry(&listed.subject, entry.now)),
        }
        changes.extend(action.map(|action| BaselineChange { subject: listed.subject.clone(), action }));
    }
    for entry in comparison.entries_with_status(EntryStatus::Regression).filter(|entry| !entry.listed) {
        new.expect.push(new_entry(&entry.subject, entry.now));
        changes.push(BaselineChange { subject: entry.subject.clone(), action: EntryUpdate::Added(entry.now) });
    }
    (new, changes)
}

/// Combines several results of one target, such as the shards of a run.
///
/// # Errors
/// The results are of several targets, or decide a row differently.
pub fn combine_results(all: &[Results]) -> Result<Results, String> {
    let [first, rest @ ..] = all else { return Err("there are no results".to_owned()) };
    let mut combined = first.clone();
    combined.baseline = None;
    for part in rest {
        if part.target.name != combined.target.name {
            return Err(format!(
                "a baseline has one target, but the results are of `{}` and `{}`. Write one file per target",
                combined.target.name, part.target.name
            ));
        }
        for row in &part.rows {
            let Some(known) = combined.rows.iter_mut().find(|known| known.id == row.id) else {
                combined.rows.push(row.clone());
                continue;
            };
            let (one, other) = (known.verdict.status, row.verdict.status);
            match (one.is_decided(), other.is_decided()) {
                (true, true) if one != other || known.outcome != row.outcome || known.silent != row.silent => {
                    return Err(format!(
                        "row {} is {one} ({}) in one results file and {other} ({}) in another. A baseline can \
                         expect only one verdict",
                        row.id, known.outcome, row.outcome
                    ));
                }
                (false, true) => *known = row.clone(),
                (true, _) | (false, false) => {}
            }
        }
        combined.partial = combined.partial.or_else(|| part.partial.clone());
    }
    let order: Vec<&str> = combined.rows.iter().map(|row| row.id.as_str()).collect();
    combined.findings = merge_findings(&all.iter().map(|part| part.findings.as_slice()).collect::<Vec<_>>(), &order);
    combined.summary = ResultsSummary::from_rows(&combined.rows);
    Ok(combined)
}
