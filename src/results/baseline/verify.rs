//! Checks a comparison that was written down: a results file that was edited is noticed without its baseline.

use std::collections::HashMap;

use jiff::civil::Date;

use crate::catalog::VerdictStatus;
use crate::results::baseline::compare::{Stand, of_finding, of_row};
use crate::results::baseline::expectations::Listed;
use crate::results::baseline::model::{Case, Counts, Entry, Held, Kind, Sight, State, Subject};
use crate::results::model::Results;

/// What in a written comparison does not follow from the results beside it.
pub fn inconsistency(results: &Results, held: &Held) -> Option<String> {
    let Ok(today) = held.held_on.parse::<Date>() else {
        return Some(format!("\"held_on\" is no day: {}", held.held_on));
    };
    if held.earlier.is_some() != (held.kind == Kind::Results) {
        return Some("\"earlier\" does not fit \"kind\"".to_owned());
    }
    let mut told: HashMap<&Subject, &Entry> = HashMap::new();
    for entry in &held.entries {
        if told.insert(&entry.subject, entry).is_some() {
            return Some(format!("{} stands in it twice", entry.subject.id()));
        }
    }
    let mut counts = Counts::default();
    let mut check = |subject: Subject, now: State, stand: &dyn Fn(Option<&Listed>, Option<VerdictStatus>) -> Stand| {
        let entry = told.remove(&subject);
        let listed = entry.and_then(listed_in);
        let before = entry.and_then(|entry| match (held.kind, entry.before) {
            (Kind::Results, Some(State::Verdict(before))) => Some(before),
            _ => None,
        });
        let stand = stand(listed.as_ref(), before);
        let said = entry.map(|entry| (entry.case, entry.cause));
        let fits = match (stand, said) {
            (Stand::Told(case, cause), Some(said)) => {
                said == (case, cause) && entry.is_some_and(|e| e.now == Some(now))
            }
            (Stand::Passes | Stand::Undetermined, None) => true,
            (Stand::Told(..), None) | (Stand::Passes | Stand::Undetermined, Some(_)) => false,
        };
        match stand {
            Stand::Passes => counts.passes += u64::from(matches!(subject, Subject::Row(_))),
            Stand::Undetermined => counts.undetermined += 1,
            Stand::Told(case, _) => counts.add(case),
        }
        (!fits).then(|| format!("what it says of {} does not follow from the results", subject.id()))
    };
    for row in &results.rows {
        let now = State::Verdict(row.verdict.status);
        let stand = |listed: Option<&Listed>, before| of_row(row, listed, before, held.strict, today);
        if let Some(wrong) = check(Subject::Row(row.id.clone()), now, &stand) {
            return Some(wrong);
        }
    }
    for finding in &results.findings {
        let stand = |listed: Option<&Listed>, _| of_finding(finding, listed, held.strict, today);
        if let Some(wrong) = check(Subject::Check(finding.check.clone()), State::Sight(Sight::Seen), &stand) {
            return Some(wrong);
        }
    }
    for (subject, entry) in told {
        let fits = match (subject, entry.case) {
            (_, Case::NotRun) => entry.now.is_none(),
            (Subject::Check(_), Case::Stale | Case::Unconfirmed) => entry.now == Some(State::Sight(Sight::Unseen)),
            (Subject::Row(_), Case::Stale | Case::Unconfirmed) | (_, Case::Regression | Case::Expected) => false,
        };
        if !fits || !entry.listed || entry.cause.is_some() {
            return Some(format!("what it says of {} does not follow from the results", subject.id()));
        }
        counts.add(entry.case);
    }
    (counts != held.counts).then(|| "\"counts\" does not count the entries".to_owned())
}

/// The list's entry, as far as the comparison keeps it.
fn listed_in(entry: &Entry) -> Option<Listed> {
    let verdict = match entry.before {
        Some(State::Verdict(status)) => Some(status),
        Some(State::Sight(_)) | None => None,
    };
    let until = entry.until.as_deref().and_then(|day| day.parse().ok());
    entry.listed.then(|| Listed { subject: entry.subject.clone(), verdict, reason: None, link: None, until })
}
