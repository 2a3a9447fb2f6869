//! The results of one run, in the shape of `results-<target>.json`: [`Results`].
//!
//! Names and order of the fields are a contract with other tools: fields may be added, but not renamed.
//! Equal results are written as equal text. This module must not know how verdicts are reached, nor how
//! they are rendered.

use serde::{Deserialize, Serialize};

use crate::catalog::{
    Claim, ClaimSource, ClaimStatus, ClaimedRange, Outcome, SourceSureness, Target, TargetLimits, VerdictStatus,
    is_silent,
};
use crate::checks::CheckSeverity;
use crate::results::baseline::BaselineComparison;
use crate::results::gateway::{GatewayVerdict, TestedGateway};
use crate::results::plan_estimate::PlanEstimate;
use crate::results::reason::ReasonData;
use crate::string_enum::string_enum;

/// The value of `schema` in every results file of this version.
pub const SCHEMA: &str = "fieldtest-results/2";

/// The results of one run: one endpoint, one model, one point in time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Results {
    /// Always `fieldtest-results/2`.
    #[cfg_attr(test, schemars(extend("const" = SCHEMA)))]
    pub schema: String,
    /// What was tested.
    pub target: TestedTarget,
    /// The gateway and its scripted upstream; only in results of `fieldtest gateway`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<TestedGateway>,
    /// When the run started, RFC 3339, UTC.
    pub started_at: String,
    /// When the run ended, RFC 3339, UTC.
    pub finished_at: String,
    /// Why the run ended early; absent if it is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial: Option<String>,
    /// The confidence that a statistical verdict must reach.
    pub confidence: f64,
    /// The seed of all random values of the run.
    pub seed: u64,
    /// Requests, tokens, cost and time of the run.
    pub totals: RunTotals,
    /// The average cost of a decided row; absent if no row is decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_verdict: Option<CostPerVerdict>,
    /// The shard of the plan that these results cover (`--shard`); absent if they cover the whole plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<ShardMetadata>,
    /// The reruns of selected rows, oldest first. Totals and findings include them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reruns: Vec<RerunRecord>,
    /// The repeated runs of the plan (`--repeat`). Totals include all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats: Option<RepeatSummary>,
    /// What the endpoint does with unknown keys.
    pub strictness: EndpointStrictness,
    /// True if the endpoint treats equal requests differently. Each verdict then uses more trials.
    #[serde(default)]
    pub unsteady: bool,
    /// The instructions of the start of the run, if the endpoint followed none of them; absent if it
    /// followed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfollowed: Option<UnfollowedInstructions>,
    /// What happened to the whole run: requests that were rejected for reasons that have nothing to
    /// do with them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The number of rows with each outcome and each kind of verdict.
    pub summary: ResultsSummary,
    /// The comparison with a baseline; absent if there is no baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<BaselineComparison>,
    /// One entry per row, in the order of the tables.
    pub rows: Vec<RowResult>,
    /// Protocol faults in the exchanges of the run, one entry per check.
    pub findings: Vec<FindingSummary>,
}

impl Results {
    /// The row with this id.
    pub fn find_row(&self, id: &str) -> Option<&RowResult> {
        self.rows.iter().find(|row| row.id == id)
    }

    /// The finding of this check.
    pub fn find_finding(&self, check: &str) -> Option<&FindingSummary> {
        self.findings.iter().find(|finding| finding.check == check)
    }
}

/// One shard of a plan that is spread over several runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ShardMetadata {
    /// The number of the shard, from 1.
    pub index: u32,
    /// The number of shards.
    pub of: u32,
    /// `max_tokens` of requests that do not set it.
    pub answer_tokens: u32,
    /// A digest of the case files that decide the rows of the plan.
    pub cases: String,
    /// A digest of the whole plan: rows, case files, claims, endpoint, model and confidence, without the seed.
    pub plan: String,
    /// The ids of all rows of the plan, in the order of the tables.
    pub rows: Vec<String>,
}

/// A rerun of selected rows, with new random values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RerunRecord {
    /// When it started, RFC 3339, UTC.
    pub started_at: String,
    /// When it ended, RFC 3339, UTC.
    pub finished_at: String,
    /// The seed of its random values.
    pub seed: u64,
    /// The ids of the rows that it ran again, in the order of the tables.
    pub rows: Vec<String>,
}

