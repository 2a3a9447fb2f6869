//! What a proof by mutation found: whether each row's experiment can reach each of its verdicts.
//!
//! The model, in the shape of `fieldtest check --format json`; fields may be added, none renamed. Rendering is pure,
//! as in every report. This module must not know how a mutation is made or judged.

use serde::Serialize;

use crate::catalog::VerdictStatus;
pub use crate::report::markdown::mutation::render as markdown;
pub use crate::report::terminal::mutation::render as terminal;

/// The value of `schema` in every proof of this version.
pub const SCHEMA: &str = "fieldtest-proof/1";

/// Everything that was tried on every ground.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MutationReport {
    /// Always `fieldtest-proof/1`.
    pub schema: &'static str,
    /// True where every mutant was killed, and every rule of an honest proof was kept.
    pub passed: bool,
    /// Mutants in all, those that could not be tried included.
    pub mutants: u64,
    /// Mutants of which the row was named, with the verdict that the server deserved, and no other row.
    pub killed: u64,
    /// Mutants of which the row was not named so.
    pub survived: u64,
    /// Mutants that made other rows change which have nothing to do with them.
    pub spread: u64,
    /// Mutants whose field no request of the row carried: nothing was mutated.
    pub void: u64,
    /// Mutants that no simulated server can be.
    pub unproved: u64,
    /// Mutants that were not tried, since the run without them did not pass.
    pub untried: u64,
    /// `killed` of `mutants`, from 0 to 1.
    pub kill_rate: f64,
    /// The servers on which it was tried, in order.
    pub grounds: Vec<SubjectReport>,
    /// The rows, in the order of the tables.
    pub rows: Vec<RowReport>,
}

/// A simulated server on which mutants were tried, and whether the trying can be trusted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SubjectReport {
    /// The target whose simulation it is.
    pub target: String,
    /// How many rows it can be tested for.
    pub rows: u64,
    /// Rows that did not reach the verdict that the server deserves before anything was mutated.
    pub unmutated: Vec<VerdictChange>,
    /// The mutant that must survive; absent where nothing was tried.
    pub control: Option<ControlResult>,
    /// The mutant that must die; absent where nothing was tried.
    pub canary: Option<CanaryResult>,
}

impl SubjectReport {
    /// True where the trying itself can be trusted.
    pub fn is_sound(&self) -> bool {
        self.unmutated.is_empty()
            && self.control.as_ref().is_some_and(ControlResult::has_survived)
            && self.canary.as_ref().is_some_and(CanaryResult::is_detected)
    }
}

/// The inverted control: every row is set to the status that it has, and the server draws its chances from another
/// seed. No row may change.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ControlResult {
    /// How many rows were looked at.
    pub rows: u64,
    /// Rows that changed all the same.
    pub changes: Vec<VerdictChange>,
}

impl ControlResult {
    /// True where nothing changed, as must be.
    pub fn has_survived(&self) -> bool {
        self.changes.is_empty()
    }
}

/// The canary: a server that ignores whatever can be ignored, but for what most requests carry anyway. No row that it can be seen in may still be supported.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CanaryResult {
    /// How many rows were supported before and can be ignored.
    pub rows: u64,
    /// How many of them are not called supported any more.
    pub noticed: u64,
    /// Those that still are.
    pub deceived: Vec<String>,
    /// Of these, the ones that did see each mutation by itself: with them, either the one or the other is wrong.
    pub at_odds: Vec<String>,
}

impl CanaryResult {
    /// True where it was noticed, as must be. Rows that survive their own mutants are named there.
    pub fn is_detected(&self) -> bool {
        self.noticed > 0 && self.at_odds.is_empty()
    }
}

/// A row whose verdict is not what it was, or not what it should be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VerdictChange {
    /// The row.
    pub row: String,
    /// What it was, or should be.
    pub expected: VerdictStatus,
    /// What it is.
    pub reached: VerdictStatus,
    /// Why, as the verdict says.
    pub reason: String,
}

