//! The results model: what a run found, in the shape of `results-<target>.json`.
//!
//! Names and order are a contract with other tools: fields may be added, none renamed. Two results files of equal
//! content are equal text. This module must not know how verdicts are reached, nor how they are drawn.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalog::{Claim, ClaimSource, ClaimStatus, ClaimedRange, Outcome, Target, TargetLimits, VerdictStatus};
use crate::checks::CheckSeverity;
use crate::results::baseline::BaselineComparison;
use crate::results::gateway::{GatewayVerdict, TestedGateway};
use crate::results::plan_estimate::PlanEstimate;
use crate::string_enum::string_enum;

/// The value of `schema` in every results file of this version.
pub const SCHEMA: &str = "fieldtest-results/1";

/// A run of one endpoint, one model, at one time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Results {
    /// Always `fieldtest-results/1`.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: String,
    /// What was tested.
    pub target: TestedTarget,
    /// What was between, where both sides of a gateway were seen; absent in every other run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<TestedGateway>,
    /// When the run began, RFC 3339, UTC.
    pub started_at: String,
    /// When the run ended, RFC 3339, UTC.
    pub finished_at: String,
    /// Why the run is not whole; absent when it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial: Option<String>,
    /// The confidence that a statistical verdict had to reach.
    pub confidence: f64,
    /// The seed of every random draw in the run.
    pub seed: u64,
    /// What the run cost.
    pub totals: RunTotals,
    /// What a decided row cost on average; absent where none was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_verdict: Option<CostPerVerdict>,
    /// The part of a plan that these results are, where it was shared out with `--shard`; absent when they are whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<ShardMetadata>,
    /// The runs in which rows were asked again, oldest first; totals and findings hold theirs as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reruns: Vec<RerunRecord>,
    /// How often the plan was run, where it was repeated; the totals are those of all runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats: Option<RepeatSummary>,
    /// What the endpoint does with keys that no API knows.
    pub strictness: EndpointStrictness,
    /// True where the endpoint was seen to treat equal requests unequally; each verdict then rests on many trials.
    #[serde(default)]
    pub unsteady: bool,
    /// How many rows have each outcome, and each verdict.
    pub summary: ResultsSummary,
    /// The run held against a baseline; absent where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<BaselineComparison>,
    /// One entry per row, in the order of the tables.
    pub rows: Vec<RowResult>,
    /// Protocol violations seen in any exchange.
    pub findings: Vec<FindingSummary>,
}

/// One part of a plan that was shared out over several runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShardMetadata {
    /// Which part, from 1.
    pub index: u32,
    /// Of how many.
    pub of: u32,
    /// `max_tokens` of requests that do not set it.
    pub answer_tokens: u32,
    /// A digest of how the plan's rows are decided.
    pub cases: String,
    /// A digest of the whole plan: rows, cases, claims, endpoint, model, confidence; not the seed.
    pub plan: String,
    /// Every row of the plan, in the order of the tables.
    pub rows: Vec<String>,
}

/// A run that asked some rows again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RerunRecord {
    /// When it began, RFC 3339, UTC.
    pub started_at: String,
    /// When it ended, RFC 3339, UTC.
    pub finished_at: String,
    /// The seed of its draws.
    pub seed: u64,
    /// The rows that it asked again, in the order of the tables.
    pub rows: Vec<String>,
}

/// Runs of the same plan that these results join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RepeatSummary {
    /// How many were asked for.
    pub asked: u64,
    /// How many were made.
    pub runs: u64,
    /// Rows that came out the same in each of them.
    pub stable: u64,
    /// The seeds of their draws, in order.
    pub seeds: Vec<u64>,
}

/// What repeated runs saw of a row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VerdictStability {
    /// The runs that had the row.
    pub runs: u64,
    /// How many of them came to each verdict, in the order of the verdicts.
    pub seen: Vec<VerdictCount>,
}

/// How many runs came to a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VerdictCount {
    /// The verdict.
    pub status: VerdictStatus,
    /// Runs that came to it.
    pub runs: u64,
}

impl VerdictStability {
    /// What one run saw.
    pub fn from_status(status: VerdictStatus) -> Self {
        Self { runs: 1, seen: vec![VerdictCount { status, runs: 1 }] }
    }

    /// Counts another run.
    pub fn record(&mut self, status: VerdictStatus) {
        self.runs += 1;
        match self.seen.binary_search_by_key(&status, |seen| seen.status) {
            Ok(at) => self.seen[at].runs += 1,
            Err(at) => self.seen.insert(at, VerdictCount { status, runs: 1 }),
        }
    }

    /// True where every run decided the row, and all the same.
    pub fn is_stable(&self) -> bool {
        matches!(self.seen.as_slice(), [only] if only.status.is_decided())
    }