/// The repeated runs of one plan that these results combine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RepeatSummary {
    /// The requested number of runs.
    pub asked: u64,
    /// The number of completed runs.
    pub runs: u64,
    /// The number of rows with the same verdict in every run.
    pub stable: u64,
    /// The seeds of the runs, in order.
    pub seeds: Vec<u64>,
}

/// The verdicts of one row in repeated runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct VerdictStability {
    /// The number of runs that have the row.
    pub runs: u64,
    /// How many of these runs reached each verdict, in the order of the verdicts.
    pub seen: Vec<VerdictCount>,
}

/// How many runs reached a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct VerdictCount {
    /// The verdict.
    pub status: VerdictStatus,
    /// The number of runs that reached it.
    pub runs: u64,
}

impl VerdictStability {
    /// The verdict of a single run.
    pub fn from_status(status: VerdictStatus) -> Self {
        Self { runs: 1, seen: vec![VerdictCount { status, runs: 1 }] }
    }

    /// Adds the verdict of another run.
    pub fn record(&mut self, status: VerdictStatus) {
        self.runs += 1;
        match self.seen.binary_search_by_key(&status, |seen| seen.status) {
            Ok(at) => self.seen[at].runs += 1,
            Err(at) => self.seen.insert(at, VerdictCount { status, runs: 1 }),
        }
    }

    /// True if every run decided the row and reached the same verdict.
    pub fn is_stable(&self) -> bool {
        matches!(self.seen.as_slice(), [only] if only.status.is_decided())
    }

    /// The counts in words: `supported in 2 of 3 runs, ignored in 1`.
    pub fn describe(&self) -> String {
        let each = self.seen.iter().enumerate().map(|(n, seen)| match n {
            0 => format!("{} in {} of {} runs", seen.status, seen.runs, self.runs),
            _ => format!("{} in {}", seen.status, seen.runs),
        });
        each.collect::<Vec<_>>().join(", ")
    }
}

/// The tested endpoint and the claims that its verdicts are compared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TestedTarget {
    /// The target's name, as in `results-<name>.json`.
    pub name: String,
    /// The base URL of the endpoint.
    pub base_url: String,
    /// The requested model.
    pub model: String,
    /// True if the endpoint was the built-in simulator.
    pub simulated: bool,
    /// The API version: the value of the `anthropic-version` header.
    pub anthropic_version: String,
    /// The claims that the verdicts are compared with; `null` if there are none.
    pub claims: Option<TestedClaims>,
}

/// The target that claims were taken from, and its documents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TestedClaims {
    /// The name of the claiming target.
    pub target: String,
    /// The display name of the provider.
    pub title: String,
    /// The documents that the claims come from, with revision and date.
    pub sources: Vec<ClaimSource>,
    /// The limits that the documents state. The run respects them; only rows about limits test them.
    pub limits: TargetLimits,
}

impl From<&Target> for TestedClaims {
    fn from(target: &Target) -> Self {
        Self {
            target: target.name.clone(),
            title: target.title.clone(),
            sources: target.sources.clone(),
            limits: target.limits.clone(),
        }
    }
}

/// What a run cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RunTotals {
    /// Requests, without retries.
    pub requests: u64,
    /// Retries of failed requests.
    pub retries: u64,
    /// Input tokens including cached tokens, as reported in `usage`.
    pub input_tokens: u64,
    /// Output tokens, as reported in `usage`.
    pub output_tokens: u64,
    /// Cost in US dollars; `null` if the prices of the target are unknown.
    pub cost_usd: Option<f64>,
    /// Milliseconds from the first request to the last response.
    pub wall_ms: u64,
    /// The estimate made before the run; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned: Option<PlanEstimate>,
}

/// The average cost of a decided row, including the probes of the run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CostPerVerdict {
    /// Requests, without retries.
    pub requests: f64,
    /// Input tokens.
    pub input_tokens: f64,
}