/// One row: what it reached, and what it did not.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RowReport {
    /// The row's id.
    pub id: String,
    /// The statuses that the row can have, and where each was reached.
    pub statuses: Vec<ReachedStatus>,
    /// Mutants of this row.
    pub mutants: u64,
    /// Those that were killed.
    pub killed: u64,
    /// `killed` of `mutants`, from 0 to 1.
    pub kill_rate: f64,
    /// Other rows that changed along with this one, as they may.
    pub followers: Vec<FollowerRow>,
    /// What is wrong.
    pub failures: Vec<MutantFailure>,
}

impl RowReport {
    /// True where every status was reached, and nothing is wrong.
    pub fn has_passed(&self) -> bool {
        self.failures.is_empty() && self.killed == self.mutants && self.statuses.iter().all(|s| !s.on.is_empty())
    }
}

/// A status that a row can have, and the grounds on which the row was seen to have it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReachedStatus {
    /// The status.
    pub status: VerdictStatus,
    /// The grounds; none where it was not reached.
    pub on: Vec<String>,
}

/// A row that may change along with another, and did.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FollowerRow {
    /// The ground.
    pub target: String,
    /// The row that changed.
    pub row: String,
    /// Why it may.
    pub because: FollowReason,
}

/// Why a row may change along with another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FollowReason {
    /// Its experiment says that it works through the other.
    WorksThrough,
    /// It is another experiment on the same field.
    SameField,
    /// Its request without the field carries the other's field, which the server refuses.
    NegativeRefused,
}

/// A mutant that was not killed, and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MutantFailure {
    /// The ground.
    pub target: String,
    /// The status that the server was given, and so the verdict that the row must reach.
    pub expected: VerdictStatus,
    /// What became of the mutant.
    pub fate: MutantOutcome,
    /// The verdict that was reached; absent where none was.
    pub reached: Option<VerdictStatus>,
    /// Why, in a sentence.
    pub reason: String,
    /// The arms that carry the field and came out as they do on the server that was not mutated.
    pub arms: Vec<InsensitiveArm>,
    /// Other rows that changed.
    pub others: Vec<VerdictChange>,
}

/// What becomes of a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MutantOutcome {
    /// The row was named, with the expected verdict, and no other row that may not.
    Killed,
    /// The row was not named, or with another verdict.
    Survived,
    /// A row that has nothing to do with it changed as well.
    Spread,
    /// No request of the row carried the field.
    Void,
    /// No simulated server can be so.
    Unproved,
    /// Not tried: the run without it did not pass.
    Untried,
}

/// An arm that did not discriminate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InsensitiveArm {
    /// The arm's name.
    pub name: String,
    /// Trials that say something.
    pub trials: u64,
    /// Trials that showed the effect.
    pub effects: u64,
    /// Trials that were refused.
    pub refused: u64,
}

impl MutationReport {
    /// Counts what the grounds and the rows say.
    pub fn new(grounds: Vec<SubjectReport>, rows: Vec<RowReport>) -> Self {
        let fates =
            |fate: MutantOutcome| rows.iter().flat_map(|r| &r.failures).filter(|f| f.fate == fate).count() as u64;
        let mutants = rows.iter().map(|r| r.mutants).sum();
        let killed = rows.iter().map(|r| r.killed).sum();
        Self {
            schema: SCHEMA,
            passed: mutants > 0
                && rows.iter().all(RowReport::has_passed)
                && grounds.iter().all(SubjectReport::is_sound),
            mutants,
            killed,
            survived: fates(MutantOutcome::Survived),
            spread: fates(MutantOutcome::Spread),
            void: fates(MutantOutcome::Void),
            unproved: fates(MutantOutcome::Unproved),
            untried: fates(MutantOutcome::Untried),
            kill_rate: kill_rate(killed, mutants),
            grounds,
            rows,
        }
    }
}

/// A share, rounded down to four digits, so that 1 means all. Nothing of nothing is no success.
pub fn kill_rate(part: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { (part as f64 / of as f64 * 10_000.0).floor() / 10_000.0 }
}

/// The text of the JSON form. Equal proofs are equal text.
#[expect(clippy::expect_used, reason = "strings as keys and no type that can refuse: there is nothing that could fail")]
pub fn to_json(proof: &MutationReport) -> String {
    let mut text = serde_json::to_string_pretty(proof).expect("a proof is plain data");
    text.push('\n');
    text
}
