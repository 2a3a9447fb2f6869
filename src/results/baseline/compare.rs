//! Holds a run against a baseline, row by row and finding by finding.
//!
//! Every decision is made in `of_row` and `of_finding`, from what the comparison itself keeps: so `consistency` can make
//! it again without the baseline.

use std::collections::{BTreeSet, HashMap};

use jiff::civil::Date;

use crate::catalog::VerdictStatus;
use crate::results::baseline::expectations::{Baseline, Listed, fails, is_failure};
use crate::results::baseline::model::{Case, Cause, Counts, Earlier, Entry, Held, Kind, Sight, State, Subject};
use crate::results::comparability;
use crate::results::model::{Finding, Results, RowResult};

/// What a comparison depends on beside the run and the baseline.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// The baseline's file, as it was named.
    pub file: &'a str,
    /// Today.
    pub today: Date,
    /// Silent rows and warnings count as failures.
    pub strict: bool,
    /// The rows that a whole run of this target has. A finding that was not seen is only known to be gone where all of
    /// them were tried.
    pub whole: &'a [String],
}

/// How a row or a finding stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stand {
    /// Nothing to tell.
    Passes,
    /// Not decided, and nobody expected anything.
    Undetermined,
    /// Something to tell.
    Told(Case, Option<Cause>),
}