    /// In words.
    pub fn describe(&self) -> String {
        let each = self.seen.iter().enumerate().map(|(n, seen)| match n {
            0 => format!("{} in {} of {} runs", seen.status, seen.runs, self.runs),
            _ => format!("{} in {}", seen.status, seen.runs),
        });
        each.collect::<Vec<_>>().join(", ")
    }
}

/// The endpoint under test and the claims it is held against.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TestedTarget {
    /// The target's name, as in `results-<name>.json`.
    pub name: String,
    /// The base URL that was tested.
    pub base_url: String,
    /// The model that was asked for.
    pub model: String,
    /// True when the built-in simulator answered.
    pub simulated: bool,
    /// The contract tested: the value of `anthropic-version`.
    pub anthropic_version: String,
    /// The target whose claims were held against the verdicts; `null` when there were none.
    pub claims: Option<TestedClaims>,
}

/// Whose claims, and from which documents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TestedClaims {
    /// The claiming target's name.
    pub target: String,
    /// The provider's name, as people write it.
    pub title: String,
    /// The documents, with revision and date.
    pub sources: Vec<ClaimSource>,
    /// Sizes and rates that the documents promise. They bound the run; they are not tested unless a row says so.
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

/// What a run, or a row, cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunTotals {
    /// Requests, without retries.
    pub requests: u64,
    /// Further attempts at requests that failed.
    pub retries: u64,
    /// Input tokens, cached ones included, as the endpoint's `usage` gives them.
    pub input_tokens: u64,
    /// Output tokens, as the endpoint's `usage` gives them.
    pub output_tokens: u64,
    /// US dollars, where the target's prices are known.
    pub cost_usd: Option<f64>,
    /// Milliseconds from the first request to the last answer.
    pub wall_ms: u64,
    /// What was planned before the run; absent where nobody planned it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned: Option<PlanEstimate>,
}

/// What a decided row cost on average, the run's first questions included.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CostPerVerdict {
    /// Requests, without retries.
    pub requests: f64,
    /// Input tokens.
    pub input_tokens: f64,
}

impl CostPerVerdict {
    /// Spreads a run's totals over the rows that it decided, to two digits.
    pub fn from_totals(totals: &RunTotals, decided: u64) -> Option<Self> {
        let each = |n: u64| (n as f64 / decided as f64 * 100.0).round() / 100.0;
        (decided > 0).then(|| Self { requests: each(totals.requests), input_tokens: each(totals.input_tokens) })
    }
}

/// What the endpoint does with invented keys. Where it accepts them, mere acceptance of a field is worth nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointStrictness {
    /// An invented key at the top of the body.
    pub top_level: UnknownKeyReaction,
    /// An invented key inside a tool.
    pub tool: UnknownKeyReaction,
    /// An invented key inside a content block.
    pub block: UnknownKeyReaction,
}

string_enum! {
    /// What happened to a request.
    #[derive(Default)]
    pub enum UnknownKeyReaction {
        /// A message came back.
        Accepted = "accepted",
        /// A client error came back.
        Refused = "refused",
        /// Neither: not sent, or no answer that says anything.
        #[default]
        Unknown = "unknown",
    }
}

/// Counts of rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResultsSummary {
    /// All rows of the run.
    pub rows: u64,
    /// Rows decided: supported, ignored, rejected or substituted.
    pub decided: u64,
    /// Rows whose evidence did not decide.
    pub inconclusive: u64,
    /// Rows that were not tried, or not to the end.
    pub skipped: u64,
    /// Outcome: the endpoint does what its document says.
    pub conforms: u64,
    /// Of those that conform: claimed unsupported, and passed over without a word.
    pub silent: u64,
    /// Outcome: more than the document says.
    pub exceeds: u64,
    /// Outcome: not what the document says.
    pub contradicts: u64,
    /// Outcome: a claim that could not be decided.
    pub undetermined: u64,
    /// Outcome: no claim.
    pub unclaimed: u64,
}

