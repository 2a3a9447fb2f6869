//! Sentences about a run and a row that every report says in the same words, before any format's escaping.

use crate::catalog::{ClaimSource, ClaimedRange, TargetLimits};
use crate::report::common::format;
use crate::results::baseline::{BaselineComparison, BaselineEntry, EntryStatus};
use crate::results::model::{
    ClaimResult, EndpointStrictness, RepeatSummary, Results, RowResult, UnknownKeyReaction, VerdictStability,
};

/// Why a run is not whole, and how much of it is missing; nothing for a whole run.
pub(crate) fn partial_reason(run: &Results) -> Option<String> {
    let reason = run.partial.as_deref()?;
    let missing = format::plural(run.summary.skipped, "row was", "rows were");
    let stop = if reason.ends_with(['.', '?', '!', '…']) { "" } else { "." };
    Some(format!("{reason}{stop} {missing} not run, of {}.", format::with_thousands(run.summary.rows)))
}

/// A document's revision, and when it was read.
pub(crate) fn describe_revision(source: &ClaimSource) -> String {
    format!("revision {}, read on {}", source.revision, source.read_on)
}

/// The limits that the document claims, each in words.
pub(crate) fn describe_limits(limits: &TargetLimits) -> Vec<String> {
    // Destructured, so that a new limit cannot be forgotten here.
    let TargetLimits {
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
    .filter_map(|(limit, before, after)| limit.map(|n| format!("{before}{}{after}", format::with_thousands(n.into()))))
    .collect()
}

/// What is said of an endpoint that treats equal requests unequally.
pub(crate) const INCONSISTENT_ENDPOINT_NOTE: &str = "equal requests are treated unequally (several unequal servers behind one address?); each verdict rests on many trials";

/// How often the plan was run, and how many rows came out the same every time.
pub(crate) fn describe_repeats(run: &Results) -> Option<String> {
    let RepeatSummary { runs, stable, .. } = run.repeats.as_ref()?;
    let runs = format::plural(*runs, "run", "runs");
    let rows = format::plural(run.summary.rows, "row", "rows");
    Some(format!("{runs}; {} of {rows} came out the same in each", format::with_thousands(*stable)))
}

/// What the endpoint does with invented keys.
pub(crate) fn describe_strictness(strictness: &EndpointStrictness) -> String {
    let EndpointStrictness { top_level, tool, block } = *strictness;
    let places = [(top_level, "at the top level"), (tool, "in a tool"), (block, "in a content block")];
    let groups = [
        (UnknownKeyReaction::Accepted, "accepted"),
        (UnknownKeyReaction::Refused, "refused"),
        (UnknownKeyReaction::Unknown, "not known"),
    ];
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
pub(crate) fn describe_responder(run: &Results) -> String {
    match (&run.gateway, run.target.simulated) {
        (Some(gateway), _) => format!(
            "a gateway, whose upstream was scripted (shape {}, {})",
            gateway.shape,
            format::plural(gateway.upstream_calls, "call", "calls")
        ),
        (None, true) => "the built-in simulator".to_owned(),
        (None, false) => "the live endpoint".to_owned(),
    }
}

/// What the endpoint does with invented keys, where the run asked; against gateways that is a matter of rows.
pub(crate) fn describe_unknown_keys(run: &Results) -> Option<String> {
    run.gateway.is_none().then(|| describe_strictness(&run.strictness))
}

/// The confidence asked for, where statistics decide.
pub(crate) fn describe_confidence(run: &Results) -> Option<String> {
    run.gateway.is_none().then(|| run.confidence.to_string())
}

/// What a verdict rests on: the verdict's reason and qualifiers.
pub(crate) fn reason(row: &RowResult) -> String {
    let reason = &row.verdict.reason;
    let unstable = row.stability.as_ref().filter(|stability| !stability.is_stable() && stability.runs > 1);
    let qualifiers: Vec<String> =
        row.verdict.qualifiers.iter().cloned().chain(unstable.map(VerdictStability::describe)).collect();
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
pub(crate) fn describe_claim(claim: &ClaimResult) -> Option<String> {
    let range = claim.range.map(|ClaimedRange { min, max }| format!("from {min} to {max}"));
    let note = claim.note.as_deref().filter(|note| !note.trim().is_empty()).map(|note| format!("\"{note}\""));
    match (range, note) {
        (Some(range), Some(note)) => Some(format!("{range}, {note}")),
        (range, note) => range.or(note),
    }
}

/// The words for a case.
pub(crate) fn entry_status(case: EntryStatus) -> &'static str {
    if case == EntryStatus::NotRun { "not run" } else { case.as_str() }
}

/// How many rows and findings there are of each case, each in words; none is told of none.
pub(crate) fn baseline_counts(held: &BaselineComparison) -> Vec<(Option<EntryStatus>, String)> {
    let cases = EntryStatus::ALL.map(|of| match of {
        EntryStatus::Regression => {
            (Some(of), held.counts.regression, if held.counts.regression == 1 { "regression" } else { "regressions" })
        }
        EntryStatus::Stale | EntryStatus::Unconfirmed | EntryStatus::NotRun | EntryStatus::Expected => {
            (Some(of), held.counts.get(of), entry_status(of))
        }
    });
    let rest = [(None, held.counts.passes, "pass"), (None, held.counts.undetermined, "undetermined and not listed")];
    let told = cases.into_iter().chain(rest).filter(|(_, n, _)| *n > 0);
    told.map(|(case, n, word)| (case, format!("{} {word}", format::with_thousands(n)))).collect()
}

/// What must be known of a baseline that is an earlier run: which run it was, and what differs.
pub(crate) fn baseline_notes(held: &BaselineComparison) -> Vec<String> {
    let run = held.earlier.as_ref().map(|run| {
        format!("an earlier run: {}, model {}, {}", run.target, run.model, format::timestamp(&run.started_at))
    });
    run.into_iter().chain(held.notes.iter().cloned()).collect()
}

/// Why an entry is listed, and how long; nothing where the baseline says nothing.
pub(crate) fn describe_expectation(entry: &BaselineEntry) -> Option<String> {
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
        use UnknownKeyReaction::{Accepted, Refused, Unknown};
        let told = |top_level, tool, block| describe_strictness(&EndpointStrictness { top_level, tool, block });
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
        let range = Some(ClaimedRange { min: 0.0, max: 1.5 });
        assert_eq!(describe_claim(&claim(Some("fully"), range)).as_deref(), Some("from 0 to 1.5, \"fully\""));
        assert_eq!(describe_claim(&claim(Some(" "), None)), None);
    }
}
