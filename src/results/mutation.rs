//! The results of `fieldtest check`, in the shape of its JSON: [`MutationReport`].
//!
//! They show whether the experiment of each row can reach each of its verdicts. Fields may be added, but
//! not renamed. This module must not know how a mutant is made or judged.

use serde::Serialize;

use crate::catalog::VerdictStatus;

/// The value of `schema` in every report of this version.
pub const SCHEMA: &str = "fieldtest-proof/2";

/// All mutants on all simulated servers, with their outcomes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MutationReport {
    /// Always `fieldtest-proof/2`.
    pub schema: &'static str,
    /// True if every mutant was killed and every control of the proof passed.
    pub passed: bool,
    /// The number of mutants, including those that were not tried.
    pub mutants: u64,
    /// Mutants whose row reached the expected verdict, while no other row got a wrong one.
    pub killed: u64,
    /// Killed mutants whose row reached the expected verdict by itself, while other rows block it.
    pub blocked: u64,
    /// Mutants whose row did not reach the expected verdict.
    pub survived: u64,
    /// Mutants for which another row was decided wrongly, although its own field did not change.
    pub accused: u64,
    /// Mutants for which another row has a positive verdict that no response supports.
    pub kept: u64,
    /// Mutants for which another row is blocked, and does not name the cause.
    pub unnamed: u64,
    /// Mutants for which another row changed without a cause.
    pub changed: u64,
    /// Changed fields that their own row need not detect. They only test the other rows, and do not
    /// count as mutants.
    pub carried: u64,
    /// The number of verdicts of other rows that were compared with the expectation.
    pub compared: u64,
    /// Mutants whose field is in no request of the row, so nothing was mutated.
    pub void: u64,
    /// Mutants that the simulator cannot represent.
    pub unproved: u64,
    /// Mutants that were not tried, since the run without mutation failed.
    pub untried: u64,
    /// `killed` divided by `mutants`, from 0 to 1.
    pub kill_rate: f64,
    /// The simulated servers, in order.
    pub grounds: Vec<SubjectReport>,
    /// The rows, in the order of the tables.
    pub rows: Vec<RowReport>,
}

/// One simulated server, and whether its mutants can be trusted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SubjectReport {
    /// The target that is simulated.
    pub target: String,
    /// The number of rows that can be tested on it.
    pub rows: u64,
    /// Rows that did not reach the expected verdict without any mutation.
    pub unmutated: Vec<VerdictChange>,
    /// The control run that must change nothing; absent if no mutant was tried.
    pub control: Option<ControlResult>,
    /// The mutant that must be detected; absent if no mutant was tried.
    pub canary: Option<CanaryResult>,
    /// Forged wrong verdicts of other rows.
    pub sentinels: SentinelCounts,
    /// The number of verdicts of other rows that were compared with the expectation.
    pub compared: u64,
    /// The number of runs with mutants.
    pub runs: u64,
    /// Rows that were not run in some of them.
    pub left_out: Vec<LeftOutRow>,
}

/// Forged wrong verdicts: those of an engine without dependencies, which accuses blocked rows, and
/// of an engine that ignores the form of responses. The comparison must find all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SentinelCounts {
    /// The number of forged verdicts.
    pub forged: u64,
    /// How many of them were found.
    pub noticed: u64,
}

/// A row that was not run with some mutants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOutRow {
    /// The id of the row.
    pub row: String,
    /// The number of runs without the row.
    pub runs: u64,
    /// Why it was left out.
    pub reason: String,
}

impl SubjectReport {
    /// True if the mutants on this server can be trusted.
    pub fn is_sound(&self) -> bool {
        self.unmutated.is_empty()
            && self.control.as_ref().is_some_and(ControlResult::has_survived)
            && self.canary.as_ref().is_some_and(CanaryResult::is_detected)
            && self.sentinels.noticed == self.sentinels.forged
    }
}

/// The control run: every row is set to the status that it already has, and the server uses another
/// seed. No row may change.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ControlResult {
    /// The number of compared rows.
    pub rows: u64,
    /// Rows that changed nevertheless.
    pub changes: Vec<VerdictChange>,
}

impl ControlResult {
    /// True if nothing changed, as required.
    pub fn has_survived(&self) -> bool {
        self.changes.is_empty()
    }
}

/// The canary: a server that ignores every field that can be ignored, except fields that most requests
/// need. No affected row may still be supported.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CanaryResult {
    /// The number of rows that are supported without mutation and can be ignored.
    pub rows: u64,
    /// How many of them are no longer supported.
    pub noticed: u64,
    /// The rows that are still supported.
    pub deceived: Vec<String>,
    /// The rows among them that detect each single mutant, which contradicts this result.
    pub at_odds: Vec<String>,
}

impl CanaryResult {
    /// True if the canary was detected, as required. Rows that miss their own mutants are reported there.
    pub fn is_detected(&self) -> bool {
        self.noticed > 0 && self.at_odds.is_empty()
    }
}

/// A row whose verdict is not the expected one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VerdictChange {
    /// The id of the row.
    pub row: String,
    /// The expected verdict.
    pub expected: VerdictStatus,
    /// The reached verdict.
    pub reached: VerdictStatus,
    /// The reason of the verdict.
    pub reason: String,
}

