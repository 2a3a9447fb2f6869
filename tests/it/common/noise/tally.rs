//! Counts what runs under one condition came to: wrong verdicts, undetermined rows, cost.
//!
//! It adds up and compares with the promise; it neither runs nor draws tables.

use std::collections::BTreeMap;

use fieldtest::catalog::VerdictStatus;
use serde::Serialize;

use super::interval;
use super::server::MeasuredServer;

/// The error that the bounds on rates allow themselves.
const ALPHA: f64 = 0.05;
/// The same where a row is accused of breaking the promise: hundreds of rows are looked at, and none is to be accused
/// by chance.
const ACCUSATION: f64 = 0.0001;

/// What one run came to.
#[derive(Debug, Clone)]
pub struct ObservedRun {
    /// Requests, and further attempts at them.
    pub attempts: u64,
    /// Input tokens, cached ones included.
    pub input_tokens: u64,
    /// The rows, in the order of the tables.
    pub rows: Vec<ObservedRow>,
}

/// What one row of a run came to.
#[derive(Debug, Clone)]
pub struct ObservedRow {
    /// The row's id.
    pub id: String,
    /// What was observed.
    pub status: VerdictStatus,
    /// Why it is undetermined, where it is.
    pub code: Option<String>,
    /// The sentence about it.
    pub reason: String,
    /// The confidence, where statistics decided.
    pub confidence: Option<f64>,
    /// The kind of evidence that decided.
    pub evidence: Option<&'static str>,
}

/// All runs against one kind of server under one condition.
#[derive(Debug, Clone, Default, Serialize)]
pub struct VerdictTally {
    /// Runs.
    pub runs: u64,
    /// Rows tested.
    pub rows: u64,
    /// Rows decided.
    pub verdicts: u64,
    /// Verdicts that statistics decided; the others carry no statistical error.
    pub statistical: u64,
    /// How many wrong verdicts the statistical ones own up to: the sum of what their confidence lacks of 1.
    #[serde(rename = "owned_up")]
    pub expected_wrong: f64,
    /// Verdicts by the kind of evidence: all, statistical, wrong.
    pub by_evidence: BTreeMap<&'static str, [u64; 3]>,
    /// The wrong verdicts.
    #[serde(skip)]
    pub wrong: Vec<WrongVerdict>,
    /// Runs with at least one of them.
    pub runs_with_wrong: u64,
    /// Rows left undetermined.
    pub undetermined: u64,
    /// Those of them that are decided on the same server without noise.
    pub undetermined_by_noise: u64,
    /// The rows that noise left undetermined, each with its reason.
    pub left_open: BTreeMap<String, u64>,
    /// Requests and further attempts at them.
    pub attempts: u64,
    /// Input tokens.
    pub input_tokens: u64,
    /// How often each row was tested, and how often it was decided wrongly: the promise is about tests.
    #[serde(skip)]
    by_row: BTreeMap<String, [u64; 2]>,
    /// The same for each row in each true status.
    #[serde(skip)]
    by_truth: BTreeMap<(String, VerdictStatus), [u64; 2]>,
}

/// A verdict that is not true.
#[derive(Debug, Clone, Serialize)]
pub struct WrongVerdict {
    /// The options of the server, for the command line.
    pub server: String,
    /// The row.
    pub row: String,
    /// What the server does.
    pub truth: VerdictStatus,
    /// What was said.
    pub said: VerdictStatus,
    /// Why.
    pub reason: String,
    /// With which confidence, where statistics decided.
    pub confidence: Option<f64>,
}

/// How often verdicts about one row were wrong.
#[derive(Debug, Clone, Serialize)]
pub struct RowErrorRate {
    /// The row; with its true status where it is counted by that.
    pub row: String,
    /// How often it was tested.
    pub tests: u64,
    /// How often it was decided wrongly.
    pub wrong: u64,
}

