//! Sentences about runs and rows that several report formats share, without the escaping of any format.

use crate::catalog::{ClaimSource, ClaimedRange, TargetLimits};
use crate::results::baseline::{BaselineComparison, BaselineEntry, EntryStatus};
use crate::results::format;
use crate::results::model::{
    ClaimResult, ClaimTally, EndpointStrictness, FindingSummary, RepeatSummary, Results, ResultsSummary, RowResult,
    RunTotals, UnfollowedKind, UnknownKeyReaction, VerdictStability,
};

/// The introduction of a report.
pub(crate) const INTRODUCTION: &str = "What the endpoint does with each field, found by experiments and compared with \
                                       the documentation. A run tests one endpoint and one model at one time. It says \
                                       nothing about others.";

/// The note below a table with claimed limits.
pub(crate) const LIMITS_NOTE: &str = "The run respects claimed limits. Only rows about limits test them.";

/// The note about an endpoint that is a simulation.
pub(crate) const SIMULATION_NOTE: &str = "all responses come from the built-in simulator, which follows the claims. This \
                                          column tests the experiments. It says nothing about the servers of the \
                                          provider.";

/// The note about an endpoint that treats equal requests differently.
pub(crate) const INCONSISTENT_ENDPOINT_NOTE: &str = "inconsistent endpoint: equal requests get different treatment \
                                                     (several servers behind one address?). Each verdict uses many \
                                                     trials";

/// How to read a cell of the matrix.
pub(crate) const MATRIX_NOTE: &str = "A cell shows the verdict, with a mark that compares it with the claim. The claim is \
                                      below the verdict.";

/// The introduction of the findings.
pub(crate) const FINDINGS_NOTE: &str = "Protocol faults in the responses to the requests of any row. Each check has a page \
                                        in the repository of fieldtest.";

/// Adds a full stop to a text without a final punctuation mark.
pub(crate) fn end_sentence(text: &str) -> String {
    let stop = if text.ends_with(['.', '?', '!', '…']) { "" } else { "." };
    format!("{text}{stop}")
}

/// Why a run is partial, and how many of its rows are missing; `None` for a complete run.
pub(crate) fn partial_reason(run: &Results) -> Option<String> {
    let reason = end_sentence(run.partial.as_deref()?);
    let missing = format::with_thousands(run.summary.skipped);
    let verb = if run.summary.skipped == 1 { "was" } else { "were" };
    Some(format!("{reason} {missing} of {} {verb} not run.", format::plural(run.summary.rows, "row", "rows")))
}

/// The revision of a document, and when it was read.
pub(crate) fn describe_revision(source: &ClaimSource) -> String {
    format!("revision {}, read on {}", source.revision, source.read_on)
}

/// The limits that the documents claim, in words.
pub(crate) fn describe_limits(limits: &TargetLimits) -> Vec<String> {
    // Destructured, so that the compiler reports a new limit that is missing here.
    let TargetLimits {
        requests_per_minute,
        tokens_per_minute,
        concurrency,
        context_tokens,
        max_input_tokens,
        max_output_tokens,
    } = limits;
    [
        (requests_per_minute, "", " requests per minute"),
        (tokens_per_minute, "", " tokens per minute"),
        (&concurrency.map(u32::from), "", " concurrent requests"),
        (context_tokens, "context of ", " tokens"),
        (max_input_tokens, "prompts of at most ", " tokens"),
        (max_output_tokens, "responses of at most ", " tokens"),
    ]
    .into_iter()
    .filter_map(|(limit, before, after)| limit.map(|n| format!("{before}{}{after}", format::with_thousands(n.into()))))
    .collect()
}

/// The number of repeated runs, and of rows with the same verdict in each.
pub(crate) fn describe_repeats(run: &Results) -> Option<String> {
    let RepeatSummary { runs, stable, .. } = run.repeats.as_ref()?;
    let runs = format::plural(*runs, "run", "runs");
    let rows = format::plural(run.summary.rows, "row", "rows");
    Some(format!("{runs}; {} of {rows} have the same verdict in each", format::with_thousands(*stable)))
}

/// What the endpoint does with unknown keys; `None` for gateways, where rows test this.
pub(crate) fn describe_unknown_keys(run: &Results) -> Option<String> {
    run.gateway.is_none().then(|| describe_strictness(&run.strictness))
}

fn describe_strictness(strictness: &EndpointStrictness) -> String {
    let EndpointStrictness { top_level, tool, block } = *strictness;
    let places = [(top_level, "at the top level"), (tool, "in a tool"), (block, "in a content block")];
    let groups = [
        (UnknownKeyReaction::Accepted, "accepted"),
        (UnknownKeyReaction::Refused, "rejected"),
        (UnknownKeyReaction::Unknown, "unknown"),
    ];
    let groups = groups.into_iter().filter_map(|(reaction, word)| {
        let at: Vec<&str> = places.iter().filter(|place| place.0 == reaction).map(|place| place.1).collect();
        match at.as_slice() {
            [] => None,
            [_, _, _] => Some(word.to_owned()),
            some => Some(format!("{word} {}", some.join(" and "))),
        }
    });
    groups.collect::<Vec<_>>().join(", ")
}