/// The mutants of one row, and the verdicts that it reached.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RowReport {
    /// The row's id.
    pub id: String,
    /// The statuses that the row can have, and the servers on which it reached them.
    pub statuses: Vec<ReachedStatus>,
    /// The number of mutants of this row.
    pub mutants: u64,
    /// The number of killed mutants.
    pub killed: u64,
    /// Killed mutants whose row reached the expected verdict by itself, while other rows block it.
    pub blocked: Vec<BlockedMutant>,
    /// The number of changes that the row need not detect.
    pub carried: u64,
    /// `killed` divided by `mutants`, from 0 to 1.
    pub kill_rate: f64,
    /// Related rows that changed together with this one.
    pub followers: Vec<FollowerRow>,
    /// The mutants that were not killed.
    pub failures: Vec<MutantFailure>,
}

impl RowReport {
    /// True if every status was reached and every mutant was killed.
    pub fn has_passed(&self) -> bool {
        self.failures.is_empty() && self.killed == self.mutants && self.statuses.iter().all(|s| !s.on.is_empty())
    }
}

/// A killed mutant whose row is blocked by other rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BlockedMutant {
    /// The simulated target.
    pub target: String,
    /// The verdict of the row by itself.
    pub status: VerdictStatus,
    /// The reason, which names the blocking rows.
    pub reason: String,
}

/// A status that a row can have, and the simulated servers on which the row reached it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReachedStatus {
    /// The status.
    pub status: VerdictStatus,
    /// The targets of these servers; empty if the status was not reached.
    pub on: Vec<String>,
}

/// A related row that changed together with the row of a mutant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FollowerRow {
    /// The simulated target.
    pub target: String,
    /// The id of the row that changed.
    pub row: String,
    /// Why the change is allowed.
    pub because: FollowReason,
}

/// Why a row may change together with another row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FollowReason {
    /// It is undecided, and names the other row as a cause.
    WorksThrough,
    /// It is about the same field or a part of it.
    SameField,
    /// Its requests have the field, and its verdict is not wrong.
    SendsField,
}

/// A mutant that was not killed, with the reason.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MutantFailure {
    /// The simulated target.
    pub target: String,
    /// The status of the row on the server, which is the verdict that the row must reach.
    pub expected: VerdictStatus,
    /// The outcome of the mutant.
    pub fate: MutantOutcome,
    /// The reached verdict; absent if there is none.
    pub reached: Option<VerdictStatus>,
    /// The reason, in one sentence.
    pub reason: String,
    /// The arms that contain the field and have the same results as on the unmutated server.
    pub arms: Vec<InsensitiveArm>,
    /// Other rows with a wrong verdict.
    pub others: Vec<MisjudgedRow>,
}

/// Another row that got a wrong verdict because of a mutant.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MisjudgedRow {
    /// What is wrong with it: `accused`, `kept`, `unnamed` or `changed`.
    pub fate: MutantOutcome,
    /// The verdict before, and the wrong one. For `kept`, the expected verdict is `inconclusive`.
    #[serde(flatten)]
    pub change: VerdictChange,
}

/// The outcome of a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MutantOutcome {
    /// The row reached the expected verdict, and no other row got a wrong one.
    Killed,
    /// The row need not detect this mutant, and no other row got a wrong verdict.
    Harmless,
    /// The row did not reach the expected verdict.
    Survived,
    /// Another row was decided wrongly.
    Accused,
    /// Another row has a positive verdict that no response supports.
    Kept,
    /// Another row is blocked, and does not name the cause.
    Unnamed,
    /// Another row changed without a cause.
    Changed,
    /// No request of the row contains the field.
    Void,
    /// The simulator cannot represent the mutant.
    Unproved,
    /// Not tried: the run without mutation failed.
    Untried,
}

impl MutantOutcome {
    /// True if nothing is wrong.
    pub fn has_passed(self) -> bool {
        matches!(self, Self::Killed | Self::Harmless)
    }
}

/// An arm that did not notice the change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InsensitiveArm {
    /// The arm's name.
    pub name: String,
    /// Trials with a usable response.
    pub trials: u64,
    /// Trials that show the effect.
    pub effects: u64,
    /// Trials that were rejected.
    pub refused: u64,
}

impl MutationReport {
    /// Builds the report from the reports of servers and rows.
    pub fn new(grounds: Vec<SubjectReport>, rows: Vec<RowReport>) -> Self {
        let count =
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
            blocked: rows.iter().map(|r| r.blocked.len() as u64).sum(),
            survived: count(MutantOutcome::Survived),
            accused: count(MutantOutcome::Accused),
            kept: count(MutantOutcome::Kept),
            unnamed: count(MutantOutcome::Unnamed),
            changed: count(MutantOutcome::Changed),
            carried: rows.iter().map(|r| r.carried).sum(),
            compared: grounds.iter().map(|ground| ground.compared).sum(),
            void: count(MutantOutcome::Void),
            unproved: count(MutantOutcome::Unproved),
            untried: count(MutantOutcome::Untried),
            kill_rate: kill_rate(killed, mutants),
            grounds,
            rows,
        }
    }
}

/// The kill rate, rounded down to four decimals, so that 1 means all. Without mutants it is 0.
pub fn kill_rate(part: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { (part as f64 / of as f64 * 10_000.0).floor() / 10_000.0 }
}
