//! Decides rows together: a row whose verdict could have its cause in another row is blocked by
//! that row. [`decide_rows`] is the entry point.
//!
//! A positive verdict proves its preconditions by its own responses, so no other row can block it. A
//! negative verdict, and a verdict that rests on a rejection, must exclude every other cause. The
//! causes are computed from the requests that were sent ([`edges`]) and from what the row reads in
//! the responses ([`reading`]).

mod block;
pub(super) mod edges;
mod order;
mod possible;
mod reading;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::catalog::Experiment;
use crate::engine::dependencies::block::{BlockingStatus, revise_verdict};
use crate::engine::dependencies::edges::{DependencyEdge, RequestTemplates};
use crate::engine::dependencies::order::order_rows;
pub use crate::engine::dependencies::possible::RowDependencies;
use crate::engine::rules::{RunFacts, Step, next_step_with};
use crate::engine::trial::CompletedTrial;
use crate::results::model::{DependencyRole, Verdict};

/// A row with its trials.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowTrials<'a> {
    /// The row.
    pub experiment: &'a Experiment,
    /// Its trials, in the order of the run.
    pub trials: &'a [CompletedTrial],
}

/// The steps of rows after the rows that block them.
#[derive(Debug)]
pub(crate) struct DecidedRows {
    /// The step of each row, in the order of the rows.
    pub steps: Vec<Step>,
    /// Rows that were not run, although the verdict of another row depends on them.
    pub missing: BTreeSet<String>,
    /// For each row, the rows that can be the cause of its verdict, with their closest roles.
    pub edges: Vec<BTreeMap<String, DependencyRole>>,
}

/// Decides rows. Rows that block others are decided first.
pub(crate) fn decide_rows(rows: &[RowTrials<'_>], facts: &RunFacts, templates: &RequestTemplates<'_>) -> DecidedRows {
    let ids: HashMap<&str, usize> = rows.iter().enumerate().map(|(index, row)| (row.experiment.id(), index)).collect();
    let own: Vec<OwnVerdicts> = rows.iter().map(|row| OwnVerdicts::new(row, facts, templates)).collect();
    let dependencies: Vec<Vec<usize>> = own
        .iter()
        .zip(rows)
        .map(|(own, row)| {
            let edges = own.edges.values().flatten().map(|edge| edge.row.as_ref());
            let contrast = row.experiment.contrast.iter().map(String::as_str);
            edges.chain(contrast).chain(own.causes()).filter_map(|other| ids.get(other).copied()).collect()
        })
        .collect();
    let mut missing = BTreeSet::new();
    let mut decided: Vec<Option<Step>> = vec![None; rows.len()];
    for component in order_rows(&dependencies) {
        let steps: Vec<(usize, Step)> = component
            .iter()
            .map(|&index| {
                let find_status = |other: &str| {
                    let position = ids.get(other).copied()?;
                    // In a circle, each row is compared with what the others are by themselves.
                    Some(BlockingStatus::new(other, decided[position].as_ref().unwrap_or(&own[position].step)))
                };
                (index, own[index].revise(&rows[index], facts, &find_status, &mut missing))
            })
            .collect();
        for (index, step) in steps {
            decided[index] = Some(step);
        }
    }
    let edges = own.iter().map(OwnVerdicts::closest_roles).collect();
    let steps = decided.into_iter().zip(own).map(|(step, own)| step.unwrap_or(own.step)).collect();
    DecidedRows { steps, missing, edges }
}

/// What a row is by itself, and the rows that can block it.
struct OwnVerdicts {
    step: Step,
    /// The edges of each variant. `None` is the verdict of a row without variants.
    edges: HashMap<Option<String>, Vec<DependencyEdge>>,
}

impl OwnVerdicts {
    fn new(row: &RowTrials<'_>, facts: &RunFacts, templates: &RequestTemplates<'_>) -> Self {
        let verdicts: RefCell<HashMap<Option<String>, Verdict>> = RefCell::default();
        let step = next_step_with(row.experiment, row.trials, facts, &|variant, verdict| {
            verdicts.borrow_mut().insert(variant.map(str::to_owned), verdict.clone());
            verdict
        });
        let edges =
            verdicts.into_inner().into_iter().filter(|(_, verdict)| block::can_be_blocked(row.experiment, verdict));
        let edges = edges.map(|(variant, verdict)| {
            let edges = edges::find_edges(row, variant.as_deref(), &verdict, templates);
            (variant, edges)
        });
        Self { step, edges: edges.collect() }
    }

    fn revise(
        &self,
        row: &RowTrials<'_>,
        facts: &RunFacts,
        find_status: &dyn Fn(&str) -> Option<BlockingStatus>,
        missing: &mut BTreeSet<String>,
    ) -> Step {
        let mut step = self.revise_edges(row, facts, find_status, missing);
        if let Step::Decided(verdict) = &mut step {
            block::complete_causes(verdict, find_status);
            let needed = row.experiment.contrast.as_deref().filter(|_| verdict.status.is_positive());
            let unknown = needed.into_iter().chain(self.causes()).filter(|other| find_status(other).is_none());
            missing.extend(unknown.map(str::to_owned));
            if let Some(contrast) = needed {
                block::apply_contrast(verdict, contrast, find_status(contrast).as_ref());
            }
        }
        step
    }

    /// The rows of all variants with their closest roles.
    fn closest_roles(&self) -> BTreeMap<String, DependencyRole> {
        let mut roles = BTreeMap::new();
        for edge in self.edges.values().flatten() {
            let role = roles.entry(edge.row.to_string()).or_insert(edge.role);
            *role = edge.role.min(*role);
        }
        roles
    }

    /// The rows that block the row because of the form of its responses.
    fn causes(&self) -> impl Iterator<Item = &str> {
        let causes = match &self.step {
            Step::Decided(verdict) => verdict.blocked_by.as_slice(),
            Step::Run(_) => &[],
        };
        causes.iter().map(|cause| cause.row.as_str())
    }

    fn revise_edges(
        &self,
        row: &RowTrials<'_>,
        facts: &RunFacts,
        find_status: &dyn Fn(&str) -> Option<BlockingStatus>,
        missing: &mut BTreeSet<String>,
    ) -> Step {
        if self.edges.values().all(Vec::is_empty) {
            return self.step.clone();
        }
        let newly_missing = RefCell::new(BTreeSet::new());
        let step = next_step_with(row.experiment, row.trials, facts, &|variant, verdict| {
            let edges = self.edges.get(&variant.map(str::to_owned)).map(Vec::as_slice).unwrap_or_default();
            revise_verdict(row.experiment, variant, verdict, edges, find_status, &mut newly_missing.borrow_mut())
        });
        missing.extend(newly_missing.into_inner());
        step
    }
}