impl RowErrorRate {
    fn rate(&self) -> f64 {
        self.wrong as f64 / self.tests.max(1) as f64
    }
}

impl VerdictTally {
    /// Adds a run. `calm` is what the same server came to without noise.
    pub fn add(&mut self, server: &MeasuredServer, seen: &ObservedRun, calm: &ObservedRun) {
        let wrong_before = self.wrong.len();
        self.runs += 1;
        self.attempts += seen.attempts;
        self.input_tokens += seen.input_tokens;
        for row in &seen.rows {
            self.rows += 1;
            let is_wrong = row.status.is_decided() && !server.is_correct(&row.id, row.status);
            let by_row = self.by_row.entry(row.id.clone()).or_default();
            let by_truth = self.by_truth.entry((row.id.clone(), server.true_status(&row.id))).or_default();
            for sums in [by_row, by_truth] {
                sums[0] += 1;
                sums[1] += u64::from(is_wrong);
            }
            if row.status.is_decided() {
                self.add_verdict(server, row, is_wrong);
            } else {
                self.undetermined += 1;
                if calm.rows.iter().any(|before| before.id == row.id && before.status.is_decided()) {
                    self.undetermined_by_noise += 1;
                    let code = row.code.as_deref().unwrap_or("no reason");
                    *self.left_open.entry(format!("{} ({code})", row.id)).or_default() += 1;
                }
            }
        }
        self.runs_with_wrong += u64::from(self.wrong.len() > wrong_before);
    }

    fn add_verdict(&mut self, server: &MeasuredServer, row: &ObservedRow, is_wrong: bool) {
        self.verdicts += 1;
        if let Some(confidence) = row.confidence {
            self.statistical += 1;
            self.expected_wrong += 1.0 - confidence;
        }
        let counts = [1, u64::from(row.confidence.is_some()), u64::from(is_wrong)];
        let kind = self.by_evidence.entry(row.evidence.unwrap_or("none")).or_default();
        for (sum, count) in kind.iter_mut().zip(counts) {
            *sum += count;
        }
        if is_wrong {
            self.wrong.push(WrongVerdict {
                server: server.command_line_options(),
                row: row.id.clone(),
                truth: server.true_status(&row.id),
                said: row.status,
                reason: row.reason.clone(),
                confidence: row.confidence,
            });
        }
    }

    /// The largest rate of wrong verdicts that such a count can be explained with.
    pub fn wrong_at_most(&self) -> f64 {
        interval::upper(self.wrong.len() as u64, self.verdicts, ALPHA)
    }

    /// The row with the largest rate of wrong verdicts, where there is one.
    pub fn worst(&self) -> Option<RowErrorRate> {
        self.rates().filter(|row| row.wrong > 0).max_by(|a, b| a.rate().total_cmp(&b.rate()))
    }

    /// Rows that are wrong more often than the confidence allows.
    pub fn above(&self, confidence: f64) -> Vec<RowErrorRate> {
        self.rates().filter(|row| row.rate() > 1.0 - confidence).collect()
    }

    /// Rows in one true status of which it is proved that they are wrong more often than that.
    pub fn proved_above(&self, confidence: f64) -> Vec<RowErrorRate> {
        self.by_truth
            .iter()
            .filter(|(_, [tests, wrong])| interval::lower(*wrong, *tests, ACCUSATION) > 1.0 - confidence)
            .map(|((row, truth), [tests, wrong])| RowErrorRate {
                row: format!("{row}, {truth}"),
                tests: *tests,
                wrong: *wrong,
            })
            .collect()
    }

    /// How many rows were met in how many statuses: what was measured at all.
    pub fn statuses_met(&self) -> usize {
        self.by_truth.len()
    }

    fn rates(&self) -> impl Iterator<Item = RowErrorRate> {
        self.by_row.iter().map(|(row, [tests, wrong])| RowErrorRate { row: row.clone(), tests: *tests, wrong: *wrong })
    }
}
