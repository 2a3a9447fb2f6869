//! Sentences about a run and a row that every report says in the same words, before any format's escaping.

use crate::catalog::{Limits, Range, Source};
use crate::report::common::format;
use crate::results::baseline::{Case, Entry, Held};
use crate::results::model::{Answer, ClaimResult, Repeated, Results, RowResult, Stability, Strictness};

/// Why a run is not whole, and how much of it is missing; nothing for a whole run.
pub(crate) fn partial(run: &Results) -> Option<String> {
    let reason = run.partial.as_deref()?;
    let missing = format::counted(run.summary.skipped, "row was", "rows were");
    let stop = if reason.ends_with(['.', '?', '!', '…']) { "" } else { "." };
    Some(format!("{reason}{stop} {missing} not run, of {}.", format::count(run.summary.rows)))
}

/// A document's revision, and when it was read.
pub(crate) fn revision(source: &Source) -> String {
    format!("revision {}, read on {}", source.revision, source.read_on)
}

/// The limits that the document claims, each in words.
pub(crate) fn limits(limits: &Limits) -> Vec<String> {
    // Destructured, so that a new limit cannot be forgotten here.
    let Limits {
        requests_per_minute,
        tokens_per_minute,
        concurrency,
        context_tokens,
        max_input_tokens,
        max_output_tokens,
    } = limits;
    [
        (requests_per_minute, "", " requests a minute"),
        (tokens_per_minute, "", " tokens a minute"),
        (&concurrency.map(u32::from), "", " requests at once"),
        (context_tokens, "context of ", " tokens"),
        (max_input_tokens, "prompts of at most ", " tokens"),
        (max_output_tokens, "answers of at most ", " tokens"),
    ]
    .into_iter()
    .filter_map(|(limit, before, after)| limit.map(|n| format!("{before}{}{after}", format::count(n.into()))))
    .collect()
}

/// What is said of an endpoint that treats equal requests unequally.
pub(crate) const UNSTEADY: &str = "equal requests are treated unequally (several unequal servers behind one address?); each verdict rests on many trials";

/// How often the plan was run, and how many rows came out the same every time.
pub(crate) fn repeats(run: &Results) -> Option<String> {
    let Repeated { runs, stable, .. } = run.repeats.as_ref()?;
    let runs = format::counted(*runs, "run", "runs");
    let rows = format::counted(run.summary.rows, "row", "rows");
    Some(format!("{runs}; {} of {rows} came out the same in each", format::count(*stable)))
}

/// What the endpoint does with invented keys.
pub(crate) fn strictness(strictness: &Strictness) -> String {
    let Strictness { top_level, tool, block } = *strictness;
    let places = [(top_level, "at the top level"), (tool, "in a tool"), (block, "in a content block")];
    let groups = [(Answer::Accepted, "accepted"), (Answer::Refused, "refused"), (Answer::Unknown, "not known")];
    let told = groups.into_iter().filter_map(|(answer, word)| {
        let at: Vec<&str> = places.iter().filter(|place| place.0 == answer).map(|place| place.1).collect();
        match at.as_slice() {
            [] => None,
            [_, _, _] => Some(word.to_owned()),
            some => Some(format!("{word} {}", some.join(" and "))),
        }
    });
    told.collect::<Vec<_>>().join(", ")
}

/// Who answered.
pub(crate) fn answered_by(run: &Results) -> String {
    match (&run.gateway, run.target.simulated) {
        (Some(gateway), _) => format!(
            "a gateway, whose upstream was scripted (shape {}, {})",
            gateway.shape,
            format::counted(gateway.upstream_calls, "call", "calls")
        ),
        (None, true) => "the built-in simulator".to_owned(),
        (None, false) => "the live endpoint".to_owned(),
    }
}

/// What the endpoint does with invented keys, where the run asked; against gateways that is a matter of rows.
pub(crate) fn invented_keys(run: &Results) -> Option<String> {
    run.gateway.is_none().then(|| strictness(&run.strictness))
}

/// The confidence asked for, where statistics decide.
pub(crate) fn confidence(run: &Results) -> Option<String> {
    run.gateway.is_none().then(|| run.confidence.to_string())
}