/// The kind of the tested endpoint.
pub(crate) fn describe_responder(run: &Results) -> String {
    match (&run.gateway, run.target.simulated) {
        (Some(gateway), _) => format!(
            "a gateway with a scripted upstream ({}, {})",
            gateway.shape,
            format::plural(gateway.upstream_calls, "call", "calls")
        ),
        (None, true) => "the built-in simulator".to_owned(),
        (None, false) => "the live endpoint".to_owned(),
    }
}

/// The required confidence; `None` for gateways, where no statistics decide.
pub(crate) fn describe_confidence(run: &Results) -> Option<String> {
    run.gateway.is_none().then(|| run.confidence.to_string())
}

/// The reason of a verdict, with its qualifiers.
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

/// How the conforming claims of `supported` are met: `21 proven, 9 validated, 13 accepted`. `None` without
/// such claims.
pub(crate) fn describe_met_claims(summary: &ResultsSummary) -> Option<String> {
    let ClaimTally { supported, validated, accepted } = summary.met_by;
    let counts = [(supported, "proven"), (validated, "validated"), (accepted, "accepted")];
    let counts = counts.map(|(n, word)| format!("{} {word}", format::with_thousands(n)));
    (supported + validated + accepted > 0).then(|| counts.join(", "))
}

/// The details of a claim: what is missing, its range and values, and the wording of the document.
pub(crate) fn describe_claim(claim: &ClaimResult) -> Option<String> {
    let text = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    let details = [
        text(&claim.missing),
        claim.range.map(|ClaimedRange { min, max }| format!("from {min} to {max}")),
        (!claim.values.is_empty()).then(|| claim.values.join(", ")),
        text(&claim.note).map(|note| format!("\"{note}\"")),
    ];
    let details: Vec<String> = details.into_iter().flatten().collect();
    (!details.is_empty()).then(|| details.join(", "))
}

/// In how many responses a fault was found, and how many rows use them. Rows share requests, so there may
/// be more rows than responses.
pub(crate) fn describe_occurrences(finding: &FindingSummary) -> String {
    let responses = describe_responses(finding.count);
    match finding.rows.len() as u64 {
        0 => responses,
        rows => format!("{responses}, used by {}", format::plural(rows, "row", "rows")),
    }
}

/// `looks canned: followed 0 of 12 instructions; 59 rows need a model`; `None` if the endpoint followed
/// an instruction.
pub(crate) fn describe_unfollowed(run: &Results) -> Option<String> {
    let unfollowed = run.unfollowed.as_ref()?;
    let kind = match unfollowed.kind {
        UnfollowedKind::Canned => "looks canned",
        UnfollowedKind::Echo => "repeats its prompts",
        UnfollowedKind::Varied => "follows no instruction",
    };
    let rows = format::plural(run.summary.needs_model, "row needs", "rows need");
    Some(format!("{kind}: followed 0 of {} instructions; {rows} a model", unfollowed.asked))
}

/// `in 2 responses`
pub(crate) fn describe_responses(count: u64) -> String {
    format!("in {}", format::plural(count, "response", "responses"))
}

/// The word for the status of an entry.
pub(crate) fn entry_status(case: EntryStatus) -> &'static str {
    if case == EntryStatus::NotRun { "not run" } else { case.as_str() }
}

/// The number of rows and findings with each status, in words, without zeros.
pub(crate) fn baseline_counts(comparison: &BaselineComparison) -> Vec<(Option<EntryStatus>, String)> {
    let counts = &comparison.counts;
    let statuses = EntryStatus::ALL.map(|status| {
        let label = match status {
            EntryStatus::Regression if counts.regression != 1 => "regressions",
            _ => entry_status(status),
        };
        (Some(status), counts.get(status), label)
    });
    let others = [(None, counts.passes, "pass"), (None, counts.undetermined, "undetermined and not listed")];
    let counted = statuses.into_iter().chain(others).filter(|(_, n, _)| *n > 0);
    counted.map(|(status, n, label)| (status, format!("{} {label}", format::with_thousands(n)))).collect()
}

/// The earlier run that serves as the baseline, and its differences from this run.
pub(crate) fn baseline_notes(comparison: &BaselineComparison) -> Vec<String> {
    let run = comparison.earlier.as_ref().map(|run| {
        format!("an earlier run: {}, model {}, {}", run.target, run.model, format::timestamp(&run.started_at))
    });
    run.into_iter().chain(comparison.notes.iter().cloned()).collect()
}

