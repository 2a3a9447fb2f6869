//! The two runs that watch over all others: one mutant that must die, one that must survive.
//!
//! Pure: what to change in the server, and what its run means. Were the machinery to change nothing, the canary would
//! live; were it to see change everywhere, the control would die.

use super::fate::change;
use super::ground::{Changes, Ground, SEED};
use super::shown::Shown;
use crate::case::{ClaimStatus, VerdictStatus};
use crate::report::proof::{Canary, Control};

/// The inverted control: every row set to the status that it has, through the same door as mutants, and another seed
/// for whatever the server leaves to chance.
pub(super) fn control(ground: &Ground) -> Changes {
    let behaviour = ground.behaviour();
    let rows = ground.rows();
    let statuses = rows.iter().filter_map(|row| {
        let id = row.experiment.id();
        Some((id.to_owned(), behaviour.status(id)?))
    });
    Changes { statuses: statuses.collect(), seed: SEED + 1 }
}

/// What the control's run means.
pub(super) fn weigh_control(before: &Shown, after: &Shown, asked: impl Fn(&str) -> bool) -> Control {
    let rows: Vec<_> = after.rows.values().filter(|row| asked(&row.id)).collect();
    let changed = rows.iter().filter_map(|now| {
        let was = before.rows.get(&now.id)?;
        (was.verdict.status != now.verdict.status).then(|| change(was, now))
    });
    Control { rows: rows.len() as u64, changes: changed.collect() }
}

/// The canary: a server that ignores every field that a row says can be ignored.
pub(super) fn canary(ground: &Ground) -> Changes {
    let behaviour = ground.behaviour();
    let rows = ground.rows();
    let deaf = rows.iter().filter(|row| row.experiment.statuses.contains(&VerdictStatus::Ignored));
    let known = deaf.map(|row| row.experiment.id().to_owned()).filter(|id| behaviour.status(id).is_some());
    Changes { statuses: known.map(|id| (id, ClaimStatus::Ignored)).collect(), seed: SEED }
}

/// What the canary's run means. `killed` tells the rows that did see it when they alone were ignored.
pub(super) fn weigh_canary(ground: &Ground, before: &Shown, after: &Shown, killed: impl Fn(&str) -> bool) -> Canary {
    let was_supported = |id: &str| before.rows.get(id).is_some_and(|r| r.verdict.status == VerdictStatus::Supported);
    let is_supported = |id: &str| after.rows.get(id).is_some_and(|r| r.verdict.status == VerdictStatus::Supported);
    let mutated = canary(ground).statuses;
    let could: Vec<&str> = mutated.iter().map(|(id, _)| id.as_str()).filter(|id| was_supported(id)).collect();
    let deceived: Vec<String> = could.iter().filter(|id| is_supported(id)).map(|id| (*id).to_owned()).collect();
    Canary {
        rows: could.len() as u64,
        noticed: (could.len() - deceived.len()) as u64,
        at_odds: deceived.iter().filter(|id| killed(id)).cloned().collect(),
        deceived,
    }
}
