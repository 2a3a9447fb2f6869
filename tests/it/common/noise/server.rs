//! The [`MeasuredServer`]s, and the true verdict of each row.
//!
//! The truth is the configuration of the server and never a verdict of another run. Otherwise a row
//! with a wrong verdict in every run would count as correct.

use std::collections::BTreeMap;

use fieldtest::catalog::{CatalogRow, ClaimStatus, CombineRule, Target, VerdictStatus};
use fieldtest::results::model::DependencyRole;
use fieldtest::simulator::{SimulatorConfig, SimulatorImpairments};
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::common::{CATALOG, DEPENDENCIES, needed_rows, needs, testable_rows};

/// The number of flipped rows of a flipped server.
pub const FLIPS: usize = 8;

/// The selection of the flipped rows of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerKind {
    /// No flipped rows: the server conforms to the claims of its target.
    AsClaimed,
    /// Random rows with another possible status, so that each row occurs in each status.
    Flipped,
}

/// A measured server, defined by its target, its kind and its seed.
#[derive(Debug, Clone)]
pub struct MeasuredServer {
    /// The target whose claims the server follows before the flips.
    pub target: &'static Target,
    /// The selection of the flipped rows.
    pub kind: ServerKind,
    /// The seed of the flips and of the random values of the model and the run.
    pub seed: u64,
    /// The flipped rows.
    pub flips: Vec<(&'static str, ClaimStatus)>,
    statuses: BTreeMap<String, ClaimStatus>,
}

impl MeasuredServer {
    /// Creates the server of a target, a kind and a seed.
    pub fn new(target: &'static Target, kind: ServerKind, seed: u64) -> Self {
        let flips = match kind {
            ServerKind::AsClaimed => Vec::new(),
            ServerKind::Flipped => choose_flips(target, seed),
        };
        let mut server = Self { target, kind, seed, flips, statuses: BTreeMap::new() };
        server.statuses = server.simulator_config(SimulatorImpairments::default()).statuses;
        server
    }

    /// Returns the configuration of the simulator.
    pub fn simulator_config(&self, impairments: SimulatorImpairments) -> SimulatorConfig {
        let mut config = SimulatorConfig::from_target(self.target);
        config.add_fields(self.target, CATALOG.field_specs());
        config.seed = self.seed;
        config.impairments = impairments;
        for (row, status) in &self.flips {
            config.set_status(row, *status).expect("the simulator knows every row");
        }
        config
    }

    /// Sets a status that may be false. This tests the measurement.
    pub fn override_status(&mut self, row: &str, status: ClaimStatus) {
        self.statuses.insert(row.to_owned(), status);
    }

    /// Returns the true verdict of a row.
    pub fn true_status(&self, row: &str) -> VerdictStatus {
        verdict_of(self.statuses.get(row).copied().unwrap_or(ClaimStatus::Supported))
    }

    /// Returns true if a decided verdict is correct. A server also rejects a row that depends on a
    /// rejected row, and ignores a part of an ignored field.
    pub fn is_correct(&self, row: &str, verdict: VerdictStatus) -> bool {
        verdict.is_same_kind(self.true_status(row))
            || (verdict == VerdictStatus::Rejected && self.is_rejected_by_dependency(row))
            || (verdict == VerdictStatus::Ignored && self.is_part_of_ignored_field(row))
    }

    fn is_rejected_by_dependency(&self, row: &str) -> bool {
        let is_rejected = |other: &&str| self.true_status(other) == VerdictStatus::Rejected;
        needed_rows(row).iter().any(|other| is_rejected(other) || needed_rows(other).iter().any(is_rejected))
    }

    fn is_part_of_ignored_field(&self, row: &str) -> bool {
        let is_whole = |(_, role): &(&str, DependencyRole)| *role == DependencyRole::PartOf;
        let mut wholes = DEPENDENCIES.direct(row).filter(is_whole);
        wholes.any(|(other, _)| self.true_status(other) == VerdictStatus::Ignored)
    }

    /// Returns the command line options that start this server, to reproduce a wrong verdict.
    pub fn command_line_options(&self) -> String {
        let flips: String = self.flips.iter().map(|(row, status)| format!(" --flip {row}={status}")).collect();
        format!("{} --simulate --seed {}{flips}", self.target.name, self.seed)
    }
}

/// Returns the verdict of a row with this simulated status.
fn verdict_of(status: ClaimStatus) -> VerdictStatus {
    match status {
        ClaimStatus::Supported | ClaimStatus::Partial => VerdictStatus::Supported,
        ClaimStatus::Ignored | ClaimStatus::Accepted => VerdictStatus::Ignored,
        ClaimStatus::Unsupported => VerdictStatus::Rejected,
        ClaimStatus::Substituted => VerdictStatus::Substituted,
    }
}

/// True if a row can have this verdict, or another word for it.
fn has_kind(row: &CatalogRow, verdict: VerdictStatus) -> bool {
    row.experiment.statuses.iter().any(|status| status.is_same_kind(verdict))
}

/// Chooses random flips of unrelated rows. If a row fails, rows that depend on it show nothing.
fn choose_flips(target: &'static Target, seed: u64) -> Vec<(&'static str, ClaimStatus)> {
    let name = target.name.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ name.rotate_left(32));
    let claimed = SimulatorConfig::from_target(target).statuses;
    let mut rows = testable_rows(target);
    rows.retain(|row| row.experiment.is_field_row());
    rows.shuffle(&mut rng);
    let mut flips: Vec<(&'static str, ClaimStatus)> = Vec::new();
    for row in rows {
        let id = row.experiment.id();
        let own = claimed.get(id).copied().unwrap_or(ClaimStatus::Supported);
        let all = [ClaimStatus::Supported, ClaimStatus::Ignored, ClaimStatus::Unsupported, ClaimStatus::Substituted];
        let others: Vec<ClaimStatus> =
            all.into_iter().filter(|status| *status != own && has_kind(row, verdict_of(*status))).collect();
        if others.is_empty() || flips.iter().any(|(flipped, _)| are_related(id, flipped)) {
            continue;
        }
        flips.push((id, others[rng.random_range(0..others.len())]));
        if flips.len() == FLIPS {
            break;
        }
    }
    flips
}

fn are_related(one: &str, other: &str) -> bool {
    needs(one, other) || needs(other, one) || share_a_dependent(one, other)
}

/// Returns true if a row needs one of the two rows: without both, that row shows nothing.
fn share_a_dependent(one: &str, other: &str) -> bool {
    let any = |row: &&str| CATALOG.experiment(row).is_some_and(|experiment| experiment.combine == CombineRule::Any);
    let others = needed_rows(other);
    needed_rows(one).iter().any(|common| any(common) && others.contains(common))
}
