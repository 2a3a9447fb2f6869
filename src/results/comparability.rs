//! Lists what differs between two runs apart from their verdicts and findings.
//!
//! Reports the differences and does not judge them: comparing two models may be the purpose.

use crate::results::model::Results;

/// The differences between a first and a second run, one sentence each.
pub(crate) fn differences(old: &Results, new: &Results) -> Vec<String> {
    let mut notes = Vec::new();
    let mut compare = |what: &str, old: &str, new: &str| {
        if old != new {
            notes.push(format!("{what} differs: {old} and {new}"));
        }
    };
    compare("the target", &old.target.name, &new.target.name);
    compare("the model", &old.target.model, &new.target.model);
    compare("the API version", &old.target.anthropic_version, &new.target.anthropic_version);
    let responder = |run: &Results| if run.target.simulated { "the simulator" } else { "a live endpoint" };
    compare("the tested endpoint", responder(old), responder(new));
    compare("the table of claims", &describe_claims(old), &describe_claims(new));
    compare("the required confidence", &old.confidence.to_string(), &new.confidence.to_string());
    for (run, position) in [(old, "first"), (new, "second")] {
        if let Some(reason) = &run.partial {
            notes.push(format!("the {position} run is partial: {reason}"));
        }
    }
    let count_missing = |a: &Results, b: &Results| a.rows.iter().filter(|row| b.find_row(&row.id).is_none()).count();
    match (count_missing(old, new), count_missing(new, old)) {
        (0, 0) => {}
        (only_old, only_new) => {
            notes.push(format!("the rows differ: {only_old} only in the first run, {only_new} only in the second run"))
        }
    }
    notes
}

/// The claiming target, with the revisions of its documents.
fn describe_claims(run: &Results) -> String {
    run.target.claims.as_ref().map_or("none".to_owned(), |claims| {
        let revisions: Vec<&str> = claims.sources.iter().map(|source| source.revision.as_str()).collect();
        format!("{} ({})", claims.target, revisions.join(", "))
    })
}