impl CostPerVerdict {
    /// Divides the totals of a run by the number of decided rows, rounded to two decimals.
    pub fn from_totals(totals: &RunTotals, decided: u64) -> Option<Self> {
        let each = |n: u64| (n as f64 / decided as f64 * 100.0).round() / 100.0;
        (decided > 0).then(|| Self { requests: each(totals.requests), input_tokens: each(totals.input_tokens) })
    }
}

/// What the endpoint does with unknown keys. If it accepts them, accepting a field is no evidence that
/// the field works.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EndpointStrictness {
    /// The reaction to an unknown key at the top level of the body.
    pub top_level: UnknownKeyReaction,
    /// The reaction to an unknown key in a tool.
    pub tool: UnknownKeyReaction,
    /// The reaction to an unknown key in a content block.
    pub block: UnknownKeyReaction,
}

string_enum! {
    /// The reaction to a request with an unknown key.
    #[derive(Default)]
    pub enum UnknownKeyReaction {
        /// The endpoint returned a message.
        Accepted = "accepted",
        /// The endpoint returned a client error.
        Refused = "refused",
        /// The request was not sent, or its response shows neither.
        #[default]
        Unknown = "unknown",
    }
}

/// Instructions with random answers that the endpoint did not follow. Rows whose effect only a model
/// can show are then inconclusive (`needs-a-model`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct UnfollowedInstructions {
    /// What the endpoint does instead.
    pub kind: UnfollowedKind,
    /// The number of instructions with a usable response.
    pub asked: u64,
}

string_enum! {
    /// What an endpoint does that follows no instruction.
    pub enum UnfollowedKind {
        /// It returns at most two different texts.
        Canned = "canned",
        /// It returns the prompt.
        Echo = "echo",
        /// It returns different texts.
        Varied = "varied",
    }
}

/// The number of rows with each outcome and each kind of verdict.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ResultsSummary {
    /// All rows of the run.
    pub rows: u64,
    /// Decided rows: all but the inconclusive and the skipped ones.
    pub decided: u64,
    /// Inconclusive rows: the evidence does not decide.
    pub inconclusive: u64,
    /// Skipped rows: not run, or not completely.
    pub skipped: u64,
    /// Rows whose verdict matches the claim.
    pub conforms: u64,
    /// Conforming rows that are claimed unsupported and ignored without an error.
    pub silent: u64,
    /// Rows where the endpoint does more than claimed.
    pub exceeds: u64,
    /// Rows where the endpoint does not do what is claimed.
    pub contradicts: u64,
    /// Rows with a claim and without a decision.
    pub undetermined: u64,
    /// Rows without a claim.
    pub unclaimed: u64,
    /// Inconclusive rows that other rows block.
    #[serde(default)]
    pub blocked: u64,
    /// Inconclusive rows that need a model, at an endpoint that follows no instruction.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub needs_model: u64,
    /// The number of decided rows with each verdict.
    #[serde(default)]
    pub verdicts: VerdictTally,
    /// The claims of `supported` that conform, by the verdict that meets them.
    #[serde(default)]
    pub met_by: ClaimTally,
}

/// The number of decided rows with each verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct VerdictTally {
    /// Supported rows.
    pub supported: u64,
    /// Validated rows.
    pub validated: u64,
    /// Accepted rows.
    pub accepted: u64,
    /// Ignored rows.
    pub ignored: u64,
    /// Rejected rows.
    pub rejected: u64,
    /// Substituted rows.
    pub substituted: u64,
}

/// The claims of `supported` that conform, by the verdict that meets them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ClaimTally {
    /// Claims whose effect was observed: the claim is proven.
    pub supported: u64,
    /// Claims of which only the validation was observed.
    pub validated: u64,
    /// Claims of which only the acceptance was observed.
    pub accepted: u64,
}

