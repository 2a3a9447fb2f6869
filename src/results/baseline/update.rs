//! Brings a file of expectations up to date with a run, and says each change.
//!
//! Nothing is decided here: what becomes of an entry follows from the comparison that `hold` makes.

use std::fmt;

use crate::results::baseline::compare::{CompareOptions, compare};
use crate::results::baseline::expectations::{BaselineSource, ExpectationList, ExpectedFailure};
use crate::results::baseline::model::{EntryState, EntryStatus, EntrySubject, RegressionCause};
use crate::results::model::{Results, ResultsSummary};

/// A change of a file of expectations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaselineChange {
    /// What it is about.
    pub subject: EntrySubject,
    /// What was done.
    pub action: EntryUpdate,
}

/// What was done to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryUpdate {
    /// It is new.
    Added(Option<EntryState>),
    /// It was listed with another verdict.
    Changed(Option<EntryState>, Option<EntryState>),
    /// It had expired, and what it lists still fails.
    Renewed,
    /// What it lists fails no longer.
    Removed,
}

impl fmt::Display for BaselineChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |state: Option<EntryState>| state.map_or("unknown", EntryState::as_str);
        let id = self.subject.id();
        match self.action {
            EntryUpdate::Added(now) => write!(f, "added    {id}: {}", word(now)),
            EntryUpdate::Changed(before, now) => write!(f, "changed  {id}: {} to {}", word(before), word(now)),
            EntryUpdate::Renewed => write!(f, "renewed  {id}: its entry had expired"),
            EntryUpdate::Removed => write!(f, "removed  {id}: it fails no longer"),
        }
    }
}

/// The list that a run asks for, and what was changed. Entries that still hold keep their reason, link and day; what
/// is not decided, or was not run, stays as it is.
pub fn update(
    old: &ExpectationList,
    results: &Results,
    setting: &CompareOptions<'_>,
    reason: &str,
) -> (ExpectationList, Vec<BaselineChange>) {
    let held = compare(results, &BaselineSource::Expectations(old.clone()), setting);
    let mut new = ExpectationList { target: old.target.clone(), expect: Vec::new() };
    let mut changes = Vec::new();
    let fresh = |subject: &EntrySubject, now: Option<EntryState>| ExpectedFailure {
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
        let entry = held.entries.iter().find(|entry| entry.subject == listed.subject);
        let Some(entry) = entry else {
            new.expect.push(listed.clone());
            continue;
        };
        let done = match (entry.case, entry.cause) {
            (EntryStatus::Expected | EntryStatus::Unconfirmed | EntryStatus::NotRun, _) => None,
            (EntryStatus::Stale, _) => Some(EntryUpdate::Removed),
            (EntryStatus::Regression, Some(RegressionCause::Expired)) => Some(EntryUpdate::Renewed),
            (EntryStatus::Regression, _) => Some(EntryUpdate::Changed(entry.before, entry.now)),
        };
        match done {
            None => new.expect.push(listed.clone()),
            Some(EntryUpdate::Removed) => {}
            Some(_) => new.expect.push(fresh(&listed.subject, entry.now)),
        }
        changes.extend(done.map(|done| BaselineChange { subject: listed.subject.clone(), action: done }));
    }
    for entry in held.entries_with_status(EntryStatus::Regression).filter(|entry| !entry.listed) {
        new.expect.push(fresh(&entry.subject, entry.now));
        changes.push(BaselineChange { subject: entry.subject.clone(), action: EntryUpdate::Added(entry.now) });
    }
    (new, changes)
}

/// Several results of one target as one: the parts of a run that was made in parts.
///
/// # Errors
/// Results of several targets, or a row that they decide differently.
pub fn combine_results(all: &[Results]) -> Result<Results, String> {
    let [first, rest @ ..] = all else { return Err("there are no results".to_owned()) };
    let mut whole = first.clone();
    whole.baseline = None;
    for part in rest {
        if part.target.name != whole.target.name {
            return Err(format!(
                "a baseline is of one target, and these are results of `{}` and of `{}`: write a file for each",
                whole.target.name, part.target.name
            ));
        }
        for row in &part.rows {
            let Some(there) = whole.rows.iter_mut().find(|there| there.id == row.id) else {
                whole.rows.push(row.clone());
                continue;
            };
            let (one, other) = (there.verdict.status, row.verdict.status);
            match (one.is_decided(), other.is_decided()) {
                (true, true) if one != other || there.outcome != row.outcome || there.silent != row.silent => {
                    return Err(format!(
                        "row {} is {one} ({}) in one results file and {other} ({}) in another: a baseline can expect \
                         only one of them",
                        row.id, there.outcome, row.outcome
                    ));
                }
                (false, true) => *there = row.clone(),
                (true, _) | (false, false) => {}
            }
        }
        for finding in &part.findings {
            match whole.findings.iter_mut().find(|there| there.check == finding.check) {
                None => whole.findings.push(finding.clone()),
                Some(there) => {
                    there.count = there.count.saturating_add(finding.count);
                    let more: Vec<String> = finding.rows.iter().filter(|r| !there.rows.contains(r)).cloned().collect();
                    there.rows.extend(more);
                }
            }
        }
        whole.partial = whole.partial.or_else(|| part.partial.clone());
    }
    whole.summary = ResultsSummary::from_rows(&whole.rows);
    Ok(whole)
}
