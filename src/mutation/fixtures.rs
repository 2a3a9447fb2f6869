//! Runs that never happened, for the tests of what they would mean.

use std::sync::Arc;

use crate::catalog::{Catalog, Outcome, VerdictStatus};
use crate::mutation::observation::Shown;
use crate::recording::run::ArmKind;
use crate::results::model::{RowCost, RowResult, Verdict};

/// The bundled case files.
pub(super) fn catalog() -> Arc<Catalog> {
    Arc::new(Catalog::bundled().unwrap())
}

/// A run, made up.
#[derive(Debug, Clone, Default)]
pub(super) struct Scene {
    pub partial: Option<String>,
    shown: Shown,
}

impl Scene {
    pub fn of(rows: &[(&str, VerdictStatus)]) -> Self {
        rows.iter().fold(Self::default(), |scene, (row, status)| scene.with(row, *status))
    }

    /// The row has this verdict.
    pub fn with(mut self, row: &str, status: VerdictStatus) -> Self {
        let verdict = Verdict {
            status,
            reason: "made up".to_owned(),
            code: None,
            confidence: None,
            evidence: None,
            qualifiers: Vec::new(),
        };
        let result = RowResult {
            id: row.to_owned(),
            section: String::new(),
            title: String::new(),
            claim: None,
            verdict,
            outcome: Outcome::Unclaimed,
            fate: None,
            silent: false,
            cost: RowCost::default(),
            arms: Vec::new(),
            findings: Vec::new(),
            example: None,
            earlier: vec![],
            stability: None,
        };
        self.shown.rows.insert(row.to_owned(), result);
        self
    }

    /// The row's verdict has this word for being undecided.
    pub fn code(&mut self, row: &str, code: &str) {
        self.shown.rows.get_mut(row).unwrap().verdict.code = Some(code.to_owned());
    }

    /// The server acted on a row in a request of an arm of the experiment that decides `within`.
    pub fn acting(mut self, row: &str, within: &str, arm: ArmKind) -> Self {
        let id = format!("{row} in {within}/{arm}");
        self.shown.requests.entry(within.to_owned()).or_default().push((arm, id.clone()));
        self.shown.acted.entry(row.to_owned()).or_default().insert(id);
        self
    }

    pub fn shown(&self) -> Shown {
        Shown { partial: self.partial.clone(), ..self.shown.clone() }
    }
}