/// What a verdict rests on: the verdict's reason and qualifiers.
pub(crate) fn why(row: &RowResult) -> String {
    let reason = &row.verdict.reason;
    let unstable = row.stability.as_ref().filter(|stability| !stability.is_stable() && stability.runs > 1);
    let qualifiers: Vec<String> = row.verdict.qualifiers.iter().cloned().chain(unstable.map(Stability::told)).collect();
    if qualifiers.is_empty() {
        return reason.clone();
    }
    let qualifiers = qualifiers.join("; ");
    match reason.strip_suffix('.') {
        Some(reason) => format!("{reason} ({qualifiers})."),
        None => format!("{reason} ({qualifiers})"),
    }
}

/// What the document says beyond the status: its range and its own words.
pub(crate) fn claim_words(claim: &ClaimResult) -> Option<String> {
    let range = claim.range.map(|Range { min, max }| format!("from {min} to {max}"));
    let note = claim.note.as_deref().filter(|note| !note.trim().is_empty()).map(|note| format!("\"{note}\""));
    match (range, note) {
        (Some(range), Some(note)) => Some(format!("{range}, {note}")),
        (range, note) => range.or(note),
    }
}

/// The words for a case.
pub(crate) fn case(case: Case) -> &'static str {
    match case {
        Case::Regression => "regression",
        Case::Stale => "stale",
        Case::Unconfirmed => "unconfirmed",
        Case::NotRun => "not run",
        Case::Expected => "expected",
    }
}

/// How many rows and findings there are of each case, each in words; none is told of none.
pub(crate) fn baseline_counts(held: &Held) -> Vec<(Option<Case>, String)> {
    let cases = Case::ALL.map(|of| match of {
        Case::Regression => {
            (Some(of), held.counts.regression, if held.counts.regression == 1 { "regression" } else { "regressions" })
        }
        Case::Stale | Case::Unconfirmed | Case::NotRun | Case::Expected => (Some(of), held.counts.of(of), case(of)),
    });
    let rest = [(None, held.counts.passes, "pass"), (None, held.counts.undetermined, "undetermined and not listed")];
    let told = cases.into_iter().chain(rest).filter(|(_, n, _)| *n > 0);
    told.map(|(case, n, word)| (case, format!("{} {word}", format::count(n)))).collect()
}

/// What must be known of a baseline that is an earlier run: which run it was, and what differs.
pub(crate) fn baseline_notes(held: &Held) -> Vec<String> {
    let run = held.earlier.as_ref().map(|run| {
        format!("an earlier run: {}, model {}, {}", run.target, run.model, format::instant(&run.started_at))
    });
    run.into_iter().chain(held.notes.iter().cloned()).collect()
}

/// Why an entry is listed, and how long; nothing where the baseline says nothing.
pub(crate) fn listed(entry: &Entry) -> Option<String> {
    let until = entry.until.as_deref().map(|day| format!("until {day}"));
    let reason = entry.reason.as_deref().map(|reason| format!("listed: {reason}"));
    let parts: Vec<String> = [reason, entry.link.clone(), until].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invented_keys_are_told_by_what_happened_to_them() {
        use Answer::{Accepted, Refused, Unknown};
        let told = |top_level, tool, block| strictness(&Strictness { top_level, tool, block });
        assert_eq!(told(Accepted, Accepted, Accepted), "accepted");
        assert_eq!(told(Unknown, Unknown, Unknown), "not known");
        assert_eq!(
            told(Accepted, Refused, Accepted),
            "accepted at the top level and in a content block, refused in a tool"
        );
        assert_eq!(
            told(Unknown, Refused, Refused),
            "refused in a tool and in a content block, not known at the top level"
        );
    }

    #[test]
    fn claims_say_their_range_and_their_words() {
        let claim = |note: Option<&str>, range| ClaimResult {
            status: crate::catalog::ClaimStatus::Supported,
            note: note.map(str::to_owned),
            range,
        };
        let range = Some(Range { min: 0.0, max: 1.5 });
        assert_eq!(claim_words(&claim(Some("fully"), range)).as_deref(), Some("from 0 to 1.5, \"fully\""));
        assert_eq!(claim_words(&claim(Some(" "), None)), None);
    }
}