impl ResultsSummary {
    /// Counts the rows.
    pub fn from_rows(rows: &[RowResult]) -> Self {
        let mut summary = Self { rows: rows.len() as u64, ..Self::default() };
        for row in rows {
            let (verdicts, met_by) = (&mut summary.verdicts, &mut summary.met_by);
            match row.verdict.status {
                VerdictStatus::Supported => verdicts.supported += 1,
                VerdictStatus::Validated => verdicts.validated += 1,
                VerdictStatus::Accepted => verdicts.accepted += 1,
                VerdictStatus::Ignored => verdicts.ignored += 1,
                VerdictStatus::Rejected => verdicts.rejected += 1,
                VerdictStatus::Substituted => verdicts.substituted += 1,
                VerdictStatus::Inconclusive => summary.inconclusive += 1,
                VerdictStatus::Skipped => summary.skipped += 1,
            }
            summary.decided += u64::from(row.verdict.status.is_decided());
            summary.blocked += u64::from(row.verdict.code.as_deref() == Some("blocked"));
            summary.needs_model += u64::from(row.verdict.code.as_deref() == Some("needs-a-model"));
            match row.met_by() {
                Some(VerdictStatus::Supported) => met_by.supported += 1,
                Some(VerdictStatus::Validated) => met_by.validated += 1,
                Some(_) => met_by.accepted += 1,
                None => {}
            }
            match row.outcome {
                Outcome::Conforms => summary.conforms += 1,
                Outcome::Exceeds => summary.exceeds += 1,
                Outcome::Contradicts => summary.contradicts += 1,
                Outcome::Undetermined => summary.undetermined += 1,
                Outcome::Unclaimed => summary.unclaimed += 1,
            }
            summary.silent += u64::from(row.silent);
        }
        summary
    }
}

/// One row of the matrix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RowResult {
    /// The stable id of the row, such as `field.top_k`.
    pub id: String,
    /// The section of the tables that has the row.
    pub section: String,
    /// The title of the row in the tables.
    pub title: String,
    /// The claim; `null` if the documents say nothing about the row.
    pub claim: Option<ClaimResult>,
    /// What the endpoint did.
    pub verdict: Verdict,
    /// What the gateway did with the field; only in results of `fieldtest gateway`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fate: Option<GatewayVerdict>,
    /// The verdict compared with the claim.
    pub outcome: Outcome,
    /// True if the field is claimed unsupported and ignored without an error.
    pub silent: bool,
    /// The cost of this row. A request that several rows share counts for the first of them.
    pub cost: RowCost,
    /// The arms that were sent, with counts of their trials.
    pub arms: Vec<ArmResult>,
    /// The ids of the checks that found protocol faults in the exchanges of this row.
    pub findings: Vec<String>,
    /// The smallest request that shows the verdict, with its response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<RowExample>,
    /// The verdicts of earlier runs of this row, oldest first; only if the row was rerun.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<EarlierVerdict>,
    /// The verdicts in repeated runs; only with `--repeat`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stability: Option<VerdictStability>,
}

/// The verdict of an earlier run of a row that was rerun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EarlierVerdict {
    /// When that run started, RFC 3339, UTC.
    pub started_at: String,
    /// Its verdict.
    pub status: VerdictStatus,
    /// That verdict compared with the claim.
    pub outcome: Outcome,
    /// The reason, in one sentence.
    pub reason: String,
}

impl RowResult {
    /// The word for the verdict: the gateway verdict if there is one.
    pub fn verdict_label(&self) -> &'static str {
        self.fate.as_ref().map_or(self.verdict.status.as_str(), |fate| fate.kind.as_str())
    }

    /// The verdict that meets a claim of `supported`; `None` if there is no such claim, or if it is
    /// not met.
    pub fn met_by(&self) -> Option<VerdictStatus> {
        let is_met = self.claim.as_ref().is_some_and(|claim| claim.status == ClaimStatus::Supported)
            && self.outcome == Outcome::Conforms;
        is_met.then_some(self.verdict.status)
    }

    /// True if a claim of `supported` is met by a verdict without an effect.
    pub fn lacks_effect(&self) -> bool {
        self.met_by().is_some_and(|status| status != VerdictStatus::Supported)
    }

    /// The qualifier of a field that is supported, but not as documented.
    pub(crate) fn alteration(&self) -> Option<&str> {
        self.verdict.qualifiers.iter().map(String::as_str).find(|qualifier| qualifier.starts_with("altered"))
    }
}

