//! Brings a file of expectations up to date with a run, and says each change.
//!
//! Nothing is decided here: what becomes of an entry follows from the comparison that `hold` makes.

use std::fmt;

use crate::results::baseline::compare::{Setting, hold};
use crate::results::baseline::expectations::{Baseline, Expectations, Listed};
use crate::results::baseline::model::{Case, Cause, State, Subject};
use crate::results::model::{Results, Summary};

/// A change of a file of expectations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What it is about.
    pub subject: Subject,
    /// What was done.
    pub done: Done,
}

/// What was done to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It is new.
    Added(Option<State>),
    /// It was listed with another verdict.
    Changed(Option<State>, Option<State>),
    /// It had expired, and what it lists still fails.
    Renewed,
    /// What it lists fails no longer.
    Removed,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |state: Option<State>| state.map_or("unknown", State::word);
        let id = self.subject.id();
        match self.done {
            Done::Added(now) => write!(f, "added    {id}: {}", word(now)),
            Done::Changed(before, now) => write!(f, "changed  {id}: {} to {}", word(before), word(now)),
            Done::Renewed => write!(f, "renewed  {id}: its entry had expired"),
            Done::Removed => write!(f, "removed  {id}: it fails no longer"),
        }
    }
}

/// The list that a run asks for, and what was changed. Entries that still hold keep their reason, link and day; what
/// is not decided, or was not run, stays as it is.
pub fn update(
    old: &Expectations,
    results: &Results,
    setting: &Setting<'_>,
    reason: &str,
) -> (Expectations, Vec<Change>) {
    let held = hold(results, &Baseline::Expectations(old.clone()), setting);
    let mut new = Expectations { target: old.target.clone(), expect: Vec::new() };
    let mut changes = Vec::new();
    let fresh = |subject: &Subject, now: Option<State>| Listed {
        subject: subject.clone(),
        verdict: match now {
            Some(State::Verdict(status)) => Some(status),
            Some(State::Sight(_)) | None => None,
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
            (Case::Expected | Case::Unconfirmed | Case::NotRun, _) => None,
            (Case::Stale, _) => Some(Done::Removed),
            (Case::Regression, Some(Cause::Expired)) => Some(Done::Renewed),
            (Case::Regression, _) => Some(Done::Changed(entry.before, entry.now)),
        };
        match done {
            None => new.expect.push(listed.clone()),
            Some(Done::Removed) => {}
            Some(_) => new.expect.push(fresh(&listed.subject, entry.now)),
        }
        changes.extend(done.map(|done| Change { subject: listed.subject.clone(), done }));
    }
    for entry in held.of_case(Case::Regression).filter(|entry| !entry.listed) {
        new.expect.push(fresh(&entry.subject, entry.now));
        changes.push(Change { subject: entry.subject.clone(), done: Done::Added(entry.now) });
    }
    (new, changes)
}

/// Several results of one target as one: the parts of a run that was made in parts.
///
/// # Errors
/// Results of several targets, or a row that they decide differently.
pub fn gather(all: &[Results]) -> Result<Results, String> {
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
    whole.summary = Summary::of(&whole.rows);
    Ok(whole)
}
