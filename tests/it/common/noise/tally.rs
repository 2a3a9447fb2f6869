//! Counts the results of the runs under one condition in a [`VerdictTally`]: wrong verdicts,
//! undetermined rows and cost.
//!
//! It compares the counts with the confidence. It must not start runs or print tables.

use std::collections::BTreeMap;

use fieldtest::catalog::VerdictStatus;
use serde::Serialize;

use super::interval;
use super::server::MeasuredServer;

/// The error probability of the bounds on rates.
const ALPHA: f64 = 0.05;
/// The error probability for a broken confidence of one row. It is small, because hundreds of rows
/// are tested and none may be reported by chance.
const ROW_ALPHA: f64 = 0.0001;

/// The results of one run.
#[derive(Debug, Clone)]
pub struct ObservedRun {
    /// Requests and retries.
    pub attempts: u64,
    /// Input tokens, including cached tokens.
    pub input_tokens: u64,
    /// The rows, in the order of the tables.
    pub rows: Vec<ObservedRow>,
}

/// The verdict of one row of a run.
#[derive(Debug, Clone)]
pub struct ObservedRow {
    /// The row's id.
    pub id: String,
    /// The verdict status.
    pub status: VerdictStatus,
    /// The code of an inconclusive verdict.
    pub code: Option<String>,
    /// The reason of the verdict.
    pub reason: String,
    /// The confidence of a statistical verdict.
    pub confidence: Option<f64>,
    /// The kind of the deciding evidence.
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
    /// Statistical verdicts. The other verdicts have no statistical error.
    pub statistical: u64,
    /// The expected number of wrong statistical verdicts: the sum of 1 minus their confidence.
    #[serde(rename = "owned_up")]
    pub expected_wrong: f64,
    /// Verdicts by the kind of evidence: all, statistical, wrong.
    pub by_evidence: BTreeMap<&'static str, [u64; 3]>,
    /// The wrong verdicts.
    #[serde(skip)]
    pub wrong: Vec<WrongVerdict>,
    /// Runs with at least one wrong verdict.
    pub runs_with_wrong: u64,
    /// Undetermined rows.
    pub undetermined: u64,
    /// Undetermined rows that are decided on the same server without noise.
    pub undetermined_by_noise: u64,
    /// Counts of the rows that are undetermined because of noise, with their codes.
    pub left_open: BTreeMap<String, u64>,
    /// Requests and retries.
    pub attempts: u64,
    /// Input tokens.
    pub input_tokens: u64,
    /// For each row, the number of tests and of wrong verdicts. The confidence applies to tests.
    #[serde(skip)]
    by_row: BTreeMap<String, [u64; 2]>,
    /// The same for each row in each true status.
    #[serde(skip)]
    by_truth: BTreeMap<(String, VerdictStatus), [u64; 2]>,
}

/// A wrong verdict.
#[derive(Debug, Clone, Serialize)]
pub struct WrongVerdict {
    /// The command line options of the server.
    pub server: String,
    /// The row.
    pub row: String,
    /// The true verdict.
    pub truth: VerdictStatus,
    /// The wrong verdict.
    #[serde(rename = "said")]
    pub verdict: VerdictStatus,
    /// The reason of the verdict.
    pub reason: String,
    /// The confidence of a statistical verdict.
    pub confidence: Option<f64>,
}

/// The rate of wrong verdicts of one row.
#[derive(Debug, Clone, Serialize)]
pub struct RowErrorRate {
    /// The row, with its true status if the rate is per status.
    pub row: String,
    /// The number of tests.
    pub tests: u64,
    /// The number of wrong verdicts.
    pub wrong: u64,
}

impl RowErrorRate {
    fn rate(&self) -> f64 {
        self.wrong as f64 / self.tests.max(1) as f64
    }
}

impl VerdictTally {
    /// Adds a run. `calm` is the run of the same server without noise.
    pub fn add(&mut self, server: &MeasuredServer, run: &ObservedRun, calm: &ObservedRun) {
        let wrong_before = self.wrong.len();
        self.runs += 1;
        self.attempts += run.attempts;
        self.input_tokens += run.input_tokens;
        for row in &run.rows {
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
                verdict: row.status,
                reason: row.reason.clone(),
                confidence: row.confidence,
            });
        }
    }

    /// Returns the upper bound of the rate of wrong verdicts.
    pub fn wrong_at_most(&self) -> f64 {
        interval::upper(self.wrong.len() as u64, self.verdicts, ALPHA)
    }

    /// Returns the row with the largest rate of wrong verdicts.
    pub fn worst(&self) -> Option<RowErrorRate> {
        self.rates().filter(|row| row.wrong > 0).max_by(|a, b| a.rate().total_cmp(&b.rate()))
    }

    /// Returns the rows with more wrong verdicts than the confidence allows.
    pub fn above(&self, confidence: f64) -> Vec<RowErrorRate> {
        self.rates().filter(|row| row.rate() > 1.0 - confidence).collect()
    }

    /// Returns the rows, per true status, with significantly more wrong verdicts than the
    /// confidence allows.
    pub fn proved_above(&self, confidence: f64) -> Vec<RowErrorRate> {
        self.by_truth
            .iter()
            .filter(|(_, [tests, wrong])| interval::lower(*wrong, *tests, ROW_ALPHA) > 1.0 - confidence)
            .map(|((row, truth), [tests, wrong])| RowErrorRate {
                row: format!("{row}, {truth}"),
                tests: *tests,
                wrong: *wrong,
            })
            .collect()
    }

    /// Returns the number of measured pairs of row and true status.
    pub fn statuses_met(&self) -> usize {
        self.by_truth.len()
    }

    fn rates(&self) -> impl Iterator<Item = RowErrorRate> {
        self.by_row.iter().map(|(row, [tests, wrong])| RowErrorRate { row: row.clone(), tests: *tests, wrong: *wrong })
    }
}