/// A claim about one row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ClaimResult {
    /// The claim status.
    pub status: ClaimStatus,
    /// The wording of the document, if it says more than the status.
    pub note: Option<String>,
    /// What is missing or different, for a claim of `partial`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
    /// The claimed range, for fields with a numeric value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<ClaimedRange>,
    /// The allowed values, if the document lists them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// The title of the document, if it is not the first one of the claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// How well the claim is known, if not as well as its document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sureness: Option<SourceSureness>,
}

impl ClaimResult {
    /// A claim with a status and nothing else.
    pub fn new(status: ClaimStatus) -> Self {
        Self::from(&Claim::new(status))
    }
}

impl From<&Claim> for ClaimResult {
    fn from(claim: &Claim) -> Self {
        Self {
            status: claim.status,
            note: claim.note.clone(),
            missing: claim.missing.clone(),
            range: claim.range,
            values: claim.values.clone(),
            source: claim.source.clone(),
            sureness: claim.sureness,
        }
    }
}

/// What the endpoint did with a row, and how certain that is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Verdict {
    /// The status.
    pub status: VerdictStatus,
    /// The strongest status that the row can reach, in the way in which it was decided. It meets a
    /// claim of `supported`.
    #[serde(default = "supported")]
    pub strongest: VerdictStatus,
    /// The reason, in one sentence. Tools should read `because`.
    pub reason: String,
    /// The reason as data: a kind with its parameters. Absent in results of version 1 and in results
    /// without content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<ReasonData>,
    /// Why the row is inconclusive or skipped: a code from a closed set; `null` for decided rows.
    pub code: Option<String>,
    /// The confidence of a statistical verdict; `null` for any other verdict.
    pub confidence: Option<f64>,
    /// The kind of evidence that decided the row; `null` for undecided rows.
    pub evidence: Option<EvidenceKind>,
    /// Details that the status does not express.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub qualifiers: Vec<String>,
    /// The rows that prevent a decision (code `blocked`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocked_by: Vec<BlockingRow>,
    /// The verdict of the row by itself, if other rows prevent a decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_itself: Option<Box<OwnVerdict>>,
}

impl Verdict {
    /// A verdict without code, evidence and details.
    pub fn new(status: VerdictStatus, because: impl Into<ReasonData>) -> Self {
        let because = because.into();
        Self {
            status,
            strongest: VerdictStatus::Supported,
            reason: because.to_string(),
            because: Some(because),
            code: None,
            confidence: None,
            evidence: None,
            qualifiers: Vec::new(),
            blocked_by: Vec::new(),
            by_itself: None,
        }
    }

    /// The reason as data. For results of version 1, it is the sentence.
    pub fn because(&self) -> ReasonData {
        self.because.clone().unwrap_or_else(|| self.reason.as_str().into())
    }

    /// Sets the reason and its sentence.
    pub fn set_reason(&mut self, because: ReasonData) {
        self.reason = because.to_string();
        self.because = Some(because);
    }

    /// Compares this verdict with a claim.
    pub fn compare_with(&self, claim: Option<ClaimStatus>) -> Outcome {
        Outcome::compare(claim, self.status, self.strongest)
    }

    /// True if the row reached the strongest status that it can reach.
    pub fn is_strongest(&self) -> bool {
        self.status.is_positive() && self.status.strength() >= self.strongest.strength()
    }
}

fn supported() -> VerdictStatus {
    VerdictStatus::Supported
}

/// A row that prevents a decision about another row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BlockingRow {
    /// The id of the row.
    pub row: String,
    /// Its status.
    pub status: VerdictStatus,
    /// How the blocked row uses its field.
    pub role: DependencyRole,
    /// The variant of the blocked row that uses the field; absent if all of them do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The row where the chain of blocked rows begins: the cause to repair.
    pub root: String,
}

string_enum! {
    /// How a row uses the field of another row.
    pub enum DependencyRole {
        /// Both rows are about the same field.
        Same = "same",
        /// The field of the row is a part of the other field.
        PartOf = "part_of",
        /// The row reads its evidence from a response that needs the other field.
        Reads = "reads",
        /// The request with the field of the row also has the other field, and its control does not.
        Beside = "beside",
        /// The request and its control both have the other field.
        Shared = "shared",
    }
}