impl ResultsSummary {
    /// Counts the rows.
    pub fn from_rows(rows: &[RowResult]) -> Self {
        let mut summary = Self { rows: rows.len() as u64, ..Self::default() };
        for row in rows {
            match row.verdict.status {
                VerdictStatus::Inconclusive => summary.inconclusive += 1,
                VerdictStatus::Skipped => summary.skipped += 1,
                VerdictStatus::Supported
                | VerdictStatus::Ignored
                | VerdictStatus::Rejected
                | VerdictStatus::Substituted => summary.decided += 1,
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RowResult {
    /// The row's stable dotted id.
    pub id: String,
    /// The section of the tables that it stands in.
    pub section: String,
    /// The tables' own words for it.
    pub title: String,
    /// What the document says; `null` when it says nothing.
    pub claim: Option<ClaimResult>,
    /// What was observed.
    pub verdict: Verdict,
    /// What became of it on its way, where both sides of a gateway were seen; absent in every other run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fate: Option<GatewayVerdict>,
    /// The claim held against the verdict.
    pub outcome: Outcome,
    /// Claimed unsupported, and passed over without a word.
    pub silent: bool,
    /// What deciding this row cost. A request that several rows share is counted at the first of them.
    pub cost: RowCost,
    /// Every arm that was sent, with its trials.
    pub arms: Vec<ArmResult>,
    /// Ids of the findings seen in this row's exchanges.
    pub findings: Vec<String>,
    /// The smallest request that shows the verdict, and what came back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<RowExample>,
    /// What earlier runs said of the row, oldest first, where it was asked again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<EarlierVerdict>,
    /// What each of several runs saw, where the plan was repeated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stability: Option<VerdictStability>,
}

/// What an earlier run said of a row that was asked again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EarlierVerdict {
    /// When that run began, RFC 3339, UTC.
    pub started_at: String,
    /// What it observed.
    pub status: VerdictStatus,
    /// The claim held against that.
    pub outcome: Outcome,
    /// Why, in a sentence.
    pub reason: String,
}

impl RowResult {
    /// The word for what was observed: the fate's where there is one, else the verdict's.
    pub fn verdict_label(&self) -> &'static str {
        self.fate.as_ref().map_or(self.verdict.status.as_str(), |fate| fate.kind.as_str())
    }
}

/// A claim as results carry it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClaimResult {
    /// The status that the page's words amount to.
    pub status: ClaimStatus,
    /// The page's own words, where they say more than the status.
    pub note: Option<String>,
    /// The claimed range, for rows about a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<ClaimedRange>,
}

impl From<&Claim> for ClaimResult {
    fn from(claim: &Claim) -> Self {
        Self { status: claim.status, note: claim.note.clone(), range: claim.range }
    }
}

/// What was observed, and how sure that is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// The status.
    pub status: VerdictStatus,
    /// Why, in a sentence.
    pub reason: String,
    /// Why the row is inconclusive or skipped: one word of a closed set; `null` for decided rows.
    pub code: Option<String>,
    /// The confidence reached by the sequential test; `null` where no statistics decided.
    pub confidence: Option<f64>,
    /// The kind of evidence that decided; `null` for undecided rows.
    pub evidence: Option<EvidenceKind>,
    /// What the status alone does not say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub qualifiers: Vec<String>,
}

string_enum! {
    /// The kinds of evidence that decide a row.
    pub enum EvidenceKind {
        /// The field's effect showed, or did not where it could have.
        Effect = "effect",
        /// The endpoint's own token counts moved, or did not.
        UsageMeter = "usage_meter",
        /// The field's value was checked: an impossible one was refused, or accepted like any other.
        Validated = "validated",
        /// The request with the field was refused, and without it accepted.
        Refusal = "refusal",
        /// Two samples of answers differ, or do not.
        Distribution = "distribution",
        /// The answer is, or is not, what the documents say of such a request.
        Reply = "reply",
        /// The answers to two requests agree, or differ as they should.
        Comparison = "comparison",
        /// It was seen on both sides of a gateway.
        Seen = "seen",
    }
}

/// What a row cost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RowCost {
    /// Requests, without retries.
    pub requests: u64,
    /// Input tokens, cached ones included.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
}

/// One arm of a row's experiment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ArmResult {
    /// `negative`, `treatment`, `positive`, `challenge`, … with the variant's name where the row has several.
    pub name: String,
    /// Trials that say something.
    pub trials: u64,
    /// Trials that showed the effect.
    pub effects: u64,
    /// Trials that were refused with a client error.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refused: u64,
    /// Trials that say nothing: an empty answer, a refusal by the model, a failed request.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub void: u64,
    /// The exchanges, by their id in the recording.
    pub exchanges: Vec<String>,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// A request that anyone can send, and what it brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RowExample {
    /// The arm that it belongs to.
    pub arm: String,
    /// A curl command; the credential is an environment variable in it, never the secret.
    pub curl: String,
    /// The HTTP status, or what happened instead of an answer.
    pub status: String,
    /// The beginning of the answer's body.
    pub answer: String,
}

/// A protocol violation, over all exchanges of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FindingSummary {
    /// The check's stable id, `sse.message-stop-missing` for instance.
    pub check: String,
    /// How bad it is for a client that follows the documents.
    pub severity: CheckSeverity,
    /// How often it was seen.
    pub count: u64,
    /// The rows in whose exchanges it was seen.
    pub rows: Vec<String>,
    /// A short example.
    pub example: String,
}
