//! What machines are told while runs go on: one JSON object a line (`--format ndjson`).
//!
//! Names are a contract with other tools: kinds of event and fields may be added, none renamed. A verdict that is told in
//! mid-run may still change (an endpoint that is seen to be unsteady is asked again, rows rest on others); the events
//! `row` come when the run is over, and have the last word.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalog::{ClaimStatus, Outcome, VerdictStatus};
use crate::results::model::{Results, ResultsSummary, RunTotals};
use crate::results::progress::ProgressCounts;

/// The value of `schema` in the first line.
pub const SCHEMA: &str = "fieldtest-events/1";

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventEnvelope {
    /// Milliseconds since the command began.
    pub ms: u64,
    /// The target that it is about; absent where it is about the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Which of several runs of the same plan, from 1; absent where there is one, and where all of them are meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<u64>,
    /// What happened.
    #[serde(flatten)]
    pub event: NdjsonEvent,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum NdjsonEvent {
    /// The first line: the command began.
    Started {
        /// Always `fieldtest-events/1`.
        schema: String,
        /// The program's version.
        version: String,
    },
    /// The run of a target began.
    RunStarted {
        /// The base URL.
        base_url: String,
        /// The model that is asked for.
        model: String,
        /// True when the built-in simulator answers.
        simulated: bool,
        /// How many rows it has.
        rows: u64,
        /// The seed of its draws.
        seed: u64,
        /// Where its recording goes.
        recording: String,
    },
    /// A row is begun.
    RowStarted {
        /// The row's id.
        row: String,
    },
    /// A request was answered, or given up.
    Exchange {
        /// Its name in the recording.
        id: String,
        /// The method.
        method: String,
        /// The path below the base URL.
        path: String,
        /// The HTTP status of the attempt that counts; `null` where no answer came.
        status: Option<u16>,
        /// Why no answer came.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<String>,
        /// How often it was sent.
        attempts: u64,
        /// Milliseconds that the attempt took which counts.
        duration_ms: u64,
        /// Input tokens, where the answer tells them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        input_tokens: Option<u64>,
        /// Output tokens, where the answer tells them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output_tokens: Option<u64>,
    },
    /// Equal requests were treated unequally: rows are asked again.
    AskedAgain {
        /// How many.
        rows: u64,
    },
    /// A row has a verdict, for now.
    Verdict {
        /// The row's id.
        row: String,
        /// The verdict.
        status: VerdictStatus,
        /// Why, in a sentence.
        reason: String,
        /// How far the run is.
        pace: ProgressCounts,
        /// Milliseconds until its end, as far as that can be foretold.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        left_ms: Option<u64>,
    },
    /// A row as the results have it.
    Row {
        /// The row's id.
        row: String,
        /// The claim.
        claim: Option<ClaimStatus>,
        /// The verdict.
        status: VerdictStatus,
        /// The claim held against it.
        outcome: Outcome,
        /// Claimed unsupported, and passed over without a word.
        silent: bool,
    },
    /// The run of a target is over.
    RunFinished {
        /// Why it is not whole; absent when it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        partial: Option<String>,
        /// What it cost.
        totals: RunTotals,
        /// How many rows have each outcome, and each verdict.
        summary: ResultsSummary,
    },
    /// The last line: the command is over.
    Finished {
        /// What it ends with.
        exit: u8,
    },
}

/// What is told of a run that is over.
pub fn events_from_results(results: &Results) -> Vec<NdjsonEvent> {
    let rows = results.rows.iter().map(|row| NdjsonEvent::Row {
        row: row.id.clone(),
        claim: row.claim.as_ref().map(|claim| claim.status),
        status: row.verdict.status,
        outcome: row.outcome,
        silent: row.silent,
    });
    let finished = NdjsonEvent::RunFinished {
        partial: results.partial.clone(),
        totals: results.totals.clone(),
        summary: results.summary.clone(),
    };
    rows.chain([finished]).collect()
}

/// The text of a line, without its end.
#[expect(clippy::expect_used, reason = "strings as keys and no type that can refuse: there is nothing that could fail")]
pub fn render(told: &EventEnvelope) -> String {
    serde_json::to_string(told).expect("events are plain data")
}

/// The JSON Schema of a line.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(EventEnvelope).to_value()
}
