//! The events of a run for other programs, one JSON object per line (`--format ndjson`): [`EventEnvelope`].
//!
//! Names are a contract with other tools: kinds of event and fields may be added, but not renamed. A
//! verdict reported during a run can change later: rows are repeated on an inconsistent endpoint, and
//! rows depend on other rows. The `row` events at the end of a run have the final verdicts.

use serde::{Deserialize, Serialize};

use crate::catalog::{ClaimStatus, Outcome, VerdictStatus};
use crate::results::model::{Results, ResultsSummary, RunTotals};
use crate::results::progress::ProgressCounts;

/// The value of `schema` in the first line.
pub const SCHEMA: &str = "fieldtest-events/2";

/// One line: an event with its time and target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EventEnvelope {
    /// Milliseconds since the command started.
    pub ms: u64,
    /// The target of the event; absent for events of the whole command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The number of the repeated run, from 1; absent if there is one run, or if the event is about all runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<u64>,
    /// The event.
    #[serde(flatten)]
    pub event: NdjsonEvent,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum NdjsonEvent {
    /// The first line: the command started.
    Started {
        /// Always `fieldtest-events/2`.
        schema: String,
        /// The version of fieldtest.
        version: String,
    },
    /// The run of a target started.
    RunStarted {
        /// The base URL.
        base_url: String,
        /// The requested model.
        model: String,
        /// True if the endpoint is the built-in simulator.
        simulated: bool,
        /// The number of rows.
        rows: u64,
        /// The seed of the random values.
        seed: u64,
        /// The path of the recording.
        recording: String,
    },
    /// A row started.
    RowStarted {
        /// The row's id.
        row: String,
    },
    /// A request has a response or failed finally.
    Exchange {
        /// The id of the exchange in the recording.
        id: String,
        /// The HTTP method.
        method: String,
        /// The path below the base URL.
        path: String,
        /// The HTTP status of the last attempt; `null` if there is no response.
        status: Option<u16>,
        /// Why there is no response.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<String>,
        /// The number of attempts.
        attempts: u64,
        /// The duration of the last attempt in milliseconds.
        duration_ms: u64,
        /// Input tokens, if the response reports them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        input_tokens: Option<u64>,
        /// Output tokens, if the response reports them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output_tokens: Option<u64>,
    },
    /// The endpoint treats equal requests differently, so decided rows are repeated.
    AskedAgain {
        /// The number of these rows.
        rows: u64,
    },
    /// A row has a verdict that can still change.
    Verdict {
        /// The row's id.
        row: String,
        /// The verdict.
        status: VerdictStatus,
        /// The reason, in one sentence.
        reason: String,
        /// The progress of the run.
        pace: ProgressCounts,
        /// The estimated milliseconds until the end of the run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        left_ms: Option<u64>,
    },
    /// The final verdict of a row.
    Row {
        /// The row's id.
        row: String,
        /// The claim status; `null` if there is no claim.
        claim: Option<ClaimStatus>,
        /// The verdict.
        status: VerdictStatus,
        /// The verdict compared with the claim.
        outcome: Outcome,
        /// True if the field is claimed unsupported and ignored without an error.
        silent: bool,
    },
    /// The run of a target ended.
    RunFinished {
        /// Why the run ended early; absent if it is complete.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        partial: Option<String>,
        /// Requests, tokens, cost and time of the run.
        totals: Box<RunTotals>,
        /// The number of rows with each outcome and each kind of verdict.
        summary: Box<ResultsSummary>,
    },
    /// The last line: the command ended.
    Finished {
        /// The exit code.
        exit: u8,
    },
}

/// The final events of a run: one for each row, then the summary.
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
        totals: Box::new(results.totals.clone()),
        summary: Box::new(results.summary.clone()),
    };
    rows.chain([finished]).collect()
}

/// The text of a line, without the line end.
#[expect(clippy::expect_used, reason = "events have strings as keys and only types that serialize")]
pub fn render(event: &EventEnvelope) -> String {
    serde_json::to_string(event).expect("events are plain data")
}