/// The verdict that a blocked row would have by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OwnVerdict {
    /// The status.
    pub status: VerdictStatus,
    /// The reason, in one sentence.
    pub reason: String,
}

string_enum! {
    /// The kinds of evidence that decide a row.
    pub enum EvidenceKind {
        /// The effect of the field appeared, or did not appear although it could.
        Effect = "effect",
        /// The token counts of the endpoint changed, or did not change.
        UsageMeter = "usage_meter",
        /// An invalid value was rejected, or accepted like a valid one.
        Validated = "validated",
        /// The request was accepted, and nothing else was looked for.
        Accepted = "accepted",
        /// The request was rejected with the field and accepted without it.
        Refusal = "refusal",
        /// The request with the field causes the same server error every time, and the request without
        /// it does not.
        ServerError = "server_error",
        /// Two samples of responses differ, or do not differ.
        Distribution = "distribution",
        /// The response is, or is not, as documented for such a request.
        Reply = "reply",
        /// The responses to two requests agree or differ as expected.
        Comparison = "comparison",
        /// Both sides of a gateway were observed.
        Seen = "seen",
    }
}

/// The cost of a row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RowCost {
    /// Requests, without retries.
    pub requests: u64,
    /// Input tokens, including cached tokens.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
}

/// One arm of an experiment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ArmResult {
    /// `negative`, `treatment`, `positive`, `challenge`, …, with the name of the variant if there are several.
    pub name: String,
    /// Trials with a usable response.
    pub trials: u64,
    /// Trials that show the effect.
    pub effects: u64,
    /// Trials that were rejected with a client error.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refused: u64,
    /// Trials without a usable response: an empty response, a refusal by the model, a failed request.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub void: u64,
    /// The ids of the exchanges in the recording.
    pub exchanges: Vec<String>,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// A request as a command, with its response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RowExample {
    /// The arm that the request belongs to.
    pub arm: String,
    /// A curl command. It reads the credential from an environment variable.
    pub curl: String,
    /// The HTTP status, or the failure if there is no response.
    pub status: String,
    /// The beginning of the response body.
    pub answer: String,
}

/// One kind of protocol fault, over all exchanges of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FindingSummary {
    /// The stable id of the check, such as `sse.message-stop-missing`.
    pub check: String,
    /// How severe the fault is for a client that follows the documents.
    pub severity: CheckSeverity,
    /// The number of responses with the fault.
    pub count: u64,
    /// The ids of the rows that use these responses.
    pub rows: Vec<String>,
    /// A short example of the fault.
    pub example: String,
}

impl Results {
    /// Results without rows.
    pub fn new(target: TestedTarget, started_at: &str, confidence: f64, seed: u64) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            target,
            gateway: None,
            started_at: started_at.to_owned(),
            finished_at: started_at.to_owned(),
            partial: None,
            confidence,
            seed,
            totals: RunTotals::default(),
            per_verdict: None,
            shard: None,
            reruns: Vec::new(),
            repeats: None,
            strictness: EndpointStrictness::default(),
            unsteady: false,
            unfollowed: None,
            notes: Vec::new(),
            summary: ResultsSummary::default(),
            baseline: None,
            rows: Vec::new(),
            findings: Vec::new(),
        }
    }

    /// Sets the rows and the figures that follow from them.
    pub fn set_rows(&mut self, rows: Vec<RowResult>) {
        self.summary = ResultsSummary::from_rows(&rows);
        self.per_verdict = CostPerVerdict::from_totals(&self.totals, self.summary.decided);
        self.rows = rows;
    }
}

impl RowResult {
    /// The result of a row without arms, findings and example.
    pub fn new(id: &str, section: &str, title: &str, claim: Option<&Claim>, verdict: Verdict) -> Self {
        let status = claim.map(|claim| claim.status);
        Self {
            id: id.to_owned(),
            section: section.to_owned(),
            title: title.to_owned(),
            claim: claim.map(ClaimResult::from),
            outcome: verdict.compare_with(status),
            fate: None,
            silent: is_silent(status, verdict.status),
            verdict,
            cost: RowCost::default(),
            arms: Vec::new(),
            findings: Vec::new(),
            example: None,
            earlier: Vec::new(),
            stability: None,
        }
    }
}
