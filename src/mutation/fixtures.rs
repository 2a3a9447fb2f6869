//! Made-up runs for unit tests.

use std::sync::Arc;

use crate::catalog::{Catalog, Outcome, VerdictStatus};
use crate::mutation::observation::RunObservation;
use crate::recording::run::ArmKind;
use crate::results::model::{BlockingRow, DependencyRole, OwnVerdict, RowCost, RowResult, Verdict};

/// The bundled case files.
pub(super) fn bundled_catalog() -> Arc<Catalog> {
    Arc::new(Catalog::load_bundled().unwrap())
}

/// A made-up run.
#[derive(Debug, Clone, Default)]
pub(super) struct FakeRun {
    pub partial: Option<String>,
    observation: RunObservation,
}

impl FakeRun {
    pub fn from_statuses(rows: &[(&str, VerdictStatus)]) -> Self {
        rows.iter().fold(Self::default(), |run, (row, status)| run.with_status(row, *status))
    }

    /// Sets the verdict of a row.
    pub fn with_status(mut self, row: &str, status: VerdictStatus) -> Self {
        let verdict = Verdict::new(status, "made up");
        let result = RowResult {
            id: row.to_owned(),
            section: String::new(),
            title: String::new(),
            claim: None,
            verdict,
            outcome: Outcome::Unclaimed,
            fate: None,
            cause: None,
            silent: false,
            cost: RowCost::default(),
            arms: Vec::new(),
            findings: Vec::new(),
            example: None,
            earlier: vec![],
            stability: None,
        };
        self.observation.rows.insert(row.to_owned(), result);
        self
    }

    /// Adds the row that blocks an undecided row, and the verdict of the row by itself.
    pub fn with_cause(mut self, row: &str, cause: &str, own: VerdictStatus) -> Self {
        let verdict = &mut self.observation.rows.get_mut(row).unwrap().verdict;
        verdict.blocked_by.push(BlockingRow {
            row: cause.to_owned(),
            status: VerdictStatus::Ignored,
            role: DependencyRole::Reads,
            variant: None,
            root: cause.to_owned(),
        });
        verdict.by_itself = Some(Box::new(OwnVerdict { status: own, reason: "made up".to_owned() }));
        self
    }

    /// Records that the server acted on `row` in a request of an arm of the experiment `within`.
    pub fn with_activity(mut self, row: &str, within: &str, arm: ArmKind) -> Self {
        let id = format!("{row} in {within}/{arm}");
        self.observation.requests.entry(within.to_owned()).or_default().push((arm, id.clone()));
        self.observation.activity.entry(row.to_owned()).or_default().insert(id);
        self
    }

    pub fn observation(&self) -> RunObservation {
        RunObservation { partial: self.partial.clone(), ..self.observation.clone() }
    }
}