/// Holds a run against a baseline.
pub fn hold(results: &Results, baseline: &Baseline, setting: &Setting<'_>) -> Held {
    let listed = baseline.listed(setting.strict);
    let listed: HashMap<&Subject, &Listed> = listed.iter().map(|entry| (&entry.subject, entry)).collect();
    let earlier = baseline.earlier();
    let before: HashMap<&str, VerdictStatus> =
        earlier.iter().flat_map(|run| &run.rows).map(|row| (row.id.as_str(), row.verdict.status)).collect();
    let mut counts = Counts::default();
    let mut entries = Vec::new();
    for row in &results.rows {
        let subject = Subject::Row(row.id.clone());
        let entry = listed.get(&subject).copied();
        let then = before.get(row.id.as_str()).copied();
        match of_row(row, entry, then, setting.strict, setting.today) {
            Stand::Passes => counts.passes += 1,
            Stand::Undetermined => counts.undetermined += 1,
            Stand::Told(case, cause) => {
                counts.add(case);
                let expected = entry.and_then(|entry| entry.verdict).or(then);
                let why = why_of_row(row, case, cause, entry, expected);
                let now = State::Verdict(row.verdict.status);
                entries.push(told(subject, (case, cause), entry, expected.map(State::Verdict), Some(now), why));
            }
        }
    }
    for finding in &results.findings {
        let subject = Subject::Check(finding.check.clone());
        let entry = listed.get(&subject).copied();
        if let Stand::Told(case, cause) = of_finding(finding, entry, setting.strict, setting.today) {
            counts.add(case);
            let why = why_of_finding(finding, case, cause);
            let (before, now) = (entry.map(|_| State::Sight(Sight::Seen)), State::Sight(Sight::Seen));
            entries.push(told(subject, (case, cause), entry, before, Some(now), why));
        }
    }
    for entry in baseline.listed(setting.strict) {
        let (case, now, why) = match &entry.subject {
            Subject::Row(id) if results.rows.iter().any(|row| row.id == *id) => continue,
            Subject::Check(id) if results.findings.iter().any(|finding| finding.check == *id) => continue,
            Subject::Row(_) => (Case::NotRun, None, "listed, and not part of this run".to_owned()),
            Subject::Check(id) => {
                let (case, why) = unseen(results, places(id, earlier, setting.whole));
                let now = (case != Case::NotRun).then_some(State::Sight(Sight::Unseen));
                (case, now, why)
            }
        };
        counts.add(case);
        let before = entry.verdict.map_or(State::Sight(Sight::Seen), State::Verdict);
        entries.push(told(entry.subject.clone(), (case, None), Some(&entry), Some(before), now, why));
    }
    Held {
        file: setting.file.to_owned(),
        kind: if earlier.is_some() { Kind::Results } else { Kind::Expectations },
        held_on: setting.today.to_string(),
        strict: setting.strict,
        earlier: earlier.map(|run| Earlier {
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

fn told(
    subject: Subject,
    (case, cause): (Case, Option<Cause>),
    listed: Option<&Listed>,
    before: Option<State>,
    now: Option<State>,
    why: String,
) -> Entry {
    Entry {
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
pub(super) fn of_row(
    row: &RowResult,
    listed: Option<&Listed>,
    before: Option<VerdictStatus>,
    strict: bool,
    today: Date,
) -> Stand {
    let now = row.verdict.status;
    if !now.is_decided() {
        let spoken_of = listed.is_some() || before.is_some_and(VerdictStatus::is_decided);
        return if spoken_of { Stand::Told(Case::Unconfirmed, None) } else { Stand::Undetermined };
    }
    let expired = listed.is_some_and(|entry| entry.is_expired(today));
    let as_listed = listed.is_some_and(|entry| entry.verdict == Some(now));
    // What fails only strictly may stand in the list of a run that is not strict.
    if as_listed && !expired && fails(row, true) {
        return Stand::Told(Case::Expected, None);
    }
    let behind = before.is_some_and(|before| falls_behind(before, now));
    let regression = |cause| Stand::Told(Case::Regression, Some(cause));
    match (fails(row, strict), listed) {
        (true, Some(_)) if as_listed => regression(Cause::Expired),
        (true, Some(_)) => regression(Cause::AnotherVerdict),
        (_, _) if behind => regression(Cause::FellBehind),
        (true, None) => regression(Cause::Unlisted),
        (false, Some(_)) => Stand::Told(Case::Stale, None),
        (false, None) => Stand::Passes,
    }
}

/// The same of a finding that was seen. One that is listed may be of any severity: it is what the entry says.
pub(super) fn of_finding(finding: &Finding, listed: Option<&Listed>, strict: bool, today: Date) -> Stand {
    match (listed, is_failure(finding, strict)) {
        (Some(entry), fails) if entry.is_expired(today) => {
            if fails {
                Stand::Told(Case::Regression, Some(Cause::Expired))
            } else {
                Stand::Told(Case::Stale, None)
            }
        }
        (Some(_), _) => Stand::Told(Case::Expected, None),
        (None, true) => Stand::Told(Case::Regression, Some(Cause::Unlisted)),
        (None, false) => Stand::Passes,
    }
}

/// Honoured before and not now, or accepted before and refused now. Both must be decided.
pub fn falls_behind(before: VerdictStatus, now: VerdictStatus) -> bool {
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
fn places(check: &str, earlier: Option<&Results>, whole: &[String]) -> BTreeSet<String> {
    let Some(earlier) = earlier else { return whole.iter().cloned().collect() };
    let seen = earlier.findings.iter().find(|finding| finding.check == check);
    match seen.filter(|finding| !finding.rows.is_empty()) {
        Some(finding) => finding.rows.iter().cloned().collect(),
        // It was seen in exchanges that belong to no row.
        None => earlier.rows.iter().map(|row| row.id.clone()).collect(),
    }
}

/// How a listed finding stands that was not seen: it is gone only where it could have been seen.
fn unseen(results: &Results, places: BTreeSet<String>) -> (Case, String) {
    let of_run = |id: &String| results.rows.iter().find(|row| row.id == *id);
    let absent = places.iter().filter(|id| of_run(id).is_none()).count();
    let open = places.iter().filter_map(of_run).filter(|row| !brought_an_answer(row)).count();
    if absent > 0 {
        let why =
            format!("not seen, but {absent} of the {} rows that could show it were not part of this run", places.len());
        (Case::NotRun, why)
    } else if results.partial.is_some() {
        (Case::Unconfirmed, "not seen, but the run is partial".to_owned())
    } else if open > 0 {
        let why = format!("not seen, but {open} of the {} rows that could show it brought no answer", places.len());
        (Case::Unconfirmed, why)
    } else {
        (Case::Stale, "listed, and not seen any more".to_owned())
    }
}

/// The codes of rows for which no answer came at all.
pub const NO_ANSWER: [&str; 3] = ["negative-failed", "treatment-failed", "challenge-failed"];

fn brought_an_answer(row: &RowResult) -> bool {
    let failed = row.verdict.code.as_deref().is_some_and(|code| NO_ANSWER.contains(&code));
    let skipped = row.verdict.status == VerdictStatus::Skipped;
    row.verdict.status.is_decided() || (!failed && !skipped && row.arms.iter().any(|arm| !arm.exchanges.is_empty()))
}

fn why_of_row(
    row: &RowResult,
    case: Case,
    cause: Option<Cause>,
    listed: Option<&Listed>,
    before: Option<VerdictStatus>,
) -> String {
    let now = row.verdict.status;
    let claim = row.claim.as_ref().map_or("without a claim".to_owned(), |claim| format!("claimed {}", claim.status));
    let then = before.map_or("not listed", VerdictStatus::word);
    let until = listed.and_then(|entry| entry.until).map_or(String::new(), |day| format!(" {day}"));
    let told = match (case, cause) {
        (Case::Expected, _) => format!("{now} as listed, {claim}"),
        (Case::Regression, Some(Cause::AnotherVerdict)) => format!("{now}, {claim}, and listed as {then}"),
        (Case::Regression, Some(Cause::Expired)) => format!("{now}, {claim}, and its entry expired after{until}"),
        (Case::Regression, Some(Cause::FellBehind)) => format!("{now}, and {then} before"),
        (Case::Regression, Some(Cause::Unlisted) | None) => format!("{now}, {claim}, and not listed"),
        (Case::Stale, _) if row.claim.is_none() => {
            format!("{now}, and listed as {then}: nothing is claimed of it, so it cannot fail")
        }
        (Case::Stale, _) => format!("{now}, {claim}, and listed as {then}: it does not fail any more"),
        (Case::Unconfirmed | Case::NotRun, _) if listed.is_some() => format!("{now}, and listed as {then}"),
        (Case::Unconfirmed | Case::NotRun, _) => format!("{now}, and {then} before"),
    };
    let reason = row.verdict.reason.trim();
    if reason.is_empty() { told } else { format!("{told}: {reason}") }
}

fn why_of_finding(finding: &Finding, case: Case, cause: Option<Cause>) -> String {
    let told = match (case, cause) {
        (Case::Regression, Some(Cause::Expired)) => "seen, and its entry has expired",
        (Case::Regression, _) => "seen, and not listed",
        (Case::Stale, _) => "seen, but no failure, and its entry has expired",
        (Case::Expected | Case::Unconfirmed | Case::NotRun, _) => "seen as listed",
    };
    let example = finding.example.trim();
    if example.is_empty() { told.to_owned() } else { format!("{told}: {example}") }
}
