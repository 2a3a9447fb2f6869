//! The servers that are measured, and what is true of each of their rows.
//!
//! The truth is what the server was told to be, never what another run saw: a row that is always judged wrongly would
//! otherwise count as right.

use std::collections::BTreeMap;

use fieldtest::catalog::{ClaimStatus, CombineRule, Target, VerdictStatus};
use fieldtest::simulator::{SimulatorConfig, SimulatorImpairments};
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::common::{CATALOG, testable_rows};

/// How many rows of a flipped server are not as its target claims.
pub const FLIPS: usize = 8;

/// Which rows a server has flipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerKind {
    /// None: it conforms to its target's claims.
    AsClaimed,
    /// Some, drawn at random, each to another status that it can have: so each row is met in each status.
    Flipped,
}

/// A server under measurement, known by its target, its kind and its seed.
#[derive(Debug, Clone)]
pub struct MeasuredServer {
    /// The target whose claims it starts from.
    pub target: &'static Target,
    /// Which rows are flipped.
    pub kind: ServerKind,
    /// The seed of everything: its flips, its model's draws, the run's draws.
    pub seed: u64,
    /// The flipped rows.
    pub flips: Vec<(&'static str, ClaimStatus)>,
    statuses: BTreeMap<String, ClaimStatus>,
}

impl MeasuredServer {
    /// The server of a target, a kind and a seed.
    pub fn new(target: &'static Target, kind: ServerKind, seed: u64) -> Self {
        let flips = match kind {
            ServerKind::AsClaimed => Vec::new(),
            ServerKind::Flipped => draw_flips(target, seed),
        };
        let mut server = Self { target, kind, seed, flips, statuses: BTreeMap::new() };
        server.statuses = server.behaviour(SimulatorImpairments::default()).statuses;
        server
    }

    /// What the simulator is told.
    pub fn behaviour(&self, knobs: SimulatorImpairments) -> SimulatorConfig {
        let mut behaviour = SimulatorConfig::from_target(self.target);
        behaviour.seed = self.seed;
        behaviour.impairments = knobs;
        for (row, status) in &self.flips {
            behaviour.set_status(row, *status).expect("the simulator knows every row");
        }
        behaviour
    }

    /// Says of the server what need not be so: how the measurement itself is put to the test.
    pub fn override_status(&mut self, row: &str, status: ClaimStatus) {
        self.statuses.insert(row.to_owned(), status);
    }

    /// What the server does with a row.
    pub fn true_status(&self, row: &str) -> VerdictStatus {
        verdict_of(self.statuses.get(row).copied().unwrap_or(ClaimStatus::Supported))
    }

    /// Whether a decided verdict is true. A row that works through a refused one is refused along with it: that is
    /// what the server does, too.
    pub fn is_correct(&self, row: &str, verdict: VerdictStatus) -> bool {
        verdict == self.true_status(row) || (verdict == VerdictStatus::Rejected && self.is_rejected_by_dependency(row))
    }

    fn is_rejected_by_dependency(&self, row: &str) -> bool {
        let through = CATALOG.experiment(row).map_or(&[][..], |experiment| &experiment.depends_on);
        through
            .iter()
            .any(|other| self.true_status(other) == VerdictStatus::Rejected || self.is_rejected_by_dependency(other))
    }

    /// The options of the command line that start this server, so that anyone can look at what went wrong.
    pub fn command_line_options(&self) -> String {
        let flips: String = self.flips.iter().map(|(row, status)| format!(" --flip {row}={status}")).collect();
        format!("{} --simulate --seed {}{flips}", self.target.name, self.seed)
    }
}

/// What is to be seen of a row that a server was told this about.
fn verdict_of(status: ClaimStatus) -> VerdictStatus {
    match status {
        ClaimStatus::Supported => VerdictStatus::Supported,
        ClaimStatus::Ignored => VerdictStatus::Ignored,
        ClaimStatus::Unsupported => VerdictStatus::Rejected,
        ClaimStatus::Substituted => VerdictStatus::Substituted,
    }
}

/// Draws flips of rows that do not work through one another: of a row whose ground is gone there is nothing to see.
fn draw_flips(target: &'static Target, seed: u64) -> Vec<(&'static str, ClaimStatus)> {
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
        let others: Vec<ClaimStatus> = all
            .into_iter()
            .filter(|status| *status != own && row.experiment.statuses.contains(&verdict_of(*status)))
            .collect();
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
    depends_on(one, other) || depends_on(other, one) || share_a_dependent(one, other)
}

/// Whether both show one row that any of them is enough for: with all of them gone there is nothing to see of it.
fn share_a_dependent(one: &str, other: &str) -> bool {
    let through = |row: &str| CATALOG.experiment(row).map_or(&[][..], |experiment| &experiment.depends_on);
    let any = |row: &String| CATALOG.experiment(row).is_some_and(|experiment| experiment.combine == CombineRule::Any);
    through(one).iter().any(|common| any(common) && through(other).contains(common))
}

/// Whether an experiment works through a row, directly or by way of others.
fn depends_on(row: &str, other: &str) -> bool {
    let through = CATALOG.experiment(row).map_or(&[][..], |experiment| &experiment.depends_on);
    through.iter().any(|next| next == other || depends_on(next, other))
}
