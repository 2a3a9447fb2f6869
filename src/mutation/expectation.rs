//! What may become of the other rows when one field changes: [`RowExpectations`].
//!
//! Pure, and without the dependencies that the engine computes. The expectation follows from the
//! requests that have the field, from what the simulator answers without the field
//! (`stripped_responses`), and from the configuration of the mutated server.

use std::collections::BTreeMap;

use crate::catalog::{Catalog, VerdictStatus};
use crate::mutation::mutant::{RowMutant, expected_verdict, resolve_field_row};
use crate::mutation::observation::RunObservation;
use crate::mutation::stripped_responses::{StrippedResponses, has_complete_trial};
use crate::results::model::Verdict;
use crate::results::mutation::{FollowReason, MutantOutcome};
use crate::simulator::SimulatorConfig;

/// Fields that are required parts of others: no request has one without the other.
const REQUIRED_PARTS: [(&str, &str); 3] =
    [("field.thinking.budget_tokens", "field.thinking"), ("tools.name", "tools"), ("tools.input_schema", "tools")];

/// Rows about a part or a form of another row's field. Other parts have an id that begins with the
/// id of the field.
const FIELD_PARTS: [(&str, &str); 6] = [
    ("field.system", "system.blocks"),
    ("field.max_tokens", "limit.max_output_tokens"),
    ("limit.max_output_tokens", "field.max_tokens.large"),
    ("content.text.cache_control", "cache_control.ttl"),
    ("content.text.cache_control", "cache_control.scope"),
    ("content.text.cache_control", "cache_control.billing_header"),
];

/// What the rows that are not mutated may do in a run with mutants.
pub(super) struct RowExpectations<'a> {
    pub catalog: &'a Catalog,
    pub before: &'a RunObservation,
    pub after: &'a RunObservation,
    /// The mutated server.
    pub config: &'a SimulatorConfig,
    /// What rows lose without a field, by the row of the field.
    pub stripped: &'a BTreeMap<String, StrippedResponses>,
    pub mutants: &'a [RowMutant],
}

/// What a row does because of the mutants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RowReaction {
    /// The verdict is unchanged, as it must or may be.
    Unchanged,
    /// The verdict changes, as it may, because of the mutant at this index.
    Follows(usize, FollowReason),
    /// The verdict is wrong.
    Wrong(MutantOutcome),
}

