//! How far two runs can be compared: what differs between them beside what they found.
//!
//! Tells, and judges nothing: a comparison over a difference may be just what is wanted.

use crate::results::model::Results;

/// What differs between a first and a second run, a sentence each.
pub(crate) fn differences(old: &Results, new: &Results) -> Vec<String> {
    let mut told = Vec::new();
    let mut differ = |what: &str, old: &str, new: &str| {
        if old != new {
            told.push(format!("{what} differs: {old} and {new}"));
        }
    };
    differ("the target", &old.target.name, &new.target.name);
    differ("the model", &old.target.model, &new.target.model);
    differ("the contract", &old.target.anthropic_version, &new.target.anthropic_version);
    let answered = |run: &Results| if run.target.simulated { "the simulator" } else { "the live endpoint" };
    differ("who answered", answered(old), answered(new));
    differ("the table of claims", &describe_claims(old), &describe_claims(new));
    differ("the confidence asked for", &old.confidence.to_string(), &new.confidence.to_string());
    for (run, when) in [(old, "first"), (new, "second")] {
        if let Some(partial) = &run.partial {
            told.push(format!("the {when} run is partial: {partial}"));
        }
    }
    let lacks = |a: &Results, b: &Results| a.rows.iter().filter(|row| !b.rows.iter().any(|r| r.id == row.id)).count();
    match (lacks(old, new), lacks(new, old)) {
        (0, 0) => {}
        (gone, come) => told.push(format!("the rows differ: {gone} only in the first run, {come} only in the second")),
    }
    told
}

/// Whose claims, and of which revision.
fn describe_claims(run: &Results) -> String {
    run.target.claims.as_ref().map_or("none".to_owned(), |claims| {
        let revisions: Vec<&str> = claims.sources.iter().map(|source| source.revision.as_str()).collect();
        format!("{} ({})", claims.target, revisions.join(", "))
    })
}