/// Why an entry is listed, and until when; `None` if the baseline has no details.
pub(crate) fn describe_expectation(entry: &BaselineEntry) -> Option<String> {
    let until = entry.until.as_deref().map(|day| format!("until {day}"));
    let reason = entry.reason.as_deref().map(|reason| format!("listed: {reason}"));
    let parts: Vec<String> = [reason, entry.link.clone(), until].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The estimate made before a run and the actual totals, with the time.
pub(crate) fn compare_plan_with_totals(totals: &RunTotals) -> Option<String> {
    let comparison = compare_plan_without_time(totals)?;
    Some(format!("{comparison}, {}", format::duration(totals.wall_ms)))
}

/// The estimate made before a run and the actual totals, without the actual time.
pub(crate) fn compare_plan_without_time(totals: &RunTotals) -> Option<String> {
    let planned = totals.planned.as_ref()?;
    let mut actual = vec![
        format::plural(totals.requests, "request", "requests"),
        format!("{} tokens in", format::with_thousands(totals.input_tokens)),
        format!("{} tokens out", format::with_thousands(totals.output_tokens)),
    ];
    actual.extend(totals.cost_usd.map(format::dollars));
    Some(format!(
        "planned {}, {} / actual {}",
        planned.describe(),
        planned.seconds.describe_duration(),
        actual.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::plan_estimate::{AmountRange, PlanEstimate, RequestRange, TokenRange};

    #[test]
    fn reactions_to_unknown_keys_are_grouped() {
        use UnknownKeyReaction::{Accepted, Refused, Unknown};
        let describe = |top_level, tool, block| describe_strictness(&EndpointStrictness { top_level, tool, block });
        assert_eq!(describe(Accepted, Accepted, Accepted), "accepted");
        assert_eq!(describe(Unknown, Unknown, Unknown), "unknown");
        assert_eq!(
            describe(Accepted, Refused, Accepted),
            "accepted at the top level and in a content block, rejected in a tool"
        );
        assert_eq!(
            describe(Unknown, Refused, Refused),
            "rejected in a tool and in a content block, unknown at the top level"
        );
    }

    #[test]
    fn claims_have_their_range_and_wording() {
        let claim = |note: Option<&str>, range| ClaimResult {
            note: note.map(str::to_owned),
            range,
            ..ClaimResult::new(crate::catalog::ClaimStatus::Supported)
        };
        let range = Some(ClaimedRange { min: 0.0, max: 1.5 });
        assert_eq!(describe_claim(&claim(Some("fully"), range)).as_deref(), Some("from 0 to 1.5, \"fully\""));
        assert_eq!(describe_claim(&claim(Some(" "), None)), None);
    }

    fn make_estimate(expected: Option<u64>) -> PlanEstimate {
        PlanEstimate {
            requests: RequestRange { min: 98, expected, max: 2310 },
            input_tokens: TokenRange { expected, max: 2_000_000 },
            output_tokens: TokenRange { expected, max: 5000 },
            cost_usd: Some(AmountRange { expected: expected.map(|_| 0.05), max: 1.2 }),
            seconds: AmountRange { expected: expected.map(|_| 125.0), max: 3720.0 },
        }
    }

    #[test]
    fn the_estimate_is_shown_with_the_actual_totals() {
        let mut totals =
            RunTotals { requests: 431, input_tokens: 9, cost_usd: Some(0.04), wall_ms: 2000, ..RunTotals::default() };
        assert_eq!(compare_plan_with_totals(&totals), None);
        totals.planned = Some(make_estimate(Some(420)));
        assert_eq!(
            compare_plan_with_totals(&totals).as_deref(),
            Some(
                "planned about 420 requests (98 to 2,310), about 420 tokens (at most 2,000,000) in, about 420 tokens (at \
                 most 5,000) out, about $0.0500 (at most $1.20), about 2 min 5 s (at most 1 h 2 min) / actual 431 \
                 requests, 9 tokens in, 0 tokens out, $0.0400, 2.0 s"
            )
        );
        totals.planned = Some(make_estimate(None));
        assert!(
            compare_plan_with_totals(&totals)
                .unwrap()
                .starts_with("planned 98 to 2,310 requests, at most 2,000,000 tokens in")
        );
    }

    #[test]
    fn occurrences_count_responses_and_rows() {
        let mut finding = crate::results::fixtures::every_outcome().findings.remove(0);
        assert_eq!(describe_occurrences(&finding), "in 2 responses, used by 1 row");
        (finding.count, finding.rows) = (1, Vec::new());
        assert_eq!(describe_occurrences(&finding), "in 1 response");
    }

    #[test]
    fn a_sentence_gets_one_full_stop() {
        assert_eq!(["done", "done.", "why?"].map(end_sentence), ["done.", "done.", "why?"]);
    }
}
