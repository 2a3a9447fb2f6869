//! The two runs that watch over all others: one mutant that must die, one that must survive.
//!
//! Pure: what to change in the server, and what its run means. Were the machinery to change nothing, the canary would
//! live; were it to see change everywhere, the control would die.

use crate::catalog::{ClaimStatus, VerdictStatus};
use crate::mutation::observation::Shown;
use crate::mutation::outcome::change;
use crate::mutation::subject::{Changes, Ground, SEED};
use crate::results::mutation::{Canary, Control};

/// The inverted control: every row set to the status that it has, through the same door as mutants, and another seed
/// for whatever the server leaves to chance.
pub(super) fn control(ground: &Ground) -> Changes {
    let behaviour = ground.behaviour();
    let rows = ground.rows();
    let statuses = rows.iter().filter_map(|row| {
        let id = row.experiment.id();
        Some((id.to_owned(), behaviour.status(id)?))
    });
    Changes { statuses: statuses.collect(), faults: Vec::new(), seed: SEED + 1 }
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

/// The canary: a server that ignores every field that a row says can be ignored, but for those that most requests carry
/// anyway. Without them it would not even hear the question, and any experiment would notice that.
pub(super) fn canary(ground: &Ground, before: &Shown) -> Changes {
    let behaviour = ground.behaviour();
    let rows: Vec<_> = ground.rows().into_iter().filter(|row| row.experiment.is_of_field()).collect();
    let ids: Vec<&str> = rows.iter().map(|row| row.experiment.id()).collect();
    let carry = |field: &str| ids.iter().filter(|id| before.acted(field, id, None)).count();
    let deaf = rows.iter().filter(|row| row.experiment.statuses.contains(&VerdictStatus::Ignored));
    let meant = deaf.map(|row| row.experiment.id()).filter(|id| {
        let known = behaviour.known_as(id);
        known.is_some_and(|field| carry(field) * 2 <= ids.len())
    });
    let statuses = meant.map(|id| (id.to_owned(), ClaimStatus::Ignored)).collect();
    Changes { statuses, faults: Vec::new(), seed: SEED }
}

/// What the canary's run means. `killed` tells the rows that did see it when they alone were ignored.
pub(super) fn weigh_canary(ground: &Ground, before: &Shown, after: &Shown, killed: impl Fn(&str) -> bool) -> Canary {
    let was_supported = |id: &str| before.rows.get(id).is_some_and(|r| r.verdict.status == VerdictStatus::Supported);
    let is_supported = |id: &str| after.rows.get(id).is_some_and(|r| r.verdict.status == VerdictStatus::Supported);
    let mutated = canary(ground, before).statuses;
    let could: Vec<&str> = mutated.iter().map(|(id, _)| id.as_str()).filter(|id| was_supported(id)).collect();
    let deceived: Vec<String> = could.iter().filter(|id| is_supported(id)).map(|id| (*id).to_owned()).collect();
    Canary {
        rows: could.len() as u64,
        noticed: (could.len() - deceived.len()) as u64,
        at_odds: deceived.iter().filter(|id| killed(id)).cloned().collect(),
        deceived,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use VerdictStatus::{Ignored, Inconclusive, Supported};

    use super::*;
    use crate::mutation::fixtures::{Scene, catalog};
    use crate::recording::run::ArmKind;

    fn ground() -> Ground {
        let catalog = catalog();
        Ground { target: Arc::new(catalog.targets["anthropic"].clone()), catalog }
    }

    fn before() -> Scene {
        Scene::of(&[("field.top_k", Supported), ("field.top_p", Supported), ("field.stream", Ignored)])
    }

    fn weighed(after: Scene) -> Canary {
        weigh_canary(&ground(), &before().shown(), &after.shown(), |row| row == "field.top_k")
    }

    #[test]
    fn the_control_survives_where_nothing_changes_and_not_where_anything_does() {
        let weighed = |after: Scene| weigh_control(&before().shown(), &after.shown(), |_| true);
        assert!(weighed(before()).survived());
        let changed = weighed(before().with("field.top_k", Inconclusive));
        assert!(!changed.survived());
        assert_eq!(changed.changes[0].row, "field.top_k");
    }

    #[test]
    fn the_canary_dies_where_it_is_noticed() {
        let seen = weighed(before().with("field.top_k", Ignored).with("field.top_p", Inconclusive));
        assert!(seen.died());
        assert_eq!((seen.rows, seen.noticed), (2, 2));
    }

    #[test]
    fn a_canary_that_nobody_notices_lives() {
        assert!(!weighed(before()).died());
    }

    #[test]
    fn a_row_that_sees_its_own_mutant_and_not_the_canary_is_at_odds_with_itself() {
        let seen = weighed(before().with("field.top_p", Ignored));
        assert!(!seen.died());
        assert_eq!(seen.at_odds, ["field.top_k"]);
    }

    #[test]
    fn a_blind_row_is_named_and_does_not_keep_the_canary_alive() {
        let seen = weighed(before().with("field.top_k", Ignored));
        assert!(seen.died());
        assert_eq!(seen.deceived, ["field.top_p"]);
    }

    #[test]
    fn the_control_sets_every_row_to_what_it_is() {
        let ground = ground();
        let behaviour = ground.behaviour();
        let statuses = control(&ground).statuses;
        let fields = ground.rows().into_iter().filter(|row| row.experiment.is_of_field());
        assert_eq!(statuses.len(), fields.count());
        assert!(statuses.iter().all(|(row, status)| behaviour.status(row) == Some(*status)));
    }

    #[test]
    fn the_canary_ignores_all_that_can_be_ignored_but_what_every_request_carries() {
        let ground = ground();
        let all = ground.rows().into_iter().map(|row| row.experiment.id().to_owned());
        let everywhere = all.fold(before(), |scene, row| scene.acting("field.max_tokens", &row, ArmKind::Negative));
        let canary = |scene: Scene| canary(&ground, &scene.shown()).statuses;
        assert!(canary(before()).iter().all(|(_, status)| *status == ClaimStatus::Ignored));
        assert_eq!(canary(everywhere.clone()).len() + 1, canary(before()).len());
        assert!(canary(everywhere).iter().all(|(row, _)| row != "field.max_tokens"));
    }
}