impl RowExpectations<'_> {
    /// Compares the verdict of a row with what the mutated server allows.
    pub fn evaluate(&self, row: &str, was: &Verdict, now: &Verdict) -> RowReaction {
        let sending: Vec<usize> = (0..self.mutants.len()).filter(|i| self.sends_field(row, *i)).collect();
        let is_same = (was.status, &was.code) == (now.status, &now.code);
        // A row can reach its strongest word in several ways.
        if is_same || (was.is_strongest() && now.is_strongest() && was.status.is_positive()) {
            let is_kept = sending.iter().any(|i| self.loses_ground(row, now.status, *i));
            return if is_kept { RowReaction::Wrong(MutantOutcome::Kept) } else { RowReaction::Unchanged };
        }
        let relatives = || sending.iter().copied().find(|i| self.shares_field(row, *i));
        let named = || (0..self.mutants.len()).find(|i| self.is_named(now, *i) || self.is_named(was, *i));
        let is_true = self.config.status(row).map(expected_verdict);
        if now.status.is_decided() && !now.status.is_positive() {
            if let Some(i) = relatives().filter(|i| self.explains(*i, now.status)) {
                return RowReaction::Follows(i, FollowReason::SameField);
            }
            // The mutation can end what prevented the right verdict.
            return match sending.first() {
                Some(i) if is_true == Some(now.status) => RowReaction::Follows(*i, FollowReason::SendsField),
                _ => RowReaction::Wrong(MutantOutcome::Accused),
            };
        }
        if now.status.is_positive() {
            let is_false = is_true.is_some_and(|status| !status.is_positive()) && relatives().is_none();
            let cause = sending.first().copied().or_else(named).or_else(|| self.find_contrast(row));
            return match cause {
                _ if is_false => RowReaction::Wrong(MutantOutcome::Kept),
                Some(i) => RowReaction::Follows(i, FollowReason::SendsField),
                None => RowReaction::Wrong(MutantOutcome::Changed),
            };
        }
        match (named(), sending.first()) {
            (Some(i), _) => RowReaction::Follows(i, FollowReason::WorksThrough),
            (None, None) => RowReaction::Wrong(MutantOutcome::Changed),
            (None, Some(i)) if now.blocked_by.is_empty() || self.names_sender(now, &sending) => {
                match self.loses_something(row, &sending) {
                    true => RowReaction::Follows(*i, FollowReason::SendsField),
                    false => RowReaction::Wrong(MutantOutcome::Changed),
                }
            }
            (None, Some(_)) => RowReaction::Wrong(MutantOutcome::Unnamed),
        }
    }

    /// The wrong verdicts that an engine with a defect would reach: without dependencies, a blocked
    /// row accuses its own field; without a look at the form of responses, a row keeps its verdict.
    pub fn forge_verdicts(&self, row: &str, was: &Verdict, now: &Verdict) -> Vec<(MutantOutcome, Verdict)> {
        let mut forged = Vec::new();
        let shares =
            |status| (0..self.mutants.len()).any(|i| self.shares_field(row, i) && self.mutants[i].status == status);
        if let Some(own) = now.by_itself.as_ref().filter(|_| (0..self.mutants.len()).any(|i| self.is_named(now, i)))
            && own.status.is_decided()
            && !own.status.is_positive()
            && was.status != own.status
            && !shares(own.status)
        {
            forged.push((MutantOutcome::Accused, Verdict::new(own.status, own.reason.clone())));
        }
        let lacks_ground =
            || (0..self.mutants.len()).any(|i| self.sends_field(row, i) && self.loses_ground(row, was.status, i));
        if !now.status.is_decided() && lacks_ground() {
            forged.push((MutantOutcome::Kept, was.clone()));
        }
        forged
    }

    fn field(&self, mutant: usize) -> &str {
        resolve_field_row(self.catalog, &self.mutants[mutant].row)
    }

    fn sends_field(&self, row: &str, mutant: usize) -> bool {
        let field = self.field(mutant);
        self.before.acted_on(field, row, None) || self.after.acted_on(field, row, None)
    }

    fn is_named(&self, verdict: &Verdict, mutant: usize) -> bool {
        let (row, field) = (self.mutants[mutant].row.as_str(), self.field(mutant));
        let is_either = |id: &str| id == row || id == field;
        verdict.blocked_by.iter().any(|cause| is_either(&cause.row) || is_either(&cause.root))
    }

    /// True if the verdict names a row that sends the field of a mutant too.
    fn names_sender(&self, verdict: &Verdict, mutants: &[usize]) -> bool {
        let mut causes = verdict.blocked_by.iter().flat_map(|cause| [cause.row.as_str(), cause.root.as_str()]);
        causes.any(|cause| mutants.iter().any(|i| self.sends_field(cause, *i) || self.shares_field(cause, *i)))
    }

    fn find_contrast(&self, row: &str) -> Option<usize> {
        let contrast = self.catalog.experiment(row)?.contrast.as_deref()?;
        (0..self.mutants.len()).find(|i| self.mutants[*i].row == contrast || self.sends_field(contrast, *i))
    }

    /// True if a server with this mutant gives a related row this verdict. A substituted value is
    /// ignored as far as the row can see.
    fn explains(&self, mutant: usize, status: VerdictStatus) -> bool {
        match self.mutants[mutant].status {
            VerdictStatus::Substituted => matches!(status, VerdictStatus::Substituted | VerdictStatus::Ignored),
            mutated => mutated == status,
        }
    }

    /// True if nothing supports this positive verdict of the row. Without a call or thinking, a
    /// request can still be accepted.
    fn loses_ground(&self, row: &str, status: VerdictStatus, mutant: usize) -> bool {
        let loses = |stripped: &StrippedResponses| match status {
            VerdictStatus::Supported => stripped.without_content.contains(row),
            VerdictStatus::Validated | VerdictStatus::Accepted => stripped.without_form.contains(row),
            VerdictStatus::Ignored
            | VerdictStatus::Rejected
            | VerdictStatus::Substituted
            | VerdictStatus::Inconclusive
            | VerdictStatus::Skipped => false,
        };
        self.mutants[mutant].status == VerdictStatus::Ignored
            && self.stripped.get(self.field(mutant)).is_some_and(loses)
            && !self.shares_field(row, mutant)
            && !has_complete_trial(self.after, row)
    }

    /// False if every response is the same as on the unmutated server.
    fn loses_something(&self, row: &str, mutants: &[usize]) -> bool {
        mutants.iter().any(|i| {
            let is_unknown = self.mutants[*i].status != VerdictStatus::Ignored;
            is_unknown || self.stripped.get(self.field(*i)).is_none_or(|stripped| stripped.changed.contains(row))
        })
    }

    /// True if the row may get the verdict that the field of the mutant has: it is about the same
    /// field, about a part of it, or about something of which the field is a required part.
    fn shares_field(&self, row: &str, mutant: usize) -> bool {
        let (field, mutated) = (self.field(mutant), self.mutants[mutant].row.as_str());
        if row == mutated || row == field {
            return true;
        }
        let Some(experiment) = self.catalog.experiment(row) else { return false };
        let is_same = experiment.field.iter().flat_map(|spec| spec.at.rows()).any(|other| other == field);
        let is_part = row.strip_prefix(field).is_some_and(|rest| rest.starts_with('.'));
        let is_choice =
            field == "tool_choice.object_form" && row.starts_with("tool_choice.") && !row.ends_with("_form");
        is_same || is_part || is_choice || REQUIRED_PARTS.contains(&(field, row)) || FIELD_PARTS.contains(&(field, row))
    }
}
